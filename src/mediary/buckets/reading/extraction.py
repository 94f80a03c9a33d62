"""The making of one document's text: by one process, once, however many wait for it."""

import asyncio
import logging
import os
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.buckets.locks import Claim, claimed
from mediary.buckets.naming import TEXTS, WHAT
from mediary.errors import (
    MediaryError,
    NotFoundError,
    TooLargeError,
    UnsupportedTypeError,
)
from mediary.extractors.base import Extracts, Facts, Wanted
from mediary.extractors.recognition.detect import HEAD_BYTES
from mediary.settings import BucketSettings
from mediary.shared_work import Work
from mediary.storage.files import in_thread, opened, translated, write_all

logger = logging.getLogger(__name__)

_MAX_FACT = 1000

_ITS_FAULT = (NotFoundError, TooLargeError, UnsupportedTypeError)
"""What says something about the document; any other error says something about this machine."""


class Extraction:
    """The making of one document's text: it lies in a file that grows, until it is whole and becomes `<name>.md`."""

    def __init__(self, bucket: Bucket, name: str, extractors: Extracts, settings: BucketSettings) -> None:
        self._bucket = bucket
        self._name = name
        self._extractors = extractors
        self._settings = settings

    async def __call__(self, progress: Work[Document]) -> Document:
        """The document when it is ready or failed; what this machine fails at is raised, and it is queued again."""
        async with claimed(self._bucket.hidden / TEXTS / self._name) as claim:
            try:
                return await self._settle(claim, progress)
            finally:
                claim.remove()

    async def _settle(self, claim: Claim, progress: Work[Document]) -> Document:
        """What the document is now, and if that is nothing yet: its text. Another process may have been first."""
        document = await self._bucket.index.get(self._name)
        text, source = self._bucket.text_path(document), self._bucket.source_path(document)
        has_source = source is not None and source.exists()
        if (size := _size(text)) is not None and not (is_lost(document, size) and has_source):
            return await self._is_ready(document, size)
        if document.state == "failed":
            return document
        if source is None or not has_source:
            return await self._change(state="failed", error="its file is gone from the folder of the bucket")
        await self._change(state="extracting")
        try:
            facts = await self._extract(document, source, claim, progress)
        except _ITS_FAULT as error:
            return await self._change(state="failed", error=error.message)
        except (MediaryError, asyncio.CancelledError):
            with suppress(MediaryError):  # if this fails, too: nobody has the claim, so it counts as queued
                await self._change(state="queued")
            raise
        if facts:  # before the text: once that is there, nobody asks for them again
            await self._change(**facts)
        await in_thread(partial(self._publish, claim, text))
        return await self._change(state="ready", text_size=progress.size, error=None)

    async def _is_ready(self, document: Document, size: int) -> Document:
        if document.state == "ready" and document.text_size == size:
            return document
        return await self._change(state="ready", text_size=size, error=None)

    async def _change(self, **changes: Any) -> Document:
        return await self._bucket.index.change(self._name, **changes)

    async def _extract(
        self, document: Document, source: Path, claim: Claim, progress: Work[Document]
    ) -> dict[str, Any]:
        """Write the text into the claimed file as it comes; what the document says of itself."""
        extractor, media_type = document.extractor, document.media_type
        if extractor is None:
            extractor, media_type = await self._recognise(document, source)
        wanted = Wanted(document.original or document.name, media_type, document.asked_language)
        extracting = self._extractors.extract(source, extractor, wanted, seconds=self._settings.seconds)
        facts: dict[str, Any] = {}
        async with aclosing(extracting):
            async for piece in extracting:
                if isinstance(piece, Facts):
                    facts |= {key: _plain(value) for key, value in asdict(piece).items() if value is not None}
                else:
                    await self._write(claim, clean(piece), progress)
        return facts

    async def _recognise(self, document: Document, source: Path) -> tuple[str, str]:
        """The extractor and type of a file that lay in the folder before Mediary came."""
        head = await in_thread(partial(_head, source))
        found = await self._extractors.recognise(source, head, source.name)
        if found.sort in ("media", "archive"):
            raise UnsupportedTypeError(f"it is no document, but {found.media_type}")
        return found.extractor or "plain", found.media_type

    async def _write(self, claim: Claim, data: bytes, progress: Work[Document]) -> None:
        most = self._settings.max_text_bytes
        if progress.size + len(data) > most:
            raise TooLargeError(f"its text has more than {most:,} bytes")
        await in_thread(partial(_append, claim.file, data))
        progress.grow(len(data))

    def _publish(self, claim: Claim, text: Path) -> None:
        with translated(WHAT, text.name):
            claim.path.rename(text)


def is_lost(document: Document, size: int) -> bool:
    """Whether a text of that size is what a power cut left of one that was on its way to the disk.

    What is known of its size comes after it, so that nothing may be known.
    """
    return size == 0 and document.text_size != 0


def _size(path: Path) -> int | None:
    """The size of a file, None if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def clean(text: str) -> bytes:
    """UTF-8 without what cannot be in it: halves of a pair are joined, or replaced; zero characters are left out."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _plain(value: str | int) -> str | int:
    """A fact as it is kept: in one line, and no novel."""
    return " ".join(clean(value).decode().split())[:_MAX_FACT] if isinstance(value, str) else value


def _append(file: int, data: bytes) -> None:
    with translated(WHAT):
        write_all(file, data)


def _head(path: Path) -> bytes:
    with translated(WHAT, path.name), opened(path, os.O_RDONLY) as file:
        return os.pread(file, HEAD_BYTES, 0)
