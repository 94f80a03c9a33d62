"""What a store must do in which one copy of the bytes can have several names: a part of `StoreContract`."""

import asyncio

import pytest

from mediary.errors import NotFoundError
from mediary.storage.base import HoldsObjects, SharesBytes, Store
from mediary.testing.files import BAD_NAMES, fetch, names, noise, put


class SharingContract:
    """The behaviour of `SharesBytes`, and of `HoldsObjects` where that is another matter.

    The `sibling` fixture of a subclass may give a second store that shares bytes with the first.
    """

    @pytest.fixture
    def sibling(self) -> Store | None:
        """A second store, from and to which files can be adopted."""
        return None

    async def test_one_copy_of_the_bytes_can_have_two_names(self, store: Store) -> None:
        if not isinstance(store, SharesBytes):
            pytest.skip("the store shares no bytes")
        data = noise(300_000)
        first = await put(store, "a.png", data)
        second = await store.adopt(store, "a.png", "b.png")
        assert (second.name, second.size, second.modified) == ("b.png", first.size, first.modified)
        assert await store.get("b.png") == second
        assert await names(store) == ["a.png", "b.png"]
        for gone, left in (("a.png", "b.png"), ("b.png", "c.png")):
            if left not in await names(store):
                await store.adopt(store, gone, left)
            await store.delete(gone)
            with pytest.raises(NotFoundError):
                await fetch(store, gone)
            assert await fetch(store, left) == data
        assert await names(store) == ["c.png"]

    async def test_an_adopted_file_finds_its_name_taken(self, store: Store) -> None:
        if not isinstance(store, SharesBytes):
            pytest.skip("the store shares no bytes")
        await put(store, "a.png", b"first")
        await put(store, "b.png", b"second")
        adopted = await asyncio.gather(*(store.adopt(store, "b.png", "a.png") for _ in range(5)))
        assert sorted(file.name for file in adopted) == [f"a-{number}.png" for number in range(2, 7)]
        assert await fetch(store, "a.png") == b"first"
        assert await fetch(store, "a-6.png") == b"second"

    async def test_what_is_not_there_is_not_adopted(self, store: Store) -> None:
        if not isinstance(store, SharesBytes):
            pytest.skip("the store shares no bytes")
        await put(store, "a.png", b"x")
        with pytest.raises(NotFoundError):
            await store.adopt(store, "absent.png", "b.png")
        for name in BAD_NAMES:
            with pytest.raises(NotFoundError):
                await store.adopt(store, name, "b.png")
            with pytest.raises(NotFoundError):
                await store.adopt(store, "a.png", name)
        assert await names(store) == ["a.png"]

    async def test_a_file_can_go_to_a_sibling_and_back(self, store: Store, sibling: Store | None) -> None:
        if sibling is None or not isinstance(store, SharesBytes) or not isinstance(sibling, SharesBytes):
            pytest.skip("the store has no sibling")
        data = noise(300_000)
        before = await put(store, "a.png", data)
        assert (await sibling.adopt(store, "a.png", "7.png")).name == "7.png"
        await store.delete("a.png")
        assert (await names(store), await names(sibling)) == ([], ["7.png"])
        assert await fetch(sibling, "7.png") == data
        await put(store, "a.png", b"another")
        after = await store.adopt(sibling, "7.png", "a.png")
        await sibling.delete("7.png")
        assert (after.name, after.modified) == ("a-2.png", before.modified)
        assert (await names(store), await names(sibling)) == (["a-2.png", "a.png"], [])
        assert await fetch(store, "a-2.png") == data

    async def test_the_same_bytes_are_one_object(self, store: Store, sibling: Store | None) -> None:
        if not isinstance(store, HoldsObjects) or not isinstance(store, SharesBytes):
            pytest.skip("the store holds no objects")
        await asyncio.gather(*(put(store, f"{number}.png", b"the same") for number in range(6)))
        await put(store, "other.png", b"another")
        objects = [held async for held in store.objects()]
        assert sorted(held.size for held in objects) == [7, 8]
        assert all(held.named for held in objects)
        for held in objects:
            await store.remove_object(held.key)
        for number in range(6):
            assert await fetch(store, f"{number}.png") == b"the same"
            await store.delete(f"{number}.png")
        assert [held.size async for held in store.objects()] == [7]

    async def test_bytes_that_come_and_go_at_once_are_whole(self, store: Store) -> None:
        async def come_and_go(number: int) -> bytes:
            stored = await put(store, f"{number}.png", b"the same")
            read = await fetch(store, stored.name)
            await store.delete(stored.name)
            return read

        assert set(await asyncio.gather(*(come_and_go(number) for number in range(12)))) == {b"the same"}
        assert await names(store) == []
