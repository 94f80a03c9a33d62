"""Files as uploads know them: what their bytes say that they are, and digests that are taken once."""

import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.storage.base import HasPath, KnowsDigests, Store, StoredFile
from mediary.storage.files import in_thread, translated, write_all
from mediary.uploads.base import Content, File
from mediary.uploads.contents import BytesContent, Known, PathContent, StoreContent, file_at, hash_content

if TYPE_CHECKING:
    from mediary.uploads.records.digests import Digests

UNKNOWN = "application/octet-stream"
"""What bytes are that nobody knows."""

FRESH_SECONDS = 2.0
"""A file that was changed so lately may change again without showing it: some systems count time in such steps."""

_UNFIT = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]+")


@dataclass(slots=True, frozen=True)
class Looked:
    """What a file is by its bytes; of pictures, and of videos, also the size in pixels as it is shown."""

    media_type: str
    width: int | None = None
    height: int | None = None


Look = Callable[[Path, str], Awaitable[Looked]]
"""Tells what a file of this machine is; the name is for messages. Unknown bytes: application/octet-stream."""

Check = Callable[[str, str, int], None]
"""Raises if a file of that name, media type and size is not wanted."""


@dataclass(slots=True, frozen=True)
class _Source:
    """Bytes, where they lie (`place`), and a mark that changes with them; `path` where they are on this machine."""

    content: Content
    name: str
    place: str
    mark: str = ""
    path: Path | None = None


class Files:
    """Makes files of what lies somewhere. What was found out about their bytes is remembered, over restarts too."""

    def __init__(self, digests: "Callable[[], Awaitable[Digests]]", look: Look) -> None:
        self._digests = digests
        self.look = look

    async def of_path(self, path: Path, name: str | None = None, check: Check = lambda *_: None) -> File:
        """A file of this machine; NotFoundError if there is none. `check` spares it the reading if it is not wanted."""
        path = path.absolute()
        stored = file_at(path)
        source = _local(path, name or path.name, stored)
        return await self._file(source, keep=time.time() - stored.modified > FRESH_SECONDS, check=check)

    async def of_store(self, store: Store, name: str, looked: Looked | None = None) -> File:
        """A file of a store, whose bytes never change; NotFoundError if there is none.

        Who knows what it is says so in `looked`: to look at what lies on another machine is to fetch it.
        """
        stored = await store.get(name)
        if isinstance(store, HasPath):
            return await self._file(_local(store.path(name), name, stored), looked)
        content = StoreContent(store, name, stored.size)
        digest = await store.digest(name) if isinstance(store, KnowsDigests) else None
        if digest is None:
            return await self._file(_Source(content, name, f"stored {name}", stored.etag), looked)
        return await self._file(_Source(content, name, _place_of_bytes(digest)), looked)

    async def of_bytes(self, data: bytes, name: str) -> File:
        """Bytes in memory."""
        content = BytesContent(data)
        known = await hash_content(content)
        return await self._file(_Source(content, name, _place_of_bytes(known.sha256)), known=known)

    async def _file(
        self,
        source: _Source,
        looked: Looked | None = None,
        *,
        known: Known | None = None,
        keep: bool = True,
        check: Check = lambda *_: None,
    ) -> File:
        """The file of a source, with what is known of its bytes, and what is not yet found out."""
        digests = await self._digests()
        noted = await digests.find(source.place, source.mark)
        about = looked or noted
        if about is None or about.media_type is None:
            about = looked = await self._look_at(source)
        name, media_type = clean_name(source.name), about.media_type or UNKNOWN
        check(name, media_type, source.content.size)
        known = noted or known or await hash_content(source.content)
        if looked is not None:
            known = replace(known, media_type=looked.media_type, width=looked.width, height=looked.height)
        if keep and known != noted:
            await digests.note(source.place, source.mark, known)
        return File(name, media_type, source.content, known.md5, known.sha256, known.width, known.height)

    async def _look_at(self, source: _Source) -> Looked:
        if source.path is not None:
            return await self.look(source.path, source.name)
        async with _on_disk(source.content) as path:
            return await self.look(path, source.name)


def clean_name(name: str) -> str:
    """A name as providers are told it: as it is, without path separators and what cannot be seen or sent."""
    plain = _UNFIT.sub("_", name).encode("utf-8", "replace").decode().strip()
    return plain if plain.strip(".") else "file"


def _local(path: Path, name: str, stored: StoredFile) -> _Source:
    return _Source(PathContent(path, stored.size, stored.etag), name, f"path {path}", stored.etag, path)


def _place_of_bytes(sha256: str) -> str:
    """Where bytes are, wherever they lie."""
    return f"sha256 {sha256}"


@asynccontextmanager
async def _on_disk(content: Content) -> AsyncIterator[Path]:
    """The bytes in a file of this machine, for as long as the block lasts."""
    with translated("temporary files"):
        descriptor, name = tempfile.mkstemp(prefix="mediary-")
    try:
        with translated("temporary files"):
            try:
                async with aclosing(content.read()) as pieces:
                    async for piece in pieces:
                        await in_thread(partial(write_all, descriptor, piece))
            finally:
                os.close(descriptor)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
