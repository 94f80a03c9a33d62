"""CONTRACT.md, its first page: each status in its form, and the words of a query."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.bucket_client import Answer, ask, post, upload
from tests.server.forms import form
from tests.servers.contract_peers import Peers
from tests.servers.mediary import MediaryServer
from tests.servers.refusing import RETRY_AFTER, SAID
from tests.uploads.pictures import png

B = "/backend-api/v2"
JSON = "application/json"
KEY = {"authorization": "Bearer hunter2-hunter2"}


def code(answer: Answer) -> tuple[int, str]:
    """The status and the code, of an error in its form that tells nothing of the server."""
    assert answer.headers["content-type"] == JSON
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"code", "message"}
    assert b"Traceback" not in answer.body
    assert b"/data/" not in answer.body
    return answer.status, answer.json["error"]["code"]


def test_400_malformed(server: MediaryServer) -> None:
    assert code(post(server, f"{B}/conversation", b"{", JSON)) == (400, "bad_request")


@pytest.mark.parametrize("shown", [{}, {"authorization": "Bearer wrong"}])
def test_401_no_or_bad_key(locked: MediaryServer, shown: dict[str, str]) -> None:
    answer = ask(locked, f"{B}/models", **shown)

    assert code(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"]


def test_403_not_yours(server: MediaryServer) -> None:
    chat = b'{"title": "Mine", "items": []}'
    assert post(server, f"{B}/chat/mine", chat, JSON).status == 200

    assert code(ask(server, f"{B}/chat/mine", "DELETE")) == (403, "forbidden")


@pytest.mark.parametrize(
    "path",
    ["/nothing", f"{B}/models/Nobody", "/media/none.png", f"{B}/files/none", f"{B}/chat/none", f"{B}/media/none"],
)
def test_404_unknown(server: MediaryServer, path: str) -> None:
    assert code(ask(server, path)) == (404, "not_found")


def test_409_conflict(server: MediaryServer) -> None:
    chat = {"title": "Tea", "updated": 5, "items": []}
    token = post(server, f"{B}/chat/old", json.dumps(chat).encode(), JSON).json["edit_token"]

    answer = post(server, f"{B}/chat/old", json.dumps(chat | {"updated": 4}).encode(), JSON, x_edit_token=token)

    assert code(answer) == (409, "conflict")


def test_413_too_large(locked: MediaryServer) -> None:
    assert code(post(locked, f"{B}/conversation", b"x" * 3000, JSON, **KEY)) == (413, "too_large")


def test_415_unsupported_type(server: MediaryServer) -> None:
    question = json.dumps({"provider": "Local", "messages": [{"content": "Look"}]})

    answer = post(server, f"{B}/conversation", *form({"json": question}, {"a.exe": b"MZ\x00\x01\x02"}))

    assert code(answer) == (415, "unsupported_type")


@pytest.mark.parametrize(("field", "value"), [("messages", []), ("temperature", "hot"), ("steps", 0)])
def test_422_names_the_field(server: MediaryServer, field: str, value: object) -> None:
    question = {"messages": [{"role": "user", "content": "Hello"}], "provider": "Local", field: value}

    answer = post(server, f"{B}/conversation", json.dumps(question).encode(), JSON)

    assert code(answer) == (422, "invalid_field")
    assert answer.error.startswith(field)


def test_a_message_does_not_repeat_a_megabyte(server: MediaryServer) -> None:
    body, kind = form({}, {"hill.png": png(5, 5)})
    [added] = post(server, f"{B}/media", body, kind).json["results"]

    with server.open(f"{B}/media/{added['name']}", {"k" * 1_000_000: 1}, method="PATCH") as refused:
        said = refused.read()

    assert (refused.status, len(json.loads(said)["error"]["message"])) == (422, 2000)


def send(server: MediaryServer, provider: str) -> Answer:
    return post(server, f"{B}/uploads", *form({"provider": provider}, {"hill.png": png(4, 4)}))


def test_429_says_when_to_come_again(server: MediaryServer) -> None:
    answer = send(server, "Limited")

    assert code(answer) == (429, "rate_limited")
    assert answer.headers["retry-after"] == str(RETRY_AFTER)


def test_502_has_the_providers_words(server: MediaryServer) -> None:
    answer = send(server, "Refused")

    assert answer.status == code(answer)[0] == 502
    assert SAID[400] in answer.error


def test_504_timed_out(server: MediaryServer, peers: Peers) -> None:
    part = {"type": "image_url", "image_url": {"url": f"{peers.refusing}/silent/a.png"}}
    question = {"provider": "Local", "messages": [{"role": "user", "content": [part]}]}

    answer = post(server, f"{B}/conversation", json.dumps(question).encode(), JSON)

    assert code(answer) == (504, "download_timed_out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_507_no_space(tmp_path: Path, small_disk: Path) -> None:
    with MediaryServer(tmp_path / "server", settings=f'[buckets]\nfolder = "{small_disk}"\n') as server:
        assert code(upload(server, "full", {"large.txt": b"x" * 2_000_000})) == (507, "no_space")
        server.stop()


@pytest.mark.parametrize("said", ["true", "1", "yes", "on", "TRUE", "Yes"])
def test_what_is_true(server: MediaryServer, said: str) -> None:
    assert server.get_json(f"{B}/media?trashed={said}")["items"] == []
    assert ask(server, f"/search/image?random={said}").status in (302, 404)


@pytest.mark.parametrize("said", ["false", "0", "no", "off", "", "FALSE", "No"])
@pytest.mark.parametrize("path", ["/media/none.png?download=", f"{B}/media?trashed="])
def test_what_is_false(server: MediaryServer, path: str, said: str) -> None:
    assert ask(server, path + said).status in (200, 404)


@pytest.mark.parametrize(
    "path",
    [
        f"{B}/media?trashed=maybe",
        f"{B}/media?limit=many",
        f"{B}/create?prompt=Hello&json=maybe",
        f"{B}/create?prompt=Hello&n=x",
        f"{B}/stats?days=x",
        f"{B}/runs?limit=x",
        f"{B}/uploads?limit=x",
        f"{B}/memory/anna?page=x",
        "/search/image?min=x",
        "/search/image?skip=x",
        "/search/image?limit=0",
        f"{B}/synthesize/Local?text=a&speed=x",
    ],
)
def test_what_is_neither_is_a_bad_request(server: MediaryServer, path: str) -> None:
    assert code(ask(server, path)) == (400, "bad_request")


def test_a_bucket_is_asked_in_booleans(server: MediaryServer) -> None:
    upload(server, "booleans", {"a.md": b"One"})

    for name in ("delete_files", "refine_chunks_with_spacy"):
        assert code(ask(server, f"{B}/files/booleans?{name}=maybe")) == (400, "bad_request")
