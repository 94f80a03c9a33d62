"""The shapes of ElevenLabs' wire, as far as they are read: every field may be missing or null."""

from typing import Any

import msgspec
from msgspec import Struct


class ListedModel(Struct):
    """A model of `/models`; some change voices and speak no text."""

    model_id: str | None = None
    name: str | None = None
    can_do_text_to_speech: bool | None = None
    maximum_text_length_per_request: int | None = None


class SpokenLanguage(Struct):
    """A language that a voice was tried in."""

    language: str | None = None
    locale: str | None = None


class ListedVoice(Struct):
    """A voice of `/voices`."""

    voice_id: str | None = None
    name: str | None = None
    labels: dict[str, Any] | None = None
    verified_languages: list[SpokenLanguage] | None = None

    @property
    def language(self) -> str | None:
        """The first language it has, as a BCP 47 tag."""
        for told in self.verified_languages or ():
            if found := told.locale or told.language:
                return found
        labelled = (self.labels or {}).get("language")
        return labelled if isinstance(labelled, str) else None


class VoiceList(Struct):
    """The answer of `/voices`."""

    voices: list[ListedVoice] | None = None


models = msgspec.json.Decoder(list[ListedModel], strict=False)
voices = msgspec.json.Decoder(VoiceList, strict=False)
subscription = msgspec.json.Decoder(dict[str, Any])
