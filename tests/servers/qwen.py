"""Qwen's web app, as far as uploads go: keys for one object of the storage, and the file list of a message."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any
from uuid import uuid4

from aiohttp import web
from tests.servers.oss import OSS, oss, served

TOKEN = "qwen-token-0123456789"
BUCKET = "qwen-webui-test"
_ENTRY = {
    *("type", "file", "id", "url", "name", "collection_name", "progress", "status", "greenNet", "size", "error"),
    *("itemId", "file_type", "showType", "file_class", "uploadTaskId"),
}


@dataclass
class QwenService:
    """The service; `storage_url` is where its links point, `refuse` answers instead of it while it is set."""

    storage: OSS
    port: int = 0
    storage_url: str = ""
    region: str | None = None
    link_seconds: int = 300
    key_seconds: float = 3600
    refuse: Callable[[], web.Response] | None = None
    change: Callable[[dict[str, Any]], None] = lambda _: None
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def sts_token(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        if self.refuse:
            return self.refuse()
        if refused := _unauthorized(request):
            return refused
        asked = await request.json()
        if set(asked) != {"filename", "filesize", "filetype"} or "/" not in asked["filetype"]:
            return says("Bad_Request", "filename, filesize, filetype")
        assert isinstance(asked["filename"], str) and isinstance(asked["filesize"], int)
        self.asked.append(asked)
        file_id = str(uuid4())
        path = f"{token_hex(4)}/{file_id}_{asked['filename']}"
        lent = self.storage.lend(BUCKET, path, self.key_seconds)
        self.files[file_id] = (BUCKET, path)
        data = {
            "access_key_id": lent.access_key_id,
            "access_key_secret": lent.access_key_secret,
            "security_token": lent.security_token,
            "file_url": self.storage.link(lent, BUCKET, path, self.link_seconds, self.storage_url),
            "file_path": path,
            "file_id": file_id,
            "bucketname": BUCKET,
            "region": self.region or f"oss-{self.storage.region}",
            "endpoint": f"oss-{self.storage.region}.aliyuncs.com",
        }
        self.change(data)
        return web.json_response({"success": True, "request_id": str(uuid4()), "data": data})

    async def completions(self, request: web.Request) -> web.Response:
        """Takes a message with files that have arrived: what it says of each has to be what the service knows."""
        if refused := _unauthorized(request):
            return refused
        (message,) = (await request.json())["messages"]
        if message["role"] != "user" or not isinstance(message["content"], str):
            return says("Bad_Request", "a message of the user")
        for entry in message["files"]:
            stored = self.storage.objects.get(self.files.get(entry["id"], ("", "")))
            if stored is None or set(entry) != _ENTRY or entry["size"] != len(stored.data):
                return says("Bad_Request", f"the file {entry.get('name')} is not known")
            if entry["file_type"] != stored.media_type or entry["file"]["meta"]["content_type"] != stored.media_type:
                return says("Bad_Request", "the type is another")
            if abs(entry["file"]["created_at"] / 1000 - time.time()) > 600:
                return says("Bad_Request", "created_at is in milliseconds")
        return web.json_response({"success": True, "data": {"choices": [{"message": {"content": "seen"}}]}})


def says(code: str | int, details: object, **more: object) -> web.Response:
    """A refusal, which comes with status 200."""
    return web.json_response({"success": False, "request_id": "r", "data": {"code": code, "details": details, **more}})


def _unauthorized(request: web.Request) -> web.Response | None:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return says("Unauthorized", "The token has expired.")
    return None


@asynccontextmanager
async def qwen_service() -> AsyncIterator[QwenService]:
    """The service and its storage, on loopback."""
    async with oss() as storage:
        service = QwenService(storage, storage_url=storage.url)
        app = web.Application()
        app.router.add_post("/api/v2/files/getstsToken", service.sts_token)
        app.router.add_post("/api/v2/chat/completions", service.completions)
        async with served(app) as service.port:
            yield service
