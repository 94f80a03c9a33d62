"""`GET /metrics` for Prometheus: the numbers of all processes of this server."""

import asyncio
import time
from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mediary.errors import MediaryError

if TYPE_CHECKING:
    from mediary.media.library import MediaLibrary
    from mediary.usage.room import UsageRoom

COUNTED_SECONDS = 60.0
"""How long a count of the library is good: of a million items it takes a while."""


def metrics_routes(usage: "UsageRoom", library: "MediaLibrary") -> APIRouter:
    """The route, on what was counted."""
    router = APIRouter(tags=["usage"])
    items = _ItemCount(library)

    @router.get(
        "/metrics",
        summary="Numbers for Prometheus",
        response_class=Response,
        responses={200: {"description": "In the format that `Accept` names", "content": {"text/plain": {}}}},
    )
    async def metrics(request: Request) -> Response:
        module = await asyncio.to_thread(import_module, "mediary.server.metrics")
        accept = request.headers.get("accept", "")
        body, content_type = await asyncio.to_thread(module.expose, usage.counters, await items.get(), accept)
        return Response(body, headers={"content-type": content_type})

    return router


class _ItemCount:
    """How many items the library has; None while the database does not answer."""

    def __init__(self, library: "MediaLibrary") -> None:
        self._library = library
        self._count: int | None = None
        self._counted = -COUNTED_SECONDS

    async def get(self) -> int | None:
        if time.monotonic() - self._counted >= COUNTED_SECONDS:
            try:
                self._count = await (await self._library.catalog()).count()
                self._counted = time.monotonic()
            except MediaryError:
                return None
        return self._count
