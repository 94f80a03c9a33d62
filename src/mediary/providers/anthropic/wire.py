"""The shapes of the Messages wire: every field may be missing or null, and what is unknown is passed over."""

from typing import Any

import msgspec
from msgspec import Struct

from mediary.providers.http.refusals import ErrorDetail

VERSION = "2026-10-21"
"""The version of the API that is asked for."""
SAMPLING_VERSION = "2023-06-01"
"""The last version that takes `temperature` and `top_p`."""
FILES_BETA = "files-api-2025-04-14"
"""What that version has to be asked for where a question points to files."""


class Block(Struct):
    """A block of an answer, or its beginning in a stream: text, thinking, a tool call, or another."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None


class StopDetails(Struct, gc=False):
    """Why an answer was refused."""

    explanation: str | None = None


class Delta(Struct):
    """What is new in a block, or of the message as a whole."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class Answered(Struct):
    """An answer: whole, or as it begins in a stream."""

    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: dict[str, Any] | None = None


class Piece(Answered):
    """One event of a stream, or a whole answer, or an error in its place; `type` says which."""

    type: str | None = None
    index: int | None = None
    message: Answered | str | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    error: ErrorDetail | str | None = None


class Support(Struct, gc=False):
    """Whether a model can do something."""

    supported: bool | None = None


class Capabilities(Struct):
    """What a model can do, as far as it is of use here."""

    image_input: Support | None = None


class ListedModel(Struct):
    """A model as `/models` lists it; `max_tokens` is how long its answers can be."""

    id: str | None = None
    display_name: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: Capabilities | None = None


class ModelPage(Struct):
    """A page of `/models`; the next begins after `last_id`."""

    data: list[ListedModel] | None = None
    has_more: bool | None = None
    last_id: str | None = None


# Not strict: a number in quotes is a number.
pieces = msgspec.json.Decoder(Piece, strict=False)
model_pages = msgspec.json.Decoder(ModelPage, strict=False)


def count_tokens(usage: dict[str, Any]) -> dict[str, Any]:
    """A usage with the three counts that everybody expects; its own counts stay.

    What was read from a cache, or written to one, is not among the service's `input_tokens`, but was part of the
    question.
    """
    prompt = sum(
        _count(usage, name) for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    )
    completion = _count(usage, "output_tokens")
    return usage | {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _count(usage: dict[str, Any], name: str) -> int:
    try:
        return max(0, int(float(usage.get(name) or 0)))
    except (TypeError, ValueError, OverflowError):
        return 0
