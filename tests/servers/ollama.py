"""A small Ollama: its own API, as strict as the real one's types are; the official client accepts it.

Words of its answers, fields and refusals are those of Ollama 0.33.
"""

import asyncio
import base64
import binascii
import json
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

NOW = "2026-11-20T20:00:00.123456789Z"
DEFAULT_TOKENS = 4096
BYTES_PER_TOKEN = 4
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
LEVELS = ("high", "medium", "low", "max")
CRASH = "an error was encountered while running the model: CUDA error: out of memory"

_MESSAGE = {
    "role": str,
    "content": str,
    "thinking": str,
    "images": list,
    "tool_calls": list,
    "tool_name": str,
    "tool_call_id": str,
}
_ASKED = {
    "model": str,
    "messages": list,
    "stream": bool,
    "format": (str, dict),
    "options": dict,
    "tools": list,
    "think": (bool, str),
    "truncate": bool,
    "keep_alive": (str, int, float),
    "prompt": str,
    "images": list,
    "width": int,
    "height": int,
    "steps": int,
    "input": (str, list),
}
_OPTIONS = {
    "temperature": (int, float),
    "top_p": (int, float),
    "seed": int,
    "num_predict": int,
    "num_ctx": int,
    "stop": list,
}


class Refused(Exception):  # noqa: N818 - it is an answer
    """An answer that says no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Kept:
    """A model: what it can, and how many tokens it was trained with."""

    capabilities: tuple[str, ...]
    trained: int = 131_072
    family: str = "llama"
    parameters: str = ""
    digest: str = "d1"


def _models() -> dict[str, Kept]:
    return {
        "llama3.2:latest": Kept(("completion", "tools")),
        "qwen3:8b": Kept(("completion", "tools", "thinking"), 40_960, "qwen3"),
        "gemma3:4b": Kept(("completion", "vision"), 131_072, "gemma3", "temperature    1\nnum_ctx        65536\n"),
        "tiny:latest": Kept(("completion",), 2_048),
        "all-minilm:latest": Kept(("embedding",), 512, "bert"),
        "x/z-image-turbo:latest": Kept(("image",), 0, "ZImage"),
    }


@dataclass
class OllamaPeer:
    """The server: what it was asked, what it has, and what it is to do wrong."""

    port: int = 0
    models: dict[str, Kept] = field(default_factory=_models)
    questions: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    is_old: bool = False
    """Whether it is of a time before capabilities, ids of calls, levels of thinking and `truncate`."""
    loaded: asyncio.Event | None = None
    """What models wait for before they answer."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a request waits for its model, and once somebody has left who waited."""
    crashes: bool = False
    """Whether the model breaks in the middle of its answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1024**3, middlewares=[self._answer])
        app.router.add_get("/api/tags", self._tags)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/api/chat", self._chat)
        app.router.add_post("/api/generate", self._generate)
        app.router.add_post("/api/embed", self._embed)
        return app

    @web.middleware
    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.asked.append(request.path)
        try:
            return await handler(request)
        except Refused as refused:
            return web.json_response({"error": str(refused)}, status=refused.status)
        except web.HTTPException as refused:
            return web.Response(text=f"{refused.status} page not found", status=refused.status)

    async def _tags(self, request: web.Request) -> web.Response:
        return web.json_response({"models": [self._listed(name, kept) for name, kept in self.models.items()]})

    def _listed(self, name: str, kept: Kept) -> dict[str, Any]:
        details = {"parent_model": "", "format": "gguf", "family": kept.family, "families": [kept.family]}
        if self.is_old and "vision" in kept.capabilities:
            details["families"] = [kept.family, "clip"]
        listed = {"name": name, "model": name, "modified_at": NOW, "size": 2_019_393_189, "digest": kept.digest}
        return listed | {"details": details | {"parameter_size": "3.2B", "quantization_level": "Q4_K_M"}}

    async def _show(self, request: web.Request) -> web.Response:
        name, kept = self._find(await _json(request))
        info = {"general.architecture": kept.family, f"{kept.family}.context_length": kept.trained}
        shown = {
            "license": "a license\n" * 400,
            "modelfile": "# Modelfile",
            "parameters": kept.parameters,
            "template": "{{ .Prompt }}",
            "details": self._listed(name, kept)["details"],
            "model_info": info if kept.trained else {},
            "modified_at": NOW,
        }
        return web.json_response(shown if self.is_old else shown | {"capabilities": list(kept.capabilities)})

    def _find(self, asked: dict[str, Any]) -> tuple[str, Kept]:
        name = asked.get("model") or ""
        if not name:
            raise Refused(400, "model is required")
        full = name if ":" in name else f"{name}:latest"
        if full not in self.models:
            raise Refused(404, f"model '{name}' not found")
        return full, self.models[full]

    async def _load(self) -> None:
        """Wait until the model is there; who leaves meanwhile is noted."""
        if self.loaded is None:
            return
        self.waiting.set()
        try:
            await self.loaded.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await _json(request)
        self.questions.append(asked)
        _, kept = self._find(asked)
        if "completion" not in kept.capabilities:
            raise Refused(400, f'"{asked["model"]}" does not support chat')
        if asked.get("tools") and "tools" not in kept.capabilities:
            raise Refused(400, f"registry.ollama.ai/library/{asked['model']} does not support tools")
        self._check_think(asked, kept)
        for message in asked.get("messages") or ():
            _check_message(message, is_old=self.is_old)
        for tool in asked.get("tools") or ():
            _check(tool, {"type": str, "function": dict}, "Tools.tools")
        await self._load()
        tokens = self._tokens(asked, kept)
        return await self._stream(request, asked, list(self._say(asked, kept)), tokens)

    def _check_think(self, asked: dict[str, Any], kept: Kept) -> None:
        think = asked.get("think")
        if isinstance(think, str) and self.is_old:
            raise Refused(400, "json: cannot unmarshal string into Go struct field ChatRequest.think of type bool")
        if isinstance(think, str) and think not in LEVELS:
            words = '(must be "high", "medium", "low", "max", true, or false)'
            raise Refused(400, f'invalid think value: "{think}" {words}')
        if think and "thinking" not in kept.capabilities:
            raise Refused(400, f'"{asked["model"]}" does not support thinking')

    def _tokens(self, asked: dict[str, Any], kept: Kept) -> int:
        """The tokens of the question, as far as there is room for them."""
        said = "".join(message["content"] for message in asked["messages"])
        tokens = len(said) // BYTES_PER_TOKEN
        window = min((asked.get("options") or {}).get("num_ctx") or DEFAULT_TOKENS, kept.trained)
        if tokens < window:
            return tokens
        if self.is_old or asked.get("truncate") is not False:
            return window // 2
        words = f"request ({tokens} tokens) exceeds the available context size ({window} tokens), try increasing it"
        inner = {"code": 400, "message": words, "type": "exceed_context_size_error"}
        raise Refused(400, json.dumps({"error": inner | {"n_prompt_tokens": tokens, "n_ctx": window}}))

    def _say(self, asked: dict[str, Any], kept: Kept) -> Iterator[dict[str, Any]]:
        """The messages of an answer."""
        last = asked["messages"][-1]
        if asked.get("think", "thinking" in kept.capabilities):
            yield {"content": "", "thinking": "Hm, "}
            yield {"content": "", "thinking": f"{asked.get('think', 'so')}."}
        if asked.get("tools") and last["role"] == "user":
            calls = [{"function": {"index": 0, "name": _name(tool), "arguments": {}}} for tool in asked["tools"]]
            for number, call in enumerate(calls if not self.is_old else ()):
                call["id"] = f"call_{number:08d}"
            yield {"content": "", "tool_calls": calls}
            return
        if isinstance(asked.get("format"), dict):
            yield {"content": json.dumps(dict.fromkeys(asked["format"].get("properties", ()), "yes"))}
            return
        seen = [f" and saw {len(base64.b64decode(image))} bytes" for image in last.get("images") or ()]
        told = f"{last.get('tool_name')} gave" if last["role"] == "tool" else "You said"
        for word in f"{told}: {last['content']}{''.join(seen)}".split(" "):
            yield {"content": f"{word} "}

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        asked = await _json(request)
        self.questions.append(asked)
        _, kept = self._find(asked)
        if "image" not in kept.capabilities:
            raise Refused(400, f'"{asked["model"]}" does not support generate')
        width, height = asked.get("width", 1024), asked.get("height", 1024)
        if max(width, height) > 4096:
            raise Refused(400, "width and height must be <= 4096")
        for image in asked.get("images") or ():
            _check_image(image)
        await self._load()
        steps = [{"completed": done, "total": 4, "done": False} for done in range(1, 5)]
        picture = base64.b64encode(png(min(width, 64), min(height, 64))).decode()
        end = {"image": picture, "done": True, "done_reason": "stop", "total_duration": 9, "load_duration": 2}
        lines = [_line(asked, **line) for line in (*steps, end)]
        if asked.get("stream") is False:
            return web.json_response(lines[-1])
        return await self._send(request, lines)

    async def _stream(
        self, request: web.Request, asked: dict[str, Any], messages: list[dict[str, Any]], tokens: int
    ) -> web.StreamResponse:
        lines = [_line(asked, message={"role": "assistant", **said}, done=False) for said in messages]
        counts = {"total_duration": 5_043_500_667, "load_duration": 5_025_959, "prompt_eval_count": tokens}
        counts |= {"prompt_eval_duration": 325_953_000, "eval_count": len(messages), "eval_duration": 4_709_213_000}
        cut = len(messages) >= (asked.get("options") or {}).get("num_predict", 2**31) > 0
        end = {
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "length" if cut else "stop",
        }
        last = {"error": CRASH} if self.crashes else _line(asked, **end, **counts)
        if asked.get("stream") is False:
            whole = {name: "".join(said.get(name, "") for said in messages) for name in ("content", "thinking")}
            calls = [call for said in messages for call in said.get("tool_calls", ())]
            return web.json_response(last | {"message": {"role": "assistant", **whole, "tool_calls": calls}})
        return await self._send(request, [*lines, last])

    async def _send(self, request: web.Request, lines: list[dict[str, Any]]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        with suppress(ConnectionError):
            for line in lines:
                await response.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            await response.write_eof()
        return response

    async def _embed(self, request: web.Request) -> web.Response:
        asked = await _json(request)
        self.questions.append(asked)
        _, kept = self._find(asked)
        texts = [asked["input"]] if isinstance(asked.get("input"), str) else asked.get("input") or []
        if not all(isinstance(text, str) for text in texts):
            raise Refused(400, "invalid input type")
        if "embedding" not in kept.capabilities:
            raise Refused(500, "this model does not support embeddings")
        await self._load()
        vectors = [[float(len(text)), 1.0, 0.5] for text in texts]
        return web.json_response({"model": asked["model"], "embeddings": vectors, "total_duration": 14_143_917})


async def _json(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    if not body:
        raise Refused(400, "missing request body")
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise Refused(400, str(error)) from None
    _check(asked, _ASKED, "Request")
    _check(asked.get("options") or {}, _OPTIONS, "options")
    if isinstance(asked.get("format"), str) and asked["format"] not in ("", "json"):
        raise Refused(400, f'invalid format: "{asked["format"]}"; expected "json" or a valid JSON Schema object')
    return asked


def _check(said: Any, types: dict[str, Any], where: str) -> None:
    """Go takes no value of another type; names that it does not know it passes over."""
    if not isinstance(said, dict):
        raise Refused(400, f"json: cannot unmarshal {type(said).__name__} into Go value of type {where}")
    for name, kind in types.items():
        value = said.get(name)
        is_wrong = isinstance(value, bool) and kind not in (bool, (bool, str))
        if value is not None and (is_wrong or not isinstance(value, kind)):
            raise Refused(400, f"json: cannot unmarshal {type(value).__name__} into Go struct field {where}.{name}")


def _check_message(message: dict[str, Any], *, is_old: bool) -> None:
    _check(message, _MESSAGE, "Message")
    if message["role"] not in ("system", "user", "assistant", "tool"):
        raise Refused(400, f'invalid role: "{message["role"]}"')
    for image in message.get("images") or ():
        _check_image(image)
    for call in message.get("tool_calls") or ():
        _check(call, {"id": str, "function": dict}, "ToolCall")
        _check(call.get("function"), {"name": str, "arguments": dict}, "ToolCall.function")


def _check_image(image: Any) -> None:
    try:
        data = base64.b64decode(image, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Refused(400, "illegal base64 data at input byte 0") from None
    if not data.startswith(SIGNATURES):
        raise Refused(500, "Failed to load image or audio file")


def _line(asked: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": asked["model"], "created_at": NOW, **fields}


def _name(tool: dict[str, Any]) -> str:
    return str((tool.get("function") or {}).get("name", ""))


def png(width: int, height: int) -> bytes:
    """A red picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + b"\xff\x00\x00" * width) * height
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return SIGNATURES[0] + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@asynccontextmanager
async def small_ollama() -> AsyncIterator[OllamaPeer]:
    """The server on a free port of loopback."""
    peer = OllamaPeer()
    # What is done for a client ends when it leaves, as in Go.
    runner = web.AppRunner(peer.app(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.port = runner.addresses[0][1]
    try:
        yield peer
    finally:
        await runner.cleanup()
