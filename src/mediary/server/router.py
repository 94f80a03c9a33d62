"""The router: every route that is not a hot path, as a FastAPI app with its OpenAPI page."""

from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.routing import Match

from mediary import __version__
from mediary.cookies.files import CookieFiles
from mediary.errors import BadRequestError, FieldError, MediaryError, MethodNotAllowedError, NotFoundError
from mediary.server.errors import DEFECT, error_body, error_headers
from mediary.server.openapi import ERROR, HOT_PATHS, complete_document
from mediary.server.openapi_buckets import BUCKET_PATHS
from mediary.server.openapi_conversation import CONVERSATION_PATHS, conversation_schemas
from mediary.server.openapi_create import CREATE_PATHS
from mediary.server.openapi_speech import SPEECH_PATHS
from mediary.server.openapi_uploads import UPLOAD_PATHS
from mediary.server.protocol import Endpoint, Message, Receive, Scope, Send
from mediary.server.routes.buckets import bucket_routes
from mediary.server.routes.cookies import cookie_routes
from mediary.server.routes.health import health_routes
from mediary.server.routes.library import library_routes
from mediary.server.routes.memory import memory_routes
from mediary.server.routes.metrics import metrics_routes
from mediary.server.routes.models import model_routes
from mediary.server.routes.quota import quota_routes
from mediary.server.routes.runs import run_routes
from mediary.server.routes.shares import Claims, share_routes, unsharing
from mediary.server.routes.uploads import upload_routes
from mediary.server.routes.usage import usage_routes
from mediary.server.routes.version import version_routes
from mediary.server.routes.web_client import web_client_routes
from mediary.services import Services
from mediary.settings import Settings


def build_router(services: Services) -> FastAPI:
    """The app, on these services."""
    app = FastAPIOffline(
        title="Mediary",
        version=__version__,
        description="A self-hosted backend between people and AI providers that keeps the media.",
        docs_url="/docs",
        redoc_url=None,
        responses=dict.fromkeys((401, 403, 422, 503), ERROR),
    )
    files = CookieFiles(services.sandbox, _hosts(services.settings))
    claims = Claims(key.get_secret_value() if (key := services.settings.server.key) else None)
    app.state.routers = (
        model_routes(services.conversations.providers),
        quota_routes(services.conversations.providers, locked=services.settings.server.key is not None),
        library_routes(services.library, services.settings.media.max_bytes),
        bucket_routes(services.buckets, unsharing(services.shares, claims)),
        cookie_routes(services.jar, files, services.settings.server.max_request_bytes),
        upload_routes(services.uploads),
        run_routes(services.runs),
        memory_routes(services.memory),
        share_routes(services.shares, claims, services.sandbox, services.settings.shares.max_bytes),
        web_client_routes(services.shares),
        usage_routes(services.usage),
        metrics_routes(services.usage, services.library),
        version_routes(services.latest_version),
        health_routes(services),
    )
    for router in app.state.routers:
        app.include_router(router)
    paths = HOT_PATHS | CONVERSATION_PATHS | BUCKET_PATHS | CREATE_PATHS | UPLOAD_PATHS | SPEECH_PATHS
    complete_document(app, paths, conversation_schemas, locked=services.settings.server.key is not None)
    app.add_middleware(HeadAsGet)
    app.add_exception_handler(MediaryError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(Exception, _answer_defect)
    return app


def _hosts(settings: Settings) -> set[str]:
    """The hosts of all that is configured."""
    places = (table.base_url for table in settings.uploads.values())
    providers = (table.base_url for table in settings.providers.values())
    return {host for url in (*places, *providers) if url and (host := urlsplit(url).hostname)}


class HeadAsGet:
    """Answers HEAD as GET, without the body: FastAPI's routes, unlike Starlette's, do not know it.

    A second method on each route would be a second entry in the OpenAPI document.
    """

    def __init__(self, app: Endpoint) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        def without_body(message: Message) -> Awaitable[None]:
            return send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, without_body)
        finally:
            scope["route"] = asked.get("route")  # who counts requests asks for it


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MediaryError)
    return _respond(error)


async def _answer_http(request: Request, error: Exception) -> Response:
    """What the router itself refuses."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return _respond(MethodNotAllowedError(request.method, tuple(sorted(_allowed(request, error)))))
    if error.status_code == 404:
        return _respond(NotFoundError("there is nothing at this path; /docs lists what there is"))
    return _respond(BadRequestError(str(error.detail)))


def _allowed(request: Request, error: HTTPException) -> set[str]:
    """The methods of all routes for a path; the error names those of the first."""
    first = filter(None, (error.headers or {}).get("Allow", "").split(", "))
    routes = (route for router in request.app.state.routers for route in router.routes)
    matching = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    methods = {*first, *(method for route in matching for method in route.methods)}
    return methods | {"HEAD"} if "GET" in methods else methods


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = error.errors()[0]
    field = first["loc"][-1]
    if first["loc"][0] == "query":
        return _respond(BadRequestError(f"{field}: {first['msg']}"))
    return _respond(FieldError(str(field), first["msg"]))


async def _answer_defect(request: Request, error: Exception) -> Response:
    """Answer; Starlette raises the error again behind it, and the app logs it."""
    return _respond(MediaryError(DEFECT))


def _respond(error: MediaryError) -> Response:
    return Response(error_body(error), error.status, error_headers(error), "application/json")
