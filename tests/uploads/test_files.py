"""Files to upload: of paths, stores and bytes; looked at once, and never sent as what they are not any more."""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediary.database.engine import Database
from mediary.errors import NotFoundError, UnreadableError
from mediary.storage.base import Store
from mediary.storage.local import LocalStore
from mediary.testing.files import put
from mediary.uploads.base import Content, File
from mediary.uploads.contents import PIECE, BytesContent, PathContent, StoreContent, file_at
from mediary.uploads.files import Files, Looked, clean_name
from mediary.uploads.records.digests import Digests

DATA = os.urandom(3 * PIECE + 5)


class Looker:
    """Tells that everything is a picture, and keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.paths: list[Path] = []

    async def __call__(self, path: Path, name: str) -> Looked:
        self.paths.append(path)
        self.seen.append((name, path.read_bytes()))
        return Looked("image/png", 4, 3)


@pytest.fixture
def look() -> Looker:
    return Looker()


@pytest.fixture
def make(database: Database, look: Looker) -> Callable[[], Files]:
    def make() -> Files:
        digests = Digests(database)

        async def get() -> Digests:
            return digests

        return Files(get, look)

    return make


@pytest.fixture
def files(make: Callable[[], Files]) -> Files:
    return make()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(DATA)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


class Far:
    """A store that is on another machine: what it holds has no path."""

    def __init__(self, store: Store, digest: str | None = None) -> None:
        self.get = store.get
        self.read = store.read
        self.asked = 0
        if digest:
            self.digest = self._digest
            self._sha256 = digest

    async def _digest(self, name: str) -> str:
        self.asked += 1
        return self._sha256


async def read(content: Content, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in content.read(start, end)])


def check(file: File, data: bytes = DATA) -> None:
    assert (file.size, file.media_type, file.width, file.height) == (len(data), "image/png", 4, 3)
    assert (file.md5, file.sha256) == (hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest())


class TestPath:
    async def test_a_file_is_looked_at_once(self, make: Callable[[], Files], look: Looker, path: Path):
        files = make()
        for each in (files, files, make()):
            file = await each.of_path(path, "holiday/2026.png")
            check(file)
            assert file.name == "holiday_2026.png"
            assert await read(file.content) == DATA
        assert (await files.of_path(path)).name == "a.png"
        assert len(look.seen) == 1

    async def test_a_file_that_changed_is_looked_at_again(self, files: Files, look: Looker, path: Path):
        await files.of_path(path)
        path.write_bytes(b"other bytes")
        os.utime(path, (1_700_000_001, 1_700_000_001))
        check(await files.of_path(path), b"other bytes")
        # Of the same size and time, yet another file.
        other = path.with_name("b.png")
        other.write_bytes(b"bytes other")
        os.utime(other, (1_700_000_001, 1_700_000_001))
        other.replace(path)
        check(await files.of_path(path), b"bytes other")
        assert len(look.seen) == 3

    async def test_a_file_that_was_changed_just_now_may_change_again_unseen(self, files: Files, path: Path):
        now = time.time()
        os.utime(path, (now, now))
        check(await files.of_path(path))
        path.write_bytes(bytes(len(DATA)))
        os.utime(path, (now, now))
        check(await files.of_path(path), bytes(len(DATA)))

    @pytest.mark.parametrize("name", ["missing", "folder", "fifo", "a\0b", "x" * 300, "a.png/b"])
    async def test_what_is_no_file(self, files: Files, path: Path, name: str):
        (path.parent / "folder").mkdir()
        os.mkfifo(path.parent / "fifo")
        with pytest.raises(NotFoundError):
            await files.of_path(path.parent / name)

    async def test_a_link_of_the_users_own(self, files: Files, path: Path):
        link = path.with_name("link.png")
        link.symlink_to(path)
        file = await files.of_path(link)
        check(file)
        assert (file.name, await read(file.content)) == ("link.png", DATA)


def change(path: Path) -> None:
    path.write_bytes(bytes(len(DATA)))


def shorten(path: Path) -> None:
    os.truncate(path, PIECE + 1)


def replace(path: Path) -> None:
    path.with_name("b").write_bytes(DATA)
    path.with_name("b").replace(path)


class TestPathContent:
    @pytest.fixture
    def content(self, path: Path) -> PathContent:
        stored = file_at(path)
        return PathContent(path, stored.size, stored.etag)

    @pytest.mark.parametrize(("start", "end"), [(0, None), (5, 6), (PIECE - 1, PIECE + 1), (7, 7), (0, 10**12)])
    async def test_any_part_of_it_can_be_read(self, content: PathContent, start: int, end: int | None):
        assert await read(content, start, end) == DATA[start:end]

    @pytest.mark.parametrize(
        "meddle", [change, shorten, replace, Path.unlink, lambda path: path.chmod(0) or change(path)]
    )
    async def test_it_is_not_read_as_another(self, content: PathContent, path: Path, meddle: Callable[[Path], object]):
        meddle(path)
        with pytest.raises(UnreadableError, match=r"a\.png") as caught:
            await read(content)
        assert str(path.parent) not in caught.value.message

    @pytest.mark.parametrize("meddle", [change, shorten])
    async def test_nor_from_its_middle_on(self, content: PathContent, path: Path, meddle: Callable[[Path], object]):
        async with aclosing(content.read()) as pieces:
            assert await anext(pieces) == DATA[:PIECE]
            meddle(path)
            with pytest.raises(UnreadableError):
                await anext(pieces)

    async def test_nothing_stays_open(self, content: PathContent):
        async def hold(reading: asyncio.Event) -> None:
            async with aclosing(content.read()) as pieces:
                async for _ in pieces:
                    reading.set()

        await read(content)  # what threads and pools open for good is open now
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            reading = asyncio.Event()
            task = asyncio.create_task(hold(reading))
            await reading.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestStore:
    @pytest.fixture
    async def store(self, tmp_path: Path) -> LocalStore:
        (tmp_path / "store").mkdir()
        store = LocalStore(tmp_path / "store")
        await put(store, "a.png", DATA)
        return store

    async def test_a_file_of_this_machine_is_read_where_it_lies(
        self, make: Callable[[], Files], look: Looker, store: LocalStore
    ):
        for each in (make(), make()):
            file = await each.of_store(store, "a.png")
            check(file)
            assert isinstance(file.content, PathContent)
            assert await read(file.content, 5, PIECE + 6) == DATA[5 : PIECE + 6]
        assert look.paths == [store.folder / "a.png"]

    async def test_who_knows_what_it_is_says_so(self, files: Files, look: Looker, store: LocalStore):
        file = await files.of_store(store, "a.png", Looked("video/mp4", 1920, 1080))
        assert (file.media_type, file.width, file.height) == ("video/mp4", 1920, 1080)
        again = await files.of_store(store, "a.png")
        assert (again.media_type, look.seen) == ("video/mp4", [])

    @pytest.mark.parametrize("digest", [None, hashlib.sha256(DATA).hexdigest()])
    async def test_a_file_of_another_machine_is_fetched_for_a_look_once(
        self, make: Callable[[], Files], look: Looker, store: LocalStore, digest: str | None
    ):
        far = Far(store, digest)
        for each in (make(), make()):
            file = await each.of_store(far, "a.png")  # type: ignore[arg-type]
            check(file)
            assert isinstance(file.content, StoreContent)
            assert await read(file.content, 5, PIECE + 6) == DATA[5 : PIECE + 6]
        assert look.seen == [("a.png", DATA)]
        assert not look.paths[0].exists()

    async def test_the_same_bytes_under_another_name_are_known(
        self, make: Callable[[], Files], look: Looker, store: LocalStore
    ):
        far = Far(store, hashlib.sha256(DATA).hexdigest())
        await put(store, "b.png", DATA)
        await make().of_store(far, "a.png")  # type: ignore[arg-type]
        check(await make().of_store(far, "b.png"))  # type: ignore[arg-type]
        assert len(look.seen) == 1

    async def test_a_file_that_is_cut_short(self, store: LocalStore):
        with pytest.raises(UnreadableError):
            await read(StoreContent(store, "a.png", len(DATA) + 1))

    async def test_one_that_is_not_there(self, files: Files, store: LocalStore):
        with pytest.raises(NotFoundError):
            await files.of_store(store, "b.png")


class TestBytes:
    async def test_they_are_looked_at_once(self, make: Callable[[], Files], look: Looker):
        for each in (make(), make()):
            file = await each.of_bytes(DATA, "a.png")
            check(file)
            assert await read(file.content, 5, PIECE + 6) == DATA[5 : PIECE + 6]
        assert look.seen == [("a.png", DATA)]
        assert not look.paths[0].exists()

    async def test_none_are_a_file_too(self, files: Files):
        file = await files.of_bytes(b"", "empty")
        check(file, b"")
        assert await read(file.content) == b""

    @given(st.binary(max_size=50), st.integers(0, 60), st.none() | st.integers(0, 60))
    async def test_any_part_of_them(self, data: bytes, start: int, end: int | None):
        assert await read(BytesContent(data), start, end) == data[start:end]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.png", "a.png"),
        ("日本語 “ü”.png", "日本語 “ü”.png"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("C:\\a\\b.png", "C:_a_b.png"),
        ("a\r\nContent-Type: x\0.png", "a_Content-Type: x_.png"),
        ("\udce9.png", "?.png"),
        ("", "file"),
        ("..", "file"),
        (" / ", "_"),
    ],
)
def test_names(name: str, clean: str):
    assert clean_name(name) == clean


@given(st.text(st.characters(codec=None)))
def test_any_name_can_be_sent(name: str):
    clean = clean_name(name)
    assert clean
    clean.encode()
    assert not set(clean) & {"/", "\\", *map(chr, range(32)), *map(chr, range(127, 160))}
    assert clean_name(clean) == clean
