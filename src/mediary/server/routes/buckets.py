"""`/backend-api/v2/files`: which buckets there are, what is in one, how its downloads go; and the end of one."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator

from mediary.buckets.bucket import Bucket, bucket_id
from mediary.buckets.document import Document, State
from mediary.buckets.media import list_media
from mediary.buckets.room import BucketRoom
from mediary.errors import BadRequestError, NotFoundError
from mediary.server.items import iso_time
from mediary.server.openapi import ERROR
from mediary.server.query import read_whole
from mediary.storage.base import StoredFile

PAGE, MOST = 100, 1000
"""How many entries a page has: usually, and at most."""
_DOCUMENTS, _MEDIA = "d", "m"
"""What the cursor of a manifest begins with."""


@dataclass(frozen=True)
class BucketEntry:
    """A bucket."""

    bucket_id: str
    documents: int
    media: int
    size: int
    """Bytes of all of its files"""
    modified: str
    """ISO 8601, in UTC"""


@dataclass(frozen=True)
class BucketList:
    """A page of buckets; `next` is the cursor of the page after it, null on the last."""

    buckets: list[BucketEntry]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class DocumentEntry:
    """A document; what is not known of it is left out."""

    name: str
    """As in the manifest and in the text"""
    state: State
    error: str | None = None
    """Why it failed"""
    original: str
    """The name it was brought under"""
    media_type: str
    size: int
    """Bytes that were brought"""
    text_size: int | None = None
    """Bytes of its text"""
    title: str | None = None
    author: str | None = None
    pages: int | None = None
    language: str | None = None
    """BCP 47"""
    url: str | None = None
    """Where it was fetched"""
    taken: str
    """ISO 8601, in UTC"""


@dataclass(frozen=True, kw_only=True)
class MediaEntry:
    """A picture, sound or video of a bucket."""

    name: str
    url: str
    thumbnail: str
    size: int
    modified: str
    """ISO 8601, in UTC"""


@dataclass(frozen=True)
class Manifest:
    """A page of a bucket: its documents in their order, then its media by name."""

    bucket_id: str
    documents: list[DocumentEntry]
    media: list[MediaEntry]
    next: str | None
    """The cursor of the page after it, null on the last"""


@dataclass(frozen=True)
class FailedDownload:
    """A URL that could not be fetched."""

    url: str
    reason: str


@dataclass(frozen=True)
class Downloads:
    """How far the fetching is: of what is `waiting` nothing was fetched, what is `stopped` goes on when it is read."""

    state: Literal["waiting", "running", "stopped", "finished"]
    count: int
    """Documents that were fetched"""
    total: int
    bytes: int
    """Bytes that came over the net"""
    limit: str | None
    """What ended it before its end"""
    failures: list[FailedDownload]


@dataclass(frozen=True)
class Done:
    """That it is done."""

    message: str


def _given(value: Any) -> Any:
    return None if value == "" else value


Cursor = Annotated[str | None, BeforeValidator(_given), Query(description="The `next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Wanted = Annotated[State | None, BeforeValidator(_given), Query(description="Only documents in this state")]


Unshare = Callable[[str, Request], Awaitable[None]]
"""Deletes the shared chat of an id as its request may; NotFoundError if there is none."""


def bucket_routes(room: BucketRoom, unshare: Unshare) -> APIRouter:
    """The routes, on these buckets; `unshare` is for clients that know shares as buckets."""
    router = APIRouter(prefix="/backend-api/v2/files", tags=["buckets"])
    _add_reading(router, room)
    _add_changing(router, room, unshare)
    return router


def _add_reading(router: APIRouter, room: BucketRoom) -> None:
    @router.get("", summary="A page of the buckets", response_model=BucketList, responses={400: ERROR})
    async def list_buckets(cursor: Cursor = None, limit: Limit = PAGE) -> Response:
        page = await room.buckets.list(cursor, limit)
        entries = [
            BucketEntry(bucket.id, bucket.documents, bucket.media, bucket.size, iso_time(bucket.modified))
            for bucket in page.buckets
        ]
        return _answer(BucketList(entries, page.next))

    @router.get(
        "/{bucket}/manifest",
        summary="What is in a bucket, and how far the reading of it is",
        description="Looking begins the reading of what is not read yet.",
        response_model=Manifest,
        responses=dict.fromkeys((400, 404), ERROR),
    )
    async def get_manifest(bucket: str, cursor: Cursor = None, limit: Limit = PAGE, state: Wanted = None) -> Response:
        opened = await room.buckets.get(bucket_id(bucket))
        room.texts.begin(opened)
        return _answer(await _page(room, opened, cursor, limit, state))

    @router.get(
        "/{bucket}/downloads",
        summary="How far the fetching of the bucket's downloads.json is",
        response_model=Downloads,
        responses=dict.fromkeys((400, 404), ERROR),
    )
    async def get_downloads(bucket: str) -> Response:
        opened = await room.buckets.get(bucket_id(bucket))
        return _answer(await room.crawler.progress(opened))


def _add_changing(router: APIRouter, room: BucketRoom, unshare: Unshare) -> None:
    @router.delete(
        "/{bucket}",
        summary="Delete a bucket with all that is in it",
        response_model=Done,
        responses=dict.fromkeys((400, 404), ERROR),
    )
    async def delete_bucket(bucket: str, request: Request) -> Response:
        checked = bucket_id(bucket)
        try:
            await room.delete(checked)
        except NotFoundError as missing:
            try:
                await unshare(checked, request)
            except NotFoundError:
                raise missing from None
        return _answer(Done("Bucket deleted successfully"))

    @router.delete(
        "/{bucket}/downloads",
        summary="Stop fetching, and forget the bucket's downloads.json",
        description="What has been fetched stays.",
        response_model=Done,
        responses=dict.fromkeys((400, 404), ERROR),
    )
    async def stop_downloads(bucket: str) -> Response:
        await room.crawler.forget(await room.buckets.get(bucket_id(bucket)))
        return _answer(Done("Downloads stopped"))


async def _page(room: BucketRoom, bucket: Bucket, cursor: str | None, limit: int, state: State | None) -> Any:
    """A page of documents, and of media behind them; those have no state."""
    part, after = _read_cursor(cursor)
    documents: list[Document] = []
    if part == _DOCUMENTS:
        async for document in _documents(bucket, int(after), state):
            if len(documents) == limit:
                return _manifest(bucket, documents, (), f"{_DOCUMENTS}{documents[-1].position}")
            documents.append(document)
        after = ""
    if state is not None:
        return _manifest(bucket, documents, (), None)
    left = limit - len(documents)
    if not left:
        return _manifest(bucket, documents, (), _MEDIA)
    media = await list_media(bucket, after or None, left)
    return _manifest(bucket, documents, media.files, media.next and f"{_MEDIA}{media.next}")


async def _documents(bucket: Bucket, after: int, state: State | None) -> AsyncGenerator[Document, None]:
    """The documents behind a position, in order."""
    while page := await bucket.index.documents(after, MOST):
        for document in page:
            if state in (None, document.state):
                yield document
        after = page[-1].position


def _read_cursor(cursor: str | None) -> tuple[str, str]:
    """Whether a page begins among the documents or the media, and behind which of them."""
    if cursor is None:
        return _DOCUMENTS, "0"
    part, after = cursor[:1], cursor[1:]
    if part == _DOCUMENTS:
        return part, str(read_whole("cursor", after, 0, 10**9))
    if part == _MEDIA:
        return part, after
    raise BadRequestError("cursor is the `next` of a page")


def _manifest(bucket: Bucket, documents: list[Document], media: tuple[StoredFile, ...], more: str | None) -> Any:
    return {
        "bucket_id": bucket.id,
        "documents": [describe_document(document) for document in documents],
        "media": [describe_file(bucket.id, file) for file in media],
        "next": more,
    }


def describe_document(document: Document) -> dict[str, Any]:
    """A document as clients read it, without what is not known."""
    said = DocumentEntry(
        name=document.name,
        state=document.state,
        error=document.error,
        original=document.original or document.name,
        media_type=document.media_type,
        size=document.size,
        text_size=document.text_size,
        title=document.title,
        author=document.author,
        pages=document.pages,
        language=document.language,
        url=document.url,
        taken=iso_time(document.taken),
    )
    return {name: value for name, value in vars(said).items() if value is not None}


def describe_file(bucket: str, file: StoredFile) -> MediaEntry:
    """A media file as clients read it."""
    below, name = f"/files/{quote(bucket)}", quote(file.name)
    return MediaEntry(
        name=file.name,
        url=f"{below}/media/{name}",
        thumbnail=f"{below}/thumbnail/{name}",
        size=file.size,
        modified=iso_time(file.modified),
    )


def _answer(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
