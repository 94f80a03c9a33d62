"""`/backend-api/v2/memory/<user>`: what a user asked to keep; it comes in, is found again, and goes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from msgspec import Meta, Struct
from pydantic import BaseModel, Field

from mediary.conversations.request import decode_json
from mediary.errors import BadRequestError, FieldError
from mediary.memory.item import LONGEST_USER, NewItem, describe_item, text_of
from mediary.server.limits import Body, check_declared_length
from mediary.server.openapi import ERROR

if TYPE_CHECKING:
    from mediary.memory.room import Memory

MOST_ITEMS = 5000
"""Items of one request."""
MOST_TEXT = 32 * 1024**2
"""Bytes of one request."""
MOST_SHOWN = 1000
"""Items of a page."""
LAST_PAGE = 10**9
"""The page that is farthest back."""

UserId = Annotated[str, Path(min_length=1, max_length=LONGEST_USER, description="Any name; each has a memory apart")]


class IncomingItem(Struct):
    """An item as a client sends it: a message of a conversation, or anything with a text."""

    role: str | None = None
    content: str | list[Any] | None = None
    metadata: dict[str, Any] | None = None


class IncomingItems(Struct):
    """Items to keep; `id` is that of the conversation they come from."""

    items: Annotated[list[IncomingItem], Meta(max_length=MOST_ITEMS)]
    id: str | int | None = None


class KeptItem(BaseModel):
    """Something that was kept."""

    id: str
    memory: str
    role: str
    user_id: str
    metadata: dict[str, Any] = Field(description="The item's own, and the `conversation_id` where there is one")
    score: float | None = Field(None, description="In a search: how well it fits, from 0 to 1")
    created_at: str
    updated_at: str
    count: int = Field(description="How often the same was kept")


class KeptItems(BaseModel):
    """A page of items; `total` is how many there are on all pages."""

    results: list[KeptItem]
    total: int
    page: int


class Counted(BaseModel):
    """How many items it was."""

    count: int


class Done(BaseModel):
    """That it is done."""

    message: str


_items = msgspec.json.Decoder(IncomingItems)
_object = msgspec.json.Decoder(dict[str, Any])

Fields = Annotated[
    str | None,
    Query(description="A JSON object: `role`, `conversation_id` and fields of the metadata, each with its value"),
]


def memory_routes(memory: "Callable[[], Awaitable[Memory]]") -> APIRouter:
    """The routes, on this memory."""
    router = APIRouter(prefix="/backend-api/v2/memory", tags=["memory"])
    _add_keeping(router, memory)
    _add_finding(router, memory)
    return router


def _add_keeping(router: APIRouter, memory: "Callable[[], Awaitable[Memory]]") -> None:
    @router.post(
        "/{user_id}",
        summary="Keep items for a user",
        description="All of them or, if one cannot be kept, none. A text that is there already is counted.",
        response_model=Counted,
        responses=dict.fromkeys((400, 413, 422, 503, 507), ERROR),
        openapi_extra=_BODY,
    )
    async def keep_items(user_id: UserId, request: Request) -> Response:
        check_declared_length(request.scope, MOST_TEXT, setting="")
        body = decode_json(_items, await Body(request.receive, MOST_TEXT, setting="").read())
        items = [NewItem(text_of(item.content), item.role or "user", item.metadata or {}) for item in body.items]
        conversation_id = None if body.id is None else str(body.id)
        return _answer({"count": await (await memory()).add(user_id, items, conversation_id=conversation_id)})

    @router.delete(
        "/{user_id}",
        summary="Delete a user's items: all, or those that `filters` and `metadata` describe",
        response_model=Counted,
        responses=dict.fromkeys((400, 422, 503), ERROR),
    )
    async def delete_items(
        user_id: UserId, request: Request, filters: Fields = None, metadata: Fields = None
    ) -> Response:
        if unknown := set(request.query_params) - {"filters", "metadata"}:
            raise FieldError(min(unknown), "says nothing here, and without filters all would be deleted")
        wanted = _fields("filters", filters), _fields("metadata", metadata)
        return _answer({"count": await (await memory()).delete(user_id, *wanted)})

    @router.delete(
        "/{user_id}/{item_id}",
        summary="Delete an item",
        response_model=Done,
        responses=dict.fromkeys((404, 422, 503), ERROR),
    )
    async def delete_item(user_id: UserId, item_id: str, request: Request) -> Response:
        if b"%2f" in request.scope["raw_path"].lower():
            raise FieldError("user_id", "holds a slash: what stands before it may be another user")
        await (await memory()).delete_item(user_id, item_id)
        return _answer({"message": "Memory item deleted"})


def _add_finding(router: APIRouter, memory: "Callable[[], Awaitable[Memory]]") -> None:
    @router.get(
        "/{user_id}",
        summary="A user's items, newest first; with `search` those that bear on it, the best first",
        response_model=KeptItems,
        response_model_exclude_unset=True,
        responses=dict.fromkeys((400, 422, 503), ERROR),
    )
    async def find_items(
        user_id: UserId,
        search: Annotated[str, Query(description="Words, or a question")] = "",
        filters: Fields = None,
        metadata: Fields = None,
        page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
        page_size: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = 100,
    ) -> Response:
        wanted = _fields("filters", filters), _fields("metadata", metadata)
        start = (page - 1) * page_size
        room = await memory()
        if search.strip():
            found = await room.search(user_id, search, *wanted, offset=start, limit=page_size)
        else:
            found = await room.list(user_id, *wanted, offset=start, limit=page_size)
        results = [describe_item(item) for item in found.items]
        return _answer({"results": results, "total": found.total, "page": page})


def _fields(name: str, text: str | None) -> Mapping[str, Any] | None:
    """A JSON object in the query; none where it is missing, empty or null."""
    if not text or text == "null":
        return None
    try:
        return _object.decode(text)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadRequestError(f"{name} must be a JSON object") from None


def _answer(found: Any) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json")


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["items"],
                    "properties": {
                        "id": {
                            "type": ["string", "integer", "null"],
                            "description": "The conversation that they come from",
                        },
                        "items": {
                            "type": "array",
                            "maxItems": MOST_ITEMS,
                            "items": {
                                "type": "object",
                                "properties": {
                                    "role": {"type": ["string", "null"], "default": "user"},
                                    "content": {
                                        "type": ["string", "array", "null"],
                                        "description": "Text, or a list of parts",
                                        "example": "I like tea",
                                    },
                                    "metadata": {"type": ["object", "null"]},
                                },
                            },
                        },
                    },
                },
                "example": {"items": [{"role": "user", "content": "I take my tea without milk"}]},
            }
        },
    }
}
