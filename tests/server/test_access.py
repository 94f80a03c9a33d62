"""Who may come in: without a key only this machine, with one only who shows it."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.mediary import MediaryServer, clean_environment

VERSION = "/backend-api/v2/version"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    folder = tmp_path_factory.mktemp("locked") / "data"
    with MediaryServer(folder, settings='[server]\nkey = "hunter2-hunter2"\n') as running:
        yield running


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path_factory.mktemp("open") / "data") as running:
        yield running


def status(server: MediaryServer, path: str, headers: dict[str, str] | None = None, body: object = None) -> int:
    with server.open(path, body, headers=headers) as response:
        response.read()
        return response.status


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


def test_a_server_with_a_key_asks_for_it(locked: MediaryServer) -> None:
    with locked.open(VERSION) as response:
        assert response.status == 401
        assert response.headers["www-authenticate"].startswith("Basic")
        assert b"Authorization: Bearer" in response.read()


@pytest.mark.parametrize(
    "path",
    [VERSION, "/media/x.png", "/search/x", "/backend-api/v2/media", "/backend-api/v2/models", "/docs", "/openapi.json"],
)
def test_nothing_is_told_without_the_key(locked: MediaryServer, path: str) -> None:
    assert status(locked, path) == 401


@pytest.mark.parametrize("shown", ["Bearer hunter2-hunter2", "bearer  hunter2-hunter2", basic("hunter2-hunter2")])
def test_the_key_opens(locked: MediaryServer, shown: str) -> None:
    assert status(locked, VERSION, {"authorization": shown}) == 200


@pytest.mark.parametrize(
    "shown",
    ["Bearer wrong", "Bearer", "Bearer ", basic("wrong"), "Basic !!!", "Basic /w==", "hunter2-hunter2", "Bearer ÿ"],
)
def test_anything_else_does_not(locked: MediaryServer, shown: str) -> None:
    assert status(locked, VERSION, {"authorization": shown}) == 401


def test_health_needs_no_key(locked: MediaryServer) -> None:
    assert status(locked, "/healthz") == 200
    assert status(locked, "/readyz") == 200


def test_the_key_is_not_in_the_log(locked: MediaryServer) -> None:
    status(locked, VERSION, {"authorization": "Bearer hunter2-hunter2"})

    assert "hunter2" not in locked.output()


@pytest.mark.parametrize("host", ["example.org", "192.168.1.2:8080", "localhost.example.org", "", "[", "\xff"])
def test_without_a_key_a_name_that_leads_here_by_a_trick_is_refused(unlocked: MediaryServer, host: str) -> None:
    assert status(unlocked, VERSION, {"host": host}) == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "mediary.localhost"])
def test_names_of_this_machine_are_its_own(unlocked: MediaryServer, host: str) -> None:
    assert status(unlocked, VERSION, {"host": host}) == 200


QUESTION = {"messages": [{"role": "user", "content": "Hello"}]}
CONVERSATION = "/backend-api/v2/conversation"


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://[", ""])
def test_pages_of_other_sites_cannot_ask(unlocked: MediaryServer, locked: MediaryServer, origin: str) -> None:
    shown = {"origin": origin, "authorization": basic("hunter2-hunter2")}

    assert status(unlocked, CONVERSATION, shown, QUESTION) == 403
    assert status(locked, CONVERSATION, shown, QUESTION) == 403


def test_its_own_pages_can(unlocked: MediaryServer, locked: MediaryServer) -> None:
    assert status(unlocked, CONVERSATION, {"origin": unlocked.url}, QUESTION) == 200
    shown = {"origin": locked.url, "authorization": basic("hunter2-hunter2")}
    assert status(locked, CONVERSATION, shown, QUESTION) == 200


def test_a_key_may_have_any_letters(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", settings='[server]\nkey = "schlüssel-🔑"\n') as server:
        assert status(server, VERSION, {"authorization": basic("schlüssel-🔑")}) == 200
        bearer = "Bearer schlüssel-🔑".encode().decode("latin-1")
        assert status(server, VERSION, {"authorization": bearer}) == 200


def test_a_refused_request_is_in_the_log(locked: MediaryServer) -> None:
    with locked.open(VERSION, headers={"x-request-id": "refused-1"}) as response:
        assert response.headers["x-request-id"] == "refused-1"

    locked.await_output("request=refused-1 method=GET path=/backend-api/v2/version status=401")


def test_another_address_than_loopback_needs_a_key(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mediary", "serve", "--data", str(tmp_path), "--host", "0.0.0.0", "--port", "0"]
    ended = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert "server.key" in ended.stderr
    assert "Traceback" not in ended.stderr
