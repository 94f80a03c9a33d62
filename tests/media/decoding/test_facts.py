"""What the headers of real files tell, and of files with the words of other tools in them."""

import struct
import zlib
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.media.embedding import (
    XMP_SEGMENT,
    exif,
    jpeg_with,
    png_chunk,
    png_text,
    png_texts,
    png_with,
    segment,
    user_comment,
    webp_with,
    xmp,
)
from tests.media.samples import picture, sound, video

from mediary.media.decoding.chunks import MAX_TEXT, unpack
from mediary.media.decoding.exif import read_exif
from mediary.media.decoding.exif import user_comment as read_comment
from mediary.media.decoding.facts import read_facts
from mediary.media.decoding.xmp import Xmp, read_xmp

PARAMETERS = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 5, Model: flux, Version: v1.9.0"
MADE = {
    "prompt": "a cat",
    "negative_prompt": "dog",
    "model": "flux",
    "seed": "5",
    "steps": 20,
    "generator": "Stable Diffusion web UI v1.9.0",
}
JUMBF = b"JP\0\1\0\0\0\1\0\0\0\x40jumb\0\0\0\x26jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71"


C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@pytest.fixture
def facts(tmp_path: Path):
    def read(data: bytes, max_pixels: int = 10**6) -> dict[str, Any]:
        path = tmp_path / "file"
        path.write_bytes(data)
        (found,) = read_facts([str(path)], max_pixels)
        return found

    return read


@pytest.mark.parametrize(
    ("suffix", "media_type"),
    [(".png", "image/png"), (".jpg", "image/jpeg"), (".gif", "image/gif"), (".webp", "image/webp")],
)
def test_a_picture(facts, suffix: str, media_type: str):
    assert facts(picture(suffix)) == {
        "media_type": media_type,
        "kind": "image",
        "width": 64,
        "height": 48,
        "c2pa": False,
    }


SOUNDS = [
    ("wav", "pcm_s16le", "audio/wav"),
    ("mp3", "libmp3lame", "audio/mpeg"),
    ("flac", "flac", "audio/flac"),
    ("opus", "libopus", "audio/opus"),
    ("ipod", "aac", "audio/m4a"),
    ("mp4", "aac", "audio/m4a"),
]


@pytest.mark.parametrize(("container", "codec", "media_type"), SOUNDS)
def test_a_sound(facts, container: str, codec: str, media_type: str):
    found = facts(sound(container, codec))
    assert found.pop("duration") == pytest.approx(0.1, abs=0.06)
    assert found == {"media_type": media_type, "kind": "audio", "c2pa": False}


VIDEOS = [
    ("mp4", "libx264", "video/mp4"),
    ("webm", "libvpx-vp9", "video/webm"),
    ("matroska", "libx264", "video/x-matroska"),
]


@pytest.mark.parametrize(("container", "codec", "media_type"), VIDEOS)
def test_a_video(facts, container: str, codec: str, media_type: str):
    found = facts(video(container, codec))
    assert found.pop("duration") == pytest.approx(0.3, abs=0.1)
    assert found == {"media_type": media_type, "kind": "video", "width": 64, "height": 48, "c2pa": False}


def made_video(path: Path, metadata: dict[str, str], degrees: float = 0.0) -> bytes:
    with av.open(path, "w", format="mp4", options={"movflags": "use_metadata_tags"}) as output:
        output.metadata.update(metadata)
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if degrees:
            stream.set_display_rotation(degrees)
        output.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        output.mux(stream.encode(None))
    return path.read_bytes()


def test_a_video_that_is_shown_upright(facts, tmp_path: Path):
    found = facts(made_video(tmp_path / "turned.mp4", {}, degrees=90))
    assert (found["width"], found["height"]) == (48, 64)


def test_the_words_of_a_video(facts, tmp_path: Path):
    prompt = '{"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "a wave"}}}'
    found = facts(made_video(tmp_path / "made.mp4", {"prompt": prompt}))
    assert (found["prompt"], found["generator"]) == ("a wave", "ComfyUI")


def test_a_batch_is_in_order(tmp_path: Path):
    paths = [tmp_path / name for name in "abc"]
    paths[0].write_bytes(picture(".png"))
    paths[2].write_bytes(picture(".gif"))
    assert [found.get("media_type") for found in read_facts(list(map(str, paths)), 10**6)] == [
        "image/png",
        None,
        "image/gif",
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_picture_is_as_large_as_it_is_shown(facts, orientation: int, order: str):
    turned = exif({0x0112: orientation}, order=order)
    size = (48, 64) if orientation > 4 else (64, 48)
    for data in (
        jpeg_with(segment(0xE1, b"Exif\0\0" + turned)),
        webp_with((b"EXIF", turned)),
        png_with(png_chunk(b"eXIf", turned)),
    ):
        found = facts(data)
        assert (found["width"], found["height"]) == size


A1111_FILES = {
    "PNG": png_texts(parameters=PARAMETERS),
    "PNG, packed": png_with(png_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(PARAMETERS.encode()))),
    "PNG, international": png_with(png_chunk(b"iTXt", b"parameters\0\0\0\0\0" + PARAMETERS.encode())),
    "PNG, both": png_with(png_chunk(b"iTXt", b"parameters\0\1\0en\0\0" + zlib.compress(PARAMETERS.encode()))),
    "PNG, behind the pixels": picture(".png")[:-12] + png_text("parameters", PARAMETERS) + picture(".png")[-12:],
    "JPEG": jpeg_with(segment(0xE1, b"Exif\0\0" + user_comment(PARAMETERS))),
    "JPEG, in ASCII": jpeg_with(
        segment(0xE1, b"Exif\0\0" + exif({}, {0x9286: b"ASCII\0\0\0" + PARAMETERS.encode()}, order="<"))
    ),
    "JPEG, in the other order": jpeg_with(
        segment(0xE1, b"Exif\0\0" + exif({}, {0x9286: b"UNICODE\0" + PARAMETERS.encode("utf-16-le")}))
    ),
    "JPEG, a comment": jpeg_with(segment(0xFE, PARAMETERS.encode())),
    "WebP": webp_with((b"EXIF", user_comment(PARAMETERS))),
    "WebP, with the mark of JPEG": webp_with((b"EXIF", b"Exif\0\0" + user_comment(PARAMETERS))),
    "GIF": picture(".gif")[:-1].replace(
        b"!\xf9", b"!\xfe" + bytes([len(PARAMETERS)]) + PARAMETERS.encode() + b"\0!\xf9", 1
    )
    + b";",
}


@pytest.mark.parametrize("name", A1111_FILES)
def test_where_a1111_writes(facts, name: str):
    found = facts(A1111_FILES[name])
    assert {field: found.get(field) for field in MADE} == MADE
    assert "problem" not in found


def test_words_of_every_language(facts):
    text = PARAMETERS.replace("a cat", "кот, 猫 🐈")
    for data in (png_texts(parameters=text), jpeg_with(segment(0xE1, b"Exif\0\0" + user_comment(text)))):
        assert facts(data)["prompt"] == "кот, 猫 🐈"


@pytest.mark.parametrize(
    "data",
    [
        png_with(png_chunk(b"caBX", b"jumb")),
        jpeg_with(segment(0xEB, JUMBF)),
        webp_with((b"C2PA", b"jumb!")),
        video("mp4", "libx264") + struct.pack(">I", 40) + b"uuid" + C2PA_BOX + bytes(16),
    ],
)
def test_content_credentials_are_noticed(facts, data: bytes):
    found = facts(data)
    assert found["c2pa"] is True
    assert "problem" not in found


def test_jpeg_xt_is_no_content_credential(facts):
    assert facts(jpeg_with(segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x40jumb\0\0\0\x26jumd" + bytes(16))))["c2pa"] is False


XMP_PACKET = xmp(
    "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>a fox &amp; snow</rdf:li></rdf:Alt></dc:description>"
    "<dc:subject><rdf:Bag><rdf:li>winter</rdf:li><rdf:li> fox </rdf:li><rdf:li/></rdf:Bag></dc:subject>",
    'xmp:CreatorTool="Firefly" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"',
)


@pytest.mark.parametrize(
    "data",
    [
        png_with(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP_PACKET)),
        jpeg_with(segment(0xE1, XMP_SEGMENT + XMP_PACKET)),
        webp_with((b"XMP ", XMP_PACKET)),
    ],
)
def test_xmp(facts, data: bytes):
    found = facts(data)
    assert (found["alt"], found["tags"], found["generator"]) == ("a fox & snow", ["winter", "fox"], "Firefly")


@pytest.mark.parametrize(
    ("attributes", "generator"),
    [
        ('Iptc4xmpExt:DigitalSourceType="http://x/trainedAlgorithmicMedia" photoshop:Credit="Made with Google AI"',
         "Made with Google AI"),
        ('Iptc4xmpExt:DigitalSourceType="http://x/trainedAlgorithmicMedia"', "trainedAlgorithmicMedia"),
        ('Iptc4xmpExt:DigitalSourceType="http://x/digitalCapture" photoshop:Credit="Ada"', None),
        ('xmp:CreatorTool="Adobe Photoshop 25.0"', None),
    ],
)  # fmt: skip
def test_who_says_that_it_made_the_picture(facts, attributes: str, generator: str | None):
    assert facts(webp_with((b"XMP ", xmp(attributes=attributes)))).get("generator") == generator


def test_the_texts_of_exif(facts):
    tags = exif({0x010E: b"a harbour at dawn\0", 0x0131: b"Paint 3\0"})
    found = facts(jpeg_with(segment(0xE1, b"Exif\0\0" + tags)))
    assert (found["alt"], found["generator"]) == ("a harbour at dawn", "Paint 3")


def test_the_size_of_a_jpeg_behind_much_metadata(facts):
    data = jpeg_with(*(segment(0xE2, bytes(65_000)) for _ in range(5)))
    found = facts(data)
    assert (found["width"], found["height"]) == (64, 48)


def test_too_many_pixels(facts):
    found = facts(picture(".png"), max_pixels=64 * 48 - 1)
    assert (found["width"], found["height"]) == (64, 48)
    assert "64 by 48" in found["problem"]


def test_a_long_text_is_left_out(facts):
    packed = zlib.compress(b"x" * (MAX_TEXT + 1))
    assert unpack(packed) == b""
    found = facts(png_with(png_chunk(b"zTXt", b"parameters\0\0" + packed), png_text("Software", "NovelAI")))
    assert found["generator"] == "NovelAI"


STARTS = [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe1",
    b"GIF89a",
    b"RIFF\0\0\0\0WEBPVP8X",
    b"RIFF\xff\xff\xff\xffWEBPEXIF",
    b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\0\x01uuid",
    b"fLaC",
    b"OggS",
]


@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes):
    path = tmp_path_factory.getbasetemp() / "garbage"
    path.write_bytes(start + rest)
    (found,) = read_facts([str(path)], 10**6)
    assert "problem" in found or "width" in found or found["kind"] != "image"


@given(st.sampled_from([b"II*\0", b"MM\0*"]), st.binary(max_size=200))
def test_any_exif(order: bytes, rest: bytes):
    texts, _ = read_exif(order + rest)
    assert all(texts.values())


@given(st.sampled_from([b"UNICODE\0", b"ASCII\0\0\0", b""]), st.binary(max_size=50), st.booleans())
def test_any_user_comment(code: bytes, text: bytes, big: bool):
    assert isinstance(read_comment(code + text, big), str)


@given(st.binary(max_size=200) | st.text(alphabet="<>/?! abrdf:='\"xmlns&;", max_size=100).map(str.encode))
def test_any_packet(packet: bytes):
    assert isinstance(read_xmp(packet), Xmp)


@pytest.mark.parametrize(
    "packet",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        b"<x>" * 200_000,
        '<?xml version="1.0" encoding="utf-16"?><x/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="klingon"?><x/>',
    ],
)
def test_a_packet_that_is_a_trap(packet: bytes):
    assert read_xmp(packet) == Xmp()
