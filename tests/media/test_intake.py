"""A provider's answer becomes a file of the library: its type told by its bytes, its row written."""

import asyncio
import base64
import hashlib
import re
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.media.samples import picture, sound, video
from tests.servers.http import RawServer, chunked, response

from mediary.errors import BadRequestError, DownloadError, SettingsError, TooLargeError, UnsupportedTypeError
from mediary.media.catalog import Catalog
from mediary.media.intake import save_response_media
from mediary.media.library import MediaLibrary
from mediary.media.responses import AudioResponse, ImageResponse, MediaResponse, VideoResponse
from mediary.net.client import HttpClient
from mediary.net.download import open_download

NAME = re.compile(r"\d{10}_[^/]+_[0-9a-f]{16}\.\w+")


async def save(media: object, *args: object, **options: object) -> MediaResponse:
    [kept] = [kept async for kept in save_response_media(media, *args, **options)]
    return kept


def name_of(kept: MediaResponse) -> str:
    [url] = kept.urls
    assert url.startswith("/media/")
    return url.removeprefix("/media/")


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


FILES = [
    (picture(".png"), ".png", "image/png", ImageResponse),
    (picture(".jpg"), ".jpg", "image/jpeg", ImageResponse),
    (picture(".gif"), ".gif", "image/gif", ImageResponse),
    (picture(".webp"), ".webp", "image/webp", ImageResponse),
    (sound("wav", "pcm_s16le"), ".wav", "audio/wav", AudioResponse),
    (sound("mp3", "libmp3lame"), ".mp3", "audio/mpeg", AudioResponse),
    (sound("flac", "flac"), ".flac", "audio/flac", AudioResponse),
    (sound("opus", "libopus"), ".opus", "audio/opus", AudioResponse),
    (sound("ogg", "vorbis"), ".ogg", "audio/ogg", AudioResponse),
    (sound("ipod", "aac"), ".m4a", "audio/m4a", AudioResponse),
    (video("mp4", "libx264"), ".mp4", "video/mp4", VideoResponse),
    (video("webm", "libvpx"), ".webm", "video/webm", VideoResponse),
    (video("matroska", "libx264"), ".mkv", "video/x-matroska", VideoResponse),
]


@pytest.mark.parametrize(("data", "extension", "media_type", "kind"), FILES, ids=[row[1] for row in FILES])
async def test_the_bytes_decide(
    library: MediaLibrary, folder: Path, catalog: Catalog, data: bytes, extension: str, media_type: str, kind: type
):
    kept = await save(data, "a cat", ["flux", "tag"], "meow", "application/octet-stream", library=library)
    name = name_of(kept)
    assert type(kept) is kind
    assert kept.alt == ("meow" if kind is AudioResponse else "a cat")
    assert NAME.fullmatch(name) and name.endswith(extension) and "_flux+tag+a_cat_" in name
    assert (folder / name).read_bytes() == data
    item = await catalog.get(name)
    assert (item.sha256, item.size, item.media_type) == (hashlib.sha256(data).hexdigest(), len(data), media_type)


async def test_the_row_says_where_it_came_from(library: MediaLibrary, catalog: Catalog):
    kept = await save(picture(), "a cat", ["flux"], library=library, provider="OpenAI", model="gpt-image")
    item = await catalog.get(name_of(kept))
    assert (item.prompt, item.alt, item.tags, item.provider, item.model) == (
        "a cat", "a cat", ("flux",), "OpenAI", "gpt-image",
    )  # fmt: skip
    assert (item.width, item.height) == (kept.options["width"], kept.options["height"]) == (64, 48)


async def test_a_wrong_claim_counts_for_nothing(library: MediaLibrary):
    kept = await save({"data": base64.b64encode(picture()).decode(), "mimeType": "audio/mpeg"}, library=library)
    assert isinstance(kept, ImageResponse) and name_of(kept).endswith(".png")


async def test_a_sound_in_mp4_is_one_where_it_is_said_to_be(library: MediaLibrary):
    data = sound("mp4", "aac")
    assert name_of(await save(data, library=library)).endswith(".mp4")
    kept = await save(data, content_type="audio/mp4; codecs=mp4a", library=library)
    assert isinstance(kept, AudioResponse) and name_of(kept).endswith(".m4a")


async def test_a_mapping_brings_its_own_words(library: MediaLibrary):
    data = base64.urlsafe_b64encode(sound("wav", "pcm_s16le")).decode().rstrip("=")
    kept = await save({"data": data, "mimeType": "audio/wav", "transcript": "hello"}, "say hello", library=library)
    assert kept == AudioResponse(kept.urls, "hello", source_url=None)


async def test_a_stream_of_chunks(library: MediaLibrary, folder: Path):
    data = picture(".jpg", 500, 400)
    kept = await save(pieces(data), "a cat", library=library)
    assert (folder / name_of(kept)).read_bytes() == data


async def test_a_download(library: MediaLibrary, folder: Path, server: RawServer, http: HttpClient):
    server.answers["/a"] = response(picture(), "Last-Modified: Mon, 01 Jan 2024 15:37:36 GMT")
    async with open_download(http, f"{server.url}/a") as download:
        kept = await save(download, "a cat", library=library)
    assert kept.source_url == f"{server.url}/a"
    assert name_of(kept).startswith("1704123456_a_cat_")
    assert (folder / name_of(kept)).read_bytes() == picture()


async def test_a_response_of_aiohttp(library: MediaLibrary, folder: Path, server: RawServer):
    server.answers["/a"] = response(
        sound("mp4", "aac"), "Content-Type: audio/mp4", "Date: Mon, 01 Jan 2024 15:37:36 GMT"
    )
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/a") as answer:
        kept = await save(answer, "a cat", library=library)
    assert isinstance(kept, AudioResponse)
    assert kept.source_url == f"{server.url}/a"
    assert re.fullmatch(r"1704123456_a_cat_[0-9a-f]{16}\.m4a", name_of(kept))


async def test_a_response_of_aiohttp_that_is_cut(library: MediaLibrary, folder: Path, server: RawServer):
    server.answers["/a"] = chunked([picture()], whole=False)
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/a") as answer:
        with pytest.raises(DownloadError):
            await save(answer, library=library)
    assert list(folder.glob("*.*g")) == []


async def broken(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise DownloadError("cut")


REFUSED = {
    "no bytes": (b"", BadRequestError),
    "no text": ("", BadRequestError),
    "a data URI without data": ("data:image/png;base64,", BadRequestError),
    "nothing": ({}, BadRequestError),
    "half a base64 text": (base64.b64encode(picture()).decode()[:-3], BadRequestError),
    "no base64 text": ("not base64!", BadRequestError),
    "a document": (b"%PDF-1.7 and so on", UnsupportedTypeError),
    "a script": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedTypeError),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused_leaves_nothing_behind(library: MediaLibrary, folder: Path, what: str):
    media, error = REFUSED[what]
    with pytest.raises(error):
        await save(media, library=library)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_a_stream_that_fails_leaves_nothing_behind(library: MediaLibrary, folder: Path):
    with pytest.raises(DownloadError, match="cut"):
        await save(broken(picture(".png", 900, 900)), library=library)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_a_stream_that_is_refused_is_closed(library: MediaLibrary):
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"no media " * 1000
        finally:
            closed.set()

    with pytest.raises(UnsupportedTypeError):
        await save(endless(), library=library)
    assert closed.is_set()


async def test_too_many_bytes(folder: Path, http: HttpClient):
    library = MediaLibrary.local(folder, http, max_bytes=len(picture()))
    await save(picture(), library=library)
    with pytest.raises(TooLargeError):
        await save(pieces(picture() + b"\0"), library=library)
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


async def test_the_same_picture_at_once_is_kept_each_time(library: MediaLibrary, folder: Path):
    kept = await asyncio.gather(*(save(picture(), "a cat", library=library) for _ in range(20)))
    assert len({name_of(one) for one in kept}) == 20
    assert all((folder / name_of(one)).read_bytes() == picture() for one in kept)


async def test_without_a_library_it_is_the_one_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    kept = await save(picture(), "a cat")
    assert (tmp_path / "generated_media" / name_of(kept)).read_bytes() == picture()


async def test_memory_stays_small_however_long_the_stream(folder: Path, http: HttpClient):
    library = MediaLibrary.local(folder, http)
    piece = bytes(64 * 1024)

    async def long() -> AsyncIterator[bytes]:
        yield b"\x89PNG\r\n\x1a\n"
        for _ in range(1600):
            yield piece

    tracemalloc.start()
    try:
        kept = await save(long(), library=library)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (folder / name_of(kept)).stat().st_size == 8 + 1600 * len(piece)
    assert peak < 8 * 1024**2


@pytest.mark.may_block(2)  # the test makes the text on its loop
async def test_memory_stays_small_beside_a_long_text(folder: Path, http: HttpClient):
    library = MediaLibrary.local(folder, http)
    text = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(50 * 1024**2)).decode()
    tracemalloc.start()
    try:
        await save(text, library=library)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024**2


async def test_a_turn_that_is_cut_off_while_media_arrive_leaves_nothing_behind(library: MediaLibrary, folder: Path):
    begun = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield picture(".png", 900, 900)
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(save(stuck(), library=library))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_a_provider_may_close_its_stream_as_soon_as_the_cancelled_turn_ends(library: MediaLibrary):
    """No step of the intake is still in the stream then: closing it would say that it is already running."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def stuck() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield picture(".png", 900, 900)
                begun.set()
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)  # as closing a connection does
            ended.set()

    for steps in range(60):  # in the stream, in a thread that hashes, in one that writes
        begun.clear()
        ended.clear()
        stream = stuck()
        task = asyncio.create_task(save(stream, library=library))
        await begun.wait()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()
        await stream.aclose()


async def test_a_stream_is_closed_where_the_library_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "generated_media").touch()
    monkeypatch.chdir(tmp_path)
    closed = asyncio.Event()

    async def made() -> AsyncGenerator[bytes, None]:
        try:
            yield picture()
            yield picture()
        finally:
            closed.set()

    stream = made()
    await anext(stream)
    with pytest.raises(SettingsError):
        await save(stream)
    assert closed.is_set()
