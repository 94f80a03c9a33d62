"""What a whole file looks like, in a few bytes; and that like pictures are found alike."""

import hashlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from tests.media.looks import plain
from tests.media.samples import picture, sound, video
from thumbhash import rgba_to_thumb_hash

from mediary.errors import UnreadableError
from mediary.media.decoding.look import look, perceptual_hash
from mediary.media.decoding.thumbhash import thumb_hash

MANY = 10**7


@pytest.fixture(scope="module")
def child() -> Iterator[ProcessPoolExecutor]:
    """A process of its own: what looks at pictures forbids libvips most of what it can do, for good."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def seen(child: ProcessPoolExecutor, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def read(data: bytes, max_pixels: int = MANY) -> dict[str, Any]:
        path = tmp_path / "file"
        path.write_bytes(data)
        return child.submit(look, str(path), max_pixels).result()

    return read


def scene(seed: int, width: int = 480, height: int = 320) -> pyvips.Image:
    """A picture with large shapes, as photographs have: smooth noise, another one for each seed."""
    bands = [pyvips.Image.perlin(width, height, cell_size=80, seed=seed * 10 + band) for band in range(3)]
    image = bands[0].bandjoin(bands[1:])
    return ((image + 1) * 127).cast("uchar").copy(interpretation="srgb")


def distance(one: int, other: int) -> int:
    return ((one ^ other) & 2**64 - 1).bit_count()


def test_a_picture(seen):
    data = plain((255, 128, 0)).write_to_buffer(".png")
    found = seen(data)
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    assert found["colour"] == "#ff8000"
    assert len(b64decode(found["thumbhash"])) > 10
    assert -(2**63) <= found["phash"] < 2**63


def test_a_sound_has_a_digest_alone(seen):
    data = sound("flac", "flac")
    assert seen(data) == {"sha256": hashlib.sha256(data).hexdigest()}


def test_a_video_looks_like_one_of_its_frames(seen):
    found = seen(video("mp4", "libx264"))
    assert found.keys() == {"sha256", "thumbhash", "colour", "phash"}


def test_what_cannot_be_seen_has_no_colour_of_its_own(seen):
    red, green = plain((255, 0, 0), 32, 32).bandjoin(255), plain((0, 255, 0), 32, 32).bandjoin(0)
    assert seen(red.join(green, "horizontal").write_to_buffer(".png"))["colour"] == "#ff0000"
    assert seen(green.write_to_buffer(".png"))["colour"] == "#000000"


def copies(image: pyvips.Image) -> dict[str, bytes]:
    """The same picture, as it comes back from the world."""
    width, height = image.width, image.height
    return {
        "smaller": image.resize(0.5).write_to_buffer(".png"),
        "larger": image.resize(1.7).write_to_buffer(".png"),
        "stretched": image.resize(0.8, vscale=0.7).write_to_buffer(".png"),
        "JPEG": image.write_to_buffer(".jpg", Q=30),
        "WebP": image.write_to_buffer(".webp", Q=30),
        "cropped": image.crop(width // 50, height // 50, width * 48 // 50, height * 48 // 50).write_to_buffer(".png"),
        "brighter": (image * 0.9 + 20).cast("uchar").write_to_buffer(".png"),
        "grey": image.colourspace("b-w").write_to_buffer(".png"),
        "16 bit": image.colourspace("rgb16").write_to_buffer(".png"),
        "with alpha": image.bandjoin(255).write_to_buffer(".png"),
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_copy_is_near_its_original(seen, seed: int):
    image = scene(seed)
    original = seen(image.write_to_buffer(".png"))["phash"]
    distances = {name: distance(original, seen(data)["phash"]) for name, data in copies(image).items()}
    assert max(distances.values()) <= 10, distances


def test_another_picture_is_far(seen):
    hashes = [seen(scene(seed).write_to_buffer(".png"))["phash"] for seed in range(12)]
    pairs = [distance(one, other) for at, one in enumerate(hashes) for other in hashes[:at]]
    assert min(pairs) >= 16


def test_a_turned_picture_is_seen_as_it_is_shown(seen):
    image = scene(4)
    upright = seen(image.write_to_buffer(".png"))["phash"]
    lying = image.rot90().copy()
    lying.set_type(pyvips.GValue.gint_type, "orientation", 8)
    assert distance(upright, seen(lying.write_to_buffer(".jpg", Q=90))["phash"]) <= 4


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2), (33, 31)])
def test_a_picture_of_any_shape(seen, size: tuple[int, int]):
    assert "phash" in seen(picture(".png", *size))


@given(st.binary(min_size=1, max_size=60))
def test_a_hash_has_64_bits(levels: bytes):
    assert -(2**63) <= perceptual_hash([float(level) for level in (levels * 1024)[:1024]]) < 2**63


def test_too_many_pixels_are_not_decoded(seen):
    data = picture(".png")
    found = seen(data, max_pixels=10)
    assert found.pop("problem")
    assert found == {"sha256": hashlib.sha256(data).hexdigest()}


def test_no_media_have_a_digest(seen):
    assert seen(b"hello") == {"sha256": hashlib.sha256(b"hello").hexdigest()}


def test_what_is_no_file(tmp_path: Path):
    with pytest.raises(UnreadableError):
        look(str(tmp_path), MANY)
    with pytest.raises(FileNotFoundError):
        look(str(tmp_path / "a"), MANY)


@pytest.mark.parametrize("size", [(100, 75), (30, 100), (64, 64), (1, 1), (100, 1)])
def test_a_thumbhash_is_the_one_that_others_make(size: tuple[int, int]):
    pixels = bytes(scene(5, *size).bandjoin(255).write_to_memory())
    assert thumb_hash(*size, pixels) == bytes(rgba_to_thumb_hash(*size, list(pixels)))


# What Evan Wallace's own encoder, `thumbhash` on npm, makes of these pixels.
REFERENCE = bytes.fromhex("9a168a5b921b8678707787707508f697af8a6f665c8776")


def test_a_thumbhash_with_transparency():
    pixels = ((29 * x + 3 * y, 47 * y + x, 200 - 21 * x, 255 - 13 * x * y % 200) for y in range(5) for x in range(8))
    assert thumb_hash(8, 5, bytes(value for pixel in pixels for value in pixel)) == REFERENCE
