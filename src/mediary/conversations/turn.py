"""A turn: one question and its answer as typed events, its media kept and its use measured."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import structs

from mediary.conversations.answer import SPECIAL, Answer, For
from mediary.conversations.attaching.attachments import Attachments
from mediary.conversations.attaching.bucket_parts import BucketParts, Wanted
from mediary.conversations.attaching.carry import Carrier
from mediary.conversations.attaching.held import Held
from mediary.conversations.attaching.holder import Holder
from mediary.conversations.attaching.places import Place
from mediary.conversations.attempt import Attempt, Deadline, Means, Question
from mediary.conversations.choice.asking import Asker, Asking
from mediary.conversations.choice.choosing import Choice
from mediary.conversations.choice.directory import ProviderDirectory
from mediary.conversations.choice.fallback import Fallback, is_passed_on
from mediary.conversations.contexts.bringing import Contexts
from mediary.conversations.contexts.context import Context
from mediary.conversations.keeping.keeper import Keeper, Parent
from mediary.conversations.recording.recorder import Measured, Recorder
from mediary.conversations.request import ConversationRequest
from mediary.errors import FieldError, MediaryError, MissingAuthError, RateLimitError
from mediary.events import Auth, Event, Failure, Log, Media
from mediary.media.library import MediaLibrary
from mediary.providers.base import Message, Provider, TurnRequest
from mediary.settings import ConversationSettings

if TYPE_CHECKING:
    from mediary.conversations.contexts.remembering import Remembering
    from mediary.conversations.contexts.searching import Searching

SHARE = 4
"""Each context may have one of so many parts of the window."""
NO_MEMORY = "memory is not set up here: the answer comes without it"
NO_SEARCH = "web search is not set up here: the answer comes from the model alone"

logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Turn:
    """A question that has been understood: who is asked `first`, and who else if that one does not answer.

    `texts` are those of buckets that are wanted, `contexts` what else is looked up, `notes` what is to be said of the
    request. `parent` finds the library's name of the picture that the question brought, if it brought one.
    """

    first: Asking
    fallback: Fallback
    texts: dict[Place, Wanted] = field(default_factory=dict)
    contexts: tuple[Context, ...] = ()
    notes: tuple[str, ...] = ()
    download_media: bool = True
    may_upload: bool = False
    user: str | None = None
    parent: Parent | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def provider(self) -> Provider:
        """Who is asked first."""
        return self.first.candidate.provider

    @property
    def request(self) -> TurnRequest:
        """What it is asked."""
        return self.first.request

    @property
    def seconds(self) -> float | None:
        """How long it may take; None where files may have to be uploaded first: the provider has its time behind it."""
        return None if self.may_upload else self.request.timeout


class Conversations:
    """Takes turns. What a turn used is written to the ledger however it ends."""

    def __init__(
        self,
        providers: ProviderDirectory,
        attachments: Attachments,
        library: MediaLibrary,
        recorder: Recorder,
        settings: ConversationSettings,
        *,
        carrier: Carrier,
        keep_attachments: bool = True,
        buckets: BucketParts | None = None,
        searching: "Searching | None" = None,
        remembering: "Remembering | None" = None,
    ) -> None:
        self.providers = providers
        self._choice = Choice(providers)
        self._attachments = attachments
        self._guard = library.http.guard
        self._keeper = Keeper(library, keep_attachments=keep_attachments)
        self._recorder = recorder
        self._settings = settings
        self._carrier = carrier
        self._means = Means(providers, carrier, buckets, settings)
        self._searching = searching
        self._remembering = remembering

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
            self._guard.check_url(request.base_url)
        contexts, notes = self._contexts(request, user)
        candidates = await self._choice.candidates(request)
        resolved = await self._attachments.resolve(request.messages or (), files, urls, holder)
        incoming = structs.replace(request, messages=None)
        question = self._question(request, tuple(resolved.messages))
        asker = Asker(self._carrier, incoming, question, resolved.files)
        fallback = Fallback(candidates, lambda left: self._choice.pick(left, incoming), asker.ask)
        return Turn(
            first=await fallback.next(),
            fallback=fallback,
            texts=resolved.texts,
            contexts=contexts,
            notes=notes,
            download_media=request.download_media is not False,
            may_upload=bool(resolved.files) and any(map(asker.may_upload, candidates)),
            user=user,
            # begun last: what is refused leaves no trace
            parent=self._keeper.bring(resolved, holder, user),
        )

    async def events(self, turn: Turn, *, raises: bool = False) -> AsyncGenerator[Event, None]:
        """The answer. A failure is its last event, or is raised; closing the iterator closes the connection."""
        measure = self._recorder.begin(turn.provider.name, turn.request.model, asked=len(turn.request.prompt))
        deadline = Deadline.after(turn.request.timeout)
        try:
            async with aclosing(self._answer(turn, deadline)) as answer:
                async for event in answer:
                    measure.see(event)
                    yield event
        except MediaryError as error:
            failure = failure_event(error)
            measure.see(failure)
            if raises:
                raise
            yield failure
        except (asyncio.CancelledError, GeneratorExit):
            if deadline.is_over:
                # who ends it then does so because it is late
                measure.see(failure_event(deadline.error()))
            else:
                measure.leave()
            raise
        finally:
            self._recorder.record(Measured(turn.id, turn.user, measure))

    async def close(self) -> None:
        """Wait a little until what was made is kept and what was used is written, then let the providers go."""
        await self._keeper.close()
        await self._recorder.close()
        await self.providers.close()

    async def _answer(self, turn: Turn, deadline: Deadline) -> AsyncGenerator[Event, None]:
        """The answer of the first one that answers."""
        asking, whom = turn.first, For(turn.id, turn.download_media, turn.user, turn.parent)
        notes = [*filter(None, [turn.fallback.news()]), *turn.notes]
        async with Contexts(turn.contexts, turn.request, lambda: self._share(turn)) as contexts:
            question = Question(turn.texts, contexts, deadline)
            while True:
                attempt = Attempt(self._means, question, asking, left=bool(turn.fallback.left))
                answer = Answer(attempt, whom, self._keeper, contexts)
                for event in answer.opening(notes):
                    yield event
                try:
                    async with aclosing(attempt.events()) as items:
                        async for item in items:
                            if isinstance(item, Media) or type(item) in SPECIAL:
                                for event in await answer.events_of(item):
                                    yield event
                            else:
                                yield item
                    return
                except MediaryError as error:
                    if attempt.begun or not is_passed_on(error):
                        raise
                    turn.fallback.failed(asking.candidate, error)
                if deadline.is_over:
                    raise turn.fallback.error()
                asking = await turn.fallback.next()
                notes = []
                yield self._next(turn, asking)

    def _next(self, turn: Turn, asking: Asking) -> Log:
        """Say who is asked now, and why."""
        why, name = turn.fallback.news(), asking.candidate.provider.name
        logger.warning("another provider is asked", extra={"turn": turn.id, "provider": name, "cause": why})
        return Log(log=f"{why}; {name} is asked")

    async def _share(self, turn: Turn) -> int:
        """The tokens that each context may have, of the smallest window among those who may be asked."""
        windows = [
            await self.providers.window(each.provider, each.model, turn.request.api_key, turn.request.base_url)
            for each in (turn.first.candidate, *turn.fallback.left)
        ]
        return min(windows) // SHARE

    def _contexts(self, request: ConversationRequest, user: str | None) -> tuple[tuple[Context, ...], tuple[str, ...]]:
        """What the request wants looked up, and what is to be said of what cannot be."""
        contexts: list[Context] = []
        notes = []
        if request.memory:
            whose = request.memory if isinstance(request.memory, str) else user
            if not whose:
                raise FieldError("memory", "is somebody's: name it, or send the header x-user")
            if self._remembering:
                contexts.append(self._remembering.context(whose))
            else:
                notes.append(NO_MEMORY)
        if request.web_search:
            if self._searching:
                contexts.append(self._searching.context(request.web_search))
            else:
                notes.append(NO_SEARCH)
        return tuple(contexts), tuple(notes)

    def _question(self, request: ConversationRequest, messages: tuple[Message, ...]) -> TurnRequest:
        """The question, as far as it is the same for all."""
        limits = self._settings
        return TurnRequest(
            model=request.model or "",
            messages=messages,
            options=request.options,
            base_url=request.base_url,
            timeout=min(request.timeout or limits.timeout, limits.timeout),
            stream_timeout=min(request.stream_timeout or limits.stream_timeout, limits.stream_timeout),
        )


def failure_event(error: MediaryError) -> Event:
    """An error as the last event of a turn."""
    if isinstance(error, MissingAuthError):
        return Auth(auth=type(error).__name__, message=error.message)
    failure = Failure(error=type(error).__name__, message=error.message)
    if isinstance(error, RateLimitError) and error.retry_after is not None:
        failure.retry_after = error.retry_after
    return failure
