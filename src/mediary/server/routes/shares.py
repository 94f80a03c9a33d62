"""`/backend-api/v2/chat/<share_id>`: chats that are shared, as JSON; `/share/<share_id>`: the same as a page."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from mediary import __version__
from mediary.errors import BadRequestError, NotFoundError, UnreadableError
from mediary.sandbox.pool import Sandbox
from mediary.server.held_parts import decoded
from mediary.server.limits import Body, check_declared_length
from mediary.server.openapi import ERROR
from mediary.shares.chat import Chat, read_chat, share_id
from mediary.shares.claim import Claim
from mediary.shares.page.html import notice, policy, style

if TYPE_CHECKING:
    from mediary.shares.shares import Shares

CHAT = "/backend-api/v2/chat"
AS_BUCKET = "/backend-api/v2/files"
"""Where clients of the API as it was delete what they shared: there, a share lay in the folder of a bucket."""
COOKIE = "mediary_edit_token"
COOKIE_SECONDS = 400 * 86_400
"""As long as browsers keep a cookie at most."""
LIMIT = "shares.max_bytes"
PAGE_SECONDS = 10.0
"""How long the making of a page may take."""

ShareId = Annotated[str, Path(alias="share_id", description="A UUID, or any name that is not guessed")]
Wanted = Annotated[str | None, Header(description="The chat's `updated`, as a number or as its ETag")]
EditToken = Annotated[str | None, Header(description="What the first POST answered; not needed with the server's key")]
Late = Callable[[], "Awaitable[Shares]"]


class SharedChat(BaseModel):
    """That a chat is shared."""

    share_id: str
    edit_token: str | None = Field(None, description="Only when the share is new: who shows it may change the share")


class Done(BaseModel):
    """That it is done."""

    message: str


class Claims:
    """What requests show to change a share; `key` is the server's, which all of them have shown at the door."""

    def __init__(self, key: str | None) -> None:
        self.key = key

    def of(self, request: Request) -> Claim:
        """The claim of a request: by header, or by the cookie that a browser was given."""
        shown = (request.headers.get("x-edit-token"), request.cookies.get(COOKIE))
        return Claim(self.key, tuple(token for token in shown if token))


def share_routes(shares: Late, claims: Claims, sandbox: Sandbox, max_bytes: int) -> APIRouter:
    """The routes, on these shares; pages are made in the sandbox."""
    router = APIRouter(tags=["shared chats"])
    _add_reading(router, shares)
    _add_changing(router, shares, claims, max_bytes)
    _add_pages(router, shares, sandbox)
    return router


def unsharing(shares: Late, claims: Claims) -> Callable[[str, Request], Awaitable[None]]:
    """How a share is deleted by who takes it for a bucket; NotFoundError if there is none either."""

    async def unshare(raw_id: str, request: Request) -> None:
        await (await shares()).delete(share_id(raw_id), claims.of(request))

    return unshare


def _add_reading(router: APIRouter, shares: Late) -> None:
    @router.get(
        f"{CHAT}/{{share_id}}",
        summary="A shared chat, as it came",
        response_class=Response,
        responses={
            200: {"description": "The chat", "content": {"application/json": {"schema": {"type": "object"}}}},
            304: {"description": "Unchanged"},
            **dict.fromkeys((400, 404, 503), ERROR),
        },
    )
    async def get_chat(raw_id: ShareId, request: Request, if_none_match: Wanted = None) -> Response:
        room, checked = await shares(), share_id(raw_id)
        if if_none_match is not None and _is_known(request, (state := await room.state(checked)).etag):
            return Response(status_code=304, headers=_validators(state.etag, state.revision))
        share = await room.get(checked)
        headers = _validators(share.etag, share.revision) | {"x-content-type-options": "nosniff"}
        return Response(share.body, headers=headers, media_type="application/json")


def _add_changing(router: APIRouter, shares: Late, claims: Claims, max_bytes: int) -> None:
    @router.post(
        f"{CHAT}/{{share_id}}",
        summary="Share a chat, or put a newer state of it in the place of the one that is shared",
        description="Its `updated`, if it has one, must be later than that of the state that is shared.",
        response_model=SharedChat,
        response_model_exclude_none=True,
        responses=dict.fromkeys((400, 403, 409, 413, 503, 507), ERROR),
        openapi_extra=_CHAT_BODY,
    )
    async def share_chat(raw_id: ShareId, request: Request, x_edit_token: EditToken = None) -> Response:
        checked = share_id(raw_id)
        check_declared_length(request.scope, max_bytes, LIMIT)
        body = await Body(request.receive, max_bytes, LIMIT).read()
        chat: Chat = await decoded(read_chat, body)
        saved = await (await shares()).save(checked, chat, claims.of(request))
        answer = {"share_id": checked} | ({"edit_token": saved.token} if saved.token else {})
        response = _json(answer, {"x-revision": str(saved.revision)})
        if saved.token and claims.key is None:
            for path in (CHAT, AS_BUCKET):
                response.set_cookie(
                    COOKIE,
                    saved.token,
                    COOKIE_SECONDS,
                    path=f"{path}/{quote(raw_id, safe='')}",
                    httponly=True,
                    samesite="strict",
                )
        return response

    @router.delete(
        f"{CHAT}/{{share_id}}",
        summary="Share a chat no more",
        response_model=Done,
        responses=dict.fromkeys((400, 403, 404, 503), ERROR),
    )
    async def delete_chat(raw_id: ShareId, request: Request, x_edit_token: EditToken = None) -> Response:
        await (await shares()).delete(share_id(raw_id), claims.of(request))
        return _json({"message": "Share deleted"})


def _add_pages(router: APIRouter, shares: Late, sandbox: Sandbox) -> None:
    @router.get(
        "/share/{share_id}",
        summary="A shared chat as a page to read",
        response_class=HTMLResponse,
        responses={
            304: {"description": "Unchanged"},
            404: {"description": "No such share: a page that says so", "content": {"text/html": {}}},
            503: ERROR,
        },
    )
    async def get_page(raw_id: ShareId, request: Request, if_none_match: Wanted = None) -> Response:
        room = await shares()
        try:
            checked = share_id(raw_id)
            state = await room.state(checked)
            if if_none_match is not None and _is_known(request, _page_etag(state.etag)):
                return Response(status_code=304, headers=_page_headers(state.etag))
            share = await room.get(checked)
        except (BadRequestError, NotFoundError):
            missing = notice("There is no such chat", "It was never shared here, or is shared no more.")
            return HTMLResponse(missing, 404, _page_headers(None))
        page = await _made(sandbox, share.body, checked, request.headers.get("host", ""))
        return HTMLResponse(page, headers=_page_headers(share.etag))


async def _made(sandbox: Sandbox, body: bytes, checked: str, host: str) -> str:
    """The page of a chat; of one that takes too long, a page that says so."""
    try:
        page: str = await sandbox.run("mediary.shares.page.html:render", body, checked, host, seconds=PAGE_SECONDS)
    except UnreadableError:
        return notice("This chat cannot be shown", "It takes too long to make a page of it.", checked)
    return page


def _is_known(request: Request, etag: str) -> bool:
    """Whether a client has this state: it says so by ETags, or by the bare number that they quote."""
    tags = (tag.strip() for line in request.headers.getlist("if-none-match") for tag in line.split(","))
    return any(tag == "*" or tag.removeprefix("W/").strip('"') == etag.strip('"') for tag in tags if tag)


def _validators(etag: str, revision: int) -> dict[str, str]:
    """What a client asks with next time. Chats are private, and change."""
    return {"etag": etag, "x-revision": str(revision), "cache-control": "private, no-cache"}


def _page_etag(etag: str) -> str:
    """The ETag of a page: that of its chat, and how this version makes pages."""
    made = hashlib.sha256(f"{__version__} {style()}".encode()).hexdigest()[:8]
    return f'"{etag.strip(chr(34))}-{made}"'


def _page_headers(etag: str | None) -> dict[str, str]:
    headers = {
        "content-security-policy": policy(),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-robots-tag": "noindex, nofollow",
        "cache-control": "private, no-cache",
    }
    return headers | ({"etag": _page_etag(etag)} if etag else {})


def _json(content: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), headers=headers, media_type="application/json")


_CHAT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "updated": {"type": "number", "minimum": 0, "description": "When it changed last"},
                        "title": {"description": "What the page is called"},
                        "items": {"description": "The messages: objects with `role` and `content`"},
                    },
                },
                "example": {
                    "title": "A haiku",
                    "updated": 1763596800000,
                    "items": [{"role": "user", "content": "Write a haiku."}, {"role": "assistant", "content": "…"}],
                },
            }
        },
    }
}
