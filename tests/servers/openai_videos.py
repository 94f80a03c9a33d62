"""OpenAI's `/videos` as a strict peer: it refuses what OpenAI refuses, is asked until a video is there, and breaks.

Its rules are those of the reference and of the official client, which runs against it in `tests/providers`.
"""

import asyncio
import io
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import av
import pyvips
from aiohttp import web
from tests.servers.forms import FormError, read_form

KEY = "sk-test-videos-0123456789abcdef"
SIZES = {
    "sora-2": ("720x1280", "1280x720"),
    "sora-2-pro": ("720x1280", "1280x720", "1024x1792", "1792x1024"),
}
SECONDS = ("4", "8", "12")
PICTURES = ("image/jpeg", "image/png", "image/webp")
_FIELDS = {"model", "prompt", "size", "seconds", "input_reference"}
_PIECE = 16 * 1024


@cache
def film(frames: int = 12, padding: int = 0) -> bytes:
    """A real MP4 with a moving grey; `padding` bytes of it are a box that players pass over."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 128, 72, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame(128, 72, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([16 + 8 * number % 200]) * plane.buffer_size)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    box = (8 + padding).to_bytes(4, "big") + b"free" + bytes(padding) if padding else b""
    return file.getvalue() + box


class Refused(Exception):  # noqa: N818 - an answer, no failure of ours
    """What OpenAI answers with an error."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        self.answer = web.json_response({"error": error}, status=status)


@dataclass
class Job:
    """A video in the making; `left` are the states that are still to be told."""

    id: str
    asked: dict[str, str]
    left: list[int | str]
    picture: bytes | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def is_over(self) -> bool:
        return self.left[0] in ("completed", "failed")


@dataclass
class VideosPeer:
    """The service: `course` is what it tells of a job, one after the other; the last stays.

    `error` is why jobs fail; `refusals` are statuses with which questions for a job are answered first; `cuts` are
    bytes after which the next downloads break off; `redirected` downloads are sent elsewhere; new jobs are told of
    when `slow` is set, if it is there.
    """

    port: int = 0
    course: list[int | str] = field(default_factory=lambda: ["queued", 37, "completed"])
    error: dict[str, Any] | None = None
    refusals: list[int] = field(default_factory=list)
    poll_headers: dict[str, str] = field(default_factory=lambda: {"openai-poll-after-ms": "10"})
    data: bytes = field(default_factory=film)
    cuts: list[int] = field(default_factory=list)
    stuck: bool = False
    slow: asyncio.Event | None = None
    redirected: bool = False
    jobs: dict[str, Job] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._answer], client_max_size=32 * 1024**2)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/videos", self._create)
        app.router.add_get("/v1/videos/{id}", self._tell)
        app.router.add_delete("/v1/videos/{id}", self._delete)
        app.router.add_get("/v1/videos/{id}/content", self._content)
        app.router.add_get("/elsewhere/{id}", self._elsewhere)
        return app

    async def until(self, line: str) -> None:
        """Wait until that was asked."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: any(line in asked for asked in self.asked))

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        async with self.changed:
            self.asked.append(f"{request.method} {request.path}")
            self.changed.notify_all()
        try:
            _check_key(request)
            return await handler(request)
        except Refused as refused:
            return refused.answer

    async def _models(self, _: web.Request) -> web.Response:
        models = [{"id": model, "object": "model", "owned_by": "openai"} for model in ("gpt-4o", *SIZES)]
        return web.json_response({"object": "list", "data": models})

    async def _create(self, request: web.Request) -> web.Response:
        try:
            fields = read_form(request.headers.get("Content-Type", ""), await request.read())
        except FormError as error:
            raise Refused(400, f"Could not parse multipart form: {error}") from None
        if len({part.name for part in fields}) != len(fields):
            raise Refused(400, "Duplicate parameter.")
        for part in fields:
            if part.name not in _FIELDS:
                raise Refused(400, f"Unknown parameter: '{part.name}'.", part.name, "unknown_parameter")
        said = {part.name: part.text for part in fields if part.filename is None}
        picture = next((part for part in fields if part.filename is not None), None)
        _check(said)
        if picture:
            _check_picture(picture.media_type, picture.data, said.get("size", "720x1280"))
        job = Job(f"video_{next(self._numbers):032x}", said, list(self.course), picture.data if picture else None)
        self.jobs[job.id] = job
        if self.slow:
            await self.slow.wait()
        return self._told(job)

    async def _tell(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if self.refusals:
            status = self.refusals.pop(0)
            error = {"message": "The server had an error", "type": "server_error", "code": None}
            return web.json_response({"error": error}, status=status, headers={"Retry-After": "0"})
        if len(job.left) > 1:
            del job.left[0]
        return self._told(job)

    async def _delete(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if not job.is_over:
            raise Refused(400, "Video is still being made and cannot be deleted.")
        del self.jobs[job.id]
        return web.json_response({"id": job.id, "object": "video.deleted", "deleted": True})

    async def _content(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job.left[0] != "completed":
            raise Refused(404, "Video is not ready yet, use GET /v1/videos/{video_id} to check status.")
        if self.redirected:
            raise web.HTTPFound(f"http://localhost:{self.port}/elsewhere/{job.id}?signature=1")
        return await self._stream(request)

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            raise Refused(400, "Only one auth mechanism allowed")
        return await self._stream(request)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        cut = self.cuts.pop(0) if self.cuts else None
        answer = web.StreamResponse(headers={"Content-Type": "video/mp4", "Content-Length": str(len(self.data))})
        await answer.prepare(request)
        for start in range(0, len(self.data), _PIECE):
            if cut is not None and start >= cut:
                if self.stuck:
                    await asyncio.Event().wait()  # until the client leaves
                assert request.transport
                request.transport.abort()
                return answer
            await answer.write(self.data[start : start + _PIECE])
        return answer

    def _job(self, request: web.Request) -> Job:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            raise Refused(404, f"Video with id '{request.match_info['id']}' not found.")
        return job

    def _told(self, job: Job) -> web.Response:
        now = job.left[0]
        status = "in_progress" if isinstance(now, int) else now
        progress = now if isinstance(now, int) else 100 if now == "completed" else 0
        usual = {"model": "sora-2", "size": "720x1280", "seconds": "4"}
        said = {name: job.asked.get(name, value) for name, value in usual.items()}
        times = {"created_at": job.created, "completed_at": job.created if now == "completed" else None}
        error = (self.error or {"code": "internal_error", "message": "Something broke"}) if now == "failed" else None
        body = {"id": job.id, "object": "video", "status": status, "progress": progress, "error": error}
        return web.json_response({**body, **said, **times, "prompt": job.asked["prompt"]}, headers=self.poll_headers)


def _check_key(request: web.Request) -> None:
    if request.path.startswith("/v1/") and request.headers.get("Authorization") != f"Bearer {KEY}":
        raise Refused(401, "Incorrect API key provided.", code="invalid_api_key")


def _check(said: dict[str, str]) -> None:
    """Refused for what OpenAI would refuse."""
    model = said.get("model", "sora-2")
    if not said.get("prompt"):
        raise Refused(400, "Missing required parameter: 'prompt'.", "prompt")
    if model not in SIZES:
        raise Refused(400, f"Invalid value: '{model}'. The model does not exist.", "model", "model_not_found")
    if (size := said.get("size", SIZES[model][0])) not in SIZES[model]:
        known = ", ".join(map(repr, SIZES[model]))
        raise Refused(400, f"Invalid value: '{size}'. Supported values are: {known}.", "size", "invalid_value")
    if (seconds := said.get("seconds", "4")) not in SECONDS:
        known = ", ".join(map(repr, SECONDS))
        raise Refused(400, f"Invalid value: '{seconds}'. Supported values are: {known}.", "seconds", "invalid_value")


def _check_picture(media_type: str | None, data: bytes, size: str) -> None:
    if media_type not in PICTURES:
        raise Refused(400, f"Invalid file: unsupported mimetype ('{media_type}').", "input_reference")
    picture = pyvips.Image.new_from_buffer(data, "")
    if f"{picture.width}x{picture.height}" != size:
        raise Refused(400, "Inpaint image must match the requested width and height", "input_reference")


@asynccontextmanager
async def videos_peer() -> AsyncIterator[VideosPeer]:
    """The peer on a free port of loopback."""
    peer = VideosPeer()
    runner = web.AppRunner(peer.app(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    peer.port = runner.addresses[0][1]
    try:
        yield peer
    finally:
        await runner.cleanup()
