"""A folder of files that can be made again: bounded in size and in age."""

import os
import time
from pathlib import Path

from mediary.storage.file_cache import FileCache
from mediary.storage.local import LocalStore

DAY = 86400.0


async def keep(cache: FileCache, name: str, size: int) -> None:
    await cache.prepare()
    async with cache.stage() as staged:
        await staged.write(bytes(size))
        await cache.keep(staged, name)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


async def test_what_is_too_old_goes_however_much_room_there_is(tmp_path: Path):
    cache = FileCache(LocalStore(tmp_path), 100, "the cache", DAY)
    for name, age in (("old", 2 * DAY), ("young", DAY / 2)):
        await keep(cache, name, 10)
        os.utime(tmp_path / name, (time.time(), time.time() - age))
    await keep(cache, "new", 10)
    assert names(tmp_path) == {"young", "new"}


async def test_what_is_not_used_longest_goes_where_there_is_no_room(tmp_path: Path):
    cache = FileCache(LocalStore(tmp_path), 25, "the cache")
    for name, used in (("first", 2000), ("second", 1000)):
        await keep(cache, name, 10)
        os.utime(tmp_path / name, (used, 5000))
    await keep(cache, "new", 10)
    assert names(tmp_path) == {"first", "new"}


def test_whether_there_is_room(tmp_path: Path):
    assert FileCache(LocalStore(tmp_path), 25, "the cache").has_room(25)
    assert not FileCache(LocalStore(tmp_path), 0, "the cache").has_room(1)
