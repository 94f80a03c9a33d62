"""Thumbnails of what is hard to show right, made where the server makes them: in a child process with limits."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pyvips
from tests.media.looks import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    RED,
    WHITE,
    adobe_rgb,
    alike,
    centre,
    claiming_gif,
    claiming_jpeg,
    claiming_png,
    claiming_webp,
    corners,
    plain,
    quarters,
    size,
    sound,
    turned,
    video,
    with_cover,
    with_profile,
)

from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.formats import detect
from mediary.sandbox.pool import Sandbox

MB = 1024 * 1024
MAX_PIXELS = 268_435_456
pytestmark = pytest.mark.may_block(10)  # the samples are made on the loop; all else here is done in a child
Render = Callable[..., Awaitable[bytes]]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    box = Sandbox(1, memory_bytes=512 * MB)
    yield box
    await box.close()


@pytest.fixture
def render(sandbox: Sandbox, tmp_path: Path) -> Render:
    async def rendered(
        data: bytes, width: int | None = None, *, webp: bool = False, name: str = "file", kind: str | None = None,
        box: Sandbox = sandbox, max_pixels: int = MAX_PIXELS,
    ) -> bytes:  # fmt: skip
        path = tmp_path / name
        path.write_bytes(data)
        found = detect(data)
        kind = kind or (found.kind if found else "image")
        made: bytes = await box.run("mediary.media.decoding.render:thumbnail", str(path), kind, width, webp, max_pixels)
        return made

    return rendered


async def attempt(made: Awaitable[bytes]) -> bytes | None:
    """What was made, or None if it was refused as it should be."""
    try:
        return await made
    except UnsupportedTypeError:
        return None


# Colours


@pytest.mark.parametrize("webp", [True, False])
@pytest.mark.parametrize("suffix", [".jpg[Q=95]", ".png", ".gif", ".webp[Q=95]", ".png[palette]", ".png[interlace]"])
async def test_every_format_shows_its_colours(render, suffix, webp):
    made = await render(quarters().write_to_buffer(suffix), webp=webp)
    assert made[8:12] == b"WEBP" if webp else made.startswith(b"\xff\xd8\xff")
    assert all(alike(*pair) for pair in zip(corners(made), (RED, GREEN, BLUE, WHITE), strict=True))


# What is stored for each orientation, so that the picture is `quarters` when it is shown as the tag says.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright.fliphor(),
    3: lambda upright: upright.rot180(),
    4: lambda upright: upright.flipver(),
    5: lambda upright: upright.rot90().fliphor(),
    6: lambda upright: upright.rot270(),
    7: lambda upright: upright.rot270().fliphor(),
    8: lambda upright: upright.rot90(),
}


@pytest.mark.parametrize("orientation", STORED)
async def test_a_photo_is_upright(render, orientation):
    stored = STORED[orientation](quarters(1600, 800)).copy()
    stored.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    made = await render(stored.write_to_buffer(".jpg"), 160)
    assert size(made) == (160, 80)
    assert all(alike(*pair) for pair in zip(corners(made), (RED, GREEN, BLUE, WHITE), strict=True))
    assert "orientation" not in pyvips.Image.new_from_buffer(made, "").get_fields()


@pytest.mark.parametrize("suffix", [".png", ".webp[lossless]", ".gif"])
async def test_transparency_is_kept_or_white(render, suffix):
    holed = quarters().bandjoin(pyvips.Image.black(40, 40).join(plain((255,), 40, 40), "horizontal"))
    data = holed.write_to_buffer(suffix)
    kept = corners(await render(data, webp=True))
    assert [colour[3] for colour in kept] == [0, 255, 0, 255]
    assert alike(kept[1][:3], GREEN)
    flat = corners(await render(data, webp=False))
    assert [len(colour) for colour in flat] == [3] * 4
    assert all(alike(*pair) for pair in zip(flat, (WHITE, GREEN, WHITE, WHITE), strict=True))


async def test_what_is_transparent_does_not_shine_through(render):
    stripes = pyvips.Image.xyz(1600, 8)[0] % 2
    opaque = (stripes * 255).cast("uchar")
    data = opaque.bandjoin([opaque * 0, opaque * 0]).cast("uchar").copy(interpretation="srgb").bandjoin(opaque)
    assert alike(centre(await render(data.write_to_buffer(".png"), 160)), (255, 128, 128))


@pytest.mark.parametrize("suffix", [".gif", ".webp[lossless]"])
async def test_an_animation_shows_its_first_frame(render, suffix):
    frames = plain(GREEN).join(plain(RED), "vertical").copy()
    frames.set_type(pyvips.GValue.gint_type, "page-height", 48)
    data = frames.write_to_buffer(suffix)
    assert pyvips.Image.new_from_buffer(data, "").get("n-pages") == 2
    made = await render(data)
    assert size(made) == (64, 48)
    assert alike(centre(made), GREEN)


@pytest.mark.parametrize("profile", [True, False])
async def test_cmyk(render, profile):
    inks = {(0, 0, 0, 0): WHITE, (0, 255, 255, 0): (237, 28, 36), (0, 0, 0, 128): (147, 149, 152)}
    for ink, meant in inks.items():
        image = plain(ink).copy(interpretation="cmyk")
        if profile:
            image = with_profile(image, pyvips.Operation.call("profile_load", "cmyk"))
        made = await render(image.write_to_buffer(".jpg", Q=95))
        assert pyvips.Image.new_from_buffer(made, "").bands == 3
        assert alike(centre(made), meant, 40), ink


async def test_sixteen_bits(render):
    deep = (plain(RED).cast("ushort") * 128 + 128).copy(interpretation="rgb16")
    assert alike(centre(await render(deep.write_to_buffer(".png"))), (128, 0, 0), 4)
    grey = (plain((1,)).cast("ushort") * 65535 * 0.5).cast("ushort").copy(interpretation="grey16")
    assert alike(centre(await render(grey.write_to_buffer(".png"))), GREY, 4)


@pytest.mark.parametrize("suffix", [".png", ".jpg[Q=95]", ".webp[lossless]"])
async def test_wide_gamut(render, suffix):
    p3 = pyvips.Operation.call("profile_load", "p3")
    # How Display P3 and Adobe RGB write the red, and the green, of sRGB.
    made = await render(with_profile(plain((234, 51, 35)), p3).write_to_buffer(suffix))
    assert alike(centre(made), RED)
    assert "icc-profile-data" not in pyvips.Image.new_from_buffer(made, "").get_fields()
    assert alike(centre(await render(with_profile(plain((144, 255, 60)), adobe_rgb()).write_to_buffer(suffix))), GREEN)


async def test_a_broken_profile_costs_nothing_else(render):
    broken = with_profile(quarters(), b"this is no profile" * 20)
    assert alike(corners(await render(broken.write_to_buffer(".webp[lossless]")))[0], RED)


@pytest.mark.parametrize(
    ("image", "options", "meant"),
    [
        (plain((90,)).copy(interpretation="b-w"), {}, (90, 90, 90)),
        (plain((255,)).copy(interpretation="b-w"), {"bitdepth": 1}, WHITE),
        (plain((0,)).copy(interpretation="b-w"), {"bitdepth": 1}, BLACK),
        (plain((90,)).copy(interpretation="b-w").bandjoin(255), {}, (90, 90, 90)),
        (plain(BLUE), {"palette": True, "bitdepth": 2}, BLUE),
    ],
    ids=["grey", "1 bit white", "1 bit black", "grey with alpha", "2 bit palette"],
)
@pytest.mark.parametrize("webp", [True, False])
async def test_few_bits_and_bands(render, image, options, meant, webp):
    made = await render(image.write_to_buffer(".png", **options), webp=webp)
    assert alike(centre(made)[:3], meant)


@pytest.mark.parametrize("webp", [True, False])
async def test_nothing_that_was_written_beside_the_picture_is_in_it(render, webp):
    told = quarters().copy()
    told.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Artist", "secret author")
    told.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta>secret place</x:xmpmeta>")
    told = with_profile(told, pyvips.Operation.call("profile_load", "srgb"))
    data = told.write_to_buffer(".jpg")
    assert data.count(b"secret") == 2
    made = await render(data, webp=webp)
    assert b"secret" not in made
    assert not {"exif-data", "xmp-data", "icc-profile-data"} & set(pyvips.Image.new_from_buffer(made, "").get_fields())


# Sizes


@pytest.mark.parametrize(
    ("stored", "width", "meant"),
    [
        ((10, 10), None, (10, 10)),
        ((2000, 1000), None, (400, 200)),
        ((1000, 2000), None, (200, 400)),
        ((5000, 3), None, (400, 1)),
        ((2000, 1000), 160, (160, 80)),
        ((2000, 1000), 1280, (1280, 640)),
        ((300, 100), 320, (300, 100)),
        ((100, 8000), 160, (8, 640)),
    ],
)
async def test_it_fits_and_is_never_enlarged(render, stored, width, meant):
    assert size(await render(plain(RED, *stored).write_to_buffer(".png"), width)) == meant


# Pictures that lie, or break off

CLAIMS = {"png": claiming_png, "jpeg": claiming_jpeg, "gif": claiming_gif, "webp": claiming_webp}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
async def test_a_picture_that_claims_too_much_is_refused(render, claim):
    small = Sandbox(1, memory_bytes=100 * MB)
    try:
        with pytest.raises(UnreadableError, match="50,000 by 50,000 pixels; 268,435,456 are the most"):
            await render(claim(50_000, 50_000), box=small)
        behind = await render(plain(RED).write_to_buffer(".png"), box=small)
        assert alike(centre(behind), RED)
    finally:
        await small.close()


async def test_a_size_far_behind_the_beginning_is_seen_too(render):
    late = claiming_jpeg(50_000, 50_000)
    comments = (b"\xff\xfe\xff\xff" + bytes(65_533)) * 3
    with pytest.raises(UnreadableError, match="50,000 by 50,000"):
        await render(late[:2] + comments + late[2:])


@pytest.mark.parametrize("suffix", [".jpg", ".jpg[interlace]", ".png", ".png[interlace]", ".gif", ".webp"])
async def test_a_picture_that_breaks_off_is_shown_as_far_as_it_goes_or_refused(render, suffix):
    noise = pyvips.Image.gaussnoise(300, 200, mean=128, sigma=40).cast("uchar")
    data = noise.bandjoin([noise, noise]).copy(interpretation="srgb").write_to_buffer(suffix)
    for part in (*range(12, 200, 17), *(len(data) * tenth // 10 for tenth in range(1, 10))):
        made = await attempt(render(data[:part]))
        assert made is None or size(made) == (300, 200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"\xff\xd8\xff" + os.urandom(5000),
        b"GIF89a/*" + b"=1;alert(1)//" * 50,
        b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(40),
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"%PDF-1.7\n",
        b"II*\0" + bytes(100),
    ],
)
async def test_what_is_no_picture_is_refused(render, tmp_path, data):
    with pytest.raises(UnsupportedTypeError) as refused:
        await render(data, kind="image")
    assert str(tmp_path) not in refused.value.message


async def test_a_name_is_a_name_and_no_option(render):
    assert alike(centre(await render(plain(RED).write_to_buffer(".png"), name="a[page=2].png")), RED)


# Videos


def fading_in(count: int, black: int) -> list[pyvips.Image]:
    return [(quarters(160, 80) * min(1, max(0, at - black) / 20)).cast("uchar") for at in range(count)]


@pytest.mark.parametrize("key_every", [12, 1000])
async def test_a_video_shows_a_frame_that_is_not_black(render, key_every):
    made = await render(video(fading_in(72, 24), key_every=key_every))
    assert size(made) == (160, 80)
    assert all(alike(*pair, 50) for pair in zip(corners(made), (RED, GREEN, BLUE, WHITE), strict=True))


async def test_a_video_that_is_black_is_shown_black(render):
    made = await render(video([plain(BLACK)] * 30))
    assert alike(centre(made), BLACK)


@pytest.mark.parametrize(("container", "codec"), [("webm", "libvpx-vp9"), ("matroska", "libx264"), ("mp4", "mpeg4")])
async def test_other_containers(render, container, codec):
    made = await render(video([quarters(160, 80)] * 12, container, codec), 160)
    assert all(alike(*pair, 30) for pair in zip(corners(made), (RED, GREEN, BLUE, WHITE), strict=True))


async def test_a_video_is_upright(render):
    made = await render(turned(video([quarters(160, 80)] * 12)))
    assert size(made) == (80, 160)
    assert all(alike(*pair, 30) for pair in zip(corners(made), (BLUE, RED, WHITE, GREEN), strict=True))


async def test_a_large_video_is_made_small(render):
    assert size(await render(video([quarters(1280, 720)] * 3))) == (400, 225)
    assert size(await render(turned(video([quarters(1280, 720)] * 3)), 160)) == (160, 284)


async def test_wide_pixels_make_a_wide_picture(render):
    made = await render(video([quarters(80, 80)] * 3, aspect=2))
    assert size(made) == (160, 80)


async def test_a_video_with_too_many_pixels_is_refused(render):
    with pytest.raises(UnreadableError, match="1,280 by 720"):
        await render(video([quarters(1280, 720)] * 3), max_pixels=100_000)


async def test_a_video_that_breaks_off_is_shown_as_far_as_it_goes_or_refused(render):
    for data in (video([quarters(160, 80)] * 24, "webm", "libvpx"), video([quarters(160, 80)] * 24)):
        for tenth in range(1, 10):
            made = await attempt(render(data[: len(data) * tenth // 10]))
            assert made is None or max(size(made)) <= 400


async def test_a_playlist_in_disguise_reads_nothing(render, tmp_path):
    (tmp_path / "other.mp4").write_bytes(video([quarters()] * 3))
    playlist = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n"
    for data in (playlist, b"ID3\3\0\0\0\0\0\0" + playlist, b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + playlist):
        with pytest.raises(UnsupportedTypeError):
            await render(data, kind="video")


# Sounds


def bars(data: bytes) -> list[float]:
    """How high the bars of a waveform are, column by column, in parts of the height."""
    image = pyvips.Image.new_from_buffer(data, "")
    ground = image(0, 0)
    lit = ((image - ground).abs() > 40).bandor()
    return [lit.crop(x, 0, 1, image.height).avg() / 255 for x in range(image.width)]


def highest(data: bytes, start: float, end: float) -> float:
    """The highest bar between two places, from 0 to 1."""
    heights = bars(data)
    return max(heights[int(start * len(heights)) : int(end * len(heights))])


@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "libmp3lame"), ("wav", "pcm_s16le"), ("flac", "flac"), ("ipod", "aac")]
)
async def test_a_sound_shows_where_it_is_loud(render, container, codec):
    made = await render(sound([0.1, 1.0, 0.0, 0.5], container, codec))
    assert size(made) == (400, 200)
    quiet, loud, none, half = (highest(made, at / 4 + 0.06, at / 4 + 0.19) for at in range(4))
    assert none < quiet < half < loud
    assert loud > 0.7


async def test_silence_is_a_line_of_dots(render):
    made = await render(sound([0.0], "wav", "pcm_s16le"), 320)
    assert size(made) == (320, 160)
    assert 0 < max(bars(made)) < 0.1


async def test_a_sound_of_many_minutes_is_seen_to_its_end(render):
    long = sound([1.0] * 320 + [0.1] * 320, "mp3", "libmp3lame", second=8000)
    made = await render(long)
    assert highest(made, 0.1, 0.45) > 0.7 > 0.3 > highest(made, 0.55, 0.9)


async def test_a_video_without_pictures_is_a_sound(render):
    assert highest(await render(sound([1.0], "mp4", "aac")), 0.2, 0.8) > 0.7


async def test_a_sound_shows_its_cover(render):
    covered = with_cover(sound([1.0]), quarters(800, 400).write_to_buffer(".png"))
    made = await render(covered, 160)
    assert size(made) == (160, 80)
    assert all(alike(*pair) for pair in zip(corners(made), (RED, GREEN, BLUE, WHITE), strict=True))


@pytest.mark.parametrize("cover", [b"\x89PNG\r\n\x1a\nbroken", claiming_png(50_000, 50_000), b"<svg/>"])
async def test_a_cover_that_cannot_be_read_gives_way_to_the_waveform(render, cover):
    assert highest(await render(with_cover(sound([1.0]), cover)), 0.2, 0.8) > 0.7


async def test_a_sound_that_breaks_off(render):
    for data in (sound([1.0] * 9), sound([1.0] * 9, "wav", "pcm_s16le"), sound([1.0] * 9, "ogg", "libopus", 48_000)):
        assert size(await render(data[: len(data) // 2])) == (400, 200)
