"""What is kept of speech: whole files, a bounded number of bytes, and those in use longest."""

import asyncio
import os
from pathlib import Path

import pytest

from mediary.speech.cache import SoundCache
from mediary.storage.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "speech")


async def keep(cache: SoundCache, name: str, data: bytes, beginning: bytes = b"") -> bool:
    await cache.prepare()
    async with cache.stage() as staged:
        await staged.write(data)
        return await cache.keep_sound(staged, name, len(data), beginning) is not None


def names(store: LocalStore) -> set[str]:
    assert not list(store.folder.glob(".incoming/*"))
    return {path.name for path in store.folder.iterdir() if path.is_file()}


def used(store: LocalStore, name: str, seconds: float) -> None:
    """As if it had been asked for at that time."""
    os.utime(store.path(name), (seconds, store.path(name).stat().st_mtime))


async def test_those_not_asked_for_longest_go_first(store: LocalStore):
    cache = SoundCache(store, 30)
    for number in range(3):
        await keep(cache, f"{number}.mp3", bytes(10))
        used(store, f"{number}.mp3", 1000 + number)
    await cache.touch("0.mp3")
    await keep(cache, "new.mp3", bytes(15))
    assert names(store) == {"0.mp3", "new.mp3"}


async def test_a_use_changes_no_etag(store: LocalStore):
    cache = SoundCache(store, 100)
    await keep(cache, "a.mp3", b"abc")
    used(store, "a.mp3", 1000)
    before = await store.get("a.mp3")
    await cache.touch("a.mp3")
    assert await store.get("a.mp3") == before
    assert store.path("a.mp3").stat().st_atime > 1000


async def test_what_is_too_large_is_not_kept(store: LocalStore):
    assert not await keep(SoundCache(store, 10), "a.mp3", bytes(11))
    assert not await keep(SoundCache(store, 0), "a.mp3", b"a")
    assert names(store) == set()


async def test_the_first_bytes_are_mended(store: LocalStore):
    assert await keep(SoundCache(store, 10**7), "a.wav", b"????" + bytes(1_000_000), b"RIFF")
    assert store.path("a.wav").read_bytes() == b"RIFF" + bytes(1_000_000)


async def test_the_same_made_twice_is_one_file(store: LocalStore):
    cache = SoundCache(store, 100)
    await keep(cache, "a.mp3", b"one")
    await keep(cache, "a.mp3", b"two")
    assert names(store) == {"a.mp3"}
    assert store.path("a.mp3").read_bytes() == b"two"


async def test_two_processes_may_tidy_up_at_once(store: LocalStore):
    caches = SoundCache(store, 100), SoundCache(store, 100)
    kept = [keep(caches[number % 2], f"{number}.mp3", bytes(10)) for number in range(1000)]
    assert all(await asyncio.gather(*kept))
    assert sum(len(store.path(name).read_bytes()) for name in names(store)) <= 100


async def test_to_use_what_is_gone_is_no_error(store: LocalStore):
    await SoundCache(store, 100).touch("gone.mp3")
