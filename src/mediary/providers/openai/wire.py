"""The shapes of the chat completions wire, as the services write them: every field may be missing or null."""

from math import isfinite
from typing import Any, TypeGuard

import msgspec
from msgspec import Struct

from mediary.providers.http.refusals import ErrorDetail


class Link(Struct, gc=False):
    """Where a picture is: an http(s) URL or a data URI."""

    url: str | None = None


class Thought(Struct, gc=False):
    """A piece of a thinking part."""

    text: str | None = None


class ContentPart(Struct):
    """A part of a content that is a list: text, thinking (Mistral), or a picture."""

    type: str | None = None
    text: str | None = None
    thinking: str | list[Thought] | None = None
    image_url: Link | str | None = None


class ReasoningDetail(Struct, gc=False):
    """A piece of OpenRouter's `reasoning_details`; encrypted ones have neither text nor summary."""

    text: str | None = None
    summary: str | None = None


class CalledFunction(Struct):
    """The function of a tool call; a few services send its arguments as an object instead of text."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CalledTool(Struct):
    """A tool call, or the next piece of one."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: CalledFunction | None = None


class Sound(Struct, gc=False):
    """A piece of a spoken answer: base64 audio and what it says."""

    data: str | None = None
    transcript: str | None = None


class Picture(Struct):
    """A picture in an answer."""

    image_url: Link | str | None = None


class Delta(Struct):
    """What is new in an answer; a whole message has the same fields."""

    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    refusal: str | None = None
    tool_calls: list[CalledTool] | None = None
    audio: Sound | None = None
    images: list[Picture] | None = None


class Choice(Struct):
    """One of the answers; `message` instead of `delta` where the service does not stream."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    error: ErrorDetail | str | None = None


class Groq(Struct):
    """What Groq adds: the usage comes here whether asked for or not."""

    usage: dict[str, Any] | None = None
    error: ErrorDetail | str | None = None


class Chunk(Struct):
    """One event of a stream, or a whole answer, or an error in its place."""

    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: ErrorDetail | str | None = None
    x_groq: Groq | None = None
    object: str | None = None
    message: Any = None
    code: str | int | float | None = None

    @property
    def failed(self) -> ErrorDetail | str | None:
        """The error that the chunk carries, wherever it stands."""
        if self.error:
            return self.error
        if self.x_groq and self.x_groq.error:
            return self.x_groq.error
        if self.choices and self.choices[0].error:
            return self.choices[0].error
        # vLLM and Mistral put the fields of an error where the chunk's should be.
        if self.object == "error":
            return ErrorDetail(message=self.message, code=self.code)
        return None


class MadePicture(Struct):
    """One picture of an answer of `/images/…`."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None


class MadePictures(Struct):
    """The answer of `/images/generations` and `/images/edits`."""

    data: list[MadePicture] | None = None
    usage: dict[str, Any] | None = None
    error: ErrorDetail | str | None = None


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
chunks = msgspec.json.Decoder(Chunk, strict=False)
made_pictures = msgspec.json.Decoder(MadePictures, strict=False)
model_lists: msgspec.json.Decoder[ModelList | list[ListedModel | str]] = msgspec.json.Decoder(
    ModelList | list[ListedModel | str], strict=False
)


def count_tokens(usage: dict[str, Any]) -> dict[str, Any]:
    """A service's usage with the three counts that everybody expects, as numbers; its further counts stay."""
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    completion = _count(usage, "completion_tokens", "output_tokens")
    total = _count(usage, "total_tokens") or prompt + completion
    return usage | {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def _count(usage: dict[str, Any], *names: str) -> int:
    for name in names:
        try:
            return int(float(usage[name]))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return 0
