"""One provider being asked: what its question needs is brought to it, and then it answers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from mediary.conversations.attaching.bucket_parts import BucketParts, Wanted
from mediary.conversations.attaching.carry import Carrier
from mediary.conversations.attaching.places import Place, filled
from mediary.conversations.attaching.trip import Carried, Plan
from mediary.conversations.choice.asking import Asking
from mediary.conversations.choice.directory import ProviderDirectory
from mediary.conversations.contexts.bringing import Contexts, together
from mediary.errors import ProviderError, ProviderTimeoutError
from mediary.events import ConversationState, Event, Log, Media, Reasoning
from mediary.providers.base import Part, Text, TurnRequest
from mediary.settings import ConversationSettings


@dataclass(slots=True)
class Deadline:
    """Until when a turn may take, in the loop's time; `seconds` is all that it had."""

    seconds: float
    until: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """So many seconds from now on."""
        return cls(seconds, _now() + seconds)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self.until <= _now()

    @property
    def left(self) -> float:
        """The seconds that are left; ProviderTimeoutError when there are none."""
        left = self.until - _now()
        if left <= 0:
            raise self.error()
        return left

    def error(self) -> ProviderTimeoutError:
        """That the turn is late."""
        return ProviderTimeoutError(f"the turn took longer than {self.seconds:g} seconds")


@dataclass(slots=True, frozen=True)
class Means:
    """What every attempt needs: where files, texts and windows come from, and the limits of the settings."""

    providers: ProviderDirectory
    carrier: Carrier
    buckets: BucketParts | None
    settings: ConversationSettings


@dataclass(slots=True)
class Question:
    """What a turn asks, whoever is asked: texts of buckets are wanted, contexts are on their way."""

    texts: dict[Place, Wanted]
    contexts: Contexts
    deadline: Deadline
    found: "_Found | None" = None


@dataclass(slots=True, frozen=True)
class _Found:
    """The texts of buckets that fit into a window of so many tokens, and so many bytes."""

    tokens: int
    size: int
    texts: dict[Place, list[Text]] = field(default_factory=dict)


class Attempt:
    """The question of a turn on its way to one provider. `begun` says that something of an answer has come.

    Unless nobody is `left` to ask, it may be silent for half the time that there is.
    """

    def __init__(self, means: Means, question: Question, asking: Asking, *, left: bool) -> None:
        self.provider = asking.candidate.provider
        self.request = asking.request
        self.begun = False
        self._means = means
        self._question = question
        self._plan = asking.plan
        self._left = left
        self._carried = Carried(means.settings.max_attachment_bytes)

    async def events(self) -> AsyncGenerator[Event | Media, None]:
        """The answer; the provider is asked again where it does not know uploads that we remembered, once for each."""
        async with aclosing(self._bring()) as bringing:
            async for log in bringing:
                yield log
        renewed: set[Place] = set()
        while True:
            asked = self._filled()
            patience = asked.timeout / 2 if self._left else None
            try:
                async with aclosing(self.provider.converse(asked)) as answer:
                    async with aclosing(self._opening(answer, patience)) as opening:
                        async for item in opening:
                            yield item
                    async for item in answer:
                        yield item
                self._finish()
                return
            except ProviderError as error:
                lost = self._lost(error) - renewed
                if not lost:
                    self._fail(error, min(asked.timeout, asked.stream_timeout, patience or asked.timeout))
                    raise
            renewed |= lost
            async with aclosing(self._carry_again(lost)) as carrying:
                async for log in carrying:
                    yield log

    async def _opening(
        self, answer: AsyncGenerator[Event | Media, None], patience: float | None
    ) -> AsyncGenerator[Event | Media, None]:
        """All up to the first of an answer. Word of what goes on shows life: the waiting begins anew."""
        while not self.begun:
            try:
                async with asyncio.timeout(patience):
                    item = await anext(answer, None)
            except TimeoutError:
                waited = round(patience or 0.0, 1)
                raise ProviderTimeoutError(f"{self.provider.name}: no answer within {waited:g} seconds") from None
            if item is None:
                return
            if _is_answer(item):
                self._begin()
            yield item

    def _filled(self) -> TurnRequest:
        """The question with all that was brought, and the time that is left."""
        found = self._question.found.texts if self._question.found else {}
        parts: dict[Place, Sequence[Part]] = {**self._carried.parts, **found, **self._question.contexts.parts}
        left = self._question.deadline.left
        if not parts:
            return replace(self.request, timeout=left)
        messages = filled(self.request.messages, parts)
        return replace(self.request, messages=messages, headers=self._carried.headers, timeout=left)

    async def _bring(self) -> AsyncGenerator[Log, None]:
        """Bring files, contexts and texts of buckets. What is made is kept without them: they are no prompt."""
        works = [self._question.contexts.logs()]
        if self._plan:
            works.append(self._carry(self._plan))
        async with aclosing(together(*works) if len(works) > 1 else works[0]) as bringing:
            async for log in bringing:
                yield log
        if self._question.texts:
            async with aclosing(self._bring_texts()) as bringing:
                async for log in bringing:
                    yield log

    async def _carry(self, plan: Plan) -> AsyncGenerator[Log, None]:
        """Carry the files; the time of uploads is not the turn's."""
        began = _now()
        async with aclosing(self._means.carrier.carry(plan)) as carrying:
            async for carried in carrying:
                if isinstance(carried, Carried):
                    self._carried = carried
                else:
                    yield carried
        if plan.may_upload:
            self._question.deadline.until += _now() - began

    async def _carry_again(self, lost: set[Place]) -> AsyncGenerator[Log, None]:
        assert self._plan
        began = _now()
        async with aclosing(self._means.carrier.carry_again(self._plan, self._carried, lost)) as carrying:
            async for log in carrying:
                yield log
        self._question.deadline.until += _now() - began

    async def _bring_texts(self) -> AsyncGenerator[Log, None]:
        """Bring texts of buckets, unless those that were brought for another provider fit here as well."""
        assert self._means.buckets, "without buckets there are no places for their texts"
        request = self._filled()
        window = await self._means.providers.window(self.provider, request.model, request.api_key, request.base_url)
        known, left = self._question.found, self._carried.left
        if known and known.tokens <= window and known.size <= left:
            return
        self._question.found = None
        finding = self._means.buckets.bring(self._filled(), self._question.texts, window, left)
        async with aclosing(finding):
            async for found in finding:
                if isinstance(found, Log):
                    yield found
                else:
                    self._question.found = _Found(window, left, found)

    def _lost(self, error: ProviderError) -> set[Place]:
        """Remembered uploads that the provider does not know any more, going by what it says."""
        if self.begun or self._plan is None:
            return set()
        return set(self._means.carrier.lost(self._plan, self._carried, error.message))

    @property
    def _counts(self) -> bool:
        """Whether what happens says anything of the provider as the operator set it up."""
        return not (self.request.api_key or self.request.base_url)

    def _begin(self) -> None:
        self.begun = True
        if self._counts:
            self._means.providers.resting.began(self.provider.name)

    def _finish(self) -> None:
        if self._counts:
            self._means.providers.resting.finished(self.provider.name)

    def _fail(self, error: ProviderError, seconds: float) -> None:
        """Remember it, unless the provider had less time than the operator gives it: some clients are in a hurry."""
        hurried = seconds < self._means.settings.stream_timeout
        if self._counts and not (hurried and isinstance(error, ProviderTimeoutError)):
            self._means.providers.resting.failed(self.provider.name, error)


def _is_answer(item: Event | Media) -> bool:
    """Whether it is more than word of what goes on, such as a model being loaded."""
    if isinstance(item, Reasoning):
        return bool(item.token)
    return not isinstance(item, Log | ConversationState)


def _now() -> float:
    return asyncio.get_running_loop().time()
