"""Who can be asked: the providers in the operator's order, the groups of their models, and what models they have."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from difflib import get_close_matches

from mediary.conversations.choice.groups import Groups, read_groups
from mediary.conversations.choice.listings import PATIENCE_SECONDS, Listings
from mediary.conversations.choice.resting import Resting
from mediary.conversations.window import DEFAULT_TOKENS
from mediary.errors import FieldError, MediaryError, NotFoundError
from mediary.providers.base import HasWindow, Model, Provider

ANY = "AnyProvider"
CUSTOM = "Custom"
LOCAL_WIRE = "local"
SEARCH_SECONDS = 10.0
"""How often this machine is looked through for model servers at most, where nobody misses one."""
MISSED_SECONDS = 3.0
"""How old a list, or a look for servers, is at least that is made anew for a model or a provider that is missed."""
_SHOWN = 100  # characters of a name in a message


class ProviderDirectory:
    """The providers by name, in the operator's order; what `discover` finds on this machine comes before the last.

    `groups` is the setting `models`, where `findable` names those that may be found as well; SettingsError where it
    names others.
    """

    def __init__(
        self,
        configured: Mapping[str, Provider],
        custom: Provider,
        discover: Callable[[], Awaitable[Mapping[str, Provider]]] | None = None,
        *,
        groups: Mapping[str, Collection[str]] | None = None,
        findable: Collection[str] = (),
    ) -> None:
        self.custom = custom
        self.groups: Groups = read_groups(groups or {}, [*configured, *findable])
        self.listings = Listings()
        self.resting = Resting()
        self._configured = dict(configured)
        self._discover = discover
        self._found: dict[str, Provider] = {}
        self._missing: set[str] = set()
        self._searched = float("-inf")
        self._searching: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._all().values())

    def _all(self) -> dict[str, Provider]:
        """Configured ones first, then found ones; the `local` wire answers only if nothing else does."""
        last = {name: provider for name, provider in self._configured.items() if provider.wire == LOCAL_WIRE}
        first = {name: provider for name, provider in self._configured.items() if name not in last}
        return first | self._found | last

    def find(self, name: str) -> Provider | None:
        """The provider of that name, in any case."""
        folded = name.casefold()
        return next((each for known, each in self._named().items() if known.casefold() == folded), None)

    def get(self, name: str) -> Provider:
        """The provider of that name, in any case; NotFoundError says which there are."""
        if provider := self.find(name):
            return provider
        shown = name[:_SHOWN]
        near = get_close_matches(shown, self._named(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(self._all())}"
        raise NotFoundError(f"there is no provider {shown!r}; {hint}")

    def _named(self) -> dict[str, Provider]:
        return self._all() | {CUSTOM: self.custom}

    async def discover(self) -> None:
        """Look for model servers on this machine, and wait for what is found."""
        if self._discover:
            await asyncio.shield(self._search())

    def warm(self) -> None:
        """Have the lists asked for that are not made on this machine, before anybody wants to see them."""
        self.listings.refresh(provider for provider in self if provider.wire != LOCAL_WIRE)

    async def list_models(self) -> dict[str, list[Model]]:
        """The models of every provider, as of late; none of one that fails. What is new is looked for meanwhile."""
        if self._discover and time.monotonic() > self._searched + SEARCH_SECONDS:
            self._search()
        providers = list(self)
        listings = await self.listings.of(providers)
        return {provider.name: models for provider, models in zip(providers, listings, strict=True)}

    async def look_again(self, seconds: float) -> None:
        """Look anew for a model that is missed, so many seconds at most."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        await self.look_for_servers(seconds)
        await self.listings.anew(list(self), MISSED_SECONDS, max(0.0, until - loop.time()))

    async def look_for_servers(self, seconds: float) -> None:
        """Look anew for a server on this machine that is missed, so many seconds at most."""
        if self._discover and time.monotonic() > self._searched + MISSED_SECONDS:
            await asyncio.wait([self._search()], timeout=seconds)

    async def models_of(self, provider: Provider, api_key: str | None, base_url: str | None) -> list[Model]:
        """A provider's models; asked anew where the request brings its own key or address."""
        if base_url and provider is not self.custom:
            raise FieldError("x-api-base", f"goes with the provider {CUSTOM} only")
        if provider is self.custom and not base_url:
            return []
        if api_key or base_url:
            return await provider.models(api_key, base_url)
        [models] = await self.listings.of([provider])
        return models

    async def window(self, provider: Provider, model: str, api_key: str | None, base_url: str | None) -> int:
        """How many tokens a model takes: as the operator said, as its provider tells, or as most do."""
        if isinstance(provider, HasWindow) and provider.context_tokens:
            return provider.context_tokens
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                # whose key it is makes no window larger
                models = await self.models_of(provider, api_key if base_url else None, base_url)
        except (MediaryError, TimeoutError):
            models = []
        return next(
            (each.context_tokens for each in models if each.id == model and each.context_tokens), DEFAULT_TOKENS
        )

    def is_live(self, provider: Provider) -> bool:
        """Whether a provider can be expected to answer now."""
        listings, rests = self.listings, self.resting.rests(provider.name)
        return bool(listings.known(provider)) and not listings.is_failing(provider) and not rests

    async def close(self) -> None:
        """Let every provider go of its connections."""
        if self._searching:
            self._searching.cancel()
            await asyncio.wait([self._searching])
        await self.listings.close()
        await asyncio.gather(*(provider.close() for provider in (*self, self.custom)))

    def _search(self) -> "asyncio.Task[None]":
        """The search that is under way, or a new one."""
        if self._searching is None or self._searching.done():
            self._searching = asyncio.create_task(self._look_around(), name="model servers on this machine")
        return self._searching

    async def _look_around(self) -> None:
        assert self._discover
        found = await self._discover()
        self._searched = time.monotonic()
        missed = {name: each for name, each in self._found.items() if name not in found}
        # A busy server may be late once: who is missed twice is gone.
        stay = {name: each for name, each in missed.items() if name not in self._missing}
        self._found = {name: self._found.get(name, each) for name, each in found.items()} | stay
        self._missing = set(missed)
        self.listings.keep(self._all().keys())
        self.listings.refresh(each for each in self._found.values() if not self.listings.has_told(each))
