"""A turn: one question and its answer as typed events, its media kept and its use measured."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from mediary.conversations.attachments import Attachments, Resolved
from mediary.conversations.bucket_parts import BucketParts, Wanted
from mediary.conversations.carry import Carrier
from mediary.conversations.directory import ProviderDirectory
from mediary.conversations.held import Held
from mediary.conversations.holder import Holder
from mediary.conversations.keep import keep_brought, keep_made
from mediary.conversations.measure import Measure
from mediary.conversations.places import Place, filled
from mediary.conversations.request import ConversationRequest
from mediary.conversations.trip import Carried, Plan
from mediary.errors import (
    BadRequestError,
    MediaryError,
    MissingAuthError,
    ProviderError,
    RateLimitError,
    TooLargeError,
    UnsupportedTypeError,
)
from mediary.events import Auth, Event, Failure, Finish, Log, Media, Parameters, ProviderChosen, ProviderInfo
from mediary.media.library import MediaLibrary
from mediary.providers.base import Part, Provider, Text, TurnRequest
from mediary.settings import ConversationSettings

if TYPE_CHECKING:
    from mediary.usage.ledger import Ledger

T = TypeVar("T")

CLOSING_SECONDS = 5.0
"""How long the end of the server waits for media on their way into the library."""

UNUSABLE = (BadRequestError, UnsupportedTypeError, TooLargeError)
"""What is wrong with made media themselves, rather than with the store: it costs that item alone."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Turn:
    """A question that has been understood: provider, model and messages are settled, but for what has its place there.

    `plan` is for the files that are to be carried to the provider, `texts` are those of buckets. `parent` finds the
    library's name of the picture that the question brought, if it brought one.
    """

    provider: Provider
    request: TurnRequest
    plan: Plan | None = None
    texts: dict[Place, Wanted] = field(default_factory=dict)
    download_media: bool = True
    web_search: bool = False
    user: str | None = None
    parent: asyncio.Task[str | None] | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def seconds(self) -> float | None:
        """How long it may take; None where files may have to be uploaded first: the provider has its time behind it."""
        return None if self.plan and self.plan.may_upload else self.request.timeout


@dataclass(slots=True)
class _Brought:
    """What has come for the places in the messages so far."""

    carried: Carried
    texts: dict[Place, list[Text]] = field(default_factory=dict)

    def fill(self, request: TurnRequest) -> TurnRequest:
        """The request with it."""
        parts: dict[Place, Sequence[Part]] = {**self.carried.parts, **self.texts}
        return replace(request, messages=filled(request.messages, parts), headers=self.carried.headers)


class Conversations:
    """Takes turns. What a turn used is written to the ledger however it ends."""

    def __init__(
        self,
        providers: ProviderDirectory,
        attachments: Attachments,
        library: MediaLibrary,
        ledger: "Callable[[], Awaitable[Ledger]]",
        settings: ConversationSettings,
        *,
        carrier: Carrier,
        keep_attachments: bool = True,
        buckets: BucketParts | None = None,
    ) -> None:
        self.providers = providers
        self._attachments = attachments
        self._library = library
        self._ledger = ledger
        self._settings = settings
        self._carrier = carrier
        self._keep_attachments = keep_attachments
        self._buckets = buckets
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bringing = asyncio.Lock()
        self._unwritten: list[tuple[Turn, Measure]] = []
        self._writing: asyncio.Task[None] | None = None

    def holder(self) -> Holder:
        """What holds the files of one question; to be kept until its last event."""
        return self._attachments.holder()

    async def prepare(
        self,
        request: ConversationRequest,
        holder: Holder,
        files: Iterable[Held] = (),
        urls: Iterable[str] = (),
        user: str | None = None,
    ) -> Turn:
        """Settle who is asked and with what; raises what is wrong with the request before anything is sent."""
        if request.base_url:
            self._library.http.guard.check_url(request.base_url)
        provider, model = await self.providers.choose(request.provider, request.model, request.base_url)
        resolved = await self._attachments.resolve(request.messages or (), files, urls, holder)
        plan = None
        if resolved.files:
            plan = await self._carrier.plan(resolved.files, resolved.messages, provider, model, request)
        parent = None
        if resolved.brought or resolved.picture:
            parent = self._beside(self._keep_brought(resolved, holder.share(), user))
        limits = self._settings
        return Turn(
            provider=provider,
            request=TurnRequest(
                model=model,
                messages=tuple(resolved.messages),
                options=request.options,
                conversation=request.conversation,
                api_key=request.api_key,
                base_url=request.base_url,
                timeout=min(request.timeout or limits.timeout, limits.timeout),
                stream_timeout=min(request.stream_timeout or limits.stream_timeout, limits.stream_timeout),
            ),
            plan=plan,
            texts=resolved.texts,
            download_media=request.download_media is not False,
            web_search=bool(request.web_search),
            user=user,
            parent=parent,
        )

    async def events(self, turn: Turn) -> AsyncGenerator[Event, None]:
        """The answer. A failure is its last event; closing the iterator closes the provider's connection."""
        measure = Measure()
        try:
            async with aclosing(self._answer(turn)) as answer:
                async for event in answer:
                    measure.see(event)
                    yield event
        except MediaryError as error:
            failure = failure_event(error)
            measure.see(failure)
            yield failure
        except (asyncio.CancelledError, GeneratorExit):
            measure.leave()
            raise
        finally:
            self._record(turn, measure)

    async def _answer(self, turn: Turn) -> AsyncGenerator[Event, None]:
        provider, request = turn.provider, turn.request
        yield ProviderChosen(
            provider=ProviderInfo(name=provider.name, label=provider.label, url=provider.url, model=request.model)
        )
        yield Parameters(parameters={"model": request.model, **request.options})
        if turn.web_search:
            yield Log(log="web search is not set up here: the answer comes from the model alone")
        brought = _Brought(Carried(self._settings.max_attachment_bytes))
        async with aclosing(self._bring(turn, brought)) as bringing:
            async for log in bringing:
                yield log
        kept, lost = False, None
        async with aclosing(self._ask(turn, brought)) as answer:
            async for item in answer:
                if isinstance(item, Media):
                    try:
                        for event in await self._keep(turn, item):
                            yield event
                        kept = True
                    except UNUSABLE as error:
                        lost = ProviderError(f"{provider.name} made what cannot be kept: {error.message}")
                        yield Log(log=lost.message)
                elif lost and not kept and isinstance(item, Finish):
                    raise lost
                else:
                    yield item

    async def _bring(self, turn: Turn, brought: _Brought) -> AsyncGenerator[Log, None]:
        """Bring files and texts of buckets. What is made is kept without them: they are no prompt."""
        if turn.plan:
            async with aclosing(self._carrier.carry(turn.plan)) as carrying:
                async for carried in carrying:
                    if isinstance(carried, Carried):
                        brought.carried = carried
                    else:
                        yield carried
        if turn.texts:
            assert self._buckets, "without buckets there are no places for their texts"
            request = brought.fill(turn.request)
            window = await self.providers.window(turn.provider, request.model, request.api_key, request.base_url)
            finding = self._buckets.bring(request, turn.texts, window, brought.carried.left)
            async with aclosing(finding):
                async for found in finding:
                    if isinstance(found, Log):
                        yield found
                    else:
                        brought.texts = found

    async def _ask(self, turn: Turn, brought: _Brought) -> AsyncGenerator[Event | Media, None]:
        """The provider's answer; it is asked again where it does not know uploads that we remembered, once for each."""
        begun = False
        renewed: set[Place] = set()
        while True:
            try:
                async with aclosing(turn.provider.converse(brought.fill(turn.request))) as answer:
                    async for item in answer:
                        begun = True
                        yield item
                return
            except ProviderError as error:
                if begun or turn.plan is None:
                    raise
                lost = set(self._carrier.lost(turn.plan, brought.carried, error.message)) - renewed
                if not lost:
                    raise
            renewed |= lost
            async with aclosing(self._carrier.carry_again(turn.plan, brought.carried, lost)) as carrying:
                async for log in carrying:
                    yield log

    async def _keep(self, turn: Turn, media: Media) -> list[Event]:
        """Keep what was made, also when the client leaves meanwhile; a stream ends with its client."""
        keeping = self._keep_made(turn, media)
        return await (keeping if media.stream is not None else asyncio.shield(self._beside(keeping)))

    async def _keep_made(self, turn: Turn, media: Media) -> list[Event]:
        return await keep_made(
            media,
            self._library,
            turn.provider,
            turn.request,
            download=turn.download_media,
            owner=turn.user,
            parent=await _parent(turn),
        )

    async def _keep_brought(self, resolved: Resolved, holder: Holder, user: str | None) -> str | None:
        """Keep what a question brought; the name of its picture in the library, if it is there.

        One request after the other, or two that bring the same would both find that it is not there yet.
        """
        picture, names = resolved.picture, {}
        try:
            if resolved.brought and self._keep_attachments:
                async with self._bringing:
                    names = await keep_brought(resolved.brought, self._library, user)
        finally:
            await holder.let_go()
        return (picture.item or names.get(picture)) if picture else None

    def _beside(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work in a task of its own, which the end of the turn does not end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, MediaryError):
            logger.error("work beside a turn broke", exc_info=error)

    def _record(self, turn: Turn, measure: Measure) -> None:
        measure.end()
        logger.info("turn", extra={"turn": turn.id, **measure.summary(turn.provider.name, turn.request.model)})
        self._unwritten.append((turn, measure))
        if self._writing is None or self._writing.done():
            self._writing = self._beside(self._write())

    async def _write(self) -> None:
        """Write what was used; what ends meanwhile shares the next transaction, which costs as much as a turn."""
        while self._unwritten:
            due, self._unwritten = self._unwritten, []
            try:
                ledger = await self._ledger()
                await ledger.record(
                    *(
                        measure.record(turn.id, turn.provider.name, turn.request.model, turn.user)
                        for turn, measure in due
                    )
                )
            except MediaryError as error:
                lost = [turn.id for turn, _ in due]
                logger.warning("the use of turns is not recorded", extra={"turns": lost, "cause": error.message})

    async def close(self) -> None:
        """Wait a little until what was made is kept and what was used is written, then let the providers go."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)
            for task in late:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.providers.close()


async def _parent(turn: Turn) -> str | None:
    """The name of the picture that the question brought. That it cannot be kept costs no answer."""
    if turn.parent is None:
        return None
    await asyncio.wait([turn.parent])
    return None if turn.parent.cancelled() or turn.parent.exception() else turn.parent.result()


def failure_event(error: MediaryError) -> Event:
    """An error as the last event of a turn."""
    if isinstance(error, MissingAuthError):
        return Auth(auth=type(error).__name__, message=error.message)
    failure = Failure(error=type(error).__name__, message=error.message)
    if isinstance(error, RateLimitError) and error.retry_after is not None:
        failure.retry_after = error.retry_after
    return failure
