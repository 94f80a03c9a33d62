"""Words in a picture's file: every reader finds them, and not one pixel is another."""

import io
import zlib

import av
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.media.samples import picture, sound

from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.media.embed import Piece, embedded
from mediary.media.item import MediaItem

KNOWN = MediaItem(
    name="a.png", size=1, media_type="image/png", kind="image", prompt="a cat", negative_prompt="a dog", seed="42",
    steps=20, width=64, height=48, model="flux", tags=("cat",),
)  # fmt: skip


def with_words(data: bytes, item: MediaItem = KNOWN) -> bytes:
    """The file with the words in it."""
    return joined(data, embedded(io.BytesIO(data), len(data), item))


def joined(data: bytes, pieces: list[Piece]) -> bytes:
    return b"".join(piece if isinstance(piece, bytes) else data[piece.start : piece.stop] for piece in pieces)


def transparent(suffix: str, **options: object) -> bytes:
    image = pyvips.Image.new_from_buffer(picture(), "")
    return image.bandjoin(image[0]).write_to_buffer(suffix, **options)


def animated() -> bytes:
    """Three frames."""
    image = pyvips.Image.new_from_buffer(picture(height=144), "").copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", 48)
    return image.write_to_buffer(".webp")


FILES = {
    "png": lambda: picture(".png"),
    "interlaced png": lambda: picture(".png", interlace=True),
    "transparent png": lambda: transparent(".png"),
    "jpeg": lambda: picture(".jpg"),
    "bare jpeg": lambda: picture(".jpg", keep="none"),
    "progressive jpeg": lambda: picture(".jpg", interlace=True),
    "webp": lambda: picture(".webp"),
    "bare webp": lambda: picture(".webp", keep="none"),
    "bare lossless webp": lambda: picture(".webp", lossless=True, keep="none"),
    "bare transparent webp": lambda: transparent(".webp", lossless=True, keep="none"),
    "transparent lossy webp": lambda: transparent(".webp", keep="none"),
    "animated webp": animated,
}


@pytest.mark.parametrize("kind", FILES)
def test_every_reader_finds_the_words_and_the_same_pixels(kind: str):
    data = FILES[kind]()
    changed = with_words(data)

    before, after = (pyvips.Image.new_from_buffer(each, "", access="random") for each in (data, changed))
    assert (before.width, before.height, before.bands) == (after.width, after.height, after.bands)
    assert (before - after).abs().max() == 0
    assert b"a cat" in after.get("xmp-data")
    if kind != "animated webp":
        with av.open(io.BytesIO(changed)) as opened:
            assert next(opened.decode(video=0)).width == 64


@pytest.mark.parametrize("kind", FILES)
def test_the_same_words_again_replace_those_that_are_there(kind: str):
    once = with_words(FILES[kind]())
    twice = with_words(once)
    assert len(twice) == len(once)
    assert with_words(twice) == twice


def test_a_png_has_the_parameters_as_a1111_reads_them():
    text = b"parameters\0a cat\nNegative prompt: a dog\nSteps: 20, Seed: 42, Size: 64x48, Model: flux, Version: Mediary"
    assert b"tEXt" + text in with_words(picture())


def test_what_is_not_latin_is_written_in_utf8():
    changed = with_words(picture(), MediaItem(name="a", size=1, media_type="", kind="image", prompt="кот"))
    assert b"iTXtparameters\0\0\0\0\0" + "кот".encode() in changed


def test_parameters_that_the_file_brings_stay():
    chunk = b"tEXtparameters\0theirs"
    whole = len(chunk[4:]).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    png = picture()
    changed = with_words(png[:33] + whole + png[33:])
    assert changed.count(b"parameters\0") == 1
    assert b"parameters\0theirs" in changed


def test_what_lies_behind_the_picture_stays_there():
    for data in (picture(".png"), picture(".jpg"), picture(".webp")):
        assert with_words(data + b"something else").endswith(b"something else")


def test_content_credentials_are_not_broken():
    credentials = b"\0\0\0\0caBX" + zlib.crc32(b"caBX").to_bytes(4, "big")
    png, jpeg, webp = picture(".png"), picture(".jpg"), picture(".webp")
    longer = (int.from_bytes(webp[4:8], "little") + 8).to_bytes(4, "little")
    for data in (
        png[:33] + credentials + png[33:],
        jpeg[:2] + b"\xff\xeb\0\x12JP\0\0\0\0\0\1\0\0\0\0jumb" + jpeg[2:],
        webp[:4] + longer + webp[8:] + b"C2PA\0\0\0\0",
    ):
        with pytest.raises(UnsupportedTypeError, match="credentials"):
            with_words(data)


def test_other_formats_take_no_words():
    for data in (picture(".gif"), sound("mp3", "libmp3lame"), b"", b"RIFF"):
        with pytest.raises(UnsupportedTypeError):
            with_words(data)


def test_words_that_do_not_fit_are_refused():
    long = MediaItem(name="a", size=1, media_type="", kind="image", prompt="x" * 70_000)
    with pytest.raises(UnsupportedTypeError, match="too long"):
        with_words(picture(".jpg"), long)
    assert len(with_words(picture(".png"), long)) > 140_000


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_file_that_is_cut_short_is_refused(suffix: str):
    data = picture(suffix)
    for size in (12, 20, 40, 300):
        with pytest.raises(UnsupportedTypeError):
            with_words(data[:size])


@given(st.sampled_from([".png", ".jpg", ".webp"]), st.data())
@settings(max_examples=200)
def test_a_broken_file_is_refused_or_keeps_its_bytes(suffix: str, data: st.DataObject):
    broken = bytearray(picture(suffix))
    for _ in range(data.draw(st.integers(1, 5))):
        broken[data.draw(st.integers(0, min(len(broken), 400) - 1))] = data.draw(st.integers(0, 255))
    try:
        pieces = embedded(io.BytesIO(broken), len(broken), KNOWN)
    except UnsupportedTypeError:
        return
    ranges = [piece for piece in pieces if isinstance(piece, range)]
    assert ranges == sorted(ranges, key=lambda piece: piece.start)
    assert all(0 <= piece.start <= piece.stop <= len(broken) for piece in ranges)


def test_a_broken_file_is_said_to_be_one():
    with pytest.raises(UnreadableError):
        with_words(picture()[:100])
