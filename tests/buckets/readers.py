"""Extractors for tests, in real child processes, and what is needed to have them read something."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import msgspec

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.errors import UnreadableError
from mediary.extractors.base import Facts, Piece, Recognised, Wanted
from mediary.sandbox.pool import Sandbox

_CALL = "tests.buckets.readers:call"


def call(source: BinaryIO, extractor: str) -> Iterator[Any]:
    """In the child."""
    return globals()[extractor](source)


def paced(source: BinaryIO) -> Iterator[Any]:
    """A line that no other run has, then those of the source, for which it waits until `END`, or `FAIL`."""
    yield f"{uuid4()}\n"
    while True:
        line = source.readline()
        match line:
            case b"":
                time.sleep(0.002)
            case b"END\n":
                return
            case b"FAIL\n":
                raise UnreadableError("it breaks off here")
            case _:
                yield line.decode()


def plain(source: BinaryIO) -> Iterator[Any]:
    """What it holds, and facts."""
    yield Facts(title="A  title\n", pages=1)
    while block := source.read(1024**2):
        yield block.decode()
    yield Facts(pages=7, language="de")


def endless(source: BinaryIO) -> Iterator[Any]:
    """More than anybody wants."""
    while True:
        yield "more and more\n" * 1000


def stuck(source: BinaryIO) -> Iterator[Any]:
    """Begins, and never ends."""
    yield "so far\n"
    while True:
        time.sleep(60)


class Readers:
    """These extractors, as `Texts` wants them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def recognise(self, path: Path, head: bytes, name: str) -> Recognised:
        return Recognised("document", "text/plain", None, "plain")

    async def extract(
        self, path: Path, extractor: str, wanted: Wanted, *, seconds: float
    ) -> AsyncGenerator[Piece, None]:
        async with aclosing(self._sandbox.stream(_CALL, extractor, seconds=seconds, source=path)) as pieces:
            async for piece in pieces:
                yield piece if isinstance(piece, str) else msgspec.convert(piece, Facts)


async def put(bucket: Bucket, name: str, data: bytes | str = b"", extractor: str | None = "plain") -> Document:
    """A document with a source that is to be read."""
    bucket.source_dir.mkdir(exist_ok=True)
    (bucket.source_dir / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    document = Document(name=f"{name}.md", position=0, original=name, source=name, extractor=extractor)
    (added,) = await bucket.index.add([document])
    return added


async def put_text(bucket: Bucket, name: str, text: str) -> Document:
    """A document that is its own text."""
    (bucket.folder / name).write_text(text, newline="")
    size = len(text.encode())
    document = Document(name=name, position=0, original=name, state="ready", size=size, text_size=size)
    (added,) = await bucket.index.add([document])
    return added


def go_on(bucket: Bucket, name: str, line: str) -> None:
    """Give `paced` one more line."""
    with (bucket.source_dir / name).open("a") as source:
        source.write(f"{line}\n")


async def until_grown(bucket: Bucket, name: str, size: int = 1) -> None:
    """Wait until so many bytes of a text are there; another process makes it."""
    path = bucket.hidden / "texts" / f"{name}.md"
    async with asyncio.timeout(30):
        while not path.exists() or path.stat().st_size < size:  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)


def leftovers(bucket: Bucket) -> list[str]:
    """What lies half-made in the hidden folder."""
    folder = bucket.hidden / "texts"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
