"""`/backend-api/v2/uploads`: what lies with which provider, and until when; and how that is forgotten."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field

from mediary.server.openapi import ERROR
from mediary.uploads.room import UploadRoom, describe_upload

MOST = 500
"""Uploads of a page."""


class ListedUpload(BaseModel):
    """A file that lies with a provider."""

    id: str
    provider: str
    flow: str
    name: str
    type: str
    size: int
    created: float = Field(description="Unix seconds")
    expires_at: float | None = Field(description="Unix seconds; null where the provider keeps it")


class UploadList(BaseModel):
    """A page, newest first; `next` is the cursor of the page after it, null on the last."""

    uploads: list[ListedUpload]
    next: str | None


class Forgotten(BaseModel):
    """Whether it is gone there, too, and if not why."""

    removed: bool
    reason: str | None


def upload_routes(room: UploadRoom) -> APIRouter:
    """The routes, on these uploads."""
    router = APIRouter(prefix="/backend-api/v2/uploads", tags=["uploads"])

    @router.get(
        "",
        summary="What lies with which provider, and until when",
        response_model=UploadList,
        responses=dict.fromkeys((400, 404), ERROR),
    )
    async def list_uploads(
        provider: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(description="The `next` of the page before")] = None,
    ) -> Any:
        page = await room.list(provider or None, cursor or None, limit)
        return {"uploads": [describe_upload(each, listed=True) for each in page.uploads], "next": page.next}

    @router.delete(
        "/{upload_id}",
        summary="Forget an upload, and remove the file there if the provider can",
        response_model=Forgotten,
        responses=dict.fromkeys((404, 409), ERROR),
    )
    async def forget_upload(
        upload_id: str,
        x_api_key: Annotated[str | None, Header(description="The key that it was uploaded with, if not yours")] = None,
    ) -> Any:
        return asdict(await room.forget(upload_id, api_key=x_api_key or None))

    return router
