"""PDFs made by hand: few that people make are like them, and none may do harm."""

import zlib
from pathlib import Path

import pytest
from tests.extractors.samples import text

from mediary.errors import UnreadableError
from mediary.extractors.base import Wanted
from mediary.extractors.pdf import extract
from mediary.extractors.registry import Extractors
from mediary.sandbox.pool import Sandbox

WANTED = Wanted("x.pdf", "application/pdf")
HELLO = b"BT /F 12 Tf 72 700 Td (Hello wide world) Tj ET"
RESOURCES = b"<</Font<</F 5 0 R>>/XObject<</I 6 0 R>>>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Resources" + RESOURCES + b"/Contents 4 0 R%s>>"
IMAGE = b"/Type/XObject/Subtype/Image/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode"


def stream(keys: bytes, data: bytes) -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (keys, len(data), data)


def pdf(
    content: bytes, *, size=(600, 800), kids=b"3 0 R", count=1, keys=b"", more=b"", thing: bytes | None = None
) -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count),
        PAGE % (*size, more),
        stream(keys, content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        thing or stream(IMAGE + b"/Width 10/Height 10", zlib.compress(bytes(100))),
    ]
    data = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size 7/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(data)
    return data + b"xref\n0 7\n0000000000 65535 f \n" + table + end


def test_what_was_filled_in_is_read():
    field = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(n)/V(Jane Roe)/F 4/Rect[72 600 300 620]/AP<</N 6 0 R>>>>"
    look = stream(
        b"/Type/XObject/Subtype/Form/BBox[0 0 228 20]/Resources<</Font<</F 5 0 R>>>>",
        b"BT /F 12 Tf 2 5 Td (Jane Roe) Tj ET",
    )
    data = pdf(HELLO, more=b"/Annots[%s]" % field, thing=look)
    assert text(extract, data, WANTED) == "Hello wide world\n\nJane Roe\n"


@pytest.fixture
async def extractors():
    sandbox = Sandbox(1, readable=[], memory_bytes=512 * 1024**2)
    yield Extractors(sandbox)
    await sandbox.close()


async def read(extractors: Extractors, path: Path, data: bytes) -> str:
    path.write_bytes(data)
    pieces = extractors.extract(path, "pdf", WANTED, seconds=60)
    return "".join([piece async for piece in pieces if isinstance(piece, str)])


@pytest.mark.parametrize(
    "data",
    [
        pdf(HELLO),
        pdf(HELLO, count=100_000),
        pdf(HELLO, size=(10**9, 10**9)),
        pdf(b"q " * 100_000 + HELLO),
        pdf(
            HELLO, more=b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 600 600 750]/A<</S/URI/URI(file:///etc/passwd)>>>>]"
        ),
        pdf(HELLO, kids=b"99 0 R 3 0 R", count=2),
    ],
    ids=[
        "plain",
        "pages that are not there",
        "a huge page",
        "deep nesting",
        "a link to a file",
        "a page that is missing",
    ],
)
def test_what_can_be_read_is(data: bytes):
    assert text(extract, data, WANTED) == "Hello wide world\n"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n",
        b"%PDF-1.4\n" + bytes(range(256)) * 50,
        pdf(HELLO)[:300],
        pdf(b"[" * 100_000 + HELLO),
        pdf(b""),
        pdf(HELLO, kids=b"2 0 R", count=1000),
        pdf(b"", kids=b"3 0 R " * 2000, count=2000),
    ],
    ids=["a head alone", "garbage", "half of one", "brackets", "no text", "pages in a circle", "empty pages"],
)
def test_what_cannot_be_read_has_a_reason(data: bytes):
    with pytest.raises(UnreadableError, match=r"damaged|no text|without pages"):
        text(extract, data, WANTED)


@pytest.mark.parametrize(
    "data",
    [
        pdf(zlib.compress(b"BT /F 12 Tf (aaaa) Tj ET " * 2 * 10**7, 9), keys=b"/Filter/FlateDecode"),
        pdf(
            b"q 600 0 0 800 0 0 cm /I Do Q",
            thing=stream(IMAGE + b"/Width 60000/Height 60000", zlib.compress(b"\x80" * 10**7, 9)),
        ),
        pdf(
            b"q 600 0 0 800 0 0 cm /I Do Q",
            thing=stream(
                b"/Type/XObject/Subtype/Image/Width 65000/Height 65000/BitsPerComponent 1/Filter/JBIG2Decode",
                bytes.fromhex("00000000300001000000130000fde80000fde8000000000000000000000000"),
            ),
        ),
        pdf(
            b"/I Do",
            thing=stream(b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</I 6 0 R>>>>", b"/I Do"),
        ),
    ],
    ids=["half a gigabyte of content", "a picture of 3.6 gigapixels", "JBIG2", "a form within itself"],
)
async def test_a_bomb_ends_and_the_next_document_is_read(extractors: Extractors, tmp_path: Path, data: bytes):
    with pytest.raises(UnreadableError):
        await read(extractors, tmp_path / "bomb.pdf", data)
    assert await read(extractors, tmp_path / "next.pdf", pdf(HELLO)) == "Hello wide world\n"
