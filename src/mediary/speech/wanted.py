"""What is to be said, how and by whom; and under which name its sound is kept."""

import hashlib
from dataclasses import dataclass, field

import msgspec

from mediary.providers.base import Speaker, Speaks
from mediary.sounds import FORMATS, SoundFormat

_VERSION = 1
"""Counts up when the same words begin to sound different."""


@dataclass(slots=True, frozen=True)
class Wanted:
    """Speech that was asked for and can be made: `who` is the provider's name, `speed` a factor, `manner` in words.

    `text` is without marks, of any length; `kind` is one of `sounds.FORMATS`.
    """

    who: str
    provider: Speaks = field(repr=False)
    speaker: Speaker
    text: str = field(repr=False)
    kind: str
    speed: float = 1.0
    manner: str | None = None

    @property
    def format(self) -> SoundFormat:
        """The kind of file."""
        return FORMATS[self.kind]

    @property
    def name(self) -> str:
        """The name of the file: all that the sound depends on, in short."""
        speaker = self.speaker
        said = (_VERSION, self.who, speaker.model, speaker.voice, self.kind, self.speed, self.manner, self.text)
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest() + self.format.extension
