"""Reads a text of any length out, piece by piece, into one sound file."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack
from functools import partial

from mediary.errors import ProviderError
from mediary.providers.base import Speaker, Utterance
from mediary.sounds import Encoder
from mediary.speech.samples import Samples, read_samples
from mediary.speech.wanted import Wanted
from mediary.spoken import joined, pieces
from mediary.storage.files import in_thread

FIRST = 160
"""Characters of the first piece: it is heard while the rest is made."""
LONGEST = 1600
"""Characters of the longest piece, if the service takes so many: one that fails costs no more than that."""
_BEFORE = 300


class Reading:
    """The sound of a text, made while it is read; `beginning` is what belongs into its first bytes in the end."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._rate = 0
        self._encoder: Encoder | None = None
        self.beginning = b""

    async def sound(self) -> AsyncGenerator[bytes, None]:
        """The file in pieces. Close it, and the connection to the service is closed."""
        with ExitStack() as stack:
            before = ""
            for group in pieces(self._wanted.text, _sizes(self._wanted.speaker)):
                text = joined(group)
                async with self._wanted.provider.speak(self._utterance(text, before)) as spoken:
                    samples = await read_samples(self._wanted.who, spoken)
                    encoder = await self._encoder_for(samples, stack)
                    async for piece in samples.pieces:
                        if data := await in_thread(partial(encoder.encode, piece)):
                            yield data
                before = text[-_BEFORE:]
            if self._encoder is None:
                raise ProviderError(f"{self._wanted.who}: said nothing")
            for data in await in_thread(partial(_rest, self._encoder)):
                yield data
            self.beginning = self._encoder.beginning

    def _utterance(self, text: str, before: str) -> Utterance:
        wanted = self._wanted
        return Utterance(text, wanted.speaker, wanted.speed, wanted.manner, before)

    async def _encoder_for(self, samples: Samples, stack: ExitStack) -> Encoder:
        """The one encoder of the file."""
        if self._encoder is None:
            self._rate = samples.rate
            self._encoder = await in_thread(partial(self._wanted.format.streamed, samples.rate))
            stack.enter_context(self._encoder)
        elif self._rate != samples.rate:
            raise ProviderError(f"{self._wanted.who}: changed from {self._rate} to {samples.rate} samples a second")
        return self._encoder


def _rest(encoder: Encoder) -> list[bytes]:
    return list(encoder.finish())


def _sizes(speaker: Speaker) -> Iterator[int]:
    """Characters of the pieces: a short one first, then ever longer ones, for a voice needs what stands around."""
    size, most = FIRST, min(LONGEST, speaker.longest)
    while True:
        yield min(size, most)
        size = min(size * 2, most)
