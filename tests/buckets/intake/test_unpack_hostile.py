"""Archives that mean harm, or are broken: refused as a whole, quickly and with a reason."""

import asyncio
import bz2
import gzip
import io
import lzma
import os
import random
import stat
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from tests.buckets.archives import (
    BZIP2,
    GZIP,
    PACKED,
    TAR,
    XZ,
    ZIP,
    Unpack,
    entry,
    locked,
    tarred,
    unix,
    unpacking,
    zipped,
)

from mediary.buckets.intake.unpack import Unpacker
from mediary.errors import NoSpaceError, NotFoundError, TooLargeError, UnreadableError, UnsupportedTypeError
from mediary.sandbox.pool import MIB, Sandbox
from mediary.settings import BucketSettings


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """A pool of one child, with as little memory as the settings allow; it can read nothing but what it is given."""
    opened = Sandbox(1, readable=[], memory_bytes=128 * MIB)
    yield opened
    await opened.close()


@pytest.fixture
def unpack(sandbox: Sandbox, tmp_path: Path) -> Unpack:
    return unpacking(sandbox, tmp_path)


NAMES = {
    "../../x": "leads out of its folder",
    "docs/../../x": "leads out of its folder",
    "docs/..": "leads out of its folder",
    "..": "leads out of its folder",
    "/etc/passwd": "absolute name",
    "//server/x": "absolute name",
    "C:/x": "absolute name",
    "a/" + "x" * 256: "more than 255 bytes",
    "ä" * 128: "more than 255 bytes",
    "/".join(["x" * 200] * 6): "1024 with its folders",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar", "folder", "nested"])
async def test_a_name_that_no_archive_should_have(unpack: Unpack, name: str, kind: str):
    match kind:
        case "zip":
            data, media_type = zipped({"a.txt": b"1", name: b"x"}), ZIP
        case "tar":
            data, media_type = tarred([("a.txt", b"1"), (name, b"x")]), TAR
        case "folder":
            data, media_type = zipped({"a.txt": b"1", name + "/": b""}), ZIP
        case _:
            data, media_type = zipped({"a.txt": b"1", "in.zip": zipped({name: b"x"})}), ZIP
    with pytest.raises(UnsupportedTypeError, match=NAMES[name]) as raised:
        await unpack(data, media_type=media_type)
    assert type(raised.value) is UnsupportedTypeError
    assert len(raised.value.message) < 300


@pytest.mark.parametrize("name", ["..\\..\\x", "\\x", "C:\\x", "a\\..\\..\\x"])
async def test_a_windows_name_that_no_archive_should_have(unpack: Unpack, name: str):
    plain = name.replace("\\", "?")
    data = zipped({plain: b"x"}).replace(plain.encode(), name.encode())
    with pytest.raises(UnsupportedTypeError, match=r"leads out|absolute"):
        await unpack(data)


async def test_a_name_with_a_zero_byte(unpack: Unpack):
    with pytest.raises(UnsupportedTypeError, match=r"zero byte in its name: a.txt[?].exe"):
        await unpack(zipped({"a.txt!.exe": b"x"}).replace(b"a.txt!.exe", b"a.txt\0.exe"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
async def test_a_zip_with_a_link_or_a_device(unpack: Unpack, kind: int):
    data = zipped([("a.txt", b"1"), (unix("link", kind | 0o777), b"/etc/passwd")])
    with pytest.raises(UnsupportedTypeError, match="it holds a link or a device: link"):
        await unpack(data)


async def test_what_zip_was_given_over_a_pipe(unpack: Unpack):
    assert await unpack(zipped([(unix("-", stat.S_IFIFO | 0o600), b"text")])) == [("x.zip/-", b"text")]


TYPES = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]


@pytest.mark.parametrize("kind", TYPES)
async def test_a_tar_with_a_link_or_a_device(unpack: Unpack, kind: bytes):
    data = tarred([("a.txt", b"1"), (entry("link", kind, "a.txt"), b"")])
    with pytest.raises(UnsupportedTypeError, match="it holds a link or a device: link"):
        await unpack(data, media_type=TAR)


@cache
def swollen(count: int) -> bytes:
    """A zip of one file of so many mebibytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zero", "w") as file:
        for _ in range(count):
            file.write(bytes(MIB))
    return target.getvalue()


@pytest.mark.parametrize("lie", [False, True])
async def test_a_zip_that_swells(unpack: Unpack, lie: bool):
    data = await asyncio.to_thread(swollen, 500)
    if lie:
        with pytest.raises(UnreadableError, match="damaged or cut off"):
            await unpack(sized(data, 1000))
    else:
        with pytest.raises(TooLargeError, match="more than 64 MiB, over 100 times what it has itself"):
            await unpack(data)


async def test_a_larger_zip_may_swell_more(unpack: Unpack):
    data = await asyncio.to_thread(swollen, 100)
    noise = os.urandom(MIB)
    target = io.BytesIO(data)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("noise", noise)
    assert [len(data) for _, data in await unpack(target.getvalue())] == [100 * MIB, MIB]


@pytest.mark.parametrize(("module", "media_type"), [(gzip, GZIP), (bz2, BZIP2), (lzma, XZ)])
@pytest.mark.parametrize("tar", [False, True])
async def test_a_stream_that_swells(unpack: Unpack, tmp_path: Path, module, media_type: str, tar: bool):
    target = tmp_path / "swelling"

    def swell() -> None:
        with module.open(target, "wb") as file:
            if tar:
                info = tarfile.TarInfo("zero")
                info.size = 100 * MIB
                file.write(info.tobuf())
            for _ in range(100):
                file.write(bytes(MIB))

    await asyncio.to_thread(swell)
    with pytest.raises(TooLargeError, match="more than 64 MiB, over 100 times what it has itself"):
        await unpack(target, media_type=media_type)


async def test_what_packs_well_and_is_small_is_taken(unpack: Unpack):
    found = await unpack(await asyncio.to_thread(zipped, {"log.txt": b"all is well\n" * 5 * 10**6}))
    assert len(found[0][1]) == 60_000_000


async def test_a_zip_with_100_000_entries(unpack: Unpack, tmp_path: Path):
    target = tmp_path / "many.zip"
    target.write_bytes(
        await asyncio.to_thread(zipped, ((zipfile.ZipInfo(f"{number}"), b"") for number in range(100_000)))
    )
    with pytest.raises(TooLargeError, match=r"more than 10,000 files \(buckets.max_archive_members\)"):
        await unpack(target)
    with pytest.raises(TooLargeError, match=r"more than 10,000 files \(buckets.max_archive_members\)"):
        await unpack(with_few_entries(target.read_bytes()))


def with_few_entries(data: bytes) -> bytes:
    """A zip that lies about how many entries it has."""
    at = data.rfind(b"PK\6\6")
    return data[: at + 24] + struct.pack("<QQ", 3, 3) + data[at + 40 :]


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
async def test_a_tar_with_100_000_entries(unpack: Unpack, tmp_path: Path, kind: bytes):
    block = entry("x", kind).tobuf(tarfile.USTAR_FORMAT)
    packed = await asyncio.to_thread(gzip.compress, block * 100_000 + bytes(1024))
    (tmp_path / "many.tgz").write_bytes(packed)
    with pytest.raises(TooLargeError, match=r"more than 10,000 files \(buckets.max_archive_members\)"):
        await unpack(tmp_path / "many.tgz", media_type=GZIP)


async def test_exactly_as_many_as_may_be(unpack: Unpack):
    files = {f"{number}.txt": b"1" for number in range(10)}
    assert len(await unpack(zipped(files), max_archive_members=10, max_archive_bytes=10)) == 10
    for data, media_type in ((zipped(files), ZIP), (tarred(files.items()), TAR)):
        with pytest.raises(TooLargeError, match="more than 9 files"):
            await unpack(data, media_type=media_type, max_archive_members=9)
        with pytest.raises(TooLargeError, match=r"buckets.max_archive_bytes"):
            await unpack(data, media_type=media_type, max_archive_bytes=9)


def overlapping(count: int) -> bytes:
    """A zip in which all entries are the same bytes."""
    single = zipped({"a": bytes(100_000)})
    start = single.rfind(b"PK\1\2")
    end = single.rfind(b"PK\5\6")
    directory = b"".join(single[start:end].replace(b"a", bytes([65 + number])) for number in range(count))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
    return single[:start] + directory + tail


async def test_entries_that_overlap(unpack: Unpack):
    with pytest.raises(UnsupportedTypeError, match="files in it overlap"):
        await unpack(overlapping(20))


def quine() -> bytes:
    """Something like Russ Cox's zip that holds itself: each level says that it has the next."""
    data = b""
    for _ in range(40):
        data = zipped({"r/r.zip": data or b"end"}, zipfile.ZIP_STORED)
    return data


async def test_a_zip_that_never_ends(unpack: Unpack):
    with pytest.raises(TooLargeError, match="nested more than 4 deep"):
        await unpack(quine())


def sized(data: bytes, size: int) -> bytes:
    """A zip of one entry that lies about the size."""
    changed = bytearray(data)
    changed[22:26] = struct.pack("<L", size)
    at = data.rfind(b"PK\1\2") + 24
    changed[at : at + 4] = struct.pack("<L", size)
    return bytes(changed)


@pytest.mark.parametrize("size", [0, 1, 999, 1001, 10_000])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_a_zip_that_lies_about_a_size(unpack: Unpack, size: int, method: int):
    data = zipped({"a.txt": os.urandom(1000)}, method)
    assert len(await unpack(sized(data, 1000))) == 1
    with pytest.raises(UnreadableError, match="damaged or cut off"):
        await unpack(sized(data, size))


async def test_a_checksum_that_is_wrong(unpack: Unpack):
    data = zipped({"a.txt": b"the text"}, zipfile.ZIP_STORED)
    with pytest.raises(UnreadableError, match="damaged or cut off"):
        await unpack(data.replace(b"the text", b"tha text"))
    packed = bytearray(gzip.compress(tarred([("a.txt", b"1")])))
    packed[-6] ^= 1
    with pytest.raises(UnreadableError, match="damaged or cut off"):
        await unpack(bytes(packed), media_type=GZIP)


CUT = {
    ZIP: zipped({"a.txt": os.urandom(2000), "b.txt": b"2"}),
    TAR: tarred([("a.txt", os.urandom(2000)), ("b.txt", b"2")])[:4096],  # without the padding behind its end
    **{kind: PACKED[kind](tarred([("a.txt", os.urandom(2000)), ("b.txt", b"2")])) for kind in (GZIP, BZIP2, XZ)},
}


@pytest.mark.parametrize("media_type", CUT)
async def test_what_is_cut_off_anywhere(unpack: Unpack, media_type: str):
    whole = CUT[media_type]
    assert len(await unpack(whole, media_type=media_type)) == 2
    sizes = {1, 30, 511, 512, 513, 2048, 2560, 3072, 3584, len(whole) // 2, len(whole) - 9, len(whole) - 1}
    for size in sizes:
        if size < len(whole):
            with pytest.raises(UnreadableError, match="damaged or cut off"):
                await unpack(whole[:size], media_type=media_type)


@pytest.mark.parametrize("media_type", CUT)
async def test_bytes_that_are_changed_anywhere_end_well(
    unpack: Unpack, media_type: str, caplog: pytest.LogCaptureFixture
):
    """It comes out whole, or a reason does: nothing else, whatever is in there."""
    chance = random.Random(media_type)
    for _ in range(25):
        data = bytearray(CUT[media_type])
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        with suppress(TooLargeError, UnsupportedTypeError):
            await unpack(bytes(data), media_type=media_type)
    assert not caplog.records  # there the pool tells of errors that nobody foresaw


@pytest.mark.parametrize(("data", "media_type"), [(zipped({}), ZIP), (tarred([]), TAR), (zipped({"a/": b""}), ZIP)])
async def test_an_archive_without_files(unpack: Unpack, data: bytes, media_type: str):
    with pytest.raises(UnreadableError, match="it holds no files"):
        await unpack(data, media_type=media_type)


async def test_an_encrypted_zip(unpack: Unpack):
    with pytest.raises(UnreadableError, match=r"locked with a password: secret.txt"):
        await unpack(locked(zipped({"secret.txt": b"x"})))


async def test_a_method_that_nobody_knows(unpack: Unpack):
    data = bytearray(zipped({"a.txt": b"x"}))
    data[8], data[data.rfind(b"PK\1\2") + 10] = 93, 93
    with pytest.raises(UnreadableError, match=r"method that is not known here: a.txt"):
        await unpack(bytes(data))


@pytest.mark.parametrize("media_type", ["application/x-7z-compressed", "", "text/plain"])
async def test_a_type_that_is_no_archive(unpack: Unpack, media_type: str):
    with pytest.raises(UnsupportedTypeError):
        await unpack(zipped({"a.txt": b"x"}), media_type=media_type)


async def test_an_archive_that_is_gone(unpack: Unpack, tmp_path: Path):
    with pytest.raises((NotFoundError, FileNotFoundError)):
        await unpack(tmp_path / "nowhere")


async def test_it_gives_up_when_nobody_waits_any_more(unpack: Unpack, sandbox: Sandbox, tmp_path: Path):
    target = tmp_path / "x.zip"
    target.write_bytes(zipped({str(number): os.urandom(MIB) for number in range(30)}, zipfile.ZIP_STORED))
    for steps in (1, 5, 20, 80, 300):
        into = tmp_path / str(steps)
        into.mkdir()
        unpacking = asyncio.create_task(Unpacker(sandbox, BucketSettings()).unpack(target, "x.zip", ZIP, into))
        for _ in range(steps):
            await asyncio.sleep(0)
        unpacking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await unpacking
        left = sorted(into.iterdir())
        assert len(await unpack(target)) == 30  # the next one goes on in a new child
        assert sorted(into.iterdir()) == left


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("mount is not allowed here")
    yield disk
    subprocess.run(["umount", disk], check=True)


async def test_a_full_disk(sandbox: Sandbox, tmp_path: Path, small_disk: Path):
    (tmp_path / "x.zip").write_bytes(zipped({"a.txt": b"1", "b.bin": os.urandom(2 * MIB)}))
    with pytest.raises(NoSpaceError):
        await Unpacker(sandbox, BucketSettings()).unpack(tmp_path / "x.zip", "x.zip", ZIP, small_disk)
