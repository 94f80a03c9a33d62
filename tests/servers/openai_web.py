"""The part of OpenAI's web app that takes files: tickets and receipts here, the bytes in Azurite.

It is strict: what the real service or Azure would refuse, or what should never reach them, is refused here.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from aiohttp import web
from azure.core.exceptions import ResourceNotFoundError
from tests.servers import azurite
from tests.servers.azure_links import client, link
from tests.servers.faulty import Faulty, faulty
from tests.servers.http import Received

TOKENS = {"token-of-ann": "ann", "token-of-bob": "bob"}
USE_CASES = ("multimodal", "my_files")


@dataclass
class Entry:
    """A file that was announced; `uploaded` once its receipt was given."""

    owner: str
    name: str
    size: int
    use_case: str
    blob: str
    uploaded: bool = False
    processed: bool = False


@dataclass
class Told:
    """A request to the service itself."""

    step: str
    headers: dict[str, str]
    body: Any


@dataclass
class OpenAIWebService:
    """The service. `answers` are given instead of its own, by step (`ticket`, `receipt`, `process`), each once."""

    container: azurite.AzureContainer
    storage: Faulty
    url: str = ""
    answers: dict[str, list[web.StreamResponse]] = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    id_form: str = "file-{}"
    permissions: str = "cw"
    link_seconds: float = 600
    gives_download_url: bool = True
    processing: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"event": "file.processing.started", "progress": 0.0},
            {"event": "file.processing.file_ready", "progress": 50},
            {"event": "file.processing.completed", "progress": 100},
        ]
    )

    @property
    def steps(self) -> list[str]:
        """What was asked for, in order."""
        return [told.step for told in self.told]

    def content(self, file_id: str) -> bytes:
        """What lies in the storage for a file."""
        return client(self.container, self.files[file_id].blob).download_blob().readall()

    def say(self, step: str, content: Any, status: int = 200, **headers: str) -> None:
        """Answer a step so, once."""
        text = content if isinstance(content, str) else json.dumps(content)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(step, []).append(
            web.Response(text=text, status=status, headers={"Content-Type": "application/json", **headers})
        )

    def check_storage(self, request: Received) -> str | None:
        """What a request to the storage must not bear, and must."""
        names = set(request.headers)
        if spilled := names & {"authorization", "cookie"}:
            return f"credentials at the storage: {spilled}"
        if request.headers.get("x-ms-version") != "2020-04-08":
            return "x-ms-version is not 2020-04-08"
        if "comp=" not in request.target and (
            lacking := {"content-type", "x-ms-blob-type", "origin", "content-length"} - names
        ):
            return f"without {lacking}"
        if "comp=" not in request.target and request.headers["origin"] != self.url:
            return "another origin"
        return None

    async def create(self, request: web.Request) -> web.StreamResponse:
        owner, body = await self._read(request, "ticket")
        if answer := self._answer("ticket"):
            return answer
        name, size, case = body.get("file_name"), body.get("file_size"), body.get("use_case")
        if not name or type(size) is not int or case not in USE_CASES or len(body) != 3:
            raise _no(web.HTTPUnprocessableEntity, "file_name, file_size and use_case are wanted")
        file_id = self.id_form.format(token_hex(8))
        self.files[file_id] = Entry(owner, name, size, case, f"files/{token_hex(8)}/raw")
        upload_url = link(self.container, self.files[file_id].blob, self.permissions, ends=self.link_seconds)
        there = self.container.options["endpoint"].rpartition("/")[0]
        return web.json_response(
            {"status": "success", "file_id": file_id, "upload_url": upload_url.replace(there, self.storage.url)}
        )

    async def uploaded(self, request: web.Request) -> web.StreamResponse:
        owner, body = await self._read(request, "receipt")
        if answer := self._answer("receipt"):
            return answer
        entry = self._entry(request.match_info["id"], owner)
        if body != {}:
            raise _no(web.HTTPUnprocessableEntity, "the body is {}")
        try:
            properties = await asyncio.to_thread(client(self.container, entry.blob).get_blob_properties)
        except ResourceNotFoundError:
            raise _no(web.HTTPBadRequest, "File has not been uploaded") from None
        is_image = properties.content_settings.content_type.startswith("image/")
        if properties.size != entry.size or is_image != (entry.use_case == "multimodal"):
            raise _no(web.HTTPBadRequest, "The file is not the one that was announced")
        entry.uploaded = True
        url = {"download_url": link(self.container, entry.blob, "r")} if self.gives_download_url else {}
        return web.json_response({"status": "success", **url})

    async def process(self, request: web.Request) -> web.StreamResponse:
        owner, body = await self._read(request, "process")
        if answer := self._answer("process"):
            return answer
        wanted = {"file_id", "file_name", "use_case", "index_for_retrieval", "entry_surface"}
        if set(body) != wanted or body["entry_surface"] != "composer" or type(body["index_for_retrieval"]) is not bool:
            raise _no(web.HTTPUnprocessableEntity, f"wanted are {wanted}")
        entry = self._entry(body["file_id"], owner)
        entry.processed = True
        stream = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await stream.prepare(request)
        for event in self.processing:
            await stream.write(json.dumps(event).encode() + b"\n")
        await stream.write_eof()
        return stream

    async def _read(self, request: web.Request, step: str) -> tuple[str, dict[str, Any]]:
        body = await request.read()
        told = Told(step, {name.lower(): value for name, value in request.headers.items()}, json.loads(body or b"{}"))
        self.told.append(told)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in TOKENS:
            raise _no(web.HTTPUnauthorized, f"Could not validate your token {token}.")
        if request.content_type != "application/json" or "Content-Length" not in request.headers:
            raise _no(web.HTTPUnsupportedMediaType, "JSON of a known length is wanted")
        return TOKENS[token], told.body

    def _answer(self, step: str) -> web.StreamResponse | None:
        waiting = self.answers.get(step)
        return waiting.pop(0) if waiting else None

    def _entry(self, file_id: str, owner: str) -> Entry:
        entry = self.files.get(file_id)
        if entry is None or entry.owner != owner:
            raise _no(web.HTTPNotFound, "File not found")
        return entry


def _no(kind: type[web.HTTPException], words: str) -> web.HTTPException:
    return kind(text=json.dumps({"detail": words}), content_type="application/json")


@asynccontextmanager
async def openai_web() -> AsyncIterator[OpenAIWebService]:
    """The service on loopback, with an empty container of its own."""
    container = azurite.new_bucket()
    async with faulty(azurite.server().port) as storage:
        service = OpenAIWebService(container, storage)
        storage.complain = service.check_storage
        app = web.Application()
        app.router.add_post("/backend-api/files", service.create)
        app.router.add_post("/backend-api/files/process_upload_stream", service.process)
        app.router.add_post("/backend-api/files/{id}/uploaded", service.uploaded)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            assert site._server is not None
            service.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
            yield service
        finally:
            await runner.cleanup()
