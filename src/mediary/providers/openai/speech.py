"""Reads text out by `/audio/speech`, as samples: what becomes of them is not the service's business."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mediary.errors import FieldError, ModelNotFoundError, ProviderError, StreamInterruptedError
from mediary.providers.base import Model, Speaker, Spoken, Utterance, Voice
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.encoding import encode
from mediary.providers.http.provider import LIST_TIMEOUT, MAX_LIST
from mediary.providers.http.refusals import Words, error_for, read_words
from mediary.providers.http.service import Answer, Service
from mediary.providers.http.voices import chosen_voice
from mediary.providers.openai.messages import DEFAULT_VOICE
from mediary.providers.openai.wav import PCM_RATE

LONGEST = 4096
"""Characters of one request."""
SPEECH_TIMEOUT = 300.0
"""Seconds for one request; what is said in it may take minutes to say."""
_BETWEEN = 60.0
MAX_WORDS = 64 * 1024
_SPEEDS = (0.25, 4.0)

# The service itself does not list them.
_OPENAI = "api.openai.com"
_VOICES = "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split()  # noqa: SIM905
_OWN_VOICE = re.compile(r"voice_\w+")
_PREFERRED = ("gpt-4o-mini-tts", "tts-1")

_listed = msgspec.json.Decoder()


async def list_voices(service: Service) -> tuple[Voice, ...]:
    """The voices, by `/audio/voices` as many services have it; none where it has not."""
    if urlsplit(service.base_url).hostname == _OPENAI:
        return tuple(Voice(name, name.capitalize()) for name in _VOICES)
    try:
        async with service.open("GET", "/audio/voices", total=LIST_TIMEOUT) as answer:
            listed = decode(_listed, await answer.read(MAX_LIST))
    except (ProviderError, UnreadableError):
        return ()
    if isinstance(listed, dict):
        listed = listed.get("voices") or listed.get("data")
    return tuple(_voices(listed)) if isinstance(listed, list) else ()


def with_voices(base_url: str | None, models: Iterable[Model]) -> list[Model]:
    """The models, those that speak with their voices as tags, where these are known without asking."""
    known = tuple(_VOICES) if urlsplit(base_url or "").hostname == _OPENAI else ()
    return [replace(model, tags=known) if known and model.kind == "speech" else model for model in models]


def _voices(listed: list[Any]) -> Iterable[Voice]:
    for entry in listed:
        told = entry if isinstance(entry, dict) else {"id": entry}
        name = told.get("id") or told.get("voice_id") or told.get("name")
        label, language = told.get("name"), told.get("language")
        if isinstance(name, str):
            yield Voice(
                name, label if isinstance(label, str) else name, language if isinstance(language, str) else None
            )


def speaker_of(
    name: str, models: Iterable[Model], model: str | None, voices: Sequence[Voice], voice: str | None, usual: str | None
) -> Speaker:
    """Who speaks: the model, else the one that speaks best; the voice, else the `usual` one of the settings."""
    if model is None:
        able = [each.id for each in models if each.kind == "speech"]
        model = next((each for each in _PREFERRED if each in able), able[0] if able else None)
    if model is None:
        raise ModelNotFoundError(f"{name} lists no model that speaks: name one in `model`")
    wanted = voice or usual
    if wanted is None:
        known = [each.id for each in voices]
        return Speaker(model, DEFAULT_VOICE if DEFAULT_VOICE in known or not known else known[0], LONGEST)
    if not voices or _OWN_VOICE.fullmatch(wanted):
        return Speaker(model, wanted, LONGEST)
    return Speaker(model, chosen_voice(name, voices, wanted).id, LONGEST)


class Habit:
    """The format that a service takes for samples."""

    def __init__(self) -> None:
        self.format = "pcm"


@asynccontextmanager
async def read_out(service: Service, utterance: Utterance, habit: Habit) -> AsyncIterator[Spoken]:
    """Say something; a service that has no bare samples is asked for a WAV file."""
    if not _SPEEDS[0] <= utterance.speed <= _SPEEDS[1]:
        raise FieldError("speed", f"{service.name} speaks from {_SPEEDS[0]:g} to {_SPEEDS[1]:g} times as fast as usual")
    fields: dict[str, Any] = {
        "model": utterance.speaker.model,
        "input": utterance.text,
        "voice": utterance.speaker.voice,
        "response_format": habit.format,
    }
    if utterance.speed != 1.0:
        fields["speed"] = utterance.speed
    if utterance.manner:
        fields["instructions"] = utterance.manner

    def mend(words: Words) -> bytes | None:
        if fields["response_format"] == "wav" or not words.names("response_format", "format", "pcm"):
            return None
        fields["response_format"] = "wav"
        return encode(fields)

    async with service.open(
        "POST", "/audio/speech", total=SPEECH_TIMEOUT, between=_BETWEEN, body=encode(fields), mend=mend
    ) as answer:
        habit.format = fields["response_format"]
        yield Spoken(await _media_type(service.name, answer), answer.chunks)


async def _media_type(name: str, answer: Answer) -> str:
    """What the answer is, by its first bytes and its type; ProviderError where it is neither samples nor WAV."""
    if not answer.head:
        raise StreamInterruptedError(f"{name}: answered with no sound")
    if answer.head.startswith(b"RIFF"):
        return "audio/wav"
    kind = answer.content_type.partition(";")[0].strip()
    if kind.endswith(("json", "html")) or kind.startswith("text/"):
        raise error_for(name, read_words(await answer.read(MAX_WORDS)))
    if kind.startswith(("audio/pcm", "audio/l16", "audio/raw")) or not kind.startswith("audio/"):
        rate = re.search(r"rate=([1-9]\d{3,5})", answer.content_type)
        return f"audio/pcm;rate={rate[1] if rate else PCM_RATE}"
    raise ProviderError(f"{name}: sent {kind}, where bare samples or a WAV file were asked for")
