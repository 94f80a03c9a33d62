"""The SHA-256 of files: of bytes on their way past, of what a store holds, as a store wrote it down."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from mediary.storage.base import KnowsDigests, Store

HASHED_IN_PASSING = 64 * 1024
"""Bytes that are hashed on the event loop; more go to a thread."""


@dataclass(slots=True, frozen=True)
class Digest:
    """What the bytes of a file are: the SHA-256 in hex, and how many there are."""

    sha256: str
    size: int


async def take_into(digest: "hashlib._Hash", piece: bytes) -> None:
    """Hash a piece of a file."""
    if len(piece) > HASHED_IN_PASSING:
        await asyncio.to_thread(digest.update, piece)
    else:
        digest.update(piece)


async def hashed(pieces: AsyncIterator[bytes], digest: "hashlib._Hash") -> AsyncGenerator[bytes, None]:
    """The same pieces, each taken into the digest on its way past."""
    async for piece in pieces:
        await take_into(digest, piece)
        yield piece


async def digest_of(store: Store, name: str) -> Digest:
    """Read a file to its end; NotFoundError if there is none."""
    digest, size = hashlib.sha256(), 0
    async with aclosing(store.read(name)) as pieces:
        async for piece in hashed(pieces, digest):
            size += len(piece)
    return Digest(digest.hexdigest(), size)


async def recorded_digest(store: Store, name: str) -> str | None:
    """The digest that the store wrote down when the bytes came in, if it does so; NotFoundError if there is no file."""
    return await store.digest(name) if isinstance(store, KnowsDigests) else None
