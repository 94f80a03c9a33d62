"""Vectors: where texts lie in a model's space of meaning, as they are stored and compared."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, hypot, isfinite
from struct import pack, unpack

from mediary.errors import ProviderError
from mediary.providers.base import Embeds

MOST_NUMBERS = 16_384
"""Numbers of a vector; models give some thousand."""
LONGEST_TEXT = 8000
"""Characters of an item that are placed: models take no more than some thousand tokens."""


@dataclass(slots=True, frozen=True)
class Placer:
    """A model that places texts by meaning; `name` is `PROVIDER/model`."""

    name: str
    provider: Embeds
    model: str

    @property
    def number(self) -> int:
        """What stands for the model beside its vectors: never 0."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8]) >> 2 | 1

    async def place(self, texts: Sequence[str]) -> list["Vector | None"]:
        """A vector for each text, in order, none where it points nowhere; ProviderError where the provider fails."""
        found = await self.provider.embed([text[:LONGEST_TEXT] for text in texts], self.model)
        if len(found) != len(texts) or len(set(map(len, found))) > 1:
            raise ProviderError(f"{self.name} gave {len(found)} vectors for {len(texts)} texts")
        if max(map(len, found), default=0) > MOST_NUMBERS:
            raise ProviderError(f"{self.name} gave vectors of more than {MOST_NUMBERS:,} numbers")
        return await asyncio.to_thread(lambda: [Vector.of(numbers) for numbers in found])


@dataclass(slots=True, frozen=True)
class Vector:
    """A direction: numbers of 32 bits, together of length 1."""

    numbers: tuple[float, ...]

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Vector | None":
        """The direction of a vector of any length; ProviderError where numbers are none."""
        length = hypot(*numbers)
        if not isfinite(length):
            raise ProviderError("a vector holds something that is no number")
        return cls(tuple(number / length for number in numbers)) if length else None

    @classmethod
    def read(cls, data: bytes) -> "Vector":
        """The vector that was stored so."""
        return cls(unpack(f"<{len(data) // 4}f", data))

    @property
    def data(self) -> bytes:
        """How it is stored."""
        return pack(f"<{len(self.numbers)}f", *self.numbers)

    @property
    def signs(self) -> bytes:
        """A bit for each number, whether it is more than 0, filled up to whole bytes."""
        bits = "".join("1" if number > 0 else "0" for number in self.numbers)
        whole = -(-len(bits) // 8)
        return int(bits.ljust(whole * 8, "0") or "0", 2).to_bytes(whole)

    def nearness(self, other: "Vector") -> float:
        """The cosine of the angle between the two: 1 for the same direction, 0 for none in common."""
        return 1 - dist(self.numbers, other.numbers) ** 2 / 2 if len(self.numbers) == len(other.numbers) else 0.0
