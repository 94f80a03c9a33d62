"""The shapes of the generateContent wire: every field may be missing or null."""

from typing import Any

import msgspec
from msgspec import Struct

from mediary.providers.http.refusals import ErrorDetail


class Blob(Struct, rename="camel", gc=False):
    """A file in an answer: base64 with its type."""

    mime_type: str | None = None
    data: str | None = None


class FileData(Struct, rename="camel", gc=False):
    """A file that lies elsewhere."""

    mime_type: str | None = None
    file_uri: str | None = None


class FunctionCall(Struct):
    """A function that the model wants called."""

    name: str | None = None
    args: dict[str, Any] | None = None
    id: str | None = None


class Code(Struct):
    """A program that the service ran for the model (`code`), or what that printed (`output`)."""

    language: str | None = None
    code: str | None = None
    output: str | None = None


class Part(Struct, rename="camel"):
    """A piece of an answer; `thought` says that it is none, but how the model came to it."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    executable_code: Code | None = None
    code_execution_result: Code | None = None


class Content(Struct):
    """What one role says."""

    parts: list[Part] | None = None


class Candidate(Struct, rename="camel"):
    """One of the answers, or the next piece of it."""

    index: int | None = None
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None


class Feedback(Struct, rename="camel"):
    """What is said of the question; `block_reason` if it is not answered."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class ModalityCount(Struct, rename="camel"):
    """How many of the tokens are of one kind, such as `AUDIO`."""

    modality: str | None = None
    token_count: int | None = None


class Counts(Struct, rename="camel"):
    """Tokens; those of the thoughts are not among those of the candidates."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    total_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None

    def as_usage(self) -> dict[str, Any]:
        """The counts by the names that everybody expects."""
        prompt = (self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0)
        completion = (self.candidates_token_count or 0) + (self.thoughts_token_count or 0)
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": self.total_token_count or prompt + completion,
        }
        asked = {
            "cached_tokens": self.cached_content_token_count,
            "audio_tokens": _of(self.prompt_tokens_details, "AUDIO"),
        }
        made = self.candidates_tokens_details
        answered = {
            "reasoning_tokens": self.thoughts_token_count,
            "audio_tokens": _of(made, "AUDIO"),
            "image_tokens": _of(made, "IMAGE"),
        }
        for name, counts in (("prompt_tokens_details", asked), ("completion_tokens_details", answered)):
            if told := {kind: count for kind, count in counts.items() if count is not None}:
                usage[name] = told
        return usage


def _of(counts: list[ModalityCount] | None, modality: str) -> int | None:
    """The tokens of a kind, which cost more than text; None where there are none."""
    return sum(count.token_count or 0 for count in counts or () if count.modality == modality) or None


class Chunk(Struct, rename="camel"):
    """One event of a stream, or a whole answer, or an error in its place."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: Counts | None = None
    error: ErrorDetail | str | None = None


class ListedModel(Struct, rename="camel"):
    """A model as `/models` lists it: its name is `models/…`."""

    name: str | None = None
    display_name: str | None = None
    input_token_limit: int | None = None
    supported_generation_methods: list[str] | None = None
    thinking: bool | None = None


class ModelPage(Struct, rename="camel"):
    """The answer of `/models`."""

    models: list[ListedModel] | None = None
    next_page_token: str | None = None


# Not strict: a number in quotes is a number. An answer that is not asked for as events is a list of such.
chunks: msgspec.json.Decoder[Chunk | list[Chunk]] = msgspec.json.Decoder(Chunk | list[Chunk], strict=False)
model_pages = msgspec.json.Decoder(ModelPage, strict=False)
