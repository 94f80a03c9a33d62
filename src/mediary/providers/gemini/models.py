"""Which models there are and what each makes, out of what `/models` tells and of their ids."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from mediary.providers.base import Kind, Model
from mediary.providers.gemini.wire import ListedModel
from mediary.settings import ProviderSettings

# What a model makes, by its id: the first that matches. None is a model that holds no conversation.
_KINDS: tuple[tuple[str, Kind | None], ...] = (
    ("*embedding*", None),
    ("aqa", None),
    ("imagen-*", None),
    ("veo-*", "video"),
    ("lyria-*", None),
    ("*-live*", None),
    ("*native-audio*", None),
    ("*-tts*", "speech"),
    ("*image*", "image"),
    ("nano-banana*", "image"),
)

_thinks = re.compile(r"gemini-(?:2\.5|[3-9]|\d\d|flash|pro)")
_sees = re.compile(r"gemini|gemma-(?:3(?!-1b)|[4-9])|learnlm|robotics|computer-use")
_hears = re.compile(r"gemini|gemma-3n")


@dataclass(slots=True, frozen=True)
class Told:
    """What is known of a model; `thinks` is None where nobody told."""

    model: Model
    thinks: bool | None = None


def bare(model: str) -> str:
    """The id that people write: `models/` stands before every one."""
    return model.removeprefix("models/")


def kind_by_id(model: str) -> Kind | None:
    """What a model makes, going by its id alone."""
    name = model.rpartition("/")[2].casefold()
    return next((kind for pattern, kind in _KINDS if fnmatchcase(name, pattern)), "chat")


def thinks_by_id(model: str) -> bool:
    """Whether a model thinks before it answers, going by its id alone."""
    return kind_by_id(model) == "chat" and bool(_thinks.search(model.casefold()))


def known_model(model: str) -> Model:
    """A model of which nothing is known but its id."""
    name, kind = model.casefold(), kind_by_id(model) or "chat"
    vision = kind in ("image", "video") or (kind == "chat" and bool(_sees.search(name)))
    return Model(model, kind, vision=vision, audio=kind == "chat" and bool(_hears.search(name)))


def told_of(entries: Iterable[ListedModel]) -> dict[str, Told]:
    """What a list says of those that answer, by id and in its order."""
    told = {}
    for entry in entries:
        model = bare(entry.name or "")
        kind, methods = kind_by_id(model), entry.supported_generation_methods
        method = "predictLongRunning" if kind == "video" else "generateContent"
        if not model or kind is None or (methods is not None and method not in methods):
            continue
        known = replace(known_model(model), label=entry.display_name, context_tokens=entry.input_token_limit or None)
        told[model] = Told(known, entry.thinking)
    return told


def configured_models(settings: ProviderSettings, told: dict[str, Told]) -> list[Model]:
    """The models to offer: those told and those of the settings, in the settings' words, the default first."""
    found = {model: known.model for model, known in told.items()}
    made = (*settings.image_models, *settings.speech_models, *settings.video_models)
    for model in (*settings.models, *made, *settings.vision_models):
        found.setdefault(bare(model), known_model(bare(model)))
    if settings.default_model:
        default = bare(settings.default_model)
        found = {default: found.get(default) or known_model(default)} | found
    return [_as_configured(model, settings) for model in found.values()]


def _as_configured(model: Model, settings: ProviderSettings) -> Model:
    vision = model.vision or model.id in map(bare, settings.vision_models)
    kind = kind_in(settings, model.id) or model.kind
    return replace(model, kind=kind, vision=vision, context_tokens=settings.context_tokens or model.context_tokens)


def kind_in(settings: ProviderSettings, model: str) -> Kind | None:
    """What a model makes, where the settings say so."""
    kinds: dict[Kind, tuple[str, ...]] = {
        "image": settings.image_models,
        "speech": settings.speech_models,
        "video": settings.video_models,
    }
    return next((kind for kind, models in kinds.items() if bare(model) in map(bare, models)), None)
