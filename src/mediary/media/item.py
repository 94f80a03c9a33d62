"""A media item and the questions that are asked about many of them: plain values, known to every floor above."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mediary.formats import Kind

Order = Literal["newest", "oldest", "name", "largest"]

# How much of a file was read: its name alone, its headers, or every byte and pixel.
NAMED, HEADERS, WHOLE = 0, 1, 2


@dataclass(slots=True, frozen=True, kw_only=True)
class MediaItem:
    """An entry of the library.

    `created`, `modified` and `trashed` are Unix seconds, `size` bytes, `duration` seconds, `width` and `height` pixels
    as they are shown. `created` is the time in the file's name, else `modified`, its file's time. `read` says how much
    of the file was looked at; what only the bytes tell is None before. `phash` is a perceptual hash of 64 bits, signed;
    `thumbhash` is base64; `colour` is `#rrggbb`. `problem` says why the bytes could not be read. `id` is the number
    that the catalog gave it, 0 before: newer items have higher ones, so that newest first is the order of every index.
    """

    name: str
    size: int
    media_type: str
    kind: Kind
    created: float = field(default_factory=time.time)
    modified: float = 0.0
    sha256: str | None = None
    prompt: str = ""
    negative_prompt: str = ""
    alt: str = ""
    tags: tuple[str, ...] = ()
    provider: str | None = None
    model: str | None = None
    seed: str | None = None
    steps: int | None = None
    source_url: str | None = None
    owner: str | None = None
    parent: str | None = None
    bucket: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    thumbhash: str | None = None
    colour: str | None = None
    phash: int | None = None
    c2pa: bool | None = None
    generator: str | None = None
    problem: str | None = None
    trashed: float | None = None
    read: int = NAMED
    id: int = field(default=0, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ItemFilter:
    """Which items are meant; what is None does not matter. `text` holds words that name, prompt, model or tags hold."""

    kind: Kind | None = None
    tag: str | None = None
    model: str | None = None
    provider: str | None = None
    text: str | None = None
    created_from: float | None = None
    created_to: float | None = None
    bucket: str | None = None
    trashed: bool = False


@dataclass(slots=True, frozen=True)
class ItemPage:
    """A page of items; `next` is the cursor of the page after it, None on the last."""

    items: tuple[MediaItem, ...]
    next: str | None


@dataclass(slots=True, frozen=True, kw_only=True)
class SearchQuery:
    """What `/search/<a+b>` asks: an item counts one for each token it matches, and needs `least` (None: all).

    Tokens are as a person types them; the first may name a kind or a media type. `seed` picks one by chance of what was
    found behind `skip`, the same one each time for the same seed.
    """

    tokens: tuple[str, ...]
    least: int | None = None
    skip: int = 0
    limit: int = 1
    seed: str | None = None


@dataclass(slots=True, frozen=True)
class Found:
    """What a search found: the items asked for, and how many there are in all, None where nobody counted."""

    items: tuple[MediaItem, ...]
    total: int | None


Changes = Mapping[str, Any]
"""Fields of a MediaItem with their new values."""


def first_id(created: float) -> int:
    """The lowest number that an item of that time can have."""
    return int(min(max(0.0, created * 1000), 2.0**42 - 1)) << 21


def item_id(created: float, name: str) -> int:
    """The number of an item: its time in milliseconds, then 21 bits of its name's digest."""
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return first_id(created) | int.from_bytes(digest[:4], "big") >> 11
