"""What is kept is found again, by its user alone, and goes whole."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediary.database.engine import Database
from mediary.errors import FieldError, NotFoundError, TooLargeError
from mediary.memory.item import NewItem
from mediary.memory.room import Memory
from mediary.settings import MemorySettings

TABLES = ("memory_users", "memory_items", "memory_words", "memory_signs", "memory_vectors")


async def texts(memory: Memory, user: str, search: str, *filters: dict[str, object]) -> list[str]:
    return [item.text for item in (await memory.search(user, search, *filters)).items]


async def rows(database: Database) -> dict[str, int]:
    async with database.connect() as connection:
        counts = {
            name: (await connection.exec_driver_sql(f"SELECT count(*) FROM {name}")).scalar_one() for name in TABLES
        }
        if database.dialect == "sqlite":
            indexed = await connection.exec_driver_sql(
                "SELECT count(*) FROM memory_search WHERE memory_search MATCH '1*'"
            )
            counts["memory_search"] = indexed.scalar_one()
    return counts


async def test_what_is_kept_is_listed_newest_first(memory: Memory):
    assert await memory.add("ann", ["One", "Two"], conversation_id="c1") == 2
    assert await memory.add("ann", [NewItem("Three", "assistant", {"mood": "good"})]) == 1
    page = await memory.list("ann", limit=2)
    assert [item.text for item in page.items] == ["Three", "Two"]
    assert page.total == 3
    assert (page.items[0].role, page.items[0].metadata) == ("assistant", {"mood": "good"})
    assert page.items[1].conversation_id == "c1"
    assert [item.text for item in (await memory.list("ann", offset=2)).items] == ["One"]


async def test_nobody_sees_what_another_has(memory: Memory):
    await memory.add("ann", ["My secret garden"])
    await memory.add("Ann", ["My public garden"])
    assert await texts(memory, "ann", "garden") == ["My secret garden"]
    assert await texts(memory, "Ann", "garden") == ["My public garden"]
    assert await texts(memory, "ann ", "garden") == []
    [item] = (await memory.list("ann")).items
    with pytest.raises(NotFoundError):
        await memory.delete_item("Ann", item.id)
    assert await memory.delete("Ann") == 1
    assert await texts(memory, "ann", "garden") == ["My secret garden"]


async def test_the_same_text_is_counted_and_takes_on_what_is_said_now(memory: Memory):
    await memory.add("ann", [NewItem("I like  tea", metadata={"a": 1, "b": 1})], conversation_id="c1")
    assert (
        await memory.add("ann", [NewItem("i LIKE tea ", "assistant", {"b": 2}), "I like\ntea"], conversation_id="c2")
        == 2
    )
    [item] = (await memory.list("ann")).items
    assert item.text == "I like  tea"
    assert item.seen == 3
    assert item.metadata == {"a": 1, "b": 2}
    assert item.conversation_id == "c2"
    assert item.updated >= item.created


async def test_twenty_at_once_keep_each_item_once(memory: Memory):
    items = [f"Fact number {number} of the day" for number in range(30)]
    shuffled = [random.Random(seed).sample(items, len(items)) for seed in range(20)]
    await asyncio.gather(*(memory.add("ann", each) for each in shuffled))
    page = await memory.list("ann")
    assert sorted(item.text for item in page.items) == sorted(items)
    assert {item.seen for item in page.items} == {20}
    assert len(await texts(memory, "ann", "fact")) == 30


async def test_what_goes_goes_whole(memory: Memory, database: Database):
    await memory.add("ann", ["I like green tea", "I like coffee", NewItem("The cat likes milk", metadata={"x": 1})])
    [first] = (await memory.search("ann", "coffee")).items
    await memory.delete_item("ann", first.id)
    assert await texts(memory, "ann", "coffee") == []
    with pytest.raises(NotFoundError):
        await memory.delete_item("ann", first.id)
    assert await memory.delete("ann", {"x": 1}) == 1
    assert await memory.delete("ann", {"x": 1}) == 0
    assert await texts(memory, "ann", "like") == ["I like green tea"]
    assert await memory.delete("ann") == 1
    assert set((await rows(database)).values()) == {0}
    assert await memory.delete("ann") == 0


async def test_an_id_is_never_given_again(memory: Memory):
    await memory.add("ann", ["One"])
    [item] = (await memory.list("ann")).items
    await memory.delete_item("ann", item.id)
    await memory.add("ann", ["Two"])
    with pytest.raises(NotFoundError):
        await memory.delete_item("ann", item.id)


async def test_an_id_that_is_none(memory: Memory):
    await memory.add("ann", ["One"])
    for wrong in ["", "0", "-1", "1e3", "9" * 40, "²", "1 OR 1=1"]:
        with pytest.raises(NotFoundError):
            await memory.delete_item("ann", wrong)


LANGUAGES = [
    ("I am allergic to peanuts", "What are my allergies?"),
    ("My cats are called Miezi and Mohrle", "cat"),
    ("我喜欢喝绿茶", "绿茶"),
    ("緑茶が好きです", "緑茶"),
    ("나는 녹차를 좋아한다", "녹차"),
    ("Я люблю зелёный чай", "ЗЕЛЁНЫЙ"),
    ("मुझे चाय पसंद है", "चाय"),
    ("ฉันชอบชาเขียว", "ชาเขียว"),
    ("أحب الشاي الأخضر", "الشاي"),
    ("אני אוהב תה ירוק", "תה"),
    ("Straße der Republik 5", "STRASSE"),
    ("The key is in drawer_7", "drawer_7"),
    ("see https://example.com/a?b=c#d", "example"),
]


async def test_words_of_any_language_are_found(memory: Memory):
    await memory.add("ann", ["Something else entirely", "Ganz etwas anderes", "完全不同的东西"])
    await memory.add("ann", [text for text, _ in LANGUAGES])
    for text, search in LANGUAGES:
        assert (await texts(memory, "ann", search))[0] == text


async def test_what_says_more_comes_first(memory: Memory):
    await memory.add("ann", [f"A plain note, number {number}, on the garden" for number in range(20)])
    await memory.add("ann", ["The garden gate is painted blue", "Blue is a colour", "The gate key hangs in the hall"])
    assert (await texts(memory, "ann", "which blue has the garden gate?"))[0] == "The garden gate is painted blue"


async def test_a_page_of_what_was_found(memory: Memory):
    await memory.add("ann", [f"Tea number {number}" for number in range(25)])
    pages = [await memory.search("ann", "tea", offset=at, limit=10) for at in (0, 10, 20, 30)]
    assert [len(page.items) for page in pages] == [10, 10, 5, 0]
    assert {page.total for page in pages} == {25}
    assert len({item.id for page in pages for item in page.items}) == 25
    scores = [item.score for page in pages for item in page.items]
    assert scores == sorted(scores, reverse=True)


FILTERED = {"text": "1", "whole": 1, "real": 1.5, "true": True, "null": None, "ü\"'$.x": "é", "list": [1], "big": 2**70}


FILTERS: list[tuple[dict[str, object], int]] = [
    ({"text": "1"}, 1), ({"text": 1}, 0), ({"text": True}, 0),
    ({"whole": 1}, 1), ({"whole": 1.0}, 1), ({"whole": "1"}, 0), ({"whole": True}, 0),
    ({"real": 1.5}, 1), ({"real": 1}, 0),
    ({"true": True}, 1), ({"true": 1}, 0), ({"true": "true"}, 0), ({"true": False}, 0),
    ({"null": None}, 1), ({"null": False}, 0), ({"none": None}, 0),
    ({"ü\"'$.x": "é"}, 1), ({"list": "[1]"}, 0), ({"list": 1}, 0),
    ({"whole": 1, "true": True}, 1), ({"whole": 1, "true": False}, 0),
    ({"role": "user"}, 2), ({"role": None}, 0), ({"conversation_id": "c1"}, 1), ({"conversation_id": None}, 1),
    ({"whole": 2**80}, 0), ({"whole": 1e300}, 0), ({"text": "\0"}, 0), ({"text": "\ud800"}, 0),
]  # fmt: skip


async def test_a_filter_compares_type_and_value(memory: Memory):
    for wanted, found in FILTERS:
        await memory.add("ann", [NewItem("Tea with milk", metadata=FILTERED)], conversation_id="c1")
        await memory.add("ann", ["Tea without"])
        assert (await memory.list("ann", wanted)).total == found, wanted
        assert len(await texts(memory, "ann", "tea", wanted)) == found, wanted
        assert await memory.delete("ann", wanted) == found, wanted


async def test_a_filter_that_cannot_be_compared(memory: Memory):
    wrong: list[dict[str, object]] = [{"a": [1]}, {"a": {}}, {"a": float("nan")}, {str(n): n for n in range(40)}]
    for wanted in wrong:
        with pytest.raises(FieldError):
            await memory.list("ann", wanted)


async def test_a_user_that_could_be_taken_for_another(memory: Memory):
    for user in ["", "x" * 129, "a\0b", "a\nb", "a\ud800"]:
        with pytest.raises(FieldError):
            await memory.add(user, ["One"])


async def test_an_item_that_is_too_large_keeps_all_out(database: Database):
    memory = Memory(database, MemorySettings(max_item_bytes=256))
    with pytest.raises(TooLargeError, match=r"items\[1\]"):
        await memory.add("ann", ["One", "é" * 129])
    with pytest.raises(TooLargeError):
        await memory.add("ann", [NewItem("One", metadata={"x": "y" * 250})])
    assert (await memory.list("ann")).total == 0
    assert await memory.add("ann", ["é" * 128]) == 1


async def test_deep_metadata_is_refused(memory: Memory):
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"x": [deep]}
    with pytest.raises(FieldError, match="nested"):
        await memory.add("ann", [NewItem("One", metadata=deep)])


async def test_what_holds_no_text_is_not_kept(memory: Memory):
    assert await memory.add("ann", ["", " \n", "\0"[:0]]) == 0
    assert (await memory.list("ann")).total == 0


async def test_common_words_still_decide_among_many(memory: Memory):
    """More items have each word than are looked up."""
    rare = "violet lantern"
    notes = [f"lantern {number}" for number in range(6000)] + [f"violet {number}" for number in range(6000)]
    for start in range(0, len(notes), 4000):
        await memory.add("ann", notes[start : start + 4000])
    await memory.add("ann", [rare])
    await memory.add("ann", [f"lantern {number}" for number in range(6000, 8000)])
    assert (await texts(memory, "ann", "a violet lantern"))[0] == rare


anything = st.text(st.characters(codec=None), max_size=60)
questions = st.one_of(anything, st.text(st.sampled_from("\"'*():^-+{}[]ANDORNEAR \\%_ab\0"), max_size=40))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(questions)
async def test_no_search_fails(memory: Memory, search: str):
    await memory.add("bob", ["a AND b OR NEAR"])
    await memory.search("bob", search)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(anything, max_size=4), anything)
async def test_every_text_can_be_kept_and_is_found_by_itself(memory: Memory, others: list[str], text: str):
    await memory.add("bob", [*others, text])
    found = await texts(memory, "bob", text)
    if any(char.isalnum() for char in text):
        kept = {item.text for item in (await memory.list("bob", limit=1000)).items}
        assert any(each in kept for each in found)
    await memory.delete("bob")
