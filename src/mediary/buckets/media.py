"""The media of a bucket: their files, and the words that can be read or heard in them."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from mediary.buckets.bucket import Bucket
from mediary.errors import MediaryError, StoreError
from mediary.extractors.base import Extracts, Wanted
from mediary.formats import Format
from mediary.plugins import load
from mediary.storage.base import Page, Store

logger = logging.getLogger(__name__)

Transcribe = Callable[[Path, Format, str | None], Awaitable[str]]
"""Turns the speech of a sound or video into text; it is told the language (BCP 47) if the uploader said one."""

_SCAN = "scan"
_SECONDS = 60.0
_MOST_CHARACTERS = 1024**2


class MediaKeeper(Protocol):
    """What the media library does for a bucket."""

    async def keep(self, media_dir: Path, thumbnail_dir: Path, name: str, /) -> tuple[int, int] | None:
        """Width and height of a media file that was just stored, and its thumbnail in that folder.

        None for what has no size or cannot be read, which is no reason to raise. The folder need not be there.
        """
        ...


class Words:
    """Finds the words in media: by `extractors` in pictures if there is one for that, by `transcribe` in the others."""

    def __init__(self, extractors: Extracts | None, transcribe: Transcribe | None) -> None:
        self._extractors = extractors
        self._transcribe = transcribe

    async def find(self, path: Path, found: Format, language: str | None) -> str | None:
        """The words of a media file, None if it has none, or nobody can tell, or not in time."""
        try:
            text = await (self._read if found.kind == "image" else self._hear)(path, found, language)
        except MediaryError as error:
            logger.info("the words in a bucket's %s are not known: %s", found.media_type, error.message)
            return None
        return text.strip() or None

    async def _read(self, path: Path, found: Format, language: str | None) -> str:
        if self._extractors is None:
            return ""
        wanted = Wanted(path.name, found.media_type, language)
        pieces: list[str] = []
        async with aclosing(self._extractors.extract(path, _SCAN, wanted, seconds=_SECONDS)) as found_pieces:
            async for piece in found_pieces:
                if isinstance(piece, str):
                    pieces.append(piece)
                if sum(map(len, pieces)) >= _MOST_CHARACTERS:
                    break
        return "".join(pieces)

    async def _hear(self, path: Path, found: Format, language: str | None) -> str:
        return await self._transcribe(path, found, language) if self._transcribe else ""


async def list_media(bucket: Bucket, after: str | None = None, limit: int = 100) -> Page:
    """The media of a bucket in the order of their names, behind a cursor."""
    store: Store = load("storage", "local")(bucket.media_dir)
    try:
        return await store.list(after, limit)
    except StoreError:
        if bucket.media_dir.is_dir():
            raise
        return Page((), None)
