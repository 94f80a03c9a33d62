"""What clients say is kept beside what was measured."""

from datetime import UTC, datetime

from sqlalchemy import update

from mediary.database.engine import Database
from mediary.usage.ledger import Ledger
from mediary.usage.reports import Reports
from mediary.usage.tables import client_reports

TODAY = datetime.now(UTC).date()


async def test_reports_are_read_as_they_came_and_in_pages(database: Database):
    reports = Reports(database, 10)
    for number in range(5):
        await reports.add("usage", {"number": number, "odd\0": [float("nan"), "\ud800"]}, "ann" if number else None)
    await reports.add("log", {"what": "else"}, None)
    numbers, after = [], 0
    while after is not None:
        page = await reports.list("usage", TODAY, after, 2)
        numbers.append([report.report["number"] for report in page.reports])
        after = page.next
    assert numbers == [[0, 1], [2, 3], [4]]
    [first, second] = (await reports.list("usage", TODAY, limit=2)).reports
    assert (first.user_label, second.user_label, first.report["odd"]) == (None, "ann", [None, "?"])
    assert [report.report for report in (await reports.list("log", TODAY)).reports] == [{"what": "else"}]
    assert (await Ledger(database).statistics(1)).totals.sums["requests"] == 0


async def test_old_ones_and_too_many_go(database: Database):
    reports = Reports(database, 10)
    for number in range(6):
        await reports.add("log", {"number": number}, None)
    async with database.begin() as connection:
        await connection.execute(update(client_reports).where(client_reports.c.id <= 2).values(created=0.0))
    assert await reports.sweep() == 2
    assert await Reports(database, 10, most=3).sweep() == 1
    assert [report.report["number"] for report in (await reports.list("log", TODAY)).reports] == [3, 4, 5]


async def test_nothing_is_kept_where_no_records_are(database: Database):
    reports = Reports(database, 0)
    await reports.add("usage", {"a": 1}, None)
    assert (await reports.list("usage", TODAY)).reports == ()
