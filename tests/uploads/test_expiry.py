"""When presigned links end: as the official SDKs write them, and whatever else somebody may write."""

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.uploads.expiry import LAST_MOMENT, expires_at, read_moment

VECTORS = json.loads((Path(__file__).parent / "vectors" / "expiry_vectors.json").read_text())["vectors"]

NAMES = ["X-Amz-Date", "X-Amz-Expires", "X-Goog-Date", "X-Goog-Expires", "x-oss-date", "x-oss-expires", "se", "Expires"]
NOON = 1_795_176_000.0
"""2026-11-20 12:00 UTC."""


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_links_of_official_sdks(vector: dict[str, object]):
    assert expires_at(str(vector["url"])) == vector["expires_at"]


@pytest.mark.parametrize(
    ("query", "moment"),
    [
        ("x-oss-date=20261120T120000Z&x-oss-expires=300&x-oss-signature=a", NOON + 300),
        ("X-Amz-Date=20261120T120000Z&X-Amz-Expires=0", NOON),
        ("se=2026-11-20T12:00:00Z", NOON),
        ("se=2026-11-20T12:00Z", NOON),
        ("se=2026-11-20T13:00:00+01:00", NOON),
        ("se=2026-11-20T12:00:00.1234567Z", NOON + 0.123456),
        ("se=2026-11-20", NOON - 12 * 3600),
        ("Expires=1795176000", NOON),
        ("Expires=1795176000&Expires=1795176000", NOON),
        # The earlier end is the one that counts.
        ("Expires=1795176001&x-oss-date=20261120T120000Z&x-oss-expires=0", NOON),
    ],
)
def test_other_ways_to_write_it(query: str, moment: float):
    assert expires_at(f"https://storage.example/a/b?x=1&{query}#Expires=5") == moment


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Date=20261120T120000Z",
        "X-Amz-Expires=300",
        "X-Amz-Date=20261120T120000Z&X-Goog-Expires=300",
        "X-Amz-Date=20261120T120000Z&X-Amz-Expires=-300",
        "X-Amz-Date=20261120T120000Z&X-Amz-Expires=1e3",
        "X-Amz-Date=20261120T120000Z&X-Amz-Expires=٣٠٠",
        "X-Amz-Date=20261120T120000Z&X-Amz-Expires=999999999999",
        f"X-Amz-Date=20261120T120000Z&X-Amz-Expires={'9' * 5000}",
        "X-Amz-Date=20261120T120000&X-Amz-Expires=300",
        "X-Amz-Date=20261320T120000Z&X-Amz-Expires=300",
        "X-Amz-Date=20261120T120000Z&X-Amz-Expires=300&X-Amz-Expires=400",
        "X-Amz-Date=garbage&X-Amz-Expires=300&Expires=1795176000",
        "se=",
        "se=2026-11-20T12:00:00",  # in which zone?
        "se=0001-01-01T00:00:00%2B23:59",
        "se=9999-12-31T23:59:59-23:59",
        "se=2026-11-20T12:00:00Z&se=2026-11-21T12:00:00Z",
        "Expires=Fri, 20 Nov 2026 12:00:00 GMT",
        "Expires=0",
        "Expires=1795176000000",  # milliseconds
        "Expires=1795176000&Expires=1795176001",
        "Expires",
        "%45xpires=%zz",
    ],
)
def test_what_cannot_be_understood_is_unknown(query: str):
    assert expires_at(f"https://storage.example/a?{query}") is None


@given(st.text(st.characters(codec=None)))
def test_any_text_is_read_without_an_error(text: str):
    for url in (text, f"https://x/y?{text}", *(f"https://x/y?{name}={text}" for name in NAMES)):
        moment = expires_at(url)
        assert moment is None or 0 < moment <= LAST_MOMENT


numbers = st.integers().map(str)
days = st.dates().map(str) | st.datetimes(timezones=st.none() | st.timezones()).map(lambda moment: moment.isoformat())
basic = st.datetimes().map(lambda moment: moment.strftime("%Y%m%dT%H%M%SZ"))


@given(st.lists(st.tuples(st.sampled_from(NAMES), numbers | days | basic)))
def test_any_query_of_likely_values_is_read_without_an_error(fields: list[tuple[str, str]]):
    moment = expires_at(f"https://x/y?{urlencode(fields)}")
    assert moment is None or 0 < moment <= LAST_MOMENT


@given(st.integers(0, 2**33), st.integers(0, 7 * 86400), st.sampled_from(["X-Amz", "X-Goog", "x-oss"]))
def test_a_date_and_seconds_are_added(began: int, seconds: int, prefix: str):
    date = datetime.fromtimestamp(began, UTC).strftime("%Y%m%dT%H%M%SZ")
    url = f"https://x/y?{prefix}-Date={date}&{prefix}-Expires={seconds}"
    assert expires_at(url) == (began + seconds or None)


def test_values_may_be_escaped():
    assert expires_at(f"https://x/y?{quote('Expires')}={quote('1795176000', safe='')}") == NOON


@pytest.mark.parametrize(
    "when",
    ["2030-01-02T03:04:05Z", "2030-01-02T03:04:05.000000999Z", "2030-01-02T04:04:05+01:00", "2030-01-02T03:04:05"],
)
def test_a_moment_in_words(when: str):
    assert int(read_moment(when) or 0) == 1893553445


# The year 1 is what some services write for "never".
@pytest.mark.parametrize("when", [None, "", "tomorrow", "2030", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"])
def test_words_that_are_no_moment(when: str | None):
    assert read_moment(when) is None


@given(st.text(max_size=90))
def test_any_words(text: str):
    assert (read_moment(text) or 1.0) > 0
