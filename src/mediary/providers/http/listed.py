"""The shapes of `/models`, as OpenAI has it and all who copy it: every field may be missing or null."""

from math import isfinite
from typing import Any, TypeGuard

import msgspec
from msgspec import Struct


class Architecture(Struct):
    """What OpenRouter tells of a model."""

    input_modalities: list[str] | None = None
    output_modalities: list[str] | None = None


class ListedModel(Struct):
    """A model as `/models` lists it; each service knows other fields.

    The size of its window is `context_length` (OpenRouter, Together), `max_model_len` (vLLM), `max_context_length`
    (Mistral, LM Studio), `context_window` (Groq) or stands in `meta` (llama.cpp).
    """

    id: str | None = None
    name: str | None = None
    model: str | None = None
    display_name: str | None = None
    type: str | None = None
    architecture: Architecture | str | None = None
    capabilities: dict[str, Any] | list[str] | None = None
    context_length: Any = None
    max_model_len: Any = None
    max_context_length: Any = None
    context_window: Any = None
    meta: Any = None

    @property
    def window(self) -> int | None:
        """The tokens that the model takes, where the entry tells."""
        # Not `n_ctx_train`: a model is often served with less than it was trained for.
        served = self.meta.get("n_ctx") if isinstance(self.meta, dict) else None
        told = (self.context_length, self.max_model_len, self.max_context_length, self.context_window, served)
        return next((int(size) for size in told if _is_number(size) and size >= 1), None)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


class ModelList(Struct):
    """The answer of `/models`: `data` as OpenAI has it, `models` as Ollama and older llama.cpp do."""

    data: list[ListedModel | str] | None = None
    models: list[ListedModel | str] | None = None


# Not strict: a number in quotes is a number.
model_lists: msgspec.json.Decoder[ModelList | list[ListedModel | str]] = msgspec.json.Decoder(
    ModelList | list[ListedModel | str], strict=False
)
