"""The forms in which media arrive all give the same bytes."""

import base64
from collections.abc import AsyncIterator
from urllib.parse import quote_from_bytes

import pytest

from mediary.errors import BadRequestError
from mediary.media.incoming import SLICE, read_response


async def content(response: object, **options: str) -> bytes:
    return b"".join([chunk async for chunk in read_response(response, **options).chunks])


@pytest.mark.parametrize("text", ["QUJDR", "QUJD=QUJD", "QQ==QQ==", "QU?D", "äöü", "====A", "http://example.com/a.png"])
async def test_a_broken_base64_text_is_refused(text: str):
    with pytest.raises(BadRequestError):
        await content(text)


LONG = bytes(range(256)) * 5 * 1024  # more than a slice
ENCODED = base64.b64encode(LONG).decode()

FORMS = {
    "bytes": LONG,
    "bytearray": bytearray(LONG),
    "memoryview": memoryview(LONG),
    "base64": ENCODED,
    "URL-safe base64": base64.urlsafe_b64encode(LONG).decode().rstrip("="),
    "base64 in lines": base64.encodebytes(LONG).decode(),
    "data URI": f"data:image/png;base64,{ENCODED}",
    "data URI with parameters": f"DATA:image/png;charset=utf-8;BASE64,{ENCODED}",
    "data URI with escapes": f"data:image/png;base64,{ENCODED.replace('+', '%2B').replace('=', '%3d')}",
    "data URI without base64": f"data:image/png,{quote_from_bytes(LONG)}",
    "mapping of text": {"data": ENCODED, "mimeType": "image/png"},
    "mapping of bytes": {"data": LONG},
}


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_gives_the_same_bytes(form: str):
    assert len(LONG) > SLICE
    assert await content(FORMS[form]) == LONG


async def test_a_stream():
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    assert await content(chunks()) == b"onetwo"


def test_what_is_said_of_the_bytes():
    source = read_response({"data": b"", "mimeType": "audio/mp4", "transcript": "hello"}, "audio/wav", "other")
    assert (source.content_type, source.transcript) == ("audio/mp4", "hello")
    source = read_response({"data": b"", "mimeType": None, "transcript": 7}, "audio/wav", "other")
    assert (source.content_type, source.transcript) == ("audio/wav", "other")
    assert read_response("data:audio/wav;base64,AAAA").content_type == "audio/wav"


@pytest.mark.parametrize(
    "response", [{}, {"mimeType": "image/png"}, {"data": None}, {"data": 5}, None, 5, [1], "data:image/png"]
)
def test_what_holds_no_media_is_refused(response: object):
    with pytest.raises(BadRequestError):
        read_response(response)
