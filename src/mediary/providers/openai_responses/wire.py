"""The shapes of the Responses wire: every field may be missing or null, and what is unknown is passed over."""

from typing import Any

import msgspec
from msgspec import Struct

from mediary.providers.http.counting import count_tokens
from mediary.providers.http.refusals import ErrorDetail


class Annotation(Struct, gc=False):
    """What a text points to; of use here are those to pages of the web."""

    type: str | None = None
    url: str | None = None
    title: str | None = None


class Words(Struct):
    """A piece of a message (text or refusal), or of reasoning."""

    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None


class Item(Struct):
    """One item of an answer: a message, reasoning, a call of a function, a picture, or another.

    `Any` is what other kinds of items have as well, and of other types.
    """

    type: str | None = None
    id: str | None = None
    content: list[Words] | dict[str, Any] | str | None = None
    summary: list[Words] | dict[str, Any] | str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    result: Any = None
    output_format: str | None = None
    revised_prompt: str | None = None
    error: Any = None


class Incomplete(Struct, gc=False):
    """Why an answer is not whole."""

    reason: str | None = None


class Answered(Struct):
    """An answer: whole, or as it stands when it begins or ends."""

    id: str | None = None
    object: str | None = None
    status: str | None = None
    output: list[Item] | None = None
    usage: dict[str, Any] | None = None
    tool_usage: dict[str, Any] | None = None
    error: ErrorDetail | str | None = None
    incomplete_details: Incomplete | None = None
    store: bool | None = None


class Piece(Answered):
    """One event of a stream, or a whole answer, or an error in its place; `type` says which."""

    type: str | None = None
    delta: str | None = None
    output_index: int | None = None
    summary_index: int | None = None
    item: Item | None = None
    response: Answered | None = None
    annotation: Annotation | None = None
    arguments: Any = None
    partial_image_b64: str | None = None
    output_format: str | None = None
    message: Any = None
    code: str | int | float | None = None
    param: Any = None


class Kind(Struct, gc=False):
    """Of which type an event is, whatever else it holds."""

    type: str | None = None


# Not strict: a number in quotes is a number.
pieces = msgspec.json.Decoder(Piece, strict=False)
kinds = msgspec.json.Decoder(Kind)


def usage_of(answer: Answered) -> dict[str, Any] | None:
    """What an answer used, with the names of the chat completions wire beside its own.

    What its built-in tools used is told apart from that, as `tool_usage`.
    """
    if not answer.usage:
        return None
    usage = count_tokens(answer.usage)
    for ours, theirs in (("prompt", "input"), ("completion", "output")):
        if details := usage.get(f"{theirs}_tokens_details"):
            usage.setdefault(f"{ours}_tokens_details", details)
    return usage | ({"tool_usage": answer.tool_usage} if answer.tool_usage else {})
