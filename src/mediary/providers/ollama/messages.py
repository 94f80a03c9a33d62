"""What is sent: messages, tools and options in the words of Ollama's API."""

import base64
from collections.abc import Iterator
from typing import Any

from mediary.errors import UnsupportedTypeError
from mediary.providers.base import Document, Image, Message, Remote, Text, TurnRequest
from mediary.providers.http.encoding import as_object, work_on
from mediary.providers.http.pictures import sides

_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "max_tokens": "num_predict",
}
_LEVELS = {"minimal": "low", "xhigh": "high", "max": "high"}


async def chat_payload(request: TurnRequest, *, thinks: bool, window: int | None) -> dict[str, Any]:
    """The body of `/api/chat`, not yet as JSON.

    With `thinks` the thoughts are asked for, unless the request says how much to think. `window` are the tokens to load
    the model with, None where that is left to the server.
    """
    options = request.options
    payload: dict[str, Any] = {
        "model": request.model,
        "messages": await work_on(request, _messages, request.messages),
        "stream": True,
        # Else the beginning of what is too long is left out, and nobody told.
        "truncate": False,
    }
    if settings := _options(options, window):
        payload["options"] = settings
    if (think := _think(options.get("reasoning_effort"), thinks=thinks)) is not None:
        payload["think"] = think
    if (shape := _format(options.get("response_format"))) is not None:
        payload["format"] = shape
    if tools := _tools(options):
        payload["tools"] = tools
    return payload


def picture_payload(request: TurnRequest) -> dict[str, Any]:
    """The body of `/api/generate` for a picture, or for the pictures of the last message changed."""
    options = request.options
    payload: dict[str, Any] = {"model": request.model, "prompt": request.prompt, "stream": True}
    if shape := sides(options):
        payload["width"], payload["height"] = shape
    if "steps" in options:
        payload["steps"] = options["steps"]
    if "seed" in options:
        payload["options"] = {"seed": options["seed"]}
    asked = [message for message in request.messages if message.role == "user"]
    if asked and (originals := list(_images(asked[-1]))):
        payload["images"] = originals
    return payload


def _options(options: dict[str, Any], window: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {theirs: options[ours] for ours, theirs in _NAMES.items() if ours in options}
    if stop := options.get("stop"):
        found["stop"] = [stop] if isinstance(stop, str) else stop
    if window:
        found["num_ctx"] = window
    return found


def _think(effort: str | None, *, thinks: bool) -> bool | str | None:
    if effort == "none":
        return False
    return _LEVELS.get(effort, effort) if effort else (True if thinks else None)


def _format(wanted: Any) -> str | dict[str, Any] | None:
    match wanted:
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return schema
        case {"type": "json_schema", "schema": dict(schema)}:
            return schema
        case {"type": "json_object"}:
            return "json"
        case _:
            return None


def _tools(options: dict[str, Any]) -> list[dict[str, Any]]:
    """The tools that may be called. There is no word for having to: a tool that is chosen is the only one then."""
    tools: list[dict[str, Any]] = options.get("tools") or []
    match options.get("tool_choice"):
        case "none":
            return []
        case {"function": {"name": name}}:
            return [tool for tool in tools if _function(tool).get("name") == name]
        case _:
            return tools


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    names = {call.get("id"): _function(call).get("name") for message in messages for call in _calls(message)}
    return [_message(message, names) for message in messages]


def _message(message: Message, names: dict[str | None, str | None]) -> dict[str, Any]:
    said: dict[str, Any] = {"role": _role(message.role), "content": "\n".join(_texts(message))}
    if calls := _calls(message):
        said["tool_calls"] = [_call(call) for call in calls]
    if message.role == "tool":
        call_id = message.extra.get("tool_call_id")
        said["tool_name"] = names.get(call_id) or message.extra.get("name") or call_id
        if call_id:
            said["tool_call_id"] = call_id
    # Models look at what people and tools show them, not at what they showed themselves.
    if message.role != "assistant" and (images := list(_images(message))):
        said["images"] = images
    return said


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _texts(message: Message) -> Iterator[str]:
    for part in message.parts:
        match part:
            case Text(text):
                yield text
            case Document(media_type, data) if media_type.startswith("text/"):
                yield data.decode("utf-8", "replace")
            case Image():
                pass
            case Remote():
                raise UnsupportedTypeError(f"Ollama takes no uploads, and {part.name} is one")
            case _:
                raise UnsupportedTypeError(f"Ollama does not take {part.name or 'a file'} ({part.media_type})")


def _images(message: Message) -> Iterator[str]:
    return (base64.b64encode(part.data).decode("ascii") for part in message.parts if isinstance(part, Image))


def _calls(message: Message) -> list[dict[str, Any]]:
    return message.extra.get("tool_calls") or []


def _function(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    return function if isinstance(function, dict) else {}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = _function(call)
    said: dict[str, Any] = {
        "function": {
            "name": function.get("name"),
            "arguments": as_object(function.get("arguments"), "arguments"),
        }
    }
    if call.get("id"):
        said["id"] = call["id"]
    return said
