"""`/backend-api/v2/memory/<user>` through HTTP, on a server as people run it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.mediary import MediaryServer

PATH = "/backend-api/v2/memory"
SETTINGS = '[providers.Local]\nwire = "local"\n\n[memory]\nresults = 3\nmax_item_bytes = 1024\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path_factory.mktemp("memory") / "data", settings=SETTINGS) as running:
        yield running


@pytest.fixture
def user(server: MediaryServer, request: pytest.FixtureRequest) -> str:
    """Somebody whom no other test knows."""
    return request.node.name


def keep(server: MediaryServer, user: str, *items: Any, **more: Any) -> Any:
    listed = [{"role": "user", "content": item} if isinstance(item, str) else item for item in items]
    with server.open(f"{PATH}/{quote(user, safe='')}", {"items": listed} | more) as response:
        body = json.loads(response.read())
        assert response.status == 200, body
        return body


def find(server: MediaryServer, user: str, **query: Any) -> Any:
    asked = urlencode({name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()})
    return server.get_json(f"{PATH}/{quote(user, safe='')}?{asked}")


def delete(server: MediaryServer, path: str) -> tuple[int, Any]:
    with server.open(f"{PATH}/{path}", method="DELETE") as response:
        return response.status, json.loads(response.read())


def test_items_are_kept_listed_and_found(server: MediaryServer, user: str):
    assert keep(server, user, "I take my tea without milk", "My cat is called Miezi", id="c1") == {"count": 2}
    page = find(server, user)
    assert (page["total"], page["page"]) == (2, 1)
    newest = page["results"][0]
    assert newest["memory"] == "My cat is called Miezi"
    assert (newest["role"], newest["user_id"], newest["metadata"]) == ("user", user, {"conversation_id": "c1"})
    assert newest["created_at"].endswith("Z")
    assert "score" not in newest
    found = find(server, user, search="How do I drink tea?")
    assert [item["memory"] for item in found["results"]] == ["I take my tea without milk"]
    assert found["results"][0]["score"] == 1


def test_a_conversation_as_the_existing_client_sends_it(server: MediaryServer, user: str):
    conversation = {
        "id": "7b6f-11", "title": "Tea", "added": 1, "updated": 2, "system": None, "new_title": None,
        "items": [
            {"role": "user", "content": "Which tea is green?", "regenerate": False},
            {"role": "assistant", "content": "Sencha", "provider": {"name": "OpenAI"}, "usage": {}},
            {"role": "user", "content": [{"type": "text", "text": "And this?"},
                                         {"type": "image_url", "image_url": {"url": "/media/x.png"}}]},
            {"role": "assistant", "content": None},
        ],
    }  # fmt: skip
    with server.open(f"{PATH}/{user}", conversation, headers={"x_api_key": "null"}) as response:
        assert json.loads(response.read()) == {"count": 3}
    page = find(server, user, filters={"conversation_id": "7b6f-11", "role": "user"})
    assert [item["memory"] for item in page["results"]] == ["And this?", "Which tea is green?"]


def test_filters_pages_and_deleting(server: MediaryServer, user: str):
    keep(server, user, *({"content": f"Note {n}", "metadata": {"even": n % 2 == 0}} for n in range(10)))
    assert find(server, user, metadata={"even": True})["total"] == 5
    assert find(server, user, metadata={"even": 1})["total"] == 0
    assert find(server, user, filters={"even": True}, metadata={"even": False})["total"] == 0
    second = find(server, user, page=2, page_size=4)
    assert [item["memory"] for item in second["results"]] == ["Note 5", "Note 4", "Note 3", "Note 2"]
    assert find(server, user, page=10**9, page_size=1000)["results"] == []
    number = second["results"][0]["id"]
    assert delete(server, f"{user}/{number}")[0] == 200
    assert delete(server, f"{user}/{number}")[0] == 404
    assert delete(server, f"{user}?metadata={quote(json.dumps({'even': True}))}") == (200, {"count": 5})
    assert delete(server, user) == (200, {"count": 4})
    assert find(server, user) == {"results": [], "total": 0, "page": 1}


def test_nothing_else_is_deleted_than_what_was_meant(server: MediaryServer, user: str):
    keep(server, user, "One", "Two")
    number = find(server, user)["results"][0]["id"]
    assert delete(server, quote(f"{user}/{number}", safe=""))[0] == 422  # a user with a slash, whom nobody can be
    for query in ("search=One", "filter=%7B%22role%22%3A%22x%22%7D", "metadata=%7B%7D&page=1"):
        assert delete(server, f"{user}?{query}")[0] == 422
    assert find(server, user)["total"] == 2


USERS = (
    "ann",
    "Ann",
    "ann ",
    "ann_1",
    "1_ann",
    "1",
    "änn",
    "a\u0308nn",
    "猫",
    "ann%",
    "%2e",
    "ann?x",
    "ann;x",
    "\uff41nn",
)
WORDS = ("tea", "milk", "1_tea", "2_tea", "ann", "Tee", "猫")
steps = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from(("keep", "keep", "find", "delete")), st.sampled_from(WORDS)),
    max_size=15,
)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_each_user_finds_just_what_they_kept(server: MediaryServer, done: list[tuple[str, str, str]]):
    kept: dict[str, set[str]] = {name: set() for name in USERS}
    for name in USERS:
        delete(server, quote(name, safe=""))
    for name, what, word in done:
        text = f"{word} of {name!r}"
        if what == "keep":
            keep(server, name, text)
            kept[name].add(text)
        elif what == "delete":
            assert delete(server, quote(name, safe="")) == (200, {"count": len(kept[name])})
            kept[name].clear()
        else:
            found = {item["memory"] for item in find(server, name, search=word)["results"]}
            assert {text} & kept[name] <= found <= kept[name]
    for name, texts in kept.items():
        assert {item["memory"] for item in find(server, name)["results"]} == texts


WRONG_BODIES: list[tuple[bytes, int]] = [
    (b"", 400), (b"nonsense", 400), (b"[]", 400), (b"\xff", 400), (b'{"items": 1}', 422), (b"{}", 422),
    (b'{"items": [1]}', 422), (b'{"items": [{"content": 1}]}', 422),
    (b'{"items": [{"content": "x", "role": {}}]}', 422),
    (b'{"items": [{"content": "x", "metadata": []}]}', 422),
    (b'{"items": [{"content": "' + b"x" * 1025 + b'"}]}', 413),
    (b'{"items": [{"content": "x", "role": "' + b"r" * 600 + b'"}]}', 422),
    (b'{"items": [{"content": "x"}], "id": "' + b"i" * 600 + b'"}', 422),
    (b'{"items": [' + b'{"content": ""},' * 5001 + b"{}]}", 422),
    (b'{"items": [{"metadata": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}]}", 400),
    (b'{"items": [{"content": "x", "metadata": ' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}]}", 422),
    (b'{"items": [{"content": "x", "metadata": {"n": 1' + b"0" * 5000 + b"}}]}", 413),
]  # fmt: skip


def test_what_cannot_be_kept(server: MediaryServer, user: str):
    for body, status in WRONG_BODIES:
        with server.open(f"{PATH}/{user}", raw=body, method="POST") as response:
            answer = json.loads(response.read())
            assert response.status == status or (status == 413 and response.status in (400, 422)), (body[:60], answer)
            assert answer["error"]["message"]
    assert find(server, user)["total"] == 0


def test_what_cannot_be_asked(server: MediaryServer, user: str):
    for query in (
        "page=0", "page=x", "page=-1", f"page={10**30}", "page_size=0", "page_size=1001", "filters=x", "filters=[]",
        "filters=1", 'filters={"a":[1]}', 'filters={"a":', f"filters={quote('[' * 5000)}", "metadata=%ff",
        "filters=" + quote(json.dumps({str(n): 1 for n in range(40)})),
    ):  # fmt: skip
        with server.open(f"{PATH}/{user}?{quote(query, safe='%=&')}") as response:
            assert response.status in (400, 422), query
    for path in ("x" * 129, "a%00b", "a%0Ab"):
        with server.open(f"{PATH}/{path}") as response:
            assert response.status == 422, path
    assert find(server, user, search='"*^:()\0 NEAR AND', filters="null")["total"] == 0


def test_twenty_posts_of_the_same_at_once(server: MediaryServer, user: str):
    items = [f"Fact number {n}" for n in range(50)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: keep(server, user, *items), range(20)))
    assert answers == [{"count": 50}] * 20
    page = find(server, user)
    assert sorted(item["memory"] for item in page["results"]) == sorted(items)
    assert {item["count"] for item in page["results"]} == {20}


def test_a_conversation_is_told_what_bears_on_it(server: MediaryServer, user: str):
    keep(server, user, "The spare key lies under the blue flowerpot", "I like green tea", "We meet on Thursdays")
    events = server.converse("Where is the spare key?", provider="Local", memory=user)
    logs = [event["log"] for event in events if event["type"] == "log"]
    assert "from memory: 1 item" in logs
    said = "".join(event["content"] for event in events if event["type"] == "content")
    assert "flowerpot" in said
    assert find(server, user)["total"] == 3  # nothing is written that nobody asked to keep


def test_the_memory_of_who_asks(server: MediaryServer, user: str):
    keep(server, user, "The spare key lies under the blue flowerpot")
    events = server.converse("Where is the spare key?", provider="Local", memory=True, headers={"x-user": user})
    assert "from memory: 1 item" in [event["log"] for event in events if event["type"] == "log"]
    events = server.converse("Where is the spare key?", provider="Local", memory=True, headers={"x-user": "nobody"})
    assert "from memory: no items" in [event["log"] for event in events if event["type"] == "log"]
    events = server.converse("Where is the spare key?", provider="Local", headers={"x-user": user})
    assert not [event for event in events if event["type"] == "log" and "memory" in event["log"]]
    keep(server, "Jürgen 猫", "The spare key lies under the mat")
    label = "Jürgen 猫".encode().decode("latin-1")  # as a command line sends it
    events = server.converse("Where is the spare key?", provider="Local", memory=True, headers={"x-user": label})
    assert "from memory: 1 item" in [event["log"] for event in events if event["type"] == "log"]
    for fields in ({"memory": True}, {"memory": "x" * 200}):
        question = {"provider": "Local", "messages": [{"role": "user", "content": "Hello"}]} | fields
        with server.open("/backend-api/v2/conversation", question) as response:
            assert response.status == 422, fields


def test_a_server_that_is_killed_keeps_all_items_of_a_request_or_none(tmp_path: Path):
    log = tmp_path / "data" / "mediary.db-wal"
    items = [f"Fact {n}: " + " ".join(f"word{n}x{m}" for m in range(30)) for n in range(4000)]
    server = MediaryServer(tmp_path / "data", settings='[providers.Local]\nwire = "local"\n')
    with ThreadPoolExecutor(1) as pool, server:
        keep(server, "ann", "The first")
        before = log.stat().st_size

        def post() -> None:
            with pytest.raises((OSError, HTTPException)):
                keep(server, "ann", *items)

        posting = pool.submit(post)
        while log.stat().st_size < before + 1_000_000:  # SQLite writes of what is not yet whole
            assert not posting.done()
        server.kill()
        posting.result()
        server.start()
        assert find(server, "ann")["total"] in (1, 4001)
        assert find(server, "ann", search="first")["total"] >= 1
        assert keep(server, "ann", *items[:100]) == {"count": 100}
        assert find(server, "ann", search="fact")["total"] >= 100
