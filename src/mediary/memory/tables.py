"""The tables of memory: users, their items, in how many items each of their words stands, and vectors."""

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, LargeBinary, Table, Text

from mediary.database.bits import Bits
from mediary.database.metadata import CleanJSON, CleanText, Id, Name, metadata

memory_users = Table(
    "memory_users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Name, nullable=False),
    Index("ix_memory_users_name", "name", unique=True),
    sqlite_autoincrement=True,
)

# `digest` is that of user and text, `words` are the words as the index holds them, and `model` is the number of that
# which made the vector, else 0.
memory_items = Table(
    "memory_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("memory_users.id", ondelete="CASCADE"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("role", CleanText, nullable=False),
    Column("conversation_id", CleanText),
    Column("text", CleanText, nullable=False),
    Column("metadata", CleanJSON, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("length", Integer, nullable=False),
    Column("model", BigInteger, nullable=False),
    Column("words", Text, nullable=False),
    Index("ix_memory_items_digest", "digest", unique=True),
    Index("ix_memory_items_newest", "user_id", "id"),
    Index("ix_memory_items_user_conversation", "user_id", "conversation_id"),
    Index("ix_memory_items_model", "model", "id"),
    sqlite_autoincrement=True,
)

# The empty word stands in every item.
memory_words = Table(
    "memory_words",
    metadata,
    Column("user_id", Id, ForeignKey("memory_users.id", ondelete="CASCADE"), primary_key=True),
    Column("word", Name, primary_key=True),
    Column("items", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# A bit for the sign of each number of a vector, of one user and model side by side: all of them are read to find the
# near ones, whose vectors then tell which are the nearest.
memory_signs = Table(
    "memory_signs",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("model", BigInteger, primary_key=True),
    Column("item", Id, ForeignKey("memory_items.id", ondelete="CASCADE"), primary_key=True),
    Column("signs", Bits, nullable=False),
    Index("ix_memory_signs_item", "item"),
    sqlite_with_rowid=False,
)

memory_vectors = Table(
    "memory_vectors",
    metadata,
    Column("item", Id, ForeignKey("memory_items.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("vector", LargeBinary, nullable=False),
)
