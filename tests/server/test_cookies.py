"""`/backend-api/v2/upload_cookies` through HTTP: files go in, domains come out, values never do."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.server.forms import form
from tests.servers.mediary import MediaryServer

PATH = "/backend-api/v2/upload_cookies"
SECRET = "s3cret-v4lue"
SETTINGS = '[providers.Chat]\nwire = "openai"\nbase_url = "https://chat.example.com/v1"\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path_factory.mktemp("cookies") / "data", settings=SETTINGS) as running:
        yield running


@pytest.fixture(autouse=True)
def empty(server: MediaryServer) -> Iterator[None]:
    yield
    for domain in domains(server):
        server.open(f"{PATH}/{domain}", method="DELETE").close()


def domains(server: MediaryServer) -> dict[str, Any]:
    return {entry["domain"]: entry for entry in server.get_json(PATH)}


def send(server: MediaryServer, name: str, content: bytes, field: str = "file", **fields: str) -> tuple[int, str]:
    body, content_type = form(fields, {name: content}, field)
    with server.open(PATH, method="POST", raw=body, headers={"content-type": content_type}) as response:
        return response.status, response.read().decode()


def test_cookies_come_in_and_no_value_goes_out(server: MediaryServer):
    listed = [
        {"name": "session", "value": SECRET, "domain": ".example.com", "expirationDate": 4_000_000_000},
        {"name": "other", "value": SECRET, "domain": "example.org"},
    ]
    assert send(server, "export.json", json.dumps(listed).encode()) == (200, "File saved")
    assert server.get_json(PATH) == [
        {"domain": "example.com", "names": ["session"], "expires": 4_000_000_000.0},
        {"domain": "example.org", "names": ["other"], "expires": None},
    ]
    kept = [path for path in server.data.rglob("*") if path.is_file()]
    assert any(path.name == "seal.key" for path in kept)
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
    assert SECRET not in server.output()


def test_a_har_file_is_read_for_the_providers_that_are_configured(server: MediaryServer):
    entries = [
        {
            "request": {
                "url": f"https://{host}/api",
                "headers": [{"name": "authorization", "value": f"Bearer {SECRET}"}],
                "cookies": [{"name": "session", "value": SECRET}],
            },
            "response": {},
        }
        for host in ("chat.example.com", "tracker.example.net")
    ]
    assert send(server, "session.har", json.dumps({"log": {"entries": entries}}).encode()) == (200, "File saved")
    assert server.get_json(PATH) == [
        {"domain": "chat.example.com", "names": ["session", "Authorization"], "expires": None}
    ]
    assert not [path for path in server.data.rglob("*") if path.is_file() and b"tracker" in path.read_bytes()]


def har(*entries: Any, size: int) -> bytes:
    """A HAR file with a large answer in it."""
    filling = {"request": {}, "response": {"content": {"text": "x" * size}}}
    return json.dumps({"log": {"entries": [filling, *entries]}}).encode()


def test_a_large_har_file_is_read_like_a_small_one(server: MediaryServer):
    request = {"url": "https://chat.example.com/api", "cookies": [{"name": "session", "value": SECRET}]}
    assert send(server, "session.har", har({"request": request}, size=3_000_000)) == (200, "File saved")
    assert server.get_json(PATH) == [{"domain": "chat.example.com", "names": ["session"], "expires": None}]
    status, body = send(server, "session.har", har(size=3_000_000))
    assert (status, "no cookies of a provider that is configured here" in body) == (400, True)
    status, body = send(server, "mine.json", b" " * 2_000_000 + b'{"a": "1"}')
    assert (status, json.loads(body)["error"]["message"].count("domain:")) == (422, 1)


def test_what_is_made_to_take_all_memory_is_refused(server: MediaryServer):
    """Each header of three bytes becomes an object of a hundred."""
    headers = b",".join([b"{}"] * 24_000_000)
    status, body = send(server, "a.har", b'{"log":{"entries":[{"request":{"headers":[' + headers + b"]}}]}}")
    assert (status, "memory" in body) == (415, True)


def test_a_file_of_cookies_alone_is_no_larger_than_it_can_be(server: MediaryServer):
    status, body = send(server, "a.txt", b"a.b\tTRUE\t/\tFALSE\t0\ta\tb\n" * 800_000)
    assert (status, "16777216" in body) == (413, True)


def test_an_object_goes_to_the_domain_that_is_said(server: MediaryServer):
    assert send(server, "mine.json", b'{"a": "1"}')[0] == 422
    assert send(server, "mine.json", b'{"a": "1"}', domain="example.com") == (200, "File saved")
    assert list(domains(server)) == ["example.com"]


def test_deleted_is_forgotten(server: MediaryServer):
    send(server, "example.com.json", b'{"a": "1"}')
    with server.open(f"{PATH}/example.com", method="DELETE") as response:
        assert (response.status, json.load(response)) == (200, {"message": "Cookies deleted"})
    with server.open(f"{PATH}/example.com", method="DELETE") as response:
        assert response.status == 404
    assert domains(server) == {}


def test_twenty_at_once_all_stay(server: MediaryServer):
    with ThreadPoolExecutor(20) as threads:
        answers = threads.map(lambda at: send(server, "example.com.json", b'{"n%d": "1"}' % at)[0], range(20))
        assert set(answers) == {200}
    assert len(domains(server)["example.com"]["names"]) == 20


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("cookies.txt", b"", 400, "holds no cookies"),
        ("cookies.exe", b"MZ", 400, "come as"),
        ("session.har", b"{}", 400, "no HAR file"),
        ("a.json", b"\xff\xfe", 400, "no list of cookies"),
    ],
)
def test_what_is_none_is_told(server: MediaryServer, name: str, content: bytes, status: int, words: str):
    answered, body = send(server, name, content)
    assert answered == status
    assert words in body


def test_without_a_file_it_says_what_lacks(server: MediaryServer):
    assert send(server, "a.json", b"{}", field="other")[0] == 422


def test_the_other_paths_are_as_ever(server: MediaryServer):
    with server.open(PATH, method="PUT") as response:
        assert response.status == 405
