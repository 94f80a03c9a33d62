"""The tables of usage: the records of turns, the sums of each day, and what clients say."""

from sqlalchemy import CheckConstraint, Column, Date, Double, Index, Table

from mediary.database.metadata import CleanJSON, CleanText, Count, Id, Name, metadata

usage_records = Table(
    "usage_records",
    metadata,
    Column("id", Id, primary_key=True),
    Column("turn", CleanText, nullable=False, unique=True),
    Column("created", Double, nullable=False, index=True),
    Column("provider", CleanText, nullable=False),
    Column("model", CleanText, nullable=False),
    Column("user_label", CleanText),
    Column("kind", CleanText, nullable=False),
    Column("outcome", CleanText, nullable=False),
    Column("error", CleanText),
    Column("prompt_tokens", Count),
    Column("completion_tokens", Count),
    Column("total_tokens", Count),
    Column("saved_tokens", Count),
    Column("reasoning_tokens", Count),
    Column("usage", CleanJSON, nullable=False),
    Column("characters", Count, nullable=False),
    Column("media", Count, nullable=False),
    Column("pictures", Count, nullable=False, server_default="0"),
    Column("media_seconds", Double),
    Column("media_bytes", Count),
    Column("cost", Count),
    Column("priced", Date),
    Column("first_token_ms", Double),
    Column("duration_ms", Double),
    CheckConstraint("outcome IN ('finished', 'failed', 'cancelled', 'interrupted')", name="outcome"),
)

COUNTS = (
    *("requests", "finished", "failed", "cancelled", "interrupted"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "saved_tokens", "reasoning_tokens"),
    *("characters", "media", "pictures", "media_bytes", "cost", "priced", "answered"),
)
AMOUNTS = ("media_seconds", "first_token_ms", "duration_ms")
SUMS = (*COUNTS, *AMOUNTS)
"""`cost` is of the turns whose cost is known, `priced` counts them; `answered` those with a `first_token_ms`."""


def _sums(name: str, keys: tuple[str, ...], *indexes: Index) -> Table:
    """A table with a row of sums for each day of UTC and `keys`."""
    return Table(
        name,
        metadata,
        Column("day", Date, primary_key=True),
        *(Column(key, Name, primary_key=True) for key in keys),
        *(Column(count, Count, nullable=False) for count in COUNTS),
        *(Column(amount, Double, nullable=False) for amount in AMOUNTS),
        *indexes,
        sqlite_with_rowid=False,  # read by the day, in half the time
    )


usage_days = _sums("usage_days", ("provider", "model", "user_label"), Index(None, "user_label", "day"))
"""The sums for each provider, model and user label, which is empty for who had none."""
model_days = _sums("usage_model_days", ("provider", "model"))
user_days = _sums("usage_user_days", ("user_label",))
"""The same summed up further: a question about all must not read a row for each user and model."""

client_reports = Table(
    "client_reports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", CleanText, nullable=False),
    Column("created", Double, nullable=False),
    Column("user_label", CleanText),
    Column("report", CleanJSON, nullable=False),
    CheckConstraint("kind IN ('usage', 'log')", name="kind"),
    Index(None, "kind", "created"),
)
