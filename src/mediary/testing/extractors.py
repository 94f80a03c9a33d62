"""What every extractor must do: subclass `ExtractorContract` and hand in documents (pytest, pytest-asyncio)."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.extractors.base import Extract, Facts, Piece, Wanted
from mediary.sandbox.pool import Sandbox

MIB = 1024**2
SECONDS = 60.0
CALL = "mediary.extractors.call:extract"


async def read(extract: Extract, path: Path, wanted: Wanted) -> list[Piece]:
    """All that an extractor says of a file."""

    def all_of_it() -> list[Piece]:
        with path.open("rb") as source:
            return list(extract(source, wanted))

    return await asyncio.to_thread(all_of_it)


def text_of(pieces: list[Piece]) -> str:
    """The text among pieces."""
    return "".join(piece for piece in pieces if isinstance(piece, str))


@pytest.mark.asyncio
class ExtractorContract:
    """The promises of `extractors.base.Extract`, each a test.

    Override `extractor`, `document`, `media_type` and `words`.
    """

    @pytest.fixture
    def extractor(self) -> str:
        """The extractor under test as it is registered: `module:function`."""
        pytest.fail("an extractor's contract needs an `extractor` fixture", pytrace=False)

    @pytest.fixture
    def document(self) -> Path:
        """A file that it reads."""
        pytest.fail("an extractor's contract needs a `document` fixture", pytrace=False)

    @pytest.fixture
    def media_type(self) -> str:
        """The media type of `document`."""
        pytest.fail("an extractor's contract needs a `media_type` fixture", pytrace=False)

    @pytest.fixture
    def words(self) -> tuple[str, ...]:
        """Words of `document`, in the order in which they are read."""
        pytest.fail("an extractor's contract needs a `words` fixture", pytrace=False)

    @pytest.fixture
    def wanted(self, document: Path, media_type: str) -> Wanted:
        """How `document` is to be read."""
        return Wanted(document.name, media_type)

    @pytest.fixture
    def extract(self, extractor: str) -> Extract:
        """The function itself."""
        module, _, name = extractor.partition(":")
        return cast("Extract", getattr(import_module(module), name))

    @pytest.fixture
    async def sandbox(self) -> AsyncIterator[Sandbox]:
        """A cage in which no file can be opened."""
        pool = Sandbox(1, readable=[])
        yield pool
        await pool.close()

    async def test_it_reads(self, extract: Extract, document: Path, wanted: Wanted, words: tuple[str, ...]) -> None:
        """The words are all there, in order."""
        rest = text_of(await read(extract, document, wanted))
        for word in words:
            _, found, rest = rest.partition(word)
            assert found, f"{word!r} is missing, or in another place"

    async def test_it_says_what_it_may(self, extract: Extract, document: Path, wanted: Wanted) -> None:
        """Texts of at most a mebibyte that are UTF-8, and facts that tell something."""
        for piece in await read(extract, document, wanted):
            if isinstance(piece, str):
                assert len(piece.encode()) <= MIB
                assert "\0" not in piece
            else:
                assert isinstance(piece, Facts)
                assert msgspec.convert(msgspec.to_builtins(piece), Facts) == piece

    async def test_it_says_the_same_again(self, extract: Extract, document: Path, wanted: Wanted) -> None:
        """Two readings are equal."""
        assert text_of(await read(extract, document, wanted)) == text_of(await read(extract, document, wanted))

    async def test_it_needs_nothing_but_its_source(
        self, extractor: str, extract: Extract, document: Path, wanted: Wanted, sandbox: Sandbox
    ) -> None:
        """It says the same in a process that cannot open files, write, use the network or start programs."""
        pieces = [piece async for piece in _in_cage(sandbox, extractor, document, wanted)]
        said = "".join(piece for piece in pieces if isinstance(piece, str))
        assert said == text_of(await read(extract, document, wanted))

    async def test_it_can_be_left(self, extract: Extract, document: Path, wanted: Wanted) -> None:
        """Closing it after its first piece is no error."""

        def first() -> Piece | None:
            with document.open("rb") as source, closing(cast("Any", extract(source, wanted))) as pieces:
                found: Piece | None = next(pieces, None)
                return found

        assert await asyncio.to_thread(first) is not None

    async def test_damage_is_text_or_a_reason(
        self, extractor: str, document: Path, wanted: Wanted, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        """Cut, changed and foreign bytes give text, or an error with words; after them the whole document is read."""
        damaged = tmp_path / document.name
        for data in _damage(document.read_bytes()):
            damaged.write_bytes(data)
            try:
                said = [piece async for piece in _in_cage(sandbox, extractor, damaged, wanted)]
            except (UnreadableError, UnsupportedTypeError) as reason:
                said = [reason.message.strip()]
            assert all(isinstance(piece, dict) or piece for piece in said)
        assert [piece async for piece in _in_cage(sandbox, extractor, document, wanted)]


def _damage(data: bytes) -> Iterator[bytes]:
    chance = random.Random(len(data))  # noqa: S311 - nothing secret
    for part in (0.0, 0.1, 0.5, 0.9):
        yield data[: int(len(data) * part)]
    changed = bytearray(data)
    for _ in range(max(len(data) // 200, 1)):
        changed[chance.randrange(len(data))] = chance.randrange(256)
    yield bytes(changed)
    yield data[:64] + chance.randbytes(4096)
    yield data[:8] * 4096


async def _in_cage(sandbox: Sandbox, extractor: str, path: Path, wanted: Wanted) -> AsyncIterator[Any]:
    pieces = sandbox.stream(CALL, extractor, msgspec.to_builtins(wanted), seconds=SECONDS, source=path)
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece
