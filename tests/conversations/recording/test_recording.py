"""Turns are written to the ledger, also when the database was away for a while."""

import asyncio
import logging

import pytest
from tests.servers.databases import database, database_url

from mediary.conversations.recording.recorder import Measured, Recorder
from mediary.database.engine import Database
from mediary.errors import DatabaseError
from mediary.usage.ledger import Ledger

__all__ = ["database", "database_url"]


class Opening:
    """Opens the ledger, but for the first times."""

    def __init__(self, database: Database, failures: int) -> None:
        self.ledger = Ledger(database)
        self.failures = failures
        self.failed = asyncio.Event()

    async def __call__(self) -> Ledger:
        if self.failures:
            self.failures -= 1
            self.failed.set()
            raise DatabaseError("the database is away")
        return self.ledger


def end(recorder: Recorder, turn: str) -> None:
    recorder.record(Measured(turn, None, recorder.begin("P", "m")))


async def test_turns_wait_for_a_database_that_is_away(database: Database, caplog: pytest.LogCaptureFixture):
    opening = Opening(database, 3)
    recorder = Recorder(opening, first_wait=0.0)
    end(recorder, "1")
    await opening.failed.wait()
    end(recorder, "2")
    while (await opening.ledger.statistics(1)).totals.sums["requests"] < 2:
        pass
    assert "is not recorded yet" in caplog.text


async def test_a_server_that_stops_tries_once_more_and_names_what_is_lost(
    database: Database, caplog: pytest.LogCaptureFixture
):
    for failures, written in ((1, 1), (99, 0)):
        opening = Opening(database, failures)
        recorder = Recorder(opening, first_wait=3600.0)
        end(recorder, f"turn {failures}")
        await opening.failed.wait()
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            await recorder.close()
        lost = [record.turns for record in caplog.records if record.message == "the use of turns is not recorded"]
        assert lost == ([] if written else [["turn 99"]])
    assert (await Ledger(database).statistics(1)).totals.sums["requests"] == 1
