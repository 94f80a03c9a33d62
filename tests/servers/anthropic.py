"""A small Anthropic: the Files, Models and Messages APIs, as strict as the real ones; the official SDK accepts it."""

import base64
import binascii
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import BodyPartReader, web

KEY = "sk-ant-test-0123456789abcdef"
OTHER_KEY = "sk-ant-other-0123456789abcdef"
"""The key of another workspace, which has files of its own."""
VERSIONS = ("2023-06-01", "2026-10-21")
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
LONGEST = {"claude-opus-5-5": 128_000, "claude-haiku-4-5": 64_000, "claude-small-1": 4_096}
"""The models, and the longest answer of each; all but the newest think by a budget."""
MAX_BYTES = 500 * 1024**2
MAX_REQUEST = 32_000_000
FILES_BETA = "files-api-2025-04-14"
"""What questions of the older version have to ask for that point to files."""
OWNER = web.RequestKey("owner", str)


class Refused(Exception):  # noqa: N818 - it is an answer
    """An answer that says no."""

    def __init__(self, status: int, kind: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "message": message, **({"details": details} if details else {})}


def invalid(message: str) -> Refused:
    return Refused(400, "invalid_request_error", message)


@dataclass
class Stored:
    """A file that was uploaded."""

    owner: str
    metadata: dict[str, Any]
    data: bytes


@dataclass
class Small:
    """The service: what it was asked, what it has, and what it is to do wrong."""

    port: int = 0
    files: dict[str, Stored] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    page: int = 1000
    """The most models on one page."""
    keeps_less: bool = False
    """Whether the last byte of a file is lost."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def sdk_url(self) -> str:
        """The base URL as the SDK has it."""
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BYTES, middlewares=[self._answer])
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files", self._list)
        app.router.add_get("/v1/files/{id}", self._get)
        app.router.add_delete("/v1/files/{id}", self._delete)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/messages", self._messages)
        return app

    @web.middleware
    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        try:
            request[OWNER] = _owner(request)
            if request.headers.get("anthropic-version") not in VERSIONS:
                raise invalid("anthropic-version: header is required, and one of " + ", ".join(VERSIONS))
            return await handler(request)
        except Refused as refused:
            return web.json_response({"type": "error", "error": refused.error}, status=refused.status)
        except web.HTTPNotFound:
            return web.json_response(
                {"type": "error", "error": {"type": "not_found_error", "message": "Not Found"}}, status=404
            )

    async def _upload(self, request: web.Request) -> web.Response:
        if "Content-Length" not in request.headers or "Transfer-Encoding" in request.headers:
            raise Refused(411, "invalid_request_error", "Content-Length is required")
        if request.content_type != "multipart/form-data":
            raise invalid("Request must be multipart/form-data")
        seconds, found = None, None
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.name == "file":
                name, kind = part.filename or "", part.headers.get("Content-Type", "")
                found = (name, kind, bytes(await part.read()))
            elif part.name == "expires_in_seconds":
                seconds = int(await part.text())
            else:
                raise invalid(f"{part.name}: Extra inputs are not permitted")
        if found is None:
            raise invalid("file: Field required")
        if seconds is not None and not 3600 <= seconds <= 7_776_000:
            raise invalid("expires_in_seconds: must be between 3600 and 7776000")
        return web.json_response(self.store(request[OWNER], *found, seconds))

    def store(self, owner: str, name: str, media_type: str, data: bytes, seconds: int | None) -> dict[str, Any]:
        if not 1 <= len(name) <= 255 or re.search(r'[<>:"|?*\\/\x00-\x1f]', name):
            raise invalid("file: Invalid filename")
        if "/" not in media_type:
            raise invalid("file: has no content type")
        data = data[:-1] if self.keeps_less else data
        now = datetime.now(UTC)
        end = (now + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z") if seconds else None
        metadata = {
            "id": f"file_011{next(self.numbers):020d}",
            "type": "file",
            "filename": name,
            "mime_type": media_type.partition(";")[0],
            "size_bytes": len(data),
            "created_at": now.isoformat().replace("+00:00", "Z"),
            "expires_at": end,
            "downloadable": False,
        }
        self.files[metadata["id"]] = Stored(owner, metadata, data)
        return metadata

    async def _list(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "20"))
        start = int(request.query.get("page", "page_0").removeprefix("page_"))
        mine = [stored.metadata for stored in self.files.values() if stored.owner == request[OWNER]]
        after = f"page_{start + limit}" if len(mine) > start + limit else None
        return web.json_response({"data": mine[start : start + limit], "next_page": after})

    def _find(self, owner: str, file_id: str) -> Stored:
        stored = self.files.get(file_id)
        if stored is None or stored.owner != owner:
            raise Refused(404, "not_found_error", f"File not found: {file_id}")
        end = stored.metadata["expires_at"]
        if end and datetime.fromisoformat(end) < datetime.now(UTC):
            raise Refused(404, "not_found_error", f"File {file_id} has expired", error_code="file_expired")
        return stored

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request[OWNER], request.match_info["id"]).metadata)

    async def _delete(self, request: web.Request) -> web.Response:
        file_id = request.match_info["id"]
        self._find(request[OWNER], file_id)
        del self.files[file_id]
        return web.json_response({"id": file_id, "type": "file_deleted"})

    async def _models(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "20"))
        if not 1 <= limit <= 1000:
            raise invalid("limit: must be between 1 and 1000")
        names = list(LONGEST)
        start = names.index(request.query["after_id"]) + 1 if "after_id" in request.query else 0
        end = start + min(limit, self.page)
        page = [_model(name) for name in names[start:end]]
        return web.json_response(
            {
                "data": page,
                "has_more": end < len(names),
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
            }
        )

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        if len(await request.read()) > MAX_REQUEST:
            raise Refused(413, "request_too_large", "Request exceeds the maximum size")
        body = await request.json()
        self.questions.append(body)
        _check(body, request.headers)
        said = list(self._read(request[OWNER], body["messages"]))
        whole = _whole(body, f"You said: {' '.join(said)[:1000]}")
        if not body.get("stream"):
            return web.json_response(whole)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for event in _events(whole):
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return response

    def _read(self, owner: str, messages: list[dict[str, Any]]) -> Iterator[str]:
        """What the last message says: its texts, and each file by its type and size."""
        for number, message in enumerate(messages):
            blocks = message["content"]
            blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
            for place, block in enumerate(blocks):
                word = self._word(owner, f"messages.{number}.content.{place}", block, message["role"])
                if message is messages[-1]:
                    yield word

    def _word(self, owner: str, where: str, block: dict[str, Any], role: str) -> str:
        match block:
            case {"type": "text", "text": str(text)} if text.strip():
                return text
            case {"type": "image" | "document" as kind, "source": dict(source)} if role == "user":
                return self._file(owner, where, kind, source)
            case {"type": "tool_result", "tool_use_id": str(), **rest} if role == "user":
                return " ".join(self._word(owner, where, inner, role) for inner in rest.get("content", ()))
            case {"type": "tool_use", "id": str(call), "name": str(), "input": dict()} if role == "assistant":
                if not re.fullmatch(r"[a-zA-Z0-9_-]+", call):
                    raise invalid(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
                return call
        raise invalid(f"{where}: Input should be a block that this role may have, and not empty")

    def _file(self, owner: str, where: str, kind: str, source: dict[str, Any]) -> str:
        match source:
            case {"type": "file", "file_id": str(file_id)}:
                stored = self._find(owner, file_id)
                media_type, data = stored.metadata["mime_type"], stored.data
            case {"type": "base64", "media_type": str(media_type), "data": str(coded)}:
                try:
                    data = base64.b64decode(coded, validate=True)
                except binascii.Error:
                    raise invalid(f"{where}.{kind}.source.base64: invalid base64 data") from None
            case {"type": "text", "media_type": "text/plain" as media_type, "data": str(text)} if kind == "document":
                data = text.encode()
            case _:
                raise invalid(f"{where}.{kind}.source: Input should be a source of a known type")
        taken = PICTURES if kind == "image" else ("application/pdf", "text/plain")
        if media_type not in taken:
            raise invalid(f"{where}.{kind}.source.media_type: Input should be {', '.join(taken)}")
        if kind == "image" and len(data) > 5 * 1024**2:
            raise invalid(f"{where}.image.source: image exceeds 5 MB maximum")
        return f"[{media_type} of {len(data)} bytes]"


def _owner(request: web.Request) -> str:
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    shown = {key for key in (request.headers.get("x-api-key"), bearer) if key}
    if len(shown) != 1 or not shown <= {KEY, OTHER_KEY}:
        raise Refused(401, "authentication_error", f"invalid x-api-key: {', '.join(sorted(shown))}")
    return shown.pop()


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "model",
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1_000_000 if name == "claude-opus-5-5" else 200_000,
        "max_tokens": LONGEST[name],
        "capabilities": {"image_input": {"supported": name != "claude-small-1"}},
    }


_FIELDS = {
    "model", "max_tokens", "messages", "stream", "system", "stop_sequences", "tools", "tool_choice", "thinking",
    "output_config", "temperature", "top_p",
}  # fmt: skip


def _check(body: dict[str, Any], headers: Mapping[str, str]) -> None:
    """What is refused before the messages are read."""
    if unknown := body.keys() - _FIELDS:
        raise invalid(f"{min(unknown)}: Extra inputs are not permitted")
    model, length = body.get("model"), body.get("max_tokens")
    if model not in LONGEST:
        raise Refused(404, "not_found_error", f"model: {model}")
    if not isinstance(length, int):
        raise invalid("max_tokens: Field required")
    if length > 4096 and len(json.dumps(body["messages"])) > 500_000:
        raise invalid(f"input length and `max_tokens` exceed context limit: 190000 + {length} > 200000")
    if length > LONGEST[model]:
        raise invalid(
            f"max_tokens: {length} > {LONGEST[model]}, which is the maximum allowed number of output tokens for {model}"
        )
    for name in ("temperature", "top_p"):
        if name in body and headers["anthropic-version"] != VERSIONS[0]:
            raise invalid(f"{name}: is not supported in this version of the API")
    has_beta = headers["anthropic-version"] != VERSIONS[0] or FILES_BETA in headers.get("anthropic-beta", "")
    if not has_beta and '"file_id"' in json.dumps(body["messages"]):
        raise invalid("messages.0.content.0.image.source: Input tag 'file' does not match any of the expected tags")
    _check_thinking(body, model, length)
    _check_turns(body.get("messages"))


def _check_thinking(body: dict[str, Any], model: str, length: int) -> None:
    thinking = body.get("thinking", {"type": None})
    if model == "claude-opus-5-5":
        if thinking["type"] in ("enabled", "disabled"):
            raise invalid(f'"thinking.type.{thinking["type"]}" is not supported for this model.')
        return
    if "effort" in body.get("output_config", {}):
        raise invalid("This model does not support the effort parameter.")
    if thinking["type"] == "adaptive":
        raise invalid("adaptive thinking is not supported on this model")
    if thinking["type"] == "enabled" and not 1024 <= thinking["budget_tokens"] < length:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`")
    last = body["messages"][-1]["content"]
    if thinking["type"] == "enabled" and any(
        block["type"] == "tool_result" for block in last if isinstance(last, list)
    ):
        raise invalid("Expected `thinking` or `redacted_thinking`, but found `tool_use`")


def _check_turns(messages: Any) -> None:
    """That the roles take turns, and that each call of a tool is followed by its result, before anything else."""
    if not messages:
        raise invalid("messages: at least one message is required")
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] != ("user", "assistant")[number % 2]:
            raise invalid(f"messages.{number}: roles must take turns, beginning with user")
        blocks = message["content"] if isinstance(message["content"], list) else []
        kinds = [block["type"] for block in blocks]
        if kinds != sorted(kinds, key=lambda kind: kind != "tool_result"):
            raise invalid(f"messages.{number}: tool_result blocks must come first")
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if results != open_calls:
            raise invalid(f"messages.{number}: `tool_use` ids were found without `tool_result` blocks, or the reverse")
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}


def _whole(body: dict[str, Any], text: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if body.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        content.insert(0, {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"})
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 7, "cache_read_input_tokens": 100},
    }


def _events(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    beginning = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": beginning}
    yield {"type": "ping"}
    for index, block in enumerate(whole["content"]):
        kind = block["type"]
        yield {"type": "content_block_start", "index": index, "content_block": {**block, kind: ""}}
        for piece in re.findall(r".{1,7}", block[kind], re.DOTALL):
            yield {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", kind: piece}}
        yield {"type": "content_block_stop", "index": index}
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": whole["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


@asynccontextmanager
async def small_anthropic() -> AsyncIterator[Small]:
    """The service on a free port of loopback."""
    service = Small()
    runner = web.AppRunner(service.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        service.port = runner.addresses[0][1]
        yield service
    finally:
        await runner.cleanup()
