"""The chat completions wire, as OpenAI, Ollama, vLLM, llama.cpp, LM Studio, OpenRouter, Groq and others speak it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from pathlib import Path
from typing import Any

from mediary.errors import ProviderError
from mediary.events import Event, Media
from mediary.net.client import HttpClient
from mediary.providers.base import Kind, Model, Speaker, Spoken, Takes, TurnRequest, Utterance, Voice
from mediary.providers.http.answering import read_answer
from mediary.providers.http.encoding import encode, work_on
from mediary.providers.http.lister import ListingProvider
from mediary.providers.http.models import Told, configured_models, kind_by_id, kind_in, transcriber_of
from mediary.providers.http.refusals import Words
from mediary.providers.http.service import Service
from mediary.providers.http.voices import Voices
from mediary.providers.openai.chat import ChatReader
from mediary.providers.openai.embedding import embed
from mediary.providers.openai.media import link_media, make_pictures, speak
from mediary.providers.openai.messages import STREAMED_SOUND, chat_payload
from mediary.providers.openai.quota import read_quota
from mediary.providers.openai.speech import Habit, list_voices, read_out, speaker_of, with_voices
from mediary.providers.openai.transcription import transcribe
from mediary.providers.openai.videos import VideoHabit, make_videos
from mediary.settings import ProviderSettings

DEFAULT_TRANSCRIBER = "whisper-1"
TAKEN = ("image/*", "audio/*", "application/pdf")
"""What the wire has parts for that most services take; settings add to it."""
MAX_INLINE = 50 * 1024**2
"""Bytes of a file within a question, as OpenAI has it."""


class OpenAI(ListingProvider):
    """A service that speaks the chat completions wire."""

    wire = "openai"

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        super().__init__(name, settings, http)
        self._listed = False
        self._listing = asyncio.Lock()
        self._habits = Habits()
        self._speech = Habit()
        self._videos = VideoHabit()
        self._voices = Voices(lambda: list_voices(self._service()))

    def _offer(self, told: dict[str, Told]) -> list[Model]:
        return with_voices(self._settings.base_url, configured_models(self._settings, told))

    def takes(self, model: str) -> Takes:
        """What can stand in a question; models that make pictures or videos take pictures."""
        most = MAX_INLINE if self._settings.inline_bytes is None else self._settings.inline_bytes
        if (kind_in(self._settings, model) or kind_by_id(model)) in ("image", "video"):
            return Takes(("image/*",), most, inline_only=True)
        return Takes((*TAKEN, *self._settings.takes), most)

    async def converse(self, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        """Answer by the endpoint that the model wants: chat, pictures, speech or videos."""
        service = self._service(request.api_key, request.base_url)
        match await self._kind(request.model, service):
            case "image":
                answer = make_pictures(service, request)
            case "speech":
                answer = speak(service, request, self._settings.voice)
            case "video":
                answer = make_videos(service, request, self._videos)
            case _:
                answer = self._chat(service, request)
        async with aclosing(answer) as happening:
            async for event in happening:
                yield event

    async def transcribe(
        self, file: Path, media_type: str, *, language: str | None = None, model: str | None = None
    ) -> str:
        """What is said in a sound or a video, by the model, else by the first that the service lists for it."""
        service = self._service()
        if model is None:
            await self._list_once()
            model = transcriber_of(self._told) or DEFAULT_TRANSCRIBER
        return await transcribe(service, file, media_type, language, model)

    async def voices(self) -> tuple[Voice, ...]:
        """The voices for speech; none where the service does not tell."""
        return await self._voices()

    async def speaker(self, model: str | None, voice: str | None) -> Speaker:
        """Who reads text out: the model, else one of those that do so."""
        if model is None:
            model = next(iter(self._settings.speech_models), None)
        if model is None:
            await self._list_once()
        return speaker_of(self.name, self._offer(self._told), model, await self._voices(), voice, self._settings.voice)

    def speak(self, utterance: Utterance) -> AbstractAsyncContextManager[Spoken]:
        """Read text out, by `/audio/speech`."""
        return read_out(self._service(), utterance, self._speech)

    async def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        """A vector for each text, by `/embeddings`."""
        return await embed(self._service(), texts, model)

    async def quota(self, api_key: str | None = None) -> dict[str, Any] | None:
        """Credit and limits, where the service is one that tells of them."""
        return await read_quota(self._service(api_key))

    async def close(self) -> None:
        """Tell services what they are still to be told; the connections belong to the HTTP client."""
        await self._videos.errands.close()

    async def _kind(self, model: str, service: Service) -> Kind:
        """Which endpoint a model wants: by the settings, by what the service tells, by its id."""
        if kind := kind_in(self._settings, model):
            return kind
        guess = kind_by_id(model) or "chat"
        if not service.trusted:
            return guess
        if guess != "chat":
            await self._list_once()
        told = self._told.get(model)
        if told is None or told.model is None:
            return guess
        return "chat" if told.modalities else told.model.kind

    async def _list_once(self) -> None:
        """OpenRouter makes pictures by chat: before another endpoint is taken, the service is asked, once."""
        async with self._listing:
            if not self._listed:
                with suppress(ProviderError):
                    await self.models()
                self._listed = True

    async def _chat(self, service: Service, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        payload = await chat_payload(request, self._settings.voice, self._modalities(request))
        habits = self._habits if service.trusted else Habits()
        mender = Mender(payload, habits, wants_sound="audio" in request.options)
        sound = payload.get("audio", {}).get("format", STREAMED_SOUND)
        reader = ChatReader(self.name, request.model, lambda url: link_media(service, url), sound)
        async with service.open(
            "POST",
            "/chat/completions",
            total=request.timeout,
            between=request.stream_timeout if payload["stream"] else None,
            body=await work_on(request, encode, payload),
            headers=request.headers,
            mend=mender.mend,
        ) as answer:
            mender.learn()
            async with aclosing(read_answer(answer, reader)) as events:
                async for event in events:
                    yield event

    def _modalities(self, request: TurnRequest) -> list[str] | None:
        """What to ask a model to make besides text."""
        told = self._told.get(request.model)
        if told and set(told.modalities) - {"text"}:
            return list(told.modalities)
        speaks = "audio" in request.model.casefold() or "audio" in request.options
        return ["text", "audio"] if speaks else None


class Habits:
    """Fields of the wire that a service was found not to take."""

    def __init__(self) -> None:
        self.stream_options = True
        self.completion_tokens: set[str] = set()


class Mender:
    """Rewrites a chat request that a service refused, each way once, and remembers what helped."""

    def __init__(self, payload: dict[str, Any], habits: Habits, *, wants_sound: bool) -> None:
        self.payload = payload
        self.habits = habits
        self.wants_sound = wants_sound
        self.dropped_stream_options = False
        if not habits.stream_options:
            payload.pop("stream_options", None)
        if payload["model"] in habits.completion_tokens:
            self._rename_max_tokens()

    def mend(self, words: Words) -> bytes | None:
        """The body to ask with instead; None where the refusal is not about a field that can be left out or renamed."""
        payload = self.payload
        # A refusal without a word may be about anything: this is the field that services most often do not know.
        if "stream_options" in payload and (words.names("stream_options", "include_usage") or not words.message):
            del payload["stream_options"]
            self.dropped_stream_options = True
        elif "max_tokens" in payload and words.names("max_completion_tokens"):
            self._rename_max_tokens()
        elif "audio" in payload and not self.wants_sound and words.names("modalities", "audio"):
            # Nobody asked for sound: the model's name says audio, but it only listens.
            del payload["modalities"], payload["audio"]
        else:
            return None
        return encode(payload)

    def learn(self) -> None:
        """Remember what was changed: the service took the request as it is now."""
        if self.dropped_stream_options:
            self.habits.stream_options = False
        if "max_completion_tokens" in self.payload:
            self.habits.completion_tokens.add(self.payload["model"])

    def _rename_max_tokens(self) -> None:
        if "max_tokens" in self.payload:
            self.payload["max_completion_tokens"] = self.payload.pop("max_tokens")
