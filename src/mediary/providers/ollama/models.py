"""Which models there are, and what each makes and takes, out of what Ollama tells and of well-known names."""

import re
from dataclasses import dataclass, replace
from typing import Any

from mediary.providers.base import Kind, Model
from mediary.providers.http.embedding import is_embedder
from mediary.providers.ollama.mending import MOST_TOKENS
from mediary.providers.ollama.wire import ListedModel, Shown
from mediary.settings import ProviderSettings

LATEST = ":latest"

_sees = re.compile(
    r"vision|llava|bakllava|moondream|minicpm-v|[-\d]vl\b|\bvl[-\d]|gemma-?3(?!:(?:270m|1b)|n)|gemma-?[4-9]"
)
_sees_too = re.compile(r"llama-?4|mistral-small3|pixtral|granite.*-vision")
_paints = re.compile(r"z-image|flux|qwen-image|stable-diffusion|sdxl")
_FAMILIES_THAT_SEE = {"clip", "mllama", "mllama_vision"}
_ABILITIES = ("tools", "thinking")
_num_ctx = re.compile(r"^\s*num_ctx\s+(\d{1,12})\b", re.MULTILINE)


@dataclass(slots=True, frozen=True)
class Told:
    """What is known of a model: `model` is None if it holds no conversation.

    `thinks` and `sees` are None where nobody told. `most_tokens` is how large its window can be made, without the
    operator's word for it.
    """

    model: Model | None
    thinks: bool | None = None
    sees: bool | None = None
    most_tokens: int | None = None


def full(model: str) -> str:
    """The name with its tag, which people leave out."""
    return model if ":" in model.rpartition("/")[2] else model + LATEST


def kind_by_id(model: str) -> Kind | None:
    """What a model makes, going by its name alone; None if it holds no conversation."""
    if is_embedder(model):
        return None
    return "image" if _paints.search(model.casefold()) else "chat"


def known_model(model: str) -> Model:
    """A model of which nothing is known but its name."""
    name = model.casefold()
    kind = kind_by_id(model) or "chat"
    return Model(model, kind, vision=kind == "image" or bool(_sees.search(name) or _sees_too.search(name)))


def told_of(model: str, entry: ListedModel, shown: Shown) -> Told:
    """What is known of a model of a list; `shown` may be empty."""
    able = shown.capabilities or entry.capabilities
    guess = known_model(model)
    tags = tuple(ability for ability in _ABILITIES if ability in (able or ()))
    most = _window(entry, shown)
    known = replace(guess, tags=tags, context_tokens=most)
    if not able:
        families = {*(entry.details.families or ()), entry.details.family} if entry.details else set()
        vision = guess.vision or bool(families & _FAMILIES_THAT_SEE)
        return Told(replace(known, vision=vision) if kind_by_id(model) else None, most_tokens=most)
    sees = "vision" in able
    if "image" in able:
        return Told(replace(known, kind="image", vision=True), most_tokens=most)
    if "completion" not in able and "embedding" in able:
        return Told(None, most_tokens=most)
    return Told(replace(known, kind="chat", vision=sees), "thinking" in able, sees, most)


def _window(entry: ListedModel, shown: Shown) -> int | None:
    """Tokens that a model can be asked to take, without the operator's word for it."""
    trained = _trained(shown.model_info or {})
    if entry.remote_host:
        # Elsewhere models always have all of their window.
        return trained
    named = _num_ctx.search(shown.parameters or "")
    most = max(MOST_TOKENS, int(named[1]) if named else 0)
    return min(trained, most) if trained else None


def _trained(info: dict[str, Any]) -> int | None:
    """Tokens that a model was trained with."""
    told = info.get(f"{info.get('general.architecture')}.context_length")
    return int(told) if isinstance(told, int | float) and 0 < told < 1e12 else None


def configured_models(settings: ProviderSettings, told: dict[str, Told]) -> list[Model]:
    """The models to offer: those told and those of the settings, in the settings' words, the default first."""
    found = {full(model): known.model for model, known in told.items() if known.model}
    for model in (*settings.models, *settings.image_models, *settings.vision_models):
        found.setdefault(full(model), known_model(model))
    if default := settings.default_model:
        first = replace(found.get(full(default)) or known_model(default), id=default)
        found = {full(default): first} | {model: known for model, known in found.items() if model != full(default)}
    return [_as_configured(model, settings) for model in found.values()]


def _as_configured(model: Model, settings: ProviderSettings) -> Model:
    model = replace(model, context_tokens=settings.context_tokens or model.context_tokens)
    if kind := kind_in(settings, model.id):
        return replace(model, kind=kind, vision=True)
    return replace(model, vision=model.vision or full(model.id) in map(full, settings.vision_models))


def kind_in(settings: ProviderSettings, model: str) -> Kind | None:
    """What a model makes, where the settings say so."""
    return "image" if full(model) in map(full, settings.image_models) else None
