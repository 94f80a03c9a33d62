"""Which models there are and what each makes, out of what `/models` tells and of well-known ids."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import islice

from mediary.providers.base import Kind, Model
from mediary.providers.http.embedding import is_embedder
from mediary.providers.http.listed import Architecture, ListedModel, ModelList, model_lists
from mediary.providers.http.provider import read_list
from mediary.settings import ProviderSettings

MAX_MODELS = 10_000
"""Models of a list that are taken; the rest is left out."""

# What a model makes, by its id: the first that matches. None is a model that holds no conversation.
KINDS: tuple[tuple[str, Kind | None], ...] = (
    ("*rerank*", None),
    ("*moderation*", None),
    ("*whisper*", None),
    ("*-transcribe*", None),
    ("dall-e*", "image"),
    ("*gpt-image*", "image"),
    ("*chatgpt-image*", "image"),
    ("*flux*", "image"),
    ("*imagen-*", "image"),
    ("*stable-diffusion*", "image"),
    ("*sdxl*", "image"),
    ("*sd3*", "image"),
    ("*qwen-image*", "image"),
    ("*grok-*-image*", "image"),
    ("*grok-imagine-image*", "image"),
    ("*seedream*", "image"),
    ("*cogview*", "image"),
    ("*hidream*", "image"),
    ("tts-*", "speech"),
    ("*-tts", "speech"),
    ("*-tts-*", "speech"),
    ("*kokoro*", "speech"),
    ("*orpheus*", "speech"),
    ("*piper*", "speech"),
    ("*llava*", "chat"),
    ("*video*llama*", "chat"),
    ("*video*chat*", "chat"),
    ("*video*-instruct*", "chat"),
    ("*-t2i*", "image"),
    ("*kling*image*", "image"),
    ("*video*", "video"),
    ("*-t2v*", "video"),
    ("*-i2v*", "video"),
    ("sora", "video"),
    ("sora-*", "video"),
    ("veo-*", "video"),
    ("veo[0-9]*", "video"),
    ("wan-[0-9]*", "video"),
    ("wan[0-9]*", "video"),
    ("kling*", "video"),
    ("*seedance*", "video"),
    ("*hailuo*", "video"),
    ("*pixverse*", "video"),
    ("vidu*", "video"),
    ("ltx-*", "video"),
    ("*nova-reel*", "video"),
)

VISION = re.compile(
    r"gpt-4o|gpt-4\.1|gpt-4-turbo|gpt-[5-9]|\bo[134]\b(?!-mini$|-preview)|o4-mini|vision|[-.\d]vl\b|\bvl[-\d]|llava|bakllava"
    r"|pixtral|gemma-?[3-9]|gemini|claude|llama-?4|llama3\.2-vision|minicpm-v|moondream|internvl|mistral-small-?3"
)

_TYPES: dict[str, Kind | None] = {
    "image": "image",
    "embedding": None,
    "embeddings": None,
    "moderation": None,
    "rerank": None,
    "transcribe": None,
    "video": "video",
}


# What a model is for that makes nothing but this.
_ALONE: dict[tuple[str, ...], Kind] = {("image",): "image", ("video",): "video"}


@dataclass(slots=True, frozen=True)
class Told:
    """What is known of a model: `model` is None if it holds no conversation.

    `modalities` are what it makes in a chat, where the service says so; then its pictures come by the chat as well.
    """

    model: Model | None
    modalities: tuple[str, ...] = ()


def kind_by_id(model: str) -> Kind | None:
    """What a model makes, going by its id alone."""
    if is_embedder(model):
        return None
    name = model.rpartition("/")[2].casefold()
    return next((kind for pattern, kind in KINDS if fnmatchcase(name, pattern)), "chat")


def transcriber_of(models: Iterable[str]) -> str | None:
    """The first of the models that turns speech into text, going by its id alone."""
    return next((model for model in models if "whisper" in model or "transcribe" in model), None)


def known_model(model: str) -> Model:
    """A model of which nothing is known but its id."""
    name, kind = model.casefold(), kind_by_id(model) or "chat"
    return Model(model, kind, vision=kind == "chat" and bool(VISION.search(name)), audio="audio" in name)


def read_models(name: str, body: bytes) -> tuple[dict[str, Told], int]:
    """The models of an answer of `/models`, by id and in its order, and how many of them are left out.

    ProviderError if it is no such list.
    """
    answer = read_list(model_lists, name, body)
    entries = (answer.data or answer.models or []) if isinstance(answer, ModelList) else answer
    listed = (ListedModel(id=entry) if isinstance(entry, str) else entry for entry in islice(entries, MAX_MODELS))
    told = {model: _told(model, entry) for entry in listed if (model := entry.id or entry.model or entry.name)}
    return told, max(0, len(entries) - MAX_MODELS)


def _told(model: str, entry: ListedModel) -> Told:
    guess = known_model(model)
    made, taken, able = _modalities(entry)
    kind: Kind | None = kind_by_id(model)
    if entry.type in _TYPES:
        kind = _TYPES[entry.type]
    elif made:
        kind = _ALONE.get(made, "chat")
    if kind is None:
        return Told(None)
    if kind == "video":
        made = ()
    label = entry.display_name or (entry.name if entry.name != model else None)
    vision = bool({"image", "vision", "multimodal"} & {*taken, *able}) or entry.type == "vlm"
    if not taken and not able and entry.type != "vlm":
        vision = guess.vision
    audio = guess.audio or "audio" in taken
    known = replace(guess, kind=kind, label=label, vision=vision, audio=audio, context_tokens=entry.window)
    return Told(known, made)


def _modalities(entry: ListedModel) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What the entry says that the model makes, takes and can."""
    made: Iterable[str] = ()
    taken: Iterable[str] = ()
    if isinstance(entry.architecture, Architecture):
        made = entry.architecture.output_modalities or ()
        taken = entry.architecture.input_modalities or ()
    able = entry.capabilities or ()
    if isinstance(able, dict):
        able = [ability for ability, has in able.items() if has is True]
    return tuple(made), tuple(taken), tuple(able)


def configured_models(settings: ProviderSettings, told: dict[str, Told]) -> list[Model]:
    """The models to offer: those told and those of the settings, in the settings' words, the default first."""
    found = {model: known.model for model, known in told.items() if known.model}
    made = (*settings.image_models, *settings.speech_models, *settings.video_models)
    for model in (*settings.models, *made, *settings.vision_models):
        found.setdefault(model, known_model(model))
    default = settings.default_model
    if default:
        found = {default: found.get(default) or known_model(default)} | found
    return [_as_configured(model, settings) for model in found.values()]


def _as_configured(model: Model, settings: ProviderSettings) -> Model:
    model = replace(model, context_tokens=settings.context_tokens or model.context_tokens)
    if kind := kind_in(settings, model.id):
        return replace(model, kind=kind)
    return replace(model, vision=model.vision or model.id in settings.vision_models)


def kind_in(settings: ProviderSettings, model: str) -> Kind | None:
    """What a model makes, where the settings say so."""
    kinds: dict[Kind, tuple[str, ...]] = {
        "image": settings.image_models,
        "speech": settings.speech_models,
        "video": settings.video_models,
    }
    return next((kind for kind, models in kinds.items() if model in models), None)
