"""The table of the media items, and how an item becomes a row of it."""

from dataclasses import fields
from operator import attrgetter
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Double, Index, Integer, RowMapping, Table

from mediary.database.metadata import CleanJSON, CleanText, Count, Id, Name, metadata
from mediary.media.item import MediaItem
from mediary.media.search_text import search_text

media_items = Table(
    "media_items",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("name", Name, nullable=False),
    Column("size", Count, nullable=False),
    Column("media_type", CleanText, nullable=False),
    Column("kind", CleanText, nullable=False),
    Column("created", Double, nullable=False),
    Column("modified", Double, nullable=False),
    Column("sha256", CleanText),
    Column("prompt", CleanText, nullable=False),
    Column("negative_prompt", CleanText, nullable=False),
    Column("alt", CleanText, nullable=False),
    Column("tags", CleanJSON, nullable=False),
    Column("provider", CleanText),
    Column("model", CleanText),
    Column("seed", CleanText),
    Column("steps", Count),
    Column("source_url", CleanText),
    Column("owner", CleanText),
    Column("parent", CleanText),
    Column("bucket", CleanText),
    Column("width", Integer),
    Column("height", Integer),
    Column("duration", Double),
    Column("thumbhash", CleanText),
    Column("colour", CleanText),
    Column("phash", BigInteger),
    Column("c2pa", Boolean),
    Column("generator", CleanText),
    Column("problem", CleanText),
    Column("trashed", Double),
    Column("read", Integer, nullable=False),
    Column("search_text", Name, nullable=False),
    CheckConstraint("kind IN ('image', 'audio', 'video')", name="kind"),
)

library_state = Table(
    "library_state",
    metadata,
    Column("key", CleanText, primary_key=True),
    Column("value", CleanText, nullable=False),
)

live = media_items.c.trashed.is_(None)
"""What is in the library and not in its trash."""


# The migration limits each index to the rows that it is for: the live ones, those in the trash, those with a value. To
# say that here, too, would load the dialects of both databases.
for _name, _indexed in {
    "name": ("name",),
    "kind": ("kind", "id"),
    "size": ("size", "id"),
    "sha256": ("sha256", "id"),
    "provider": ("provider", "id"),
    "model": ("model", "id"),
    "bucket": ("bucket", "id"),
    "phash": ("phash", "id"),
    "unread": ("read", "id"),
    "trashed": ("trashed",),
    "trashed_name": ("name", "trashed"),
}.items():
    Index(f"ix_media_items_{_name}", *(media_items.c[column] for column in _indexed), unique=_name == "name")

FIELDS = tuple(field.name for field in fields(MediaItem))
COLUMNS = [media_items.c[name] for name in FIELDS]

_values = attrgetter(*FIELDS)


def to_row(item: MediaItem, number: int) -> dict[str, Any]:
    """The row of an item, under that number."""
    row = dict(zip(FIELDS, _values(item), strict=True))
    row["id"] = number
    row["search_text"] = search_text(item)
    return row


def to_item(row: RowMapping) -> MediaItem:
    """The item of a row."""
    values: dict[str, Any] = {name: row[name] for name in FIELDS}
    values["tags"] = tuple(values["tags"])
    return MediaItem(**values)
