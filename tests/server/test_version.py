"""`GET /backend-api/v2/version`: it never waits, and asks nobody twice a day."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.servers.mediary import MediaryServer

from mediary import __version__
from mediary.net.client import HttpClient
from mediary.net.latest_version import LatestVersion
from mediary.settings import NetSettings

VERSION = "/backend-api/v2/version"


class Index(ThreadingHTTPServer):
    """A package index that answers once it may; it counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.answer = json.dumps({"info": {"name": "mediary", "version": "7.8.9"}, "urls": []}).encode()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/pypi/mediary/json"

    @property
    def settings(self) -> str:
        return f'version_url = "{self.url}"\n'


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        assert self.server.may_answer.wait(30)
        self.send_response(200)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.may_answer.set()
        server.shutdown()


def await_file(data: Path) -> None:
    while not (data / "latest_version.json").exists():
        pass


def test_it_is_looked_up_behind_the_answer_and_once(tmp_path: Path, index: Index) -> None:
    data = tmp_path / "data"
    with MediaryServer(data, settings=index.settings) as server:
        for _ in range(3):  # the index does not answer yet
            assert server.get_json(VERSION) == {"version": __version__, "latest_version": __version__}
        index.may_answer.set()
        await_file(data)
        assert server.get_json(VERSION)["latest_version"] == "7.8.9"

        server.restart()
        assert server.get_json(VERSION) == {"version": __version__, "latest_version": "7.8.9"}
    assert index.asked == ["/pypi/mediary/json"]


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b'{"info": {}}', b"\xff\xfe"])
def test_an_index_that_makes_no_sense_costs_nothing(tmp_path: Path, index: Index, answer: bytes) -> None:
    index.answer = answer
    index.may_answer.set()
    with MediaryServer(tmp_path / "data", settings=index.settings) as server:
        server.get_json(VERSION)
        await_file(tmp_path / "data")
        assert server.get_json(VERSION)["latest_version"] == __version__
    assert "Traceback" not in server.output()


def test_a_long_answer_is_read_to_its_end(tmp_path: Path, index: Index) -> None:
    index.answer = json.dumps({"releases": ["x" * 100] * 30_000, "info": {"version": "7.8.9"}}).encode()
    index.may_answer.set()
    with MediaryServer(tmp_path / "data", settings=index.settings) as server:
        server.get_json(VERSION)
        await_file(tmp_path / "data")
        assert server.get_json(VERSION)["latest_version"] == "7.8.9"


async def test_what_another_process_looked_up_is_not_looked_up_again(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    known = tmp_path / "latest_version.json"
    known.write_text(json.dumps({"version": "7.0", "looked": now}))
    http = HttpClient(NetSettings())
    latest = LatestVersion(http, tmp_path, index.url)
    try:
        assert await latest.get() == "7.0"
        known.write_text(json.dumps({"version": "8.0", "looked": now + 90_000}))
        monkeypatch.setattr("time.time", lambda: now + 90_001)
        assert await latest.get() == "7.0"
        await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "latest version"])
        assert await latest.get() == "8.0"
    finally:
        await latest.close()
        await http.close()
    assert index.asked == []


def test_a_list_of_versions_is_understood(tmp_path: Path, index: Index) -> None:
    versions = [{"versionKey": {"version": "9.0rc1"}}, {"versionKey": {"version": "8.1"}, "isDefault": True}]
    index.answer = json.dumps({"packageKey": {"system": "PYPI", "name": "mediary"}, "versions": versions}).encode()
    index.may_answer.set()
    with MediaryServer(tmp_path / "data", settings=index.settings) as server:
        server.get_json(VERSION)
        await_file(tmp_path / "data")
        assert server.get_json(VERSION)["latest_version"] == "8.1"


def test_it_can_be_switched_off(tmp_path: Path, index: Index) -> None:
    with MediaryServer(tmp_path / "data", settings=f"{index.settings}check_version = false\n") as server:
        assert server.get_json(VERSION)["latest_version"] == __version__
    assert index.asked == []
