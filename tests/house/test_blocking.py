"""The watch over event loops sees what it should, and only that."""

import asyncio
import os
import time
import types

import pytest
from tests import blocking


def as_mediary(source: str, **names: object) -> types.FunctionType:
    """A function that looks like one of Mediary's own."""
    space = {"__name__": "mediary.example", **names}
    exec(compile(source, "example.py", "exec"), space)
    return space["run"]


@pytest.fixture
def found():
    """What was found, taken away so that the test that provokes it does not fail for it."""
    yield blocking.found
    blocking.found.clear()


def take(found: list[blocking.Block]) -> list[str]:
    blocks = [block.what for block in found]
    found.clear()
    return blocks


async def test_work_on_the_loop_is_found(found):
    async def work():
        end = time.thread_time() + blocking.LIMIT * 1.2
        while time.thread_time() < end:
            pass

    await asyncio.create_task(work(), name="the-busy-one")
    blocks = take(found)
    assert len(blocks) == 1
    assert "the-busy-one" in blocks[0]
    assert "work" in blocks[0]


async def test_the_same_work_in_a_thread_is_not(found):
    def work():
        end = time.thread_time() + blocking.LIMIT * 1.2
        while time.thread_time() < end:
            pass

    await asyncio.to_thread(work)
    assert take(found) == []


async def test_waiting_on_the_loop_is_found(found, tmp_path):
    run = as_mediary("def run(file):\n    time.sleep(0)\n    os.fsync(file)\n", time=time, os=os)
    with (tmp_path / "file").open("wb") as file:
        run(file.fileno())
    assert take(found) == [f"{name}() called from example.py:{line}" for name, line in (("sleep", 2), ("fsync", 3))]


async def test_waiting_in_a_thread_is_not(found):
    run = as_mediary("def run():\n    time.sleep(0)\n", time=time)
    await asyncio.to_thread(run)
    assert take(found) == []


async def test_what_the_test_itself_waits_for_is_not(found):
    time.sleep(0)  # noqa: ASYNC251
    assert take(found) == []
