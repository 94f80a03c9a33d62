"""What a client is shown: the Markdown and HTML mean what they are made of, whatever the words and URLs hold."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mediary.errors import BadRequestError
from mediary.media.responses import AudioResponse, ImageResponse, VideoResponse, media_response

words = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.text(
    st.sampled_from("a b\n[]()*_`\\<>&;\"'!#|~$-"), max_size=40
)


def images(markdown: str) -> list[tuple[str, Token]]:
    """The pictures of a Markdown text, each with the link around it."""
    found = []
    for block in MarkdownIt("commonmark").parse(markdown):
        links: list[str] = []
        for token in block.children or ():
            if token.type == "link_open":
                links.append(str(token.attrs["href"]))
            elif token.type == "image":
                found.append((links[-1], token))
            assert token.type in ("link_open", "image", "link_close", "softbreak"), markdown
    return found


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_forms_of_the_contract():
    assert str(ImageResponse("/media/x.png", "a cat")) == "[![a cat](/media/x.png)](/media/x.png)"
    assert str(AudioResponse("/media/x.mp3", "hello")) == '<audio controls src="/media/x.mp3"></audio>'
    assert str(VideoResponse("/media/x.mp4", "a cat")) == '<video src="/media/x.mp4"></video>'


def test_several_pictures_are_a_line_each():
    response = ImageResponse(["/media/a.png", "/media/b.png"], "two")
    assert response.urls == ("/media/a.png", "/media/b.png")
    assert response.markdown == "[![two](/media/a.png)](/media/a.png)\n[![two](/media/b.png)](/media/b.png)"


def test_options_and_equality():
    response = media_response("audio", "/media/x.mp3", None, source_url="https://example.com/x", voice="ann")
    assert isinstance(response, AudioResponse)
    assert (response.transcript, response.source_url, response.options["voice"]) == ("", "https://example.com/x", "ann")
    assert ImageResponse("/media/x.png", "a").source_url is None
    assert ImageResponse("/media/x.png", "a") == ImageResponse(["/media/x.png"], "a")
    assert ImageResponse("/media/x.png", "a") != VideoResponse("/media/x.png", "a")
    assert len({ImageResponse("/media/x.png", "a", width=1), ImageResponse("/media/x.png", "a", width=1)}) == 1


def test_it_cannot_be_changed():
    response = ImageResponse("/media/x.png", "a", width=1)
    with pytest.raises(AttributeError):
        response.alt = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        response.options["width"] = 2  # type: ignore[index]


@given(words)
def test_words_are_shown_as_they_are(alt: str):
    [(link, image)] = images(str(ImageResponse("/media/x.png", alt)))
    assert link == image.attrs["src"] == "/media/x.png"
    assert "".join(token.content for token in image.children or ()) == " ".join(alt.split())


@pytest.mark.parametrize(
    "alt", ["<script>alert(1)</script>", "a](javascript:alert(1))", '"><img src=x onerror=alert(1)>']
)
def test_words_are_no_markup(alt: str):
    shown = str(ImageResponse("/media/x.png", alt))
    assert "<" not in shown
    assert len(images(shown)) == 1


@given(words)
def test_a_url_leads_where_it_says(rest: str):
    url = f"https://example.com/{rest}"
    markdown = str(ImageResponse(url, "x"))
    [(link, image)] = images(markdown)
    assert link == image.attrs["src"]
    for response in (AudioResponse(url), VideoResponse(url)):
        parser = Tags()
        parser.feed(str(response))
        [(_, attributes)] = parser.found
        assert set(attributes) <= {"src", "controls"}
        assert MarkdownIt().normalizeLink(attributes["src"] or "") == link


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//host/x.png", "file:///etc/passwd", "", "x.png"]
)
@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_a_url_that_nobody_should_follow_is_refused(kind: str, url: str):
    with pytest.raises(BadRequestError):
        media_response(kind, ["/media/x.png", url])


def test_a_data_uri_stays_one():
    assert 'src="data:audio/wav;base64,UklGRg=="' in str(AudioResponse("data:audio/wav;base64,UklGRg=="))
