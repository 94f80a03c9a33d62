"""Reads an answer out: its speech becomes an item of the library."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediary.conversations.choice.directory import ANY, ProviderDirectory
from mediary.conversations.speaking import can_speak, speaking_provider
from mediary.errors import FieldError, ProviderError
from mediary.media.intake import save_response_media
from mediary.media.library import MediaLibrary
from mediary.media.receive import About

if TYPE_CHECKING:
    from mediary.speech.room import SpeechRoom
    from mediary.speech.wanted import Wanted

KINDS = ("mp3", "opus", "wav", "flac")
"""What the library keeps of that which speech comes in."""
_SAMPLE = "One."
_ALT = 60  # characters of an answer that describe its speech


@dataclass(slots=True, frozen=True)
class ReadOut:
    """How an answer is to be read out: who speaks, in which voice and format, how fast.

    Where nobody is named it is `instead_of`, who was asked the question, or else the first that speaks.
    """

    provider: str | None = None
    instead_of: str | None = None
    voice: str | None = None
    kind: str = "mp3"
    speed: float = 1.0


class Narrator:
    """Reads answers out."""

    def __init__(self, room: "SpeechRoom", providers: ProviderDirectory, library: MediaLibrary) -> None:
        self._room = room
        self._providers = providers
        self._library = library

    async def check(self, how: ReadOut) -> None:
        """Raise what is wrong with how it is to be read, before anybody is asked for an answer."""
        if (await self._want(_SAMPLE, how)).kind not in KINDS:
            raise FieldError("format", f"an answer is read out as one of: {', '.join(KINDS)}")

    async def read(self, text: str, how: ReadOut, prompt: str, owner: str | None) -> str:
        """The URL of its speech in the library; ProviderError where there is nothing to say."""
        try:
            wanted = await self._want(text, how)
        except FieldError as error:
            if error.field != "text":
                raise
            raise ProviderError("the answer has no words that can be read out") from None
        about = About(
            prompt=prompt,
            alt=" ".join(wanted.text[: 4 * _ALT].split())[:_ALT],
            tags=(wanted.speaker.model,),
            provider=wanted.who,
            model=wanted.speaker.model,
            owner=owner,
        )
        [url] = [
            url
            async for kept in save_response_media(
                self._room.kept_or_made(wanted), transcript=wanted.text, library=self._library, about=about
            )
            for url in kept.urls
        ]
        return url

    async def _want(self, text: str, how: ReadOut) -> "Wanted":
        name = how.provider or ANY
        if how.provider is None and how.instead_of and await can_speak(self._providers, how.instead_of):
            name = how.instead_of
        who, provider = await speaking_provider(self._providers, name, None)
        return await self._room.want(who, provider, text, kind=how.kind, voice=how.voice, speed=how.speed)
