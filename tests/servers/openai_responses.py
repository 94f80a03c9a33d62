"""A small OpenAI: the Responses, Models and Files APIs, as strict as the real ones; the official SDK accepts it."""

import base64
import binascii
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from aiohttp import web
from tests.servers.openai_files import KEY, OTHER_KEY, OpenAIFilesService, Refusal, files_app, serving

PLAIN, THINKING, PAINTER = "gpt-4.1", "gpt-6-astra", "gpt-image-2"
LISTED = (PLAIN, THINKING, PAINTER, "text-embedding-3-small", "tts-1")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A picture."""
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MAX_ID = 64

_FIELDS = {
    "model", "input", "instructions", "stream", "previous_response_id", "max_output_tokens", "temperature", "top_p",
    "tools", "tool_choice", "text", "reasoning", "store", "include", "metadata", "parallel_tool_calls", "truncation",
}  # fmt: skip
_FUNCTION = {"type", "name", "description", "parameters", "strict"}
_DATA_URI = re.compile(r"data:([\w.+/-]+);base64,([A-Za-z0-9+/=]+)")
_ROLES = ("user", "assistant", "system", "developer")


@dataclass
class Stored:
    """An answer that is kept: what was said up to it, and whose it is."""

    owner: str
    items: list[dict[str, Any]]


@dataclass
class Responses:
    """The service: what it was asked, what it keeps, and what it does not do."""

    files: OpenAIFilesService = field(default_factory=OpenAIFilesService)
    questions: list[dict[str, Any]] = field(default_factory=list)
    stored: dict[str, Stored] = field(default_factory=dict)
    verified: bool = True
    """Whether the organization may see summaries of thoughts."""
    keeps: bool = True

    @property
    def base_url(self) -> str:
        return self.files.base_url

    async def models(self, request: web.Request) -> web.Response:
        _owner(request)
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": "openai"} for name in LISTED]
        return web.json_response({"object": "list", "data": listed})

    async def create(self, request: web.Request) -> web.StreamResponse:
        owner = _owner(request)
        if request.headers.get("Content-Type") != "application/json":
            raise bad("Unsupported content type", status=415)
        body = await request.json()
        self.questions.append(body)
        self._check(body)
        before = self._before(owner, body)
        items = _as_items(body["input"])
        words = [self._word(owner, f"input[{number}]", item) for number, item in enumerate(items)]
        _check_calls([*before, *items])
        answer = self._answer(body, " ".join(word for word in words if word), len(before) + len(items))
        if self.keeps and body.get("store", True):
            self.stored[answer["id"]] = Stored(owner, [*before, *items, *answer["output"]])
        if not body.get("stream"):
            return web.json_response(answer)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for number, event in enumerate(_events(answer)):
            data = json.dumps({**event, "sequence_number": number})
            await response.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
        return response

    def _check(self, body: dict[str, Any]) -> None:
        """What is refused before the input is read."""
        if unknown := body.keys() - _FIELDS:
            raise bad(f"Unknown parameter: '{min(unknown)}'.", min(unknown), code="unknown_parameter")
        model = body.get("model")
        if model not in (PLAIN, THINKING):
            raise bad(f"The requested model '{model}' does not exist.", "model", code="model_not_found")
        refused = ("temperature", "top_p") if model == THINKING else ("reasoning",)
        for name in refused:
            if name in body:
                where = name if name != "reasoning" else f"reasoning.{min(body['reasoning'])}"
                words = f"Unsupported parameter: '{where}' is not supported with this model."
                raise bad(words, where, code="unsupported_parameter")
        if "summary" in body.get("reasoning", {}) and not self.verified:
            words = "Your organization must be verified to generate reasoning summaries."
            raise bad(words, "reasoning.summary", code="unsupported_value")
        if (length := body.get("max_output_tokens", 16)) < 16:
            words = (
                f"Invalid 'max_output_tokens': integer below minimum value. Expected >= 16, but got {length} instead."
            )
            raise bad(words, "max_output_tokens", code="integer_below_min_value")
        if not 0 <= body.get("temperature", 1) <= 2:
            raise bad("Invalid 'temperature': decimal above maximum value.", "temperature")
        _check_tools(body)
        _check_format(body.get("text", {"format": {"type": "text"}}))

    def _before(self, owner: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        previous = body.get("previous_response_id")
        if previous is None:
            return []
        stored = self.stored.get(previous)
        if stored is None or stored.owner != owner:
            words = f"Previous response with id '{previous}' not found."
            raise bad(words, "previous_response_id", code="previous_response_not_found")
        return stored.items

    def _word(self, owner: str, where: str, item: dict[str, Any]) -> str:
        """What an item says, if it is a user's or a tool's."""
        match item:
            case {"type": "function_call", "call_id": str(call), "name": str(name), "arguments": str(), **more}:
                if more or len(call) > MAX_ID or not re.fullmatch(r"[\w-]{1,64}", name):
                    raise bad(f"Invalid '{where}'", where)
                return ""
            case {"type": "function_call_output", "call_id": str(call), "output": str(output), **more}:
                if more or len(call) > MAX_ID:
                    raise bad(f"Invalid '{where}.call_id': string too long.", f"{where}.call_id")
                return f"[{call}: {output}]"
            case {"type": "function_call_output", "call_id": str(call), "output": list(output)} if len(call) <= MAX_ID:
                words = (self._part(owner, f"{where}.output[{at}]", part) for at, part in enumerate(output))
                return f"[{call}: {' '.join(words)}]"
            case {"role": str(role), "content": content, **more} if role in _ROLES and more in (
                {},
                {"type": "message"},
            ):
                parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
                if role == "assistant" and not isinstance(content, str):
                    raise bad("Invalid value: 'input_text'. Supported values are: 'output_text'.", where)
                words = " ".join(self._part(owner, f"{where}.content[{at}]", part) for at, part in enumerate(parts))
                return words if role == "user" else ""
        raise bad(f"Invalid value for '{where}'", where, code="invalid_value")

    def _part(self, owner: str, where: str, part: dict[str, Any]) -> str:
        match part:
            case {"type": "input_text", "text": str(text)} if len(part) == 2:
                return text
            case {"type": "input_image", "detail": "auto", "image_url": str(url)} if len(part) == 3:
                return self._file(where, url, PICTURES)
            case {"type": "input_file", "filename": str(name), "file_data": str(url)} if len(part) == 3 and name:
                return self._file(where, url, ("application/pdf",))
            case {"type": "input_image", "detail": "auto", "file_id": str(file_id)} if len(part) == 3:
                return self._uploaded(owner, where, file_id)
            case {"type": "input_file", "file_id": str(file_id)} if len(part) == 2:
                return self._uploaded(owner, where, file_id)
        raise bad(f"Invalid value for '{where}'", where, code="invalid_value")

    def _file(self, where: str, url: str, taken: tuple[str, ...]) -> str:
        found = _DATA_URI.fullmatch(url)
        if not found or found[1] not in taken:
            raise bad(f"Invalid '{where}'. Expected a base64-encoded data URL with one of {taken}", where)
        try:
            return f"[{found[1]} of {len(base64.b64decode(found[2], validate=True))} bytes]"
        except binascii.Error:
            raise bad(f"Invalid base64 data in '{where}'", where, code="invalid_base64") from None

    def _uploaded(self, owner: str, where: str, file_id: str) -> str:
        if file_id not in self.files.files or self.files.owners[file_id] != owner:
            raise bad(f"Files with IDs ['{file_id}'] were not found.", where, status=404)
        stored = self.files.files[file_id]
        return f"[{stored['purpose']} file of {stored['bytes']} bytes]"

    def _answer(self, body: dict[str, Any], said: str, items: int) -> dict[str, Any]:
        """Does what the question asks for: calls each tool, paints, refuses, is cut off; else it repeats."""
        kinds = {tool["type"] for tool in body.get("tools", ())}
        must = body.get("tool_choice", "auto")
        output: list[dict[str, Any]] = []
        if "reasoning" in body and "summary" in body["reasoning"]:
            summary = [{"type": "summary_text", "text": text} for text in ("Let me see.", "I see.")]
            output.append({"id": _id("rs"), "type": "reasoning", "summary": summary})
        if "image_generation" in kinds and (must == {"type": "image_generation"} or "paint" in said):
            tool = next(tool for tool in body["tools"] if tool["type"] == "image_generation")
            output.append(_painted(tool, said))
        elif "function" in kinds and must != "none" and "[" not in said:
            for tool in body["tools"]:
                arguments = json.dumps({"about": said}, ensure_ascii=False)
                output.append(
                    {
                        "id": _id("fc"),
                        "type": "function_call",
                        "call_id": _id("call"),
                        "name": tool["name"],
                        "arguments": arguments,
                        "status": "completed",
                    }
                )
        else:
            output.append(_message(said, items))
        incomplete = {"reason": "max_output_tokens"} if "be cut" in said else None
        usage = {
            "input_tokens": 12 + items,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 19 + items,
        }
        return {
            "id": _id("resp"),
            "object": "response",
            "created_at": int(time.time()),
            "status": "incomplete" if incomplete else "completed",
            "error": None,
            "incomplete_details": incomplete,
            "instructions": body.get("instructions"),
            "model": body["model"],
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": body.get("previous_response_id"),
            "store": self.keeps and body.get("store", True),
            "tool_choice": must,
            "tools": body.get("tools", []),
            "usage": usage,
        }


def _owner(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or key not in (KEY, OTHER_KEY):
        raise bad(f"Incorrect API key provided: {key}.", code="invalid_api_key", status=401)
    return key


def _as_items(said: Any) -> list[dict[str, Any]]:
    items = [{"role": "user", "content": said}] if isinstance(said, str) else said
    if not items or not isinstance(items, list):
        raise bad("Missing required parameter: 'input'.", "input", code="missing_required_parameter")
    return items


def _check_format(text: Any) -> None:
    match text:
        case {"format": {"type": "text" | "json_object"}}:
            pass
        case {"format": {"type": "json_schema", "name": str(name), "schema": dict(), **more}}:
            if not re.fullmatch(r"[\w-]{1,64}", name) or more.keys() - {"strict", "description"}:
                raise bad("Invalid 'text.format'", "text.format")
        case _:
            raise bad("Invalid 'text.format'", "text.format")


def _check_tools(body: dict[str, Any]) -> None:
    tools = body.get("tools", [])
    names = []
    for number, tool in enumerate(tools):
        match tool:
            case {"type": "function", "name": str(name), "parameters": dict(), "strict": bool()}:
                if tool.keys() - _FUNCTION:
                    raise bad(f"Unknown parameter: 'tools[{number}]'", f"tools[{number}]")
                names.append(name)
            case {"type": "image_generation"}:
                if not 0 <= tool.get("partial_images", 0) <= 3 or not tool.get("model", PAINTER).startswith(
                    "gpt-image"
                ):
                    raise bad(f"Invalid 'tools[{number}]'", f"tools[{number}]")
            case _:
                raise bad(f"Invalid value for 'tools[{number}]'", f"tools[{number}]")
    match body.get("tool_choice"):
        case None | "auto" | "none":
            pass
        case "required" | {"type": "image_generation"} if tools:
            pass
        case {"type": "function", "name": str(name)} if name in names:
            pass
        case choice:
            raise bad(f"Tool choice '{choice}' not found in 'tools' parameter.", "tool_choice")


def _check_calls(items: list[dict[str, Any]]) -> None:
    """That each call has its result, and each result its call."""
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    results = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    for call in results:
        if call not in calls:
            raise bad(f"No tool call found for function call output with call_id {call}.", "input")
    for call in calls:
        if call not in results:
            raise bad(f"No tool output found for function call {call}.", "input")


def _id(kind: str) -> str:
    return f"{kind}_{token_hex(16)}"


def _painted(tool: dict[str, Any], said: str) -> dict[str, Any]:
    failed = "something awful" in said
    error = {"type": "image_generation_user_error", "code": "moderation_blocked", "message": "Not allowed."}
    return {
        "id": _id("ig"),
        "type": "image_generation_call",
        "status": "failed" if failed else "completed",
        "result": None if failed else PIXEL,
        "output_format": tool.get("output_format", "png"),
        "revised_prompt": f"In oil: {said}",
        "size": tool.get("size", "1024x1024"),
        **({"error": error} if failed else {"partials": tool.get("partial_images", 0)}),
    }


def _message(said: str, items: int) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "output_text", "text": f"You said: {said} ({items})", "annotations": []}
    if "be refused" in said:
        content = {"type": "refusal", "refusal": "I will not."}
    elif "a source" in said:
        cited = {"type": "url_citation", "url": "https://example.com/a_(b)\u3000c", "title": "A [page]"}
        content["annotations"] = [{**cited, "start_index": 0, "end_index": 3}]
    return {"id": _id("msg"), "type": "message", "role": "assistant", "status": "completed", "content": [content]}


def _events(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(answer["output"]):
        place = {"item_id": item["id"], "output_index": index}
        yield from _item_events(place, item)
    ended = {**answer, "output": [{**item} for item in answer["output"]]}
    yield {"type": f"response.{answer['status']}", "response": ended}


def _item_events(place: dict[str, Any], item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    index = {"output_index": place["output_index"]}
    partials = item.pop("partials", 0)
    empty = {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}
    begun = {**item, **empty.get(item["type"], {"result": None}), "status": "in_progress"}
    yield {"type": "response.output_item.added", **index, "item": begun}
    match item["type"]:
        case "reasoning":
            for number, part in enumerate(item["summary"]):
                where = {**place, "summary_index": number}
                yield {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}}
                for piece in _cut(part["text"]):
                    yield {"type": "response.reasoning_summary_text.delta", **where, "delta": piece}
                yield {"type": "response.reasoning_summary_text.done", **where, "text": part["text"]}
                yield {"type": "response.reasoning_summary_part.done", **where, "part": part}
        case "message":
            yield from _content_events({**place, "content_index": 0}, item["content"][0])
        case "function_call":
            for piece in _cut(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
            yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
        case "image_generation_call":
            kind = "response.image_generation_call"
            yield {"type": f"{kind}.in_progress", **place}
            yield {"type": f"{kind}.generating", **place}
            for number in range(partials):
                preview = {"partial_image_index": number, "partial_image_b64": PIXEL, "output_format": "png"}
                yield {"type": f"{kind}.partial_image", **place, **preview}
            yield {"type": f"{kind}.completed", **place}
    yield {"type": "response.output_item.done", **index, "item": item}


def _content_events(where: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = "text" if part["type"] == "output_text" else "refusal"
    kind = "response.output_text" if name == "text" else "response.refusal"
    more = {"logprobs": []} if name == "text" else {}
    yield {"type": "response.content_part.added", **where, "part": {**part, name: ""}}
    for piece in _cut(part[name]):
        yield {"type": f"{kind}.delta", **where, "delta": piece, "obfuscation": "x7Gf", **more}
    for number, annotation in enumerate(part.get("annotations", ())):
        yield {"type": f"{kind}.annotation.added", **where, "annotation_index": number, "annotation": annotation}
    yield {"type": f"{kind}.done", **where, name: part[name], **more}
    yield {"type": "response.content_part.done", **where, "part": part}


def _cut(text: str) -> list[str]:
    return re.findall(r".{1,7}", text, re.DOTALL)


def bad(words: str, param: str | None = None, *, code: str | None = None, status: int = 400) -> Refusal:
    """A refusal in the form of the real service."""
    kind = "invalid_request_error"
    return Refusal(status, {"error": {"message": words, "type": kind, "param": param, "code": code}})


@asynccontextmanager
async def small_openai() -> AsyncIterator[Responses]:
    """The service on a free port of loopback."""
    service = Responses()
    app = files_app(service.files)
    app.router.add_get("/v1/models", service.models)
    app.router.add_post("/v1/responses", service.create)
    async with serving(app) as service.files.url:
        yield service
