"""`GET /backend-api/v2/create`: one question, and what is wanted of its answer: words, code, JSON, media, speech."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, structs

from mediary.conversations.contexts.sources import CLOSING
from mediary.conversations.creating.created import AnswerCache, Created, is_sound
from mediary.conversations.creating.extracts import find_code, find_json
from mediary.conversations.creating.read_out import Narrator, ReadOut
from mediary.conversations.request import ConversationRequest
from mediary.conversations.turn import Conversations, Turn, failure_event
from mediary.errors import (
    MediaryError,
    NoSpaceError,
    NotFoundError,
    ProviderError,
    ProviderTimeoutError,
    RunCancelledError,
    StoreError,
)
from mediary.events import Content, Event, Finish, ProviderChosen, frame
from mediary.runs.room import Runs
from mediary.shared_work import Shared, Work

if TYPE_CHECKING:
    from mediary.conversations.contexts.searching import Searching

SEARCH = "CachedSearch"
"""A provider, by the word of existing clients, that answers with what the web says."""
SEARCH_SECONDS = 60.0
SLACK_SECONDS = 1.0
"""What a turn may outlast its own limit, so that the provider can say first that it is late."""

_VERSION = 1
"""Counts up when the same question begins to be answered in another way."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Wish:
    """A question, and what of its answer is wanted.

    `code` is the language of the one code block, empty for the first of any; `cache` the id under which the answer is
    kept; `user` a label.
    """

    request: ConversationRequest
    code: str | None = None
    json: bool = False
    read_out: ReadOut | None = None
    cache: str | None = None
    user: str | None = None

    @property
    def prompt(self) -> str:
        """What is asked."""
        return "".join(str(message.content) for message in self.request.messages or ())

    @property
    def wants_part(self) -> bool:
        """Whether a part of the words is wanted, which can be told from all of them alone."""
        return self.json or self.code is not None

    @property
    def key(self) -> str:
        """All that the answer depends on, in short; memories are somebody's."""
        user = self.user if self.request.memory else None
        said = (_VERSION, self.cache, self.request, self.code, self.json, self.read_out, user)
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


@dataclass(slots=True, frozen=True)
class Words:
    """The next words of an answer, in which media stand as Markdown."""

    text: str
    run: str


@dataclass(slots=True)
class _Answer:
    """What has come of an answer so far."""

    run: str = ""
    provider: str = ""
    pieces: list[str] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    has_words: bool = False
    reason: str = ""

    def take(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case Content(content=text, urls=urls):
                self.pieces.append(text)
                if urls is not UNSET:
                    self.media += urls
                elif text.strip():
                    self.has_words = True
            case ProviderChosen(provider=chosen):
                self.provider = chosen.name
            case Finish(finish=finish):
                self.reason = finish.reason

    def words(self, *, searched: bool) -> str:
        """The model's own words, without the links that a search puts behind them."""
        pieces = self.pieces
        return "".join(pieces[:-1] if searched and pieces and pieces[-1].startswith(CLOSING) else pieces)

    def whole(self) -> Created:
        """All of it."""
        if not (self.has_words or self.media):
            raise ProviderError(f"{self.provider} answered with nothing ({self.reason or 'no reason given'})")
        text = "".join(self.pieces) if self.has_words else ""
        return Created(text=text, media=tuple(self.media), run=self.run, whole=self.reason == "stop")


class Creating:
    """Answers single questions. Each is a turn as in a conversation, and a run as any other."""

    def __init__(
        self,
        conversations: Conversations,
        runs: Runs,
        narrator: Narrator,
        cache: AnswerCache,
        searching: "Searching | None" = None,
    ) -> None:
        self._conversations = conversations
        self._runs = runs
        self._narrator = narrator
        self._cache = cache
        self._searching = searching
        self._making: Shared[str, Created] = Shared()

    async def start(self) -> None:
        """Remove what a killed process left."""
        await self._cache.store.recover()

    async def close(self) -> None:
        """Stop what is being made."""
        await self._making.close()

    async def create(self, wish: Wish) -> Created:
        """The whole answer. With an id it is kept; whoever wishes the same meanwhile waits for the one making."""
        if wish.cache is None:
            return await self._make(wish)
        key = wish.key
        async with self._making.joined(key, lambda: Work(lambda _: self._find_or_make(key, wish), "create")) as work:
            return await work.result()

    async def stream(self, wish: Wish) -> AsyncGenerator[Created | Words, None]:
        """The words as they come. What must be whole, or turns out to be media alone, comes whole."""
        if wish.wants_part or wish.read_out or wish.cache is not None or self._is_search(wish):
            yield await self.create(wish)
            return
        answer, sent = _Answer(), 0
        async with aclosing(self._events(wish, answer)) as events:
            async for event in events:
                answer.take(event)
                if answer.has_words and len(answer.pieces) > sent:
                    yield Words("".join(answer.pieces[sent:]), answer.run)
                    sent = len(answer.pieces)
        if not answer.has_words:
            yield answer.whole()

    async def _find_or_make(self, key: str, wish: Wish) -> Created:
        if found := await self._cache.find(key):
            return found
        created = await self._make(wish)
        if created.may_be_kept:
            try:
                await self._cache.add(key, created)
            except (NoSpaceError, StoreError) as error:
                logger.warning("an answer is not kept", extra={"cause": error.message})
        return created

    async def _make(self, wish: Wish) -> Created:
        if self._is_search(wish):
            return await self._search(wish.prompt)
        if wish.read_out:
            await self._narrator.check(wish.read_out)
        answer = _Answer()
        async with aclosing(self._events(wish, answer)) as events:
            async for event in events:
                answer.take(event)
        return await self._formed(wish, answer)

    async def _formed(self, wish: Wish, answer: _Answer) -> Created:
        """What of an answer is wanted."""
        created = answer.whole()
        if not (wish.wants_part or wish.read_out):
            return created
        words = answer.words(searched=bool(wish.request.web_search))
        if wish.wants_part:
            part = await asyncio.to_thread(_part, wish, words)
            if part is None:
                what = "JSON" if wish.json else f"code in {wish.code!r}"
                raise ProviderError(f"the answer of {answer.provider} holds no {what}")
            created = structs.replace(created, text=part, media=())
        if wish.read_out:
            sounds = tuple(filter(is_sound, answer.media)) or (
                await self._narrator.read(
                    created.text if wish.wants_part else words, wish.read_out, wish.prompt, wish.user
                ),
            )
            created = structs.replace(created, text="", media=sounds)
        return created

    async def _events(self, wish: Wish, answer: _Answer) -> AsyncGenerator[Event, None]:
        async with self._conversations.holder() as holder:
            turn = await self._conversations.prepare(wish.request, holder, user=wish.user)
            answer.run = turn.id
            async with aclosing(self._recorded(turn)) as events:
                async for event in events:
                    yield event

    async def _recorded(self, turn: Turn) -> AsyncGenerator[Event, None]:
        """The events of a turn, which can be read and ended by its id; its failure is raised."""
        run = self._runs.begin(turn.id, turn.provider.name, turn.request.model, turn.user)
        task = asyncio.current_task()
        assert task
        run.cancel = lambda: _cancel(task)
        try:
            async with aclosing(self._conversations.events(turn, raises=True)) as events:
                async for event in _until(turn.seconds, events):
                    if type(event) is ProviderChosen:
                        run.answered_by(event.provider.name, event.provider.model)
                    run.append(frame(event))
                    yield event
        except asyncio.CancelledError:
            if not run.cancelled:
                raise
            task.uncancel()
            raise RunCancelledError("the run was cancelled") from None
        except MediaryError as error:
            run.append(frame(failure_event(error)))
            raise
        finally:
            run.end()

    def _is_search(self, wish: Wish) -> bool:
        name = wish.request.provider or ""
        return name.casefold() == SEARCH.casefold() and self._conversations.providers.find(name) is None

    async def _search(self, query: str) -> Created:
        if self._searching is None:
            raise NotFoundError("web search is not set up here: the settings say how, in [websearch]")
        try:
            async with asyncio.timeout(SEARCH_SECONDS):
                return Created(text=await self._searching.text(query))
        except TimeoutError:
            raise ProviderTimeoutError(f"the web search took longer than {SEARCH_SECONDS:g} seconds") from None


def _cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()


def _part(wish: Wish, words: str) -> str | None:
    """The JSON or code that is wanted; of an answer without a code block of any language, all."""
    if wish.json:
        return find_json(words)
    found = find_code(words, wish.code or "")
    return found if found is not None or wish.code else words


async def _until(seconds: float | None, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The events of a turn that may take so long."""
    end = None if seconds is None else asyncio.get_running_loop().time() + seconds + SLACK_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(end):
                event = await anext(events, None)
        except TimeoutError:
            raise ProviderTimeoutError(f"the turn took longer than {seconds:g} seconds") from None
        if event is None:
            return
        yield event
