"""The tables of shared chats: the chats, and the media items that each of them shows."""

from sqlalchemy import BigInteger, Column, Double, ForeignKey, LargeBinary, Table

from mediary.database.metadata import Name, metadata

shares = Table(
    "shares",
    metadata,
    Column("id", Name, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("updated", Double),
    Column("revision", BigInteger, nullable=False),
    Column("token", LargeBinary, nullable=False),
    Column("owner", LargeBinary),
    Column("created", Double, nullable=False),
)

share_media = Table(
    "share_media",
    metadata,
    Column("share", Name, ForeignKey("shares.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Name, primary_key=True, index=True),
)
