"""What every store must do: subclass `StoreContract` and give it a `store` fixture (pytest, pytest-asyncio)."""

import asyncio
import hashlib
from contextlib import aclosing
from urllib.request import urlopen

import pytest

from mediary.errors import NotFoundError, StoreError
from mediary.storage.base import (
    HasPath,
    KnowsDigests,
    ReplacesFiles,
    SignsLinks,
    Store,
)
from mediary.testing.files import BAD_NAMES, GOOD_NAMES, fetch, names, noise, put
from mediary.testing.sharing import SharingContract

__all__ = ["BAD_NAMES", "GOOD_NAMES", "StoreContract", "fetch", "names", "noise", "put"]


@pytest.mark.asyncio
class StoreContract(SharingContract):
    """The behaviour of `storage.base`; the `store` fixture of a subclass gives an empty store to each test."""

    @pytest.mark.parametrize("name", GOOD_NAMES)
    async def test_a_committed_file_is_there_under_its_name(self, store: Store, name: str) -> None:
        stored = await put(store, name, b"bytes")
        assert (stored.name, stored.size) == (name, 5)
        assert await store.get(name) == stored
        assert await fetch(store, name) == b"bytes"
        assert await names(store) == [name]

    async def test_pieces_are_put_together_in_order(self, store: Store) -> None:
        pieces = [noise(size, size) for size in (1, 70_000, 0, 300_000, 17, 1_500_000, 5)]
        async with store.stage() as staged:
            for piece in pieces:
                await staged.write(piece)
            stored = await staged.commit("big.bin")
        assert stored.size == sum(map(len, pieces))
        assert await fetch(store, "big.bin") == b"".join(pieces)

    async def test_a_file_may_be_empty(self, store: Store) -> None:
        async with store.stage() as staged:
            stored = await staged.commit("empty.bin")
        assert stored.size == 0
        assert await fetch(store, "empty.bin") == b""

    async def test_modified_is_now_in_unix_seconds(self, store: Store) -> None:
        first, second = await put(store, "a", b"1"), await put(store, "b", b"2")
        assert first.modified <= second.modified
        assert 1_600_000_000 < first.modified < 10_000_000_000

    async def test_nothing_is_seen_before_the_commit(self, store: Store) -> None:
        async with store.stage() as staged:
            await staged.write(noise(2_000_000))
            assert await names(store) == []
            with pytest.raises(NotFoundError):
                await store.get("a.bin")
            await staged.commit("a.bin")
        assert await names(store) == ["a.bin"]

    async def test_leaving_without_commit_leaves_nothing(self, store: Store) -> None:
        async with store.stage() as staged:
            await staged.write(noise(2_000_000))

        async def fail() -> None:
            async with store.stage() as staged:
                await staged.write(noise(2_000_000))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await names(store) == []
        assert await store.recover() == 0

    async def test_cancelling_leaves_nothing(self, store: Store) -> None:
        written = asyncio.Event()

        async def write_and_wait() -> None:
            async with store.stage() as staged:
                await staged.write(noise(2_000_000))
                written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write_and_wait())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await names(store) == []
        assert await store.recover() == 0

    async def test_a_cancelled_commit_is_whole_or_nothing(self, store: Store) -> None:
        data = noise(600_000)
        for steps in range(12):
            name = f"{steps}.bin"
            task = asyncio.create_task(put(store, name, data))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if name in await names(store):
                assert await fetch(store, name) == data
        assert await store.recover() == 0

    async def test_after_the_commit_there_is_no_more(self, store: Store) -> None:
        async with store.stage() as staged:
            await staged.commit("a")
            with pytest.raises(StoreError):
                await staged.write(b"more")
            with pytest.raises(StoreError):
                await staged.commit("b")
        async with store.stage() as left:
            await left.write(b"x")
        with pytest.raises(StoreError):
            await left.commit("c")
        assert await names(store) == ["a"]

    async def test_a_taken_name_gets_a_number_and_the_first_file_stays(self, store: Store) -> None:
        stored = [await put(store, "a.tar.gz", bytes([number])) for number in range(4)]
        assert [file.name for file in stored] == ["a.tar.gz", "a.tar-2.gz", "a.tar-3.gz", "a.tar-4.gz"]
        for number, file in enumerate(stored):
            assert await fetch(store, file.name) == bytes([number])
            assert await store.get(file.name) == file

    async def test_the_longest_name_can_be_taken_too(self, store: Store) -> None:
        name = "ü" * 125 + ".webp"
        first, second = await put(store, name, b"1"), await put(store, name, b"2")
        assert first.name == name
        assert second.name.endswith("-2.webp")
        assert await fetch(store, second.name) == b"2"

    async def test_many_at_once_may_want_one_name(self, store: Store) -> None:
        stored = await asyncio.gather(*(put(store, "same.png", bytes([number])) for number in range(20)))
        assert len({file.name for file in stored}) == 20
        assert sorted(await names(store)) == sorted(file.name for file in stored)
        for number, file in enumerate(stored):
            assert await fetch(store, file.name) == bytes([number])

    @pytest.mark.parametrize(
        ("start", "end"),
        [(0, None), (0, 1), (5, 5), (1, 2), (999_999, None), (0, 1_000_000), (262_143, 262_145), (10, 900_001)],
    )
    async def test_a_range_is_those_bytes(self, store: Store, start: int, end: int | None) -> None:
        data = noise(1_000_000)
        await put(store, "a.bin", data)
        assert await fetch(store, "a.bin", start, end) == data[start:end]

    @pytest.mark.parametrize(("start", "end"), [(3, 99), (0, 99), (10, None), (11, 20), (6, 3)])
    async def test_a_range_ends_with_the_file(self, store: Store, start: int, end: int | None) -> None:
        await put(store, "a.bin", b"0123456789")
        assert await fetch(store, "a.bin", start, end) == b"0123456789"[start:end]

    async def test_a_reader_may_leave_early(self, store: Store) -> None:
        await put(store, "a.bin", noise(3_000_000))
        pieces = store.read("a.bin")
        assert noise(3_000_000).startswith(await anext(pieces))
        await pieces.aclose()
        assert await fetch(store, "a.bin") == noise(3_000_000)

    async def test_a_reader_may_be_cancelled(self, store: Store) -> None:
        data = noise(3_000_000)
        await put(store, "a.bin", data)

        async def read_slowly(begun: asyncio.Event) -> None:
            async with aclosing(store.read("a.bin")) as pieces:
                async for _ in pieces:
                    begun.set()
                    await asyncio.sleep(0)

        for steps in range(8):
            begun = asyncio.Event()
            task = asyncio.create_task(read_slowly(begun))
            if steps:
                await begun.wait()
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        assert await fetch(store, "a.bin") == data

    async def test_many_may_read_at_once(self, store: Store) -> None:
        data = noise(1_000_000)
        await put(store, "a.bin", data)
        starts = range(0, 1_000_000, 50_000)
        read = await asyncio.gather(*(fetch(store, "a.bin", start, start + 100_000) for start in starts))
        assert read == [data[start : start + 100_000] for start in starts]

    async def test_who_knows_the_digest_may_tell_it(self, store: Store) -> None:
        for size in (0, 5, 300_000):
            data = noise(size)
            digest = hashlib.sha256(data).hexdigest()
            told, untold = await put(store, f"{size}.bin", data, digest), await put(store, f"{size}.txt", data)
            assert (told.size, untold.size) == (size, size)
            assert await fetch(store, told.name) == await fetch(store, untold.name) == data
            if isinstance(store, KnowsDigests):
                assert await store.digest(told.name) == await store.digest(untold.name) == digest

    async def test_the_etag_changes_with_the_bytes(self, store: Store) -> None:
        etags = set()
        for number in range(10):
            stored = await put(store, "a.bin", bytes([number]))
            assert (await store.get("a.bin")).etag == stored.etag
            etags.add(stored.etag)
            await store.delete("a.bin")
        assert len(etags) == 10

    async def test_what_is_absent_is_not_found(self, store: Store) -> None:
        await put(store, "there.png", b"x")
        with pytest.raises(NotFoundError):
            await store.get("absent.png")
        with pytest.raises(NotFoundError):
            await fetch(store, "absent.png")
        with pytest.raises(NotFoundError):
            await store.delete("absent.png")

    @pytest.mark.parametrize("name", BAD_NAMES)
    async def test_what_is_no_name_is_not_found(self, store: Store, name: str) -> None:
        with pytest.raises(NotFoundError):
            await store.get(name)
        with pytest.raises(NotFoundError):
            await fetch(store, name)
        with pytest.raises(NotFoundError):
            await store.delete(name)
        with pytest.raises(NotFoundError):
            await put(store, name, b"x")
        assert await names(store) == []

    async def test_a_deleted_file_is_gone_and_the_others_stay(self, store: Store) -> None:
        for name in ("a", "b", "c"):
            await put(store, name, name.encode())
        await store.delete("b")
        with pytest.raises(NotFoundError):
            await store.get("b")
        with pytest.raises(NotFoundError):
            await fetch(store, "b")
        with pytest.raises(NotFoundError):
            await store.delete("b")
        assert await names(store) == ["a", "c"]

    async def test_a_listing_is_in_the_order_of_names(self, store: Store) -> None:
        stored = {name: await put(store, name, b"x") for name in ("b", "a-2", "a", "B", "é", "日", "10", "9")}
        page = await store.list()
        assert [file.name for file in page.files] == sorted(stored)
        assert list(page.files) == [stored[name] for name in sorted(stored)]
        assert page.next is None

    async def test_pages_end_where_the_next_begins(self, store: Store) -> None:
        for name in "abcdef":
            await put(store, name, b"x")
        first = await store.list(limit=3)
        assert [file.name for file in first.files] == ["a", "b", "c"]
        assert first.next is not None
        await store.delete("c")  # a cursor outlives its file
        second = await store.list(first.next, limit=3)
        assert [file.name for file in second.files] == ["d", "e", "f"]
        assert second.next is None

    async def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        page = await store.list()
        assert (page.files, page.next) == ((), None)

    async def test_recover_leaves_files_and_writers_alone(self, store: Store) -> None:
        await put(store, "a", b"kept")
        async with store.stage() as staged:
            await staged.write(noise(2_000_000))
            assert await store.recover() == 0
            await staged.write(b"end")
            await staged.commit("b")
        assert await names(store) == ["a", "b"]
        assert await fetch(store, "b") == noise(2_000_000) + b"end"

    async def test_a_store_that_works_passes_the_check(self, store: Store) -> None:
        await store.check()
        await put(store, "a.png", b"bytes")
        await store.check()
        assert await names(store) == ["a.png"]

    async def test_a_replacement_takes_the_place_when_it_is_whole(self, store: Store) -> None:
        if not isinstance(store, ReplacesFiles):
            pytest.skip("the store replaces no files")
        before = await put(store, "a.png", b"before")
        for data in (b"after", noise(2_000_000)):
            async with store.stage_replacement() as staged:
                await staged.write(data)
                assert await fetch(store, "a.png") != data
                after = await staged.commit("a.png")
            assert (after.name, after.size) == ("a.png", len(data))
            assert after.etag != before.etag
            assert await store.get("a.png") == after
            assert await fetch(store, "a.png") == data
        async with store.stage_replacement() as staged:
            await staged.write(b"given up")
        async with store.stage_replacement() as staged:
            await staged.write(b"new")
            assert (await staged.commit("b.png")).name == "b.png"
        assert await fetch(store, "a.png") == noise(2_000_000)
        assert await names(store) == ["a.png", "b.png"]

    async def test_a_path_leads_to_the_bytes(self, store: Store) -> None:
        if not isinstance(store, HasPath):
            pytest.skip("the store's files do not lie on this machine")
        await put(store, "a.png", b"bytes")
        assert store.path("a.png").read_bytes() == b"bytes"
        assert not store.path("absent.png").exists()
        for name in BAD_NAMES:
            with pytest.raises(NotFoundError):
                store.path(name)

    async def test_a_signed_link_leads_to_the_bytes(self, store: Store) -> None:
        if not isinstance(store, SignsLinks):
            pytest.skip("the store signs no links")
        await put(store, "a.png", b"bytes")
        link = await store.sign("a.png", 60)
        assert link.startswith(("http://", "https://"))

        def follow() -> bytes:
            with urlopen(link, timeout=30) as answer:  # noqa: S310 - http(s), as was just checked
                return bytes(answer.read())

        assert await asyncio.to_thread(follow) == b"bytes"
