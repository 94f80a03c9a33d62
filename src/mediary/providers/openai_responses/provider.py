"""The Responses wire, as OpenAI and those who offer its API speak it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

from mediary.errors import BadRequestError, ProviderError
from mediary.events import Event, Log, Media
from mediary.net.client import HttpClient
from mediary.providers.base import Message, Model, Takes, TurnRequest
from mediary.providers.http.answering import read_answer
from mediary.providers.http.encoding import encode, work_on
from mediary.providers.http.lister import ListingProvider
from mediary.providers.http.models import Told, configured_models, kind_by_id
from mediary.providers.http.service import Service
from mediary.providers.openai_responses.answer import ResponseReader
from mediary.providers.openai_responses.continuing import ASKED, Kept, asked_in, find_kept
from mediary.providers.openai_responses.mending import Habits, Mender
from mediary.providers.openai_responses.messages import instructions_of, items_of
from mediary.providers.openai_responses.options import fields_of, left_out
from mediary.settings import ProviderSettings

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
DOCUMENTS = ("application/pdf",)
MAX_INLINE = 50 * 1024**2
"""Bytes of the files of a question, as OpenAI has it."""


class OpenAIResponses(ListingProvider):
    """A service that speaks the Responses wire."""

    wire = "openai_responses"

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        super().__init__(name, settings, http)
        self._habits = Habits()
        if _is_openai(settings.base_url):
            self.flow = "openai_files"

    def takes(self, model: str) -> Takes:
        """Pictures and PDF, and what the settings say besides."""
        most = MAX_INLINE if self._settings.inline_bytes is None else self._settings.inline_bytes
        return Takes((*PICTURES, *DOCUMENTS, *self._settings.takes), most, together=max(most, MAX_INLINE))

    def _offer(self, told: dict[str, Told]) -> list[Model]:
        """Models that hold a conversation, and those that can be asked for pictures by one that does."""
        models = configured_models(self._settings, told)
        return [model for model in models if model.kind == "chat" or (model.kind == "image" and self._asks(model.id))]

    def _asks(self, painter: str) -> str | None:
        """Who is asked for a picture by that model: itself, where it holds conversations, or the default model."""
        if kind_by_id(painter) == "chat":
            return painter
        default = self.default_model
        return default if default and "gpt-image" in painter.casefold() and kind_by_id(default) == "chat" else None

    async def converse(self, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        """Answer by `/responses`; where the service does not know the answer to go on from, it is told everything."""
        service = self._service(request.api_key, request.base_url)
        instructions, messages = instructions_of(request.messages)
        kept = find_kept(request, messages)
        question = self._fields(request) | ({"instructions": instructions} if instructions else {})
        if names := left_out(request.options):
            yield Log(log=f"left out, since the Responses API has no such option: {', '.join(names)}")
        begun = False
        try:
            async with aclosing(self._ask(service, request, dict(question), messages, kept)) as answer:
                async for event in answer:
                    begun = True
                    yield event
            return
        except ProviderError as error:
            if begun or kept is None or not kept.is_unknown(error.message):
                raise
        async with aclosing(self._ask(service, request, question, messages, None)) as answer:
            async for event in answer:
                yield event

    async def _ask(
        self,
        service: Service,
        request: TurnRequest,
        payload: dict[str, Any],
        messages: Sequence[Message],
        kept: Kept | None,
    ) -> AsyncGenerator[Event | Media, None]:
        payload["input"] = await work_on(request, items_of, kept.later if kept else messages)
        if kept:
            payload["previous_response_id"] = kept.response_id
        habits = self._habits if service.trusted else Habits()
        mender = Mender(payload, habits, request.options)
        reader = ResponseReader(self.name, request.model, {ASKED: asked_in(messages)}, alt=request.prompt)
        async with service.open(
            "POST",
            "/responses",
            total=request.timeout,
            between=request.stream_timeout,
            body=await work_on(request, encode, payload),
            headers=request.headers,
            mend=mender.mend,
        ) as answer:
            mender.learn()
            if mender.lost:
                yield Log(log=f"left out, since {payload['model']} does not take it: {', '.join(mender.lost)}")
            async with aclosing(read_answer(answer, reader)) as events:
                async for event in events:
                    yield event

    def _fields(self, request: TurnRequest) -> dict[str, Any]:
        """What is sent besides the conversation."""
        model, painter = request.model, None
        if model in self._settings.image_models or kind_by_id(model) == "image":
            asked = self._asks(model)
            if asked is None:
                raise BadRequestError(f"{self.name} makes pictures with {model} through its default_model; it has none")
            painter, model = (model if asked != model else ""), asked
        return {"model": model, "stream": True, **fields_of(request.options, model, painter)}


def _is_openai(base_url: str | None) -> bool:
    """Whether that is OpenAI itself, which takes files as well; of others nobody knows."""
    host = urlsplit(base_url or "").hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")
