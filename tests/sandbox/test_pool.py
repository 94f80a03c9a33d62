"""Jobs in child processes: their answers, their limits, and that none harms another."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from mediary.errors import NotFoundError, SandboxError, ShutdownError, TooLargeError, UnreadableError
from mediary.sandbox.pool import MIB, Sandbox
from mediary.sandbox.process import Child
from mediary.sandbox.wire import Job, Limits, pack

HERE = "tests.sandbox.misbehaving:"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    opened = Sandbox(1, memory_bytes=256 * MIB, output_bytes=MIB)
    yield opened
    await opened.close()


async def ended(pid: int) -> None:
    """Wait until a process is gone, whoever's child it is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_reader(descriptor, lambda: gone.done() or gone.set_result(None))
    try:
        await gone
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


@pytest.mark.parametrize("value", [None, 1.5, "текст", b"\0\xff", [1, [2]], {"a": None}, -(2**63), "x" * 500_000])
async def test_a_job_has_a_result(sandbox: Sandbox, value: object):
    assert await sandbox.run(HERE + "echo", value) == value


async def test_a_child_is_kept_for_the_next_job(sandbox: Sandbox):
    assert await sandbox.run(HERE + "process") == await sandbox.run(HERE + "process") != os.getpid()


async def test_jobs_at_once_have_children_of_their_own_and_no_more_than_that():
    sandbox = Sandbox(2)
    results = await asyncio.gather(*(sandbox.run(HERE + "echo", number) for number in range(50)))
    pids = set(await asyncio.gather(*(sandbox.run(HERE + "process") for _ in range(50))))
    await sandbox.close()
    assert results == list(range(50))
    assert len(pids) <= 2


async def test_nothing_runs_before_the_first_job():
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text()
    sandbox = Sandbox()
    assert children.read_text() == before
    await sandbox.close()


async def test_a_child_without_work_ends():
    sandbox = Sandbox(1, idle_seconds=0.0)
    first = await sandbox.run(HERE + "process")
    await ended(first)
    assert await sandbox.run(HERE + "process") != first
    await sandbox.close()


HARMFUL = [
    ("wait", [3600], 0.2, "more than 0.2 s"),
    ("allocate", [2**30], 30, "more than 256 MiB of memory"),
    ("crash", [], 30, "crash (SIGSEGV)"),
    ("leave", [3], 30, "exit code 3"),
    ("kill_itself", [], 30, "killed the program"),
    ("write_frames", [], 30, "makes no sense"),
]


@pytest.mark.parametrize(("function", "arguments", "seconds", "words"), HARMFUL)
async def test_a_child_that_a_job_harmed_is_replaced(
    sandbox: Sandbox, function: str, arguments: list[int], seconds: float, words: str
):
    first = await sandbox.run(HERE + "process")
    with pytest.raises(UnreadableError) as raised:
        await sandbox.run(HERE + function, *arguments, seconds=seconds)
    assert words in raised.value.message
    await ended(first)
    assert await sandbox.run(HERE + "process") != first


HARMLESS = [
    ("unreadable", [], UnreadableError, "these bytes mean nothing"),
    ("missing", [], NotFoundError, "it is gone"),
    ("too_large", [], TooLargeError, "it is huge"),
    ("open_missing", [], NotFoundError, "there is no such file"),
    ("many", [2 * MIB], UnreadableError, "more than 1 MiB"),
    ("surprise", [], UnreadableError, "KeyError"),
    ("recurse", [], UnreadableError, "RecursionError"),
    ("not_msgpack", [], UnreadableError, "TypeError"),
    ("no_such_function", [], UnreadableError, "AttributeError"),
]


@pytest.mark.parametrize(("function", "arguments", "error", "words"), HARMLESS)
async def test_an_error_of_a_job_is_raised_and_its_child_goes_on(
    sandbox: Sandbox, function: str, arguments: list[object], error: type[Exception], words: str
):
    first = await sandbox.run(HERE + "process")
    with pytest.raises(error, match=words) as raised:
        await sandbox.run(HERE + function, *arguments)
    assert type(raised.value) is error
    assert await sandbox.run(HERE + "process") == first


async def test_what_nobody_foresaw_is_logged_and_not_told(sandbox: Sandbox, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR), pytest.raises(UnreadableError) as raised:
        await sandbox.run(HERE + "surprise")
    assert "secret" not in raised.value.message
    assert "KeyError: 'secret'" in caplog.text


async def test_processor_time_has_a_limit_of_its_own():
    child = Child(Limits(256 * MIB, MIB, 0, None))
    await child.start()
    child.begin(pack(Job(HERE + "compute", (), 0.0)), seconds=100)
    with pytest.raises(UnreadableError, match="processor time"):
        await child.answer()
    await child.ended


async def test_what_a_library_prints_is_no_answer(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]):
    assert await sandbox.run(HERE + "chatter") == "answer"
    assert capfd.readouterr() == ("", "")


async def test_a_job_that_is_given_up_leaves_nothing_to_the_next_one(sandbox: Sandbox):
    first = await sandbox.run(HERE + "process")
    given_up = asyncio.create_task(sandbox.run(HERE + "wait", 3600, seconds=3600))
    await asyncio.sleep(0)  # it is on its way to the child
    given_up.cancel()
    assert await sandbox.run(HERE + "echo", "mine") == "mine"
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await ended(first)


async def test_a_start_that_is_given_up_serves_the_next_job(sandbox: Sandbox):
    given_up = asyncio.create_task(sandbox.run(HERE + "echo", "theirs"))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert await sandbox.run(HERE + "echo", "mine") == "mine"


async def test_closing_ends_every_job_and_every_child():
    sandbox = Sandbox(1)
    pid = await sandbox.run(HERE + "process")
    running = asyncio.create_task(sandbox.run(HERE + "wait", 3600, seconds=3600))
    waiting = asyncio.create_task(sandbox.run(HERE + "echo", 1))
    await asyncio.sleep(0)
    await sandbox.close()
    for job in (running, waiting, sandbox.run(HERE + "echo", 2)):
        with pytest.raises(ShutdownError):
            await job
    await ended(pid)
    await sandbox.close()


@pytest.mark.may_block(float("inf"))  # asyncio waits for the process that could not become the program
@pytest.mark.parametrize(("program", "words"), [("/nowhere/python", "can be started"), ("/bin/false", "exit code 1")])
async def test_a_child_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, program: str, words: str):
    monkeypatch.setattr(sys, "executable", program)
    sandbox = Sandbox(1)
    for _ in range(2):
        with pytest.raises(SandboxError, match=words):
            await sandbox.run(HERE + "process")
    monkeypatch.undo()
    assert await sandbox.run(HERE + "echo", 1) == 1
    await sandbox.close()


async def test_a_job_that_cannot_be_sent_is_a_mistake_here(sandbox: Sandbox):
    with pytest.raises(TypeError):
        await sandbox.run(HERE + "echo", object())
    assert await sandbox.run(HERE + "echo", 1) == 1


async def test_it_works_on_the_loop_of_the_server():
    async def scenario() -> list[object]:
        sandbox = Sandbox(2)
        seen = [await sandbox.run(HERE + "echo", b"x" * 300_000) == b"x" * 300_000]
        for function, arguments, seconds, _ in HARMFUL:
            with pytest.raises(UnreadableError):
                await sandbox.run(HERE + function, *arguments, seconds=seconds)
        given_up = asyncio.create_task(sandbox.run(HERE + "wait", 3600))
        await asyncio.sleep(0)
        given_up.cancel()
        seen.append(await sandbox.run(HERE + "echo", "mine"))
        running = asyncio.create_task(sandbox.run(HERE + "wait", 3600))
        await asyncio.sleep(0)
        await sandbox.close()
        with pytest.raises(ShutdownError):
            await running
        return seen

    assert await asyncio.to_thread(uvloop.run, scenario()) == [True, "mine"]


PARENT = f"""
import asyncio
from mediary.sandbox.pool import Sandbox

async def main():
    sandbox = Sandbox(1)
    print(await sandbox.run({HERE + "process"!r}), flush=True)
    await sandbox.run({HERE + "wait"!r}, 3600, seconds=3600)

asyncio.run(main())
"""


async def test_no_child_outlives_its_parent():
    path = os.pathsep.join(filter(None, sys.path))
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": path}
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await ended(child)
