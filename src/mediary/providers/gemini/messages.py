"""What is sent: messages, tools and options in the words of the generateContent wire."""

import base64
import re
from collections.abc import Iterable
from itertools import groupby
from math import log
from typing import Any

from mediary.providers.base import Kind, Message, Part, Remote, Text, TurnRequest
from mediary.providers.http.encoding import as_object, work_on

DEFAULT_VOICE = "Kore"
BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
"""Tokens to think with, for models that know no levels; whatever is more than high is high."""

_SYSTEM = ("system", "developer")
_NAMES = {"temperature": "temperature", "top_p": "topP", "max_tokens": "maxOutputTokens", "seed": "seed"}
_LEVELS = {"none": "MINIMAL", "max": "XHIGH"}
_CHOICES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_SHAPES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
"""The shapes of pictures that every model knows."""

_budgeted = re.compile(r"gemini-[12]\b|robotics-er-1\b")
_size = re.compile(r"\s*(\d{1,5})\s*x\s*(\d{1,5})\s*", re.IGNORECASE)
_named_size = re.compile(r"[\d.]+K", re.IGNORECASE)


async def payload_of(request: TurnRequest, kind: Kind, voice: str | None, *, thinks: bool) -> dict[str, Any]:
    """The body of `:streamGenerateContent`, not yet as JSON; with `thinks` the thoughts are asked for."""
    if kind == "speech":
        # Such a model reads out: it takes neither instructions nor what was said before.
        contents = [{"role": "user", "parts": [{"text": request.prompt}]}]
        return {"contents": contents, "generationConfig": _speech_config(request.options, voice)}
    contents = await work_on(request, _contents, request.messages)
    payload: dict[str, Any] = {"contents": contents}
    told = [part for message in request.messages if message.role in _SYSTEM for part in _texts(message)]
    if told and contents:
        payload["systemInstruction"] = {"parts": told}
    elif told:
        contents.append({"role": "user", "parts": told})
    if config := _config(request, kind, thinks=thinks):
        payload["generationConfig"] = config
    return payload | _tools(request.options)


def _contents(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The conversation. The results of tools that were called together have to stand together."""
    said = [message for message in messages if message.role not in _SYSTEM]
    names = {call.get("id"): _function(call).get("name") for message in said for call in _calls(message)}
    contents = []
    for is_tool, group in groupby(said, lambda message: message.role == "tool"):
        if is_tool:
            contents.append({"role": "user", "parts": _results(list(group), names)})
        else:
            contents += [_content(message) for message in group]
    return [content for content in contents if content["parts"]]


def _content(message: Message) -> dict[str, Any]:
    parts = [coded for part in message.parts if (coded := _part(part))]
    if message.role == "assistant":
        return {"role": "model", "parts": parts + [_call(call) for call in _calls(message)]}
    return {"role": "user", "parts": parts}


def _texts(message: Message) -> list[dict[str, Any]]:
    return [{"text": part.text} for part in message.parts if isinstance(part, Text) and part.text]


def _part(part: Part) -> dict[str, Any] | None:
    match part:
        case Text(text):
            return {"text": text} if text else None
        case Remote(part=coded):
            return coded
        case _:
            data = base64.b64encode(part.data).decode("ascii")
            return {"inlineData": {"mimeType": part.media_type, "data": data}}


def _calls(message: Message) -> list[dict[str, Any]]:
    return message.extra.get("tool_calls") or []


def _function(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    return function if isinstance(function, dict) else {}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = _function(call)
    said: dict[str, Any] = {"name": function.get("name"), "args": as_object(function.get("arguments"), "arguments")}
    if call.get("id"):
        said["id"] = call["id"]
    part: dict[str, Any] = {"functionCall": said}
    match call.get("extra_content"):
        case {"google": {"thought_signature": str(signature)}}:
            part["thoughtSignature"] = signature
    return part


def _results(messages: list[Message], names: dict[str | None, str | None]) -> list[dict[str, Any]]:
    """What tools gave; their files stand behind their words."""
    files = [part for message in messages for part in message.parts if not isinstance(part, Text)]
    return [_result(message, names) for message in messages] + [coded for file in files if (coded := _part(file))]


def _result(message: Message, names: dict[str | None, str | None]) -> dict[str, Any]:
    """What a tool gave; it is named after the function, not after the call."""
    call = message.extra.get("tool_call_id")
    name = names.get(call) or message.extra.get("name") or call
    said = {"name": name, "response": as_object(message.text, "output")}
    return {"functionResponse": said | ({"id": call} if call else {})}


def _config(request: TurnRequest, kind: Kind, *, thinks: bool) -> dict[str, Any]:
    options = request.options
    config: dict[str, Any] = {theirs: options[ours] for ours, theirs in _NAMES.items() if ours in options}
    if stop := options.get("stop"):
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    config |= _format(options.get("response_format"))
    if thinking := _thinking(request.model, options.get("reasoning_effort"), thinks=thinks):
        config["thinkingConfig"] = thinking
    if kind == "image":
        config["responseModalities"] = ["TEXT", "IMAGE"]
        if shape := _shape(options):
            config["imageConfig"] = shape
    return config


def _format(wanted: Any) -> dict[str, Any]:
    match wanted:
        case {"type": "json_schema", "json_schema": {"schema": schema}} | {"type": "json_schema", "schema": schema}:
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}
        case {"type": "json_schema" | "json_object"}:
            return {"responseMimeType": "application/json"}
        case _:
            return {}


def _thinking(model: str, effort: str | None, *, thinks: bool) -> dict[str, Any]:
    """How much is thought, and whether it is shown."""
    if effort is None:
        return {"includeThoughts": True} if thinks else {}
    shown = {"includeThoughts": True} if effort != "none" else {}
    if _budgeted.search(model):
        return {"thinkingBudget": BUDGETS.get(effort, BUDGETS["high"]), **shown}
    return {"thinkingLevel": _LEVELS.get(effort, effort.upper()), **shown}


def _tools(options: dict[str, Any]) -> dict[str, Any]:
    """Functions in this wire's form; what has that form already, such as `{"googleSearch": {}}`, goes as it is."""
    tools = options.get("tools")
    if not tools:
        return {}
    functions = [_declaration(_function(tool)) for tool in tools if _function(tool)]
    own = [tool for tool in tools if not _function(tool)]
    fields: dict[str, Any] = {"tools": [*([{"functionDeclarations": functions}] if functions else []), *own]}
    if choice := options.get("tool_choice"):
        fields["toolConfig"] = {"functionCallingConfig": _choice(choice)}
    return fields


def _declaration(function: dict[str, Any]) -> dict[str, Any]:
    declared = {name: function[name] for name in ("name", "description") if function.get(name)}
    if schema := function.get("parameters"):
        declared["parametersJsonSchema"] = schema
    return declared


def _choice(choice: str | dict[str, Any]) -> dict[str, Any]:
    match choice:
        case str():
            return {"mode": _CHOICES.get(choice, choice)}
        case {"function": {"name": name}}:
            return {"mode": "ANY", "allowedFunctionNames": [name]}
        case _:
            return choice


def _speech_config(options: dict[str, Any], voice: str | None) -> dict[str, Any]:
    wanted = options.get("voice") or options.get("audio", {}).get("voice") or voice or DEFAULT_VOICE
    return {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": wanted}}},
    }


def _shape(options: dict[str, Any]) -> dict[str, str]:
    """The shape of a picture, and its size where it has a name such as `2K`.

    Sides in pixels become the nearest shape that there is; an aspect ratio is taken at its word.
    """
    width, height, size = options.get("width"), options.get("height"), options.get("size") or ""
    config = {}
    if sides := _size.fullmatch(size):
        width, height = width or int(sides[1]), height or int(sides[2])
    if width and height:
        config["aspectRatio"] = min(_SHAPES, key=lambda shape: abs(log(_ratio(shape) * height / width)))
    elif shape := options.get("aspect_ratio"):
        config["aspectRatio"] = shape
    if _named_size.fullmatch(size):
        config["imageSize"] = size.upper()
    return config


def _ratio(shape: str) -> float:
    width, _, height = shape.partition(":")
    return int(width) / int(height)
