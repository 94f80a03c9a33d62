"""Who can be asked: the providers in the operator's order, what models they have, and the choice among them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from mediary.conversations.window import DEFAULT_TOKENS
from mediary.errors import FieldError, MediaryError, ModelNotFoundError, NotFoundError
from mediary.providers.base import HasWindow, Model, Provider

ANY = "AnyProvider"
CUSTOM = "Custom"
LISTING_TIMEOUT = 5.0
"""Seconds that a provider may take to list its models."""
LISTING_AGE = 60.0
"""Seconds for which a list holds."""
FAILURE_AGE = 10.0
"""Seconds for which a provider that could not list its models is not asked again."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Listing:
    """The models of a provider, and until when that holds (monotonic seconds)."""

    models: list[Model]
    until: float


class ProviderDirectory:
    """The providers by name, in the operator's order; what `discover` finds on this machine comes before the last."""

    def __init__(
        self,
        configured: Mapping[str, Provider],
        custom: Provider,
        discover: Callable[[], Awaitable[Mapping[str, Provider]]] | None = None,
    ) -> None:
        self._configured = dict(configured)
        self._custom = custom
        self._discover = discover
        self._found: dict[str, Provider] = {}
        self._listings: dict[str, Listing] = {}
        self._asking: dict[str, asyncio.Task[list[Model]]] = {}

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._all().values())

    def _all(self) -> dict[str, Provider]:
        """Configured ones first, then found ones; the `local` wire answers only if nothing else does."""
        last = {name: provider for name, provider in self._configured.items() if provider.wire == "local"}
        first = {name: provider for name, provider in self._configured.items() if name not in last}
        return first | self._found | last

    def get(self, name: str) -> Provider:
        """The provider of that name, in any case; NotFoundError says which there are."""
        known = self._all() | {CUSTOM: self._custom}
        by_folded = {known_name.casefold(): provider for known_name, provider in known.items()}
        if provider := by_folded.get(name.casefold()):
            return provider
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(self._all())}"
        raise NotFoundError(f"there is no provider {name!r}; {hint}")

    async def discover(self) -> None:
        """Look again for model servers on this machine."""
        if self._discover:
            found = await self._discover()
            self._found = {name: self._found.get(name, provider) for name, provider in found.items()}
            self._listings = {name: listing for name, listing in self._listings.items() if name in self._all()}

    async def list_models(self) -> dict[str, list[Model]]:
        """The models of every provider; one that fails or is slow has none."""
        await self.discover()
        providers = list(self)
        listings = await self._listings_of(providers)
        return {provider.name: models for provider, models in zip(providers, listings, strict=True)}

    async def _listings_of(self, providers: Iterable[Provider]) -> list[list[Model]]:
        return await asyncio.gather(*map(self._listed, providers))

    async def models_of(self, provider: Provider, api_key: str | None, base_url: str | None) -> list[Model]:
        """A provider's models; asked anew where the request brings its own key or address."""
        if base_url and provider is not self._custom:
            raise FieldError("x-api-base", f"goes with the provider {CUSTOM} only")
        if provider is self._custom and not base_url:
            return []
        return await (provider.models(api_key, base_url) if api_key or base_url else self._listed(provider))

    async def _listed(self, provider: Provider) -> list[Model]:
        """A provider's models as of the last minute; none when it cannot say. Who asks meanwhile waits for the same."""
        known = self._listings.get(provider.name)
        if known and time.monotonic() < known.until:
            return known.models
        asking = self._asking.get(provider.name)
        if asking is None:
            asking = self._asking[provider.name] = asyncio.create_task(self._ask(provider))
            asking.add_done_callback(lambda _: self._asking.pop(provider.name, None))
        return await asyncio.shield(asking)

    async def _ask(self, provider: Provider) -> list[Model]:
        age = LISTING_AGE
        try:
            async with asyncio.timeout(LISTING_TIMEOUT):
                models = await provider.models()
        except (MediaryError, TimeoutError) as error:
            cause = str(error) or f"no answer within {LISTING_TIMEOUT:g} seconds"
            logger.warning("models cannot be listed", extra={"provider": provider.name, "cause": cause})
            models, age = [], FAILURE_AGE
        self._listings[provider.name] = Listing(models, time.monotonic() + age)
        return models

    async def choose(self, name: str | None, model: str | None, base_url: str | None) -> tuple[Provider, str]:
        """The provider and the model for a request, where either may be missing."""
        if base_url and (name or "").casefold() != CUSTOM.casefold():
            raise FieldError("base_url", f"goes with the provider {CUSTOM} only")
        if name and name.casefold() != ANY.casefold():
            return await self._with_model(self.get(name), model, base_url)
        if not model:
            return await self._with_model(next(iter(self)), None, None)
        providers = list(self)
        for provider, models in zip(providers, await self._listings_of(providers), strict=True):
            if any(listed.id == model for listed in models):
                return provider, model
        raise ModelNotFoundError(f"no provider has the model {model!r}; GET /backend-api/v2/models lists what there is")

    async def _with_model(self, provider: Provider, model: str | None, base_url: str | None) -> tuple[Provider, str]:
        if provider is self._custom and not base_url:
            raise FieldError("base_url", f"is needed with the provider {CUSTOM}")
        if chosen := model or provider.default_model:
            return provider, chosen
        if provider is self._custom:
            raise FieldError("model", f"is needed with the provider {CUSTOM}")
        models = await self._listed(provider)
        if not models:
            raise ModelNotFoundError(f"{provider.name} lists no models: name one in `model`")
        return provider, models[0].id

    async def window(self, provider: Provider, model: str, api_key: str | None, base_url: str | None) -> int:
        """How many tokens a model takes: as the operator said, as its provider tells, or as most do."""
        if isinstance(provider, HasWindow) and provider.context_tokens:
            return provider.context_tokens
        try:
            async with asyncio.timeout(LISTING_TIMEOUT):
                models = await self.models_of(provider, api_key, base_url)
        except (MediaryError, TimeoutError):
            models = []
        return next(
            (each.context_tokens for each in models if each.id == model and each.context_tokens), DEFAULT_TOKENS
        )

    async def close(self) -> None:
        """Let every provider go of its connections."""
        await asyncio.gather(*(provider.close() for provider in (*self, self._custom)))
