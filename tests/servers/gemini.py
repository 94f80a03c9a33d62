"""Google's Files API and generateContent as a strict peer: it refuses what Google refuses, and breaks where told to.

Its rules are those of the reference and of the official client, which runs against it in `tests/uploads`.
"""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from aiohttp import web

KEY = "AIza-test-key-of-one-account-0123456789"
OTHER_KEY = "AIza-test-key-of-another-account-98765"
GRANULARITY = 256 * 1024
MAX_FILE = 2 * 1024**3
MAX_REQUEST = 20 * 1024**2
CREDENTIALS = ("x-goog-api-key", "authorization", "cookie")

_name = re.compile(r"files/[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_FILE_FIELDS = {"name", "displayName", "display_name", "mimeType", "mime_type", "sizeBytes", "size_bytes"}
_REQUEST_FIELDS = {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "safetySettings"}
_PART_FIELDS = {"text", "inlineData", "fileData", "functionCall", "functionResponse", "thoughtSignature"}


class Refused(Exception):  # noqa: N818 - an answer, no failure of ours
    """What Google answers with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = web.json_response({"error": {"code": status, "message": message, "status": code}}, status=status)


@dataclass
class Upload:
    """A session: what was announced, and what has arrived."""

    file: dict[str, Any]
    owner: str
    size: int
    data: bytearray = field(default_factory=bytearray)
    state: str = "active"


@dataclass
class Stored:
    """A file and how it is; `polls` are the questions until it is ready."""

    data: bytes
    about: dict[str, Any]
    owner: str
    polls: int = 0


@dataclass
class GeminiPeer:
    """The service, and the faults it is to have; each `cuts` is a number of bytes after which a connection breaks."""

    port: int = 0
    uploads: dict[str, Upload] = field(default_factory=dict)
    files: dict[str, Stored] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    received: int = 0
    cuts: list[int] = field(default_factory=list)
    lost_answers: int = 0
    refusals: list[int] = field(default_factory=list)
    damaged: int = 0
    polls: int = 0
    fails: str = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1beta"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024**2, middlewares=[self._answer])
        app.router.add_post("/upload/{version:v1|v1beta}/files", self._start)
        app.router.add_post("/sessions/{id}", self._session)
        app.router.add_get("/{version:v1|v1beta}/files/{id}", self._get)
        app.router.add_delete("/{version:v1|v1beta}/files/{id}", self._delete)
        app.router.add_post("/{version:v1|v1beta}/models/{call}", self._generate)
        return app

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path} {request.headers.get('X-Goog-Upload-Command', '')}".strip())
        try:
            return await handler(request)
        except Refused as refused:
            return refused.answer

    def _owner(self, request: web.Request) -> str:
        if "key" in request.query:
            raise Refused(400, "INVALID_ARGUMENT", "a key does not belong into a URL")
        key = request.headers.get("x-goog-api-key", "")
        if key not in (KEY, OTHER_KEY):
            raise Refused(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
        return key

    async def _start(self, request: web.Request) -> web.Response:
        owner = self._owner(request)
        headers = request.headers
        if headers.get("X-Goog-Upload-Protocol") != "resumable" or headers.get("X-Goog-Upload-Command") != "start":
            raise Refused(400, "INVALID_ARGUMENT", "no resumable upload is started")
        size, media_type = headers["X-Goog-Upload-Header-Content-Length"], headers["X-Goog-Upload-Header-Content-Type"]
        body = await request.json()
        about = body.get("file", {})
        if set(body) - {"file"} or set(about) - _FILE_FIELDS:
            raise Refused(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unknown name")
        name = about.get("name") or f"files/made{len(self.uploads)}"
        if not _name.fullmatch(name):
            raise Refused(400, "INVALID_ARGUMENT", "* CreateFileRequest.file.name: names are like files/123-456")
        if name in self.files:
            raise Refused(409, "ALREADY_EXISTS", "Requested entity already exists")
        if int(size) > MAX_FILE or int(about.get("size_bytes", about.get("sizeBytes", size))) != int(size):
            raise Refused(400, "INVALID_ARGUMENT", "the size is too large, or two sizes differ")
        shown = about.get("display_name", about.get("displayName", ""))
        number = str(len(self.uploads))
        self.uploads[number] = Upload({"name": name, "displayName": shown, "mimeType": media_type}, owner, int(size))
        url = f"{self.origin}/sessions/{number}?upload_id=secret-{number}&upload_protocol=resumable"
        told = {"X-Goog-Upload-URL": url, "X-Goog-Upload-Status": "active"}
        return web.json_response({}, headers={**told, "X-Goog-Upload-Chunk-Granularity": str(GRANULARITY)})

    async def _session(self, request: web.Request) -> web.Response:
        upload = self.uploads.get(request.match_info["id"])
        if upload is None or request.query.get("upload_id") != f"secret-{request.match_info['id']}":
            raise Refused(404, "NOT_FOUND", "no such session")
        check_chunk_headers(request)
        if self.refusals:
            status = self.refusals.pop(0)
            raise Refused(status, "UNAVAILABLE", f"a bad moment ({status})")
        match request.headers.get("X-Goog-Upload-Command", "").replace(" ", ""):
            case "query" if upload.state == "active":
                return _told("active", received=len(upload.data))
            case "query":
                return _told(upload.state)
            case "cancel" if upload.state == "active":
                upload.state = "cancelled"
                return _told("cancelled")
            case "upload" | "upload,finalize" as command if upload.state == "active":
                return await self._chunk(request, upload, is_last="finalize" in command)
            case command:
                raise Refused(400, "INVALID_ARGUMENT", f"{command} while the upload is {upload.state}")

    async def _chunk(self, request: web.Request, upload: Upload, *, is_last: bool) -> web.Response:
        start, length = int(request.headers["X-Goog-Upload-Offset"]), int(request.headers["Content-Length"])
        if start != len(upload.data) or start + length > upload.size:
            raise Refused(400, "INVALID_ARGUMENT", f"{start} is not where the upload is ({len(upload.data)})")
        if is_last != (start + length == upload.size) or (not is_last and length % GRANULARITY):
            raise Refused(400, "INVALID_ARGUMENT", "a chunk that is neither whole nor the last")
        self.received += await take(request, upload.data, self.cuts)
        if not is_last:
            return _told("active")
        upload.state = "final"
        file = self._store(upload)
        if self.lost_answers:
            self.lost_answers -= 1
            abort(request)
        return _told("final", {"file": file})

    def _store(self, upload: Upload) -> dict[str, Any]:
        if self.damaged:
            self.damaged -= 1
            upload.data[len(upload.data) // 2] ^= 1
        name, now = upload.file["name"], datetime.now(UTC)
        digest = hashlib.sha256(upload.data).hexdigest()
        about = upload.file | {
            "sizeBytes": str(len(upload.data)),
            "createTime": _when(now),
            "updateTime": _when(now),
            "expirationTime": _when(now + timedelta(hours=48)),
            "sha256Hash": base64.b64encode(digest.encode()).decode(),
            "uri": f"{self.base_url}/{name}",
            "source": "UPLOADED",
        }
        self.files[name] = Stored(bytes(upload.data), about, upload.owner, self.polls)
        return self._describe(self.files[name])

    def _describe(self, stored: Stored) -> dict[str, Any]:
        if stored.polls:
            return stored.about | {"state": "PROCESSING"}
        if self.fails:
            return stored.about | {"state": "FAILED", "error": {"code": 3, "message": self.fails}}
        return stored.about | {"state": "ACTIVE"}

    def _stored(self, name: str, owner: str) -> Stored:
        stored = self.files.get(name)
        if stored is None or stored.owner != owner:
            file_id = name.removeprefix("files/")
            words = f"You do not have permission to access the File {file_id} or it may not exist."
            raise Refused(403, "PERMISSION_DENIED", words)
        return stored

    async def _get(self, request: web.Request) -> web.Response:
        stored = self._stored(f"files/{request.match_info['id']}", self._owner(request))
        stored.polls = max(0, stored.polls - 1)
        return web.json_response(self._describe(stored))

    async def _delete(self, request: web.Request) -> web.Response:
        name = f"files/{request.match_info['id']}"
        self._stored(name, self._owner(request))
        del self.files[name]
        return web.json_response({})

    async def _generate(self, request: web.Request) -> web.Response:
        owner = self._owner(request)
        body = await request.read()
        if len(body) > MAX_REQUEST:
            raise Refused(400, "INVALID_ARGUMENT", f"Request payload size exceeds the limit: {MAX_REQUEST} bytes.")
        question = json.loads(body)
        self.questions.append(question)
        if unknown := set(question) - _REQUEST_FIELDS:
            raise Refused(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. Unknown name {unknown}")
        if not question.get("contents"):
            raise Refused(400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents: contents is not specified")
        said = [self._look_at(part, owner) for content in question["contents"] for part in _parts(content)]
        chunk = {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": "; ".join(said)}]}, "finishReason": "STOP"}
            ],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        }
        if request.match_info["call"].endswith(":streamGenerateContent"):
            return web.Response(text=f"data: {json.dumps(chunk)}\r\n\r\n", content_type="text/event-stream")
        return web.json_response(chunk)

    def _look_at(self, part: dict[str, Any], owner: str) -> str:
        """What a part is, as the model sees it."""
        match part:
            case {"text": str(text)}:
                return text
            case {"inlineData": {"mimeType": str(kind), "data": data}}:
                return f"{kind} of {len(base64.b64decode(data, validate=True))} bytes"
            case {"fileData": {"fileUri": str(uri), **rest} | {"file_uri": str(uri), **rest}}:
                # Google takes names in either case, and its own client writes these in the other.
                stored = self._stored(uri.removeprefix(f"{self.base_url}/"), owner)
                if stored.polls:
                    raise Refused(400, "INVALID_ARGUMENT", "The File is not in an ACTIVE state and cannot be used.")
                if rest.get("mimeType", rest.get("mime_type")) not in (None, stored.about["mimeType"]):
                    raise Refused(400, "INVALID_ARGUMENT", "the file is of another type")
                return f"{stored.about['mimeType']} of {len(stored.data)} bytes"
            case _:
                return "something else"


def _parts(content: dict[str, Any]) -> list[dict[str, Any]]:
    if content.get("role", "user") not in ("user", "model"):
        raise Refused(400, "INVALID_ARGUMENT", "Please use a valid role: user, model.")
    if not content.get("parts") or any(set(part) - _PART_FIELDS for part in content["parts"]):
        raise Refused(400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents[0].parts: contents.parts is wrong")
    return content["parts"]


def check_chunk_headers(request: web.Request) -> None:
    """A session's URL is its credential: with others, or without a length, a request is refused."""
    if any(header in request.headers for header in CREDENTIALS):
        raise Refused(400, "INVALID_ARGUMENT", "credentials do not belong here")
    if "Content-Length" not in request.headers:
        raise Refused(411, "INVALID_ARGUMENT", "POST requests require a Content-length header.")


async def take(request: web.Request, data: bytearray, cuts: list[int]) -> int:
    """Add the body to what is there; where the next cut is, break, and forget what is no multiple of the granularity.

    How many bytes came.
    """
    came = 0
    async for piece in request.content.iter_any():
        came += len(piece)
        data += piece
        if cuts and len(data) >= cuts[0]:
            del data[cuts.pop(0) :]
            del data[len(data) // GRANULARITY * GRANULARITY :]
            abort(request)
    return came


def abort(request: web.Request) -> NoReturn:
    """Break the connection without an answer."""
    assert request.transport
    request.transport.abort()
    raise Refused(499, "CANCELLED", "nobody reads this")


def _told(status: str, body: Any = None, received: int | None = None) -> web.Response:
    headers = {"X-Goog-Upload-Status": status}
    if received is not None:
        headers["X-Goog-Upload-Size-Received"] = str(received)
    return web.json_response(body if body is not None else {}, headers=headers)


def _when(moment: datetime) -> str:
    """As Google writes it, with nanoseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[int]:
    """Serve on a free port of loopback; yields it."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gemini_peer() -> AsyncIterator[GeminiPeer]:
    """The service on a free port of loopback."""
    peer = GeminiPeer()
    async with serving(peer.app()) as peer.port:
        yield peer
