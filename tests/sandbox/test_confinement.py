"""What a child has no way to do, whoever comes to run code in it."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mediary.sandbox.pool import Sandbox

ATTEMPT = "tests.sandbox.misbehaving:attempt"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """One that may read a folder, and what the tests' own modules need."""
    (tmp_path / "media").mkdir()
    opened = Sandbox(1, readable=[tmp_path / "media", Path(__file__).parents[2]])
    yield opened
    await opened.close()


@pytest.fixture
async def free_to_read() -> AsyncIterator[Sandbox]:
    opened = Sandbox(1)
    yield opened
    await opened.close()


@pytest.fixture(params=["its folders", "all"])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """What reading is free does not matter to what else is forbidden."""
    readable = [tmp_path, Path(__file__).parents[2]] if request.param == "its folders" else None
    opened = Sandbox(1, readable=readable)
    yield opened
    await opened.close()


async def test_it_reads_its_folders_alone(sandbox: Sandbox, tmp_path: Path):
    for path in (tmp_path / "media" / "a.png", tmp_path / "mediary.toml"):
        path.write_bytes(b"x")
    (tmp_path / "media" / "link.png").symlink_to(tmp_path / "mediary.toml")
    assert await sandbox.run(ATTEMPT, "read", str(tmp_path / "media" / "a.png")) == "done"
    for path in (tmp_path / "mediary.toml", tmp_path / "media" / "link.png", Path("/etc/passwd")):
        assert await sandbox.run(ATTEMPT, "read", str(path)) == "PermissionError"


async def test_it_reads_all_where_no_folders_are_named(free_to_read: Sandbox, tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x")
    assert await free_to_read.run(ATTEMPT, "read", str(tmp_path / "a")) == "done"


async def test_it_changes_nothing(either: Sandbox, tmp_path: Path):
    kept = tmp_path / "kept"
    kept.write_bytes(b"kept")
    for what, path in [("write", kept), ("write", tmp_path / "new"), ("remove", kept)]:
        assert await either.run(ATTEMPT, what, str(path)) == "PermissionError"
    assert kept.read_bytes() == b"kept"
    assert not (tmp_path / "new").exists()


async def test_it_reaches_nobody_and_starts_nothing(either: Sandbox):
    listening = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    attempts = {"connect": str(port), "run": "", "fork": "", "kill": str(os.getpid())}
    found = {what: await either.run(ATTEMPT, what, argument) for what, argument in attempts.items()}
    listening.close()
    await listening.wait_closed()
    assert set(found.values()) == {"PermissionError"}


async def test_it_does_not_see_the_secrets_of_its_parent(free_to_read: Sandbox):
    assert await free_to_read.run(ATTEMPT, "read", f"/proc/{os.getpid()}/environ") == "PermissionError"


async def test_it_can_have_threads(sandbox: Sandbox):
    assert await sandbox.run("tests.sandbox.misbehaving:start_thread") == "done"


async def test_it_inherits_nothing(free_to_read: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET", "x")
    inherited = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        state = await free_to_read.run("tests.sandbox.misbehaving:state")
    finally:
        os.close(inherited)
    assert "SECRET" not in state["environment"]
    assert state["folder"] == "/"
    assert len(state["descriptors"]) == 6  # the standard three, two pipes, and the socket for files
    assert state["session"]


async def test_it_lets_others_go_first():
    sandbox = Sandbox(1, nice=5)
    state = await sandbox.run("tests.sandbox.misbehaving:state")
    await sandbox.close()
    assert state["nice"] == os.nice(0) + 5


async def test_it_imports_nothing_that_its_jobs_do_not_need(free_to_read: Sandbox):
    state = await free_to_read.run("tests.sandbox.misbehaving:state")
    assert not {"aiohttp", "mediary.media.intake", "av", "pyvips", "mediary.settings"} & set(state["modules"])
