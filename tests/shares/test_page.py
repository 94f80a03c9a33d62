"""The page of a chat: all that clients write is shown, and nothing that a chat holds can do harm."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediary.shares.page.html import notice, policy, render, style
from mediary.shares.page.markdown import LONGEST, to_html

HOST = "localhost:8080"
NAME = "1700000000_harbour_0123456789abcdef.png"

TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "header", "main", "footer", "article", "time"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "div", "span", "small", "strong", "em", "s", "blockquote"),
    *("ul", "ol", "li", "pre", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("a", "img", "audio", "video"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "rel", "href", "id", "class", "dir", "datetime", "src", "alt", "title"),
    *("loading", "decoding", "controls", "preload", "playsinline", "start"),
}


class Page(HTMLParser):
    """The tags of a page, each with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for each, attributes in self.tags if each == tag]


def page_of(*items: Any, **chat: Any) -> Page:
    return Page(render(json.dumps({"items": items, **chat}).encode(), "abc", HOST))


def said(content: Any, role: str = "assistant", **more: Any) -> Page:
    return page_of({"role": role, "content": content, **more})


def check(page: Page) -> None:
    """Nothing on it runs, loads from elsewhere, or leads to a bad place."""
    for tag, attributes in page.tags:
        assert tag in TAGS
        assert set(attributes) <= ATTRIBUTES
        if source := attributes.get("src"):
            assert source.startswith(("/media/", "/images/", "/thumbnail/", "/files/", "data:image/"))
        if tag == "a" and "href" in attributes:
            target = re.sub(r"[\x00-\x20]", "", attributes["href"])  # as browsers read it
            assert re.match(r"https?://", target, re.IGNORECASE) or ":" not in re.split("[/?#]", target)[0]


PIECES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](javascript:alert(1))",
    "[x](javascript:alert(1))",
    "[x](JaVa\tScript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](data:image/svg+xml;base64,AAAA)",
    "![x](data:image/png;base64,AAAA)",
    "[x](data:image/png;base64,AAAA)",
    "<audio controls src='/media/x.mp3' onplay=alert(1)>",
    '<video src="javascript:alert(1)"></video>',
    '<video src="//evil.example/x.mp4"></video>',
    f"[![a](/media/{NAME})](/media/{NAME})",
    "![x](https://evil.example/x)",
    '[x](/a "t\\" onclick=alert(1)")',
    "[x](vbscript:x)",
    "<javascript:alert(1)>",
    "<https://a.example>",
    '~~~ "onx=1\n',
    '|a|b|\n|:-|-:|\n|<i>|"|',
    "# <h1>",
    "1000. x",
    "&lt;script&gt;",
    "[a]: javascript:alert(1)\n\n[a]",
    "<think>x</think>y",
    *('"', "'", ">", "`<b>`", "\\<script>", "</article></main>", "<!--", "]]>", "\u202e", "\0"),
    "[x](file:///etc/passwd)",
    "[x](mailto:a@b)",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=8), st.sampled_from(["", " ", "\n", "\n\n"]))
@example(PIECES, "\n\n")
@example(PIECES, " ")
@example(PIECES, "")
def test_no_text_does_harm(pieces: list[str], glue: str):
    text = glue.join(pieces)
    check(said(text, title=text, provider={"model": text, "label": text}, reasoning={"text": text}))
    check(said([{"text": text}, {"url": text, "name": text}, {"image_url": {"url": text}}, {"url": text}], role=text))
    check(page_of(title=text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["role", "content", "items", "title", "text", "url", "image_url", "name", "provider", "model", "label",
         "reasoning", "continue", "updated", "bucket_id", "input_audio", "new_title"]), inner, max_size=4),
    max_leaves=25,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["items", "messages", "title", "new_title", "updated"]), json_values))
def test_no_form_of_a_chat_breaks_the_page(chat: dict[str, Any]):
    check(Page(render(json.dumps(chat).encode(), "abc", HOST)))


@pytest.mark.parametrize(
    "body", [b"{" + b'"items":' + b"[" * 50_000 + b"]" * 50_000 + b"}", b'{"x":' + b"9" * 9999 + b"}"]
)
def test_what_is_hard_to_read_is_a_page(body: bytes):
    check(Page(render(body, "abc", HOST)))


def test_who_says_what_is_told():
    page = page_of(
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": "**Hi**",
            "provider": {"name": "OpenAI", "label": "Open AI", "model": "gpt-4o"},
        },
        title="A talk",
        updated=1763596800000,
    )
    for words in ("A talk", "20 November 2025 · 2 messages", "User", "Hello", "Assistant", "gpt-4o · Open AI", "Hi"):
        assert words in page.text
    assert ("strong", {}) in page.tags
    assert [attributes["class"] for attributes in page.all("article")] == ["asks", "answers"]
    assert page.all("a")[-1]["href"] == "/backend-api/v2/chat/abc"


@pytest.mark.parametrize("address", ["", f"http://{HOST}", "https://old.example.com", "//x"])
def test_our_pictures_are_shown_wherever_the_server_was(address: str):
    page = said(f"[![a harbour]({address}/media/{NAME}?url=https%3A%2F%2Fx)]({address}/media/{NAME})")
    [image] = page.all("img")
    assert (image["src"], image["alt"], image["loading"]) == (f"/media/{NAME}", "a harbour", "lazy")
    assert page.all("a")[0]["href"] == f"/media/{NAME}"


def test_pictures_of_elsewhere_are_links():
    page = said("![a cat](https://cats.example/1.png) [![linked](https://cats.example/2.png)](https://cats.example)")
    assert not page.all("img")
    assert [link["href"] for link in page.all("a")[:2]] == ["https://cats.example/1.png", "https://cats.example"]
    assert "cats.example" in page.text
    assert all("nofollow" in link["rel"] for link in page.all("a")[:2])


def test_sounds_and_videos_of_ours_are_played():
    page = said('<audio controls src="/media/a.mp3"></audio> and <video src="/files/b/media/v.mp4"></video>')
    assert [page.all(tag)[0]["src"] for tag in ("audio", "video")] == ["/media/a.mp3", "/files/b/media/v.mp4"]
    assert "</audio>" not in page.text


def test_a_player_in_code_is_code():
    page = said('`<audio src="/media/a.mp3">`\n\n```html\n<video src="/media/b.mp4">\n```')
    assert not page.all("audio") and not page.all("video")
    assert '<audio src="/media/a.mp3">' in page.text and '<video src="/media/b.mp4">' in page.text


def test_parts_of_messages_are_shown():
    page = said(
        [
            {"bucket_id": "b", "name": "p.png", "url": f"http://{HOST}/files/b/media/p.png", "width": 1, "height": 1},
            {"bucket_id": "b", "name": "s.mp3", "url": "/files/b/media/s.mp3", "text": "spoken words"},
            {"bucket_id": "b", "url": "/backend-api/v2/files/b"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "text", "text": "and *text*"},
        ],
        role="user",
    )
    assert [image["src"] for image in page.all("img")] == ["/files/b/media/p.png", "data:image/png;base64,AAAA"]
    assert page.all("audio")[0]["src"] == "/files/b/media/s.mp3"
    for words in ("spoken words", "Document", "A recording.", "and text"):
        assert words in page.text


@pytest.mark.parametrize(
    "message",
    [
        {"content": "42", "reasoning": {"text": "Counting *hard*", "status": ""}},
        {"content": "<think>Counting *hard*</think>42"},
        {"content": "42", "reasoning": "Counting *hard*"},
    ],
)
def test_reasoning_is_folded(message: dict[str, Any]):
    page = page_of({"role": "assistant", **message})
    assert len(page.all("details")) == 1
    assert "Counting hard" in page.text and "42" in page.text
    assert "think" not in page.text


def test_an_answer_that_went_on_is_one_message():
    page = page_of({"role": "assistant", "content": "one, "}, {"role": "assistant", "content": "two", "continue": True})
    assert len(page.all("article")) == 1
    assert "one, two" in page.text


def test_headings_stand_below_those_of_the_page():
    page = said("# one\n## two\n###### six")
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4", "h6")] == ["h1", "h2", "h3", "h4", "h6"]


def test_columns_stand_as_they_are_meant_to_without_a_style_that_the_policy_forbids():
    page = said("|a|b|c|d|\n|:-|:-:|-:|-|\n|1|2|3|4|")
    for tag in ("th", "td"):
        assert [cell.get("class") for cell in page.all(tag)] == ["left", "center", "right", None]
    check(page)


def test_a_text_without_end_is_shown_as_it_is():
    assert to_html("*" * (LONGEST + 1), HOST).startswith('<pre class="plain">*')


def test_the_policy_lets_our_style_and_media_through_and_nothing_else():
    assert "default-src 'none'" in policy()
    assert "script" not in policy()
    assert style() in notice("Title", "Words")
    check(Page(notice("<b>", '"')))
