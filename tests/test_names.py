import re
import time
import unicodedata
from email.utils import formatdate
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from mediary.names import (
    created_at,
    get_filename,
    get_source_url,
    get_timestamp,
    numbered,
    secure_filename,
    with_source_url,
    words_in,
)

# Any text, lone surrogates too, with what is special thrown in often.
texts = st.text() | st.lists(
    st.sampled_from(
        ["/", "\\", "..", ".", "%2e", "%2F", "%00", "\0", "_", "+", "-", ",", " ", "a", "é", "e\u0301", "日", "\u0301"]
    )
).map("".join)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.png", "photo.png"),
        ("flux+anime+character", "flux+anime+character"),
        ("a photo, of two cats!.png", "a_photo,_of_two_cats_.png"),
        ("my%20holiday%2Fpicture.jpg", "my_holiday_picture.jpg"),
        ("../../etc/passwd", "etc_passwd"),
        ("..%2f..%2fetc%2fpasswd", "etc_passwd"),
        ("C:\\Users\\me\\a.png", "C_Users_me_a.png"),
        ("a\0b\r\nc", "a_b_c"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("__a__b__", "a__b"),
        ("ends with a dot.", "ends_with_a_dot"),
        ("日本語のファイル.txt", "日本語のファイル.txt"),
        ("हिन्दी में नमस्ते", "हिन्दी_में_नमस्ते"),  # vowel signs are marks, not letters
        ("مرحبا بالعالم", "مرحبا_بالعالم"),
        ("Ünïcödé ½ Ⅷ ٣", "Ünïcödé_½_Ⅷ_٣"),
        ("cafe\u0301", "caf\u00e9"),  # composed
        ("\u212a", "K"),  # the Kelvin sign
        ("a\u0301\u0302!\u0303b", "\u00e1\u0302_b"),  # a mark without its letter is a stray
        ("a\u202egnp.exe", "a_gnp.exe"),  # no text runs backwards
        ("a\uff0fb\uff0e\uff0ec", "a_b_c"),  # fullwidth look-alikes
        ("🎉", ""),
        ("", ""),
        ("..", ""),
        ("///", ""),
        ("%", ""),
        ("\ud800", ""),
    ],
)
def test_secure_filename(name: str, safe: str) -> None:
    assert secure_filename(name) == safe


@given(texts)
@example("%25%2e%2e")
@example("%252e")
@example("\u0301a")
@example("é" * 49 + "aa\u0301\u0302")
@example("a" * 99 + "._-" * 9 + "b")
def test_a_safe_name_is_safe(name: str) -> None:
    safe = secure_filename(name)
    assert len(safe.encode()) <= 100
    assert re.search(r"[/\\\x00-\x1f\x7f%?#&=\s]", safe) is None
    assert safe.strip(".,_+-") == safe
    assert all(character in ".,_+-" or unicodedata.category(character)[0] in "LMN" for character in safe)
    assert not safe or unicodedata.category(safe[0])[0] != "M"
    assert secure_filename(safe) == safe
    assert unicodedata.normalize("NFC", safe) == safe


@given(st.text(alphabet="aé日👍\u0301\u0302ि", min_size=30))
def test_a_long_name_is_cut_between_characters(name: str) -> None:
    """What is kept is the whole beginning: a letter goes with all its marks."""
    letters = re.findall(r"[^\W_][\u0301\u0302ि]*", unicodedata.normalize("NFC", name))
    kept = re.findall(r"[^\W_][\u0301\u0302ि]*", secure_filename(name))
    assert kept == letters[: len(kept)]


@pytest.mark.parametrize(
    ("name", "length"),
    [("a" * 300, 100), ("日" * 300, 99), ("é" * 300, 100), ("a" + "é" * 300, 99), ("a" * 98 + "x\u0302\u0303", 98)],
)
def test_a_name_is_cut_at_100_bytes(name: str, length: int) -> None:
    assert len(secure_filename(name).encode()) == length


def test_a_huge_name_of_marks_takes_no_time() -> None:
    """Normalizing is quadratic in such a run: without a limit this takes minutes."""
    assert secure_filename("a" + "\u0315\u0300" * 500_000) == ""


# Names of media files


def test_get_filename_is_as_the_specification_shows() -> None:
    name = get_filename(["flux", "anime"], "character", ".jpg", "https://example.com/a.jpg", timestamp=1704123456)
    assert re.fullmatch(r"1704123456_flux\+anime\+character_[0-9a-f]{16}\.jpg", name)


def test_get_filename_counts_from_now() -> None:
    before = int(time.time())
    seconds = int(get_filename([], "a", ".png", "").split("_")[0])
    assert before <= seconds <= time.time()


def test_the_hash_is_that_of_the_url() -> None:
    url = "https://example.com/original.jpg"
    assert get_filename([], "a", ".png", url, 1) == f"1_a_{sha256(url.encode()).hexdigest()[:16]}.png"


@pytest.mark.parametrize("image", ["", "a prompt", "data:image/png;base64,iVBOR", "/media/a.png", "http://"])
def test_two_pictures_of_one_prompt_in_one_second_differ(image: str) -> None:
    assert len({get_filename(["t"], "a prompt", ".png", image, 1704123456) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("tags", "alt", "start"),
    [
        ([], "", "5_"),
        (["", ""], "!!!", "5_"),
        (["a", "", "b"], "", "5_a+b_"),
        ([], "a cat", "5_a_cat_"),
        (["50%", "a/b"], "..", "5_50_+a_b_"),
    ],
)
def test_an_empty_segment_is_left_out(tags: list[str], alt: str, start: str) -> None:
    assert re.fullmatch(re.escape(start) + r"[0-9a-f]{16}\.png", get_filename(tags, alt, ".png", "", 5))


@given(st.lists(texts, max_size=5), texts, st.sampled_from(["", ".png", "png", ".tar.gz"]) | texts, texts)
def test_a_media_name_is_a_safe_file_name(tags: list[str], alt: str, extension: str, image: str) -> None:
    name = get_filename(tags, alt, extension, image, 1704123456)
    assert name.startswith("1704123456_")
    assert 27 <= len(name.encode()) <= 255
    assert not set(name) & set("/\\\0%?#")
    assert unicodedata.normalize("NFC", name) == name


# Times


@pytest.mark.parametrize(
    "value",
    [
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00",  # no zone is UTC
        "Wed, 21 Oct 2015 07:28:00 -0000",
        "Wed, 21 Oct 2015 09:28:00 +0200",
        "Wednesday, 21-Oct-15 07:28:00 GMT",  # RFC 850
        "Wed Oct 21 07:28:00 2015",  # asctime
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_times_are_read_as_utc(value: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert get_timestamp({"Last-Modified": value}) == 1445412480
    finally:
        monkeypatch.undo()
        time.tzset()


def test_last_modified_comes_before_date() -> None:
    date, modified = "Thu, 22 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"
    assert get_timestamp({"date": date, "last-modified": modified}) == 1445412480
    assert get_timestamp({"DATE": date}) == 1445498880
    assert get_timestamp(CIMultiDict({"Date": date, "Last-Modified": "yesterday"})) == 1445498880


@pytest.mark.parametrize(
    "value",
    [
        *("", "0", "-1", "yesterday", "1445412480", "2015-10-21T07:28:00Z", "Wed, 99 Oct 2015 07:28:00 GMT"),
        *("Thu, 01 Jan 1970 00:00:00 GMT", "Wed, 21 Oct 1915 07:28:00 GMT", "Wed, 21 Oct 9999 07:28:00 GMT"),
        *("Wed, 21 Oct 99999 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 +9999999", "Mon, 01 Jan 0101 00:00:00 +2300"),
    ],
)
def test_what_is_no_time_is_none(value: str) -> None:
    assert get_timestamp({"Last-Modified": value}) is None


@given(st.integers(1, 9_999_999_999))
def test_every_http_date_is_read(seconds: int) -> None:
    assert get_timestamp({"Date": formatdate(seconds, usegmt=True)}) == seconds


@given(
    st.dictionaries(st.sampled_from(["Last-Modified", "date", "x"]), st.text() | st.text("0123456789:+-, GMTWedOct"))
)
def test_no_header_is_too_odd(headers: dict[str, str]) -> None:
    seconds = get_timestamp(headers)
    assert seconds is None or 0 < seconds < 10_000_000_000


# Source URLs


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("/media/a.png?url=https://e.com/b.png", "https://e.com/b.png"),
        ("/media/a.png?url=https%3A%2F%2Fe.com%2Fb.png%3Fc%3D1%26d%3D2", "https://e.com/b.png?c=1&d=2"),
        ("http://localhost/media/a.png?x=1&url=http%3A//e.com/b.png", "http://e.com/b.png"),
        ("url=https%3A%2F%2Fe.com%2Fb.png", "https://e.com/b.png"),
        ("url=https://e.com/b.png?c=1", "https://e.com/b.png?c=1"),
        ("?url=HTTPS://e.com/", "HTTPS://e.com/"),
        ("/media/a.png?url=HTTP%3A%2F%2FE.com/@a", "HTTP://E.com/@a"),
        ("?url=https://e.com/a+b%2Bc.png", "https://e.com/a+b+c.png"),
        ("?url=https://e.com/ü%C3%BC", "https://e.com/üü"),
    ],
)
def test_get_source_url(query: str, source: str) -> None:
    assert get_source_url(query) == source


@pytest.mark.parametrize(
    "query",
    [
        *("", "/media/a.png", "?curl=https://e.com/", "?url=", "?url=https://", "?url=//e.com/a", "?url=e.com"),
        *("?url=ftp://e.com/", "?url=javascript:alert(1)//http://", "?url=file:///etc/passwd", "?url=data:image/png,a"),
        *(
            "?url=https://e.com/%0d%0aSet-Cookie:a=b",
            "?url=%20https://e.com/",
            "?url=http://[",
            "?url=https://e.com/a b",
        ),
        *("?url=https://?a", "https://e.com/a.png", "?url=ftp://e.com/&url=https://e.com/"),
        *(
            "?url=http://user:pw@evil/",
            "?url=https://user@e.com/",
            "?url=https%3A%2F%2F%40e.com%2F",
            "?url=http://e.com\\@x/",
        ),
    ],
)
def test_what_is_no_source_url(query: str) -> None:
    assert get_source_url(query) is None
    assert get_source_url(query, "/default") == "/default"


@given(texts)
def test_no_query_is_too_odd(query: str) -> None:
    source = get_source_url(query) or get_source_url(f"?url=http://e.com/{query}")
    assert source is None or (source.startswith("http") and not re.search(r"[\x00-\x20]", source))


@given(texts, st.sampled_from(["/media/a.png", "/media/a.png?x=1"]))
def test_a_source_comes_back_as_it_was(text: str, media_url: str) -> None:
    source = "https://e.com/" + re.sub(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]", "", text)
    url = with_source_url(media_url, source)
    assert url.startswith(media_url)
    assert url.isascii()
    assert get_source_url(url) == source


def test_with_source_url() -> None:
    assert (
        with_source_url("/media/a.png", "https://e.com/b?c=1&d")
        == "/media/a.png?url=https%3A%2F%2Fe.com%2Fb%3Fc%3D1%26d"
    )
    assert with_source_url("/media/a.png?x=1", "http://e/") == "/media/a.png?x=1&url=http%3A%2F%2Fe%2F"


# Numbers


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("a.png", "a-2.png"),
        ("a", "a-2"),
        ("a.tar.gz", "a.tar-2.gz"),
        ("Mr. Smith and his very long story", "Mr. Smith and his very long story-2"),
        ("a.", "a-2."),
    ],
)
def test_numbered(name: str, result: str) -> None:
    assert numbered(name, 2) == result


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(2), st.integers(2))
@example("n" * 251 + ".png", 2, 10)
@example("é" * 125 + ".webp", 99, 100)
@example("a." + "é" * 126, 2, 3)
def test_numbered_names_fit_and_differ(name: str, first: int, second: int) -> None:
    assert len(numbered(name, first).encode()) <= 255
    assert (numbered(name, first) == numbered(name, second)) == (first == second)


@pytest.mark.parametrize(
    ("name", "modified", "created"),
    [
        ("1704123456_flux_a1b2c3d4e5f67890.jpg", 5.5, 1704123456),
        ("1704123456_flux_a1b2c3d4e5f67890.jpg", 1704123456.75, 1704123456.75),
        ("1704123456.jpg", 5.5, 1704123456),
        ("17041234567_more_digits.jpg", 5.5, 5.5),
        ("٣٣٣٣٣٣٣٣٣٣_other_digits.jpg", 5.5, 5.5),
        ("IMG_1704123456.jpg", 5.5, 5.5),
    ],
)
def test_when_a_file_was_made(name: str, modified: float, created: float):
    assert created_at(name, modified) == created


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("1704123456_flux+anime+character_a1b2c3d4e5f67890.jpg", "flux anime character"),
        ("1704123456_flux_a1b2c3d4e5f67890-2.jpg", "flux"),
        ("1704123456_a1b2c3d4e5f67890.jpg", ""),
        ("holiday_in__Rome.2.PNG", "holiday in Rome.2"),
        ("猫_の.webp", "猫 の"),
        ("no extension", "no extension"),
    ],
)
def test_the_words_in_a_name(name: str, words: str):
    assert words_in(name) == words


@given(st.text(), st.sampled_from([".jpg", ".png"]))
def test_the_words_of_a_name_that_was_made_here(text: str, extension: str):
    name = get_filename([], text, extension, "", 1704123456)
    assert created_at(name, 0.0) == 1704123456
    assert words_in(name) == re.sub(r"[\s_+]+", " ", secure_filename(text)).strip()
