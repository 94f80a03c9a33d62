"""What the database knows of each media item that no file name holds."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import CheckConstraint, Column, Double, Integer, RowMapping, Table, delete, select

from mediary.database.engine import Database
from mediary.database.metadata import CleanJSON, CleanText, Count, Id, metadata
from mediary.errors import NotFoundError
from mediary.formats import Kind

media_items = Table(
    "media_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", CleanText, nullable=False, unique=True),
    Column("sha256", CleanText, nullable=False, index=True),
    Column("size", Count, nullable=False),
    Column("media_type", CleanText, nullable=False),
    Column("kind", CleanText, nullable=False),
    Column("prompt", CleanText, nullable=False),
    Column("alt", CleanText, nullable=False),
    Column("tags", CleanJSON, nullable=False),
    Column("provider", CleanText),
    Column("model", CleanText),
    Column("source_url", CleanText),
    Column("created", Double, nullable=False, index=True),
    Column("width", Integer),
    Column("height", Integer),
    Column("duration", Double),
    CheckConstraint("kind IN ('image', 'audio', 'video')", name="kind"),
)


@dataclass(slots=True, frozen=True, kw_only=True)
class MediaItem:
    """An entry of the library: `created` in Unix seconds, `size` in bytes, `duration` in seconds."""

    name: str
    sha256: str
    size: int
    media_type: str
    kind: Kind
    prompt: str = ""
    alt: str = ""
    tags: tuple[str, ...] = ()
    provider: str | None = None
    model: str | None = None
    source_url: str | None = None
    created: float = field(default_factory=time.time)
    width: int | None = None
    height: int | None = None
    duration: float | None = None


COLUMNS = [column for column in media_items.c if column.name != "id"]


class Catalog:
    """The rows of the media items, by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, item: MediaItem) -> None:
        """Write the row of a file; a row of the same name is of a file that is gone, and is replaced."""
        async with self._database.begin() as connection:
            await connection.execute(self._database.upsert(media_items, asdict(item), key="name"))

    async def find(self, name: str) -> MediaItem | None:
        """What is known of the file of that name."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(*COLUMNS).where(media_items.c.name == name))).mappings().first()
        return None if row is None else _item(row)

    async def has(self, sha256: str) -> bool:
        """Whether a file with these bytes is known."""
        known = select(media_items.c.id).where(media_items.c.sha256 == sha256).limit(1)
        async with self._database.connect() as connection:
            return (await connection.execute(known)).first() is not None

    async def get(self, name: str) -> MediaItem:
        """What is known of the file of that name; NotFoundError if nothing is."""
        if (item := await self.find(name)) is None:
            raise NotFoundError(f"nothing is known of {name!r}")
        return item

    async def remove(self, name: str) -> None:
        """Forget the file of that name; NotFoundError if nothing is known of it."""
        async with self._database.begin() as connection:
            removed = await connection.execute(delete(media_items).where(media_items.c.name == name))
        if not removed.rowcount:
            raise NotFoundError(f"nothing is known of {name!r}")


def _item(row: RowMapping) -> MediaItem:
    values: dict[str, Any] = dict(row)
    values["tags"] = tuple(values["tags"])
    return MediaItem(**values)
