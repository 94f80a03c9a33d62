"""What a request for a turn says: the JSON of `POST /backend-api/v2/conversation`, decoded and checked."""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from mediary.conversations.choice.directory import CUSTOM
from mediary.errors import BadRequestError, FieldError

MAX_PARTS = 10_000
MAX_STEPS = 1_000_000
MAX_SECONDS = 3600
CONTINUE = "Go on exactly where you stopped, without repeating anything."

Seconds = Annotated[float, Meta(gt=0, le=MAX_SECONDS)]
Decoded = TypeVar("Decoded")


class IncomingMessage(Struct, kw_only=True):
    """A message as a client sends it; `content` is text, parts, or nothing beside tool calls."""

    role: str | None = None
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class ConversationRequest(Struct, kw_only=True):
    """The fields of CONTRACT.md; `memory` and `detach`; `voice`, `audio`, `format`, `speed` for speech, and `size`,
    `steps` and `negative_prompt` for pictures, `seconds` (also called `duration`) for videos.

    `api_key` may hold keys by the names of providers; `api_base` is what some clients call `base_url`. Any other field,
    and any field that is null, is ignored.
    """

    model: str | None = None
    provider: str | None = None
    messages: list[IncomingMessage] | None = None
    conversation: Any = None
    download_media: bool | None = True
    web_search: bool | str | None = None
    memory: bool | str | None = None
    detach: bool | None = None
    api_key: str | dict[str, str | None] | None = None
    base_url: str | None = None
    api_base: str | None = None
    action: str | None = None
    timeout: float | None = None
    stream_timeout: float | None = None

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    steps: Annotated[int, Meta(ge=1, le=MAX_STEPS)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    aspect_ratio: str | None = None
    width: int | None = None
    height: int | None = None
    size: str | None = None
    n: int | None = None
    seconds: Seconds | None = None
    duration: Seconds | None = None
    voice: str | None = None
    audio: dict[str, Any] | None = None
    format: str | None = None
    speed: float | None = None

    def key_for(self, provider: str) -> str | None:
        """The key that the request brings for a provider: there may be one for all, or some by name."""
        if not isinstance(self.api_key, dict):
            return self.api_key or None
        folded = provider.casefold()
        return next((key for name, key in self.api_key.items() if key and name.casefold() == folded), None)

    def __repr__(self) -> str:
        return f"ConversationRequest(provider={self.provider!r}, model={self.model!r})"

    @property
    def options(self) -> dict[str, Any]:
        """What goes to the provider besides the messages, nulls left out."""
        return {name: value for name in OPTIONS if (value := getattr(self, name)) is not None}


OPTIONS = ConversationRequest.__struct_fields__[ConversationRequest.__struct_fields__.index("temperature") :]

_request = msgspec.json.Decoder(ConversationRequest)
_at_field = re.compile(r"(?P<what>.*) - at `\$\.?(?P<path>.*)`$", re.DOTALL)
_of_object = re.compile(r"Object (?P<what>contains unknown field|missing required field) `(?P<path>.*)`$", re.DOTALL)


def decode_request(body: bytes) -> ConversationRequest:
    """The request in a JSON body; BadRequestError if it is no JSON object, FieldError if a field does not fit."""
    request = decode_json(_request, body)
    _check(request)
    return request


def decode_json(decoder: "msgspec.json.Decoder[Decoded]", body: bytes) -> Decoded:
    """A JSON body; BadRequestError if it is no JSON object, FieldError if a field does not fit."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        if found := _at_field.match(str(error)) or _of_object.match(str(error)):
            raise FieldError(found["path"], found["what"]) from None
        raise BadRequestError(f"the body must be a JSON object: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise BadRequestError("the body is nested too deeply") from None


def _check(request: ConversationRequest) -> None:
    """What the types do not say."""
    if not request.messages:
        raise FieldError("messages", "at least one message is needed")
    if (
        sum(len(message.content) if isinstance(message.content, list) else 1 for message in request.messages)
        > MAX_PARTS
    ):
        raise FieldError("messages", f"{MAX_PARTS} messages and parts of messages at most")
    for message in request.messages:
        if not all(isinstance(call.get("function", {}), dict) for call in message.tool_calls or ()):
            raise FieldError("messages", "the `function` of a tool call is an object with a name and arguments")
        if not all(isinstance(call.get("id"), str | None) for call in message.tool_calls or ()):
            raise FieldError("messages", "the `id` of a tool call is text")
    for name in ("timeout", "stream_timeout"):
        value = getattr(request, name)
        if value is not None and not value >= 0:
            raise FieldError(name, "must be more than 0 seconds")
    _check_place(request)
    if request.action == "continue":
        request.messages.append(IncomingMessage(role="user", content=CONTINUE))


def _check_place(request: ConversationRequest) -> None:
    """Where to ask, and with which keys, under whichever names."""
    if request.api_base and (request.provider or "").casefold() == CUSTOM.casefold():
        request.base_url = request.base_url or request.api_base
    keys = request.api_key.values() if isinstance(request.api_key, dict) else [request.api_key]
    for name, values in (("api_key", keys), ("base_url", [request.base_url])):
        if not all(value is None or (value.isascii() and value.isprintable()) for value in values):
            raise FieldError(name, "holds a character that cannot be sent")
