"""OpenAI's Files and Uploads: strict about what the official SDK sends, and with the words of the real service."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from aiohttp import web
from tests.servers.forms import Field, FormError, read_form

KEY = "sk-proj-ann-0123456789abcdef"
OTHER_KEY = "sk-proj-bob-0123456789abcdef"
PURPOSES = {"assistants", "batch", "fine-tune", "vision", "user_data", "evals"}
MAX_FILE = 512 * 1024**2
MAX_UPLOAD = 8 * 1024**3
MAX_PART = 64 * 1024**2


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    fields: list[Field] = field(default_factory=list)
    json: Any = None


@dataclass
class Pending:
    """An upload in parts."""

    owner: str
    said: dict[str, Any]
    parts: dict[str, bytes] = field(default_factory=dict)


Pause = Callable[[Asked], Awaitable[None]]


async def _no_pause(_: Asked) -> None:
    pass


@dataclass
class OpenAIFilesService:
    """The service. `changes` are put over what it says of a file; `pause` is awaited before each answer."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, Pending] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    upload_seconds: float = 3600
    pause: Pause = _no_pause

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def about(self, ending: str, method: str = "POST") -> list[Asked]:
        """The requests whose path ends so."""
        return [asked for asked in self.asked if asked.method == method and asked.path.endswith(ending)]

    async def create_file(self, request: web.Request) -> web.Response:
        asked, owner = await self._read(request)
        *fields, last = asked.fields
        given = {field.name: field.text for field in fields}
        if len(given) != len(fields) or any(field.filename is not None for field in fields):
            raise _bad("the fields come once each, and before the file")
        if last.name != "file" or not last.filename or not last.media_type:
            raise _bad("'file' is a required property, and is the last", "file")
        if len(last.data) > MAX_FILE:
            raise _bad("File is too large", status=413)
        purpose = given.pop("purpose", None)
        if purpose not in PURPOSES:
            raise _bad(f"Invalid value for 'purpose': {purpose!r}", "purpose")
        expiry = {name: given.pop(f"expires_after[{name}]", None) for name in ("anchor", "seconds")}
        if given:
            raise _bad(f"Unknown parameters: {', '.join(given)}")
        seconds = _seconds(expiry) if any(expiry.values()) else None
        return web.json_response(self._keep(owner, last.filename, last.data, purpose, seconds))

    async def get_file(self, request: web.Request) -> web.Response:
        _, owner = await self._read(request)
        return web.json_response(self.files[self._file_id(request, owner)])

    async def get_content(self, request: web.Request) -> web.Response:
        _, owner = await self._read(request)
        return web.Response(body=self.contents[self._file_id(request, owner)])

    async def delete_file(self, request: web.Request) -> web.Response:
        _, owner = await self._read(request)
        file_id = self._file_id(request, owner)
        del self.files[file_id], self.contents[file_id]
        return web.json_response({"id": file_id, "object": "file", "deleted": True})

    async def create_upload(self, request: web.Request) -> web.Response:
        asked, owner = await self._read(request)
        match asked.json:
            case {"bytes": int(size), "filename": str(name), "mime_type": str(kind), "purpose": str(purpose), **more}:
                pass
            case _:
                raise _bad("bytes, filename, mime_type and purpose are wanted")
        expiry = more.pop("expires_after", None)
        if more or not name or "/" not in kind or purpose not in PURPOSES or not 0 < size <= MAX_UPLOAD:
            raise _bad("one of bytes, filename, mime_type, purpose is wrong, or there is more")
        said = {
            "id": f"upload_{token_hex(12)}",
            "object": "upload",
            "bytes": size,
            "created_at": int(time.time()),
            "expires_at": int(time.time() + self.upload_seconds),
            "filename": name,
            "purpose": purpose,
            "status": "pending",
        }
        self.uploads[said["id"]] = Pending(owner, said | {"seconds": _seconds(expiry) if expiry else None})
        return web.json_response(said)

    async def add_part(self, request: web.Request) -> web.Response:
        asked, owner = await self._read(request)
        upload = self._pending(request, owner)
        if [(part.name, part.filename is None) for part in asked.fields] != [("data", False)]:
            raise _bad("'data' is a required property, and the only one", "data")
        [part] = asked.fields
        if not 0 < len(part.data) <= MAX_PART:
            raise _bad("The part is empty or exceeds 64 MB", "data")
        part_id = f"part_{token_hex(8)}"
        upload.parts[part_id] = part.data
        upload_id = upload.said["id"]
        said = {"id": part_id, "object": "upload.part", "created_at": int(time.time()), "upload_id": upload_id}
        return web.json_response(said)

    async def complete(self, request: web.Request) -> web.Response:
        asked, owner = await self._read(request)
        upload = self._pending(request, owner)
        match asked.json:
            case {"part_ids": list(part_ids), **more} if set(part_ids) <= set(upload.parts):
                md5 = more.pop("md5", None)
            case _:
                raise _bad("Invalid part_ids", "part_ids")
        data = b"".join(upload.parts[part_id] for part_id in part_ids)
        if more or len(data) != upload.said["bytes"]:
            raise _bad(f"The parts have {len(data)} bytes, and {upload.said['bytes']} were announced")
        if md5 is not None and md5 != (await asyncio.to_thread(hashlib.md5, data)).hexdigest():
            raise _bad("The md5 checksum of the parts does not match the one that was provided", "md5")
        said = upload.said
        kept = self._keep(owner, said["filename"], data, said["purpose"], said["seconds"])
        said["status"] = "completed"
        return web.json_response({**said, "file": kept})

    async def cancel(self, request: web.Request) -> web.Response:
        asked, owner = await self._read(request)
        if asked.json or asked.fields:
            raise _bad("cancel has no body")
        upload = self._pending(request, owner)
        upload.said["status"] = "cancelled"
        upload.parts.clear()
        return web.json_response(upload.said)

    async def _read(self, request: web.Request) -> tuple[Asked, str]:
        """The request and whose it is."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.path, headers)
        self.asked.append(asked)
        if request.method == "POST" and ("transfer-encoding" in headers or "content-length" not in headers):
            raise _bad("Length Required", status=411)
        body = await request.read()
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or key not in (KEY, OTHER_KEY) or "cookie" in headers:
            raise _bad(f"Incorrect API key provided: {key}.", code="invalid_api_key", status=401)
        content_type = headers.get("content-type", "")
        if content_type.startswith("multipart/"):
            try:
                asked.fields = read_form(content_type, body)
            except FormError as error:
                raise _bad(f"Could not parse multipart form: {error}") from None
        elif body:
            if content_type != "application/json":
                raise _bad(f"Unsupported content type: {content_type}", status=415)
            asked.json = json.loads(body)
        await self.pause(asked)
        return asked, key

    def _keep(self, owner: str, name: str, data: bytes, purpose: str, seconds: int | None) -> dict[str, Any]:
        now = int(time.time())
        said = {
            "id": f"file-{token_hex(12)}",
            "object": "file",
            "bytes": len(data),
            "created_at": now,
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "expires_at": now + seconds if seconds else None,
            **self.changes,
        }
        self.files[said["id"]], self.contents[said["id"]], self.owners[said["id"]] = said, data, owner
        return said

    def _file_id(self, request: web.Request, owner: str) -> str:
        file_id = request.match_info["id"]
        if file_id not in self.files or self.owners[file_id] != owner:
            raise _bad(f"No such File object: {file_id}", "id", status=404)
        return file_id

    def _pending(self, request: web.Request, owner: str) -> Pending:
        upload_id = request.match_info["id"]
        upload = self.uploads.get(upload_id)
        if upload is None or upload.owner != owner:
            raise _bad(f"No such Upload object: {upload_id}", "upload_id", status=404)
        if upload.said["status"] == "pending" and time.time() >= upload.said["expires_at"]:
            upload.said["status"] = "expired"
        if upload.said["status"] != "pending":
            raise _bad(f"Upload {upload_id} is {upload.said['status']}")
        return upload


def _seconds(expiry: dict[str, Any]) -> int:
    seconds = int(expiry.get("seconds") or 0)
    if set(expiry) != {"anchor", "seconds"} or expiry["anchor"] != "created_at" or not 3600 <= seconds <= 2592000:
        raise _bad("Invalid 'expires_after'", "expires_after")
    return seconds


class Refusal(web.HTTPException):
    """Says no, as JSON."""

    def __init__(self, status: int, said: dict[str, Any]) -> None:
        self.status_code = status
        super().__init__(text=json.dumps(said), content_type="application/json")


def _bad(words: str, param: str | None = None, *, code: str | None = None, status: int = 400) -> Refusal:
    kind = "invalid_request_error"
    return Refusal(status, {"error": {"message": words, "type": kind, "param": param, "code": code}})


@asynccontextmanager
async def openai_files() -> AsyncIterator[OpenAIFilesService]:
    """The service on loopback, with nothing in it."""
    service = OpenAIFilesService()
    async with serving(files_app(service)) as service.url:
        yield service


def files_app(service: OpenAIFilesService) -> web.Application:
    """Its endpoints."""
    app = web.Application(client_max_size=2 * MAX_PART)
    app.router.add_post("/v1/files", service.create_file)
    app.router.add_get("/v1/files/{id}", service.get_file)
    app.router.add_get("/v1/files/{id}/content", service.get_content)
    app.router.add_delete("/v1/files/{id}", service.delete_file)
    app.router.add_post("/v1/uploads", service.create_upload)
    app.router.add_post("/v1/uploads/{id}/parts", service.add_part)
    app.router.add_post("/v1/uploads/{id}/complete", service.complete)
    app.router.add_post("/v1/uploads/{id}/cancel", service.cancel)
    return app


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on loopback; its URL."""
    runner = web.AppRunner(app, shutdown_timeout=1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
