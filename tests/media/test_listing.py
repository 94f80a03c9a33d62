"""Listing: filters, orders, and cursors that hold while rows come and go."""

from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mediary.database.engine import Database
from mediary.errors import BadRequestError
from mediary.media.catalog import Catalog
from mediary.media.item import ItemFilter, MediaItem, Order

ORDERS: tuple[Order, ...] = get_args(Order)


def item(name: str, created: float = 0, media_type: str = "image/png", **about: Any) -> MediaItem:
    kind: Any = media_type.partition("/")[0]
    return MediaItem(name=name, media_type=media_type, kind=kind, created=created, **{"size": 1, **about})


@pytest.fixture
def catalog(database: Database) -> Catalog:
    return Catalog(database)


async def names(catalog: Catalog, order: Order = "newest", **wanted: Any) -> list[str]:
    """The names on all pages, the short pages of a client that reads on and on."""
    found: list[str] = []
    cursor: str | None = None
    while page := await catalog.list(ItemFilter(**wanted), order, cursor, limit=2):
        found += [item.name for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    return found


class TestOrders:
    @pytest.fixture
    async def kept(self, catalog: Catalog) -> Catalog:
        await catalog.add_many(
            [
                item("b.png", 3, size=5),
                item("B.png", 1.25, size=5),
                item("猫.png", 2, size=2**40),
                item("a.png", 1.2, size=7),
                item("é.png", 4, size=0),
            ]
        )
        return catalog

    async def test_each(self, kept: Catalog):
        assert await names(kept, "newest") == ["é.png", "b.png", "猫.png", "B.png", "a.png"]
        assert await names(kept, "oldest") == ["a.png", "B.png", "猫.png", "b.png", "é.png"]
        assert await names(kept, "name") == ["B.png", "a.png", "b.png", "é.png", "猫.png"]
        assert await names(kept, "largest") == ["猫.png", "a.png", "b.png", "B.png", "é.png"]

    @pytest.mark.parametrize("text", [None, "png", "p"])
    async def test_the_last_page_has_no_cursor(self, kept: Catalog, text: str | None):
        for order in ORDERS:
            wanted = ItemFilter(text=text)
            assert (await kept.list(wanted, order, limit=5)).next is None
            first = await kept.list(wanted, order, limit=4)
            last = await kept.list(wanted, order, first.next, limit=4)
            assert [len(first.items), len(last.items), last.next] == [4, 1, None]

    async def test_rows_that_come_and_go(self, kept: Catalog):
        """Nothing is seen twice and nothing is missed, but for what came or went itself."""
        for order, came in (("newest", "c.png"), ("name", "0.png"), ("largest", "d.png")):
            first = await kept.list(order=order, limit=2)  # type: ignore[arg-type]
            await kept.add(item(came, 9, size=2**41))
            await kept.remove(first.items[-1].name)
            second = await kept.list(order=order, cursor=first.next, limit=500)  # type: ignore[arg-type]
            seen = {item.name for item in (*first.items, *second.items)}
            assert seen == {*await kept.names(), first.items[-1].name} - {came}
            await kept.add(first.items[-1])
            await kept.remove(came)


class TestFilters:
    @pytest.fixture
    async def kept(self, catalog: Catalog) -> Catalog:
        await catalog.add_many(
            [
                item("1_cat.png", 1, tags=("Sea", "deep sea"), model="flux", provider="OpenAI", bucket="b1"),
                item("2_cat.mp4", 2, "video/mp4", tags=("sea",), prompt="A whale", model="sora"),
                item("3_dog.png", 3, prompt="the sea, an image", model="flux"),
                item("4_cat.mp3", 4, "audio/mpeg", provider="OpenAI"),
                item("5_gone.png", 5, tags=("sea",), prompt="a cat"),
            ]
        )
        await catalog.trash("5_gone.png")
        return catalog

    @pytest.mark.parametrize("order", ORDERS)
    async def test_each(self, kept: Catalog, order: Order):
        async def found(**wanted: Any) -> str:
            return "".join(sorted(name[0] for name in await names(kept, order, **wanted)))

        assert await found() == "1234"
        assert await found(kind="image") == "13"
        assert await found(kind="video") == "2"
        assert await found(tag="sea") == "12"
        assert await found(tag="DEEP SEA") == "1"
        assert await found(tag="deep") == await found(tag="") == ""
        assert await found(model="flux") == "13"
        assert await found(model="flu") == await found(model="a\0") == ""
        assert await found(provider="OpenAI", kind="audio") == "4"
        assert await found(bucket="b1") == "1"
        assert await found(text="sea") == "123"
        assert await found(text=" Whale  cat ") == "2"
        assert await found(text="image") == "3"
        assert await found(text="%") == await found(text="_\\") == ""
        assert await found(text="") == "1234"
        assert await found(text="sea", kind="image", tag="sea") == "1"
        assert await found(created_from=2, created_to=3) == "23"
        assert await found(created_from=2.5) == "34"
        assert await found(created_to=1.999, text="cat") == "1"
        assert await found(created_from=float("-inf"), created_to=float("inf")) == "1234"

    async def test_the_trash(self, kept: Catalog):
        for wanted in ({}, {"kind": "image"}, {"tag": "sea"}, {"text": "cat"}, {"created_from": 5}):
            assert await names(kept, trashed=True, **wanted) == ["5_gone.png"]
        for wanted in ({"kind": "video"}, {"tag": "cat"}, {"text": "dog"}, {"model": "flux"}):
            assert await names(kept, trashed=True, **wanted) == []

    async def test_words_that_the_index_of_trigrams_finds_in_part(self, kept: Catalog):
        """Long ones are compared with the rows, and so are single letters that stand before very many others."""
        await kept.add_many(item(f"z{chr(ord('一') + number)}.png", 6 + number) for number in range(70))
        await kept.add_many([item("8.png", 100, prompt="long " * 9), item("9.png", 101, prompt="z" + "long-" * 9)])
        for order in ORDERS:
            assert await names(kept, order, text="long-" * 8) == ["9.png"]
            assert await names(kept, order, text="z long") == ["9.png"]
            assert len(await names(kept, order, text="z")) == 71

    async def test_too_many_words(self, kept: Catalog):
        with pytest.raises(BadRequestError, match="64 words"):
            await kept.list(ItemFilter(text=" ".join(map(str, range(65)))))


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_page_of_no_sound_size(catalog: Catalog, limit: int):
    with pytest.raises(BadRequestError, match="1 to 500"):
        await catalog.list(limit=limit)


async def test_a_cursor_of_another_order(catalog: Catalog):
    await catalog.add_many([item("a.png"), item("b.png")])
    for order in ORDERS:
        cursor = (await catalog.list(order=order, limit=1)).next
        for other in {*ORDERS} - {order}:
            with pytest.raises(BadRequestError, match="cursor"):
                await catalog.list(order=other, cursor=cursor)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cursor=st.text(max_size=20), order=st.sampled_from(ORDERS))
@example("WyJuZXdlc3QiLDFd", "oldest")
@example("WyJuZXdlc3QiLC0xXQ", "newest")
@example("WyJuZXdlc3QiLDk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", "newest")
@example("WyJuYW1lIiwxLDFd", "name")
@example("é", "newest")
async def test_a_cursor_that_nobody_gave_out(catalog: Catalog, cursor: str, order: Order):
    with pytest.raises(BadRequestError, match="cursor"):
        await catalog.list(order=order, cursor=cursor)
