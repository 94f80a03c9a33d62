import io
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediary.errors import UnsupportedTypeError
from mediary.formats import (
    FORMATS,
    SNIFF_BYTES,
    Format,
    by_media_type,
    detect,
    get_media_extension,
    is_accepted_format,
    is_allowed_extension,
)

# What each file is made by: a picture by the suffix of libvips, the others by muxer and codec of FFmpeg.
PICTURES = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp"}
SOUNDS = {
    ("wav", "pcm_s16le"): "audio/wav",
    ("mp3", "libmp3lame"): "audio/mpeg",
    ("flac", "flac"): "audio/flac",
    ("opus", "libopus"): "audio/opus",
    ("ogg", "libopus"): "audio/opus",
    ("ogg", "vorbis"): "audio/ogg",
    ("ogg", "flac"): "audio/ogg",
    ("ipod", "aac"): "audio/m4a",
    ("mp4", "aac"): "video/mp4",
    ("matroska", "libopus"): "video/x-matroska",
    ("webm", "libopus"): "video/webm",
}
VIDEOS = {
    ("mp4", "libx264"): "video/mp4",
    ("mp4", "mpeg4"): "video/mp4",
    ("ipod", "libx264"): "video/mp4",
    ("matroska", "libx264"): "video/x-matroska",
    ("webm", "libvpx-vp9"): "video/webm",
}
OTHER_PICTURES = [".tif", ".avif"]
OTHER_SOUNDS = [
    ("adts", "aac"),
    ("mp2", "mp2"),
    ("ac3", "ac3"),
    ("aiff", "pcm_s16be"),
    ("mov", "aac"),
    ("caf", "pcm_s16le"),
]
OTHER_VIDEOS = [
    ("mov", "libx264"),
    ("avi", "mpeg4"),
    ("3gp", "mpeg4"),
    ("3g2", "mpeg4"),
    ("flv", "libx264"),
    ("mpegts", "libx264"),
]


@cache
def picture(suffix: str) -> bytes:
    import pyvips

    image = pyvips.Image.gaussnoise(64, 48, mean=128, sigma=40).cast("uchar")
    return bytes(image.bandjoin([image, image]).write_to_buffer(suffix))


@cache
def sound(muxer: str, codec: str, rate: int = 48_000, **options: str) -> bytes:
    """Half a second of silence."""
    import av

    target = io.BytesIO()
    with av.open(target, "w", format=muxer, options=options) as container:
        stream = container.add_stream(codec, rate=rate, options={"strict": "-2"})
        stream.layout = "stereo"
        size = stream.codec_context.frame_size or 1024
        for number in range(rate // 2 // size):
            frame = av.AudioFrame(format=stream.codec_context.format or "s16", layout="stereo", samples=size)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = rate, number * size, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


@cache
def video(muxer: str, codec: str) -> bytes:
    """Five black frames."""
    import av

    target = io.BytesIO()
    with av.open(target, "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def named(value: object) -> str | None:
    return "-".join(value.args) if isinstance(value, partial) else None


def id3(size: int, version: int = 4, flags: int = 0) -> bytes:
    """An ID3v2 tag of that many bytes behind its header."""
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + length + b"\x01" * size


def ogg_page(packet: bytes, serial: int, flags: int = 2) -> bytes:
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    return (
        b"OggS\0"
        + bytes([flags])
        + bytes(8)
        + serial.to_bytes(4, "little")
        + bytes(8)
        + bytes([len(lacing)])
        + lacing
        + packet
    )


def ftyp(major: bytes, *others: bytes) -> bytes:
    box = b"ftyp" + major + bytes(4) + b"".join(others)
    return (4 + len(box)).to_bytes(4, "big") + box + b"\0\0\0\x08free"


def ebml(doctype: bytes, *before: bytes) -> bytes:
    body = b"".join(before) + b"\x42\x82" + bytes([0x80 | len(doctype)]) + doctype + b"\x42\x87\x81\x04"
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(body)]) + body + b"\x18\x53\x80\x67\x01" + b"\xff" * 7


# A frame of MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes.
FRAME = b"\xff\xfb\x90\x00" + bytes(413)


def media_type(data: bytes) -> str | None:
    found = detect(data[:SNIFF_BYTES])
    return found.media_type if found else None


@pytest.mark.parametrize("suffix", PICTURES)
def test_pictures(suffix: str) -> None:
    assert is_accepted_format(picture(suffix)) == media_type(picture(suffix)) == PICTURES[suffix]


@pytest.mark.parametrize("made", SOUNDS, ids="-".join)
def test_sounds(made: tuple[str, str]) -> None:
    assert is_accepted_format(sound(*made)) == media_type(sound(*made)) == SOUNDS[made]


@pytest.mark.parametrize("made", VIDEOS, ids="-".join)
def test_videos(made: tuple[str, str]) -> None:
    assert is_accepted_format(video(*made)) == media_type(video(*made)) == VIDEOS[made]


def test_every_format_of_the_table_is_made_above() -> None:
    made = {*PICTURES.values(), *SOUNDS.values(), *VIDEOS.values()}
    assert made == {known.media_type for known in FORMATS}


@pytest.mark.parametrize("suffix", OTHER_PICTURES)
def test_other_pictures_are_none(suffix: str) -> None:
    assert detect(picture(suffix)) is None


@pytest.mark.parametrize("made", OTHER_SOUNDS, ids="-".join)
def test_other_sounds_are_none(made: tuple[str, str]) -> None:
    assert detect(sound(*made)) is None


@pytest.mark.parametrize("made", OTHER_VIDEOS, ids="-".join)
def test_other_videos_are_none(made: tuple[str, str]) -> None:
    assert detect(video(*made)) is None


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("tag", ["0", "3", "4"])
def test_mp3_of_every_sample_rate_with_and_without_a_tag(rate: int, tag: str) -> None:
    data = sound("mp3", "libmp3lame", rate, id3v2_version=tag)
    assert data.startswith(b"ID3") == (tag != "0")
    assert media_type(data) == "audio/mpeg"


FILE_SAYS = {
    **{partial(picture, suffix): known for suffix, known in PICTURES.items()},
    partial(sound, "wav", "pcm_s16le"): "audio/x-wav",
    partial(sound, "mp3", "libmp3lame"): "audio/mpeg",
    partial(sound, "flac", "flac"): "audio/flac",
    partial(sound, "opus", "libopus"): "audio/ogg",
    partial(sound, "ogg", "vorbis"): "audio/ogg",
    partial(sound, "ipod", "aac"): "audio/x-m4a",
    **{partial(video, *made): known for made, known in VIDEOS.items() if made[0] != "ipod"},
}


@pytest.mark.skipif(shutil.which("file") is None, reason="the command `file` is not here")
@pytest.mark.parametrize(("make", "told"), FILE_SAYS.items(), ids=named)
def test_file_says_the_same(make: Callable[[], bytes], told: str) -> None:
    data = make()
    command = ["file", "--mime-type", "--brief", "-"]
    said = subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode().strip()
    assert said == told
    found = by_media_type(said)
    assert found is not None
    assert found.kind == is_accepted_format(data).split("/")[0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\0\0\0AVI LIST", None),
        (b"RIFF\x24\0\0\0", None),
        (b"GIF87a", "image/gif"),
        (b"GIF88a", None),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\x89PNG\n\x1a\n\0", None),  # mangled by a transfer as text
        (b"\xff\xd8\xff\xdb", "image/jpeg"),
        (b"\xff\xd8", None),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        # MPEG audio
        (FRAME, "audio/mpeg"),
        (FRAME + FRAME, "audio/mpeg"),
        (FRAME + b"<html>", None),
        (b"\xff\xfe<\0h\0t\0m\0l\0", None),  # UTF-16
        (b"\xfe\xff\0<\0h", None),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc", None),  # AAC
        (b"\xff\xfd\x90\x00" + bytes(400), None),  # layer II
        (b"\xff\xfb\xf0\x00" + bytes(400), None),  # no such bitrate
        (b"\xff\xfb\x9c\x00" + bytes(400), None),  # no such sample rate
        (b"\xff\xeb\x90\x00" + bytes(400), None),  # no such version
        (b"\xff" * 4096, None),
        (id3(20) + FRAME + FRAME, "audio/mpeg"),
        (id3(20, version=2) + FRAME, "audio/mpeg"),
        (id3(20, flags=0x10) + b"3DI" + bytes(7) + FRAME, "audio/mpeg"),  # with a footer
        (id3(20) + id3(30) + bytes(100) + FRAME, "audio/mpeg"),
        (id3(200_000) + FRAME, "audio/mpeg"),  # a cover fills the view
        (id3(20) + b"fLaC\0\0\0\x22", "audio/flac"),
        (id3(20) + b"\xff\xf1\x50\x80\x02\x1f\xfc", None),
        (id3(20) + b"<html>", None),
        (b"ID3 is a tag format", None),
        # ISO base media
        (ftyp(b"M4A ", b"M4A ", b"mp42", b"isom"), "audio/m4a"),
        (ftyp(b"M4B ", b"M4A ", b"isom"), "audio/m4a"),
        (ftyp(b"mp42", b"M4A ", b"mp42", b"isom"), "audio/m4a"),
        (ftyp(b"M4V ", b"M4V ", b"M4A ", b"mp42"), "video/mp4"),
        (ftyp(b"isom", b"isom", b"avc1", b"M4A "), "video/mp4"),
        (ftyp(b"isom", b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4"),
        (ftyp(b"mp42", b"isom"), "video/mp4"),
        (ftyp(b"avc1"), "video/mp4"),
        (ftyp(b"iso5", b"dash"), "video/mp4"),
        (ftyp(b"ABCD", b"mp41"), "video/mp4"),
        (ftyp(b"ABCD"), None),
        (ftyp(b"qt  ", b"mp42"), None),
        (ftyp(b"3gp4", b"isom"), None),
        (ftyp(b"heic", b"mif1", b"heic"), None),
        (ftyp(b"avif", b"avif", b"mif1", b"miaf"), None),
        (ftyp(b"avis", b"avis", b"msf1", b"iso8", b"mif1"), None),
        (ftyp(b"iso8", b"avif"), None),
        (ftyp(b"isom", b"avc1")[:16], None),  # the box is not whole
        (b"textftypisom and so on", None),
        # EBML
        (ebml(b"webm"), "video/webm"),
        (ebml(b"matroska"), "video/x-matroska"),
        (ebml(b"webm\0\0"), "video/webm"),
        (ebml(b"webmx"), None),
        (ebml(b"mystery"), None),
        (ebml(b"matroska", b"\x42\x86\x81\x01", b"\xec\x40\x04webm"), "video/x-matroska"),  # filler that says webm
        (b"\x1a\x45\xdf\xa3\x01" + b"\xff" * 7 + ebml(b"webm")[5:], "video/webm"),  # of unknown size
        (b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01\x42\x82\x84webm", None),  # not in the header
        (b"\x1a\x45\xdf\xa3", None),
        # Ogg
        (ogg_page(b"OpusHead\x01\x02", 1), "audio/opus"),
        (ogg_page(b"\x01vorbis" + bytes(23), 1), "audio/ogg"),
        (ogg_page(b"\x7fFLAC\x01", 1), "audio/ogg"),
        (ogg_page(b"Speex   1.2", 1), "audio/ogg"),
        (ogg_page(b"fishead\0" + bytes(56), 1) + ogg_page(b"OpusHead\x01", 2), "audio/opus"),
        (ogg_page(b"\x80theora" + bytes(35), 1) + ogg_page(b"\x01vorbis", 2), None),
        (ogg_page(b"\x01vorbis", 1) + ogg_page(b"\x80theora", 2), None),
        (ogg_page(b"fishead\0" + bytes(300), 1) + ogg_page(b"\x80theora", 2) + ogg_page(b"\x01vorbis", 3), None),
        (ogg_page(b"OpusTags", 1, flags=0), None),  # from the middle
        (ogg_page(b"something", 1), None),
        # others
        (b"", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"<!doctype html>", None),
        (b"%PDF-1.7", None),
        (b"BM" + bytes(50), None),
        (b"II*\0", None),
    ],
)
def test_signatures(data: bytes, expected: str | None) -> None:
    assert media_type(data) == expected


MAKERS = [
    *(partial(picture, suffix) for suffix in PICTURES),
    *(partial(sound, *made) for made in SOUNDS),
    *(partial(video, *made) for made in VIDEOS),
]


@pytest.mark.parametrize("make", MAKERS, ids=named)
def test_a_cut_head_is_the_same_or_none(make: Callable[[], bytes]) -> None:
    head = make()[:SNIFF_BYTES]
    whole = detect(head)
    assert whole is not None
    assert {detect(head[:length]) for length in range(len(head))} <= {whole, None}


MAGIC = [
    b"RIFF\0\0\0\0",
    b"OggS\0\x02",
    b"\x1a\x45\xdf\xa3",
    b"\0\0\0\x20ftyp",
    b"ID3\4\0\0\0\0\0",
    b"\xff\xfb\x90",
    b"fLaC",
    b"",
]


@given(st.sampled_from(MAGIC), st.binary(max_size=300))
@example(b"\0\0\0\x01ftyp", b"isom")
@example(b"\xff\xff\xff\xffftyp", b"isom")
@example(b"OggS\0\x02", bytes(20) + b"\xff")
def test_detect_takes_any_bytes(start: bytes, rest: bytes) -> None:
    found = detect(start + rest)
    assert found is None or found in FORMATS


@given(st.sampled_from(MAKERS), st.dictionaries(st.integers(0, 199), st.integers(0, 255), min_size=1, max_size=8))
def test_detect_takes_damaged_files(make: Callable[[], bytes], damage: dict[int, int]) -> None:
    damaged = bytearray(make()[:SNIFF_BYTES].ljust(200, b"\0"))
    for position, byte in damage.items():
        damaged[position] = byte
    assert detect(bytes(damaged)) in {*FORMATS, None}


def test_what_is_no_format_is_refused_in_words() -> None:
    with pytest.raises(UnsupportedTypeError, match="png"):
        is_accepted_format(b"<html>")


# Extensions and MIME types


def test_the_table_is_that_of_the_specification() -> None:
    table = {
        "image": {
            "jpeg": "image/jpeg",
            "jpg": "image/jpeg",
            "png": "image/png",
            "gif": "image/gif",
            "webp": "image/webp",
        },
        "audio": {
            "wav": "audio/wav",
            "mp3": "audio/mpeg",
            "flac": "audio/flac",
            "opus": "audio/opus",
            "ogg": "audio/ogg",
            "m4a": "audio/m4a",
        },
        "video": {"mkv": "video/x-matroska", "webm": "video/webm", "mp4": "video/mp4"},
    }
    expected = {(f".{extension}", known, kind) for kind, rows in table.items() for extension, known in rows.items()}
    assert {(known.extension, known.media_type, known.kind) for known in FORMATS} == expected
    assert len(FORMATS) == len(expected)


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a.png", ".png"), ("A.B.JPG", ".jpg"), ("a.jpeg", ".jpeg"), ("日本.Mp4", ".mp4"), ("a.svg", None), ("png", None)],
)
def test_is_allowed_extension(name: str, extension: str | None) -> None:
    found = is_allowed_extension(name)
    assert (found and found.extension) == extension


@pytest.mark.parametrize("name", ["", ".", "a", "a.", "a.png/b", "a.png ", "a.png\0", "a.png.exe", "a.pngx"])
def test_what_is_no_allowed_extension(name: str) -> None:
    assert not is_allowed_extension(name)


@pytest.mark.parametrize(
    ("given_type", "extension"),
    [
        ("image/jpeg", ".jpg"),
        ("IMAGE/JPG", ".jpg"),
        ("image/png; charset=binary", ".png"),
        (" audio/x-wav ;a=b", ".wav"),
        ("audio/mp3", ".mp3"),
        ("audio/mp4", ".m4a"),
        ("audio/ogg", ".ogg"),
        ('audio/ogg; codecs="opus"', ".opus"),
        ("audio/webm;codecs=opus", ".webm"),
        ("video/matroska", ".mkv"),
    ],
)
def test_by_media_type(given_type: str, extension: str) -> None:
    found = by_media_type(given_type)
    assert found is not None
    assert found.extension == extension


@pytest.mark.parametrize(
    "given_type", ["", ";", "image", "image/", "image/svg+xml", "application/octet-stream", "text/html"]
)
def test_by_media_type_knows_no_other(given_type: str) -> None:
    assert by_media_type(given_type) is None


@pytest.mark.parametrize("known", FORMATS)
def test_every_media_type_leads_back(known: Format) -> None:
    found = by_media_type(known.media_type)
    assert found is not None
    assert found.media_type == known.media_type
    assert found.extension != ".jpeg"


@pytest.mark.parametrize(
    ("media", "extension"),
    [
        ("https://example.com/a/b.PNG?c=d.gif#e.webp", ".png"),
        ("https://example.com/a%20b%2Ejpeg", ".jpeg"),
        ("/media/1704123456_a_b.mp3?url=https%3A%2F%2Fe.com%2Fa.png", ".mp3"),
        ("photo.jpg", ".jpg"),
        ("what? #1.png", ".png"),
        ("C:\\me\\a.png", ".png"),
        ("https://example.com/picture?format=.png", ""),
        ("/media/picture?name=a.png", ""),
        ("https://example.png", ""),
        ("https://example.com/a.svg", ""),
        ("https://example.com/a.png/", ""),
        ("data:image/png;base64,iVBORw0KGgo=", ""),
        ("data:text/plain,a.png", ""),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_get_media_extension(media: str, extension: str) -> None:
    assert get_media_extension(media) == extension


@given(st.text() | st.text(":/?#[]@.%png", min_size=1))
def test_get_media_extension_takes_any_text(media: str) -> None:
    assert get_media_extension(media) in {"", *(known.extension for known in FORMATS)}
