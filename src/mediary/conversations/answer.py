"""What an answer holds besides words: media are kept before anybody hears of them, and its end is put together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mediary.conversations.attempt import Attempt
from mediary.conversations.contexts.bringing import Contexts
from mediary.conversations.keeping.keeper import Keeper, Parent
from mediary.conversations.state import StateOfTurn
from mediary.errors import BadRequestError, ProviderError, TooLargeError, UnsupportedTypeError
from mediary.events import (
    Content,
    ConversationState,
    Event,
    Finish,
    Log,
    Media,
    Parameters,
    ProviderChosen,
    ProviderInfo,
    ToolCalls,
    Usage,
)

SPECIAL = frozenset({ConversationState, ToolCalls, Usage, Finish})
"""Events that are not passed on as they come; a set, for each event of each stream is looked up in it."""
UNUSABLE = (BadRequestError, UnsupportedTypeError, TooLargeError)
"""What is wrong with made media themselves, rather than with the store: it costs that item alone."""


@dataclass(slots=True, frozen=True)
class For:
    """What an answer is for: `download` says whether URLs of the provider's are fetched, `owner` is a label."""

    turn: str
    download: bool
    owner: str | None
    parent: Parent | None


class Answer:
    """The answer of one attempt, as far as it is not simply passed on."""

    def __init__(self, attempt: Attempt, whom: For, keeper: Keeper, contexts: Contexts) -> None:
        self._attempt = attempt
        self._whom = whom
        self._keeper = keeper
        self._contexts = contexts
        self._state = StateOfTurn(attempt.provider.name, whom.turn)
        self._kept = False
        self._calls = False
        self._closed = False
        self._lost: ProviderError | None = None

    def opening(self, notes: Iterable[str]) -> Iterator[Event]:
        """Who is asked and with what, and what there is to say of that."""
        provider, request = self._attempt.provider, self._attempt.request
        yield ProviderChosen(
            provider=ProviderInfo(name=provider.name, label=provider.label, url=provider.url, model=request.model)
        )
        yield Parameters(parameters={"model": request.model, **request.options})
        yield self._state.event()
        for note in notes:
            yield Log(log=note)

    async def events_of(self, item: Event | Media) -> list[Event]:
        """What becomes of something special."""
        match item:
            case Media():
                return await self._keep(item)
            case ConversationState():
                return [self._state.merge(item)]
            case ToolCalls():
                self._calls = True
            case Finish() if self._lost and not self._kept:
                raise self._lost
            case Usage() | Finish():
                return [*self._closing(), item]
        return [item]

    def _closing(self) -> list[Event]:
        """What contexts want said at the end, unless the answer is to go on with the results of tools."""
        closing = "" if self._closed or self._calls else self._contexts.closing
        self._closed = True
        return [Content(content=closing)] if closing else []

    async def _keep(self, media: Media) -> list[Event]:
        attempt, whom = self._attempt, self._whom
        try:
            events = await self._keeper.keep(
                media,
                attempt.provider,
                attempt.request,
                download=whom.download,
                owner=whom.owner,
                parent=whom.parent,
            )
        except UNUSABLE as error:
            self._lost = ProviderError(f"{attempt.provider.name} made what cannot be kept: {error.message}")
            return [Log(log=self._lost.message)]
        self._kept = True
        return events
