"""Speech of a service as samples: mono, 16 bits, little-endian, whether they come bare or in a WAV file."""

import re
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mediary.errors import ProviderError
from mediary.providers.base import Spoken

MOST = 256 * 1024 * 1024
"""Bytes of the samples of one piece of a text, which is some minutes long at most."""

_RATE = re.compile(r"rate=([1-9]\d{0,8})\b")
_RATES = range(1_000, 400_000)
_LONGEST_FRONT = 64 * 1024
_PCM = (1, 0xFFFE)  # how a WAV file says that its samples are whole numbers


@dataclass(slots=True, frozen=True)
class Samples:
    """Samples of `rate` Hz as they come; each piece holds whole ones."""

    rate: int
    pieces: AsyncIterator[bytes]


async def read_samples(who: str, spoken: Spoken) -> Samples:
    """The samples of what a provider says; ProviderError if it is anything else."""
    kind = spoken.media_type.partition(";")[0]
    if kind == "audio/wav":
        front, rest = await _read_front(who, spoken.chunks)
        return Samples(_rate_of(who, front), _whole(who, rest, spoken.chunks))
    found = _RATE.search(spoken.media_type)
    if kind != "audio/pcm" or found is None:
        raise ProviderError(f"{who}: sent {spoken.media_type[:100]!r}, which is neither samples nor a WAV file")
    return Samples(_checked_rate(who, int(found[1])), _whole(who, b"", spoken.chunks))


async def _read_front(who: str, chunks: AsyncIterator[bytes]) -> tuple[bytes, bytes]:
    """What says how the samples are (the body of `fmt `), and the first samples."""
    begun = b""
    async for chunk in chunks:
        begun += chunk
        if found := _parse_front(begun):
            return found
        if len(begun) > _LONGEST_FRONT:
            break
    raise ProviderError(f"{who}: sent a WAV file without samples")


def _parse_front(begun: bytes) -> tuple[bytes, bytes] | None:
    """The same out of the first bytes; None where more are needed."""
    told, place = b"", 12
    while place + 8 <= len(begun):
        name, size = struct.unpack_from("<4sI", begun, place)
        place += 8
        if name == b"data":
            return told, begun[place:]
        if name == b"fmt ":
            told = begun[place : place + size]
        place += size + size % 2
    return None


def _rate_of(who: str, told: bytes) -> int:
    if len(told) >= 16:
        coding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", told)
        if coding in _PCM and (channels, bits) == (1, 16):
            return _checked_rate(who, rate)
    raise ProviderError(f"{who}: sent a WAV file whose samples are not mono with 16 bits each")


def _checked_rate(who: str, rate: int) -> int:
    """The rate; ProviderError for one that no encoder takes, or that would blow a short text up."""
    if rate not in _RATES:
        raise ProviderError(f"{who}: sent a sound of {rate} samples a second")
    return rate


async def _whole(who: str, begun: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes in pieces of an even length: a service cuts them anywhere."""
    left, size = begun, len(begun)
    if even := len(left) & ~1:
        yield left[:even]
        left = left[even:]
    async for chunk in chunks:
        size += len(chunk)
        if size > MOST:
            raise ProviderError(f"{who}: sent more than {MOST} bytes of sound for one piece of the text")
        data = left + chunk if left else chunk
        even = len(data) & ~1
        left = data[even:]
        if even:
            yield data[:even]
