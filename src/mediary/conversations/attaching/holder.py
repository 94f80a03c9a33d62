"""Holds the files of a question until it is answered: small ones in memory, larger ones in temporary files."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mediary.conversations.attaching.held import HEAD_BYTES, Digesting, Held, Kind, held_in_memory, what_is
from mediary.errors import TooLargeError
from mediary.storage.base import Store
from mediary.storage.fetch import at_path, first_bytes
from mediary.storage.files import in_thread
from mediary.storage.spool import Spool
from mediary.tasks import to_the_end
from mediary.uploads.contents import PIECE, PathContent, StoreContent, file_at
from mediary.uploads.files import clean_name

if TYPE_CHECKING:
    from mediary.uploads.files import Files

MOST_IN_MEMORY = 16 * PIECE
"""What the files of one question that stay in memory may have together; each has less than a mebibyte."""
LIMIT = "conversation.max_upload_bytes"


class Holder:
    """The files of one question. They are there until all have let go of it.

    `folder` is where temporary files are made; `max_bytes` is what all that comes from outside may have together.
    """

    def __init__(self, folder: Path, max_bytes: int, files: "Files") -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._files = files
        self._taken = 0
        self._in_memory = 0
        self._spools: list[Spool] = []
        self._users = 0

    async def __aenter__(self) -> Self:
        return self.share()

    async def __aexit__(self, *_: object) -> None:
        await self.let_go()

    def share(self) -> Self:
        """One more holds on to it."""
        self._users += 1
        return self

    async def let_go(self) -> None:
        """One less; the last one removes what is temporary."""
        self._users -= 1
        if not self._users and self._spools:
            spools, self._spools = self._spools, []
            await to_the_end(asyncio.gather(*(spool.close() for spool in spools)))

    @property
    def left(self) -> int:
        """The bytes that further files may have."""
        return self._max_bytes - self._taken

    async def take(self, name: str, chunks: AsyncIterable[bytes]) -> Held:
        """A file that comes as a stream; TooLargeError where all have too many bytes, UnreadableError for none."""
        name = clean_name(name)
        async with aclosing(self._blocks(chunks)) as blocks:
            block = await anext(blocks, b"")
            kind = what_is(block, name)
            # A block that is not full is the only one; what only a look inside tells needs a path.
            if len(block) < PIECE and kind.media_type and self._in_memory + len(block) <= MOST_IN_MEMORY:
                self._in_memory += len(block)
                return held_in_memory(name, block, kind, kind.media_type)
            return await self._spool(name, kind, block, blocks)

    async def of_store(self, store: Store, name: str) -> Held:
        """A file of the library; NotFoundError if there is none."""
        content = StoreContent(store, name, (await store.get(name)).size)
        kind = what_is(await first_bytes(store, name, HEAD_BYTES), name)
        media_type = kind.media_type
        if media_type is None:
            async with at_path(store, name, self._folder) as path:
                media_type = (await self._files.look(path, name)).media_type
        digested = partial(self._files.of_store, store, name)
        return Held(name, media_type, content, digested, kind.is_text, kept=True, item=name)

    async def of_path(self, path: Path, name: str | None = None, *, kept: bool = False) -> Held:
        """A file of this machine, which stays where it is; NotFoundError if there is none."""
        name = clean_name(name or path.name)
        content = await in_thread(partial(_content_at, path))
        async with aclosing(content.read(0, HEAD_BYTES)) as pieces:
            kind = what_is(await anext(pieces, b""), name)
        media_type = kind.media_type or (await self._files.look(path, name)).media_type
        return Held(name, media_type, content, partial(self._files.of_path, path, name), kind.is_text, kept=kept)

    async def _spool(self, name: str, kind: Kind, block: bytes, rest: AsyncGenerator[bytes, None]) -> Held:
        """A file that goes to the disk, and is hashed on its way."""
        spool = Spool(self._folder)
        self._spools.append(spool)
        digests = Digesting()
        while block:
            # The next block arrives while this one is hashed and written.
            taking = asyncio.gather(in_thread(partial(digests.update, block)), spool.write(block))
            try:
                block = await anext(rest, b"")
            finally:
                await taking
        path = await spool.path()
        content = await in_thread(partial(_content_at, path))
        return digests.held(name, content, kind, kind.media_type or (await self._files.look(path, name)).media_type)

    async def _blocks(self, chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        """The bytes in full blocks and a last one that is not; counted, for there is a limit."""
        gathered = bytearray()
        async for chunk in chunks:
            self._taken += len(chunk)
            if self._taken > self._max_bytes:
                raise TooLargeError(f"the files of a request may have {self._max_bytes} bytes together ({LIMIT})")
            gathered += chunk
            if len(gathered) >= PIECE:
                yield bytes(gathered)
                gathered.clear()
        if gathered:
            yield bytes(gathered)


def _content_at(path: Path) -> PathContent:
    stored = file_at(path)
    return PathContent(path, stored.size, stored.etag)
