"""Makes speech of a text: takes the markup out, speaks it piece by piece, encodes it as it is read."""

import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from unicodedata import category

from mediary.providers.local.espeak import engine, on_speech_thread
from mediary.providers.local.sentences import sentences
from mediary.providers.local.sound import SoundFormat
from mediary.providers.local.work import Check, Work, WorkOverError, never_over

# Words a minute: espeak-ng's usual pace, and how slow and fast it can be.
_PACE = 175
_SLOWEST, _FASTEST = 80, 450
_PIECE = 300  # characters spoken at once: what a cancelled turn still has to wait for, some milliseconds

_STRETCH = 32 * 1024  # characters from which the marks are taken at once

_LINK = r"!?\[([^\[\]\n]{0,500})\]\([^()\n]{0,2000}\)"

# Each mark is taken away on its own, never searched for in pairs: text of any shape costs linear time.
_UNSPOKEN = tuple(
    (re.compile(pattern, re.MULTILINE), spoken)
    for pattern, spoken in (
        (r"[\x00-\x08\x0b-\x1f\x7f]", " "),
        (r"^[ \t]*(?:```|~~~).*$", ""),  # fences of code
        (_LINK, r"\1"),  # a link or picture is its text, and a picture may be in a link
        (_LINK, r"\1"),
        (r"</?[A-Za-z][^>\n]{0,200}>", ""),  # HTML tags
        (r"^[ \t]*\|?[ \t:|-]{3,}$", ""),  # rules, and the line under a table's head
        (r"^[ \t]*(?:#{1,6}|>|[-*+•])[ \t]+", ""),
        (r"^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$", ""),
        (r"[ \t]*\|[ \t]*", ", "),  # a table's cells
        (r"(?<!\w)(?:[*_]{1,3}|~~)(?=\S)|(?<=\S)(?:[*_]{1,3}|~~)(?!\w)", ""),
        (r"`+", ""),
    )
)


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
            for piece in _pieces(self.text, check):
                yield sound.encode(voice.speak(piece, self.voice, pace))
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


def speakable(text: str, check: Check = never_over) -> str:
    """A text without the marks of Markdown and HTML, which nobody says aloud; empty if no word or sign is left."""
    text = "".join(_without_marks(stretch, check) for stretch in _stretches(text))
    signs = (sign for sentence in sentences(text, check) for sign in sentence)
    return text.strip() if any(category(sign)[0] in "LNS" for sign in signs) else ""


def _stretches(text: str) -> Iterator[str]:
    """The text in stretches of whole lines, a line that is longer cut at a space."""
    start = 0
    while start < len(text):
        end = min(start + _STRETCH, len(text))
        if end < len(text):
            end = 1 + text.rfind("\n", start, end) or 1 + text.rfind(" ", start, end) or end
        yield text[start:end]
        start = end


def _without_marks(text: str, check: Check) -> str:
    for pattern, spoken in _UNSPOKEN:
        check()
        text = pattern.sub(spoken, text)
    return text


def _pieces(text: str, check: Check) -> Iterator[str]:
    """The text in pieces of whole sentences."""
    piece = ""
    for sentence in sentences(text, check):
        if piece and len(piece) + len(sentence) > _PIECE:
            yield piece
            piece = ""
        piece = f"{piece}\n\n{sentence}" if piece else sentence  # an empty line is a short rest, also after a heading
    if piece:
        yield piece
