"""What a person sees in a browser: videos and sounds that seek, thumbnails in a page, downloads under their name."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, Response
from tests.media.looks import RED, plain
from tests.servers.browser import chromium
from tests.servers.mediary import MediaryServer

SECONDS = 30
MB = 1024 * 1024

# Noise, so that a file is far larger than what a browser loads ahead.
NOISE = ["-f", "lavfi", "-i", f"nullsrc=s=320x180:r=15:d={SECONDS},geq=random(1)*255:128:128"]
TONE = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={SECONDS}"]
BULKY = ["-b:v", "20M", "-g", "15"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
VP8 = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"]
FILMS = {
    "1700000000_film+noise_0123456789abcdef.mp4": [*NOISE, *TONE, *BULKY, *H264],
    "1700000001_film+noise_0123456789abcdef.webm": [*NOISE, *TONE, *BULKY, *VP8],
}
SOUNDS = {
    "1700000002_tone_0123456789abcdef.wav": [*TONE, "-ar", "192000", "-ac", "2"],
    "1700000003_tone_0123456789abcdef.mp3": [*TONE, "-b:a", "320k"],
}
PICTURE = "1700000004_Закат+над+морем_0123456789abcdef.png"

# Sets the player to a time, and tells when it is there.
SEEK = """
async ([player, time]) => {
    player.muted = true;
    if (player.readyState < 1) await new Promise(done => player.addEventListener('loadedmetadata', done, {once: true}));
    const seeked = new Promise((done, failed) => {
        player.addEventListener('seeked', done, {once: true});
        player.addEventListener('error', () => failed(player.error.message), {once: true});
    });
    player.currentTime = time;
    await seeked;
    return {time: player.currentTime, duration: player.duration, ready: player.readyState};
}
"""

SIZES = """
images => Promise.all(images.map(async image => {
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}))
"""


@pytest.fixture(scope="module")
async def server(tmp_path_factory) -> AsyncIterator[MediaryServer]:
    """Mediary on a folder with films, sounds and a picture."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    data: Path = tmp_path_factory.mktemp("data")
    media = data / "generated_media"
    media.mkdir()
    (media / PICTURE).write_bytes(plain(RED, 1000, 500).write_to_buffer(".png"))
    for name, options in (FILMS | SOUNDS).items():
        command = ["ffmpeg", "-v", "error", *options, str(media / name)]
        await asyncio.to_thread(subprocess.run, command, check=True, stdin=subprocess.DEVNULL)
    started = await asyncio.to_thread(MediaryServer(data).start)
    yield started
    await asyncio.to_thread(started.stop)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page, with nothing in its cache."""
    opened = await browser.new_page()
    yield opened
    await opened.close()


async def show(page: Page, server: MediaryServer, html: str) -> None:
    """A page of the server's own origin, with this in it."""
    await page.goto(f"{server.url}/healthz")
    await page.set_content(html)


@pytest.mark.parametrize(("name", "tag"), [*((name, "video") for name in FILMS), *((name, "audio") for name in SOUNDS)])
async def test_a_player_seeks(server: MediaryServer, page: Page, name: str, tag: str):
    answers: list[Response] = []
    url = f"/media/{quote(name)}"
    page.on("response", lambda answer: answers.append(answer) if answer.url.endswith(url) else None)
    await show(page, server, f'<{tag} src="{url}" preload="metadata"></{tag}>')
    player = await page.query_selector(tag)
    for part in (0.95, 0.1, 0.6):
        state = await page.evaluate(SEEK, [player, SECONDS * part])
        assert abs(state["duration"] - SECONDS) < 1
        assert abs(state["time"] - SECONDS * part) < 0.1
        assert state["ready"] >= 2  # the frame of that moment is there
    assert {answer.status for answer in answers} == {206}
    size = (server.data / "generated_media" / name).stat().st_size
    starts = [int(answer.headers["content-range"].removeprefix("bytes ").partition("-")[0]) for answer in answers]
    if size > 20 * MB:
        assert max(starts) > size / 2  # it was not loaded up to there


async def test_thumbnails_show_in_a_page(server: MediaryServer, page: Page):
    names = [PICTURE, *FILMS, *SOUNDS]
    images = "".join(f'<img src="/thumbnail/{quote(name)}">' for name in names)
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if "/thumbnail/" in answer.url else None)
    await show(page, server, images)
    sizes = await page.eval_on_selector_all(
        "img",
        "images => Promise.all(images.map(async i => { await i.decode(); return [i.naturalWidth, i.naturalHeight] }))",
    )
    assert sizes == [[400, 200], [320, 180], [320, 180], [400, 200], [400, 200]]
    assert {answer.headers["content-type"] for answer in answers} == {"image/webp"}


async def test_a_gallery_in_several_sizes(server: MediaryServer, page: Page):
    source = f"/thumbnail/{quote(PICTURE)}"
    ladder = ", ".join(f"{source}?w={width} {width}w" for width in (160, 320, 640, 1280))
    await show(page, server, f'<img srcset="{ladder}" sizes="300px" src="{source}">')
    image = await page.query_selector("img")
    assert image is not None
    assert (await image.evaluate("async image => { await image.decode(); return image.currentSrc }")).endswith("?w=320")


async def test_a_download_bears_the_readable_name(server: MediaryServer, page: Page):
    await show(page, server, f'<a href="/media/{quote(PICTURE)}?download=1">keep</a>')
    async with page.expect_download() as started:
        await page.click("a")
    download = await started.value
    assert download.suggested_filename == PICTURE
    path = await download.path()
    assert path.read_bytes() == (server.data / "generated_media" / PICTURE).read_bytes()
