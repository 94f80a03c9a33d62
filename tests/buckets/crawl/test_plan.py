"""`downloads.json`: what is taken, and what is said of what is not."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.buckets.crawl.plan import MAX_BYTES, Download, parse_downloads
from mediary.errors import BadRequestError, FieldError, MediaryError, TooLargeError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(Download.__struct_fields__), inner),
)


def test_a_list():
    first, second = parse_downloads(
        b'[{"url": "https://example.com"}, {"urls": ["http://a/", "http://b/"], "max_depth": 3, "delay": 0.5,'
        b' "group_size": 2, "timeout": 9, "proxy": "http://me:secret@proxy:3128", "same_site": false, "refresh": true}]'
    )
    assert first == Download(url="https://example.com")
    assert (first.max_depth, first.same_site, first.refresh, first.proxy) == (0, True, False, None)
    assert first.delay > 0
    assert second.starts == ("http://a/", "http://b/")
    assert (second.max_depth, second.delay, second.group_size, second.timeout) == (3, 0.5, 2, 9)
    assert second.refresh and not second.same_site


def test_a_single_entry_and_a_byte_order_mark():
    assert parse_downloads(b'\xef\xbb\xbf {"url": "http://a/", "urls": ["http://b/"]}')[0].starts == (
        "http://a/",
        "http://b/",
    )


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ('[{"url": "http://a/", "max_dept": 1}]', "[0].max_dept", "did you mean max_depth"),
        ('{"url": "http://a/", "colour": "red"}', "colour", "known are url, urls, max_depth"),
        ('[{"url": "http://a/"}, {"url": 3}]', "[1].url", "got `int`"),
        ('[{"urls": "http://a/"}]', "[0].urls", "Expected `array`"),
        ('{"url": "http://a/", "max_depth": true}', "max_depth", "got `bool`"),
        ('{"url": "http://a/", "max_depth": -1}', "max_depth", ">= 0"),
        ('{"url": "http://a/", "max_depth": 17}', "max_depth", "<= 16"),
        ('{"url": "http://a/", "delay": 61}', "delay", "<= 60"),
        ('{"url": "http://a/", "delay": 1e999}', "delay", "out of range"),
        ('{"url": "http://a/", "group_size": 0}', "group_size", ">= 1"),
        ('{"url": "http://a/", "group_size": 17}', "group_size", "<= 16"),
        ('{"url": "http://a/", "timeout": 0}', "timeout", "> 0"),
        ('{"url": "http://a/", "timeout": 301}', "timeout", "<= 300"),
        ('{"url": "http://a/", "proxy": "socks5://x"}', "proxy", "http://host:port"),
        ("{}", "url", "names a `url`"),
        ('[{"urls": []}]', "[0].url", "names a `url`"),
        ('[{"url": "ftp://a/"}]', "[0].url", "'ftp://a/' is no http"),
        ('[{"url": "file:///etc/passwd"}]', "[0].url", "is no http"),
        ('[{"urls": ["http://a/", "/relative"]}]', "[0].urls", "'/relative' is no http"),
        ('{"url": "http://[::1"}', "url", "not valid"),
        ('{"url": "http://user:password@a/"}', "url", "a password in it"),
        ('{"url": "http://a/%s"}' % ("x" * 2048), "url", "at most 2048"),
        ('"http://a/"', "downloads.json", "Expected `array`"),
        ("[1]", "[0]", "Expected `object`"),
    ],
)
def test_a_wrong_key_is_named(data: str, field: str, words: str):
    with pytest.raises(FieldError) as caught:
        parse_downloads(data.encode())
    assert caught.value.field == field
    assert words in caught.value.message


@pytest.mark.parametrize(
    "data", [b"", b"nope", b"\xff\xfe", b'{"url": "http://a/"', b'{"url": "http://a/", "delay": NaN}', b"[]"]
)
def test_what_is_no_list(data: bytes):
    with pytest.raises(BadRequestError, match=r"downloads\.json"):
        parse_downloads(data)


def test_a_huge_list():
    with pytest.raises(TooLargeError):
        parse_downloads(b" " * MAX_BYTES + b"[]")


def test_a_deep_one():
    with pytest.raises(MediaryError):
        parse_downloads(b"[" * 500_000)


def test_a_proxy_is_never_repeated():
    with pytest.raises(FieldError) as caught:
        parse_downloads(b'{"url": "http://a/", "proxy": "ftp://me:secret@proxy"}')
    assert "secret" not in caught.value.message


@given(JSON)
def test_whatever_it_says_it_is_a_list_or_a_reason(value: object):
    with suppress(FieldError, BadRequestError, TooLargeError):  # anything else would be raised
        assert all(entry.starts for entry in parse_downloads(json.dumps(value).encode()))
