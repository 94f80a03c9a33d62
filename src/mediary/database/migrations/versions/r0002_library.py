"""The media library: all that is known of an item, the index that it is searched by, and the names in object stores."""

import hashlib
import logging
from typing import Any
from unicodedata import normalize

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

logger = logging.getLogger("mediary.database.migrations")  # Alembic loads this file under a name of its own

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BATCH = 2000

COPIED = (
    *("name", "sha256", "size", "media_type", "kind", "prompt", "alt", "tags", "provider", "model", "source_url"),
    *("created", "width", "height", "duration"),
)

LIVE = "trashed IS NULL"
TRIGRAM_INDEX = (
    f"CREATE INDEX ix_media_items_search_text ON media_items USING gin (search_text gin_trgm_ops) WHERE {LIVE}"
)
INDEXES = {
    "kind": (["kind", "id"], LIVE),
    "size": (["size", "id"], LIVE),
    **{name: ([name, "id"], f"{LIVE} AND {name} IS NOT NULL") for name in ("sha256", "provider", "model", "bucket")},
    "phash": (["phash", "id"], f"{LIVE} AND phash IS NOT NULL"),
    "unread": (["read", "id"], f"{LIVE} AND problem IS NULL AND read < 2"),
    "trashed": (["trashed"], "trashed IS NOT NULL"),
    "trashed_name": (["name", "trashed"], "trashed IS NOT NULL"),
}

# The rows in the trash are not in the index. A change that touches neither text nor trash costs it nothing.
SQLITE_SEARCH = (
    """
    CREATE VIRTUAL TABLE media_search USING fts5(
        search_text, content='media_items', content_rowid='id', columnsize=0, tokenize='trigram case_sensitive 1'
    )
    """,
    # A bit more to read in a search, a quarter less to write.
    "INSERT INTO media_search (media_search, rank) VALUES ('automerge', 8)",
    "CREATE VIRTUAL TABLE media_vocabulary USING fts5vocab(media_search, instance)",
    """
    CREATE TRIGGER media_items_search_insert AFTER INSERT ON media_items WHEN new.trashed IS NULL
    BEGIN
        INSERT INTO media_search (rowid, search_text) VALUES (new.id, new.search_text);
    END
    """,
    """
    CREATE TRIGGER media_items_search_delete AFTER DELETE ON media_items WHEN old.trashed IS NULL
    BEGIN
        INSERT INTO media_search (media_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
    END
    """,
    """
    CREATE TRIGGER media_items_search_leave AFTER UPDATE ON media_items
    WHEN old.trashed IS NULL AND new.trashed IS NOT NULL
    BEGIN
        INSERT INTO media_search (media_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
    END
    """,
    """
    CREATE TRIGGER media_items_search_enter AFTER UPDATE ON media_items
    WHEN old.trashed IS NOT NULL AND new.trashed IS NULL
    BEGIN
        INSERT INTO media_search (rowid, search_text) VALUES (new.id, new.search_text);
    END
    """,
    # One trigger for both steps: which of two comes first is not said, and to go last is to be lost.
    """
    CREATE TRIGGER media_items_search_change AFTER UPDATE ON media_items
    WHEN old.trashed IS NULL AND new.trashed IS NULL AND (new.search_text <> old.search_text OR new.id <> old.id)
    BEGIN
        INSERT INTO media_search (media_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
        INSERT INTO media_search (rowid, search_text) VALUES (new.id, new.search_text);
    END
    """,
)


def upgrade() -> None:
    """Make the new tables, and bring the rows of the old one over."""
    op.execute("CREATE TEMPORARY TABLE media_items_before AS SELECT * FROM media_items")
    op.drop_table("media_items")
    _create_media_items()
    _copy()
    op.execute("DROP TABLE media_items_before")
    _create_stored_files()
    op.create_table(
        "library_state",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_library_state"),
    )


def _create_media_items() -> None:
    op.create_table(
        "media_items",
        sa.Column("id", ID, nullable=False, autoincrement=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("negative_prompt", sa.Text(), nullable=False),
        sa.Column("alt", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("seed", sa.Text(), nullable=True),
        sa.Column("steps", sa.BigInteger(), nullable=True),
        sa.Column("source_url", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("bucket", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("duration", sa.Double(), nullable=True),
        sa.Column("thumbhash", sa.Text(), nullable=True),
        sa.Column("colour", sa.Text(), nullable=True),
        sa.Column("phash", sa.BigInteger(), nullable=True),
        sa.Column("c2pa", sa.Boolean(), nullable=True),
        sa.Column("generator", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("trashed", sa.Double(), nullable=True),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("search_text", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_media_items"),
        sa.CheckConstraint("kind IN ('image', 'audio', 'video')", name="ck_media_items_kind"),
    )
    _create_index("name", ["name"], LIVE, unique=True)
    for name, (columns, where) in INDEXES.items():
        _create_index(name, columns, where)
    if op.get_bind().dialect.name == "sqlite":
        for statement in SQLITE_SEARCH:
            op.execute(statement)
    else:
        _create_trigram_index()


def _create_index(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(
        f"ix_media_items_{name}",
        "media_items",
        columns,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _create_trigram_index() -> None:
    """Search by index where PostgreSQL has pg_trgm and lets us use it; without, a search reads many rows."""
    connection = op.get_bind()
    available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"
    reason = "this PostgreSQL has no pg_trgm: install its contrib package"
    if connection.scalar(sa.text(available)):
        try:
            with connection.begin_nested():
                op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
                op.execute(TRIGRAM_INDEX)
            return
        except sa.exc.ProgrammingError:
            reason = "this user may not create the extension pg_trgm"
    logger.warning(
        "searches work, and large libraries are searched slowly: %s; then run, as an administrator, "
        "CREATE EXTENSION pg_trgm; %s",
        reason,
        TRIGRAM_INDEX,
    )


def _create_stored_files() -> None:
    op.create_table(
        "stored_files",
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("space", "name", name="pk_stored_files"),
    )
    op.create_index("ix_stored_files_key", "stored_files", ["key"])
    op.create_index("ix_stored_files_sha256", "stored_files", ["sha256"])


def _copy() -> None:
    """The rows of the first revision, oldest first, with the numbers and the text that a row has now."""
    connection = op.get_bind()
    types: dict[str, Any] = {"tags": sa.JSON()}
    before = sa.table("media_items_before", sa.column("id"), *(sa.column(name, types.get(name)) for name in COPIED))
    new = ("modified", "negative_prompt", "read", "search_text")
    items = sa.table("media_items", sa.column("id"), *(sa.column(name, types.get(name)) for name in (*COPIED, *new)))
    taken: set[int] = set()
    last = 0
    oldest = sa.select(before).order_by(before.c.id).limit(BATCH)
    while rows := connection.execute(oldest.where(before.c.id > last)).mappings().all():
        last = rows[-1]["id"]
        connection.execute(sa.insert(items), [_row(dict(row), taken) for row in rows])


def _row(row: dict[str, Any], taken: set[int]) -> dict[str, Any]:
    number = _item_id(row["created"], row["name"])
    while number in taken:
        number += 1
    taken.add(number)
    added = {"modified": row["created"], "negative_prompt": "", "read": 0, "search_text": _search_text(row)}
    return row | added | {"id": number}


# As media/item.py and media/search_text.py had it when this revision was written.
_BLANKS = dict.fromkeys(map(ord, "\t\n\v\f\r\x85"), " ")
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF))
_STRIPPED = _CONTROLS | _BLANKS
_HIDDEN = str.maketrans(
    "abcdefghijklmnopqrstuvwxyz/-.+0123456789", "".join(map(chr, (*range(0x80, 0x9E), *range(0x0E, 0x18))))
)


def _item_id(created: float, name: str) -> int:
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    milliseconds = min(max(int(created * 1000), 0), 2**42 - 1)
    return milliseconds << 21 | int.from_bytes(digest[:4], "big") >> 11


def _fold(text: str) -> str:
    return normalize("NFC", normalize("NFC", text.translate(_STRIPPED)).casefold())


def _search_text(row: dict[str, Any]) -> str:
    lines = (_fold((row[name] or "")[:16_384]) for name in ("name", "prompt", "alt", "model"))
    tags = f"\x02{''.join(_fold(tag) + chr(2) for tag in row['tags'])}" if row["tags"] else ""
    media_type = f"\x01{row['media_type'].translate(_HIDDEN)}\x01"
    return "\n".join(dict.fromkeys(filter(None, lines))) + f"\n{tags}{media_type}"
