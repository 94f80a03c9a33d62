"""Which models there are, and what each takes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mediary.providers.anthropic.wire import ListedModel
from mediary.providers.base import Model
from mediary.settings import ProviderSettings


@dataclass(slots=True, frozen=True)
class Told:
    """What the service tells of a model: `max_tokens` is the length of its longest answer."""

    model: Model
    max_tokens: int | None = None


def known_model(model: str) -> Model:
    """A model of which nothing is known but its id."""
    return Model(model, vision="claude" in model.casefold())


def told_of(entries: Iterable[ListedModel]) -> dict[str, Told]:
    """What a list says, by id and in its order."""
    return {entry.id: Told(_model(entry.id, entry), entry.max_tokens or None) for entry in entries if entry.id}


def _model(model: str, entry: ListedModel) -> Model:
    known = replace(known_model(model), label=entry.display_name, context_tokens=entry.max_input_tokens or None)
    pictures = entry.capabilities.image_input if entry.capabilities else None
    if pictures is None or pictures.supported is None:
        return known
    return replace(known, vision=pictures.supported)


def configured_models(settings: ProviderSettings, told: dict[str, Told]) -> list[Model]:
    """The models to offer: those told and those of the settings, in the settings' words, the default first."""
    found = {name: known.model for name, known in told.items()}
    for name in (*settings.models, *settings.vision_models):
        found.setdefault(name, known_model(name))
    if default := settings.default_model:
        found = {default: found.get(default) or known_model(default)} | found
    return [
        replace(
            model,
            vision=model.vision or model.id in settings.vision_models,
            context_tokens=settings.context_tokens or model.context_tokens,
        )
        for model in found.values()
    ]
