"""A media item as clients read it, the same wherever one is told of."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from mediary.formats import Kind
from mediary.media.item import MediaItem
from mediary.media.library import media_url

_FIRST, _LAST = 0.0, 253402300799.0  # 1970 and the end of 9999: what ISO 8601 can write

# FastAPI leaves out what is null.
EXAMPLE = {
    "name": "1795168200_picture+A_quiet_sea_0f3c9d1e5b7a2468.png",
    "url": "/media/1795168200_picture+A_quiet_sea_0f3c9d1e5b7a2468.png",
    "thumbnail": "/thumbnail/1795168200_picture+A_quiet_sea_0f3c9d1e5b7a2468.png",
    "kind": "image",
    "type": "image/png",
    "size": 183204,
    "width": 1024,
    "height": 768,
    "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j3A",
    "colour": "#6f8fa6",
    "prompt": "A quiet sea",
    "negative_prompt": "",
    "alt": "A quiet sea",
    "tags": ["picture"],
    "provider": "Local",
    "model": "picture",
    "seed": "7",
    "created": "2026-11-20T09:50:00.000Z",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "c2pa": False,
}


@dataclass(slots=True, frozen=True, kw_only=True)
class Item:
    """A media item; what is not known of it is null."""

    # Pydantic's: the texts below the fields become their descriptions in the OpenAPI document.
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "use_attribute_docstrings": True,
        "json_schema_extra": {"example": EXAMPLE},
    }

    name: str
    """The file's name, which is the item's id"""
    url: str | None
    """Where the bytes are; null in the trash"""
    thumbnail: str | None
    """Where a small picture of it is; null in the trash"""
    kind: Kind
    type: str
    """The MIME type, as the bytes say"""
    size: int
    """Bytes"""
    width: int | None
    """Pixels, as it is shown"""
    height: int | None
    """Pixels, as it is shown"""
    duration: float | None
    """Seconds"""
    thumbhash: str | None
    """A blurred picture in some 28 bytes (ThumbHash), base64"""
    colour: str | None
    """The average colour, `#rrggbb`"""
    prompt: str
    negative_prompt: str
    alt: str
    tags: tuple[str, ...]
    provider: str | None
    model: str | None
    seed: str | None
    """A text, since seeds can have more digits than a JavaScript number"""
    steps: int | None
    source_url: str | None
    """Where it was fetched from"""
    owner: str | None
    """The label of who asked for it; no identity"""
    parent: str | None
    """The name of the item that it was made from"""
    bucket: str | None
    created: str
    """ISO 8601, in UTC"""
    sha256: str | None
    """Of the bytes, in hex; null until they are read"""
    c2pa: bool | None
    """Whether the file carries C2PA credentials"""
    generator: str | None
    """The program that made it, as the file says"""
    problem: str | None
    """Why its bytes could not be read"""
    trashed: str | None
    """When it went to the trash, ISO 8601 in UTC; null outside of it"""


def describe_item(item: MediaItem) -> Item:
    """An item of the library as clients read it."""
    there = item.trashed is None
    return Item(
        name=item.name,
        url=media_url(item.name) if there else None,
        thumbnail=media_url(item.name, "thumbnail") if there else None,
        kind=item.kind,
        type=item.media_type,
        size=item.size,
        width=item.width,
        height=item.height,
        duration=item.duration,
        thumbhash=item.thumbhash,
        colour=item.colour,
        prompt=item.prompt,
        negative_prompt=item.negative_prompt,
        alt=item.alt,
        tags=item.tags,
        provider=item.provider,
        model=item.model,
        seed=item.seed,
        steps=item.steps,
        source_url=item.source_url,
        owner=item.owner,
        parent=item.parent,
        bucket=item.bucket,
        created=iso_time(item.created),
        sha256=item.sha256,
        c2pa=item.c2pa,
        generator=item.generator,
        problem=item.problem,
        trashed=None if item.trashed is None else iso_time(item.trashed),
    )


def iso_time(seconds: float) -> str:
    """Unix seconds as `2026-11-20T09:30:00.000Z`, which `new Date()` of JavaScript reads."""
    moment = datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
