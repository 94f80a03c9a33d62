"""What older versions recorded: it is summed up by the day when the database is opened."""

from datetime import UTC, date, datetime

from alembic import command
from sqlalchemy import Connection, text

from mediary.database.engine import Database, _parse
from mediary.database.migrations import config
from mediary.usage.ledger import Ledger, UsageRecord

OLD = text(
    """
    INSERT INTO usage_records (turn, created, provider, model, user_label, kind, outcome, prompt_tokens,
        completion_tokens, total_tokens, usage, characters, media, first_token_ms, duration_ms)
    VALUES (:turn, :created, 'OpenAI', :model, :user, 'chat', :outcome, :tokens, 4, :tokens, '{}', 12, 1, :first, 99.0)
    """
)
NIGHT = datetime(2026, 3, 29, 23, 59, 59, 900_000, tzinfo=UTC).timestamp()


async def test_older_records_are_summed_up_by_the_day(database_url: str):
    def row(turn: str, **more: object) -> dict[str, object]:
        known = {"created": NIGHT, "model": "m", "user": "ann", "outcome": "finished", "tokens": 3, "first": 1.5}
        return {"turn": turn, **known, **more}

    rows = [
        row("1"),
        row("2", outcome="failed", tokens=None, first=None),
        row("3", user=None, model="m" * 5000, outcome="cancelled"),
        row("4", created=NIGHT + 0.2, tokens=2**63 - 1),
        row("1"),
    ]

    def old(connection: Connection) -> None:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0005")
        connection.execute(OLD, rows)

    await Database(_parse(database_url))._upgrade(old)
    opened = await Database.open(database_url)
    try:
        async with opened.connect() as connection:
            sums = (await connection.execute(text("SELECT * FROM usage_days ORDER BY day, model"))).mappings().all()
            for table in ("usage_model_days", "usage_user_days"):
                assert await connection.scalar(text(f"SELECT sum(requests) FROM {table}")) == 4
        told = [
            {name: day[name] for name in ("model", "user_label", "requests", "failed", "total_tokens", "answered")}
            for day in sums
        ]
        assert told == [
            {"model": "m", "user_label": "ann", "requests": 2, "failed": 1, "total_tokens": 3, "answered": 1},
            {"model": "m" * 200, "user_label": "", "requests": 1, "failed": 0, "total_tokens": 3, "answered": 1},
            {"model": "m", "user_label": "ann", "requests": 1, "failed": 0, "total_tokens": 10**12, "answered": 1},
        ]
        ledger = Ledger(opened)
        more = UsageRecord(turn="5", created=NIGHT, provider="OpenAI", model="m", outcome="interrupted")
        assert await ledger.record(
            more, UsageRecord(turn="1", created=NIGHT, provider="p", model="m", outcome="failed")
        )
        assert [record.turn for record in (await ledger.list(date(2026, 3, 29))).records] == ["1", "2", "3", "5"]
    finally:
        await opened.close()
