"""Streaming jobs: value by value, at the reader's pace, within limits, and none harms another."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import uvloop
from tests.sandbox.test_pool import ended

from mediary.errors import NotFoundError, ShutdownError, UnreadableError
from mediary.sandbox.pool import MIB, Sandbox
from mediary.sandbox.process import Child
from mediary.sandbox.wire import Job, Limits, pack

HERE = "tests.sandbox.misbehaving:"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    opened = Sandbox(1, memory_bytes=256 * MIB, output_bytes=MIB)
    yield opened
    await opened.close()


async def read_into(found: list[Any], values: AsyncGenerator[Any, None]) -> None:
    """All values, those also that come before an error."""
    async with aclosing(values):
        async for value in values:
            found.append(value)  # noqa: PERF401


async def gather(sandbox: Sandbox, function: str, *arguments: Any, **options: Any) -> list[Any]:
    found: list[Any] = []
    await read_into(found, sandbox.stream(HERE + function, *arguments, **options))
    return found


@pytest.mark.parametrize("most", [0, 1, 2, 1000])
async def test_values_come_in_order_and_the_child_is_kept(sandbox: Sandbox, most: int):
    first = await sandbox.run(HERE + "process")
    assert await gather(sandbox, "count", most) == list(range(most))
    assert await sandbox.run(HERE + "process") == first


async def test_a_struct_is_told_from_a_text(sandbox: Sandbox):
    assert await gather(sandbox, "points") == ["text", {"x": 1}, {}, b"bytes"]


async def test_large_values_are_whole(sandbox: Sandbox):
    found = await gather(sandbox, "pages", 900_000, 20)
    assert found == [bytes([number]) * 900_000 for number in range(20)]


async def test_the_child_is_one_value_ahead_and_waits(sandbox: Sandbox):
    taken = 0
    async with aclosing(sandbox.stream(HERE + "forever")) as values:
        async for value in values:
            taken += len(value)
            if taken >= 30 * MIB:
                break
    assert await sandbox.run(HERE + "echo", 1) == 1


async def test_a_slow_reader_costs_the_child_none_of_its_time(sandbox: Sandbox):
    await sandbox.run(HERE + "echo", 1)  # what it takes to start is not meant
    found: list[Any] = []
    async with aclosing(sandbox.stream(HERE + "count", 3, seconds=1.0)) as values:
        async for value in values:
            found.append(value)
            await asyncio.sleep(0.5)
    assert found == [0, 1, 2]


async def test_the_work_between_values_adds_up(sandbox: Sandbox):
    await sandbox.run(HERE + "echo", 1)
    found: list[Any] = []
    with pytest.raises(UnreadableError, match=r"more than 0.6 s"):
        await read_into(found, sandbox.stream(HERE + "compute_between", 1000, 0.05, seconds=0.6))
    assert 0 < len(found) <= 12


async def test_processor_time_counts_for_the_whole_job():
    child = Child(Limits(256 * MIB, MIB, 0, None))
    await child.start()
    child.begin(pack(Job(HERE + "compute_between", (1000, 0.05), 0.0, streaming=True)), seconds=100)
    with pytest.raises(UnreadableError, match="processor time"):
        await _exhaust(child)
    await child.ended


async def _exhaust(child: Child) -> None:
    while (await child.answer()).more:
        child.go_on()


HARMFUL = [
    ("wait", [3600], 0.3, "more than 0.3 s"),
    ("allocate", [2**30], 30, "more than 256 MiB of memory"),
    ("crash", [], 30, "crash (SIGSEGV)"),
    ("leave", [3], 30, "exit code 3"),
    ("kill_itself", [], 30, "killed the program"),
    ("write_frames", [], 30, "makes no sense"),
]


@pytest.mark.parametrize(("what", "arguments", "seconds", "words"), HARMFUL)
async def test_a_child_that_fails_midway_is_replaced(
    sandbox: Sandbox, what: str, arguments: list[int], seconds: float, words: str
):
    first = await sandbox.run(HERE + "process")
    found: list[Any] = []
    with pytest.raises(UnreadableError) as raised:
        await read_into(found, sandbox.stream(HERE + "begin_and", what, *arguments, seconds=seconds))
    assert found == ["begun"]
    assert words in raised.value.message
    await ended(first)
    assert await gather(sandbox, "count", 2) == [0, 1]


HARMLESS = [
    ("unreadable", [], UnreadableError, "these bytes mean nothing"),
    ("missing", [], NotFoundError, "it is gone"),
    ("many", [2 * MIB], UnreadableError, "more than 1 MiB"),
    ("surprise", [], UnreadableError, "KeyError"),
    ("not_msgpack", [], UnreadableError, "TypeError"),
]


@pytest.mark.parametrize(("what", "arguments", "error", "words"), HARMLESS)
async def test_an_error_midway_is_raised_and_the_child_goes_on(
    sandbox: Sandbox, what: str, arguments: list[int], error: type[Exception], words: str
):
    first = await sandbox.run(HERE + "process")
    found: list[Any] = []
    with pytest.raises(error, match=words) as raised:
        await read_into(found, sandbox.stream(HERE + "begin_and", what, *arguments))
    assert type(raised.value) is error
    assert found == ["begun"]
    assert await sandbox.run(HERE + "process") == first


async def test_a_generator_that_says_too_much_and_then_fails_to_close(sandbox: Sandbox):
    with pytest.raises(UnreadableError, match="more than 1 MiB"):
        await gather(sandbox, "hard_to_close")
    assert await gather(sandbox, "count", 1) == [0]


async def test_answers_that_nobody_asked_for_end_it(sandbox: Sandbox):
    with pytest.raises(UnreadableError, match="makes no sense"):
        await gather(sandbox, "speak_out_of_turn")
    assert await gather(sandbox, "count", 1) == [0]


async def test_a_stream_that_is_closed_takes_its_child_along(sandbox: Sandbox):
    async with aclosing(sandbox.stream(HERE + "pid_and_wait", 3600, seconds=3600)) as values:
        pid = await anext(values)
    await ended(pid)
    assert await sandbox.run(HERE + "process") != pid


async def test_a_stream_that_is_cancelled_takes_its_child_along(sandbox: Sandbox):
    pids: asyncio.Queue[int] = asyncio.Queue()

    async def read() -> None:
        async with aclosing(sandbox.stream(HERE + "pid_and_wait", 3600, seconds=3600)) as values:
            async for value in values:
                pids.put_nowait(value)

    reading = asyncio.create_task(read())
    pid = await pids.get()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await ended(pid)
    assert await gather(sandbox, "count", 1) == [0]


async def test_a_pool_that_closes_ends_streams(sandbox: Sandbox):
    values = sandbox.stream(HERE + "forever")
    await anext(values)
    await sandbox.close()
    with pytest.raises(ShutdownError):
        async for _ in values:
            pass


async def test_streams_take_turns():
    sandbox = Sandbox(2)
    found = await asyncio.gather(*(gather(sandbox, "count", number) for number in range(20)))
    await sandbox.close()
    assert found == [list(range(number)) for number in range(20)]


async def test_it_works_on_the_loop_of_the_server():
    async def scenario() -> list[Any]:
        sandbox = Sandbox(1, memory_bytes=256 * MIB, output_bytes=MIB)
        seen: list[Any] = [len(b"".join(await gather(sandbox, "pages", 900_000, 5)))]
        for what, arguments, seconds, words in HARMFUL:
            with pytest.raises(UnreadableError) as raised:
                await gather(sandbox, "begin_and", what, *arguments, seconds=seconds)
            seen.append(words in raised.value.message)
        async with aclosing(sandbox.stream(HERE + "pid_and_wait", 3600)) as values:
            pid = await anext(values)
        await ended(pid)
        seen.append(await gather(sandbox, "count", 2))
        await sandbox.close()
        return seen

    assert await asyncio.to_thread(uvloop.run, scenario()) == [4_500_000, *[True] * len(HARMFUL), [0, 1]]


async def test_no_descriptor_stays_behind():
    async def descriptors() -> int:
        sandbox = Sandbox(1)
        assert await gather(sandbox, "count", 1) == [0]
        await sandbox.close()
        await asyncio.sleep(0)
        return len(list(Path("/proc/self/fd").iterdir()))

    before = await descriptors()
    assert await descriptors() == before
