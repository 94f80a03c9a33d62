"""Tells what any file is before it is uploaded somewhere: its type by its bytes, and how large a picture is to see."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from mediary.errors import SandboxError, UnreadableError, UnsupportedTypeError
from mediary.extractors.base import Recognised
from mediary.extractors.recognition.detect import HEAD_BYTES
from mediary.formats import SNIFF_BYTES, detect
from mediary.sandbox.pool import Sandbox
from mediary.storage.files import in_thread, translated
from mediary.uploads.files import UNKNOWN, Looked

Recognise = Callable[[Path, bytes, str], Awaitable[Recognised]]


class Looker:
    """Looks at files of this machine; what has to be decoded for that is decoded in child processes.

    `recognise` tells documents; `max_pixels` is the largest picture that is looked at.
    """

    def __init__(self, sandbox: Sandbox, recognise: Recognise, max_pixels: int) -> None:
        self._sandbox = sandbox
        self._recognise = recognise
        self._max_pixels = max_pixels

    async def look(self, path: Path, name: str) -> Looked:
        """What a file is; NotFoundError if there is none."""
        head = await in_thread(lambda: _head(path, name))
        if found := detect(head[:SNIFF_BYTES]):
            width, height = await self._shape(path) if found.kind == "image" else (None, None)
            return Looked(found.media_type, width, height)
        try:
            recognised = await self._recognise(path, head, name)
        except UnsupportedTypeError:
            return Looked(UNKNOWN, None, None)
        return Looked(recognised.media_type, None, None)

    async def _shape(self, path: Path) -> tuple[int | None, int | None]:
        """Width and height of a picture; a broken one has none, and is the provider's to judge."""
        try:
            facts = await self._sandbox.run("mediary.media.decoding.facts:read_shape", self._max_pixels, source=path)
        except (UnreadableError, SandboxError):
            return None, None
        return facts["width"], facts["height"]


def _head(path: Path, name: str) -> bytes:
    with translated("this machine", name), path.open("rb") as file:
        return os.pread(file.fileno(), HEAD_BYTES, 0)
