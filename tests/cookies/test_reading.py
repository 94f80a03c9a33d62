"""Files of cookies, as browsers, extensions and test tools write them, and what is none."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.cookies.cookie import Cookie, cookies_for
from mediary.cookies.reading import MAX_COOKIES, read_cookies
from mediary.errors import BadRequestError, FieldError, MediaryError

LATER = time.time() + 86_400
NETSCAPE = f"""# Netscape HTTP Cookie File
# a comment

.example.com\tTRUE\t/\tTRUE\t{LATER:.0f}\tsession\tabc=def
#HttpOnly_chat.example.com\tFALSE\t/api\tFALSE\t0\ttoken\t"quoted value"
.example.com\tTRUE\t/\tFALSE\t1000000000\tover\tgone
"""


def har(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"log": {"version": "1.2", "creator": {}, "entries": list(entries)}}).encode()


def exchange(url: str, *, cookies: Any = (), headers: Any = (), answered: Any = ()) -> dict[str, Any]:
    return {
        "startedDateTime": "2026-11-20T10:00:00Z",
        "request": {"method": "GET", "url": url, "cookies": list(cookies), "headers": list(headers)},
        "response": {"status": 200, "cookies": list(answered), "headers": []},
    }


def test_a_netscape_file():
    session, token = read_cookies("cookies.txt", NETSCAPE.encode()).cookies
    assert (session.name, session.value, session.domain, session.secure) == ("session", "abc=def", "example.com", True)
    assert session.expires == pytest.approx(LATER, abs=1)
    assert token == Cookie("token", '"quoted value"', "chat.example.com", "/api", None, host_only=True)


def test_a_list_as_an_extension_writes_it():
    listed = [
        {"name": "a", "value": "1", "domain": ".example.com", "hostOnly": False, "path": "/", "expirationDate": LATER},
        {"name": "b", "value": "2", "domain": "chat.example.com", "hostOnly": True, "session": True, "secure": True},
        {"name": "c", "value": "3", "domain": "chat.example.com", "path": "/", "expires": -1, "sameSite": "Lax"},
    ]
    found = read_cookies("export.json", json.dumps(listed).encode()).cookies
    assert [(cookie.name, cookie.domain, cookie.host_only, cookie.secure) for cookie in found] == [
        ("a", "example.com", False, False),
        ("b", "chat.example.com", True, True),
        ("c", "chat.example.com", True, False),
    ]
    assert [cookie.expires for cookie in found] == [pytest.approx(LATER), None, None]


def test_the_state_of_a_browser_as_playwright_writes_it():
    state = {"cookies": [{"name": "a", "value": "1", "domain": ".example.com", "path": "/"}], "origins": []}
    assert [cookie.name for cookie in read_cookies("state.json", json.dumps(state).encode()).cookies] == ["a"]


@pytest.mark.parametrize(("name", "domain"), [("chat.example.com.json", None), ("any.json", "chat.example.com")])
def test_an_object_belongs_to_the_domain_of_its_name_or_the_given_one(name: str, domain: str | None):
    [cookie] = read_cookies(name, b'{"session": "abc"}', domain=domain).cookies
    assert (cookie.domain, cookie.value) == ("chat.example.com", "abc")


def test_an_object_without_a_domain_is_told_what_lacks():
    with pytest.raises(FieldError, match="whose cookies"):
        read_cookies("cookies.json", b'{"session": "abc"}')


def test_a_har_file_is_read_for_known_hosts_alone():
    found = read_cookies(
        "session.har",
        har(
            exchange("https://tracker.example.net/x", cookies=[{"name": "spy", "value": "1"}]),
            exchange(
                "https://chat.example.com/api",
                cookies=[{"name": "a", "value": "old"}],
                headers=[{"name": "Cookie", "value": "a=old; b=2"}, {"name": "Authorization", "value": "Bearer k-1"}],
                answered=[{"name": "a", "value": "new"}, {"name": "w", "value": "3", "domain": ".example.com"}],
            ),
            exchange("https://notchat.example.com.evil.net/", cookies=[{"name": "z", "value": "1"}]),
        ),
        known=["chat.example.com"],
    )
    assert {(cookie.domain, cookie.name, cookie.value) for cookie in found.cookies} == {
        ("chat.example.com", "a", "new"),
        ("chat.example.com", "b", "2"),
        ("example.com", "w", "3"),
    }
    assert all(cookie.secure for cookie in found.cookies if cookie.name == "b")
    assert found.authorization == {"chat.example.com": "Bearer k-1"}
    assert "k-1" not in repr(found)


def test_an_answer_may_not_set_cookies_for_somebody_else():
    body = har(
        exchange(
            "https://chat.example.com/",
            cookies=[{"name": "own", "value": "1"}],
            answered=[{"name": "foreign", "value": "1", "domain": "bank.example.org"}],
        )
    )
    found = read_cookies("session.har", body, known=["chat.example.com"])
    assert [cookie.name for cookie in found.cookies] == ["own"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cookies.txt", b"", "holds no cookies"),
        ("cookies.txt", b"example.com\tTRUE\t/", "line 1 .* 3 fields"),
        ("cookies.txt", b".example.com\tTRUE\t/\tTRUE\t1000000000\ta\tb", "all of them have ended"),
        ("cookies.txt", b".example.com\tTRUE\t/\tTRUE\t0\tbad name\tb", "a name that no cookie can have"),
        ("cookies.txt", b".example.com\tTRUE\t/\tTRUE\t0\tname\tb;c", "value that cannot be sent"),
        ("cookies.txt", b".com\tTRUE\t/\tTRUE\t0\tname\tb", "for all of"),
        ("cookies.json", b"{", "no list of cookies"),
        ("cookies.json", b"[1, 2]", "no list of cookies"),
        ("cookies.json", b"[" * 100_000, "no list of cookies"),
        ("cookies.json", b'[{"name": "a", "value": "1", "domain": "a b"}]', "domain that is none"),
        ("session.har", b"{}", "no HAR file"),
        ("session.har", b'{"log": {"entries": []}}', "configured here: chat.example.com"),
        ("cookies.sqlite", b"SQLite format 3", "come as"),
        ("cookies", b"", "come as"),
    ],
)
def test_what_is_wrong_is_said(name: str, content: bytes, words: str):
    with pytest.raises(BadRequestError, match=words):
        read_cookies(name, content, known=["chat.example.com"])


def test_there_is_a_limit():
    lines = "\n".join(f"example.com\tTRUE\t/\tTRUE\t0\tn{number}\tv" for number in range(MAX_COOKIES + 1))
    with pytest.raises(BadRequestError, match="at most"):
        read_cookies("cookies.txt", lines.encode())


@given(st.binary(max_size=400), st.sampled_from([".json", ".txt", ".har"]))
def test_garbage_is_refused_in_words(content: bytes, suffix: str):
    with suppress(MediaryError):
        assert read_cookies(f"example.com{suffix}", content, known=["example.com"]).cookies


@pytest.mark.parametrize(
    ("cookie", "url", "goes"),
    [
        (Cookie("a", "1", "example.com"), "https://example.com/", True),
        (Cookie("a", "1", "example.com"), "https://chat.example.com/x", True),
        (Cookie("a", "1", "example.com"), "https://notexample.com/", False),
        (Cookie("a", "1", "example.com"), "https://example.com.evil.net/", False),
        (Cookie("a", "1", "example.com", host_only=True), "https://chat.example.com/", False),
        (Cookie("a", "1", "example.com", secure=True), "http://example.com/", False),
        (Cookie("a", "1", "127.0.0.1", secure=True), "http://127.0.0.1:8080/", True),
        (Cookie("a", "1", "0.0.1"), "http://127.0.0.1/", False),
        (Cookie("a", "1", "example.com", "/api"), "https://example.com/api", True),
        (Cookie("a", "1", "example.com", "/api"), "https://example.com/api/v2", True),
        (Cookie("a", "1", "example.com", "/api"), "https://example.com/apis", False),
        (Cookie("a", "1", "example.com", expires=1.0), "https://example.com/", False),
    ],
)
def test_a_cookie_goes_where_it_belongs(cookie: Cookie, url: str, goes: bool):
    assert cookies_for(url, [cookie]) == ({"a": "1"} if goes else {})


def test_the_longer_path_wins():
    both = [Cookie("a", "deep", "example.com", "/api"), Cookie("a", "top", "example.com")]
    assert cookies_for("https://example.com/api/x", both) == {"a": "deep"}
