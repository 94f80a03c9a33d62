"""The words that items are searched by: how texts and tokens are made alike, and what the first token may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.errors import BadRequestError
from mediary.formats import FORMATS
from mediary.media.item import MediaItem
from mediary.media.search_text import (
    MAX_FIELD,
    MAX_TOKENS,
    fold,
    hidden_type,
    kind_token,
    parse_search,
    read_tokens,
    search_text,
    tag_token,
    type_token,
)


def item(**about: object) -> MediaItem:
    about = {"name": "a.png", "size": 1, "media_type": "image/png", "kind": "image", **about}
    return MediaItem(**about)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Cat", "cat"),
        ("CAFE\u0301", "café"),
        ("Straße", "strasse"),
        ("Жёлтый", "жёлтый"),
        ("a\r\nb\tc", "a  b c"),
        ("\x00a\x01\x02\x7f\x9fb\ud83d\uffff", "ab"),
        ("", ""),
    ],
)
def test_what_looks_alike_is_made_alike(text: str, folded: str):
    assert fold(text) == folded


@given(st.text())
def test_a_folded_text_holds_no_control_characters(text: str):
    assert not {*map(ord, fold(text))} & {*range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF}


@given(st.text(), st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_what_was_written_is_found(name: str, prompt: str, model: str, tags: list[str]):
    text = search_text(item(name=name, prompt=prompt, model=model, tags=tuple(tags)))
    for token in (name, prompt, model, *tags):
        assert fold(token[:MAX_FIELD]) in text
    assert all(tag_token(tag) in text for tag in tags)


@pytest.mark.parametrize("known", FORMATS)
def test_a_type_is_found_by_its_token_alone(known):
    text = search_text(item(media_type=known.media_type))
    assert kind_token(known.kind) in text and type_token(known.media_type) in text
    assert known.media_type not in text and known.kind not in text
    assert hidden_type(kind_token(known.kind)) == (known.kind, None)
    assert hidden_type(type_token(known.media_type)) == (None, known.media_type)
    assert [kind for kind in ("image", "audio", "video") if kind_token(kind) in text] == [known.kind]


def test_the_same_words_are_kept_once():
    assert search_text(item(prompt="A cat", alt="a CAT", model="a.png")).split("\n")[:-1] == ["a.png", "a cat"]


def test_the_first_token_may_name_a_kind_or_a_type():
    assert read_tokens(("IMAGE", "image")) == (kind_token("image"), "image")
    assert read_tokens(("\x01", "", "video")) == (kind_token("video"),)
    assert read_tokens(("audio/mp3",)) == (type_token("audio/mpeg"),)
    assert read_tokens(("image/x-unheard-of",)) == (type_token("image/x-unheard-of"),)
    assert read_tokens(("text/plain", "imag", "cat")) == ("text/plain", "imag", "cat")
    assert hidden_type("cat") == (None, None)


def test_tokens_are_joined_by_a_plus():
    assert parse_search("image+red cat++猫+") == ("image", "red cat", "猫")
    assert parse_search("") == ()


def test_too_many_tokens():
    assert len(read_tokens("a" * MAX_TOKENS)) == MAX_TOKENS
    with pytest.raises(BadRequestError, match="64 tokens"):
        read_tokens("a" * (MAX_TOKENS + 1))
