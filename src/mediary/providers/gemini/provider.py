"""The generateContent wire, as Google's Gemini API and those who offer it speak it."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from urllib.parse import quote

from mediary.events import Event, Media
from mediary.net.client import HttpClient
from mediary.providers.base import Kind, Model, Speaker, Spoken, Takes, TurnRequest, Utterance, Voice
from mediary.providers.gemini.answer import ContentReader
from mediary.providers.gemini.embedding import embed
from mediary.providers.gemini.mending import Habits, Mender
from mediary.providers.gemini.messages import payload_of
from mediary.providers.gemini.models import (
    Told,
    bare,
    configured_models,
    kind_by_id,
    kind_in,
    thinks_by_id,
    told_of,
)
from mediary.providers.gemini.speech import VOICES, question, read_out, speaker_of
from mediary.providers.gemini.videos import make_videos
from mediary.providers.gemini.wire import model_pages
from mediary.providers.http.answering import read_answer
from mediary.providers.http.encoding import encode, work_on
from mediary.providers.http.provider import LIST_TIMEOUT, MAX_LIST, HttpProvider, read_list
from mediary.providers.http.redaction import scrub
from mediary.providers.http.service import Service
from mediary.settings import ProviderSettings

PICTURES = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/heif")
TYPES = (*PICTURES, "audio/*", "video/*", "application/pdf", "text/*")
TYPES_OF = {"speech": ("text/*",), "video": ("image/*",)}
MAX_INLINE = 14 * 1024**2
"""Bytes of the files of a question: as base64, and with its words, they have to fit into a request of 20 MB."""

MAX_PAGES = 10
PAGE = 1000
"""Models on a page; no more can be asked for."""
_named = re.compile(r"(?:models|tunedModels)/[^/?#%\s]+")


class Gemini(HttpProvider[Told]):
    """A service that speaks the generateContent wire."""

    wire = "gemini"
    flow = "gemini_files"
    key_header = "x-goog-api-key"
    version = "v1beta"

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        super().__init__(name, settings, http)
        self.default_model = bare(settings.default_model) if settings.default_model else None
        self._habits = Habits()

    def takes(self, model: str) -> Takes:
        """Pictures, sounds, videos, PDF and text, or what the settings say; what makes speech or videos takes less."""
        kind = self._kind(model)
        types = self._settings.takes or TYPES_OF.get(kind, TYPES)
        limit = MAX_INLINE if self._settings.inline_bytes is None else self._settings.inline_bytes
        return Takes(types, limit, together=max(limit, MAX_INLINE), inline_only=kind == "video")

    async def _list(self, service: Service) -> dict[str, Told]:
        found: dict[str, Told] = {}
        after = ""
        for _ in range(MAX_PAGES):
            async with service.open("GET", f"/models?pageSize={PAGE}{after}", total=LIST_TIMEOUT) as answer:
                page = read_list(model_pages, self.name, await answer.read(MAX_LIST))
            found |= told_of(page.models or ())
            if not page.next_page_token:
                break
            after = f"&pageToken={quote(page.next_page_token, safe='')}"
        return found

    def _offer(self, told: dict[str, Told]) -> list[Model]:
        return configured_models(self._settings, told)

    async def converse(self, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        """Answer by `:streamGenerateContent`, whatever the model makes; videos by `:predictLongRunning`."""
        service = self._service(request.api_key, request.base_url)
        kind = self._kind(request.model)
        if kind == "video":
            async with aclosing(make_videos(service, request, f"/{_path_of(request.model)}")) as videos:
                async for event in videos:
                    yield event
            return
        payload = await payload_of(request, kind, self._settings.voice, thinks=self._thinks(request.model))
        may_hide = "reasoning_effort" not in request.options
        mender = Mender(request.model, payload, self._habits if service.trusted else Habits(), may_hide=may_hide)
        alt = request.prompt if kind != "chat" else ""
        spoken = request.prompt if kind == "speech" else None
        reader = ContentReader(self.name, request.model, lambda uri, kind: _link(service, uri, kind), alt, spoken)
        async with service.open(
            "POST",
            f"/{_path_of(request.model)}:streamGenerateContent?alt=sse",
            total=request.timeout,
            between=request.stream_timeout,
            body=await work_on(request, encode, payload),
            headers=request.headers,
            mend=mender.mend,
        ) as answer:
            mender.learn()
            async with aclosing(read_answer(answer, reader)) as happening:
                async for event in happening:
                    yield event

    async def voices(self) -> tuple[Voice, ...]:
        """The voices of the models that read out; each has all of them."""
        return VOICES

    async def speaker(self, model: str | None, voice: str | None) -> Speaker:
        """Who reads text out: the model, else the first of those that do so."""
        offered = [] if model else self._offer(self._told) if self._told else await self.models()
        return speaker_of(self.name, offered, model, voice or self._settings.voice)

    @asynccontextmanager
    async def speak(self, utterance: Utterance) -> AsyncIterator[Spoken]:
        """Read text out; how, is said before it."""
        async with aclosing(self.converse(question(self.name, utterance))) as answer:
            yield await read_out(self.name, answer)

    async def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        """A vector for each text, by `:batchEmbedContents`."""
        return await embed(self._service(), texts, _path_of(model))

    def _kind(self, model: str) -> Kind:
        """What a model makes: by the settings, else by its id."""
        return kind_in(self._settings, model) or kind_by_id(model) or "chat"

    def _thinks(self, model: str) -> bool:
        told = self._told.get(bare(model))
        return thinks_by_id(model) if told is None or told.thinks is None else told.thinks


def _path_of(model: str) -> str:
    """Where a model is; one that is nobody's path stays a name."""
    return model if _named.fullmatch(model) else f"models/{quote(model, safe='')}"


def _link(service: Service, uri: str, kind: str) -> Media:
    """A file of an answer by its URI; one of the service's own origin wants its credentials."""
    # Clients see the URL where it cannot be fetched: then rather one that leads nowhere than one with our key.
    url = scrub(uri, service.credentials, "hidden")
    if not service.is_own(url):
        return Media(kind=kind, url=url)
    origin = service.origin if service.trusted else None
    return Media(kind=kind, url=url, headers=service.headers, trusted_origin=origin)
