"""Runs through HTTP: turns that go on without their client, are read again, are ended, and outlive a crash."""

import json
import sqlite3
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPResponse
from pathlib import Path
from socket import AF_INET, SO_RCVBUF, SOCK_STREAM, SOL_SOCKET, socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.mediary import MediaryServer
from tests.servers.narrator import Narrator, narrator

CONVERSATION = "/backend-api/v2/conversation"
RUNS = "/backend-api/v2/runs"
QUESTION = {"provider": "Narrator", "model": "tale", "messages": [{"role": "user", "content": "Once?"}]}


@pytest.fixture
def tale() -> Iterator[Narrator]:
    with narrator() as speaking:
        yield speaking


@pytest.fixture
def server(tmp_path: Path, tale: Narrator) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path / "data", settings=tale.settings) as running:
        yield running


def ask(server: MediaryServer, **more: Any) -> HTTPResponse:
    answer = server.open(CONVERSATION, QUESTION | more)
    assert answer.status == 200
    return answer


def next_event(answer: HTTPResponse) -> dict[str, Any]:
    """The next event; `number` is its id, if it has one."""
    event: dict[str, Any] = {}
    while (line := answer.readline().decode()) != "\n" or not event:
        assert line, "the stream ended"
        name, _, value = line.rstrip("\n").partition(": ")
        if name == "id":
            event["number"] = int(value)
        elif name == "data":
            event |= json.loads(value)
    return event


def read_to(answer: HTTPResponse, words: str) -> list[dict[str, Any]]:
    """The events up to the one that says these words."""
    events = [next_event(answer)]
    while events[-1].get("content") != words:
        events.append(next_event(answer))
    return events


def read_all(answer: HTTPResponse) -> list[dict[str, Any]]:
    with answer:
        lines = [line for line in answer.read().decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def replay(server: MediaryServer, run: str, after: int | None = None) -> list[dict[str, Any]]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    return read_all(server.open(f"{RUNS}/{run}/events", headers=headers))


def said(events: list[dict[str, Any]]) -> str:
    return "".join(event["content"] for event in events if event["type"] == "content")


def run_of(answer: HTTPResponse) -> str:
    run = answer.headers["x-run-id"]
    assert run
    return str(run)


def usage_of(server: MediaryServer, run: str) -> dict[str, Any]:
    """The usage record of a run, once it is written."""
    server.await_output(run)
    day = server.get_json(f"{RUNS}/{run}")["created"]
    path = f"/backend-api/v2/usage/{datetime.fromtimestamp(day, UTC):%Y-%m-%d}"
    while True:
        with server.open(path) as response:
            lines = response.read().decode().splitlines() if response.status == 200 else []
        for record in map(json.loads, lines):
            if record["turn"] == run:
                return dict(record)


def test_the_id_stands_in_the_header_and_in_the_conversation_event(server: MediaryServer, tale: Narrator) -> None:
    tale.say("a")
    tale.end()

    answer = ask(server)
    events = read_all(answer)

    [state] = [event["conversation"] for event in events if event["type"] == "conversation"]
    assert state == {"Narrator": {"run_id": run_of(answer)}}


def test_a_run_is_read_again_from_any_event_on(server: MediaryServer, tale: Narrator) -> None:
    tale.say("once ", "upon ", "a time")
    tale.end()
    answer = ask(server)
    events = read_all(answer)

    for after in range(len(events) + 2):
        assert replay(server, run_of(answer), after) == events[after:]
    with server.open(f"{RUNS}/{run_of(answer)}/events?after={len(events)}") as nothing:
        assert nothing.status == 204, "an event source asks again and again after anything else"
    with server.open(f"{RUNS}/{run_of(answer)}/events?after=3") as again:
        assert next_event(again) == events[3] | {"number": 4}


def test_a_detached_run_goes_on_without_its_client(server: MediaryServer, tale: Narrator) -> None:
    tale.say("once ")
    answer = ask(server, detach=True)
    seen = read_to(answer, "once ")
    assert [event["number"] for event in seen] == [*range(1, len(seen) + 1)]
    answer.close()

    tale.say("upon ", "a time")
    with server.open(f"{RUNS}/{run_of(answer)}/events", headers={"Last-Event-ID": str(len(seen))}) as following:
        assert said(read_to(following, "a time")) == "upon a time"
        tale.end()
        assert next_event(following)["type"] == "finish"

    assert said(replay(server, run_of(answer))) == "once upon a time"
    assert usage_of(server, run_of(answer))["outcome"] == "finished"
    assert not tale.left.is_set()


def test_a_run_ends_with_its_client_where_nobody_said_otherwise(server: MediaryServer, tale: Narrator) -> None:
    tale.say("once ")
    answer = ask(server)
    read_to(answer, "once ")
    answer.close()

    assert tale.left.wait(30)
    assert usage_of(server, run_of(answer))["outcome"] == "cancelled"
    assert said(replay(server, run_of(answer))) == "once "
    assert server.get_json(f"{RUNS}/{run_of(answer)}")["state"] == "cancelled"


def test_many_read_along(server: MediaryServer, tale: Narrator) -> None:
    tale.say("once ")
    answer = ask(server)
    read_to(answer, "once ")
    others = [server.open(f"{RUNS}/{run_of(answer)}/events") for _ in range(5)]
    for other in others:
        read_to(other, "once ")

    tale.say("more")
    tale.end()

    for reading in (answer, *others):
        assert said(read_all(reading)) == "more"


def test_a_run_is_cancelled(server: MediaryServer, tale: Narrator) -> None:
    tale.say("once ")
    answer = ask(server)
    read_to(answer, "once ")
    following = server.open(f"{RUNS}/{run_of(answer)}/events")

    with server.open(f"{RUNS}/{run_of(answer)}/cancel", method="POST") as cancelled:
        assert json.load(cancelled)["state"] == "cancelled"

    assert tale.left.wait(30)
    assert read_all(answer)[-1]["error"] == "RunCancelledError"
    assert read_all(following)[-1]["error"] == "RunCancelledError"
    assert usage_of(server, run_of(answer))["outcome"] == "cancelled"
    with server.open(f"{RUNS}/{run_of(answer)}/cancel", method="POST") as again:
        assert (again.status, json.load(again)["state"]) == (200, "cancelled")


def test_after_a_crash_a_run_is_interrupted_with_what_it_had(tmp_path: Path, tale: Narrator) -> None:
    server = MediaryServer(tmp_path / "data", settings=tale.settings).start()
    tale.say("once ", "upon")
    answer = ask(server, detach=True)
    read_to(answer, "upon")
    await_stored(tmp_path / "data", run_of(answer), "upon")
    server.kill()

    with server:
        server.await_output("interrupted")
        events = replay(server, run_of(answer))
        assert said(events) == "once upon"
        assert events[-1]["error"] == "RunInterruptedError"
        assert server.get_json(f"{RUNS}/{run_of(answer)}")["state"] == "interrupted"
        record = usage_of(server, run_of(answer))
        assert (record["outcome"], record["characters"]) == ("interrupted", len("once upon"))


def await_stored(data: Path, run: str, words: str) -> None:
    """Wait until an event with these words is in the database."""
    with sqlite3.connect(f"file:{data / 'mediary.db'}?mode=ro", uri=True) as database:
        while not any(
            words.encode() in zlib.decompress(chunk)
            for (chunk,) in database.execute("SELECT data FROM run_events WHERE run = ?", [run])
        ):
            pass


def test_other_processes_follow_and_cancel(tmp_path: Path, tale: Narrator) -> None:
    with MediaryServer(tmp_path / "data", settings=tale.settings, options=["--workers", "3"]) as server:
        answer = ask(server, detach=True)
        for _ in range(9):
            assert server.get_json(f"{RUNS}/{run_of(answer)}")["state"] == "running", "whoever is asked, and at once"
        tale.say("once ")
        read_to(answer, "once ")
        # each connection may be anybody's: with so many, some are another process's
        others = [server.open(f"{RUNS}/{run_of(answer)}/events") for _ in range(9)]
        for other in others:
            read_to(other, "once ")

        for _ in range(6):
            with server.open(f"{RUNS}/{run_of(answer)}/cancel", method="POST") as cancelled:
                assert json.load(cancelled)["state"] == "cancelled"

        for reading in (answer, *others):
            assert read_all(reading)[-1]["error"] == "RunCancelledError"


def test_runs_are_listed_page_by_page(server: MediaryServer, tale: Narrator) -> None:
    made = []
    for number in range(5):
        tale.end()
        with ask(server) as answer:
            answer.read()
            made.append(run_of(answer))
        assert server.get_json(f"{RUNS}?limit=1")["runs"][0]["id"] == made[number]

    first = server.get_json(f"{RUNS}?limit=3&state=finished")
    rest = server.get_json(f"{RUNS}?limit=3&cursor={first['next']}")
    assert [run["id"] for run in first["runs"] + rest["runs"]] == made[::-1]
    assert rest["next"] is None


def test_with_nothing_kept_a_run_can_still_be_cancelled(tmp_path: Path, tale: Narrator) -> None:
    settings = f"{tale.settings}[runs]\nkeep_hours = 0\n"
    with MediaryServer(tmp_path / "data", settings=settings) as server:
        with server.open(CONVERSATION, QUESTION | {"detach": True}) as refused:
            assert refused.status == 422
            assert json.load(refused)["error"]["message"].startswith("detach:")
        tale.say("once ")
        answer = ask(server)
        read_to(answer, "once ")
        with server.open(f"{RUNS}/{run_of(answer)}/events") as missing:
            assert missing.status == 404

        with server.open(f"{RUNS}/{run_of(answer)}/cancel", method="POST") as cancelled:
            assert json.load(cancelled)["state"] == "cancelled"

        assert read_all(answer)[-1]["error"] == "RunCancelledError"
        assert server.get_json(RUNS) == {"runs": [], "next": None}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/none/events", {}, 404),
        ("/none", {}, 404),
        ("//events", {}, 404),
        ("/none/events", {"Last-Event-ID": "x"}, 400),
        ("/none/events", {"Last-Event-ID": "-1"}, 400),
        ("/none/events?after=9e9", {}, 400),
        ("?state=lost", {}, 400),
        ("?limit=0", {}, 400),
        ("?cursor=x", {}, 400),
    ],
)
def test_what_is_wrong_is_said(server: MediaryServer, path: str, headers: dict[str, str], status: int) -> None:
    with server.open(RUNS + path, headers=headers) as refused:
        assert refused.status == status
        assert json.load(refused)["error"]["message"]


def test_a_turn_that_its_client_takes_too_slowly_has_failed(server: MediaryServer, tale: Narrator) -> None:
    tale.say(*["x" * 1_000_000] * 30)
    place = urlsplit(server.url)
    body = json.dumps(QUESTION | {"timeout": 0.5})
    with socket(AF_INET, SOCK_STREAM) as client:
        client.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
        client.connect((place.hostname, place.port))
        head = f"POST {CONVERSATION} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(f"{head}{body}".encode())
        answer = client.recv(4096).decode()
        run = answer.partition("x-run-id: ")[2][:32]
        assert run, answer

        record = usage_of(server, run)

    assert (record["outcome"], record["error"]) == ("failed", "ProviderTimeoutError")
