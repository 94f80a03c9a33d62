"""The Messages wire, as Anthropic and those who offer its API speak it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from mediary.events import Event, Media
from mediary.net.client import HttpClient
from mediary.providers.anthropic.answer import MessageReader
from mediary.providers.anthropic.mending import Habits, Mender
from mediary.providers.anthropic.messages import DEFAULT_MAX_TOKENS, SAMPLING, message_payload
from mediary.providers.anthropic.models import Told, configured_models, told_of
from mediary.providers.anthropic.wire import FILES_BETA, SAMPLING_VERSION, VERSION, model_pages
from mediary.providers.base import Model, Remote, Takes, TurnRequest
from mediary.providers.http.answering import read_answer
from mediary.providers.http.encoding import encode, work_on
from mediary.providers.http.provider import LIST_TIMEOUT, MAX_LIST, HttpProvider, read_list
from mediary.providers.http.service import Service
from mediary.settings import ProviderSettings

MIB = 1024**2
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
DOCUMENTS = ("application/pdf", "text/plain")
MAX_PICTURE = 5 * MIB
MAX_INLINE = 22 * MIB
"""Bytes of the files of a question: as base64, and with its words, they have to fit into a request of 32 MB."""

MAX_PAGES = 10
PAGE = 1000
"""Models on a page; no more can be asked for."""


class Anthropic(HttpProvider[Told]):
    """A service that speaks the Messages wire."""

    wire = "anthropic"
    flow = "anthropic_files"
    key_header = "x-api-key"
    version = "v1"

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        super().__init__(name, settings, http)
        self._habits = Habits()

    def takes(self, model: str) -> Takes:
        """Pictures, PDF and plain text, or what the settings say."""
        types = self._settings.takes or (*PICTURES, *DOCUMENTS)
        if (limit := self._settings.inline_bytes) is not None:
            return Takes(types, limit, together=max(limit, MAX_INLINE))
        return Takes(types, MAX_INLINE, less=(("image/*", MAX_PICTURE),), together=MAX_INLINE)

    async def _list(self, service: Service) -> dict[str, Told]:
        found: dict[str, Told] = {}
        after = ""
        for _ in range(MAX_PAGES):
            path = f"/models?limit={PAGE}{after}"
            async with service.open("GET", path, total=LIST_TIMEOUT, headers={"anthropic-version": VERSION}) as answer:
                page = read_list(model_pages, self.name, await answer.read(MAX_LIST))
            found |= told_of(page.data or ())
            if not (page.has_more and page.last_id):
                break
            after = f"&after_id={quote(page.last_id, safe='')}"
        return found

    def _offer(self, told: dict[str, Told]) -> list[Model]:
        return configured_models(self._settings, told)

    async def converse(self, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        """Answer by `/messages`."""
        service = self._service(request.api_key, request.base_url)
        payload = await message_payload(request, self._longest(request.model))
        habits = self._habits if service.trusted else Habits()
        mender = Mender(payload, habits, may_shorten="max_tokens" not in request.options)
        reader = MessageReader(self.name, request.model)
        async with service.open(
            "POST",
            "/messages",
            total=request.timeout,
            between=request.stream_timeout,
            body=await work_on(request, encode, payload),
            headers=_headers(payload, request),
            mend=mender.mend,
        ) as answer:
            mender.learn()
            async with aclosing(read_answer(answer, reader)) as events:
                async for event in events:
                    yield event

    def _longest(self, model: str) -> int:
        """How long an answer may be where nobody says."""
        told = self._told.get(model)
        return min(DEFAULT_MAX_TOKENS, told.max_tokens) if told and told.max_tokens else DEFAULT_MAX_TOKENS


def _headers(payload: dict[str, Any], request: TurnRequest) -> dict[str, str]:
    """The version of the API that has what is asked for; in the older one files are a beta."""
    if not any(name in payload for name in SAMPLING):
        return {"anthropic-version": VERSION, **request.headers}
    has_files = any(isinstance(part, Remote) for message in request.messages for part in message.parts)
    beta = {"anthropic-beta": FILES_BETA} if has_files else {}
    return {"anthropic-version": SAMPLING_VERSION, **beta, **request.headers}
