"""The typed events of a conversation: what `POST /backend-api/v2/conversation` streams, one class a type."""

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Union

import msgspec
from msgspec import UNSET, Struct, UnsetType


class Event(Struct, kw_only=True, tag_field="type"):
    """Something that happened in a turn; its JSON is the Struct's fields and `type`."""


class ProviderInfo(Struct, kw_only=True):
    """Who answers."""

    name: str
    label: str
    url: str | None
    model: str


class ProviderChosen(Event, tag="provider"):
    """Which provider and model answer; first in a turn, again if a fallback takes over."""

    provider: ProviderInfo


class Parameters(Event, tag="parameters"):
    """What is sent to the provider, without keys and without the messages."""

    parameters: dict[str, Any]


class ConversationState(Event, tag="conversation"):
    """What to hand in again as `conversation` to go on from here, by provider name."""

    conversation: dict[str, Any]


class Preview(Event, tag="preview"):
    """A picture or text that is not final yet."""

    preview: str
    urls: list[str] | UnsetType = UNSET
    alt: str | UnsetType = UNSET


class Reasoning(Event, tag="reasoning"):
    """A piece of the model's reasoning, or the state of it."""

    token: str | UnsetType = UNSET
    label: str | UnsetType = UNSET
    status: str | UnsetType = UNSET


class Content(Event, tag="content"):
    """A piece of the answer: text, or kept media with their URLs."""

    content: str
    urls: list[str] | UnsetType = UNSET
    alt: str | UnsetType = UNSET
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET


class ToolCallFunction(Struct, kw_only=True):
    """The function a model wants called; `arguments` is JSON text, in pieces while it streams."""

    name: str | None = None
    arguments: str = ""


class ToolCall(Struct, kw_only=True):
    """One tool call, or the next piece of it; `index` says which.

    `extra_content` is the provider's own, and has to come back with the call, as Google's thought signatures have to.
    """

    index: int
    id: str | None = None
    type: str = "function"
    function: ToolCallFunction
    extra_content: dict[str, Any] | UnsetType = UNSET


class ToolCalls(Event, tag="tool_calls"):
    """Tool calls, or pieces of them, in the order of the provider."""

    tool_calls: list[ToolCall]


class Synthesize(Event, tag="synthesize"):
    """Where the answer's speech can be had."""

    synthesize: Any


class Title(Event, tag="title"):
    """A title for the conversation."""

    title: str


class Suggestions(Event, tag="suggestions"):
    """Questions that may follow."""

    suggestions: list[str]


class Log(Event, tag="log"):
    """What the server did on the way."""

    log: Any


class Login(Event, tag="login"):
    """Where the person can log in."""

    login: Any


class Usage(Event, tag="usage"):
    """Tokens as the provider counted them; further counts of the provider stay in `usage`."""

    usage: dict[str, Any]
    model: str
    provider: str


class FinishReason(Struct, kw_only=True):
    """Why the model stopped: `stop`, `length`, `tool_calls`, `content_filter` …."""

    reason: str


class Finish(Event, tag="finish"):
    """The last event of a good turn."""

    finish: FinishReason


class Auth(Event, tag="auth"):
    """The provider wants credentials; ends the stream. `auth` is the error's class."""

    auth: str
    message: str


class Failure(Event, tag="error"):
    """The turn failed; ends the stream. `error` is the error's class, `retry_after` in seconds."""

    error: str
    message: str
    retry_after: float | UnsetType = UNSET


@dataclass(slots=True)
class Media:
    """A picture, sound or video that a provider made: internal, replaced by `Content` once it is kept.

    Exactly one of `data` (bytes, base64 text or a data URI), `stream` and `url` is set. `headers` and `cookies` are
    what the provider's own origin wants to see with `url`.
    """

    kind: str
    data: bytes | str | None = None
    stream: AsyncIterable[bytes] | None = None
    url: str | None = None
    content_type: str | None = None
    alt: str = ""
    transcript: str | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    cookies: dict[str, str] = field(default_factory=dict, repr=False)
    trusted_origin: str | None = None


_encoder = msgspec.json.Encoder()
_DATA = b"\ndata: "


def encode_event(event: Event) -> bytes:
    """One event as the JSON of its `data:` line."""
    return _encoder.encode(event)


def frame(event: Event) -> bytes:
    """One event as it stands in a stream of server-sent events."""
    return b"event: %b\ndata: %b\n\n" % (_tag(type(event)), _encoder.encode(event))


def read_frame(written: bytes) -> Event:
    """The event that `frame` wrote."""
    return _decoder().decode(written[written.index(_DATA) + len(_DATA) :])


@cache
def _decoder() -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(Union[tuple(Event.__subclasses__())])  # noqa: UP007 - of as many as there are


@cache
def _tag(kind: type[Event]) -> bytes:
    return str(kind.__struct_config__.tag).encode()
