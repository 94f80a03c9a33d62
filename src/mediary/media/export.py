"""Media out, to a folder of the person who asks: copies, with the words in them if that is wanted."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mediary.errors import ConflictError, UnsupportedTypeError
from mediary.media.embed import Piece, embedded
from mediary.media.incoming import SLICE
from mediary.media.item import MediaItem
from mediary.media.library import MediaLibrary
from mediary.media.metadata import xmp_packet
from mediary.media.target import stage_target
from mediary.storage.base import HasPath
from mediary.storage.files import in_thread, translated


@dataclass(slots=True, frozen=True)
class Exported:
    """A copy of a media item: where it lies, whether its words are in it, and why not where they were wanted."""

    path: Path
    embedded: bool = False
    reason: str | None = None


async def export(
    library: MediaLibrary, name: str, target: Path, *, embed: bool = False, replace: bool = False
) -> Exported:
    """`MediaLibrary.export`, which says what it does."""
    item = await library.get(name)
    path = target / name if await asyncio.to_thread(target.is_dir) else target
    if not replace and await asyncio.to_thread(os.path.lexists, path):
        raise ConflictError(f"{path} exists already")
    done = await _write(library, item, path, embed)
    with translated("the copy"):
        await asyncio.to_thread(os.utime, path, (item.created, item.created))
    return done


async def _write(library: MediaLibrary, item: MediaItem, path: Path, embed: bool) -> Exported:
    """The copy, with its words where they are wanted and the file takes them."""
    reason = None
    if embed and not xmp_packet(item):
        reason = "nothing is known that could be written into it"
    elif embed:
        async with _opened(library, item.name, path.parent) as file:
            try:
                pieces = await in_thread(lambda: embedded(file, file.seek(0, os.SEEK_END), item))
            except UnsupportedTypeError as error:
                reason = error.message
            else:
                await _save(_blocks(file, pieces), path)
                return Exported(path, embedded=True)
    await _save(library.store.read(item.name), path)
    return Exported(path, reason=reason)


async def _save(blocks: AsyncGenerator[bytes, None], path: Path) -> None:
    """Write a file whole, or not at all."""
    async with stage_target(path) as staged, aclosing(blocks):
        async for block in blocks:
            await staged.write(block)
        await staged.commit(path.name)


@asynccontextmanager
async def _opened(library: MediaLibrary, name: str, folder: Path) -> AsyncIterator[BinaryIO]:
    """An item's bytes as a file that can be read here and there: its own, or a copy of one that lies elsewhere."""
    store = library.store
    if isinstance(store, HasPath) and await asyncio.to_thread((path := store.path(name)).is_file):
        file = await asyncio.to_thread(path.open, "rb")
    else:
        with translated("the copy"):
            file = await asyncio.to_thread(tempfile.TemporaryFile, dir=folder)
        async with aclosing(store.read(name)) as blocks:
            async for block in blocks:
                await in_thread(partial(file.write, block))
    try:
        yield file
    finally:
        file.close()


async def _blocks(file: BinaryIO, pieces: list[Piece]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        for start in range(piece.start, piece.stop, SLICE):
            yield await in_thread(partial(os.pread, file.fileno(), min(SLICE, piece.stop - start), start))
