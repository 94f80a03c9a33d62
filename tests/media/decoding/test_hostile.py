"""Files that were made to do harm: each is refused or read harmlessly, and the next one is read as ever."""

import hashlib
import os
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.media.embedding import jpeg_with, png_chunk, png_with, segment
from tests.media.samples import picture, sound, video

from mediary.formats import PNG
from mediary.media.decoding.chunks import read_chunks
from mediary.media.decoding.generation import MAX_PROMPT
from mediary.media.decoding.untrusted import open_bytes
from mediary.media.item import Changes
from mediary.media.reader import Reader
from mediary.sandbox.pool import MIB, Sandbox

MANY = 268_435_456


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    opened = Sandbox(1, readable=[tmp_path_factory.getbasetemp(), Path(__file__).parents[2]])
    yield opened
    await opened.close()


@pytest.fixture
async def sandbox(shared: Sandbox, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """After each test it reads a file as good as any."""
    yield shared
    good = tmp_path / "good.png"
    good.write_bytes(picture(".png"))
    reader = Reader(shared, MANY)
    assert [found["width"] for found in await reader.facts([good])] == [64]
    assert "phash" in await reader.whole(good)


async def read(sandbox: Sandbox, path: Path) -> tuple[Changes, Changes]:
    """The facts and the looks of a file."""
    reader = Reader(sandbox, MANY)
    (facts,) = await reader.facts([path])
    return facts, await reader.whole(path)


async def peak(sandbox: Sandbox) -> int:
    """The most memory that the child had in its life, in bytes."""
    pid = await sandbox.run("tests.sandbox.misbehaving:process")
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


FILES = {
    "a.png": picture(".png"),
    "a.jpg": picture(".jpg"),
    "a.gif": picture(".gif"),
    "a.webp": picture(".webp"),
    "a.mp4": video("mp4", "libx264"),
    "a.webm": video("webm", "libvpx-vp9"),
    "a.mp3": sound("mp3", "libmp3lame"),
    "a.flac": sound("flac", "flac"),
    "a.wav": sound("wav", "pcm_s16le"),
}


@pytest.mark.parametrize("name", FILES)
async def test_a_file_that_is_cut_short(sandbox: Sandbox, tmp_path: Path, name: str):
    whole = FILES[name]
    for part in (0.02, 0.1, 0.5, 0.99):
        cut = whole[: max(1, int(len(whole) * part))]
        (tmp_path / name).write_bytes(cut)
        facts, looks = await read(sandbox, tmp_path / name)
        assert "problem" in facts or facts["kind"] in ("image", "audio", "video")
        assert looks["sha256"] == hashlib.sha256(cut).hexdigest()


@pytest.mark.parametrize("name", FILES)
async def test_a_file_with_damage(sandbox: Sandbox, tmp_path: Path, name: str):
    damaged = bytearray(FILES[name])
    for at in range(len(damaged) // 3, len(damaged), 7):
        damaged[at] ^= 0xFF
    (tmp_path / name).write_bytes(damaged)
    facts, looks = await read(sandbox, tmp_path / name)
    assert "problem" in facts or facts["kind"] in ("image", "audio", "video")
    assert looks["sha256"] == hashlib.sha256(damaged).hexdigest()


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims to be so large, and has a few rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + pixels + png_chunk(b"IEND", b"")


def gif_of(width: int, height: int, frames: int) -> bytes:
    """An animation; its frames have a pixel each."""
    frame = b"!\xf9\4\0\1\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(6) + frame * frames + b";"


def webp_of(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + size + picture(".webp")[12:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def jpeg_of(width: int, height: int) -> bytes:
    data = picture(".jpg", keep="none")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


REFUSED = {
    "a huge PNG": png_of(50_000, 50_000),
    "a tall PNG": png_of(1, 2**31 - 1),
    "an impossible PNG": png_of(1, 2**31),
    "a PNG without width": png_of(0, 1),
    "a huge GIF": gif_of(65_535, 65_535, 1),
    "a huge WebP": webp_of(16_384, 16_385),
    "a huge JPEG": jpeg_of(65_000, 65_000),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_picture_that_claims_too_much_is_not_decoded(sandbox: Sandbox, tmp_path: Path, name: str):
    path = tmp_path / "bomb"
    path.write_bytes(REFUSED[name])
    facts, looks = await read(sandbox, path)
    assert facts["problem"]
    assert looks["problem"]
    assert "phash" not in looks
    assert await peak(sandbox) < 100 * MIB


ZEROS = zlib.compress(bytes(3 * MIB))


@pytest.mark.parametrize(
    "data",
    [
        gif_of(100, 100, 100_000),
        png_with(png_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(bytes(500 * MIB)))),
        png_with(png_chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(bytes(500 * MIB)))),
        png_with(*[png_chunk(b"zTXt", b"%d\0\0" % at + ZEROS) for at in range(100)]),
        png_with(*[png_chunk(b"tEXt", b"a\0b")] * 50_000),
        png_with(png_chunk(b"tEXt", b"prompt\0" + b'{"a":' * 500_000)),
        png_with(png_chunk(b"tEXt", b"parameters\0" + b"a: " * 500_000)),
        png_with(png_chunk(b"tEXt", b"parameters\0" + b'a: "\\' * 300_000)),
        jpeg_with(*[segment(0xE1, b"Exif\0\0II*\0" + bytes(60_000))] * 200),
    ],
    ids=["frames", "zTXt", "iTXt", "many zTXt", "many tEXt", "deep JSON", "settings", "quotes", "Exif"],
)
async def test_a_bomb_goes_off_in_a_small_room(sandbox: Sandbox, tmp_path: Path, data: bytes):
    path = tmp_path / "bomb"
    path.write_bytes(data)
    facts, looks = await read(sandbox, path)
    assert "problem" not in facts
    assert len(facts.get("prompt", "")) <= MAX_PROMPT
    assert "phash" in looks
    assert await peak(sandbox) < 150 * MIB


POLYGLOTS = {
    "GIF and JavaScript": (b"GIF89a/*" + gif_of(1, 1, 1)[8:] + b"*/=1;alert(1)", "image/gif"),
    "PNG and ZIP": (picture(".png") + b"PK\5\6" + bytes(18), "image/png"),
    "JPEG and HTML": (jpeg_with(segment(0xFE, b"--><script>alert(1)</script><!--")), "image/jpeg"),
    "WAV and a playlist": (sound("wav", "pcm_s16le") + b"\n#EXTM3U\nhttp://127.0.0.1/a.ts\n", "audio/wav"),
}


@pytest.mark.parametrize("name", POLYGLOTS)
async def test_a_file_that_is_two_things_is_the_first(sandbox: Sandbox, tmp_path: Path, name: str):
    data, media_type = POLYGLOTS[name]
    (tmp_path / "a").write_bytes(data)
    facts, looks = await read(sandbox, tmp_path / "a")
    assert facts["media_type"] == media_type
    assert "prompt" not in facts
    assert looks["sha256"] == hashlib.sha256(data).hexdigest()


NO_MEDIA = {
    "HTML": b"<html><script>alert(1)</script>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "PDF": b"%PDF-1.7\n",
    "TIFF": b"II*\0" + bytes(100),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "nothing": b"",
    "zeros": bytes(10_000),
}


@pytest.mark.parametrize("what", NO_MEDIA)
async def test_what_is_no_media_is_not_read(sandbox: Sandbox, tmp_path: Path, what: str):
    (tmp_path / "a.png").write_bytes(NO_MEDIA[what])
    facts, looks = await read(sandbox, tmp_path / "a.png")
    assert facts.keys() == {"problem", "read"}
    assert looks.keys() == {"sha256", "read"}


async def test_a_wrong_extension_does_not_matter(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "a.mp3").write_bytes(picture(".webp"))
    facts, looks = await read(sandbox, tmp_path / "a.mp3")
    assert (facts["media_type"], facts["width"]) == ("image/webp", 64)
    assert "phash" in looks


async def test_a_video_in_a_codec_that_nobody_knows(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(FILES["a.mp4"].replace(b"avc1", b"zzz1"))
    facts, looks = await read(sandbox, tmp_path / "a.mp4")
    assert facts["kind"] == "video"
    assert looks.keys() == {"sha256", "read"}


async def test_names_are_no_options(sandbox: Sandbox, tmp_path: Path):
    for name in ("a[page=1].png", "concat:a.png|b.png", "-i.png", "%d.png", "a\nb.png"):
        (tmp_path / name).write_bytes(picture(".png"))
        facts, looks = await read(sandbox, tmp_path / name)
        assert facts["width"] == 64
        assert "phash" in looks


async def test_what_is_no_file_of_the_folder(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "real.png").write_bytes(picture(".png"))
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("link.png", "dangling.png", "folder.png", "pipe.png"):
        facts, looks = await read(sandbox, tmp_path / name)
        assert facts.keys() == looks.keys() == {"problem", "read"}


async def test_a_file_that_may_not_be_read(tmp_path: Path):
    (tmp_path / "outside.png").write_bytes(picture(".png"))
    sandbox = Sandbox(1, readable=[])
    facts, looks = await read(sandbox, tmp_path / "outside.png")
    await sandbox.close()
    assert facts["problem"] == looks["problem"] == "this program may not read it"


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(png_with(png_chunk(b"tEXt", b"a\0" + bytes(100_000)), png_chunk(b"tEXt", b"b\0c")))
    with open_bytes(str(path)) as file:
        os.truncate(path, 50_000)
        assert "b" not in read_chunks(file, PNG).texts
