"""Ollama's own API: JSON, a value a line."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from difflib import get_close_matches
from typing import Any

from mediary.errors import ModelNotFoundError, ProviderError
from mediary.events import Event, Log, Media, Reasoning
from mediary.net.client import HttpClient
from mediary.providers.base import Kind, Model, Takes, TurnRequest
from mediary.providers.http.answering import read_answer
from mediary.providers.http.embedding import EMBED_TIMEOUT, batches, check_vectors, read_embeddings
from mediary.providers.http.encoding import encode, work_on
from mediary.providers.http.opening import Opening
from mediary.providers.http.provider import LIST_TIMEOUT, MAX_LIST, HttpProvider, read_list
from mediary.providers.http.refusals import error_for, words_of
from mediary.providers.http.service import Service
from mediary.providers.ollama.answer import LineReader
from mediary.providers.ollama.mending import MOST_TOKENS, Habits, Mender
from mediary.providers.ollama.messages import chat_payload, picture_payload
from mediary.providers.ollama.models import Told, configured_models, full, kind_by_id, kind_in, told_of
from mediary.providers.ollama.wire import ListedModel, Shown, embedded, model_lists, shown_models
from mediary.settings import ProviderSettings

LOCAL = "http://127.0.0.1:11434"
"""Where Ollama listens, where the settings do not say."""
PICTURES = ("image/jpeg", "image/png", "image/webp")
MAX_INLINE = 50 * 1024**2
"""Bytes of a file within a question; Ollama itself sets no limit."""
LOADING_SECONDS = 2.0
"""Seconds without an answer after which people are told that the model is being loaded."""
SHOW_SECONDS = 3.0
"""Seconds for what is asked of the models of a list; the next list asks for what is missing."""
BATCH = 128
"""Texts that are embedded by one request."""

_AT_ONCE = 8
_SUFFIXES = ("/api", "/v1")
_SHOWN = 10  # names of models in an error


class Ollama(HttpProvider[Told]):
    """A server that speaks Ollama's own API; the one on this machine where no `base_url` is set."""

    wire = "ollama"

    def __init__(self, name: str, settings: ProviderSettings, http: HttpClient) -> None:
        super().__init__(name, settings if settings.base_url else settings.model_copy(update={"base_url": LOCAL}), http)
        self._habits = Habits()
        self._shown: dict[str, Shown] = {}

    def takes(self, model: str) -> Takes:
        """Pictures, if the model is not known to see none, or what the settings say."""
        types = self._settings.takes or (PICTURES if self._sees(model) else ())
        return Takes(types, MAX_INLINE if self._settings.inline_bytes is None else self._settings.inline_bytes)

    async def _list(self, service: Service) -> dict[str, Told]:
        async with service.open("GET", "/api/tags", total=LIST_TIMEOUT) as answer:
            entries = read_list(model_lists, self.name, await answer.read(MAX_LIST)).models or ()
        found = {full(name): entry for entry in entries if (name := entry.model or entry.name)}
        shown = self._shown if service.trusted else {}
        await self._show(service, found, shown)
        return {model: told_of(model, entry, shown.get(_key(model, entry), Shown())) for model, entry in found.items()}

    async def _show(self, service: Service, models: dict[str, ListedModel], shown: dict[str, Shown]) -> None:
        """Ask what the models can, as far as that is not known; what is not told soon enough stays unknown."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def ask(model: str, key: str) -> None:
            async with limit:
                shown[key] = await self._ask(service, model)

        keys = {_key(model, entry): model for model, entry in models.items()}
        for gone in shown.keys() - keys.keys():
            del shown[gone]
        tasks = [asyncio.create_task(ask(model, key)) for key, model in keys.items() if key not in shown]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=SHOW_SECONDS)
        finally:
            await _end(tasks)

    async def _ask(self, service: Service, model: str) -> Shown:
        body = encode({"model": model})
        async with service.open("POST", "/api/show", total=LIST_TIMEOUT, body=body) as answer:
            return read_list(shown_models, self.name, await answer.read(MAX_LIST))

    def _offer(self, told: dict[str, Told]) -> list[Model]:
        return configured_models(self._settings, told)

    def _full(self, base_url: str) -> str:
        url = base_url.rstrip("/")
        return next((url.removesuffix(suffix) for suffix in _SUFFIXES if url.endswith(suffix)), url)

    async def converse(self, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        """Answer by `/api/chat`, or by `/api/generate` where the model makes pictures."""
        service = self._service(request.api_key, request.base_url)
        paints = self._kind(request.model) == "image"
        payload = await (self._picture(request) if paints else self._chat(request))
        mender = Mender(payload, self._habits if service.trusted else Habits(), self._most(request.model))
        sent = service.open(
            "POST",
            "/api/generate" if paints else "/api/chat",
            total=request.timeout,
            # Between two steps of a large picture minutes may pass, and before the first word of a large model.
            between=request.timeout if paints else request.stream_timeout,
            first=request.timeout,
            body=await work_on(request, encode, payload),
            headers=request.headers,
            mend=mender.mend,
        )
        try:
            async with Opening(sent) as opening:
                if not await opening.within(LOADING_SECONDS):
                    yield Reasoning(label="Model", status="loading")
                answer = await opening.answer()
                mender.learn()
                if mender.left_out:
                    yield Log(log=_left_out(request.model, mender.left_out))
                reader = LineReader(self.name, request.model, request.prompt if paints else "")
                async with aclosing(read_answer(answer, reader)) as events:
                    async for event in events:
                        yield event
        except ModelNotFoundError as error:
            raise ModelNotFoundError(error.message + await self._what_is_there(service, request.model)) from None

    async def _chat(self, request: TurnRequest) -> dict[str, Any]:
        told = self._told.get(full(request.model))
        return await chat_payload(request, thinks=bool(told and told.thinks), window=self._settings.context_tokens)

    async def _picture(self, request: TurnRequest) -> dict[str, Any]:
        return await work_on(request, picture_payload, request)

    def _most(self, model: str) -> int | None:
        """How large the window of a model may be made; None where the operator said how large it is."""
        if self._settings.context_tokens:
            return None
        told = self._told.get(full(model))
        return told.most_tokens if told and told.most_tokens else MOST_TOKENS

    async def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        """A vector for each text, by `/api/embed`; of a text that is too long its beginning counts."""
        service = self._service()
        vectors: list[list[float]] = []
        try:
            for batch in batches(texts, BATCH):
                vectors += await self._embed(service, batch, model)
        except ModelNotFoundError as error:
            raise ModelNotFoundError(error.message + await self._what_is_there(service, model)) from None
        return check_vectors(self.name, vectors, texts)

    async def _embed(self, service: Service, batch: list[str], model: str) -> list[list[float]]:
        body = encode({"model": model, "input": batch})
        async with service.open("POST", "/api/embed", total=EMBED_TIMEOUT, body=body) as answer:
            found = await read_embeddings(embedded, self.name, answer)
        if found.error:
            raise error_for(self.name, words_of(found.error))
        return check_vectors(self.name, found.embeddings or (), batch)

    async def _what_is_there(self, service: Service, model: str) -> str:
        """What to say of a model that is not there: which are, the most alike first."""
        try:
            async with service.open("GET", "/api/tags", total=LIST_TIMEOUT) as answer:
                entries = read_list(model_lists, self.name, await answer.read(MAX_LIST)).models or ()
        except ProviderError:
            return ""
        names = [name for entry in entries if (name := entry.model or entry.name)]
        near = get_close_matches(full(model), names, n=_SHOWN, cutoff=0.5)
        shown = list(dict.fromkeys([*near, *names]))
        if not shown:
            return "; there is none: get one with `ollama pull`"
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        return f"; there are: {', '.join(shown[:_SHOWN])}{more}"

    def _kind(self, model: str) -> Kind:
        """What a model makes: by the settings, by what Ollama told, by its name."""
        told = self._told.get(full(model))
        known = told.model.kind if told and told.model else kind_by_id(model)
        return kind_in(self._settings, model) or known or "chat"

    def _sees(self, model: str) -> bool:
        told = self._told.get(full(model))
        configured = full(model) in map(full, self._settings.vision_models)
        return configured or told is None or told.sees is not False


async def _end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """End tasks, and look at what they failed with: nobody else does."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _key(model: str, entry: ListedModel) -> str:
    """What a model is known by: the same name may come to mean another one."""
    return f"{model}@{entry.digest}"


def _left_out(model: str, count: int) -> str:
    messages = "the oldest message was" if count == 1 else f"the {count} oldest messages were"
    return f"{messages} left out: the window of {model} has no room for them (`context_tokens` makes it larger)"
