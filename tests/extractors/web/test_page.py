# ruff: noqa: RUF001 - pages in other scripts
"""Pages of many kinds, read as they would be in the cage: their main text, their links, their characters."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.extractors.web.base import Page
from mediary.extractors.web.charset import decode
from mediary.extractors.web.page import MAX_LINKS, read_page

PAGES = Path(__file__).parent / "pages"
URL = "https://example.com/dir/page.html"


def saved(name: str, charset: str | None = None) -> Page:
    return read_page((PAGES / f"{name}.html").read_bytes(), URL, charset)


def read(html: str, charset: str | None = "utf-8") -> Page:
    return read_page(html.encode(), URL, charset)


@pytest.mark.parametrize("name", sorted(path.stem for path in PAGES.glob("*.html")))
def test_a_page_begins_with_one_heading_and_has_no_furniture(name: str):
    page = saved(name)
    title = page.title
    assert title
    assert page.text.count(f"# {title}\n") == 1
    for words in ("We value your privacy", "Subscribe", "Advertisement", "gtag", "All rights reserved", "Sign in", "¶"):
        assert words not in page.text


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (
            "blog",
            [
                "```sql\nUPDATE jobs\n   SET state = 'running',",
                "- and backups were of two moments.",
                "> Make the queue",
            ],
        ),
        (
            "blog",
            ["[last year's incident report](https://example.com/2025/incident-report)", "*Latency fell", "**really**"],
        ),
        (
            "docs",
            [
                "workers = 4\n\n[log]",
                "| `port`",
                "1. First the file is read.",
                "[Workers](https://example.com/dir/deploy.html#w",
            ],
        ),
        ("news", ["Ferries stop at midnight", "the final bill is 83 million", "## Cost doubled"]),
        ("forum", ["Check the strainer lid. A dry O-ring", "> Check the strainer lid.\n", "That was it!"]),
        ("product", ["€ 149.00", "| Weight   | 1,350 g", "★★★ Zip is stiff."]),
        ("wiki", ["| 1900 | 3,100 | 58,500 |", "## History\n", "Moss, E. (1901)"]),
        (
            "links",
            ["[Weather service 7](https://w7.example/)", "[Tide table of harbour 0](https://example.com/tides/0.html)"],
        ),
        ("german", ["„Wir hätten gern alle Fahrten behalten“", "Jördis Claaßen", "| 12:30   | 13:20   |"]),
        ("cyrillic", ["В среду в старом портовом складе", "\n\nВход свободный"]),
        ("japanese", ["水曜日、古い倉庫に市立図書館が開館した。", "午前九時から"]),
        ("table", ["Heights in metres above chart datum.", "| 12 May | 09:24 | 4.3", "Times are local."]),
        ("index", ["- [Installation](https://example.com/dir/install.html)\n  * [Linux]", "[Manual (PDF)]"]),
        ("short", ["We are closed on Monday."]),
    ],
)
def test_what_a_page_says_is_kept(name: str, kept: list[str]):
    text = saved(name).text
    assert not [words for words in kept if words not in text]


def test_what_a_page_says_of_itself():
    assert saved("news").author == "Tomás Lindqvist"
    assert [saved(name).language for name in ("german", "cyrillic", "japanese")] == ["de", "ru", "ja"]


def test_links():
    page = read(
        """<html><head><meta http-equiv="refresh" content="5; URL='/next'"></head><body><p>Text</p>
        <a href="a#one">1</a> <a href="a#two">2</a> <a href="//other.example/x">3</a> <a href="?q=1">4</a>
        <a href=" b ">5</a>
        <a href="#top">6</a> <a href="mailto:x@example.com">7</a> <a href="javascript:void(0)">8</a> <a>9</a>
        <a href="no" rel="external nofollow">10</a> <a href="http://[">11</a> <map><area href="map"></map>
        <img src="picture.png"></body></html>"""
    )
    there = "https://example.com/dir"
    assert page.links == (
        "https://example.com/next",
        f"{there}/a",
        "https://other.example/x",
        f"{there}/page.html?q=1",
        f"{there}/b",
        f"{there}/page.html",
        f"{there}/map",
    )


@pytest.mark.parametrize("name", ["robots", "ROBOTS", "mediary"])
@pytest.mark.parametrize("content", ["nofollow", "noindex, NoFollow", "none"])
def test_a_page_whose_links_are_not_to_be_followed(name: str, content: str):
    page = read(f"<head><meta name='{name}' content='{content}'></head><p>Text</p><a href='/a'>A</a>")
    assert page.links == ()
    assert "Text" in page.text


def test_a_base():
    assert read("<head><base href='/other/'></head><a href='a'>A</a>").links == ("https://example.com/other/a",)
    assert read("<head><base href='javascript:x'></head><a href='a'>A</a>").links == ("https://example.com/dir/a",)


def test_frames():
    assert (
        read("<frameset><frame src='menu.html'><frame src='text.html'></frameset>").links[1].endswith("/dir/text.html")
    )


def test_links_have_an_end():
    assert len(read("".join(f"<a href='/{number}'>x</a>" for number in range(3 * MAX_LINKS))).links) == MAX_LINKS


def test_a_page_most_of_which_looks_like_a_menu_is_kept_whole():
    story = "The ferry left at nine and came back at noon. " * 20
    assert story.strip() in read(f"<body><div class='sidebar menu'><p>{story}</p></div><p>Hello</p></body>").text


def test_a_menu_is_not():
    links = "".join(f"<li><a href='/{number}'>Section {number}</a></li>" for number in range(50))
    text = read(f"<body><div class='menu'><ul>{links}</ul></div><p>The ferry left at nine.</p></body>").text
    assert text == "The ferry left at nine."


def test_a_heading_is_made_of_the_title_where_there_is_none():
    assert read("<title>Times</title><p>At nine.</p>").text == "# Times\n\nAt nine."
    assert read("<title>Times</title><h1>Ferry</h1><p>At nine.</p>").text == "# Ferry\n\nAt nine."
    assert read("<title>C#</title><h1>C# <a class='headerlink' href='#c'>#</a></h1><p>A language.</p>").title == "C#"


def test_a_table_of_data_stays_one():
    text = read("<table><tr><td><p>a</p></td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>").text
    assert "| c" in text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"\0\0\0",
        b"<!DOCTYPE html>",
        b"<html></html>",
        b"<body></body>",
        b"<script>x</script>",
        b"<!-- -->",
        b"<?xml?>",
        b"<p>",
    ],
)
def test_a_page_that_says_nothing(data: bytes):
    assert read_page(data, URL, None).text == ""


@pytest.mark.parametrize(
    "data",
    [
        b"<div>" * 50_000 + b"deep",
        b"<a href='x'>" * 5_000 + b"links",
        b"<table><tr><td>" * 2_000 + b"cells",
        b"<p>cut <a href='x",
        b"<p>text</p>" + bytes(range(256)) * 100,
        gzip.compress(b"<p>not unpacked</p>"),
        b"<p class='" + b"x" * 100_000 + b"'>attribute",
        b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'><!ENTITY b '&a;&a;'>]><p>&a; &b;</p>",
    ],
)
def test_garbage(data: bytes):
    page = read_page(b"<html><body>" + data, URL, None)
    assert "root:" not in page.text


@given(
    st.binary(max_size=500) | st.text("<>/='\"ap tdiv!-&;#", max_size=200).map(str.encode),
    st.none() | st.text(max_size=10),
)
def test_any_bytes(data: bytes, charset: str | None):
    read_page(data, URL, charset).text.encode()


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        ("Größe".encode(), None, "Größe"),
        ("Größe".encode(), "iso-8859-1", "Größe"),  # a default of its server
        ("Größe".encode("cp1252"), "iso-8859-1", "Größe"),
        ("“quoted”".encode("cp1252"), "latin1", "“quoted”"),
        ("Größe".encode("utf-16"), None, "Größe"),
        ("Größe".encode("utf-16-be"), "utf-16be", "Größe"),
        ("\ufeffGröße".encode(), "cp1252", "Größe"),
        (b"<meta charset='koi8-r'>" + "Здравствуй".encode("koi8-r"), None, "<meta charset='koi8-r'>Здравствуй"),
        (b"<meta http-equiv='Content-Type' content='text/html; charset=windows-1251'>\xcf", None, "П"),
        (b"<?xml version='1.0' encoding='windows-1251'?>\xcf", None, "П"),
        ("港の図書館".encode("euc_jp"), "EUC-JP", "港の図書館"),
        ("港の図書館".encode("iso2022_jp"), "iso-2022-jp", "港の図書館"),
        ("你好，世界".encode("gb18030"), "gb2312", "你好，世界"),
        ("Größe".encode("cp1252"), "no-such-charset", "Gr"),
        ("Größe".encode("cp1252"), "punycode", "Gr"),
        (b"ok \xff\xfe bad", "utf-8", "ok "),
        (b"", None, ""),
    ],
)
def test_characters(data: bytes, declared: str | None, text: str):
    assert text in decode(data, declared)


@given(
    st.binary(max_size=200),
    st.none() | st.sampled_from(["utf-8", "hex", "rot13", "zlib", "base64", "idna", "\0", "x" * 99]),
)
def test_any_bytes_are_some_characters(data: bytes, declared: str | None):
    assert isinstance(decode(data, declared), str)
