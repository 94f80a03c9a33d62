"""`/backend-api/v2/chat/<id>` and `/share/<id>` through HTTP: with a key and without, garbage included."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from tests.servers.mediary import MediaryServer, clean_environment, media_urls

CHAT = "/backend-api/v2/chat"
KEY = {"authorization": "Bearer hunter2-hunter2"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    """Without a key, with small chats."""
    folder = tmp_path_factory.mktemp("shares") / "data"
    with MediaryServer(folder, settings="[shares]\nmax_bytes = 20000\n") as running:
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    folder = tmp_path_factory.mktemp("locked") / "data"
    with MediaryServer(folder, settings='[server]\nkey = "hunter2-hunter2"\n') as running:
        yield running


@pytest.fixture
def share() -> str:
    """An id as clients make it."""
    return str(uuid4())


def chat(updated: int | None = 1763596800000, text: str = "Hello", **more: Any) -> dict[str, Any]:
    said = {} if updated is None else {"updated": updated}
    return {"title": "A talk", **said, "items": [{"role": "user", "content": text}], **more}


def ask(
    server: MediaryServer, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
) -> tuple[int, Any, HTTPResponse]:
    """The status, the JSON if it is some, and the answer."""
    with server.open(path, body, headers=headers, **options) as response:
        content = response.read()
        is_json = content and response.headers["content-type"] == "application/json"
        return response.status, json.loads(content) if is_json else content.decode(), response


def make(server: MediaryServer, share: str, body: Any = None, headers: Mapping[str, str] | None = None) -> str:
    """Share a chat; the edit token."""
    status, answer, _ = ask(server, f"{CHAT}/{share}", body or chat(), headers)
    assert (status, answer["share_id"]) == (200, share)
    token: str = answer["edit_token"]
    return token


def test_a_chat_comes_back_byte_for_byte(server: MediaryServer, share: str):
    raw = '{ "updated":17.5,"x":[null,1e2], "title" : "Ж\\u0000" }'.encode()
    status, answer, response = ask(server, f"{CHAT}/{share}", raw=raw)
    assert status == 200
    assert set(answer) == {"share_id", "edit_token"}
    assert response.headers["x-revision"] == "1"
    with server.open(f"{CHAT}/{share}?now=1") as response:
        assert response.read() == raw
        assert response.headers["etag"] == '"17.5"'
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "private, no-cache"
    assert ask(server, f"{CHAT}/{share}", method="HEAD")[0] == 200


@pytest.mark.parametrize(
    "shown", ["1763596800000", '"1763596800000"', 'W/"1763596800000"', '"x", "1763596800000"', "*", " 1763596800000 "]
)
def test_what_a_client_has_is_not_sent_again(server: MediaryServer, share: str, shown: str):
    make(server, share)
    status, content, response = ask(server, f"{CHAT}/{share}", headers={"if-none-match": shown})
    assert (status, content, response.headers["etag"]) == (304, "", '"1763596800000"')


@pytest.mark.parametrize("shown", ["1763596800001", '"r1"', "", ",", "undefined", "-1"])
def test_what_it_does_not_have_is_sent(server: MediaryServer, share: str, shown: str):
    make(server, share)
    assert ask(server, f"{CHAT}/{share}", headers={"if-none-match": shown})[0] == 200


def test_a_share_is_changed_with_its_token_alone(server: MediaryServer, share: str):
    token = make(server, share)
    path = f"{CHAT}/{share}"
    for headers in ({}, {"x-edit-token": "x" + token[1:]}, {"cookie": "mediary_edit_token=no"}, KEY):
        assert ask(server, path, chat(1763596800001), headers)[0] == 403
        assert ask(server, path, method="DELETE", headers=headers)[0] == 403
    status, answer, response = ask(server, path, chat(1763596800001), {"x-edit-token": token})
    assert (status, answer, response.headers["x-revision"]) == (200, {"share_id": share}, "2")
    assert ask(server, path, method="DELETE", headers={"x-edit-token": token})[0] == 200
    for method in ("GET", "DELETE"):
        assert ask(server, path, method=method, headers={"x-edit-token": token})[0] == 404
    assert make(server, share, chat(5)) != token


def test_a_browser_is_given_the_token_as_a_cookie(server: MediaryServer, share: str):
    with server.open(f"{CHAT}/{share}", chat()) as response:
        token = json.loads(response.read())["edit_token"]
        given = response.headers.get_all("set-cookie")
    for place, cookie in zip(("chat", "files"), given, strict=True):
        parts = [part.strip().lower() for part in cookie.split(";")]
        assert f"path=/backend-api/v2/{place}/{share}" in parts
        assert {"httponly", "samesite=strict"} < set(parts)
    status, _, response = ask(server, f"{CHAT}/{share}", chat(1763596800002), {"cookie": f"mediary_edit_token={token}"})
    assert status == 200
    assert response.headers["set-cookie"] is None


def test_who_takes_a_share_for_a_bucket_deletes_it(server: MediaryServer, share: str):
    token = make(server, share)
    files = f"/backend-api/v2/files/{share}"
    assert ask(server, files, method="DELETE")[0] == 403
    assert ask(server, files, method="DELETE", headers={"cookie": f"mediary_edit_token={token}"})[0] == 200
    assert ask(server, f"{CHAT}/{share}")[0] == 404
    status, answer, _ = ask(server, files, method="DELETE")
    assert (status, "bucket" in answer["error"]["message"]) == (404, True)


def test_an_older_state_is_a_conflict_and_the_same_again_is_not(server: MediaryServer, share: str):
    token = {"x-edit-token": make(server, share)}
    path = f"{CHAT}/{share}"
    assert ask(server, path, chat(), token)[:2] == (200, {"share_id": share})
    assert ask(server, path, chat())[:2] == (200, {"share_id": share})
    for late in (chat(1763596799999), chat(text="else")):
        status, answer, _ = ask(server, path, late, token)
        assert (status, answer["error"]["code"]) == (409, "conflict")
    assert ask(server, path, chat(None), token)[0] == 200


def test_with_a_key_who_shows_it_owns_what_was_made_with_it(locked: MediaryServer, share: str):
    path = f"{CHAT}/{share}"
    assert ask(locked, path, chat())[0] == 401
    with locked.open(path, chat(), headers=KEY) as response:
        assert response.headers["set-cookie"] is None
        token = json.loads(response.read())["edit_token"]
    assert ask(locked, path, chat(1763596800001), KEY)[0] == 200
    for read in (path, f"/share/{share}", f"/chat/{share}"):
        assert ask(locked, read)[0] == 401
        assert ask(locked, read, headers={"x-edit-token": token})[0] == 401
        assert ask(locked, read, headers=KEY)[0] in (200, 302)
    assert ask(locked, path, method="DELETE", headers=KEY)[0] == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"a": NaN}', 400),
        (b'{"a": "\x00"}', 400),
        (b'{"a": "\xff"}', 400),
        (b'{"a":' + b"[" * 9000, 400),
        (b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", 400),
        (b'{"updated": "now"}', 422),
        (b'{"updated": 1e308}', 422),
        (b'{"updated": -1}', 422),
        (b'{"a": "' + b"x" * 20_000 + b'"}', 413),
    ],
)
def test_garbage_is_refused(server: MediaryServer, share: str, raw: bytes, status: int):
    got, answer, _ = ask(server, f"{CHAT}/{share}", raw=raw)
    assert got == status
    assert set(answer["error"]) == {"code", "message"}
    assert ask(server, f"{CHAT}/{share}")[0] == 404


@pytest.mark.parametrize("raw_id", ["%2E%2E", "%00", "x" * 101, "%5C..%5Cx", "%20", "%ED%A0%80" * 40])
def test_an_id_that_is_none_is_refused(server: MediaryServer, raw_id: str):
    for method, body in (("GET", None), ("POST", chat()), ("DELETE", None)):
        assert ask(server, f"{CHAT}/{raw_id}", body, method=method)[0] in (400, 404)
    assert ask(server, f"/share/{raw_id}")[0] == 404


def test_a_name_is_an_id_too(server: MediaryServer):
    status, answer, _ = ask(server, f"{CHAT}/{quote('Reise nach Köln')}", chat())
    assert (status, answer["share_id"]) == (200, "Reise_nach_Köln")
    assert ask(server, f"{CHAT}/{quote('Reise nach Köln')}")[0] == 200
    assert ask(server, f"/share/{quote('Reise_nach_Köln')}")[0] == 200


def test_of_twenty_who_share_at_once_one_does(server: MediaryServer, share: str):
    def post(number: int) -> int:
        return ask(server, f"{CHAT}/{share}", chat(text=f"{number}"))[0]

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(post, range(20)))
    assert statuses == [200] + [403] * 19


def test_the_page_is_read_without_a_script(server: MediaryServer, share: str):
    make(server, share, chat(text="**Bold** <script>alert(1)</script>"))
    status, page, response = ask(server, f"/share/{share}")
    assert status == 200
    assert "<strong>Bold</strong> &lt;script&gt;" in page
    assert response.headers["content-security-policy"].startswith("default-src 'none'; img-src 'self'")
    for name, value in {
        "content-type": "text/html; charset=utf-8",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-robots-tag": "noindex, nofollow",
    }.items():
        assert response.headers[name] == value
    etag = response.headers["etag"]
    status, page, response = ask(server, f"/share/{share}", headers={"if-none-match": etag})
    assert (status, page, response.headers["etag"]) == (304, "", etag)
    assert ask(server, f"/share/{share}", headers={"if-none-match": '"1763596800000"'})[0] == 200


def test_a_page_that_is_not_there_says_so(server: MediaryServer, share: str):
    status, page, response = ask(server, f"/share/{share}")
    assert (status, response.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such chat" in page
    assert ask(server, f"/chat/{share}")[0] == 404


def test_a_link_of_before_leads_to_the_page(server: MediaryServer, share: str):
    make(server, share)
    status, _, response = ask(server, f"/chat/{share}")
    assert (status, response.headers["location"]) == (302, f"/share/{share}")


def test_a_picture_that_a_share_shows_is_not_deleted_in_passing(server: MediaryServer, share: str):
    [url] = media_urls(server.converse("a harbour", provider="Local", model="picture"))
    token = {"x-edit-token": make(server, share, chat(text=f"[![x]({url})]({url})"))}
    item = f"/backend-api/v2{url}"
    status, answer, _ = ask(server, item, method="DELETE")
    assert (status, answer["error"]["code"]) == (409, "conflict")
    assert share in answer["error"]["message"]
    assert ask(server, f"{CHAT}/{share}", chat(1763596800001), token)[0] == 200
    assert ask(server, item, method="DELETE")[0] == 200
    assert ask(server, f"{item}/restore", method="POST")[0] == 200
    assert ask(server, f"{CHAT}/{share}", chat(1763596800002, text=url), token)[0] == 200
    assert ask(server, item, method="DELETE")[0] == 409
    assert ask(server, f"{item}?force=true", method="DELETE")[0] == 200
    assert ask(server, f"/share/{share}")[0] == 200


def test_the_command_line_asks_twice_for_such_a_picture(server: MediaryServer, share: str):
    [url] = media_urls(server.converse("a pier", provider="Local", model="picture"))
    make(server, share, chat(text=url))
    command = [sys.executable, "-m", "mediary", "media", "rm", url, "--data", str(server.data)]
    for more, code in (((), 1), (("--force",), 0)):
        ran = subprocess.run([*command, *more], env=clean_environment(), capture_output=True, text=True, timeout=60)
        assert ran.returncode == code, ran.stderr
        assert (share in ran.stderr) is (code == 1)


def test_what_the_system_before_shared_is_read(server: MediaryServer, share: str):
    folder = server.data / "har_and_cookies" / "buckets" / share
    folder.mkdir(parents=True)
    (folder / "chat.json").write_text(json.dumps(chat()), encoding="utf-8")
    assert ask(server, f"{CHAT}/{share}")[1] == chat()
    assert ask(server, f"{CHAT}/{share}", headers={"if-none-match": "1763596800000"})[0] == 304
    assert "Hello" in ask(server, f"/share/{share}")[1]


def test_shares_stay_when_the_server_is_killed(tmp_path: Path, share: str):
    server = MediaryServer(tmp_path / "data").start()
    token = make(server, share)
    server.kill()
    with server:
        assert ask(server, f"{CHAT}/{share}")[1] == chat()
        assert ask(server, f"{CHAT}/{share}", method="DELETE", headers={"x-edit-token": token})[0] == 200
    assert token not in server.output()
