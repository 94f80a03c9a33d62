"""`/backend-api/v2/media`: the library's items, listed and told of, added, tagged, thrown away and taken back."""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from msgspec import Meta, Struct
from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo
from starlette.datastructures import FormData, UploadFile

from mediary.conversations.request import decode_json
from mediary.errors import BadRequestError, ConflictError, FieldError, TooLargeError, UnsupportedTypeError
from mediary.formats import Kind
from mediary.media.item import WHOLE, ItemFilter, MediaItem, Order
from mediary.media.library import MediaLibrary
from mediary.media.receive import About
from mediary.media.search_text import fold
from mediary.names import words_in
from mediary.server.forms import read_form
from mediary.server.items import Item, describe_item
from mediary.server.labels import user_label
from mediary.server.limits import Body, check_declared_length
from mediary.server.openapi import ERROR, FILES, in_header
from mediary.server.query import read_boolean, read_time

MOST_ITEMS = 500
MOST_TAGS, LONGEST_TAG = 64, 100
MOST_TEXT = 1024 * 1024
"""Bytes of a JSON body, and of a field of a form."""
LIMIT = "media.max_bytes"
PIECE = 256 * 1024
REJECTED = (BadRequestError, UnsupportedTypeError, TooLargeError)
"""What is wrong with a file itself: it costs that file alone."""


def _flag(value: Any, info: ValidationInfo) -> Any:
    return read_boolean(info.field_name or "", value) if isinstance(value, str) else value


def _first_moment(value: Any) -> Any:
    return read_time("from", value) if value else None


def _last_moment(value: Any) -> Any:
    return read_time("to", value, last=True) if value else None


def _given(value: Any) -> Any:
    """What an empty field of a form says: nothing."""
    return None if value == "" else value


Flag = Annotated[bool, BeforeValidator(_flag)]
Word = Annotated[str | None, BeforeValidator(_given)]


class Listing(BaseModel):
    """Which items, in which order, from where on."""

    kind: Annotated[Kind | None, BeforeValidator(_given)] = None
    tag: Word = Field(None, description="A tag as it is, in any case")
    model: Word = None
    provider: Word = None
    q: Word = Field(None, description="Words that name, prompt, model or tags hold")
    prompt: Word = Field(None, description="The same as `q`")
    since: Annotated[float | None, BeforeValidator(_first_moment, json_schema_input_type=str)] = Field(
        None,
        alias="from",
        description="Made then or later: ISO 8601, in UTC where it names no zone, or Unix seconds",
        examples=["2026-11-01"],
    )
    until: Annotated[float | None, BeforeValidator(_last_moment, json_schema_input_type=str)] = Field(
        None,
        alias="to",
        description="Made then or before; a day is included whole",
        examples=["2026-11-20T09:30:00Z"],
    )
    bucket: Word = None
    trashed: Flag = Field(False, description="What lies in the trash, and nothing else")
    order: Order = "newest"
    limit: int = Field(50, ge=1, le=MOST_ITEMS)
    cursor: Word = Field(None, description="The `next` of the page before")

    def filter(self) -> ItemFilter:
        """The items that are meant."""
        return ItemFilter(
            kind=self.kind,
            tag=self.tag,
            model=self.model,
            provider=self.provider,
            text=" ".join(filter(None, (self.q, self.prompt))) or None,
            created_from=self.since,
            created_to=self.until,
            bucket=self.bucket,
            trashed=self.trashed,
        )


@dataclass(frozen=True)
class ItemList:
    """A page of items; `next` is the cursor of the page after it, null on the last."""

    items: list[Item]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class SimilarItem(Item):
    """An item that looks alike."""

    distance: int
    """How many bits of the perceptual hash differ: from 0 to 64"""


@dataclass(frozen=True)
class SimilarItems:
    """Items that look alike, the nearest first."""

    items: list[SimilarItem]


@dataclass(frozen=True)
class Rejected:
    """A file that was not taken."""

    file: str
    """Its name, as it was sent"""
    rejected: str
    """Why it was not taken"""


@dataclass(frozen=True, kw_only=True)
class AddedItem(Item):
    """An item that a file became."""

    file: str
    """The file's name, as it was sent"""


@dataclass(frozen=True)
class Results:
    """What became of the files, in their order."""

    results: list[AddedItem | Rejected]


@dataclass(frozen=True)
class Done:
    """That it is done."""

    message: str


class Tags(Struct, forbid_unknown_fields=True):
    """What can be changed of an item."""

    tags: Annotated[list[Annotated[str, Meta(max_length=LONGEST_TAG)]], Meta(max_length=MOST_TAGS)]


_tags = msgspec.json.Decoder(Tags)


def library_routes(library: MediaLibrary, max_bytes: int) -> APIRouter:
    """The routes, on this library; a form may bring `max_bytes` in all."""
    router = APIRouter(prefix="/backend-api/v2/media", tags=["library"])
    _add_reading(router, library)
    _add_changing(router, library)
    _add_adding(router, library, max_bytes)
    return router


def _add_reading(router: APIRouter, library: MediaLibrary) -> None:
    @router.get("", summary="A page of the library's items", response_model=ItemList, responses={400: ERROR})
    async def list_items(asked: Annotated[Listing, Query()]) -> Response:
        page = await library.list(asked.filter(), asked.order, asked.cursor, asked.limit)
        return _answer({"items": [describe_item(item) for item in page.items], "next": page.next})

    @router.get("/{name}", summary="All that is known of an item", response_model=Item, responses={404: ERROR})
    async def get_item(name: str) -> Response:
        return _answer(describe_item(await library.get(name)))

    @router.get(
        "/{name}/similar",
        summary="The pictures that look most like it, nearest first",
        response_model=SimilarItems,
        responses=dict.fromkeys((400, 404, 409), ERROR),
    )
    async def list_similar(name: str, limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 20) -> Response:
        check_comparable(await library.get(name))
        found = await library.similar(name, limit)
        return _answer({"items": [{**_described(item), "distance": distance} for item, distance in found]})


def _add_changing(router: APIRouter, library: MediaLibrary) -> None:
    @router.patch(
        "/{name}",
        summary="Put other tags in the place of its tags",
        response_model=Item,
        responses=dict.fromkeys((400, 404, 413), ERROR),
        openapi_extra=_TAGS_BODY,
    )
    async def tag_item(name: str, request: Request) -> Response:
        check_declared_length(request.scope, MOST_TEXT, setting="")
        wanted = decode_json(_tags, await Body(request.receive, MOST_TEXT, setting="").read())
        return _answer(describe_item(await library.tag(name, clean_tags(wanted.tags))))

    @router.delete(
        "/{name}",
        summary="Move it to the trash; with `trashed=true`, delete what lies there for good",
        response_model=Done,
        responses=dict.fromkeys((400, 404, 409), ERROR),
    )
    async def delete_item(
        name: str,
        trashed: Flag = False,
        force: Annotated[Flag, Query(description="Also what a shared chat shows")] = False,
    ) -> Response:
        if trashed:
            await library.purge(name)
            return _answer(Done("Media item deleted for good"))
        await library.remove(name, force=force)
        return _answer(Done("Media item moved to the trash" if library.keep_trash else "Media item deleted for good"))

    @router.post(
        "/{name}/restore",
        summary="Take what was deleted last under this name out of the trash",
        description="If the name is taken meanwhile, the item gets a numbered one.",
        response_model=Item,
        responses={404: ERROR},
    )
    async def restore_item(name: str) -> Response:
        return _answer(describe_item(await library.restore(name)))


def _add_adding(router: APIRouter, library: MediaLibrary, max_bytes: int) -> None:
    @router.post(
        "",
        summary="Add files to the library",
        response_model=Results,
        responses=dict.fromkeys((400, 413, 507), ERROR),
        openapi_extra=_FORM_BODY,
    )
    async def add_files(request: Request) -> Response:
        check_declared_length(request.scope, max_bytes, LIMIT)
        owner = user_label(request.headers.raw)
        async with read_form(request.scope, Body(request.receive, max_bytes, LIMIT), MOST_TEXT) as form:
            files = [item for item in form.getlist("files") if isinstance(item, UploadFile)]
            if not files:
                raise FieldError("files", "the form needs at least one file in this field")
            about = _about(form, owner)
            results = [await _add(library, file, about) for file in files]
        return _answer({"results": results})


async def _add(library: MediaLibrary, file: UploadFile, about: About) -> Any:
    """Take one file into the library: what is known of it then, or why it was not taken."""
    name = PurePath(file.filename or "").name or "file"
    words = about.alt or words_in(name)
    try:
        item = await library.add(_pieces(file), alt=words, tags=about.tags, prompt=about.prompt, owner=about.owner)
    except REJECTED as error:
        return Rejected(name, error.message)
    return {"file": name, **_described(item)}


async def _pieces(file: UploadFile) -> AsyncGenerator[bytes, None]:
    while piece := await file.read(PIECE):
        yield piece


def _about(form: FormData, owner: str | None) -> About:
    """What the fields of a form say of its files."""
    tags = [tag for field in form.getlist("tags") if isinstance(field, str) for tag in field.split(",") if tag.strip()]
    return About(prompt=_field(form, "prompt"), alt=_field(form, "alt"), tags=clean_tags(tags), owner=owner or None)


def _field(form: FormData, name: str) -> str:
    value = form.get(name, "")
    if not isinstance(value, str):
        raise FieldError(name, "must be a text, not a file")
    return value


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without blanks around them, each once; FieldError for one that is empty or too long, or for too many."""
    cleaned = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags))
    if not all(map(fold, cleaned)):  # nothing but control characters would be found by nobody
        raise FieldError("tags", "a tag cannot be empty")
    if len(cleaned) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in cleaned):
        raise FieldError("tags", f"{MOST_TAGS} tags of {LONGEST_TAG} characters at most")
    return cleaned


def check_comparable(item: MediaItem) -> None:
    """ConflictError for an item that looks like nothing, or not yet."""
    if item.phash is not None:
        return
    if item.problem is not None:
        raise ConflictError(f"there is nothing to compare {item.name!r} by: {item.problem}")
    if item.read < WHOLE and item.kind != "audio":
        raise ConflictError(f"the pixels of {item.name!r} are not read yet; ask again in a moment")
    raise ConflictError(f"there is nothing to compare {item.name!r} by: it is {item.media_type}")


def _described(item: MediaItem) -> Any:
    return msgspec.to_builtins(describe_item(item))


def _answer(content: Any) -> Response:
    """JSON by msgspec: FastAPI's own way takes twenty times as long for a page."""
    return Response(msgspec.json.encode(content), media_type="application/json")


_TAGS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["tags"],
                    "additionalProperties": False,
                    "properties": {
                        "tags": {
                            "type": "array",
                            "maxItems": MOST_TAGS,
                            "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_TAG},
                        }
                    },
                },
                "example": {"tags": ["sea", "for the calendar"]},
            }
        },
    }
}

_FORM_BODY = {
    "parameters": [in_header("x-user", "The label of the items' owner; no identity")],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": FILES,
                        "tags": {"type": "array", "items": {"type": "string"}, "description": "Also with commas"},
                        "prompt": {"type": "string", "description": "What they were made from"},
                        "alt": {"type": "string", "description": "What they show; else the words of their names"},
                    },
                }
            }
        },
    },
}
