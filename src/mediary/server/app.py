"""The ASGI app: the hot paths first and bare, the router for all others, every error as an answer."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable
from importlib import import_module

from mediary.errors import MediaryError, MethodNotAllowedError
from mediary.server.auth import Door
from mediary.server.errors import DEFECT, send_error
from mediary.server.log import request_id
from mediary.server.long_answers import Running
from mediary.server.origins import Origins, allow, is_preflight
from mediary.server.protocol import Endpoint, Message, Receive, Scope, Send
from mediary.server.routes.bucket_files import BucketFiles
from mediary.server.routes.bucket_paths import FILES, BucketPaths
from mediary.server.routes.conversation import ConversationEndpoint
from mediary.server.routes.create import CREATE, CreateEndpoint
from mediary.server.routes.media import MediaFiles
from mediary.server.routes.run_events import EVENTS, RUNS, RunEvents
from mediary.server.routes.search import Search
from mediary.server.routes.synthesize import SYNTHESIZE, SynthesizeEndpoint
from mediary.server.routes.thumbnails import ThumbnailFiles
from mediary.server.routes.upload import UploadEndpoint
from mediary.server.running_turns import RunningTurns
from mediary.server.watch import Watch
from mediary.services import Services
from mediary.tasks import Late

READING = ("GET", "HEAD")
THUMBNAIL = "/thumbnail/"
OF_BUCKETS = "/files/"
UPLOADS = "/backend-api/v2/uploads"
KEPT = ("/media/", "/images/", THUMBNAIL, OF_BUCKETS)
OPEN_TO_ALL = ("/healthz", "/readyz")
GONE = 499
"""What the log says, as that of nginx does, where the client left before there was an answer."""

_request_id = re.compile(rb"[A-Za-z0-9._-]{1,64}")

logger = logging.getLogger(__name__)


class App:
    """Mediary as an ASGI app, on services that somebody else opens and closes."""

    def __init__(self, services: Services) -> None:
        server = services.settings.server
        self._origins = Origins(server.allow_origins)
        self._door = Door(server.key.get_secret_value() if server.key else None, self._origins)
        self._watch = Watch(services.usage.counters, services.traces)
        media = services.settings.media
        self._media = MediaFiles(services.store, media.redirect_seconds if media.redirect else None)
        self._thumbnails = ThumbnailFiles(services.thumbnails, services.thumbnail_store)
        self._running = Running()
        turns = RunningTurns(services.runs, self._running)
        self._run_events = RunEvents(turns)
        self._conversation = ConversationEndpoint(
            services.conversations,
            turns,
            server.max_request_bytes,
            services.settings.conversation.max_upload_bytes,
            self._running,
        )
        self._upload = UploadEndpoint(
            services.uploads,
            services.attachments,
            server.max_request_bytes,
            services.settings.conversation.max_upload_bytes,
            self._running,
        )
        self._bucket_files = BucketFiles(services.bucket_dir, services.bucket_media)
        self._buckets = BucketPaths(services.buckets, self._running)
        self._router = Late(lambda: asyncio.to_thread(_build_router, services))
        self._bare: dict[str, Endpoint] = {"/backend-api/v2/conversation": self._conversation, "/healthz": _healthz}
        self._bare[CREATE] = CreateEndpoint(services.creating, self._media.files, self._running)
        synthesize = SynthesizeEndpoint(services.speech, services.conversations.providers, self._running)
        self._below: dict[str, Endpoint] = {"/search/": Search(services.library), SYNTHESIZE: synthesize}

    async def start(self) -> None:
        """Build the router, which takes a while, beside the first answers."""
        await self._router()

    async def drain(self, seconds: float) -> None:
        """End what runs, within that time."""
        await self._running.drain(seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. A kept file that is found costs no line in the log, all else does."""
        endpoint: Endpoint
        if self._origins:
            origin = self._origins.find(scope)
            send = self._origins.told(origin, send)
            if origin is not None and is_preflight(scope):
                await allow(scope, send)
                return
        if scope["path"].startswith(KEPT):
            endpoint = self._file
        else:
            endpoint = self._logged
            request_id.set(_identity(scope))
        await self._guarded(endpoint, scope, receive, send)

    async def _guarded(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what is raised before the answer has begun becomes one, in JSON."""
        begun = False

        def watched(message: Message) -> Awaitable[None]:
            nonlocal begun
            begun = True
            return send(message)

        try:
            await endpoint(scope, receive, watched)
        except MediaryError as error:
            failure = error
        except Exception:  # the edge: a defect costs one answer, and is logged whole
            failure = MediaryError(DEFECT)
            request_id.set(request_id.get() or _identity(scope))
            logger.exception("a request broke", extra={"path": scope["path"]})
        else:
            return
        if begun:
            logger.warning("an answer broke off", extra={"path": scope["path"], "cause": failure.message})
        else:
            await send_error(send, failure, request_id.get() or _identity(scope), scope["method"])

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._door.check(scope)
        path: str = scope["path"]
        files: Endpoint = self._media
        if path.startswith(THUMBNAIL):
            files = self._thumbnails
        elif path.startswith(OF_BUCKETS):
            files = self._bucket_files
        await files(scope, receive, send)

    async def _logged(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the request's id, and write one line on it."""
        identity = request_id.get() or ""
        status = 0
        began = time.monotonic()
        trace = self._watch.begin(scope)

        def watched(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", identity.encode())]
            return send(message)

        try:
            await self._routed(scope, receive, watched)
            status = status or GONE
        except MediaryError as error:
            status = status or error.status
            raise
        finally:
            seconds = time.monotonic() - began
            self._watch.end(scope, status or 500, seconds, trace)
            about = {"method": scope["method"], "path": scope["path"], "status": status or 500}
            logger.info("request", extra={**about, "seconds": round(seconds, 3)})

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN_TO_ALL:
            self._door.check(scope)
        endpoint = self._find_bare(scope) or await self._router()
        await endpoint(scope, receive, send)

    def _find_bare(self, scope: Scope) -> Endpoint | None:
        """The endpoint that needs no router."""
        path: str = scope["path"]
        if path.startswith(FILES):
            return self._buckets.find(scope)
        if path.startswith(RUNS) and path.endswith(EVENTS):
            return self._run_events
        if path == UPLOADS and scope["method"] not in READING:
            return self._upload
        below = (endpoint for prefix, endpoint in self._below.items() if path.startswith(prefix))
        return self._bare.get(path) or next(below, None)


def _identity(scope: Scope) -> str:
    """The id that the client gave its request, if it is a plain one, else a new one."""
    shown = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return shown.decode() if _request_id.fullmatch(shown) else secrets.token_hex(8)


async def _healthz(scope: Scope, receive: Receive, send: Send) -> None:
    """The process answers; whether what it needs is there too, `/readyz` tells."""
    if scope["method"] not in ("GET", "HEAD"):
        raise MethodNotAllowedError(scope["method"], ("GET", "HEAD"))
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"status":"alive"}'})


def _build_router(services: Services) -> Endpoint:
    """The FastAPI app: imported late, for FastAPI takes longer to import than all of Mediary."""
    router: Endpoint = import_module("mediary.server.router").build_router(services)
    return router
