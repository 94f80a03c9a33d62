"""Thumbnails are made once, whole, by whoever asks first, for every kind of store."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.clock import jump
from tests.media.looks import RED, alike, centre, claiming_png, plain, size, sound

from mediary.errors import (
    BadRequestError,
    BusyError,
    NotFoundError,
    ShutdownError,
    UnreadableError,
    UnsupportedTypeError,
)
from mediary.media import thumbnails as module
from mediary.media.thumbnails import LADDER, Thumbnails, source_key, thumbnail_name
from mediary.sandbox.pool import Sandbox
from mediary.storage.base import StoredFile
from mediary.storage.local import LocalStore

__all__ = ["jump"]

PICTURE: bytes = plain(RED, 1000, 500).write_to_buffer(".png")
MAX_PIXELS = 268_435_456


class Counted(Sandbox):
    """A sandbox that counts its jobs."""

    jobs = 0

    async def run(self, function: str, *arguments: Any, seconds: float = 30.0) -> Any:
        self.jobs += 1
        return await super().run(function, *arguments, seconds=seconds)


class Elsewhere:
    """A store without paths, whose pieces come one by one."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[tuple[int, int | None]] = []

    async def get(self, name: str) -> StoredFile:
        if name not in self.files:
            raise NotFoundError("There is no file of that name")
        return StoredFile(name, len(self.files[name]), 1e9, f"elsewhere-{name}")

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.asked.append((start, end))
        data = self.files[name][start:end]
        for at in range(0, len(data), 1000):
            await asyncio.sleep(0)
            yield data[at : at + 1000]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Counted]:
    box = Counted(2)
    yield box
    await box.close()


@pytest.fixture
def media(tmp_path: Path) -> LocalStore:
    (tmp_path / "thumbnails").mkdir()
    return LocalStore(tmp_path)


@pytest.fixture
def kept(media: LocalStore) -> LocalStore:
    return LocalStore(media.folder / "thumbnails")


@pytest.fixture
def thumbnails(media: LocalStore, kept: LocalStore, sandbox: Counted) -> Thumbnails:
    sandbox.jobs = 0
    return Thumbnails(media, kept, sandbox, MAX_PIXELS)


def put(media: LocalStore, name: str, data: bytes = PICTURE) -> Path:
    path = media.folder / name
    path.write_bytes(data)
    return path


def names(store: LocalStore) -> list[str]:
    """The files of the store, and what was left on the way into it."""
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file())


async def test_all_who_ask_at_once_get_one_thumbnail(thumbnails, media, kept, sandbox):
    put(media, "a.png")
    made = await asyncio.gather(*(thumbnails.get("a.png") for _ in range(20)))
    assert len(set(made)) == 1
    assert names(kept) == [made[0].name]
    assert sandbox.jobs == 1
    assert await thumbnails.get("a.png") == made[0]
    assert await Thumbnails(media, kept, sandbox, MAX_PIXELS).get("a.png") == made[0]
    assert sandbox.jobs == 1
    assert size((kept.folder / made[0].name).read_bytes()) == (400, 200)


async def test_each_width_and_form_is_one_file(thumbnails, media, kept):
    put(media, "a.png")
    key = source_key((await media.get("a.png")).etag)
    for width in (None, *LADDER):
        for webp, extension in ((True, "webp"), (False, "jpg")):
            made = await thumbnails.get("a.png", width, webp=webp)
            assert made.name == f"{key}-{width or 400}.{extension}"
            data = (kept.folder / made.name).read_bytes()
            assert size(data)[0] == min(width or 400, 1000)
            assert data[8:12] == b"WEBP" if webp else data.startswith(b"\xff\xd8")
    assert len(names(kept)) == 10


@pytest.mark.parametrize("width", [0, -1, 1, 400, 161, 10**9])
async def test_other_widths_are_refused(thumbnails, media, kept, width):
    put(media, "a.png")
    with pytest.raises(BadRequestError, match="160, 320, 640, 1280"):
        await thumbnails.get("a.png", width)
    assert names(kept) == []


async def test_two_processes_that_make_it_keep_one(media, kept, sandbox):
    put(media, "a.png")
    several = [Thumbnails(media, kept, sandbox, MAX_PIXELS) for _ in range(4)]
    made = await asyncio.gather(*(one.get("a.png") for one in several))
    assert len(set(made)) == 1
    assert names(kept) == [made[0].name]


async def test_other_bytes_under_a_name_have_another_thumbnail(thumbnails, media, kept):
    path = put(media, "a.png")
    before = await thumbnails.get("a.png")
    path.unlink()
    put(media, "a.png", plain((0, 0, 255)).write_to_buffer(".png"))
    after = await thumbnails.get("a.png")
    assert after.name != before.name
    assert alike(centre((kept.folder / after.name).read_bytes()), (0, 0, 255))


async def test_two_names_of_the_same_bytes_share_one(thumbnails, media, sandbox):
    (media.folder / "b.png").hardlink_to(put(media, "a.png"))
    assert await thumbnails.get("a.png") == await thumbnails.get("b.png")
    assert sandbox.jobs == 1


@pytest.mark.parametrize("name", ["none.png", "", ".hidden", "../a.png", "..", "thumbnails", "x/y.png", "a\0.png"])
async def test_what_is_not_there_has_none(thumbnails, media, name):
    put(media, "a.png")
    put(media, ".hidden")
    with pytest.raises(NotFoundError):
        await thumbnails.get(name)


async def test_a_file_among_the_thumbnails_will_do(thumbnails, media, kept, sandbox):
    own = put(kept, "a.png")
    assert (await thumbnails.get("a.png", 160)).name == "a.png"
    put(media, "a.png")
    assert (await thumbnails.get("a.png")).name != "a.png"
    assert own.read_bytes() == PICTURE
    assert sandbox.jobs == 1


async def test_a_folder_that_is_named_from_elsewhere(media, kept, sandbox, monkeypatch):
    put(media, "a.png")
    monkeypatch.chdir(media.folder)
    here = Thumbnails(LocalStore(Path()), LocalStore(Path("thumbnails")), sandbox, MAX_PIXELS)
    assert (await here.get("a.png")).size


# What cannot be read


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\nbroken", claiming_png(50_000, 50_000)])
async def test_a_failure_is_remembered_for_a_while(thumbnails, media, kept, sandbox, jump, data):
    put(media, "a.png", data)
    messages = set()
    for width in (None, *LADDER):
        with pytest.raises(UnsupportedTypeError) as failed:
            await thumbnails.get("a.png", width)
        messages.add(failed.value.message)
    assert len(messages) == 1
    assert sandbox.jobs <= 1
    assert names(kept) == []
    before = sandbox.jobs
    jump(3600)
    with pytest.raises(UnsupportedTypeError):
        await thumbnails.get("a.png")
    assert sandbox.jobs == 2 * before


async def test_what_claims_too_much_troubles_no_child(thumbnails, media, sandbox):
    put(media, "a.png", claiming_png(50_000, 50_000))
    with pytest.raises(UnreadableError, match="50,000 by 50,000"):
        await thumbnails.get("a.png")
    assert sandbox.jobs == 0


async def test_a_file_that_was_mended_is_read(thumbnails, media):
    put(media, "a.png", b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(UnreadableError):
        await thumbnails.get("a.png")
    put(media, "a.png")
    assert (await thumbnails.get("a.png")).size


async def test_links_and_pipes_have_none(thumbnails, media):
    (media.folder / "link.png").symlink_to(put(media, "a.png"))
    os.mkfifo(media.folder / "pipe.png")
    for name in ("link.png", "pipe.png"):
        with pytest.raises(NotFoundError):
            await thumbnails.get(name)


# Who waits


async def test_who_stops_waiting_does_not_stop_the_others(thumbnails, media, sandbox):
    put(media, "a.png")
    first, second = (asyncio.create_task(thumbnails.get("a.png")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).size
    assert first.cancelled()
    assert sandbox.jobs == 1


async def test_when_nobody_waits_any_more_it_is_made_all_the_same(thumbnails, media, kept):
    put(media, "a.png")
    only = asyncio.create_task(thumbnails.get("a.png"))
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.wait([only])
    assert [(await thumbnails.get("a.png")).name] == names(kept)


async def test_only_so_many_wait(thumbnails, media, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    for name in "abc":
        put(media, name)
    results = await asyncio.gather(*(thumbnails.get(name) for name in "aabbcc"), return_exceptions=True)
    assert [type(result) for result in results] == [StoredFile] * 4 + [BusyError] * 2
    assert (await thumbnails.get("c")).size


async def test_closing_ends_what_is_made(media, kept):
    box = Sandbox(1)
    thumbnails = Thumbnails(media, kept, box, MAX_PIXELS)
    put(media, "a.png")
    asking = asyncio.create_task(thumbnails.get("a.png"))
    await asyncio.sleep(0)
    await thumbnails.close()
    with pytest.raises((asyncio.CancelledError, ShutdownError)):
        await asking
    await box.close()
    assert names(kept) == []


# Stores without paths


async def test_a_source_that_is_elsewhere_is_fetched_and_put_away(kept, sandbox):
    store = Elsewhere({"a.png": PICTURE, "small.png": plain(RED).write_to_buffer(".png")})
    thumbnails = Thumbnails(store, kept, sandbox, MAX_PIXELS)
    made = await asyncio.gather(*(thumbnails.get("a.png") for _ in range(3)))
    assert alike(centre((kept.folder / made[0].name).read_bytes()), RED)
    assert (await thumbnails.get("small.png")).size
    assert len(names(kept)) == 2
    with pytest.raises(NotFoundError):
        await thumbnails.get("none.png")


async def test_one_that_is_broken_leaves_nothing_either(kept, sandbox):
    store = Elsewhere({"a.png": PICTURE[:100] + bytes(100_000), "a.txt": b"text"})
    for name in store.files:
        with pytest.raises(UnsupportedTypeError):
            await Thumbnails(store, kept, sandbox, MAX_PIXELS).get(name)
    assert names(kept) == []


@pytest.mark.may_block(2)
async def test_only_so_much_is_fetched(kept, sandbox, monkeypatch):
    monkeypatch.setattr(module, "MOST_FETCHED", 20_000)
    store = Elsewhere({"a.png": PICTURE.ljust(30_000, b"\0"), "a.wav": sound([1.0], "wav", "pcm_s16le")})
    thumbnails = Thumbnails(store, kept, sandbox, MAX_PIXELS)
    with pytest.raises(UnreadableError, match="30,000 bytes; 20,000 are the most"):
        await thumbnails.get("a.png")
    assert (await thumbnails.get("a.wav")).size
    assert store.asked[-1] == (0, 20_000)


def test_the_names_differ_as_the_bytes_do():
    assert thumbnail_name("a", None, webp=True) == "ca978112ca1bbdca-400.webp"
    assert thumbnail_name("b", 160, webp=False) == "3e23e8160039594a-160.jpg"
