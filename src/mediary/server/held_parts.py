"""Fields and files of a form, read as they come: fields whole, files to where they are held."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, TypeVar

from mediary.conversations.attaching.held import Held
from mediary.conversations.attaching.holder import Holder
from mediary.errors import TooLargeError

if TYPE_CHECKING:
    from mediary.server.multipart import Part

T = TypeVar("T")

IN_PASSING = 1024 * 1024
"""Bytes of JSON that are decoded on the event loop."""


async def decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    """What a body says, decoded beside the event loop where that takes more than a moment."""
    return await asyncio.to_thread(decode, body) if len(body) > IN_PASSING else decode(body)


async def hold_file(part: "Part", holder: Holder) -> list[Held]:
    """The file; a browser sends an empty one without a name for a field that was left empty: it is none."""
    first = await anext(part.chunks, b"")
    if not first and not part.filename:
        return []

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield first
        async for chunk in part.chunks:
            yield chunk

    return [await holder.take(part.filename or "", chunks())]


async def read_field(part: "Part", limit: int, setting: str = "") -> bytes:
    """The value of a field; TooLargeError for one of more than `limit` bytes, which is the `setting`."""
    value = bytearray()
    async for chunk in part.chunks:
        value += chunk
        if len(value) > limit:
            named = f" ({setting})" if setting else ""
            raise TooLargeError(f"the field {part.field} may have {limit} bytes at most{named}")
    return bytes(value)
