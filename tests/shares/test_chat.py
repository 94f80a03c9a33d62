"""Chats are checked on their way in, ids are no paths, and what a chat shows is found wherever it stands."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.errors import BadRequestError, FieldError, TooLargeError
from mediary.media.library import media_url
from mediary.shares.chat import MOST_ITEMS, etag, read_chat, share_id

NAME = "1700000000_a+quiet,_harbour_0123456789abcdef.png"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"chat"',
        b'{"items": [NaN]}',
        b'{"items": Infinity}',
        b'{"title": "\x00"}',
        b'{"title": "\xff"}',
        b'{"title": "\\ud800"}',
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"items":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"items":' + b'{"a":' * 100_000,
    ],
)
def test_what_is_no_chat_is_refused(body: bytes):
    with pytest.raises(BadRequestError):
        read_chat(body)


@pytest.mark.parametrize("updated", ['"1"', "true", "[]", "-1", "1e400", "9007199254740993", "1e17"])
def test_a_time_that_is_none_is_refused(updated: str):
    with pytest.raises(FieldError, match="updated"):
        read_chat(f'{{"updated": {updated}}}'.encode())


@given(st.dictionaries(st.text(), json_values))
def test_any_json_object_is_a_chat(chat: dict):
    chat.pop("updated", None)
    body = json.dumps(chat).encode()
    try:
        read = read_chat(body)
    except BadRequestError:  # half of a character
        assert "\\ud" in body.decode()
    else:
        assert (read.body, read.updated) == (body, None)


@given(st.binary(max_size=200))
def test_garbage_is_a_chat_or_refused(body: bytes):
    with suppress(BadRequestError, FieldError):
        assert read_chat(body).body == body


@pytest.mark.parametrize(
    ("updated", "revision", "tag"),
    [(1763596800000.0, 4, '"1763596800000"'), (0.0, 1, '"0"'), (7.25, 1, '"7.25"'), (None, 4, '"r4"')],
)
def test_an_etag_is_the_time_that_the_chat_says(updated: float | None, revision: int, tag: str):
    assert etag(updated, revision) == tag


@pytest.mark.parametrize(
    "written",
    [
        "/media/{}",
        "[![x](/media/{})](/media/{})",
        '<audio controls src="/media/{}"></audio>',
        "<video src='/media/{}'></video>",
        "/images/{}",
        "/thumbnail/{}?w=800",
        "/media/{}?url=https%3A%2F%2Fexample.com%2Fx.png",
        "http://localhost:8080/media/{}#t=1",
        "See https://chat.example.com/media/{}.",
        "`/media/{}`, and more",
        "<https://x/media/{}>",
    ],
)
def test_pictures_are_found(written: str):
    text = written.replace("{}", NAME)
    for chat in (
        {"items": [{"content": text}]},
        {"items": [{"content": [{"type": "image_url", "image_url": {"url": text}}]}]},
        {text: None},
        {"a": {"b": [[{"c": text}]]}},
    ):
        assert read_chat(json.dumps(chat).encode()).items == {NAME}
    assert read_chat(json.dumps({"x": text}).replace("/", "\\/").encode()).items == {NAME}


@pytest.mark.parametrize(
    "written", ["/files/bucket/media/{}", "/files/b%20c/thumbnail/{}?x", "/other/{}", "/mediax/{}"]
)
def test_other_urls_are_not_the_librarys(written: str):
    assert not read_chat(json.dumps({"x": written.replace("{}", NAME)}).encode()).items


@given(st.text(st.characters(codec="utf-8", categories=["L", "N"], include_characters="+,_-. ()'&#?%"), min_size=1))
def test_every_name_is_found_by_its_url(stem: str):
    name = f"1700000000_{stem[:40]}_0123456789abcdef.png"
    for ascii_only in (True, False):
        body = json.dumps({"x": f"![alt]({media_url(name)})"}, ensure_ascii=ascii_only).encode()
        assert read_chat(body).items == {name}


def test_names_in_other_scripts_are_found_as_they_are():
    name = "1700000000_тихое_море_0123456789abcdef.png"
    for ascii_only in (True, False):
        assert read_chat(json.dumps({"x": f"(/media/{name})"}, ensure_ascii=ascii_only).encode()).items == {name}


def test_what_can_be_no_name_is_passed_over():
    names = ("%00", "%0A", "a" * 300, "%E2%80%AE.png", "...")
    assert not read_chat(json.dumps([f"/media/{name}" for name in names]).join(('{"x":', "}")).encode()).items


def test_a_chat_may_not_show_any_number_of_items():
    text = " ".join(f"/media/{number}.png" for number in range(MOST_ITEMS + 1))
    with pytest.raises(TooLargeError):
        read_chat(json.dumps({"x": text}).encode())


@pytest.mark.parametrize("name", ["5e0c6b34-3f9a-4a8b-9d3c-0a1b2c3d4e5f", "abc", "a.b", "Ж"])
def test_ids_of_clients_are_ids(name: str):
    assert share_id(name) == name


def test_an_id_is_the_safe_form_of_a_name():
    assert share_id("My trip to Paris") == "My_trip_to_Paris"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "\0", "x" * 101, "Ж" * 51, "x" * 100_000, "///"]
)
def test_what_can_be_no_id_is_refused(name: str):
    with pytest.raises(BadRequestError):
        share_id(name)


@given(st.text())
def test_an_id_is_never_a_path(name: str):
    try:
        safe = share_id(name)
    except BadRequestError:
        return
    assert safe
    assert not safe.startswith(".")
    assert not set(safe) & set("/\\\0\n")
    assert share_id(safe) == safe
