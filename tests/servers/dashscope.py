"""DashScope: policies for its temporary storage, and questions that point to what lies there."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from aiohttp import web
from tests.servers.oss import OSS, oss, served

KEY = "sk-dashscope-0123456789"
BUCKET = "dashscope-instant"
RESOLVE = "X-DashScope-OssResourceResolve"
FORM = [
    *("OSSAccessKeyId", "Signature", "policy", "key", "x-oss-object-acl", "x-oss-forbid-overwrite"),
    *("success_action_status", "x-oss-content-type"),
]


@dataclass
class DashScopeService:
    """The service; `storage_url` is where forms are to go, `refuse` answers for a policy while it is set."""

    storage: OSS
    port: int = 0
    storage_url: str = ""
    max_megabytes: int = 100
    under: str = "data"
    refuse: Callable[[], web.Response] | None = None
    change: Callable[[dict[str, Any]], None] = lambda _: None
    asked: list[str] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """Where the API in OpenAI's form is."""
        return f"{self.url}/compatible-mode/v1"

    @property
    def kept(self) -> dict[str, bytes]:
        """What lies in the storage, by key."""
        return {key: stored.data for (_, key), stored in self.storage.objects.items()}

    async def policy(self, request: web.Request) -> web.Response:
        self.asked.append(request.rel_url.raw_query_string)
        if self.refuse:
            return self.refuse()
        if refused := _unauthorized(request):
            return refused
        model = request.query.get("model")
        if request.query.get("action") != "getPolicy" or not model:
            return _refusal(400, "InvalidParameter", "action and model are wanted")
        folder = f"{BUCKET}/{token_hex(16)}/2026-11-20/{token_hex(16)}"
        self.models[folder] = model
        lent = self.storage.lend(sts=False)
        ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        conditions: list[object] = [
            ["content-length-range", 0, self.max_megabytes * 1024 * 1024],
            ["starts-with", "$key", f"{folder}/"],
            {"bucket": BUCKET},
            {"x-oss-object-acl": "private"},
            {"x-oss-forbid-overwrite": "true"},
        ]
        written, signature = self.storage.sign_policy(lent, {"expiration": ends, "conditions": conditions})
        data = {
            "policy": written,
            "signature": signature,
            "upload_dir": folder,
            "upload_host": self.storage_url,
            "expire_in_seconds": 300,
            "max_file_size_mb": self.max_megabytes,
            "capacity_limit_mb": 999999999,
            "oss_access_key_id": lent.access_key_id,
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }
        self.change(data)
        return web.json_response({"request_id": token_hex(8), self.under: data})

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """Answers what it has seen: for each file its type and size, as words."""
        if refused := _unauthorized(request):
            return refused
        asked = await request.json()
        self.questions.append(asked)
        seen = []
        for message in asked["messages"]:
            for part in message["content"] if isinstance(message["content"], list) else []:
                inner = part.get(part["type"])
                url = inner if isinstance(inner, str) else inner.get("url", inner.get("data"))
                if not url.startswith("oss://"):
                    continue
                stored = self.storage.objects.get((BUCKET, url.removeprefix("oss://")))
                if request.headers.get(RESOLVE) != "enable":
                    return _refusal(400, "InvalidParameter", "The provided URL does not appear to be valid.")
                if stored is None or self.models[url.removeprefix("oss://").rpartition("/")[0]] != asked["model"]:
                    words = "Failed to download multimodal content"
                    return _refusal(400, "invalid_parameter_error", words)
                seen.append(f"{part['type']} {stored.media_type} {len(stored.data)}")
        return await _answer(request, asked, "; ".join(seen) or "nothing")


async def _answer(request: web.Request, asked: dict[str, Any], text: str) -> web.StreamResponse:
    common = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": text}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return web.json_response({**common, "object": "chat.completion", "choices": choices, "usage": usage})
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for delta, finish in (({"role": "assistant", "content": text}, None), ({}, "stop")):
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        chunk = {**common, "object": "chat.completion.chunk", "choices": choices}
        await answer.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await answer.write(b"data: [DONE]\n\n")
    return answer


def _refusal(status: int, code: str, message: str) -> web.Response:
    error = {"code": code, "message": message, "type": code, "param": None}
    return web.json_response({"error": error, "code": code, "message": message, "request_id": "r"}, status=status)


def _unauthorized(request: web.Request) -> web.Response | None:
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        return _refusal(401, "InvalidApiKey", "Invalid API-key provided.")
    return None


@asynccontextmanager
async def dashscope_service() -> AsyncIterator[DashScopeService]:
    """The service and its storage, on loopback."""
    async with oss() as storage:
        service = DashScopeService(storage, storage_url=storage.url)
        app = web.Application()
        app.router.add_get("/api/v1/uploads", service.policy)
        app.router.add_post("/compatible-mode/v1/chat/completions", service.completions)
        async with served(app) as service.port:
            yield service
