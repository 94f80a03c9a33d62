"""The chat completions wire, as OpenAI, Ollama, vLLM, llama.cpp, LM Studio, OpenRouter, Groq and others speak it."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from mediary.errors import BadRequestError, FieldError, ProviderError, SettingsError
from mediary.events import Event, Media
from mediary.net.client import HttpClient
from mediary.providers.base import Kind, Model, TurnRequest
from mediary.providers.http.refusals import Words
from mediary.providers.http.service import Service, is_header, public_url
from mediary.providers.openai.chat import ChatReader, read_answer
from mediary.providers.openai.media import link_media, make_pictures, speak
from mediary.providers.openai.messages import STREAMED_SOUND, chat_payload, encode_payload
from mediary.providers.openai.models import Told, configured_models, kind_by_id, read_models, transcriber_of
from mediary.providers.openai.transcription import transcribe
from mediary.providers.openai.wire import encode
from mediary.settings import ProviderSettings

MAX_LIST = 8 * 1024 * 1024
"""Bytes of a list of models; OpenRouter's, with several hundred of them, has less than one million."""
LIST_TIMEOUT = 15.0
"""Seconds for a list of models."""
DEFAULT_TRANSCRIBER = "whisper-1"
_LONG_LIST = 32 * 1024  # bytes from which reading a list is worth a thread: an entry takes longer than its bytes tell

logger = logging.getLogger(__name__)


class OpenAI:
    """A service that speaks the chat completions wire."""

    wire = "openai"

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        self.name = name
        self.label = settings.label or name
        self.url = public_url(settings.base_url)
        self.default_model = settings.default_model
        self.needs_key = settings.api_key is not None
        self.context_tokens = settings.context_tokens
        self._settings = settings
        self._http = http
        self._key = settings.api_key.get_secret_value() if settings.api_key else None
        self._headers = {header: value.get_secret_value() for header, value in settings.headers.items()}
        self._check_headers()
        self._told: dict[str, Told] = {}
        self._listed = False
        self._cut_list = False
        self._listing = asyncio.Lock()
        self._habits = Habits()

    def _check_headers(self) -> None:
        """SettingsError for a key or a header that cannot be sent; never with its value."""
        if self._key and not is_header("Authorization", self._key):
            raise SettingsError(
                f"setting providers.{self.name}.api_key: holds characters that cannot be sent in a header"
            )
        for header, value in self._headers.items():
            if not is_header(header, value):
                raise SettingsError(f"setting providers.{self.name}.headers: {header!r} cannot be sent as a header")

    async def models(self, api_key: str | None = None, base_url: str | None = None) -> list[Model]:
        """The models the service has now, the default first; those of the settings where they name any.

        `base_url` is for a provider without one of its own, as in `TurnRequest`.
        """
        if self._settings.models or not (base_url or self._settings.base_url):
            return configured_models(self._settings, {})
        service = self._service(api_key, base_url)
        async with service.open("GET", "/models", total=LIST_TIMEOUT) as answer:
            told = await self._read_list(await answer.read(MAX_LIST))
        if not (api_key or base_url):
            # What the service tells somebody's own key is for nobody else.
            self._told = told
        return configured_models(self._settings, told)

    async def _read_list(self, body: bytes) -> dict[str, Told]:
        reading = asyncio.to_thread(read_models, self.name, body) if len(body) > _LONG_LIST else None
        told, left_out = await reading if reading else read_models(self.name, body)
        if left_out and not self._cut_list:
            self._cut_list = True
            logger.warning("a list of models is cut", extra={"provider": self.name, "left_out": left_out})
        return told

    async def converse(self, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        """Answer by the endpoint that the model wants: chat, pictures or speech."""
        service = self._service(request.api_key, request.base_url)
        match await self._kind(request.model, service):
            case "image":
                answer = make_pictures(service, request)
            case "speech":
                answer = speak(service, request, self._settings.voice)
            case _:
                answer = self._chat(service, request)
        async with aclosing(answer) as happening:
            async for event in happening:
                yield event

    async def transcribe(
        self, file: Path, media_type: str, *, language: str | None = None, model: str | None = None
    ) -> str:
        """What is said in a sound or a video, by the model, else by the first that the service lists for it."""
        service = self._service(None, None)
        if model is None:
            await self._list_once()
            model = transcriber_of(self._told) or DEFAULT_TRANSCRIBER
        return await transcribe(service, file, media_type, language, model)

    async def close(self) -> None:
        """Nothing to do: the connections belong to the HTTP client."""

    def _service(self, api_key: str | None, base_url: str | None) -> Service:
        """Where to ask, and as whom. The operator's key and headers never go to an address that a request brings."""
        if api_key and not is_header("Authorization", api_key):
            raise FieldError("api_key", "holds characters that cannot be sent in a header")
        if base_url:
            return Service(self.name, self._http, base_url, api_key)
        if not self._settings.base_url:
            raise BadRequestError(f"{self.name} needs a base_url with the request")
        headers = self._headers
        if api_key:
            # The key of a request stands for all that says who the operator is; a gateway's headers stay.
            headers = {name: value for name, value in headers.items() if name.casefold() != "authorization"}
        key = api_key or self._key
        return Service(self.name, self._http, self._settings.base_url, key, headers, trusted=True)

    async def _kind(self, model: str, service: Service) -> Kind:
        """Which endpoint a model wants: by the settings, by what the service tells, by its id."""
        if model in self._settings.image_models:
            return "image"
        if model in self._settings.speech_models:
            return "speech"
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
            body=await encode_payload(payload, request),
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
