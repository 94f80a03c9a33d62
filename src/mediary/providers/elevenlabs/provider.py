"""The wire of ElevenLabs: models that speak, voices, and what is left of the month's characters."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from mediary.errors import FieldError, ModelNotFoundError, ProviderError, StreamInterruptedError
from mediary.events import Event, Finish, FinishReason, Media, Usage
from mediary.net.client import HttpClient
from mediary.providers.base import Model, Speaker, Spoken, Takes, TurnRequest, Utterance, Voice
from mediary.providers.elevenlabs import wire
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.encoding import encode
from mediary.providers.http.provider import LIST_TIMEOUT, MAX_LIST, HttpProvider, read_list
from mediary.providers.http.refusals import Words
from mediary.providers.http.service import Answer, Service
from mediary.providers.http.voices import Voices, chosen_voice, find_voice
from mediary.settings import ProviderSettings
from mediary.sounds import wav_front

RATE = 24_000
"""Samples a second of what is asked for: higher rates are not for every subscription."""
LONGEST = 2500
"""Characters of one request to a model that does not say how many it takes."""
SPEECH_TIMEOUT = 300.0
"""Seconds for one request of a longer text."""
MAX_SAMPLES = 256 * 1024 * 1024
_BETWEEN = 60.0
_SPEEDS = (0.7, 1.2)

_FORMATS = {"mp3": "mp3_44100_128", "opus": "opus_48000_64", "pcm": f"pcm_{RATE}", "wav": f"pcm_{RATE}"}
_TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg"}
_id = re.compile(r"[A-Za-z0-9]{16,40}")


@dataclass(slots=True, frozen=True)
class Told:
    """A model and the characters it takes at once."""

    model: Model
    longest: int


class ElevenLabs(HttpProvider[Told]):
    """A service that speaks ElevenLabs' wire."""

    wire = "elevenlabs"
    key_header = "xi-api-key"
    version = "v1"

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        super().__init__(name, settings, http)
        self._voices = Voices(lambda: self._ask_voices(self._service()))

    async def models(self, api_key: str | None = None, base_url: str | None = None) -> list[Model]:
        """The models that speak, with the ids of the voices as tags."""
        offered = await super().models(api_key, base_url)
        own = not (api_key or base_url)
        try:
            known = await (self._voices() if own else self._ask_voices(self._service(api_key, base_url)))
        except ProviderError:
            return offered  # a key may be good for speech alone
        tags = tuple(voice.id for voice in known)
        return [replace(model, tags=tags) for model in offered]

    async def _list(self, service: Service) -> dict[str, Told]:
        async with service.open("GET", "/models", total=LIST_TIMEOUT) as answer:
            listed = read_list(wire.models, self.name, await answer.read(MAX_LIST))
        return {
            entry.model_id: Told(
                _speaking(entry.model_id, entry.name), entry.maximum_text_length_per_request or LONGEST
            )
            for entry in listed
            if entry.model_id and entry.can_do_text_to_speech is not False
        }

    def _offer(self, told: dict[str, Told]) -> list[Model]:
        found = {model: known.model for model, known in told.items()}
        for model in (*self._settings.models, *self._settings.speech_models):
            found.setdefault(model, _speaking(model))
        if default := self.default_model:
            found = {default: found.get(default) or _speaking(default)} | found
        return list(found.values())

    async def _ask_voices(self, service: Service) -> tuple[Voice, ...]:
        async with service.open("GET", "/voices", total=LIST_TIMEOUT) as answer:
            listed = read_list(wire.voices, self.name, await answer.read(MAX_LIST)).voices or ()
        return tuple(
            Voice(voice.voice_id, voice.name or voice.voice_id, voice.language) for voice in listed if voice.voice_id
        )

    async def quota(self, api_key: str | None = None) -> dict[str, Any] | None:
        """The subscription: characters used and to be had, and when they are counted anew."""
        async with self._service(api_key).open("GET", "/user/subscription", total=LIST_TIMEOUT) as answer:
            body = await answer.read(MAX_LIST)
        try:
            return decode(wire.subscription, body)
        except UnreadableError:
            raise ProviderError(f"{self.name}: its answer on the subscription cannot be read") from None

    def takes(self, model: str) -> Takes:
        """Text alone."""
        return Takes(("text/*",))

    async def voices(self) -> tuple[Voice, ...]:
        """The voices of the account."""
        return await self._voices()

    async def speaker(self, model: str | None, voice: str | None) -> Speaker:
        """Who speaks; a voice is known by its id or its name."""
        chosen = model or self.default_model or next((each.id for each in await self.models()), None)
        if chosen is None:
            raise ModelNotFoundError(f"{self.name} lists no model that speaks: name one in `model`")
        told = self._told.get(chosen)
        return Speaker(chosen, await self._voice(self._service(), voice), told.longest if told else LONGEST)

    async def _voice(self, service: Service, wanted: str | None) -> str:
        """The id of a voice; one that the account does not list is asked for."""
        wanted = wanted or self._settings.voice
        known = await self._voices() if service.key == self._key else await self._ask_voices(service)
        if wanted is None:
            if not known:
                raise FieldError("voice", f"{self.name} lists none: name one by its id")
            return known[0].id
        if _id.fullmatch(wanted) and find_voice(known, wanted) is None:
            try:
                async with service.open("GET", f"/voices/{wanted}", total=LIST_TIMEOUT):
                    return wanted
            except ProviderError:
                pass  # then it is none
        return chosen_voice(self.name, known, wanted).id

    @asynccontextmanager
    async def speak(self, utterance: Utterance) -> AsyncIterator[Spoken]:
        """Say it, as samples; the voice goes on from what was said before."""
        if utterance.manner:
            raise FieldError("instructions", f"{self.name} takes none: choose another voice")
        fields = _fields(utterance.speaker.model, utterance.text, utterance.speed)
        if utterance.before:
            fields["previous_text"] = utterance.before

        def mend(words: Words) -> bytes | None:
            # Not every model goes on from another request.
            if not words.names("previous_text", "previous") or fields.pop("previous_text", None) is None:
                return None
            return encode(fields)

        path = _path(utterance.speaker.voice, "pcm")
        body = encode(fields)
        async with self._service().open(
            "POST", path, total=SPEECH_TIMEOUT, between=_BETWEEN, body=body, mend=mend
        ) as answer:
            self._check(answer)
            yield Spoken(f"audio/pcm;rate={RATE}", answer.chunks)

    async def converse(self, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        """The prompt as speech: options `voice`, `format` (`mp3`, `opus`, `wav`) and `speed`, also within `audio`."""
        options = _spoken(request.options)
        wanted = str(options.get("format") or "mp3").casefold()
        if wanted not in _FORMATS:
            raise FieldError("format", f"{self.name} has no {wanted[:50]!r}; it has: {', '.join(_FORMATS)}")
        called = options.get("voice")
        if not isinstance(called, str | None):
            raise FieldError("voice", "must be the id or the name of one")
        service = self._service(request.api_key, request.base_url)
        voice = await self._voice(service, called)
        body = encode(_fields(request.model, request.prompt, options.get("speed", 1.0)))
        async with service.open(
            "POST", _path(voice, wanted), total=request.timeout, between=request.stream_timeout, body=body
        ) as answer:
            self._check(answer)
            media = Media(kind="audio", alt=request.prompt, transcript=request.prompt)
            if wanted in _TYPES:
                media.stream, media.content_type = answer.chunks, _TYPES[wanted]
            else:
                samples = await answer.read(MAX_SAMPLES)
                media.data, media.content_type = wav_front(RATE, len(samples)) + samples, "audio/wav"
            yield media
        counts = {"prompt_tokens": len(request.prompt), "completion_tokens": 0, "total_tokens": len(request.prompt)}
        yield Usage(usage={**counts, "unit": "characters"}, model=request.model, provider=self.name)
        yield Finish(finish=FinishReason(reason="stop"))

    def _check(self, answer: Answer) -> None:
        if not answer.head:
            raise StreamInterruptedError(f"{self.name}: answered with no sound")


def _speaking(model: str, label: str | None = None) -> Model:
    return Model(model, kind="speech", label=label)


def _path(voice: str, wanted: str) -> str:
    return f"/text-to-speech/{quote(voice, safe='')}/stream?output_format={_FORMATS[wanted]}"


def _fields(model: str, text: str, speed: Any) -> dict[str, Any]:
    """The body; FieldError for a speed that is none, or one that no voice has."""
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not _SPEEDS[0] <= speed <= _SPEEDS[1]:
        raise FieldError("speed", f"must be a number from {_SPEEDS[0]:g} to {_SPEEDS[1]:g}")
    fields: dict[str, Any] = {"text": text, "model_id": model}
    return fields | ({"voice_settings": {"speed": speed}} if speed != 1 else {})


def _spoken(options: dict[str, Any]) -> dict[str, Any]:
    """The options of speech; those within `audio` where they stand nowhere else."""
    within = options.get("audio")
    return {**within, **options} if isinstance(within, dict) else options
