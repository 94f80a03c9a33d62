"""Whom a request is for: the providers that can answer it, in the order in which they are asked."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mediary.conversations.choice.directory import ANY, CUSTOM, LOCAL_WIRE, ProviderDirectory
from mediary.conversations.choice.groups import Member
from mediary.conversations.choice.listings import PATIENCE_SECONDS
from mediary.conversations.request import ConversationRequest
from mediary.errors import FieldError, ModelNotFoundError, NotFoundError
from mediary.providers.base import Provider

UNNAMED = ("chat", "image", "video")
"""What a model makes that is asked without having been named; nobody wants a question read out."""
_SHOWN = 100  # characters of a name in a message


@dataclass(slots=True, frozen=True)
class Candidate:
    """A provider and the model to ask of it."""

    provider: Provider
    model: str


def named(request: ConversationRequest) -> str | None:
    """The name of the one provider that is asked for, if one is."""
    return None if (request.provider or ANY).casefold() == ANY.casefold() else request.provider


class Choice:
    """The choice among providers. It waits a second at most for those that have not told yet what they have."""

    def __init__(self, providers: ProviderDirectory) -> None:
        self._providers = providers
        self._listings = providers.listings

    async def candidates(self, request: ConversationRequest) -> list[Candidate]:
        """Who can answer, at least one, in the operator's order; raises why nobody can.

        A key that comes with a request, and is for nobody by name, is shown to one provider, so that there is no other.
        """
        if request.base_url and (request.provider or "").casefold() != CUSTOM.casefold():
            raise FieldError("base_url", f"goes with the provider {CUSTOM} only")
        if name := named(request):
            return [await self._of(await self._provider(name), request)]
        found = await (self._having(request.model) if request.model else self._defaults())
        return found[:1] if request.api_key and isinstance(request.api_key, str) else found

    def pick(self, candidates: Sequence[Candidate], request: ConversationRequest) -> Candidate:
        """Whom to ask first among some: who rests comes last, unless the request brings a key for it."""
        resting = self._providers.resting
        names = ((each, each.provider.name) for each in candidates)
        awake = (each for each, name in names if request.key_for(name) or resting.lets_pass(name))
        return next(awake, candidates[0])

    async def _provider(self, name: str) -> Provider:
        """The provider of that name; a server that was started just now is looked for."""
        if self._providers.find(name) is None:
            await self._providers.look_for_servers(PATIENCE_SECONDS)
        return self._providers.get(name)

    async def _of(self, provider: Provider, request: ConversationRequest) -> Candidate:
        """What a named provider is asked for."""
        model = request.model
        if provider is self._providers.custom:
            if not request.base_url:
                raise FieldError("base_url", f"is needed with the provider {CUSTOM}")
            if not model:
                raise FieldError("model", f"is needed with the provider {CUSTOM}")
            return Candidate(provider, model)
        if not model:
            await self._listings.of([] if provider.default_model else [provider])
            if default := self._default(provider):
                return Candidate(provider, default)
            raise ModelNotFoundError(f"{provider.name} lists no models: name one in `model`")
        if model in self._providers.groups and not await self._has(provider, model):
            raise FieldError(
                "model", f"{model!r} is a group of models, which has its own providers: leave `provider` out"
            )
        return Candidate(provider, model)

    async def _has(self, provider: Provider, model: str) -> bool:
        """Whether a provider has a model that is called like a group."""
        if Member(provider.name, model) in self._providers.groups[model]:
            return True
        await self._listings.of([provider])
        return self._lists(provider, model)

    async def _defaults(self) -> list[Candidate]:
        """The default models that converse, else those that show something; `local` for want of others."""
        providers = list(self._providers)
        others = [each for each in providers if each.wire != LOCAL_WIRE]
        await self._listings.of(others)
        for some in (others, providers):
            found = [Candidate(each, default) for each in some if (default := self._default(each))]
            for kind in UNNAMED:
                if alike := [each for each in found if self._kind(each) == kind]:
                    return alike
        raise ModelNotFoundError("no provider has a default model that could answer: name one in `model`")

    def _default(self, provider: Provider) -> str | None:
        """Its default model, or the first that it lists."""
        return provider.default_model or next((model.id for model in self._listings.known(provider)), None)

    def _kind(self, candidate: Candidate) -> str:
        """What its model makes, as far as that is known."""
        known = self._listings.known(candidate.provider)
        return next((model.kind for model in known if model.id == candidate.model), "chat")

    async def _having(self, model: str) -> list[Candidate]:
        """Those that have a model, or the members of a group."""
        if model in self._providers.groups:
            return await self._members(model)
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_SECONDS
        await self._listings.of(list(self._providers))
        found = list(self._listing(model))
        if not found:
            await self._providers.look_again(max(0.0, until - loop.time()))
            found = list(self._listing(model))
        untold = [each for each in self._providers if not self._listings.has_told(each)]
        found += [Candidate(each, model) for each in untold if each.default_model == model]
        if not found:
            raise ModelNotFoundError(_nobody(model, untold))
        return found

    def _listing(self, model: str) -> Iterator[Candidate]:
        """Those that are known to have a model."""
        return (Candidate(each, model) for each in self._providers if self._lists(each, model))

    def _lists(self, provider: Provider, model: str) -> bool:
        return any(listed.id == model for listed in self._listings.known(provider))

    async def _members(self, group: str) -> list[Candidate]:
        """The members of a group whose providers are there."""
        members = self._providers.groups[group]
        if not all(self._providers.find(member.provider) for member in members):
            await self._providers.look_for_servers(PATIENCE_SECONDS)
        there = ((self._providers.find(member.provider), member.model) for member in members)
        found = [Candidate(provider, model) for provider, model in there if provider]
        if not found:
            missing = ", ".join(dict.fromkeys(member.provider for member in members))
            raise NotFoundError(f"no provider of the group {group!r} is there: {missing}")
        return found


def _nobody(model: str, untold: Iterable[Provider]) -> str:
    """That no provider has a model, and who could not tell."""
    names = ", ".join(provider.name for provider in untold)
    hint = f"{names} could not tell what they have" if names else "GET /backend-api/v2/models lists what there is"
    return f"no provider has the model {model[:_SHOWN]!r}; {hint}"
