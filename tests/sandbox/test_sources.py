"""A job about a file: it gets that file, open, and nothing else."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
import uvloop
from tests.sandbox.test_pool import ended

from mediary.errors import NotFoundError, SandboxError, UnreadableError
from mediary.sandbox.pool import Sandbox

HERE = "tests.sandbox.misbehaving:"
ATTEMPT = HERE + "attempt"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """One that may read nothing but the tests' own modules."""
    opened = Sandbox(1, readable=[Path(__file__).parents[2]])
    yield opened
    await opened.close()


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\n")
    (tmp_path / "b.txt").write_bytes(b"secret")
    return path


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_the_function_reads_the_file(sandbox: Sandbox, document: Path):
    assert await sandbox.run(HERE + "read_source", 1, "x", source=document) == [b"one\ntwo\n", 1, "x"]
    async with aclosing(sandbox.stream(HERE + "read_lines", source=document)) as lines:
        assert [line async for line in lines] == [b"one\n", b"two\n"]


async def test_it_reads_no_other_file(sandbox: Sandbox, document: Path):
    await sandbox.run(HERE + "read_source", source=document)
    for path in (document, document.with_name("b.txt"), Path("/etc/passwd"), document.parent / ".." / "x"):
        assert await sandbox.run(ATTEMPT, "read", str(path)) in ("PermissionError", "FileNotFoundError")


WAYS = [
    "write",
    "truncate",
    "change mode",
    "change owner",
    "change times",
    "set attribute",
    "open again",
    "look beside",
]


@pytest.mark.parametrize("what", WAYS)
async def test_it_does_nothing_but_read(sandbox: Sandbox, document: Path, what: str):
    before = document.stat()
    assert await sandbox.run(HERE + "abuse_source", what, source=document) in ("PermissionError", "OSError")
    after = document.stat()
    assert document.read_bytes() == b"one\ntwo\n"
    assert (before.st_mode, before.st_mtime, before.st_uid) == (after.st_mode, after.st_mtime, after.st_uid)


@pytest.mark.parametrize("what", ["change mode", "change times"])
async def test_it_changes_no_other_file_either(sandbox: Sandbox, document: Path, what: str):
    before = document.stat()
    assert await sandbox.run(ATTEMPT, what, str(document)) == "PermissionError"
    assert document.stat().st_mode == before.st_mode


@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"])
async def test_it_makes_no_socket(sandbox: Sandbox, family: str):
    assert await sandbox.run(ATTEMPT, "socket", family) == "PermissionError"


async def test_it_receives_on_the_one_socket_alone(sandbox: Sandbox):
    assert await sandbox.run(ATTEMPT, "receive") == "PermissionError"


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "fifo", "folder of none"])
async def test_what_is_no_plain_file_is_not_found(sandbox: Sandbox, tmp_path: Path, document: Path, kind: str):
    path = tmp_path / "x"
    match kind:
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(document)
        case "fifo":
            os.mkfifo(path)
        case "folder of none":
            path = document / "x"
    first = await sandbox.run(HERE + "process")
    for _ in range(2):
        with pytest.raises(NotFoundError):
            await sandbox.run(HERE + "read_source", source=path)
    with pytest.raises(NotFoundError):
        await anext(sandbox.stream(HERE + "read_lines", source=path))
    assert await sandbox.run(HERE + "process") == first


async def test_the_file_is_closed_behind_the_job(sandbox: Sandbox, document: Path):
    first = await sandbox.run(HERE + "process")
    assert await sandbox.run(HERE + "keep_source", source=document) == b"o"
    assert await sandbox.run(HERE + "read_kept", source=document) == "seek of closed file 8"
    assert await sandbox.run(HERE + "process") == first


async def test_a_child_that_keeps_the_file_does_no_other_job(sandbox: Sandbox, document: Path):
    first = await sandbox.run(HERE + "process")
    assert await sandbox.run(HERE + "duplicate_source", source=document) > 2
    await ended(first)
    second = await sandbox.run(HERE + "process")
    with pytest.raises(UnreadableError, match=r"\d+"):
        await sandbox.run(HERE + "duplicate_and_fail", source=document)
    await ended(second)
    assert await sandbox.run(HERE + "read_source", source=document) == [b"one\ntwo\n"]


async def test_many_files_one_after_the_other(sandbox: Sandbox, tmp_path: Path):
    for number in range(100):
        (tmp_path / str(number)).write_bytes(b"%d" % number)
    before = None
    for number in range(100):
        assert await sandbox.run(HERE + "read_source", source=tmp_path / str(number)) == [b"%d" % number]
        before = before or descriptors()
    assert descriptors() == before


async def test_a_job_that_is_given_up_leaves_its_file_to_nobody(sandbox: Sandbox, tmp_path: Path, document: Path):
    await sandbox.run(HERE + "process")
    before = descriptors()
    for steps in range(6):
        given_up = asyncio.create_task(sandbox.run(HERE + "read_source", source=document))
        for _ in range(steps):
            await asyncio.sleep(0)
        given_up.cancel()
        (tmp_path / "mine").write_bytes(b"%d" % steps)
        assert await sandbox.run(HERE + "read_source", source=tmp_path / "mine") == [b"%d" % steps]
        await asyncio.gather(given_up, return_exceptions=True)
    assert descriptors() == before


async def test_a_child_that_dies_with_nothing_to_do(sandbox: Sandbox, document: Path):
    for _ in range(5):
        pid = await sandbox.run(HERE + "process")
        os.kill(pid, signal.SIGKILL)
        with suppress(SandboxError, UnreadableError):  # whoever comes before the news of its death
            await sandbox.run(HERE + "read_source", source=document)
        assert await sandbox.run(HERE + "read_source", source=document) == [b"one\ntwo\n"]


async def test_it_works_on_the_loop_of_the_server(document: Path):
    async def scenario() -> object:
        sandbox = Sandbox(2, readable=[Path(__file__).parents[2]])
        jobs = [sandbox.run(HERE + "read_source", number, source=document) for number in range(20)]
        found = await asyncio.gather(*jobs)
        await sandbox.close()
        return found

    assert await asyncio.to_thread(uvloop.run, scenario()) == [[b"one\ntwo\n", number] for number in range(20)]
