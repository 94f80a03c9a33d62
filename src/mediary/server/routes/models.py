"""`GET /backend-api/v2/models`, `…/models/<provider>`, `…/providers`: who can be asked for what."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from mediary.conversations.choice.directory import ANY, ProviderDirectory
from mediary.providers.base import Model, Provider
from mediary.server.openapi import ERROR, in_header

KEY_HEADERS = ("x-api-key", "x_api_key")
BASE_HEADERS = ("x-api-base", "x_api_base")
IGNORED_HEADERS = ("x-ignored", "x_ignored")
_HEADERS = {
    "parameters": [
        in_header("x-api-key", "The provider's key, in the place of the one of the settings"),
        in_header("x-api-base", "Where to ask; for the provider `Custom` only"),
        in_header("x-ignored", "Providers to leave out of `AnyProvider`, with commas or blanks between"),
    ]
}


@dataclass(frozen=True)
class ModelEntry:
    """A model of a provider."""

    id: str
    model: str
    """The same as `id`"""
    label: str
    default: bool
    """Whether it answers when no model is named"""
    vision: bool
    audio: bool
    video: bool
    image: bool
    count: int
    tags: tuple[str, ...]


@dataclass(frozen=True)
class ProviderEntry:
    """A provider; `image`, `audio` and `video` count its models that make such."""

    name: str
    label: str
    parent: str | None
    image: int
    audio: int
    video: int
    vision: bool
    """Whether a model of it can see"""
    auth: bool
    """Whether it needs a key"""
    login_url: str | None
    live: bool
    """Whether it can be expected to answer now"""
    active_by_default: bool
    nodriver: bool
    hf_space: bool


def model_routes(providers: ProviderDirectory) -> APIRouter:
    """The routes, on these providers."""
    router = APIRouter(prefix="/backend-api/v2", tags=["models and providers"])

    @router.get("/models", summary="Every provider's model ids")
    async def list_all_models() -> dict[str, list[str]]:
        listed = await providers.list_models()
        return {name: [model.id for model in models] for name, models in listed.items()}

    @router.get(
        "/models/{provider}",
        summary="The models of one provider, or of all and the groups under AnyProvider",
        response_model=list[ModelEntry],
        responses=dict.fromkeys((400, 404, 429, 502, 504), ERROR),
        openapi_extra=_HEADERS,
    )
    async def list_models(provider: str, request: Request) -> Response:
        if provider.casefold() == ANY.casefold():
            is_ignored = _ignored(_first(request, IGNORED_HEADERS) or "")
            listed = await providers.list_models()
            return _answer(
                every_model(providers, {name: them for name, them in listed.items() if not is_ignored(name)})
            )
        found = providers.get(provider)
        base_url = _first(request, BASE_HEADERS)
        models = await providers.models_of(found, _first(request, KEY_HEADERS), base_url)
        default = found.default_model or (models[0].id if models else None)
        return _answer([describe_model(model, default) for model in models])

    @router.get("/providers", summary="Every provider and what it can do", response_model=list[ProviderEntry])
    async def list_providers() -> Response:
        listed = await providers.list_models()
        return _answer(
            [
                describe_provider(provider, listed.get(provider.name, []), live=providers.is_live(provider))
                for provider in providers
            ]
        )

    return router


def every_model(providers: ProviderDirectory, listed: Mapping[str, list[Model]]) -> list[ModelEntry]:
    """The groups, then every model of some providers, once each; a group looks like the first of its models."""
    once: dict[str, Model] = {}
    for group, members in providers.groups.items():
        for member in members:
            if member.provider in listed:
                known = next((model for model in listed[member.provider] if model.id == member.model), None)
                once.setdefault(group, replace(known or Model(member.model), id=group, label=group, tags=("group",)))
    for models in listed.values():
        for model in models:
            once.setdefault(model.id, model)
    return [describe_model(model, default=None) for model in once.values()]


def describe_model(model: Model, default: str | None) -> ModelEntry:
    """A model as clients read it."""
    return ModelEntry(
        id=model.id,
        model=model.id,
        label=model.label or model.id,
        default=model.id == default,
        vision=model.vision,
        audio=model.audio or model.kind == "speech",
        video=model.video or model.kind == "video",
        image=model.kind == "image",
        count=model.count,
        tags=model.tags,
    )


def describe_provider(provider: Provider, models: list[Model], *, live: bool) -> ProviderEntry:
    """A provider as clients read it."""
    kinds = Counter(model.kind for model in models)
    return ProviderEntry(
        name=provider.name,
        label=provider.label,
        parent=None,
        image=kinds["image"],
        audio=kinds["speech"] + sum(model.audio for model in models if model.kind != "speech"),
        video=sum(model.video or model.kind == "video" for model in models),
        vision=any(model.vision for model in models),
        auth=provider.needs_key,
        login_url=None,
        live=live,
        active_by_default=True,
        nodriver=False,
        hf_space=False,
    )


def _ignored(header: str) -> Callable[[str], bool]:
    """Whether a provider is among those that a header names, parted by commas or blanks; names may have blanks, too."""
    names = f" {' '.join(header.replace(',', ' ').casefold().split())} "
    return lambda name: f" {name.casefold()} " in names


def _first(request: Request, names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := request.headers.get(name))), None)


def _answer(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
