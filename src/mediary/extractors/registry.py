"""The extractors as the rest of Mediary sees them: what a file is, and its text out of a child process."""

import asyncio
from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import msgspec

from mediary import plugins
from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.extractors.base import Facts, Piece, Recognised, Wanted
from mediary.extractors.recognition.by_name import FEEDS, PLAIN_TEXT
from mediary.extractors.recognition.detect import TAKEN, document, recognise
from mediary.sandbox.pool import Sandbox

_LOOK = "mediary.extractors.recognition.containers:media_type"
_LOOK_SECONDS = 30.0
_CALL = "mediary.extractors.call:extract"
_ZIP = "application/zip"
_UNKNOWN = "application/octet-stream"
_BLOCK_BYTES = 1024**2


class Extractors:
    """Every extractor that is installed, each run in a child process of `sandbox`.

    One that is registered under a file extension (`.djvu`) takes the files of that name that nobody else recognises,
    or of which nothing is known but that they are text. `ocr` is whether text in pictures is recognised.
    """

    def __init__(self, sandbox: Sandbox, *, ocr: bool = True) -> None:
        self._sandbox = sandbox
        self._ocr = ocr

    async def recognise(self, path: Path, head: bytes, name: str, *, is_utf8: bool | None = None) -> Recognised:
        """What a file is by its bytes, of which `head` are the first `HEAD_BYTES`, and its name.

        Whoever has seen all of it says whether `is_utf8`, and spares another reading.
        UnsupportedTypeError says what it is instead, and what is taken; UnreadableError that it is empty or damaged.
        """
        other = _registered_extension(name)
        try:
            found = recognise(head, name) or await self._look_into(path, name)
        except UnreadableError:
            raise
        except UnsupportedTypeError as problem:
            if other:
                return document(guess_type(name)[0] or _UNKNOWN, other)
            raise UnsupportedTypeError(f"{problem.message}; {TAKEN}") from None
        if found.media_type in FEEDS and find_spec("markitdown"):
            return document(found.media_type, "markitdown")
        if other and found.media_type == PLAIN_TEXT:
            return document(guess_type(name)[0] or PLAIN_TEXT, other)
        if found.sort == "text":
            if is_utf8 is None:
                is_utf8 = await asyncio.to_thread(_is_utf8, path)
            return found if is_utf8 else document(found.media_type)
        return found

    async def extract(
        self, path: Path, extractor: str, wanted: Wanted, *, seconds: float
    ) -> AsyncGenerator[Piece, None]:
        """The text of a document as it comes, and facts; UnreadableError says why there is none, or no more of it."""
        point = plugins.registered("extractors").get(extractor)
        if point is None:
            raise UnreadableError(f"no extractor {extractor!r} is installed any more")
        if not self._ocr:
            wanted = msgspec.structs.replace(wanted, ocr=False)
        pieces = self._sandbox.stream(_CALL, point.value, msgspec.to_builtins(wanted), seconds=seconds, source=path)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece if isinstance(piece, str) else msgspec.convert(piece, Facts)

    async def _look_into(self, path: Path, name: str) -> Recognised:
        media_type: Any = await self._sandbox.run(_LOOK, name, seconds=_LOOK_SECONDS, source=path)
        return Recognised("archive", _ZIP) if media_type == _ZIP else document(media_type)


def _registered_extension(name: str) -> str | None:
    _, dot, extension = name.rpartition(".")
    extension = dot + extension.lower()
    return extension if dot and extension in plugins.registered("extractors") else None


def _is_utf8(path: Path) -> bool:
    """Whether the whole file is UTF-8 without a zero byte."""
    decoder = getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            for block in iter(partial(file.read, _BLOCK_BYTES), b""):
                if b"\0" in block:
                    return False
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
