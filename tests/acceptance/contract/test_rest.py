"""CONTRACT.md, "The rest", row by row; runs, which the contract's `conversation` event leads to, are among it."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.server.bucket_client import ask, post
from tests.server.forms import form
from tests.servers.mediary import MediaryServer

B = "/backend-api/v2"
JSON = "application/json"
KEY = {"authorization": "Bearer hunter2-hunter2"}


def say(server: MediaryServer, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    answer = post(server, path, json.dumps(body).encode(), JSON, **headers)
    return answer.status, answer.json


HAR = {
    "request": {
        "url": "http://127.0.0.1/",  # a HAR file is read for the hosts that are configured
        "headers": [],
        "cookies": [{"name": "d", "value": "secret"}],
    },
    "response": {"headers": [], "cookies": []},
}
NETSCAPE = b"# Netscape HTTP Cookie File\nthree.example\tFALSE\t/\tTRUE\t0\tc\tsecret\n"


@pytest.mark.parametrize(
    ("name", "content", "domain", "cookie"),
    [
        ("list.json", b'[{"name": "a", "value": "secret", "domain": "one.example"}]', "one.example", "a"),
        ("two.example.json", b'{"b": "secret"}', "two.example", "b"),
        ("three.txt", NETSCAPE, "three.example", "c"),
        ("four.har", json.dumps({"log": {"entries": [HAR]}}).encode(), "127.0.0.1", "d"),
    ],
)
def test_cookies(server: MediaryServer, name: str, content: bytes, domain: str, cookie: str) -> None:
    answer = post(server, f"{B}/upload_cookies", *form({}, {name: content}, "file"))

    assert (answer.status, answer.body) == (200, b"File saved"), answer
    listed = ask(server, f"{B}/upload_cookies")
    assert b"secret" not in listed.body
    assert {"domain": domain, "names": [cookie], "expires": None} in listed.json
    assert ask(server, f"{B}/upload_cookies/{domain}", "DELETE").status == 200
    assert ask(server, f"{B}/upload_cookies/{domain}", "DELETE").status == 404


CHAT = {"title": "Tea", "updated": 1763596800000, "items": [{"role": "user", "content": "Hello"}]}


def test_a_shared_chat(server: MediaryServer) -> None:
    status, first = say(server, f"{B}/chat/tea", CHAT)
    assert (status, set(first), first["share_id"]) == (200, {"share_id", "edit_token"}, "tea")
    later = CHAT | {"updated": CHAT["updated"] + 1}
    assert say(server, f"{B}/chat/tea", later, x_edit_token=first["edit_token"]) == (200, {"share_id": "tea"})

    assert server.get_json(f"{B}/chat/tea") == later
    for known in (str(later["updated"]), f'"{later["updated"]}"'):
        assert ask(server, f"{B}/chat/tea", if_none_match=known).status == 304
    assert ask(server, f"{B}/chat/tea", if_none_match="1").status == 200
    assert say(server, f"{B}/chat/tea", CHAT | {"updated": 9e12})[0] == 403
    assert ask(server, f"{B}/chat/tea", "DELETE", x_edit_token="wrong").status == 403
    assert ask(server, f"{B}/chat/tea", "DELETE", x_edit_token=first["edit_token"]).status == 200
    assert ask(server, f"{B}/chat/tea").status == 404


def test_a_shared_chat_is_changed_by_its_owners_key(locked: MediaryServer) -> None:
    assert say(locked, f"{B}/chat/tea", CHAT, **KEY)[0] == 200
    assert say(locked, f"{B}/chat/tea", CHAT | {"updated": 9e12}, **KEY) == (200, {"share_id": "tea"})
    assert say(locked, f"{B}/chat/tea", CHAT)[0] == 401


def test_memory_takes_items(server: MediaryServer) -> None:
    items = [{"role": "user", "content": "I take my tea without milk"}, {"role": "user", "content": "I like rain"}]

    assert say(server, f"{B}/memory/anna", {"items": items, "id": "talk-1"}) == (200, {"count": 2})


def test_memory_is_searched(server: MediaryServer) -> None:
    say(server, f"{B}/memory/ben", {"items": [{"role": "user", "content": "I take my tea without milk"}], "id": "t"})
    say(server, f"{B}/memory/ben", {"items": [{"role": "assistant", "content": "Noted", "metadata": {"a": 1}}]})

    def find(**query: Any) -> Any:
        return server.get_json(f"{B}/memory/ben?{urlencode(query)}")

    everything, searched = find(page=1, page_size=1), find(search="tea")
    assert (set(everything), everything["total"], everything["page"]) == ({"results", "total", "page"}, 2, 1)
    assert len(everything["results"]) == 1
    [tea] = searched["results"]
    assert {"id", "memory", "role", "user_id", "metadata", "score", "created_at"} <= set(tea)
    assert (tea["memory"], tea["role"], tea["user_id"]) == ("I take my tea without milk", "user", "ben")
    assert find(filters='{"role": "assistant"}')["total"] == 1
    assert find(filters='{"conversation_id": "t"}')["total"] == 1
    assert find(metadata='{"a": 1}')["total"] == 1
    assert ask(server, f"{B}/memory/ben?page=0").status == 400
    assert ask(server, f"{B}/memory/ben", "DELETE").json == {"count": 2}


@pytest.mark.parametrize("path", ["usage", "log"])
@pytest.mark.parametrize("header", ["x_user", "x-user"])
def test_what_clients_say(server: MediaryServer, path: str, header: str) -> None:
    body = json.dumps({"model": "m", "total_tokens": 7}).encode()

    with server.open(f"{B}/{path}", raw=body, method="POST", headers={"content-type": JSON, header: "carl"}) as answer:
        assert (answer.status, answer.read()) == (200, b"{}")


def test_the_usage_of_a_day(server: MediaryServer) -> None:
    say(server, f"{B}/usage", {"model": "m"}, x_user="dora")

    with server.open(f"{B}/usage/{datetime.now(UTC).date().isoformat()}") as answer:
        told = [json.loads(line) for line in answer.read().splitlines()]

    assert any(line["user"] == "dora" and line["source"] == "client" for line in told)
    assert ask(server, f"{B}/usage/2001-01-01").status == 404


def test_statistics(server: MediaryServer) -> None:
    server.converse("Hello", provider="Local", headers={"x-user": "emil"})

    found = server.get_json(f"{B}/stats?user=emil")
    while not found["totals"]["requests"]:  # a turn is written right behind its answer
        found = server.get_json(f"{B}/stats?user=emil")

    assert set(found) == {"days", "models", "providers", "users", "totals"}
    assert len(found["days"]) == 30
    assert len(server.get_json(f"{B}/stats?days=3")["days"]) == 3
    sums = {"requests", "prompt_tokens", "completion_tokens", "saved_tokens", "total_tokens"}
    assert sums <= set(found["totals"])
    assert [user["name"] for user in found["users"]] == ["emil"]


def test_synthesize(server: MediaryServer) -> None:
    answer = ask(server, f"{B}/synthesize/Local?text=Good+morning&format=wav")

    assert (answer.status, answer.body[:4]) == (200, b"RIFF")
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["cache-control"] == "max-age=604800"


def test_health(server: MediaryServer, locked: MediaryServer) -> None:
    for path in ("/healthz", "/readyz"):
        assert ask(server, path).status == ask(locked, path).status == 200
    metrics = ask(server, "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert b"mediary_" in metrics.body


def test_a_run_is_found_again(server: MediaryServer) -> None:
    question = {"messages": [{"role": "user", "content": "Hello"}], "provider": "Local", "detach": True}
    with server.open(f"{B}/conversation", question) as answer:
        run, body = answer.headers["x-run-id"], answer.read()

    assert server.get(f"{B}/runs/{run}/events") == body
    later = server.get(f"{B}/runs/{run}/events", headers={"last-event-id": "2"})
    assert later.startswith(b"id: 3\n")
    assert body.endswith(later)
    assert server.get_json(f"{B}/runs/{run}")["state"] == "finished"
    assert ask(server, f"{B}/runs/{run}/cancel", "POST").json["state"] == "finished"
    assert ask(server, f"{B}/runs/{'0' * 32}/events").status == 404
