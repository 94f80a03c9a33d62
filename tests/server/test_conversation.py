"""`POST /backend-api/v2/conversation` through HTTP: the stream's form, what is refused and how, attachments."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from tests.server.forms import form
from tests.servers.mediary import MediaryServer, media_urls

PATH = "/backend-api/v2/conversation"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    settings = "[conversation]\nmax_attachment_bytes = 100000\n[server]\nmax_request_bytes = 400000\n"
    with MediaryServer(tmp_path_factory.mktemp("conversation") / "data", settings=settings) as running:
        yield running


def refused(server: MediaryServer, body: Any, status: int, code: str) -> str:
    with server.open(PATH, body) as response:
        answer = json.loads(response.read())
        assert (response.status, answer["error"]["code"]) == (status, code), answer
        assert response.headers["content-type"] == "application/json"
        return str(answer["error"]["message"])


def test_an_answer_is_a_stream_of_typed_events(server: MediaryServer) -> None:
    with server.open(PATH, {"provider": "Local", "messages": [{"role": "user", "content": "Hello"}]}) as response:
        headers, text = response.headers, response.read().decode()

    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    blocks = [block.split("\n") for block in text.removesuffix("\n\n").split("\n\n")]
    events = [(event.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for event, data in blocks]
    assert all(kind == event["type"] for kind, event in events)
    kinds = [kind for kind, _ in events]
    assert kinds[:2] == ["provider", "parameters"]
    assert kinds[-2:] == ["usage", "finish"]
    assert events[0][1]["provider"] == {"name": "Local", "label": "Local", "url": None, "model": "passages"}
    assert events[-1][1] == {"type": "finish", "finish": {"reason": "stop"}}


def test_a_sound_is_kept_before_it_is_announced(server: MediaryServer) -> None:
    events = server.converse("Hello", provider="Local", model="speech")

    [url] = media_urls(events)
    assert server.get(url)[:3] in (b"ID3", b"\xff\xfb\x90", b"\xff\xf3\x84") or server.get(url)[0] == 0xFF
    [content] = [event["content"] for event in events if event["type"] == "content"]
    assert content == f'<audio controls src="{url}"></audio>'
    assert (server.data / "generated_media" / url.removeprefix("/media/")).is_file()


def test_a_picture_is_kept_and_still_there_after_a_restart(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data") as server:
        events = server.converse("A quiet sea", provider="Local", model="picture", width=64, height=48)
        [url] = media_urls(events)
        before = server.get(url)
        [content] = [event for event in events if event["type"] == "content"]
        assert content["content"] == f"[![{content['alt']}]({url})]({url})"
        assert (content["width"], content["height"]) == (64, 48)

        server.restart()

        assert server.get(url) == before


def test_without_provider_and_model_the_first_configured_answers(server: MediaryServer) -> None:
    for fields in ({}, {"provider": None, "model": None}, {"provider": "AnyProvider"}, {"provider": ""}):
        assert server.converse("Hello", **fields)[0]["provider"]["model"] == "passages"


def test_a_model_alone_finds_its_provider(server: MediaryServer) -> None:
    events = server.converse("A hill", model="picture", width=16, height=16)

    assert events[0]["provider"]["name"] == "Local"
    assert media_urls(events)


def test_a_role_that_is_null_is_the_users(server: MediaryServer) -> None:
    events = server.converse("x", messages=[{"role": None, "content": "Hello"}])

    assert events[-1]["type"] == "finish"


def test_fields_that_nobody_knows_and_nulls_are_ignored(server: MediaryServer) -> None:
    events = server.converse(
        "Hello", id="1", conversation_id="2", prompt="x", ignored=[], debug_mode=True, action="next", temperature=None
    )

    assert events[-1]["type"] == "finish"


@pytest.mark.parametrize(
    ("fields", "status", "code", "said"),
    [
        ({"messages": []}, 422, "invalid_field", "messages"),
        ({"messages": None}, 422, "invalid_field", "messages"),
        ({"messages": "Hello"}, 422, "invalid_field", "messages"),
        ({"messages": [{}] * 10_001}, 422, "invalid_field", "10000"),
        ({"messages": [{"content": [{"text": "x"}] * 10_001}]}, 422, "invalid_field", "10000"),
        ({"messages": [{"tool_calls": [{"id": ["c"]}]}]}, 422, "invalid_field", "`id` of a tool call"),
        ({"temperature": "hot"}, 422, "invalid_field", "temperature"),
        ({"timeout": -1}, 422, "invalid_field", "timeout"),
        ({"provider": "Lokal"}, 404, "not_found", "did you mean Local?"),
        ({"model": "no-such-model"}, 404, "model_not_found", "no-such-model"),
        ({"provider": "Custom"}, 422, "invalid_field", "base_url"),
        ({"provider": "Local", "base_url": "https://example.org"}, 422, "invalid_field", "base_url"),
        ({"provider": "Custom", "model": "m", "base_url": "http://127.0.0.1:1"}, 400, "address_refused", "127.0.0.1"),
        ({"provider": "Custom", "model": "m", "base_url": "http://["}, 400, "bad_request", ""),
        ({"api_key": "a\nb"}, 422, "invalid_field", "api_key"),
        ({"api_key": "schlüssel"}, 422, "invalid_field", "api_key"),
    ],
)
def test_what_is_wrong_is_named(
    server: MediaryServer, fields: dict[str, Any], status: int, code: str, said: str
) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}]} | fields

    assert said in refused(server, body, status, code)


@pytest.mark.parametrize(
    ("part", "status", "code"),
    [
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, 422, "invalid_field"),
        ({"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}, 400, "address_refused"),
        ({"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}}, 400, "address_refused"),
        ({"type": "image_url", "image_url": {"url": "http://["}}, 400, "bad_request"),
        ({"type": "image_url", "image_url": {"url": "HTTP://127.0.0.1:9/x.png"}}, 400, "address_refused"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}, 400, "bad_request"),
        ({"type": "image_url", "image_url": {"url": "data:image/png"}}, 400, "bad_request"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, 415, "unsupported_type"),
        ({"type": "image_url", "image_url": {"url": "/media/none.png"}}, 404, "not_found"),
        ({"type": "image_url", "image_url": {"url": "/media/../mediary.db"}}, 404, "not_found"),
        ({"type": "image_url", "image_url": {"url": "/files/b/media/none.png"}}, 404, "not_found"),
        ({"type": "image_url", "image_url": {"url": f"data:;base64,iVBORw0KGgo{'A' * 200_000}"}}, 413, "too_large"),
        ({"type": "image_url", "image_url": {"url": f"data:;base64,{'A' * 200_000}"}}, 415, "unsupported_type"),
        ({"type": "image_url"}, 422, "invalid_field"),
        ({"type": "hologram"}, 422, "invalid_field"),
        ({}, 422, "invalid_field"),
        ({"bucket_id": "none"}, 404, "not_found"),
    ],
)
def test_a_part_that_cannot_be_had_is_refused_before_anything_is_sent(
    server: MediaryServer, part: dict[str, Any], status: int, code: str
) -> None:
    refused(server, {"messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, part]}]}, status, code)


def post(server: MediaryServer, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
    request = Request(server.url + PATH, body, {"content-type": content_type}, method="POST")
    try:
        with urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except OSError as error:
        return error.code, error.read()  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"\x00" * 100, b'{"messages": [' * 2000])
def test_garbage_is_a_bad_request(server: MediaryServer, body: bytes) -> None:
    assert post(server, body)[0] == 400


def test_a_body_over_the_limit_is_refused(server: MediaryServer) -> None:
    assert post(server, b"x" * 500_000)[0] == 413


def test_other_methods_are_told_the_right_one(server: MediaryServer) -> None:
    with server.open(PATH) as response:
        assert (response.status, response.headers["allow"]) == (405, "POST")


QUESTION = json.dumps({"provider": "Local", "messages": [{"role": "user", "content": "When does the harbour open?"}]})


def test_a_text_that_comes_as_a_file_is_quoted(server: MediaryServer) -> None:
    notes = b"The harbour opens at six. The market is closed on Mondays."

    status, answer = post(server, *form({"json": QUESTION}, {"notes.txt": notes}))

    assert status == 200
    assert b"The harbour opens at six." in answer
    assert b"notes.txt" in answer


def test_files_that_are_no_media_and_no_text_are_refused_by_name(server: MediaryServer) -> None:
    status, answer = post(server, *form({"json": QUESTION}, {"a.exe": b"MZ\x00\x01\x02"}))

    assert status == 415
    assert b"a.exe" in answer


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (*form({}, {}), 422),
        (*form({"json": "{"}, {}), 400),
        (b"no form", "multipart/form-data; boundary=x", 400),
        (b"no form", "multipart/form-data", 400),
    ],
)
def test_a_form_that_is_none_is_refused(server: MediaryServer, body: bytes, content_type: str, status: int) -> None:
    assert post(server, body, content_type)[0] == status


def test_a_kept_picture_can_be_shown_again(server: MediaryServer) -> None:
    [url] = media_urls(server.converse("A hill", model="picture", width=16, height=16))
    part = {"type": "image_url", "image_url": {"url": url}}

    events = server.converse("x", messages=[{"role": "user", "content": [{"type": "text", "text": "Look"}, part]}])

    assert events[-1]["type"] == "finish"


def test_a_data_uri_is_taken_as_what_its_bytes_are(server: MediaryServer) -> None:
    [url] = media_urls(server.converse("A hill", model="picture", width=16, height=16))
    data = base64.b64encode(server.get(url)).decode()
    part = {"type": "image_url", "image_url": {"url": f"data:application/octet-stream;base64,{data}"}}

    events = server.converse("x", messages=[{"role": "user", "content": [{"type": "text", "text": "Look"}, part]}])

    assert events[-1]["type"] == "finish"


def test_what_a_person_brings_is_kept_once(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data") as server:
        [url] = media_urls(server.converse("A hill", model="picture", width=16, height=16))
        picture = server.get(url) + b"brought"
        for _ in range(3):
            assert post(server, *form({"json": QUESTION}, {"My hill.png": picture}))[0] == 200
        server.stop()

        kept = [file for file in (server.data / "generated_media").glob("*.png") if file.read_bytes() == picture]
        assert len(kept) == 1
        assert "attachment+My_hill" in kept[0].name


def test_what_a_person_brings_is_not_kept_where_the_operator_says_so(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", settings="[media]\nkeep_attachments = false\n") as server:
        [url] = media_urls(server.converse("A hill", model="picture", width=16, height=16))
        assert post(server, *form({"json": QUESTION}, {"hill.png": server.get(url) + b"brought"}))[0] == 200
        server.stop()

        assert len(list((server.data / "generated_media").glob("*.png"))) == 1


def test_a_request_keeps_its_id(server: MediaryServer) -> None:
    for path in ("/backend-api/v2/version", "/healthz", "/nothing", "/media/none.png"):
        with server.open(path, headers={"x-request-id": "my-request.1"}) as response:
            assert response.headers["x-request-id"] == "my-request.1"
    with server.open("/backend-api/v2/version", headers={"x-request-id": "no good id"}) as response:
        assert len(response.headers["x-request-id"]) == 16

    assert "no good id" not in server.await_output("request=my-request.1")


def test_what_people_write_is_not_in_the_log(server: MediaryServer) -> None:
    server.converse("xyzzy-nobody-reads-this", provider="Local")

    assert "xyzzy" not in server.await_output("outcome=finished")
