"""URLs: when two are the same; what an answer says of its body."""

import pytest

from mediary.net.urls import charset, media_type, normalise


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTP://Example.COM:80", "http://example.com/"),
        ("https://example.com:443/a?b=c#d", "https://example.com/a?b=c"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("http://example.com?q", "http://example.com/?q"),
        ("http://example.com/a/../b/./c", "http://example.com/b/c"),
        ("http://example.com/a b", "http://example.com/a%20b"),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://example.com/?utm_source=x", "http://example.com/?utm_source=x"),
        ("http://example.com/~me", "http://example.com/~me"),
    ],
)
def test_one_way_to_write_a_url(url: str, normal: str):
    assert normalise(url) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mailto:x@y",
        "/a",
        "//a/b",
        "javascript:x()",
        "http://",
        "http://u:p@a/",
        "http://[",
        "http://a/" + "x" * 3000,
    ],
)
def test_what_is_not_fetched(url: str):
    assert normalise(url) is None


def test_types():
    assert media_type({"content-type": "Text/HTML; charset=utf-8"}) == "text/html"
    assert media_type({}) == ""
    assert charset({"content-type": 'text/html; charset="Shift_JIS"'}) == "Shift_JIS"
    assert charset({"content-type": "text/html"}) is None
