import asyncio
import errno
import os
import resource
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mediary import plugins
from mediary.errors import NoSpaceError, NotFoundError, StoreError
from mediary.storage.base import HasPath, Store
from mediary.storage.local import INCOMING, LocalStore
from mediary.testing.stores import StoreContract, fetch, names, noise, put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "generated_media"
    folder.mkdir()
    return folder


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore(folder)


def leftovers(folder: Path) -> list[Path]:
    incoming = folder / INCOMING
    return list(incoming.iterdir()) if incoming.exists() else []


class TestLocalStore(StoreContract):
    """The contract of all stores."""

    @pytest.fixture
    def store(self, folder: Path) -> Iterator[Store]:
        yield LocalStore(folder)
        assert leftovers(folder) == []


def test_it_is_registered_and_has_paths(folder: Path) -> None:
    store = plugins.load("storage", "local")(folder)
    assert isinstance(store, HasPath)
    assert store.path("a.png") == folder / "a.png"


# What lies in the folder


async def test_files_that_were_there_before_are_served_and_listed(folder: Path, store: LocalStore) -> None:
    for name in ("1704123456_old name (1)_a1b2.png", "'quoted'.mp3"):
        (folder / name).write_bytes(name.encode())
        assert await fetch(store, name) == name.encode()
    assert await names(store) == ["'quoted'.mp3", "1704123456_old name (1)_a1b2.png"]


async def test_what_is_no_plain_file_is_not_there(
    folder: Path, store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "inside.txt").write_text("inside")
    (folder / "out.png").symlink_to(tmp_path / "secret.txt")
    (folder / "in.png").symlink_to("inside.txt")
    (folder / "nowhere.png").symlink_to("nothing")
    (folder / "around.png").symlink_to("around.png")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "fifo.png")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(folder)  # a socket's path must be short
        listener.bind("socket.png")
    for name in ("out.png", "in.png", "nowhere.png", "around.png", "folder.png", "fifo.png", "socket.png", INCOMING):
        with pytest.raises(NotFoundError):
            await store.get(name)
        with pytest.raises(NotFoundError):
            await fetch(store, name)
        with pytest.raises(NotFoundError):
            await store.delete(name)
    assert await names(store) == ["inside.txt"]
    assert (folder / "out.png").is_symlink()


async def test_a_link_is_never_written_through(folder: Path, store: LocalStore, tmp_path: Path) -> None:
    (folder / "a.png").symlink_to(tmp_path / "outside.png")
    assert (await put(store, "a.png", b"x")).name == "a-2.png"
    assert not (tmp_path / "outside.png").exists()


async def test_a_name_that_is_no_unicode_is_passed_over(folder: Path, store: LocalStore) -> None:
    (folder / os.fsdecode(b"\xff\xfe.png")).write_bytes(b"x")
    await put(store, "a.png", b"x")
    assert await names(store) == ["a.png"]
    with pytest.raises(NotFoundError):
        await store.get(os.fsdecode(b"\xff\xfe.png"))


async def test_a_file_that_is_deleted_while_it_is_read_is_read_to_its_end(store: LocalStore) -> None:
    await put(store, "a.bin", noise(1_000_000))
    pieces: list[bytes] = []
    async for piece in store.read("a.bin"):
        if not pieces:
            await store.delete("a.bin")
        pieces.append(piece)
    assert b"".join(pieces) == noise(1_000_000)
    assert max(map(len, pieces)) <= 256 * 1024


async def test_a_file_that_shrinks_while_it_is_read_is_an_error(folder: Path, store: LocalStore) -> None:
    await put(store, "a.bin", noise(1_000_000))
    pieces = store.read("a.bin")
    await anext(pieces)
    os.truncate(folder / "a.bin", 300_000)
    await anext(pieces)
    with pytest.raises(StoreError):
        await anext(pieces)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_reading_keeps_no_file_open(store: LocalStore) -> None:
    await put(store, "a.bin", noise(1_000_000))
    before = open_files()
    await fetch(store, "a.bin")
    pieces = store.read("a.bin")
    await anext(pieces)
    await pieces.aclose()
    assert open_files() == before


def touch(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).touch()


async def test_pages_of_many_files(folder: Path, store: LocalStore) -> None:
    expected = [f"{number:05}.png" for number in range(1000)]
    await asyncio.to_thread(touch, folder, expected)
    found: list[str] = []
    after = None
    while page := await store.list(after, limit=300):
        found += [file.name for file in page.files]
        if (after := page.next) is None:
            break
    assert found == expected


# Writing


class Calls:
    """Notes the calls of a function of the system on their way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *functions: str) -> None:
        self.made: list[str] = []
        for name in functions:
            module = os.path if hasattr(os.path, name) else os
            monkeypatch.setattr(module, name, self._noting(name, getattr(module, name)))

    def _noting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            kind = name
            if name == "fsync":
                kind = "fsync folder" if stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else "fsync file"
            self.made.append(kind)
            return function(*arguments, **keywords)

        return call


async def test_many_numbers_are_told_in_few_steps(
    folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(touch, folder, ["a.png", *(f"a-{number}.png" for number in range(2, 1001))])
    calls = Calls(monkeypatch, "link", "lexists")
    assert (await put(store, "a.png", b"x")).name == "a-1001.png"
    assert len(calls.made) < 40
    (folder / "a-2.png").unlink()
    assert (await put(store, "a.png", b"y")).name == "a-2.png"
    assert (folder / "a-2.png").read_bytes() == b"y"


async def test_bytes_are_on_the_disk_before_their_name_and_the_name_before_the_answer(
    folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failing power supply would show, told by the order of the calls."""
    calls = Calls(monkeypatch, "fsync", "link")
    await put(store, "a.png", b"x")
    assert calls.made == ["fsync file", "link", "fsync folder"]


async def test_large_files_are_written_as_they_come(folder: Path, store: LocalStore) -> None:
    async with store.stage() as staged:
        for _ in range(20):
            await staged.write(noise(1_000_000))
        (temporary,) = leftovers(folder)
        assert temporary.stat().st_size >= 19_000_000
        await staged.commit("a.bin")
    assert (folder / "a.bin").stat().st_size == 20_000_000
    assert (folder / "a.bin").stat().st_nlink == 1


async def test_a_cancelled_commit_leaves_nothing(
    folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked, cancelled = asyncio.Event(), threading.Event()
    loop, real_link = asyncio.get_running_loop(), os.link

    def slow_link(*arguments: object, **keywords: object) -> None:
        real_link(*arguments, **keywords)  # type: ignore[arg-type]
        loop.call_soon_threadsafe(linked.set)
        assert cancelled.wait(30)

    monkeypatch.setattr(os, "link", slow_link)
    task = asyncio.create_task(put(store, "a.bin", b"x"))
    await linked.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # an impatient one
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names(store) == []
    assert leftovers(folder) == []


async def test_without_hard_links_a_rename_that_replaces_nothing_does(
    folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")  # what FAT says

    monkeypatch.setattr(os, "link", refuse)
    stored = [await put(store, "a.png", bytes([number])) for number in range(3)]
    assert [file.name for file in stored] == ["a.png", "a-2.png", "a-3.png"]
    assert [await fetch(store, file.name) for file in stored] == [b"\0", b"\1", b"\2"]
    assert leftovers(folder) == []


async def test_a_cancelled_replacement_that_took_its_place_stays(
    folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.png").write_bytes(b"before")
    replaced, cancelled = asyncio.Event(), threading.Event()
    loop, real_replace = asyncio.get_running_loop(), Path.replace

    def slow_replace(source: Path, target: Path) -> Path:
        result = real_replace(source, target)
        loop.call_soon_threadsafe(replaced.set)
        assert cancelled.wait(30)
        return result

    async def replace() -> None:
        async with store.stage_replacement() as staged:
            await staged.write(b"after")
            await staged.commit("a.png")

    monkeypatch.setattr(Path, "replace", slow_replace)
    task = asyncio.create_task(replace())
    await replaced.wait()
    task.cancel()
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await fetch(store, "a.png") == b"after"
    assert leftovers(folder) == []


async def test_the_check_sees_what_hinders_writing(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    store = LocalStore(folder)
    with pytest.raises(StoreError, match="not there") as caught:
        await store.check()
    assert str(tmp_path) not in str(caught.value)
    folder.touch()
    with pytest.raises(StoreError, match="not there"):
        await store.check()
    folder.unlink()
    folder.mkdir()
    await store.check()
    assert list(folder.iterdir()) == []


async def test_the_check_lists_nothing(folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch, "scandir", "listdir")
    await store.check()
    assert calls.made == []


@pytest.mark.parametrize("forbidden", [".", INCOMING])
async def test_the_check_sees_a_folder_of_somebody_else(forbidden: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs the right to act as another user")
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / INCOMING).mkdir()
        (folder / INCOMING).chmod(0o777)
        (folder / forbidden).chmod(0o755)
        os.setresuid(65534, 65534, 0)  # `access` asks for the real user
        try:
            with pytest.raises(StoreError, match="cannot be written"):
                await LocalStore(folder).check()
        finally:
            os.setresuid(0, 0, 0)


async def test_a_missing_folder_is_not_made_anew(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "unmounted")
    with pytest.raises(StoreError) as caught:
        await put(store, "a.png", b"x")
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(StoreError):
        await store.list()
    assert await store.recover() == 0
    assert list(tmp_path.iterdir()) == []


async def test_errors_of_the_system_show_no_path(folder: Path, store: LocalStore) -> None:
    (folder / INCOMING).write_bytes(b"in the way")
    with pytest.raises(StoreError) as caught:
        await put(store, "a.png", b"x")
    assert str(folder) not in str(caught.value)


async def test_a_file_size_limit_of_the_process_is_a_store_error(folder: Path, store: LocalStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        async with store.stage() as staged:
            with pytest.raises(StoreError):
                await staged.write(bytes(2_000_000))
            with pytest.raises(StoreError):
                await staged.commit("a.bin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert await names(store) == []
    assert leftovers(folder) == []


async def test_an_exhausted_quota_is_no_space(folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(NoSpaceError):
        await put(store, "a.png", b"x")
    assert await names(store) == []
    assert leftovers(folder) == []


# Same bytes under two names


async def test_an_adopted_file_is_a_hard_link(store: LocalStore, folder: Path, tmp_path: Path) -> None:
    trash = LocalStore(tmp_path / "trash")
    trash.folder.mkdir()
    stored = await put(store, "a.png", b"bytes")
    adopted = await trash.adopt(store, "a.png", "7.png")
    assert (folder / "a.png").samefile(trash.folder / "7.png")
    assert (adopted.etag, adopted.modified) == (stored.etag, stored.modified)
    await store.delete("a.png")
    assert await fetch(trash, "7.png") == b"bytes"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
async def test_without_hard_links_it_is_a_copy(
    code: int, store: LocalStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(600_000)
    await put(store, "a.png", data)
    await put(store, "b.png", b"taken")

    link = os.link

    def refuse(source: Path, target: Path, **options: Any) -> None:
        if INCOMING not in source.parts:
            raise OSError(code, os.strerror(code))
        link(source, target, **options)

    monkeypatch.setattr(os, "link", refuse)
    assert (await store.adopt(store, "a.png", "b.png")).name == "b-2.png"
    assert await fetch(store, "b-2.png") == data
    assert not (folder / "a.png").samefile(folder / "b-2.png")
    assert leftovers(folder) == []


async def test_what_is_no_plain_file_is_not_adopted(store: LocalStore, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.txt")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "fifo.png")
    for name in ("link.png", "folder.png", "fifo.png"):
        with pytest.raises(NotFoundError):
            await store.adopt(store, name, "b.png")
    assert await names(store) == []


async def test_leftovers_are_what_recover_removes(store: LocalStore, folder: Path) -> None:
    assert await store.leftovers() == ()
    await put(store, "a.png", b"kept")
    (folder / INCOMING / "abandoned").write_bytes(b"half")
    async with store.stage() as staged:
        await staged.write(bytes(300_000))
        assert [(file.name, file.size) for file in await store.leftovers()] == [("abandoned", 4)]
        assert await store.recover() == 1
        assert await store.leftovers() == ()
        await staged.commit("b.png")
    assert await names(store) == ["a.png", "b.png"]
