"""What is sent besides the conversation: options and tools in the words of the Responses wire."""

import re
from typing import Any

from mediary.providers.http.pictures import picture_size

PREVIEWS = 2
"""Unfinished pictures that are asked for."""

_AS_THEY_ARE = ("temperature", "top_p")
_OF_PICTURES = ("width", "height", "size", "aspect_ratio")
_TAKEN = {
    *_AS_THEY_ARE, *_OF_PICTURES, "max_tokens", "tools", "tool_choice", "response_format", "reasoning_effort",
}  # fmt: skip

_reasoning = re.compile(r"(?:^|/)(?:o[1-9]|gpt-(?:[5-9]|\d\d))(?!.*chat)")


def left_out(options: dict[str, Any]) -> list[str]:
    """The options that this wire has no word for."""
    return [name for name in options if name not in _TAKEN]


def fields_of(options: dict[str, Any], model: str, painter: str | None) -> dict[str, Any]:
    """The fields for the options of a request to a model.

    Where there is a `painter` a picture is wanted: it is the model that makes it, empty for the service's own choice.
    """
    fields = {name: options[name] for name in _AS_THEY_ARE if name in options}
    if "max_tokens" in options:
        fields["max_output_tokens"] = options["max_tokens"]
    if reasoning := _reasoning_of(options.get("reasoning_effort"), model):
        fields["reasoning"] = reasoning
    if shape := options.get("response_format"):
        fields["text"] = {"format": _format(shape)}
    return fields | _tools(options, painter)


def _reasoning_of(effort: str | None, model: str) -> dict[str, Any]:
    """How much is thought; a summary of it is asked for of models that think."""
    reasoning = {"effort": effort} if effort else {}
    if effort != "none" and (effort or _reasoning.search(model.casefold())):
        reasoning["summary"] = "auto"
    return reasoning


def _format(shape: dict[str, Any]) -> dict[str, Any]:
    """A shape of the answer: what the chat completions wire puts into `json_schema` stands beside the type here."""
    inner = shape.get("json_schema")
    if not isinstance(inner, dict):
        return shape
    told = {name: value for name, value in inner.items() if value is not None}
    return {"type": "json_schema", "name": "answer", **told}


def _tools(options: dict[str, Any], painter: str | None) -> dict[str, Any]:
    tools = [_tool(tool) for tool in options.get("tools") or ()]
    choice = options.get("tool_choice")
    if painter is not None:
        if not any(tool.get("type") == "image_generation" for tool in tools):
            tools.append({"type": "image_generation"})
        choice = {"type": "image_generation"}
    if not tools:
        return {}
    tools = [_painting(tool, options, painter) if tool.get("type") == "image_generation" else tool for tool in tools]
    return {"tools": tools, **({"tool_choice": _choice(choice)} if choice else {})}


def _painting(tool: dict[str, Any], options: dict[str, Any], painter: str | None) -> dict[str, Any]:
    """The tool that makes pictures, with what the request says of them where the tool does not."""
    said: dict[str, Any] = {} if tool.get("output_format") == "gif" else {"partial_images": PREVIEWS}
    model = tool.get("model") or painter
    if model:
        said["model"] = model
    if size := picture_size(str(model or "gpt-image"), options):
        said["size"] = size
    return said | tool


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A function in this wire's form; what is in that form already, such as a tool of the service, goes as it is."""
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    described = {"description": function["description"]} if function.get("description") else {}
    return {
        "type": "function",
        "name": function.get("name"),
        **described,
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
        # Here it would be strict by default.
        "strict": function.get("strict") or False,
    }


def _choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    match choice:
        case {"function": {"name": name}}:
            return {"type": "function", "name": name}
        case _:
            return choice
