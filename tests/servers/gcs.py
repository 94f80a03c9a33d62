"""Google Cloud Storage's resumable sessions as a strict peer, by the rules of its documentation."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from tests.servers.gemini import GRANULARITY, Refused, abort, check_chunk_headers, serving, take

_range = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass
class GcsPeer:
    """One session, and the faults it is to have."""

    port: int = 0
    data: bytearray = field(default_factory=bytearray)
    state: str = "active"
    asked: list[str] = field(default_factory=list)
    received: int = 0
    cuts: list[int] = field(default_factory=list)
    lost_answers: int = 0
    refusals: list[int] = field(default_factory=list)
    forgets: int = 0
    """Bytes of the next chunk that are not kept, though the answer is good."""
    md5: str | None = None
    in_headers: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/upload/storage/v1/b/bucket/o?uploadType=resumable&upload_id=abc%2Fdef"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", "/upload/storage/v1/b/bucket/o", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.headers.get('Content-Range', '')}".strip())
        try:
            return await self._answer(request)
        except Refused as refused:
            return refused.answer

    async def _answer(self, request: web.Request) -> web.Response:
        if request.query.get("upload_id") != "abc/def":
            raise Refused(404, "NOT_FOUND", "no such session")
        check_chunk_headers(request)
        if self.refusals:
            status = self.refusals.pop(0)
            raise Refused(status, "UNAVAILABLE", f"a bad moment ({status})")
        if self.state == "gone":
            raise Refused(410, "GONE", "the session is over")
        if request.method == "DELETE":
            self.state = "gone"
            return web.Response(status=499)
        found = _range.fullmatch(request.headers.get("Content-Range", ""))
        if request.method != "PUT" or not found:
            raise Refused(400, "INVALID", "PUT with Content-Range")
        if self.state == "final":
            return self._whole()
        return await self._put(request, found)

    async def _put(self, request: web.Request, found: re.Match[str]) -> web.Response:
        length, total = int(request.headers["Content-Length"]), int(found[3])
        if found[1] is not None:
            start, end = int(found[1]), int(found[2]) + 1
            if end - start != length or end > total or start > len(self.data):
                raise Refused(400, "INVALID", "the range is not that of the body, or leaves a gap")
            if end != total and length % GRANULARITY:
                raise Refused(400, "INVALID", "a chunk that is no multiple of 256 KiB")
            del self.data[start:]
            self.received += await take(request, self.data, self.cuts)
            if self.forgets:
                del self.data[-self.forgets :]
                self.forgets = 0
        elif length:
            raise Refused(400, "INVALID", "a question has no body")
        if len(self.data) < total:
            kept = {"Range": f"bytes=0-{len(self.data) - 1}"} if self.data else {}
            return web.Response(status=308, reason="Resume Incomplete", headers=kept)
        self.state = "final"
        if self.lost_answers:
            self.lost_answers -= 1
            abort(request)
        return self._whole()

    def _whole(self) -> web.Response:
        md5 = self.md5 or base64.b64encode(hashlib.md5(self.data, usedforsecurity=False).digest()).decode()
        if not self.in_headers:
            return web.json_response({"kind": "storage#object", "size": str(len(self.data)), "md5Hash": md5})
        answer = web.Response(status=200)
        answer.headers.add("x-goog-hash", "crc32c=AAAAAA==")
        answer.headers.add("x-goog-hash", f"md5={md5}")
        return answer


@asynccontextmanager
async def gcs_peer() -> AsyncIterator[GcsPeer]:
    """A session on a free port of loopback."""
    peer = GcsPeer()
    async with serving(peer.app()) as peer.port:
        yield peer
