"""Finds a voice by what a request calls it, and remembers for a while which there are."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from difflib import get_close_matches

from mediary.errors import FieldError
from mediary.providers.base import Voice

AGE = 600.0
"""Seconds for which a list of voices holds."""
_FEW = 8
_LONGEST = 50  # characters of a name that are said again


def find_voice(voices: Sequence[Voice], wanted: str) -> Voice | None:
    """The voice of that id or label, in any case; of a label such as `Rachel - warm` its first word does too."""
    folded = wanted.strip().casefold()
    for names in (lambda voice: voice.id, lambda voice: voice.label, _first_name):
        for voice in voices:
            if names(voice).casefold() == folded:
                return voice
    return None


def chosen_voice(who: str, voices: Sequence[Voice], wanted: str) -> Voice:
    """The same; FieldError names those that are called alike, or some."""
    if found := find_voice(voices, wanted):
        return found
    names = {name.casefold(): name for voice in voices for name in (_first_name(voice), voice.id)}
    near = [names[name] for name in get_close_matches(wanted.casefold(), names, n=3)]
    some = near or [_first_name(voice) for voice in voices[:_FEW]]
    raise FieldError("voice", f"{who} has no voice {wanted[:_LONGEST]!r}; some it has: {', '.join(some)}")


def _first_name(voice: Voice) -> str:
    return voice.label.partition(" - ")[0].strip()


class Voices:
    """The voices of a service, asked for again after a while; who asks meanwhile waits for the same answer."""

    def __init__(self, ask: Callable[[], Awaitable[tuple[Voice, ...]]]) -> None:
        self._ask = ask
        self._known: tuple[Voice, ...] = ()
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def __call__(self) -> tuple[Voice, ...]:
        """All of them. Whatever asking fails at is raised."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._known = await self._ask()
                self._until = time.monotonic() + AGE
            return self._known
