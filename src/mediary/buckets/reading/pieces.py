"""The bytes of a file in pieces, as fast as memory gives them, without ever holding up the event loop."""

import os
from collections.abc import AsyncGenerator
from functools import partial

from mediary.buckets.naming import WHAT
from mediary.errors import StoreError
from mediary.storage.files import in_thread, translated

PIECE = 256 * 1024
"""Fits the processor's cache: larger pieces are slower, not faster."""

_NOWAIT = getattr(os, "RWF_NOWAIT", None)


async def pieces(file: int, start: int, end: int) -> AsyncGenerator[bytes, None]:
    """The bytes of an open file from `start` up to `end` (exclusive); StoreError if it has become shorter."""
    scratch = bytearray(PIECE)
    while start < end:
        count = min(end - start, PIECE)
        piece = _at_hand(file, memoryview(scratch)[:count], start) or await in_thread(
            partial(_read, file, count, start)
        )
        start += len(piece)
        yield piece


def _at_hand(file: int, into: memoryview, start: int) -> bytes:
    """What is in memory; nothing where a disk would have to be waited for."""
    if _NOWAIT is None:
        return b""
    try:
        return bytes(into[: os.preadv(file, [into], start, _NOWAIT)])
    except OSError:  # EAGAIN, or a file system that cannot promise it
        return b""


def _read(file: int, count: int, start: int) -> bytes:
    with translated(WHAT):
        piece = os.pread(file, count, start)
    if not piece:
        raise StoreError("A file of the bucket became shorter while it was read")
    return piece
