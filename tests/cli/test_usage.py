"""`mediary usage`: what turns used, as a table, as lines and as JSON."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.commands import on_a_terminal
from tests.servers.mediary import clean_environment

from mediary.database.engine import Database
from mediary.usage.ledger import Ledger, UsageRecord


def usage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediary", "usage", *arguments]
    return subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    async def fill() -> None:
        database = await Database.open(tmp_path / "mediary.db")
        known = {"created": time.time(), "provider": "OpenAI", "outcome": "finished", "user_label": "ann"}
        times = {"duration_ms": 10.0, "first_token_ms": 5.0}
        await Ledger(database).record(
            UsageRecord(
                turn="1", model="gpt-5", prompt_tokens=1200, completion_tokens=30, cost=1_800_000, **times, **known
            ),
            UsageRecord(turn="2", model="gpt-5", duration_ms=30.0, **known),
            UsageRecord(turn="3", model="\x1b[31mred\nx\t1", pictures=2, **known | {"user_label": None}),
        )
        await database.close()

    (tmp_path / "generated_media").mkdir()
    asyncio.run(fill())
    return tmp_path


def test_through_a_pipe_it_is_lines(folder: Path) -> None:
    done = usage(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "gpt-5\t2\t1,200\t30\t0\t0.0018\n[31mred x 1\t1\t0\t0\t2\tunknown\n"
    assert done.stderr == "the cost of 2 of 3 turns is not known\n"


def test_json_is_an_object_a_line(folder: Path) -> None:
    [line] = usage(folder, "--by", "user", "--user", "ann", "--json").stdout.splitlines()
    told = json.loads(line)
    assert (told["user"], told["requests"], told["cost"], told["priced_requests"]) == ("ann", 2, 0.0018, 1)
    assert (told["duration_ms"], told["first_token_ms"]) == (20.0, 5.0)  # means, as over HTTP
    [line] = usage(folder, "--by", "user", "--user", "", "--json").stdout.splitlines()
    assert (json.loads(line)["cost"], json.loads(line)["priced_requests"]) == (None, 0)
    [day] = usage(folder, "--by", "day", "--days", "3", "--json").stdout.splitlines()
    assert json.loads(day)["requests"] == 3


def test_on_a_terminal_it_is_a_table_that_nobody_steers(folder: Path) -> None:
    shown = on_a_terminal(folder, "usage").decode()
    assert "model" in shown and "cost, $" in shown and "0.0018" in shown
    assert "\x1b[31mred" not in shown
    assert "[31mred" in shown


def test_a_mistyped_folder_is_an_error(tmp_path: Path) -> None:
    done = usage(tmp_path)
    assert done.returncode == 1
    assert "there is no media library" in done.stderr
