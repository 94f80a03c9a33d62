"""What models providers have, as of late: asked for in the background, so that no request waits long."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from mediary.errors import MediaryError
from mediary.providers.base import Model, Provider

PATIENCE_SECONDS = 1.0
"""How long a request waits for lists that nobody has yet."""
FRESH_SECONDS = 60.0
"""How long a list is taken as it is; after that it is asked for anew, behind the request."""
KEPT_SECONDS = 600.0
"""How long the last list of a provider stands in for one that cannot be had."""
FAILURE_SECONDS = 10.0
"""How long a provider that could not list its models is not asked again."""
LISTING_SECONDS = 20.0
"""How long a provider may take to list its models."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class _Listing:
    """The models that a provider told; when it did, and when it was asked last, in monotonic seconds."""

    models: list[Model]
    asked: float
    told: float | None = None
    failing: bool = False

    @property
    def due(self) -> float:
        """When to ask again."""
        return self.asked + (FAILURE_SECONDS if self.failing else FRESH_SECONDS)

    def is_at_hand(self, now: float) -> bool:
        """Whether it can be taken as it is, while it is asked for anew at most."""
        return self.failing if self.told is None else now < self.told + KEPT_SECONDS

    def without_answer(self, now: float) -> "_Listing":
        """What is left of it when the provider cannot say any more what it has."""
        if self.told is None or now >= self.told + KEPT_SECONDS:
            return _Listing([], now, failing=True)
        return _Listing(self.models, now, self.told, failing=True)


@dataclass(slots=True, frozen=True)
class _Asking:
    """A provider being asked since `began`, in monotonic seconds."""

    task: "asyncio.Task[None]"
    began: float


_UNKNOWN = _Listing([], asked=float("-inf"))


class Listings:
    """The lists of models, by the names of their providers; `now` tells the time, in monotonic seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known: dict[str, _Listing] = {}
        self._asking: dict[str, _Asking] = {}

    def known(self, provider: Provider) -> list[Model]:
        """The provider's models, as far as they are known now."""
        return self._listing(provider).models

    def has_told(self, provider: Provider) -> bool:
        """Whether the provider has said what it has, not too long ago."""
        return self._listing(provider).told is not None

    def is_failing(self, provider: Provider) -> bool:
        """Whether the provider could not say what it has when it was last asked."""
        return self._listing(provider).failing

    async def of(self, providers: Collection[Provider]) -> list[list[Model]]:
        """Their models. Where no list is at hand it is waited for, a second at most from when it was asked for."""
        waited = [asking for provider in providers if (asking := self._look(provider))]
        if waited:
            seconds = max(asking.began for asking in waited) + PATIENCE_SECONDS - self._now()
            await asyncio.wait([asking.task for asking in waited], timeout=max(0.0, seconds))
        return [self.known(provider) for provider in providers]

    async def anew(self, providers: Collection[Provider], age: float, seconds: float) -> None:
        """Ask again whose list is older than `age` seconds, and wait for all at most so many seconds."""
        now = self._now()
        self.refresh(each for each in providers if self._listing(each).asked + age < now)
        if waited := [asking.task for each in providers if (asking := self._asking.get(each.name))]:
            await asyncio.wait(waited, timeout=seconds)

    def refresh(self, providers: Iterable[Provider]) -> None:
        """Ask them behind everybody's back."""
        for provider in providers:
            self._refresh(provider)

    def keep(self, names: Collection[str]) -> None:
        """Forget the lists of all others."""
        self._known = {name: listing for name, listing in self._known.items() if name in names}

    async def close(self) -> None:
        """Stop asking."""
        asking = [each.task for each in self._asking.values()]
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)

    def _listing(self, provider: Provider) -> _Listing:
        return self._known.get(provider.name, _UNKNOWN)

    def _look(self, provider: Provider) -> _Asking | None:
        """Ask again where it is due; the asking that is worth waiting for, if there is one."""
        listing, now = self._listing(provider), self._now()
        asking = self._refresh(provider) if listing.due <= now else self._asking.get(provider.name)
        return None if listing.is_at_hand(now) else asking

    def _refresh(self, provider: Provider) -> _Asking:
        asking = self._asking.get(provider.name)
        if asking is None:
            task = asyncio.create_task(self._ask(provider), name=f"models of {provider.name}")
            asking = self._asking[provider.name] = _Asking(task, self._now())
            task.add_done_callback(lambda _: self._asking.pop(provider.name, None))
        return asking

    async def _ask(self, provider: Provider) -> None:
        try:
            async with asyncio.timeout(LISTING_SECONDS):
                models = await provider.models()
        except (MediaryError, TimeoutError) as error:
            cause = str(error) or f"no answer within {LISTING_SECONDS:g} seconds"
            logger.warning("models cannot be listed", extra={"provider": provider.name, "cause": cause})
            self._known[provider.name] = self._listing(provider).without_answer(self._now())
        else:
            now = self._now()
            self._known[provider.name] = _Listing(models, now, told=now)
