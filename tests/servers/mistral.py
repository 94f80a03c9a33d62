"""Mistral's Files: strict about what the official SDK sends."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import web
from tests.servers.forms import FormError, read_form
from tests.servers.openai_files import Asked, Refusal, serving

KEY = "mistral-key-of-ann-0123456789"
PURPOSES = {"fine-tune", "batch", "ocr", "audio", "agentic_safety"}
VISIBILITIES = {"workspace", "user"}
MAX_FILE = 512 * 1024**2


@dataclass
class MistralService:
    """The service. `changes` are put over what it says of a file."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    links_tell: bool = True
    """Whether a link says when it ends, as Azure's do."""
    refusals: dict[str, int] = field(default_factory=dict)
    """Statuses to answer with, by the end of the path, for good."""

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def upload(self, request: web.Request) -> web.Response:
        asked = await self._read(request)
        try:
            asked.fields = read_form(asked.headers.get("content-type", ""), await request.read())
        except FormError as error:
            raise _no(422, str(error)) from None
        *fields, last = asked.fields
        given = {field.name: field.text for field in fields}
        if len(given) != len(fields) or not set(given) <= {"purpose", "visibility", "expiry"}:
            raise _no(422, f"unknown fields, or one twice: {[field.name for field in fields]}")
        if last.name != "file" or not last.filename or any(field.filename is not None for field in fields):
            raise _no(422, "the file comes last, with a name")
        if given.get("purpose", "fine-tune") not in PURPOSES or given.get("visibility", "user") not in VISIBILITIES:
            raise _no(422, "another purpose or visibility is wanted")
        if len(last.data) > MAX_FILE:
            raise _no(413, "The file is too large")
        said = {
            "id": str(uuid4()),
            "object": "file",
            "bytes": len(last.data),
            "created_at": int(time.time()),
            "filename": last.filename,
            "purpose": given.get("purpose", "fine-tune"),
            "sample_type": "ocr_input",
            "source": "upload",
            "mimetype": last.media_type,
            "expires_at": None,
            "visibility": given.get("visibility"),
            **self.changes,
        }
        self.files[said["id"]], self.contents[said["id"]] = said, last.data
        return web.json_response(said)

    async def link(self, request: web.Request) -> web.Response:
        await self._read(request)
        file_id = self._file_id(request)
        hours = request.query.get("expiry", "24")
        if not hours.isdecimal() or not 1 <= int(hours) <= 168:
            raise _no(422, "expiry is between 1 and 168")
        query = {"sig": "c2lnbmF0dXJl", "sp": "r"}
        if self.links_tell:
            query["se"] = datetime.fromtimestamp(int(time.time()) + int(hours) * 3600, UTC).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            )
        return web.json_response({"url": f"{self.url}/blobs/{file_id}?{urlencode(query)}"})

    async def read_blob(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers or "sig" not in request.query:
            raise _no(403, "a signed link, and no key")
        return web.Response(body=self.contents[self._file_id(request)])

    async def get(self, request: web.Request) -> web.Response:
        await self._read(request)
        return web.json_response(self.files[self._file_id(request)])

    async def delete(self, request: web.Request) -> web.Response:
        await self._read(request)
        file_id = self._file_id(request)
        del self.files[file_id], self.contents[file_id]
        return web.json_response({"id": file_id, "object": "file", "deleted": True})

    async def _read(self, request: web.Request) -> Asked:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.path_qs, headers)
        self.asked.append(asked)
        if request.method == "POST" and ("transfer-encoding" in headers or "content-length" not in headers):
            raise _no(411, "Length Required")
        await request.read()
        if headers.get("authorization") != f"Bearer {KEY}" or "cookie" in headers:
            raise _no(401, "Unauthorized")
        for ending, status in self.refusals.items():
            if request.path.endswith(ending):
                raise _no(status, "not now")
        return asked

    def _file_id(self, request: web.Request) -> str:
        file_id = request.match_info["id"]
        if file_id not in self.files:
            raise _no(404, "No file matches the given query.")
        return file_id


def _no(status: int, words: str) -> Refusal:
    return Refusal(status, {"object": "error", "message": words, "type": "invalid_request", "code": None})


@asynccontextmanager
async def mistral() -> AsyncIterator[MistralService]:
    """The service on loopback, with nothing in it."""
    service = MistralService()
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_post("/v1/files", service.upload)
    app.router.add_get("/v1/files/{id}", service.get)
    app.router.add_get("/v1/files/{id}/url", service.link)
    app.router.add_delete("/v1/files/{id}", service.delete)
    app.router.add_get("/blobs/{id}", service.read_blob)
    async with serving(app) as service.url:
        yield service
