"""Data URIs and base64 in all the ways in which they are written."""

import base64
from contextlib import suppress
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.data_uris import (
    SLICE,
    Base64Decoder,
    decode_base64,
    decode_base64_pieces,
    is_data_uri,
    open_base64,
    open_data_uri,
    parse_data_uri,
)
from mediary.errors import BadRequestError

encoders = st.sampled_from([base64.standard_b64encode, base64.urlsafe_b64encode])
LONG = bytes(range(256)) * 5 * 1024  # several slices


@given(st.binary(max_size=200), encoders, st.booleans(), st.data())
def test_base64_in_any_pieces(data: bytes, encode: object, padded: bool, draw: st.DataObject):
    text = encode(data) if padded else encode(data).rstrip(b"=")
    spaces = draw.draw(
        st.lists(st.tuples(st.integers(0, len(text)), st.sampled_from([b" ", b"\n", b"\r\n", b"\t"])), max_size=4)
    )
    for at, space in sorted(spaces, reverse=True):
        text = text[:at] + space + text[at:]
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert b"".join(decode_base64_pieces(pieces)) == data
    assert decode_base64(text) == decode_base64(text.decode()) == data


@given(st.text(max_size=50))
def test_any_text_is_decoded_or_refused(text: str):
    for decode in (decode_base64, parse_data_uri, lambda text: parse_data_uri(f"data:,{text}")):
        with suppress(BadRequestError):
            assert decode(text) is not None


@pytest.mark.parametrize("text", ["\ud800", "QUJ\ud800", "data:,\ud800", "data:;base64,QUJ\ud800"])
def test_half_a_character_is_refused(text: str):
    with pytest.raises(BadRequestError):
        parse_data_uri(text) if is_data_uri(text) else decode_base64(text)


@pytest.mark.parametrize("text", ["QUJDR", "QUJD=QUJD", "QQ==QQ==", "QU?D", "äöü", "====A", "http://example.com/a.png"])
def test_a_broken_base64_text_is_refused(text: str):
    with pytest.raises(BadRequestError, match="the sound is no base64"):
        decode_base64(text, "the sound")
    with pytest.raises(BadRequestError, match="the sound is no base64"):
        list(open_base64(text, "the sound", 2))
    with pytest.raises(BadRequestError, match="the picture is no base64"):
        parse_data_uri(f"data:image/png;base64,{text}", "the picture")


def test_a_decoder_gives_what_is_whole():
    decoder = Base64Decoder()
    assert [decoder.feed(piece) for piece in ("Q", "UJDR", "A", b"=", "=")] == [b"", b"ABC", b"", b"", b"D"]
    assert decoder.finish() == b""
    with pytest.raises(BadRequestError):
        decoder.feed("QUJD")


@pytest.mark.parametrize(
    ("uri", "media_type", "data"),
    [
        ("data:image/png;base64,QUJD", "image/png", b"ABC"),
        ("DATA:Image/PNG;charset=utf-8;BASE64,QUJD", "Image/PNG", b"ABC"),
        ("data: image/png ; base64 ,QUJD", "image/png", b"ABC"),
        ("data:;base64,-_8", None, b"\xfb\xff"),
        ("data:image/png;base64,%2B%2f8%3D", "image/png", b"\xfb\xff"),
        ("data:image/png;base64,QU\nJD ", "image/png", b"ABC"),
        ("data:,a%20b+c%", None, b"a b+c%"),
        ("data:text/plain;charset=utf-8,ä,%C3%A4", "text/plain", "ä,ä".encode()),
        ("data:image/png;base64,", "image/png", b""),
    ],
)
def test_a_data_uri(uri: str, media_type: str | None, data: bytes):
    assert parse_data_uri(uri) == (media_type, data)
    media_type_again, pieces = open_data_uri(uri, size=2)
    assert (media_type_again, b"".join(pieces)) == (media_type, data)


@given(st.binary(max_size=60), st.integers(1, 20))
def test_percent_escapes_in_any_pieces(data: bytes, size: int):
    assert b"".join(open_data_uri(f"data:,{quote_from_bytes(data)}", size=size)[1]) == data
    encoded = quote(base64.b64encode(data).decode(), safe="")
    assert b"".join(open_data_uri(f"data:;base64,{encoded}", size=size)[1]) == data


def test_a_large_one_comes_in_pieces():
    pieces = list(open_data_uri(f"data:image/png;base64,{base64.b64encode(LONG).decode()}")[1])
    assert b"".join(pieces) == LONG
    assert max(map(len, pieces)) <= SLICE


@pytest.mark.parametrize("uri", ["", "data:", "data:image/png;base64", "data:" + "x" * 2000 + ",AAAA", "http://a/b,c"])
def test_what_is_no_data_uri_is_refused(uri: str):
    with pytest.raises(BadRequestError, match="media_url is no data URI"):
        parse_data_uri(uri, "media_url")


def test_is_data_uri():
    assert is_data_uri("data:,")
    assert is_data_uri("Data:image/png;base64,QUJD")
    assert not is_data_uri("date:")
    assert not is_data_uri("")
