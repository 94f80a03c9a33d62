"""Archives that mean well: whole, whoever made them, and with the archives in them."""

import asyncio
import bz2
import gzip
import io
import lzma
import os
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.buckets.archives import BZIP2, GZIP, PACKED, TAR, XZ, Unpack, locked, tarred, unpacking, zipped

from mediary.errors import TooLargeError, UnreadableError
from mediary.sandbox.pool import MIB, Sandbox


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """A pool of one child, with as little memory as the settings allow; it can read nothing but what it is given."""
    opened = Sandbox(1, readable=[], memory_bytes=128 * MIB)
    yield opened
    await opened.close()


@pytest.fixture
def unpack(sandbox: Sandbox, tmp_path: Path) -> Unpack:
    return unpacking(sandbox, tmp_path)


FILES = {"a.txt": b"one", "docs/b.txt": b"two" * 1000, "docs/deep/empty.txt": b"", "big.bin": os.urandom(5 * MIB // 4)}
WANTED = [(f"x.zip/{name}", data) for name, data in FILES.items()]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_a_zip(unpack: Unpack, method: int):
    assert await unpack(await asyncio.to_thread(zipped, FILES, method)) == WANTED


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("media_type", PACKED)
async def test_a_tar(unpack: Unpack, media_type: str, form: int):
    packed = await asyncio.to_thread(PACKED[media_type], tarred(FILES.items(), form))
    assert await unpack(packed, media_type=media_type) == WANTED


@pytest.mark.parametrize(("options", "media_type"), [("c", TAR), ("cz", GZIP), ("cj", BZIP2), ("cJ", XZ), ("cS", TAR)])
async def test_what_gnu_tar_makes(unpack: Unpack, tmp_path: Path, options: str, media_type: str):
    folder = tmp_path / "folder"
    folder.mkdir()
    long = "ä" * 100 + ".txt"
    for name, data in {"a b.txt": b"1", long: b"2", "sparse": b"x" + bytes(MIB) + b"y"}.items():
        (folder / name).write_bytes(data)
    target = tmp_path / "made"
    await asyncio.to_thread(subprocess.run, ["tar", f"-{options}f", target, "-C", folder, "."], check=True)
    found = await unpack(target, media_type=media_type)
    assert dict(found) == {
        "x.zip/a b.txt": b"1",
        f"x.zip/{long}": b"2",
        "x.zip/sparse": b"x" + bytes(MIB) + b"y",
    }


@pytest.mark.parametrize(
    ("name", "inner"),
    [("notes.txt.gz", "notes.txt"), ("a.b.c.gz", "a.b.c"), ("notes", "notes"), (".gz", ".gz"), ("..gz", "file")],
)
async def test_a_single_file(unpack: Unpack, name: str, inner: str):
    assert await unpack(gzip.compress(b"text"), name, GZIP) == [(f"{name}/{inner}", b"text")]


@pytest.mark.parametrize(("compress", "media_type"), [(bz2.compress, BZIP2), (lzma.compress, XZ)])
async def test_a_single_file_of_another_kind(unpack: Unpack, compress: Callable[[bytes], bytes], media_type: str):
    assert await unpack(compress(b"text"), "a.txt.z", media_type) == [("a.txt.z/a.txt", b"text")]


async def test_several_gzip_members_are_one_file(unpack: Unpack):
    assert await unpack(gzip.compress(b"a") + gzip.compress(b"b"), "x.gz", GZIP) == [("x.gz/x", b"ab")]


class Unseekable(io.RawIOBase):
    """A pipe: then a zip has its sizes behind the data."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.data += data
        return len(data)


async def test_a_zip_that_was_written_to_a_pipe(unpack: Unpack):
    target = Unseekable()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            with archive.open(name, "w") as file:
                file.write(data)
    assert await unpack(bytes(target.data)) == WANTED


async def test_a_zip64(unpack: Unpack):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in FILES.items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(data)
    assert await unpack(with_zip64_end(target.getvalue())) == WANTED


def with_zip64_end(data: bytes) -> bytes:
    """The same zip with its end in the long form, as archives have it that were written as streams."""
    *_, count, size, start, _ = struct.unpack("<4s4H2LH", data[-22:])
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(data) - 22, 1)
    return (
        data[:-22] + end + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    )


async def test_a_zip_behind_something_else(unpack: Unpack):
    assert await unpack(b"#!/bin/sh\nexit\n" + zipped(FILES)) == WANTED


@pytest.mark.parametrize(
    ("raw", "name"),
    [("größe.txt".encode(), "größe.txt"), ("größe".encode("cp437"), "größe"), (b"\xff\xfe", "\xa0■")],
)
async def test_names_of_old_zips(unpack: Unpack, raw: bytes, name: str):
    data = zipped({"?" * len(raw): b"text"}).replace(b"?" * len(raw), raw)
    assert await unpack(data) == [(f"x.zip/{name}", b"text")]


async def test_a_unicode_name_beside_an_old_one(unpack: Unpack):
    info = zipfile.ZipInfo("old.txt")
    name = "текст.txt".encode()
    info.extra = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, zlib.crc32(b"old.txt")) + name
    other = zipfile.ZipInfo("kept.txt")
    other.extra = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, 0) + name  # of a name that is no more
    found = await unpack(zipped([(info, b"1"), (other, b"2")]))
    assert found == [("x.zip/текст.txt", b"1"), ("x.zip/kept.txt", b"2")]


async def test_a_tar_with_names_that_are_not_utf8(unpack: Unpack):
    data = tarred([("gr\udcf6\udcdfe.txt", b"text")], tarfile.USTAR_FORMAT)
    assert await unpack(data, media_type=TAR) == [("x.zip/größe.txt", b"text")]


LITTER = ["__MACOSX/._a.txt", "__MACOSX/", ".DS_Store", "docs/.DS_Store", "docs/._b.txt", "docs/", "Thumbs.db", "./"]


async def test_folders_and_litter_are_left_out(unpack: Unpack):
    files = [*((name, b"" if name.endswith("/") else b"x") for name in LITTER), ("./docs//a.txt", b"1")]
    assert await unpack(zipped(files)) == [("x.zip/docs/a.txt", b"1")]


async def test_windows_folders(unpack: Unpack):
    data = zipped({"docs?sub?a.txt": b"1"}).replace(b"docs?sub?a.txt", b"docs\\sub\\a.txt")
    assert await unpack(data) == [("x.zip/docs/sub/a.txt", b"1")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
async def test_a_name_that_is_there_twice_is_two_files(unpack: Unpack):
    wanted = [("x.zip/a.txt", b"1"), ("x.zip/a.txt", b"2")]
    assert await unpack(zipped([("a.txt", b"1"), ("a.txt", b"2")])) == wanted
    assert await unpack(tarred([("a.txt", b"1"), ("a.txt", b"2")]), media_type=TAR) == wanted


async def test_many_small_files(unpack: Unpack):
    files = {f"{number % 50}/{number}.txt": b"%d" % number for number in range(3000)}
    assert await unpack(await asyncio.to_thread(zipped, files)) == [
        (f"x.zip/{name}", data) for name, data in files.items()
    ]


async def test_nested_archives_are_unpacked_in_their_place(unpack: Unpack):
    inner = zipped({"b.txt": b"2", "c/d.txt": b"3"})
    tar = gzip.compress(tarred([("in.zip", inner), ("e.txt", b"4")]))
    data = zipped({"a.txt": b"1", "in.zip": inner, "t.tar.gz": tar, "notes.txt.gz": gzip.compress(b"5"), "z.txt": b"6"})
    assert await unpack(data) == [
        ("x.zip/a.txt", b"1"),
        ("x.zip/in.zip/b.txt", b"2"),
        ("x.zip/in.zip/c/d.txt", b"3"),
        ("x.zip/t.tar.gz/in.zip/b.txt", b"2"),
        ("x.zip/t.tar.gz/in.zip/c/d.txt", b"3"),
        ("x.zip/t.tar.gz/e.txt", b"4"),
        ("x.zip/notes.txt.gz/notes.txt", b"5"),
        ("x.zip/z.txt", b"6"),
    ]


async def test_a_document_that_is_a_zip_is_no_archive(unpack: Unpack):
    types = (
        b'<Override ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>'
    )
    word = zipped({"[Content_Types].xml": types, "word/document.xml": b"<x/>"})
    book = zipped([("mimetype", b"application/epub+zip"), ("a.xhtml", b"<x/>")], zipfile.ZIP_STORED)
    java = zipped({"META-INF/MANIFEST.MF": b"", "A.class": b"x"})
    files = {"a.docx": word, "a.zip": word, "a.epub": book, "a.jar": java}
    assert await unpack(zipped(files)) == [(f"x.zip/{name}", data) for name, data in files.items()]


def nested(depth: int) -> bytes:
    data = b"text"
    for level in range(depth):
        data = zipped({f"{level}.zip" if level else "a.txt": data})
    return data


async def test_archives_are_unpacked_to_a_depth(unpack: Unpack):
    assert await unpack(nested(4)) == [("x.zip/3.zip/2.zip/1.zip/a.txt", b"text")]
    for depth in (5, 10):
        with pytest.raises(TooLargeError, match=r"nested more than 4 deep \(buckets.max_archive_depth\)"):
            await unpack(nested(depth))
    assert len(await unpack(nested(5), max_archive_depth=5)) == 1


async def test_an_inner_archive_that_cannot_be_read_does_not_spoil_the_rest(unpack: Unpack):
    whole = zipped({"b.txt": os.urandom(5000)})
    files = {
        "a.txt": b"1",
        "cut.gz": gzip.compress(os.urandom(5000))[:3000],
        "cut.tar.gz": gzip.compress(tarred([("q", b"q"), ("r", os.urandom(9000))]))[:5000],
        "locked.zip": locked(zipped({"b.txt": b"2"})),
        "empty.zip": zipped({}),
        "bad.zip": whole[:100] + bytes(100) + whole[200:],
        "c.txt": b"3",
    }
    assert await unpack(zipped(files)) == [
        ("x.zip/a.txt", b"1"),
        ("x.zip/cut.gz", "it is damaged or cut off"),
        ("x.zip/cut.tar.gz", "it is damaged or cut off"),
        ("x.zip/locked.zip", "it is locked with a password: b.txt"),
        ("x.zip/empty.zip", "it holds no files"),
        ("x.zip/bad.zip", "it is damaged or cut off"),
        ("x.zip/c.txt", b"3"),
    ]


async def test_inner_archives_that_take_time_and_give_nothing_end_it(unpack: Unpack):
    bad = locked(zipped({"b.txt": b"2"}))
    with pytest.raises((TooLargeError, UnreadableError), match=r"takes more than 0\.005 s"):
        await unpack(zipped({f"{number}.zip": bad for number in range(200)}), seconds=0.005)


async def test_files_and_bytes_are_counted_over_all_levels(unpack: Unpack):
    inner = zipped({f"{number}.txt": b"x" for number in range(6)})
    data = zipped({"a.zip": inner, "b.zip": inner})
    assert len(await unpack(data, max_archive_members=14)) == 12
    with pytest.raises(TooLargeError, match=r"more than 13 files \(buckets.max_archive_members\)"):
        await unpack(data, max_archive_members=13)
    large = zipped({"1": os.urandom(MIB)})
    both = zipped({"a.zip": large, "b.zip": large})
    assert len(await unpack(both, max_archive_bytes=2 * len(large) + 2 * MIB)) == 2
    with pytest.raises(TooLargeError, match=r"more than 4 MiB \(buckets.max_archive_bytes\)"):
        await unpack(both, max_archive_bytes=4 * MIB)
