"""robots.txt as RFC 9309 has it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.buckets.crawl.robots import Robots, fits, parse_robots


def robots(text: str) -> Robots:
    return parse_robots(text.encode(), "mediary")


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/anything", True),
        ("User-agent: *\nDisallow: /", "/", False),
        ("User-agent: *\nDisallow:", "/", True),
        ("user-agent : *\r\ndisallow : /a # why\r\n", "/a/b", False),
        ("User-agent: *\nDisallow: /a", "/b", True),
        ("User-agent: other\nDisallow: /", "/", True),
        ("User-agent: Mediary/2.0\nDisallow: /", "/", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: mediary\nAllow: /", "/", True),
        (
            "User-agent: mediary\nDisallow: /a\n\nUser-agent: *\nDisallow: /\n\nUser-agent: mediary\nDisallow: /b",
            "/b",
            False,
        ),
        ("User-agent: mediary\nUser-agent: other\nDisallow: /a", "/a", False),
        ("Disallow: /", "/", True),  # for nobody
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/c", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf", False),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf?z", True),
        ("User-agent: *\nDisallow: /*/private", "/x/private/y", False),
        ("User-agent: *\nDisallow: /*?", "/x?y", False),
        ("User-agent: *\nDisallow: /a%2fb", "/a%2Fb", False),
        ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
        ("User-agent: *\nDisallow: /%7Ejoe", "/~joe/x", False),
        ("User-agent: *\nDisallow: /ü", "/%C3%BC", False),
        ("\ufeffUser-agent: *\nDisallow: /", "/", False),
        ("<html>not found</html>", "/", True),
    ],
)
def test_rules(text: str, path: str, allowed: bool):
    assert robots(text).allows(path) is allowed


def test_delays():
    assert robots("User-agent: *\nCrawl-delay: 2.5").delay == 2.5
    assert robots("User-agent: *\nCrawl-delay: soon\nCrawl-delay: -1\nCrawl-delay: nan\nCrawl-delay: inf").delay is None
    assert robots("User-agent: *\nCrawl-delay: 9\n\nUser-agent: mediary\nDisallow: /a").delay is None


@given(st.text("ab*$/", max_size=8), st.text("ab/", max_size=8))
def test_a_pattern_is_what_it_would_be_as_a_regular_expression(pattern: str, path: str):
    whole = pattern.endswith("$")
    body = "".join(".*" if letter == "*" else re.escape(letter) for letter in pattern.removesuffix("$"))
    assert fits(pattern, path) is bool(re.match(f"(?s){body}{'$' if whole else ''}", path))


def test_a_pattern_that_would_keep_a_regular_expression_busy_for_good():
    assert not fits("/" + "*a" * 60 + "b", "/" + "a" * 2000)


@given(st.binary(max_size=300), st.text(max_size=50))
def test_any_bytes(data: bytes, path: str):
    assert parse_robots(data, "mediary").allows(path) in (True, False)
