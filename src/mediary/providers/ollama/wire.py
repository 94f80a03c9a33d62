"""The shapes of Ollama's API: every field may be missing or null, and what is unknown is passed over."""

from typing import Any

import msgspec
from msgspec import Struct

from mediary.providers.http.refusals import ErrorDetail


class CalledFunction(Struct):
    """The function that a model wants called."""

    name: str | None = None
    arguments: dict[str, Any] | str | None = None


class CalledTool(Struct):
    """A tool call, whole; older servers give it no id, and all of them may have the same number."""

    id: str | None = None
    function: CalledFunction | None = None


class Said(Struct):
    """What is new in an answer."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[CalledTool] | None = None


class Line(Struct):
    """A line of an answer of `/api/chat` or `/api/generate`, or an error in its place.

    `completed` of `total` steps of a picture are done, `image` is the picture in base64. The counts come with the last
    line, and durations are in nanoseconds.
    """

    message: Said | None = None
    done: bool | None = None
    done_reason: str | None = None
    error: ErrorDetail | str | None = None
    image: str | None = None
    response: str | None = None
    completed: int | None = None
    total: int | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_duration: int | None = None
    eval_duration: int | None = None

    def as_usage(self) -> dict[str, Any] | None:
        """The counts by the names that everybody expects, and the durations by their own; None where none is said."""
        if self.prompt_eval_count is None and self.eval_count is None:
            return None
        prompt, completion = max(0, self.prompt_eval_count or 0), max(0, self.eval_count or 0)
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        usage |= {name: value for name in DURATIONS if (value := getattr(self, name)) is not None}
        return usage


DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


class Details(Struct):
    """What a model is made of."""

    family: str | None = None
    families: list[str] | None = None


class ListedModel(Struct):
    """A model as `/api/tags` lists it; one with a `remote_host` is answered there."""

    name: str | None = None
    model: str | None = None
    digest: str | None = None
    details: Details | None = None
    remote_host: str | None = None
    capabilities: list[str] | None = None


class ModelList(Struct):
    """The answer of `/api/tags`."""

    models: list[ListedModel] | None = None


class Shown(Struct):
    """The answer of `/api/show`: `parameters` are lines of the Modelfile, `model_info` what its file says."""

    capabilities: list[str] | None = None
    parameters: str | None = None
    model_info: dict[str, Any] | None = None


class Embedded(Struct):
    """The answer of `/api/embed`."""

    embeddings: list[list[float]] | None = None
    error: ErrorDetail | str | None = None


# Not strict: a number in quotes is a number.
answer_lines = msgspec.json.Decoder(Line, strict=False)
model_lists = msgspec.json.Decoder(ModelList, strict=False)
shown_models = msgspec.json.Decoder(Shown, strict=False)
embedded = msgspec.json.Decoder(Embedded, strict=False)
