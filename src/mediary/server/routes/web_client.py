"""What the existing web client of the API asks for besides the API: `/pa/providers`, and links to shared chats."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from mediary.server.openapi import ERROR
from mediary.server.routes.shares import ShareId
from mediary.shares.chat import share_id

if TYPE_CHECKING:
    from mediary.shares.shares import Shares


def web_client_routes(shares: "Callable[[], Awaitable[Shares]]") -> APIRouter:
    """The routes, on these shares. Its pages and scripts are not served: it brings them along."""
    router = APIRouter(tags=["existing web client"])

    @router.get("/pa/providers", summary="Providers that users wrote themselves: there are none here")
    async def list_own_providers() -> list[dict[str, Any]]:
        return []

    @router.get(
        "/chat/{share_id}",
        summary="The page of a shared chat, under the path that links to chats had",
        response_class=RedirectResponse,
        status_code=302,
        responses=dict.fromkeys((400, 404, 503), ERROR),
    )
    async def redirect_to_page(raw_id: ShareId) -> Response:
        checked = share_id(raw_id)
        await (await shares()).state(checked)
        return RedirectResponse(f"/share/{quote(checked, safe='')}", 302)

    return router
