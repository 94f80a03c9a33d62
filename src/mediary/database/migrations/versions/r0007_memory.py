"""Memory: what people asked to keep, the index that it is searched by, and vectors."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class BitVarying(UserDefinedType[bytes]):
    """PostgreSQL's type of bits."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return "BIT VARYING"


BITS = sa.LargeBinary().with_variant(BitVarying(), "postgresql")

# Words come folded and parted by blanks: whatever is no ASCII character belongs to one.
SQLITE_SEARCH = (
    """
    CREATE VIRTUAL TABLE memory_search USING fts5(
        words, content='memory_items', content_rowid='id', columnsize=0, detail=none, tokenize="ascii tokenchars '_'"
    )
    """,
    """
    CREATE TRIGGER memory_items_insert AFTER INSERT ON memory_items
    BEGIN
        INSERT INTO memory_search (rowid, words) VALUES (new.id, new.words);
    END
    """,
    """
    CREATE TRIGGER memory_items_delete AFTER DELETE ON memory_items
    BEGIN
        INSERT INTO memory_search (memory_search, rowid, words) VALUES ('delete', old.id, old.words);
    END
    """,
)
# Without the list of what is pending, which every search would have to read.
POSTGRESQL_SEARCH = """
    CREATE INDEX ix_memory_items_words ON memory_items USING gin (string_to_array(words, ' ')) WITH (fastupdate = off)
"""


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "memory_users",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_memory_users"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_memory_users_name", "memory_users", ["name"], unique=True)
    _create_items()
    op.create_table(
        "memory_words",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("word", NAME, nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        _reference("memory_words", "user_id", "memory_users"),
        sa.PrimaryKeyConstraint("user_id", "word", name="pk_memory_words"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "memory_signs",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("model", sa.BigInteger(), nullable=False),
        sa.Column("item", ID, nullable=False),
        sa.Column("signs", BITS, nullable=False),
        _reference("memory_signs", "item", "memory_items"),
        sa.PrimaryKeyConstraint("user_id", "model", "item", name="pk_memory_signs"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_memory_signs_item", "memory_signs", ["item"])
    op.create_table(
        "memory_vectors",
        sa.Column("item", ID, nullable=False, autoincrement=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        _reference("memory_vectors", "item", "memory_items"),
        sa.PrimaryKeyConstraint("item", name="pk_memory_vectors"),
    )


def _create_items() -> None:
    op.create_table(
        "memory_items",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("model", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        _reference("memory_items", "user_id", "memory_users"),
        sa.PrimaryKeyConstraint("id", name="pk_memory_items"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_memory_items_digest", "memory_items", ["digest"], unique=True)
    op.create_index("ix_memory_items_newest", "memory_items", ["user_id", "id"])
    op.create_index("ix_memory_items_user_conversation", "memory_items", ["user_id", "conversation_id"])
    op.create_index("ix_memory_items_model", "memory_items", ["model", "id"])
    if op.get_bind().dialect.name == "sqlite":
        for statement in SQLITE_SEARCH:
            op.execute(statement)
    else:
        op.execute(POSTGRESQL_SEARCH)


def _reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    """The column names a row of another table, with which its own goes."""
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}", ondelete="CASCADE")
