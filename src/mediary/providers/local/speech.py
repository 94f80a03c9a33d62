"""Makes speech of a text: speaks it piece by piece, and encodes it as it is read."""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from typing import Self

from mediary.providers.local.espeak import engine, on_speech_thread
from mediary.providers.local.work import Work, WorkOverError
from mediary.sentences import Check
from mediary.sounds import SoundFormat
from mediary.spoken import REST, pieces

# Words a minute: espeak-ng's usual pace, and how slow and fast it can be.
_PACE = 175
_SLOWEST, _FASTEST = 80, 450
_PIECE = 300  # characters spoken at once: what a cancelled turn still has to wait for, some milliseconds


@dataclass(slots=True, frozen=True)
class Speech:
    """What is to be said: `voice` by the engine's own name, `speed` as a factor of the usual pace."""

    text: str
    voice: str
    speed: float
    format: SoundFormat

    def sound(self, work: Work | None = None) -> "Sound":
        """The sound file, piece by piece, made while it is read: memory does not grow with the text."""
        work = work or Work("speech")
        return Sound(self._make(work.check), work)

    def _make(self, check: Check) -> Generator[bytes, None, None]:
        voice = engine()
        pace = min(_FASTEST, max(_SLOWEST, round(_PACE * self.speed)))
        with self.format.encoder(voice.rate) as sound:
            for group in pieces(self.text, repeat(_PIECE), check):
                yield sound.encode(voice.speak(REST.join(group), self.voice, pace))
            yield from sound.finish()


class Sound:
    """The pieces of a sound file; close it, and the rest is not made.

    No generator: it may be closed while somebody still waits for the next piece.
    """

    def __init__(self, made: Generator[bytes, None, None], work: Work) -> None:
        self._made = made
        self._work = work

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        with suppress(WorkOverError):
            while (data := await self._work.wait(on_speech_thread(next, self._made, None))) is not None:
                if data:
                    return data
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End it after the piece in hand: the speech thread does one thing at a time."""
        self._work.end()
        await on_speech_thread(self._made.close)
