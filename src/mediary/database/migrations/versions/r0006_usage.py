"""What usage has beside tokens; what clients say; the sums of each day, of what is recorded already, too."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

COUNTS = (
    *("requests", "finished", "failed", "cancelled", "interrupted"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "saved_tokens", "reasoning_tokens"),
    *("characters", "media", "pictures", "media_bytes", "cost", "priced", "answered"),
)
AMOUNTS = ("media_seconds", "first_token_ms", "duration_ms")

DAYS = {
    "sqlite": "date(created, 'unixepoch')",
    "postgresql": "cast(to_timestamp(created) AT TIME ZONE 'UTC' AS date)",
}
# The three tables of sums, and where their keys come from.
TABLES = {
    "usage_days": ("provider", "model", "user_label"),
    "usage_model_days": ("provider", "model"),
    "usage_user_days": ("user_label",),
}
KEYS = {
    "provider": "provider",
    "model": "substr(model, 1, 200)",
    "user_label": "substr(coalesce(user_label, ''), 1, 200)",
}
MOST = 10**12


def _told(name: str) -> str:
    """Some services tell nonsense, and a sum must fit into 64 bits."""
    return f"sum(CASE WHEN {name} > {MOST} THEN {MOST} ELSE coalesce({name}, 0) END)"


def _ended(outcome: str) -> str:
    return f"sum(CASE outcome WHEN '{outcome}' THEN 1 ELSE 0 END)"


# What is recorded already says nothing of the rest.
SUMS = dict.fromkeys((*COUNTS, *AMOUNTS), "0") | {
    "requests": "count(*)",
    **{outcome: _ended(outcome) for outcome in ("finished", "failed", "cancelled")},
    **{name: _told(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens", "characters", "media")},
    "answered": "count(first_token_ms)",
    "first_token_ms": "coalesce(sum(first_token_ms), 0)",
    "duration_ms": "coalesce(sum(duration_ms), 0)",
}


def upgrade() -> None:
    """Extend the records, make the other tables, and sum up."""
    _extend_records()
    for name, keys in TABLES.items():
        op.create_table(
            name,
            sa.Column("day", sa.Date(), nullable=False),
            *(sa.Column(key, NAME, nullable=False) for key in keys),
            *(sa.Column(count, sa.BigInteger(), nullable=False) for count in COUNTS),
            *(sa.Column(amount, sa.Double(), nullable=False) for amount in AMOUNTS),
            sa.PrimaryKeyConstraint("day", *keys, name=f"pk_{name}"),
            sqlite_with_rowid=False,
        )
        _sum_up(name, keys)
    op.create_index("ix_usage_days_user_label_day", "usage_days", ["user_label", "day"])
    op.create_table(
        "client_reports",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("user_label", sa.Text(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_client_reports"),
        sa.CheckConstraint("kind IN ('usage', 'log')", name="ck_client_reports_kind"),
    )
    op.create_index("ix_client_reports_kind_created", "client_reports", ["kind", "created"])


def _extend_records() -> None:
    op.execute("DELETE FROM usage_records WHERE id NOT IN (SELECT min(id) FROM usage_records GROUP BY turn)")
    with op.batch_alter_table("usage_records") as table:
        for name in ("saved_tokens", "reasoning_tokens", "media_bytes", "cost"):
            table.add_column(sa.Column(name, sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("pictures", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("media_seconds", sa.Double(), nullable=True))
        table.add_column(sa.Column("priced", sa.Date(), nullable=True))
        table.drop_constraint(op.f("ck_usage_records_outcome"), type_="check")
        table.create_check_constraint(
            op.f("ck_usage_records_outcome"), "outcome IN ('finished', 'failed', 'cancelled', 'interrupted')"
        )
        table.create_unique_constraint(op.f("uq_usage_records_turn"), ["turn"])


def _sum_up(table: str, keys: tuple[str, ...]) -> None:
    """Fill a table of sums with what is recorded already."""
    grouped = (DAYS[op.get_bind().dialect.name], *(KEYS[key] for key in keys))
    columns, values = ", ".join(("day", *keys, *SUMS)), ", ".join((*grouped, *SUMS.values()))
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM usage_records GROUP BY {', '.join(grouped)}")  # noqa: S608 - of constants
