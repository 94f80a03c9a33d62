"""Usage over HTTP: the turns of a day, what clients say, statistics, and the numbers for Prometheus."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.servers.mediary import MediaryServer
from tests.servers.scripted import Hanging, delta, events, scripted, streamed

B = "/backend-api/v2"
PRICES = """
[[prices]]
host = "127.0.0.1:{port}"
models = ["*"]
date = 2026-01-31
source = "a test"
input = 1000
output = 2000
"""


def today() -> str:
    return datetime.now(UTC).date().isoformat()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path_factory.mktemp("usage") / "data") as running:
        yield running


def lines(server: MediaryServer, query: str = "", count: int = 1) -> list[dict[str, Any]]:
    """The lines of today, once there are so many: a turn is written behind its answer."""
    while True:
        with server.open(f"{B}/usage/{today()}{query}") as response:
            found = [json.loads(line) for line in response.read().splitlines() if response.status == 200]
            if len(found) >= count:
                assert response.headers["content-type"] == "application/x-ndjson"
                return found


def metrics(server: MediaryServer) -> dict[tuple[str, ...], float]:
    """The samples, by name and labels in order."""
    families = text_string_to_metric_families(server.get("/metrics").decode())
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_a_turn_made_and_took_is_told(server: MediaryServer) -> None:
    label = "ann " + "x" * 300
    server.converse("Say this", provider="Local", model="speech", headers={"x-user": label})
    server.converse("A hill", provider="Local", model="picture", width=16, height=16, headers={"x_user": "bob"})
    found = {line["model"]: line for line in lines(server, "?source=server", 2)}
    spoken, drawn = found["speech"], found["picture"]
    assert (spoken["user"], spoken["kind"], spoken["media"], spoken["pictures"]) == (label[:200], "speech", 1, 0)
    assert (drawn["user"], drawn["kind"], drawn["media"], drawn["pictures"]) == ("bob", "image", 1, 1)
    assert 0.1 < spoken["media_seconds"] < 5
    assert spoken["media_bytes"] > 1000
    assert drawn["media_seconds"] is None
    assert (drawn["cost"], drawn["source"], drawn["outcome"]) == (0, "server", "finished")
    assert 0 < drawn["first_token_ms"] <= drawn["duration_ms"]


def test_what_clients_say_stands_beside_and_is_marked(server: MediaryServer) -> None:
    before = server.get_json(f"{B}/stats")["totals"]["requests"]
    said = {"model": "m", "provider": "P", "prompt_tokens": 3, "total_tokens": 7, "user": "carl", "source": "server"}
    with server.open(f"{B}/usage", said) as response:
        assert (response.status, response.read()) == (200, b"{}")
    with server.open(f"{B}/usage", {"odd": ["\0", None]}, headers={"x_user": "dora"}) as response:
        assert response.status == 200
    with server.open(f"{B}/log", {"type": "error"}) as response:
        assert (response.status, response.read()) == (200, b"{}")
    first, second = lines(server, "?source=client", 2)
    assert first | {"created": 0} == said | {"source": "client", "created": 0}
    assert (second["user"], second["odd"]) == ("dora", ["", None])
    assert [line["source"] for line in lines(server, count=3)][-2:] == ["client", "client"]
    assert server.get_json(f"{B}/stats")["totals"]["requests"] == before


def test_a_turn_that_its_client_reports_too_has_one_line(server: MediaryServer) -> None:
    events = server.converse("Count me once", provider="Local", model="passages", headers={"x-user": "fay"})
    [told] = [event for event in events if event["type"] == "usage"]
    said = {"provider": told["provider"], "model": told["model"], **told["usage"]}
    for report in (said, said | {"provider": "In the browser"}):
        with server.open(f"{B}/usage", report, headers={"x-user": "fay"}) as response:
            assert response.status == 200
    while not (mine := [line for line in lines(server, "?source=server") if line["user"] == "fay"]):
        pass
    assert len(mine) == 1
    assert [line["provider"] for line in lines(server) if line["user"] == "fay"] == ["Local", "In the browser"]
    assert len([line for line in lines(server, "?source=client") if line["user"] == "fay"]) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[1]", 400),
        (b"{", 400),
        (b"", 400),
        (b'"text"', 400),
        (b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", 400),
        (b'{"a": ' + b"[" * 8000 + b"]" * 8000 + b"}", 400),
        (b'{"a": "' + b"x" * 17_000 + b'"}', 413),
        (b'{"a": 1e999}', 422),
        (b'{"a": ' + b"9" * 400 + b"}", 200),
        (b'{"a": "\xff"}', 400),
    ],
)
@pytest.mark.parametrize("path", ["usage", "log"])
def test_what_is_no_report_is_refused(server: MediaryServer, path: str, body: bytes, status: int) -> None:
    with server.open(f"{B}/{path}", raw=body, headers={"content-type": "application/json"}, method="POST") as response:
        assert response.status == status, response.read()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("usage/2001-01-01", 404),
        ("usage/0001-01-01", 404),
        ("usage/9999-12-31", 404),
        ("usage/2026-02-30", 422),
        ("usage/today", 422),
        ("usage/1700000000", 422),
        ("usage/\u0662\u0660\u0662\u0666-\u0660\u0661-\u0660\u0661", 422),
        (f"usage/{'9' * 5000}", 422),
        (f"usage/{today()}?source=both", 400),
        ("stats?days=0", 400),
        ("stats?days=many", 400),
        ("stats?days=999999999999999999999", 400),
        ("stats?user=%00%ff", 200),
        ("stats?user=" + "x" * 5000, 200),
    ],
)
def test_days_and_numbers_that_are_none(server: MediaryServer, path: str, status: int) -> None:
    with server.open(f"{B}/{quote(path, safe='/?=%&')}") as response:
        assert response.status == status, response.read()


def test_statistics_have_the_form_of_the_contract(server: MediaryServer) -> None:
    server.converse("Hello", provider="Local", model="passages", headers={"x-user": "eve"})
    while not (found := server.get_json(f"{B}/stats?days=7&user=eve"))["totals"]["requests"]:
        pass
    assert len(found["days"]) == 7
    assert found["days"][-1]["date"] == today()
    for name, key in (("models", "passages"), ("providers", "Local"), ("users", "eve")):
        [group] = found[name]
        assert group["name"] == key
        assert group.items() >= found["totals"].items()
    assert found["totals"].keys() >= {
        *("requests", "prompt_tokens", "completion_tokens", "saved_tokens", "total_tokens", "cost", "media")
    }
    assert len(server.get_json(f"{B}/stats")["days"]) == 30


def test_numbers_for_prometheus(server: MediaryServer) -> None:
    server.converse("Hello", provider="Local", model="passages")
    server.get(f"{B}/version")
    with server.open("/nowhere/at/all"):
        pass
    with server.open(f"{B}/version", method="HEAD") as response:
        assert response.status == 200
    while (found := metrics(server)).get(("mediary_turns_total", "passages", "finished", "Local"), 0) < 1:
        pass
    assert found[("mediary_turn_seconds_bucket", "+Inf", "passages", "Local")] >= 1
    assert found[("mediary_tokens_total", "prompt", "passages", "Local")] >= 1
    assert found[("mediary_cost_dollars_total", "passages", "Local")] == 0
    assert found[("mediary_http_requests_total", "GET", f"{B}/version", "200")] >= 1
    assert found[("mediary_http_requests_total", "HEAD", f"{B}/version", "200")] == 1
    assert found[("mediary_http_requests_total", "POST", f"{B}/conversation", "200")] >= 1
    assert found[("mediary_http_requests_total", "GET", "(other)", "404")] >= 1
    assert found[("mediary_running_turns",)] == 0
    assert found[("mediary_processes",)] == 1
    assert found[("mediary_resident_memory_bytes",)] > 10 * 1024**2
    assert ("mediary_media_items",) in found


def test_a_turn_that_goes_on_is_running(server: MediaryServer) -> None:
    question = {"provider": "Local", "messages": [{"role": "user", "content": "Hello " * 200_000}]}
    with server.open(f"{B}/conversation", question) as response:
        response.readline()
        while metrics(server)[("mediary_running_turns",)] > 1:
            pass
    while metrics(server)[("mediary_running_turns",)]:
        pass


@pytest.mark.parametrize(
    ("sent", "label"), [("Jürgen 猫".encode(), "Jürgen 猫"), ("Jürgen".encode("latin-1"), "Jürgen"), (b"null", None)]
)
def test_labels_are_what_the_client_meant(server: MediaryServer, sent: bytes, label: str | None) -> None:
    said = {"of": repr(sent)}
    with server.open(f"{B}/usage", said, headers={"x-user": sent.decode("latin-1")}) as response:
        assert response.status == 200
    [line] = [line for line in lines(server, "?source=client") if line.get("of") == said["of"]]
    assert line["user"] == label


def test_metrics_are_for_who_has_the_key(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", settings='[server]\nkey = "k"\n') as locked:
        for path in ("/metrics", f"{B}/stats", f"{B}/usage/{today()}"):
            with locked.open(path) as response:
                assert response.status == 401
        assert b"mediary_turns" in locked.get("/metrics", headers={"authorization": "Bearer k"})


def test_all_processes_of_a_server_are_counted_together(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", options=["--workers", "3"]) as several:
        for _ in range(30):
            several.converse("Hello", provider="Local", model="passages")
        while (found := metrics(several))[("mediary_turns_total", "passages", "finished", "Local")] < 30:
            pass
        for _ in range(5):
            again = metrics(several)
            assert again[("mediary_turns_total", "passages", "finished", "Local")] == 30
            assert again[("mediary_http_requests_total", "POST", f"{B}/conversation", "200")] == 30
        assert found[("mediary_processes",)] == 3


async def test_a_table_of_prices_in_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    async with scripted() as service:
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        service.play(streamed(events(delta("stop", content="Hi"), {"choices": [], "usage": usage})))
        (tmp_path / "prices.toml").write_text(PRICES.format(port=service.port))
        settings = (
            f'[usage]\nprices = "{tmp_path / "prices.toml"}"\n'
            f'[providers.P]\nwire = "openai"\nbase_url = "{service.base_url}"\nmodels = ["m"]\n'
        )
        server = MediaryServer(tmp_path / "data", settings=settings)
        await asyncio.to_thread(server.start)
        try:
            await asyncio.to_thread(server.converse, provider="P", model="m")
            [line] = await asyncio.to_thread(lines, server)
        finally:
            await asyncio.to_thread(server.stop)
    assert (line["cost"], line["priced"], line["total_tokens"]) == (0.011, "2026-01-31", 7)


async def test_a_turn_that_a_crash_broke_off_is_recorded_once_with_what_it_had(tmp_path: Path) -> None:
    async with scripted() as service:
        service.play(Hanging(events(delta(content="Half an "), done=False)))
        settings = f'[providers.P]\nwire = "openai"\nbase_url = "{service.base_url}"\nmodels = ["m"]\n'
        server = MediaryServer(tmp_path / "data", settings=settings)

        def crash() -> str:
            server.start()
            question = {"provider": "P", "detach": True, "messages": [{"role": "user", "content": "Hello"}]}
            with server.open(f"{B}/conversation", question, headers={"x-user": "ann"}) as response:
                run = response.headers["x-run-id"]
                while b"Half an" not in response.readline():
                    pass
                with closing(sqlite3.connect(tmp_path / "data" / "mediary.db")) as database:
                    while not database.execute("SELECT count(*) FROM run_events").fetchone()[0]:
                        pass
                server.kill()
            return run

        run = await asyncio.to_thread(crash)
        for _ in range(2):
            await asyncio.to_thread(server.start)
            try:
                [line] = await asyncio.to_thread(lines, server)
            finally:
                await asyncio.to_thread(server.stop)
            assert (line["turn"], line["outcome"], line["user"]) == (run, "interrupted", "ann")
            assert (line["provider"], line["model"], line["duration_ms"], line["cost"]) == ("P", "m", None, None)


def test_a_price_table_that_is_wrong_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("[[prices]]\nhosts = 1\n")
    server = MediaryServer(tmp_path / "data", settings=f'[usage]\nprices = "{tmp_path / "prices.toml"}"\n')
    with pytest.raises(AssertionError, match=r"prices\[1\].hosts"):
        server.start()
    assert not re.search("Traceback", server.output())
