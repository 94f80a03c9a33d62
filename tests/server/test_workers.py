"""Several processes on one port."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.servers.mediary import MediaryServer, media_urls


def children(pid: int) -> set[int]:
    """The server processes below the supervisor; Python's own helper of `multiprocessing` is none."""
    found = subprocess.run(["pgrep", "-P", str(pid), "-f", "spawn_main"], stdout=subprocess.PIPE, check=False)
    return {int(child) for child in found.stdout.split()}


def test_two_processes_answer_and_stop_together(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", options=["--workers", "2"]) as server:
        assert len(children(server.pid)) == 2
        [url] = media_urls(server.converse("A hill", provider="Local", model="picture", width=16, height=16))
        for _ in range(20):
            assert server.get(url).startswith(b"\x89PNG")
        workers = children(server.pid)

        assert server.stop() == 0

        assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


def test_a_crashed_process_is_replaced(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", options=["--workers", "2"]) as server:
        first, second = children(server.pid)

        os.kill(first, signal.SIGKILL)
        while len(now := children(server.pid)) != 2 or first in now:
            assert server.process and server.process.poll() is None

        assert second in now
        assert server.get_json("/backend-api/v2/version")
    assert "another takes its place" in server.output()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_database_that_cannot_be_opened_stops_the_start(tmp_path: Path, workers: str) -> None:
    settings = f'[database]\nurl = "sqlite:///{tmp_path}/none/there.db"\n'
    server = MediaryServer(tmp_path / "data", settings=settings, options=["--workers", workers])

    with pytest.raises(AssertionError, match=r"mediary: the database .* cannot be used"):
        server.start()

    assert "Traceback" not in server.output()
    assert "crashed" not in server.output()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "one") as server:
        port = int(server.url.rpartition(":")[2])
        other = MediaryServer(tmp_path / "two", port=port)
        with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{port}: address already in use"):
            other.start()
