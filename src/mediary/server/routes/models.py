"""`GET /backend-api/v2/models`, `…/models/<provider>`, `…/providers`: who can be asked for what."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request

from mediary.conversations.directory import ANY, ProviderDirectory
from mediary.providers.base import Model, Provider

KEY_HEADERS = ("x-api-key", "x_api_key")
BASE_HEADERS = ("x-api-base", "x_api_base")
IGNORED_HEADERS = ("x-ignored", "x_ignored")


def model_routes(providers: ProviderDirectory) -> APIRouter:
    """The routes, on these providers."""
    router = APIRouter(prefix="/backend-api/v2", tags=["models and providers"])

    @router.get("/models", summary="Every provider's model ids")
    async def list_all_models() -> dict[str, list[str]]:
        listed = await providers.list_models()
        return {name: [model.id for model in models] for name, models in listed.items()}

    @router.get("/models/{provider}", summary="The models of one provider, or of all and the groups under AnyProvider")
    async def list_models(provider: str, request: Request) -> list[dict[str, Any]]:
        if provider.casefold() == ANY.casefold():
            is_ignored = _ignored(_first(request, IGNORED_HEADERS) or "")
            listed = await providers.list_models()
            return every_model(providers, {name: them for name, them in listed.items() if not is_ignored(name)})
        found = providers.get(provider)
        base_url = _first(request, BASE_HEADERS)
        models = await providers.models_of(found, _first(request, KEY_HEADERS), base_url)
        default = found.default_model or (models[0].id if models else None)
        return [describe_model(model, default) for model in models]

    @router.get("/providers", summary="Every provider and what it can do")
    async def list_providers() -> list[dict[str, Any]]:
        listed = await providers.list_models()
        return [
            describe_provider(provider, listed.get(provider.name, []), live=providers.is_live(provider))
            for provider in providers
        ]

    return router


def every_model(providers: ProviderDirectory, listed: Mapping[str, list[Model]]) -> list[dict[str, Any]]:
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


def describe_model(model: Model, default: str | None) -> dict[str, Any]:
    """A model as clients read it."""
    return {
        "id": model.id,
        "model": model.id,
        "label": model.label or model.id,
        "default": model.id == default,
        "vision": model.vision,
        "audio": model.audio or model.kind == "speech",
        "video": model.video or model.kind == "video",
        "image": model.kind == "image",
        "count": model.count,
        "tags": list(model.tags),
    }


def describe_provider(provider: Provider, models: list[Model], *, live: bool) -> dict[str, Any]:
    """A provider as clients read it; `image`, `audio` and `video` count its models, `live` tells if it may answer."""
    kinds = Counter(model.kind for model in models)
    return {
        "name": provider.name,
        "label": provider.label,
        "parent": None,
        "image": kinds["image"],
        "audio": kinds["speech"] + sum(model.audio for model in models if model.kind != "speech"),
        "video": sum(model.video or model.kind == "video" for model in models),
        "vision": any(model.vision for model in models),
        "auth": provider.needs_key,
        "login_url": None,
        "live": live,
        "active_by_default": True,
        "nodriver": False,
        "hf_space": False,
    }


def _ignored(header: str) -> Callable[[str], bool]:
    """Whether a provider is among those that a header names, parted by commas or blanks; names may have blanks, too."""
    names = f" {' '.join(header.replace(',', ' ').casefold().split())} "
    return lambda name: f" {name.casefold()} " in names


def _first(request: Request, names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := request.headers.get(name))), None)
