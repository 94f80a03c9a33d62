"""What is sent: messages, tools and options in the words of the Messages wire."""

import base64
import re
from collections.abc import Iterator
from typing import Any

from mediary.errors import UnsupportedTypeError
from mediary.providers.base import Audio, Document, Image, Message, Part, Remote, Text, TurnRequest, Video
from mediary.providers.http.encoding import as_object, work_on

DEFAULT_MAX_TOKENS = 32_000
"""How long an answer may be where the request does not say, in tokens; each model that is offered today takes it."""
SAMPLING = ("temperature", "top_p")
"""Options that the current version of the API does not take, and its models mostly ignore."""
ONLY_JSON = "Answer with one JSON object and with nothing else."

_EFFORTS = {"minimal": "low"}
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")


async def message_payload(request: TurnRequest, max_tokens: int) -> dict[str, Any]:
    """The body of `/messages`, not yet as JSON; `max_tokens` is for a request that names none."""
    options = request.options
    payload: dict[str, Any] = {
        "model": request.model,
        "max_tokens": options.get("max_tokens", max_tokens),
        "messages": await work_on(request, _messages, request.messages),
        "stream": True,
    }
    payload |= {name: options[name] for name in SAMPLING if name in options}
    payload |= _output(options)
    system = [message.text for message in request.messages if message.role in ("system", "developer")]
    if options.get("response_format", {}).get("type") == "json_object":
        system.append(ONLY_JSON)
    if any(system):
        payload["system"] = "\n\n".join(filter(None, system))
    if stop := options.get("stop"):
        payload["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if tools := options.get("tools"):
        payload["tools"] = [_tool(tool) for tool in tools]
        if choice := options.get("tool_choice"):
            payload["tool_choice"] = _choice(choice)
    return payload


def _output(options: dict[str, Any]) -> dict[str, Any]:
    """How much is thought, which is shown where it is asked for, and the shape of the answer."""
    fields: dict[str, Any] = {}
    config: dict[str, Any] = {}
    effort = options.get("reasoning_effort")
    if effort == "none":
        fields["thinking"] = {"type": "disabled"}
    elif effort:
        fields["thinking"] = {"type": "adaptive", "display": "summarized"}
        config["effort"] = _EFFORTS.get(effort, effort)
    match options.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}} | {"type": "json_schema", "schema": schema}:
            config["format"] = {"type": "json_schema", "schema": schema}
    return fields | ({"output_config": config} if config else {})


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A function in this wire's form; what is in that form already, such as a tool of the service, goes as it is."""
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    further = {name: function[name] for name in ("description", "strict") if function.get(name) is not None}
    return {"name": function.get("name"), "input_schema": schema, **further}


def _choice(choice: str | dict[str, Any]) -> dict[str, Any]:
    match choice:
        case str():
            return {"type": _CHOICES.get(choice, choice)}
        case {"function": {"name": name}}:
            return {"type": "tool", "name": name}
        case _:
            return choice


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The conversation: what one role says in several messages becomes one, and what is empty is left out."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list(_blocks(message))
        if blocks and turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    for turn in turns:
        # Results of tools stand first, or they are refused.
        turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    _trim(turns)
    return turns


def _trim(turns: list[dict[str, Any]]) -> None:
    """An answer to be continued must not end with white space."""
    if turns and turns[-1]["role"] == "assistant" and turns[-1]["content"][-1]["type"] == "text":
        last = turns[-1]["content"][-1]
        last["text"] = last["text"].rstrip()


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    match message.role:
        case "tool":
            content = [block for part in message.parts for block in _part(part)]
            yield {
                "type": "tool_result",
                "tool_use_id": _tool_id(message.extra.get("tool_call_id")),
                **({"content": content} if content else {}),
            }
        case "assistant":
            # Only text: pictures and documents are refused in what the assistant said.
            yield from (block for part in message.parts if isinstance(part, Text) for block in _part(part))
            for call in message.extra.get("tool_calls") or ():
                yield _tool_use(call)
        case _:
            yield from (block for part in message.parts for block in _part(part))


def _part(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text):
            # A text without a word in it is refused.
            if text.strip():
                yield {"type": "text", "text": text}
        case Image(media_type, data):
            yield {"type": "image", "source": _base64(media_type, data)}
        case Document(media_type, data, name):
            yield {"type": "document", "source": _document(media_type, data), "title": name}
        case Remote(part=block):
            yield block
        case Audio() | Video():
            raise UnsupportedTypeError(f"the Messages API does not take {part.name or 'a file'} ({part.media_type})")


def _document(media_type: str, data: bytes) -> dict[str, Any]:
    if media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": data.decode("utf-8", "replace")}
    return _base64(media_type, data)


def _base64(media_type: str, data: bytes) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode("ascii")}


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "type": "tool_use",
        "id": _tool_id(call.get("id")),
        "name": function.get("name"),
        "input": as_object(function.get("arguments"), "arguments"),
    }


def _tool_id(said: Any) -> str:
    """The id of a call, which may be another service's, without the characters that are refused here."""
    return _NOT_IN_ID.sub("_", str(said or "call"))
