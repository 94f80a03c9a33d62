"""The tables of uploads: what lies where, who is sending what, and the digests of files."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, Table

from mediary.database.metadata import CleanText, Name, metadata

uploads = Table(
    "uploads",
    metadata,
    Column("id", Name, primary_key=True),
    Column("key", CleanText, nullable=False),
    Column("provider", CleanText, nullable=False),
    Column("flow", CleanText, nullable=False),
    Column("account", CleanText, nullable=False),
    Column("file", CleanText, nullable=False),
    Column("reusable", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Index("ix_uploads_key", "key"),
    Index("ix_uploads_provider", "provider", "id"),
    Index("ix_uploads_expires", "expires"),
)

upload_claims = Table(
    "upload_claims",
    metadata,
    Column("key", CleanText, primary_key=True),
    Column("owner", CleanText, nullable=False),
    Column("lease", Double, nullable=False),
    Column("provider", CleanText, nullable=False),
    Column("flow", CleanText, nullable=False),
    Column("account", CleanText, nullable=False),
    Column("name", CleanText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("ticket", LargeBinary),
    Column("begun", Double),
)

file_digests = Table(
    "file_digests",
    metadata,
    Column("place", CleanText, primary_key=True),
    Column("mark", CleanText, nullable=False),
    Column("md5", CleanText, nullable=False),
    Column("sha256", CleanText, nullable=False),
    Column("media_type", CleanText),
    Column("width", Integer),
    Column("height", Integer),
    Column("noted", Double, nullable=False, index=True),
)
