"""What a file is by its first bytes and its name."""

import gzip
import io
import lzma
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.extractors.samples import PDF, SCANS

from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.extractors.base import Recognised
from mediary.extractors.recognition.by_name import MEDIA_TYPES, extractor_of
from mediary.extractors.recognition.detect import recognise


def tar_of(name: str = "a.txt") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name))
    return packed.getvalue()


def sort_of(head: bytes, name: str) -> tuple[str, str, str | None]:
    found = recognise(head, name)
    assert found is not None
    return found.sort, found.media_type, found.extractor


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"Hello\n", "a.txt", ("text", "text/plain", None)),
        (b"Hello\n", "README", ("text", "text/plain", None)),
        (b"Hello\n", "a.unheard-of", ("text", "text/plain", None)),
        (b"Hello\n", ".txt", ("text", "text/plain", None)),
        (b"Hello\n", "R", ("text", "text/plain", None)),
        (b"# Hello\n", "a.md", ("text", "text/markdown", None)),
        (b"<html>in Markdown</html>", "a.MD", ("text", "text/markdown", None)),
        ("Grüße".encode(), "a.log", ("text", "text/plain", None)),
        ("Grüße".encode()[:-4], "a.log", ("text", "text/plain", None)),
        ("Grüße".encode("latin-1"), "a.txt", ("document", "text/plain", "plain")),
        (b"\xef\xbb\xbfHello", "a.txt", ("document", "text/plain", "plain")),
        ("Hello, 世界".encode("utf-16"), "a.md", ("document", "text/markdown", "plain")),
        ("Hello world".encode("utf-16-le"), "a.txt", ("document", "text/plain", "plain")),
        ("Hello world".encode("utf-16-be"), "a.txt", ("document", "text/plain", "plain")),
        ("Hello".encode("utf-32"), "a.txt", ("document", "text/plain", "plain")),
        ("本日は晴天なり".encode("shift-jis"), "a.txt", ("document", "text/plain", "plain")),
        (b"print(1)\n", "a.py", ("document", "text/x-python", "plain")),
        (b"all:\n\tcc a.c\n", "Makefile", ("document", "text/x-makefile", "plain")),
        (b"a,b\n1,2\n", "a.CSV", ("document", "text/csv", "plain")),
        (b"{}", "a.json", ("document", "application/json", "plain")),
        (b"a: 1\n", "a.yml", ("document", "application/x-yaml", "plain")),
        (b"<?xml version='1.0'?><a/>", "a.xml", ("document", "application/xml", "plain")),
        (b"<?xml version='1.0'?><a/>", "a", ("document", "application/xml", "plain")),
        (b"<svg xmlns='x'/>", "a.svg", ("document", "image/svg+xml", "plain")),
        (b"<p>no more</p>", "a.html", ("document", "text/html", "office")),
        (b"\n<!-- x --><!DOCTYPE html><p>", "download", ("document", "text/html", "office")),
        (b"<html><body>", "a.txt", ("document", "text/html", "office")),
        (b"From: a@b.example\nTo: c@d.example\nSubject: x\n\nHi\n", "mail", ("document", "message/rfc822", "office")),
        (b"From: a@b.example\nTo: c@d.example\nSubject: x\n\nHi\n", "a.txt", ("text", "text/plain", None)),
        (b"{\\rtf1 Hello}", "a.doc", ("document", "application/rtf", "office")),
        (b"%PDF-1.7\n\xe2\xe3", "a.txt", ("document", "application/pdf", "pdf")),
        (b"\xef\xbb\xbf\r\n%PDF-1.7\n", "a", ("document", "application/pdf", "pdf")),
        (b"junk\xff\xfe\x00 %PDF-1.7\n", "a", ("document", "application/pdf", "pdf")),
        (b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.7\n", "a.pdf", ("document", "application/pdf", "pdf")),
        (b"A PDF begins with %PDF-1.7.\n", "a.txt", ("text", "text/plain", None)),
        ((PDF / "report.pdf").read_bytes(), "x", ("document", "application/pdf", "pdf")),
        ((SCANS / "letter.tif").read_bytes(), "x", ("document", "image/tiff", "scan")),
        ((SCANS / "letter.pbm").read_bytes()[:99], "x", ("document", "image/x-portable-anymap", "scan")),
        (b"P1 is the first of them, and 2 4 more", "a.txt", ("text", "text/plain", None)),
        (b"BM" + bytes(12) + b"\x28\0\0\0" + bytes(40), "x", ("document", "image/bmp", "scan")),
        (b"BM is short for benchmark", "a.txt", ("text", "text/plain", None)),
        ((SCANS / "contract.png").read_bytes()[:999], "x.pdf", ("media", "image/png", None)),
        (gzip.compress(b"x"), "a.tar.gz", ("archive", "application/gzip", None)),
        (lzma.compress(b"x"), "a.xz", ("archive", "application/x-xz", None)),
        (b"BZh91AY&SY" + bytes(9), "a.bz2", ("archive", "application/x-bzip2", None)),
        (tar_of(), "a", ("archive", "application/x-tar", None)),
        (
            b"PK\x03\x04\x14\0\0\0\0\0" + bytes(8) + b"\x14\0\0\0\x14\0\0\0\x08\0\0\0mimetypeapplication/epub+zip",
            "a",
            ("document", "application/epub+zip", "office"),
        ),
    ],
)
def test_it_is_recognised(head: bytes, name: str, expected: tuple[str, str, str | None]):
    assert sort_of(head, name) == expected


@pytest.mark.parametrize(
    "head", [b"PK\x03\x04" + bytes(60), b"PK\x05\x06" + bytes(18), bytes.fromhex("d0cf11e0a1b11ae1")]
)
def test_a_container_must_be_looked_into(head: bytes):
    assert recognise(head, "a.docx") is None


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"MZ\x90\0\x03\0\0\0\x04", "a program"),
        (b"\x7fELF\x02\x01\x01\0", "a program"),
        (b"SQLite format 3\0\x10\0", "a database"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7z"),
        (b"Rar!\x1a\x07\0", "RAR"),
        (b"\0\x01\x02\x03" * 50, "no document that is known"),
        (b"\xff" * 50 + b"\0\x01" * 50, "no document that is known"),
    ],
)
def test_what_nobody_reads_is_named(head: bytes, words: str):
    with pytest.raises(UnsupportedTypeError, match=words):
        recognise(head, "a.txt")


def test_an_empty_file_is_refused():
    with pytest.raises(UnreadableError, match="empty"):
        recognise(b"", "a.txt")


def test_each_type_by_name_has_an_extractor():
    assert not {kind for kind in MEDIA_TYPES if not extractor_of(kind)}


@given(st.binary(max_size=600), st.text(max_size=12))
def test_any_bytes_and_name_have_an_answer(head: bytes, name: str):
    try:
        found = recognise(head, name)
    except UnsupportedTypeError as problem:
        found = Recognised("document", problem.message)
    assert found is None or found.media_type


@given(st.text(min_size=1), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_text_is_taken_in_any_width(text: str, encoding: str):
    printable = "x" + "".join(letter for letter in text if letter.isprintable())
    assert sort_of(printable.encode(encoding), "a.txt")[0] in ("text", "document")
