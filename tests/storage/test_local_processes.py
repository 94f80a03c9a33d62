"""What a full disk, a killed process and several processes at once do to a local store."""

import asyncio
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mediary.errors import NoSpaceError, StoreError
from mediary.storage.local import INCOMING, LocalStore
from mediary.testing.stores import fetch, names, noise, put

# Stores files for ever; each begins with the hash of what follows. One line when it is under way.
WRITER = """
import asyncio, hashlib, random, sys
from pathlib import Path
from mediary.storage.local import LocalStore

async def main():
    store, name = LocalStore(Path(sys.argv[1])), sys.argv[2]
    print("ready", flush=True)
    while True:
        body = random.randbytes(random.choice([10, 5_000, 400_000, 1_500_000]))
        async with store.stage() as staged:
            await staged.write(hashlib.sha256(body).digest())
            for start in range(0, len(body), 100_000):
                await staged.write(body[start : start + 100_000])
            await staged.commit(name)

asyncio.run(main())
"""

# Begins a file, says so, and waits.
HOLDER = """
import asyncio, sys
from pathlib import Path
from mediary.storage.local import LocalStore

async def main():
    async with LocalStore(Path(sys.argv[1])).stage() as staged:
        await staged.write(bytes(1_000_000))
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

# Stores a number of files under one name, each with its own bytes.
RACER = """
import asyncio, sys
from pathlib import Path
from mediary.storage.local import LocalStore

async def one(store, text):
    async with store.stage() as staged:
        await staged.write(text.encode())
        stored = await staged.commit("same.txt")
    print(stored.name, text)

async def main():
    store = LocalStore(Path(sys.argv[1]))
    await asyncio.gather(*(one(store, f"{sys.argv[2]}:{number}") for number in range(50)))

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "generated_media"
    folder.mkdir()
    return folder


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore(folder)


def spawn(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def leftovers(folder: Path) -> list[Path]:
    incoming = folder / INCOMING
    return list(incoming.iterdir()) if incoming.exists() else []


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command here")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=20", "none", disk],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


async def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    store = LocalStore(small_disk)
    await put(store, "kept.bin", noise(500_000))
    async with store.stage() as staged:
        with pytest.raises(NoSpaceError):
            await staged.write(bytes(1_000_000))
        with pytest.raises(StoreError):
            await staged.commit("a.bin")
    assert leftovers(small_disk) == []
    assert await names(store) == ["kept.bin"]
    await store.delete("kept.bin")
    await put(store, "b.bin", noise(900_000))
    assert await fetch(store, "b.bin") == noise(900_000)


async def test_a_small_file_on_a_full_disk_fails_at_its_commit(small_disk: Path) -> None:
    store = LocalStore(small_disk)
    await put(store, "kept.bin", noise(1_000_000))
    with pytest.raises(NoSpaceError):
        await put(store, "a.bin", noise(200_000))
    assert await names(store) == ["kept.bin"]
    assert leftovers(small_disk) == []


async def test_no_room_for_another_name_is_no_space_too(small_disk: Path) -> None:
    store = LocalStore(small_disk)
    tries = [put(store, f"{number}.txt", b"x") for number in range(40)]
    failures = [
        result for result in await asyncio.gather(*tries, return_exceptions=True) if isinstance(result, Exception)
    ]
    assert failures
    assert all(isinstance(failure, NoSpaceError) for failure in failures)
    assert len(await names(store)) == 40 - len(failures)
    assert leftovers(small_disk) == []
    for name in await names(store):
        assert await fetch(store, name) == b"x"


# Several processes, and their end


async def test_what_a_killed_process_left_is_removed(folder: Path, store: LocalStore) -> None:
    holder = spawn(HOLDER, folder)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "ready\n"
        assert len(leftovers(folder)) == 1
        assert await store.recover() == 0  # it lives
        assert len(leftovers(folder)) == 1
    finally:
        kill(holder)
    assert await store.recover() == 1
    assert leftovers(folder) == []
    assert await names(store) == []


async def test_recover_removes_only_plain_files(folder: Path, store: LocalStore, tmp_path: Path) -> None:
    await put(store, "a.png", b"kept")
    (tmp_path / "outside").write_bytes(b"kept")
    (folder / INCOMING / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(folder / INCOMING / "fifo")
    os.link(folder / "a.png", folder / INCOMING / "linked")  # killed between the link and the end
    assert await store.recover() == 1
    assert await fetch(store, "a.png") == b"kept"
    assert (tmp_path / "outside").read_bytes() == b"kept"


def right_bytes(file: Path) -> bool:
    data = file.read_bytes()
    return hashlib.sha256(data[32:]).digest() == data[:32]


async def test_killing_at_any_moment_leaves_whole_files_only(folder: Path, store: LocalStore) -> None:
    visible = 0
    with ThreadPoolExecutor(1) as starter:  # the next one starts while this one writes
        coming = starter.submit(spawn, WRITER, folder, "0.bin")
        for round_number in range(20):
            process, coming = coming.result(), starter.submit(spawn, WRITER, folder, f"{round_number + 1}.bin")
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0, 0.06))  # noqa: ASYNC251 - the random moment
            kill(process)
            await store.recover()
            for file in folder.glob(f"{round_number}*.bin"):
                assert right_bytes(file)
                visible += 1
        kill(coming.result())
    await store.recover()
    assert leftovers(folder) == []
    assert all(right_bytes(file) for file in folder.glob("*.bin"))
    assert visible


async def test_recovering_while_others_write_disturbs_none(folder: Path, store: LocalStore) -> None:
    racers = [spawn(RACER, folder, who) for who in ("first", "second")]
    while any(racer.poll() is None for racer in racers):
        await store.recover()
    told = "".join(racer.communicate()[0] for racer in racers).splitlines()
    assert [racer.returncode for racer in racers] == [0, 0]
    by_name = dict(line.split() for line in told)
    assert len(by_name) == len(told) == 100
    assert set(by_name) == set(await names(store))
    for name, text in by_name.items():
        assert (await fetch(store, name)).decode() == text
    assert leftovers(folder) == []
