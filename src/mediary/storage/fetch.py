"""What readers want of a file of any store: a path of this machine, or its first bytes."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from mediary.storage.base import HasPath, Store
from mediary.storage.spool import Spool, closing


@asynccontextmanager
async def at_path(store: Store, name: str, folder: Path, end: int | None = None) -> AsyncIterator[Path]:
    """Where a file lies, from the root on; one that is elsewhere is fetched below `folder` for as long as that lasts.

    Of what is fetched there are the bytes up to `end`. NotFoundError if there is no such file elsewhere; whether there
    is one here the reader finds out.
    """
    if isinstance(store, HasPath):
        yield store.path(name).absolute()
        return
    async with closing(Spool(folder)) as spool:
        async with aclosing(store.read(name, 0, end)) as pieces:
            async for piece in pieces:
                await spool.write(piece)
        yield (await spool.path()).absolute()


async def first_bytes(store: Store, name: str, count: int) -> bytes:
    """As many bytes from the start of a file, fewer where it is shorter; NotFoundError if there is no such file."""
    async with aclosing(store.read(name, 0, count)) as pieces:
        return b"".join([piece async for piece in pieces])
