"""The tables of runs: which there are, and their events in chunks."""

from sqlalchemy import Boolean, CheckConstraint, Column, Double, ForeignKey, Index, Integer, LargeBinary, Table

from mediary.database.metadata import CleanText, Name, metadata

runs = Table(
    "runs",
    metadata,
    Column("id", Name, primary_key=True),
    Column("state", CleanText, nullable=False),
    Column("provider", CleanText, nullable=False),
    Column("model", CleanText, nullable=False),
    Column("user_label", CleanText),
    Column("created", Double, nullable=False),
    Column("ended", Double),
    Column("events", Integer, nullable=False),
    # Whose run it is, and when that process was last heard of, by the database's clock.
    Column("owner", CleanText, nullable=False),
    Column("seen", Double, nullable=False),
    # Somebody asked another process to end it.
    Column("unwanted", Boolean, nullable=False),
    CheckConstraint("state IN ('running', 'finished', 'failed', 'cancelled', 'interrupted')", name="state"),
    Index("ix_runs_created", "created", "id"),
    Index("ix_runs_state", "state", "owner"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("run", Name, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
