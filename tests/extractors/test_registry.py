"""Recognising and extracting as the rest of Mediary does it: in child processes."""

import io
import struct
import zipfile
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.extractors.samples import PDF

from mediary import plugins
from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.extractors.base import Facts, Wanted
from mediary.extractors.recognition.detect import HEAD_BYTES
from mediary.extractors.registry import Extractors
from mediary.sandbox.pool import Sandbox

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EXCEL_BINARY = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"
POWERPOINT = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
OPEN_TEXT = "application/vnd.oasis.opendocument.text"


@pytest.fixture
async def extractors():
    sandbox = Sandbox(1, readable=[])
    yield Extractors(sandbox)
    await sandbox.close()


async def recognise(extractors: Extractors, path: Path, name: str, data: bytes) -> tuple[str, str, str | None]:
    path = path / "upload"
    path.write_bytes(data)
    found = await extractors.recognise(path, data[:HEAD_BYTES], name)
    return found.sort, found.media_type, found.extractor


def zip_of(**parts: str) -> bytes:
    return zip_with({name.replace("__", "/").replace("_", "."): text for name, text in parts.items()})


def zip_with(parts: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return packed.getvalue()


def office(main: str) -> bytes:
    types = f'<Types><Override PartName="/x.xml" ContentType="application/{main}+xml"/></Types>'
    return zip_with({"[Content_Types].xml": types, "x.xml": "<x/>"})


def ole_of(*streams: str, first: int = 0) -> bytes:
    """An OLE file whose directory begins in sector `first` and has four entries to the sector."""
    entries = b""
    for name in ["Root Entry", *streams]:
        text = name.encode("utf-16-le")
        entries += text.ljust(64, b"\0") + struct.pack("<H", len(text) + 2) + bytes(62)
    sectors = [entries[at : at + 512].ljust(512, b"\0") for at in range(0, len(entries), 512)]
    table = [0xFFFFFFFF] * 128
    for number in range(first, first + len(sectors)):
        table[number] = number + 1
    table[first + len(sectors) - 1] = 0xFFFFFFFE
    where = first + len(sectors)
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<IIIIIIIII", 1, first, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, where)
    return header.ljust(512, b"\xff") + bytes(512 * first) + b"".join(sectors) + struct.pack("<128I", *table)


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (
            office("vnd.openxmlformats-officedocument.wordprocessingml.document.main"),
            "a",
            WORD,
        ),
        (office("vnd.ms-word.document.macroEnabled.main"), "a.zip", WORD),
        (office("vnd.openxmlformats-officedocument.spreadsheetml.template.main"), "a", EXCEL),
        (office("vnd.ms-excel.sheet.macroEnabled.main"), "a", EXCEL),
        (
            office("vnd.ms-excel.sheet.binary.macroEnabled.main"),
            "a",
            "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
        ),
        (office("vnd.ms-powerpoint.slideshow.macroEnabled.main"), "a", POWERPOINT),
        (
            zip_of(mimetype="application/vnd.oasis.opendocument.text-template"),
            "a",
            "application/vnd.oasis.opendocument.text",
        ),
        (zip_of(mimetype="application/epub+zip"), "a.zip", "application/epub+zip"),
        (ole_of("1Table", "WordDocument"), "a", "application/msword"),
        (ole_of("a", "b", "c", "d", "e", "Workbook", first=3), "a", "application/vnd.ms-excel"),
        (ole_of("PowerPoint Document"), "a.doc", "application/vnd.ms-powerpoint"),
        (ole_of("__properties_version1.0"), "a", "application/vnd.ms-outlook"),
    ],
)
async def test_a_container_is_what_is_in_it(
    extractors: Extractors, tmp_path: Path, data: bytes, name: str, expected: str
):
    assert await recognise(extractors, tmp_path, name, data) == ("document", expected, "office")


@pytest.mark.parametrize(
    "data", [zip_of(a_txt="x"), zip_of(word__document_xml="x"), zip_of(mimetype="text/x-unknown"), zip_with({})]
)
async def test_any_other_zip_is_an_archive(extractors: Extractors, tmp_path: Path, data: bytes):
    assert await recognise(extractors, tmp_path, "a.docx", data) == ("archive", "application/zip", None)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zip_with({"META-INF/MANIFEST.MF": "x", "A.class": "x"}), "Java program.*taken are"),
        (zip_with({"AndroidManifest.xml": "x"}), "Android program.*taken are"),
        (ole_of("Contents"), "OLE file without a document that is known; taken are"),
        (bytes(1000), "no document that is known; taken are"),
    ],
)
async def test_what_is_not_taken_says_what_is(extractors: Extractors, tmp_path: Path, data: bytes, words: str):
    with pytest.raises(UnsupportedTypeError, match=words):
        await recognise(extractors, tmp_path, "a.bin", data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zip_of(a_txt="x" * 5000)[:-30], "damaged zip"),
        (b"PK\x03\x04", "damaged zip"),
        (ole_of("EncryptedPackage"), "locked with a password"),
        (ole_of("WordDocument")[:700], "damaged Office"),
        (ole_of("WordDocument")[:30], "damaged Office"),
        (b"", "empty"),
    ],
)
async def test_what_is_damaged_or_locked_says_so(extractors: Extractors, tmp_path: Path, data: bytes, words: str):
    with pytest.raises(UnreadableError, match=words):
        await recognise(extractors, tmp_path, "a.docx", data)


async def test_a_chain_without_end_ends(extractors: Extractors, tmp_path: Path):
    data = bytearray(ole_of("Contents"))
    data[-512:-508] = struct.pack("<I", 0)
    with pytest.raises(UnsupportedTypeError):
        await recognise(extractors, tmp_path, "a.doc", bytes(data))


async def test_text_is_text_to_its_end(extractors: Extractors, tmp_path: Path):
    text = "ä" * HEAD_BYTES
    assert await recognise(extractors, tmp_path, "a.txt", text.encode()) == ("text", "text/plain", None)
    for tail in (b"\xff", b"\0", "ä".encode()[:1]):
        assert await recognise(extractors, tmp_path, "a.txt", text.encode() + tail) == (
            "document",
            "text/plain",
            "plain",
        )


async def test_text_and_facts_come_as_they_are_found(extractors: Extractors):
    pieces = extractors.extract(PDF / "contract.pdf", "pdf", Wanted("contract.pdf", "application/pdf"), seconds=60)
    async with aclosing(pieces):
        found = [piece async for piece in pieces]
    assert found[0] == Facts(title="Service Agreement", pages=2, language="en")
    assert "".join(piece for piece in found[1:] if isinstance(piece, str)).startswith("# Service Agreement\n\n")


async def test_an_extractor_that_is_gone_has_a_reason(extractors: Extractors):
    with pytest.raises(UnreadableError, match="djvu"):
        await anext(extractors.extract(PDF / "contract.pdf", "djvu", Wanted("a", "image/vnd.djvu"), seconds=60))


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An installed distribution that reads `.djvu` and `.adoc`."""
    room = tmp_path / "site"
    (room / "shouting-1.dist-info").mkdir(parents=True)
    (room / "shouting-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1\n")
    points = "[mediary.extractors]\n.djvu = shouting:extract\n.adoc = shouting:extract\n"
    (room / "shouting-1.dist-info" / "entry_points.txt").write_text(points)
    (room / "shouting.py").write_text("def extract(source, wanted):\n    yield source.read().decode().upper()\n")
    monkeypatch.syspath_prepend(room)
    plugins.registered.cache_clear()
    yield
    plugins.registered.cache_clear()


@pytest.mark.usefixtures("plugin")
async def test_an_extractor_may_be_registered_for_an_extension(tmp_path: Path):
    sandbox = Sandbox(1, readable=[])
    extractors = Extractors(sandbox)
    found = await recognise(extractors, tmp_path, "a.DJVU", b"AT&TFORM\0\0\x01\0DJVU")
    assert found == ("document", "image/vnd.djvu", ".djvu")
    assert (await recognise(extractors, tmp_path, "a.djvu", b"%PDF-1.7"))[2] == "pdf"
    assert await recognise(extractors, tmp_path, "a.adoc", b"= Title\n") == ("document", "text/plain", ".adoc")
    async with aclosing(extractors.extract(tmp_path / "upload", ".adoc", Wanted("a.adoc", ""), seconds=60)) as pieces:
        assert [piece async for piece in pieces] == ["= TITLE\n"]
    await sandbox.close()


async def test_a_feed_is_for_markitdown_where_it_is_installed(extractors: Extractors, tmp_path: Path) -> None:
    pytest.importorskip("markitdown")
    feed = (
        b'<?xml version="1.0"?><rss version="2.0"><channel><title>Harbour news</title><link>https://example.org</link>'
        b"<description>All of it</description><item><title>Lamps</title><description>They burn.</description></item>"
        b"</channel></rss>"
    )
    assert await recognise(extractors, tmp_path, "news.xml", feed) == ("document", "application/rss+xml", "markitdown")
    wanted = Wanted(name="news.xml", media_type="application/rss+xml")
    async with aclosing(extractors.extract(tmp_path / "upload", "markitdown", wanted, seconds=60)) as pieces:
        text = "".join([piece async for piece in pieces if isinstance(piece, str)])
    assert "## Lamps" in text
    assert "They burn." in text
