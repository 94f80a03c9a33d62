"""Search: both databases find what a plain reading of the texts finds, and nothing in a token breaks them."""

import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.postgres import new_database

from mediary.database.engine import Database
from mediary.errors import BadRequestError
from mediary.media.catalog import Catalog
from mediary.media.item import Changes, MediaItem, SearchQuery
from mediary.media.search import MOST_TERMS
from mediary.media.search_text import MAX_TOKENS, fold, parse_search, read_tokens, search_text

DAY = 1_700_000_000


def item(name: str, created: float = DAY, media_type: str = "image/png", **about: Any) -> MediaItem:
    kind: Any = media_type.partition("/")[0]
    return MediaItem(name=name, size=1, media_type=media_type, kind=kind, created=created, **about)


@pytest.fixture(params=["sqlite", "postgresql", "pg_trgm"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an empty database; of PostgreSQL without pg_trgm, and with it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
    else:
        async with new_database(trigrams=request.param == "pg_trgm") as url:
            yield url


@pytest.fixture
def catalog(database: Database) -> Catalog:
    return Catalog(database)


async def names(catalog: Catalog, text: str, **asked: Any) -> list[str]:
    """The names of all that is found, newest first."""
    found = await catalog.search(SearchQuery(tokens=parse_search(text), limit=500, **asked), count=True)
    assert "seed" in asked or found.total == len(found.items) + asked.get("skip", 0) or not found.items
    return [item.name for item in found.items]


# What means something to one of the databases, and what Unicode has more than one way to write.
SIGNS = [
    *"abAB1 %_'\"*\\^-:(){}~+.ßſéİıяЯ猫风景😀",
    "e\u0301",
    "\u0301",
    "👍🏽",
    "\u200d",
    "\x01",
    "\x02",
    "\0",
    "\n",
    "\uffff",
]
texts = st.lists(st.sampled_from(SIGNS), max_size=8).map("".join)
words = st.one_of(texts, st.lists(st.sampled_from(SIGNS), min_size=1, max_size=3).map("".join))
items = st.builds(
    item,
    texts.map(lambda text: text.replace("\0", "") or "x"),
    st.integers(DAY, DAY + 3),
    st.sampled_from(["image/png", "image/jpeg", "audio/mpeg", "video/mp4"]),
    prompt=texts,
    alt=texts,
    model=st.none() | texts,
    tags=st.lists(texts, max_size=3).map(tuple),
)
queries = st.builds(
    SearchQuery,
    tokens=st.lists(st.one_of(words, st.sampled_from(["image", "Video", "audio/mpeg", "png"])), max_size=20).map(tuple),
    least=st.none() | st.integers(-1, 5),
    skip=st.integers(0, 2),
    limit=st.integers(1, 5),
)
changes = st.fixed_dictionaries({}, optional={"prompt": texts, "tags": st.lists(texts, max_size=3).map(tuple)})


def plainly(items: Iterable[MediaItem], query: SearchQuery) -> list[str]:
    """What a search finds, by the words of the definition."""
    tokens = read_tokens(query.tokens)
    least = len(tokens) if query.least is None else query.least
    return [item.name for item in items if sum(token in search_text(item) for token in tokens) >= least]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.lists(items, max_size=8, unique_by=lambda item: item.name),
    changed=st.lists(st.dictionaries(st.integers(0, 7), changes, max_size=8), max_size=2),
    thrown=st.lists(st.integers(0, 7), max_size=3),
    asked=st.lists(queries, max_size=6),
)
async def test_it_finds_what_a_plain_reading_finds(
    catalog: Catalog,
    kept: list[MediaItem],
    changed: list[dict[int, Changes]],
    thrown: list[int],
    asked: list[SearchQuery],
):
    await catalog.remove_many(await catalog.names())
    await catalog.add_many(kept)
    for step in changed:
        await catalog.update_many({kept[at].name: told for at, told in step.items() if at < len(kept)})
    for at in thrown:
        if at < len(kept):
            await catalog.restore(await catalog.trash(kept[at].name), kept[at].name)
    ordered = (await catalog.list()).items
    assert len(ordered) == len(kept)
    own = [SearchQuery(tokens=(item.name[:3], item.prompt[-3:])) for item in ordered]
    for query in (*asked, *own):
        found = await catalog.search(query, count=True)
        expected = plainly(ordered, query)
        assert found.total == len(expected)
        assert [item.name for item in found.items] == expected[query.skip : query.skip + query.limit]


# A prompt, and a token that it must be found by.
FOUND = [
    ("100%_sure", "0%_s"),
    ("100%_sure", "%"),
    ("a_b", "_"),
    ('say "hello"', '"hello"'),
    ('say "hello"', '"'),
    ("it's", "'"),
    ("a*b", "*"),
    ("a\\b", "\\b"),
    ("a NOT b", "a not b"),
    ("name:x", "name:x"),
    ("😀 smile", "😀"),
    ("👍🏽", "🏽"),
    ("Закат над рекой", "закат"),
    ("Закат", "ат"),
    ("山水风景画", "风景"),
    ("山水风景画", "画"),
    ("山水风景画", "水风景"),
    ("Straße", "STRASSE"),
    ("STRASSE", "ße"),
    ("cafe\u0301", "CAFÉ"),
    ("café", "cafe\u0301"),
    ("two\nlines", "two lines"),
    ("x" * 100, "x" * 60),
]
NOT_IN_ABC = ["a%c", "a_c", "ab*", "a OR b", "^abc", '"abc"', "a\\bc", "abd", "cba", "ä", "1"]


async def test_what_stays_in_a_text_is_found_when_the_rest_of_it_changes(catalog: Catalog):
    await catalog.add_many(item(f"{number}_cat.png", number, prompt="red fox") for number in range(3))
    await catalog.update_many({f"{number}_cat.png": {"tags": ("mine",)} for number in range(3)})
    await catalog.update("1_cat.png", {"tags": ("mine", "more")})
    for token in ("cat", "fox", "mine", "image"):
        assert len(await names(catalog, token)) == 3, token
    assert await names(catalog, "more") == ["1_cat.png"]


class TestTokens:
    async def test_all_must_match_in_any_case_and_any_field(self, catalog: Catalog):
        await catalog.add_many(
            [
                item("1_flux+Cat_0.png", 1, prompt="A RED sunset", model="FLUX.1", tags=("Zürich",)),
                item("2_cat_0.png", 2, alt="red"),
                item("3_dog_0.png", 3),
            ]
        )
        assert await names(catalog, "cat+red") == ["2_cat_0.png", "1_flux+Cat_0.png"]
        assert await names(catalog, "CAT+ZÜRICH+flux.1") == ["1_flux+Cat_0.png"]
        assert await names(catalog, "cat+dog") == []
        assert await names(catalog, "") == ["3_dog_0.png", "2_cat_0.png", "1_flux+Cat_0.png"]

    async def test_the_first_may_name_a_kind_or_a_type(self, catalog: Catalog):
        await catalog.add_many(
            [
                item("1_cat.png", 1),
                item("2_cat.jpg", 2, "image/jpeg"),
                item("3_cat.mp4", 3, "video/mp4", prompt="an image of a cat"),
                item("4_image.mp3", 4, "audio/mpeg"),
            ]
        )
        assert await names(catalog, "image") == ["2_cat.jpg", "1_cat.png"]
        assert await names(catalog, "Image+cat") == ["2_cat.jpg", "1_cat.png"]
        assert await names(catalog, "image/png") == ["1_cat.png"]
        assert await names(catalog, "image/jpg+cat") == ["2_cat.jpg"]
        assert await names(catalog, "image/tiff") == []
        assert await names(catalog, "cat+image") == ["3_cat.mp4"]
        assert await names(catalog, "cat+video") == []
        assert await names(catalog, "audio+image") == ["4_image.mp3"]

    async def test_some_of_them_are_enough(self, catalog: Catalog):
        await catalog.add_many([item("1_aaa_bbb.png", 1), item("2_bbb_ccc.png", 2), item("3_ccc_ddd.png", 3)])
        assert await names(catalog, "aaa+bbb+ccc", least=2) == ["2_bbb_ccc.png", "1_aaa_bbb.png"]
        assert await names(catalog, "aaa+ddd", least=1) == ["3_ccc_ddd.png", "1_aaa_bbb.png"]
        assert await names(catalog, "image+ddd+aaa", least=2) == ["3_ccc_ddd.png", "1_aaa_bbb.png"]
        assert await names(catalog, "aaa+aaa+ddd", least=2) == ["1_aaa_bbb.png"]
        assert await names(catalog, "aaa", least=2) == []

    async def test_what_stands_in_a_text_is_found(self, catalog: Catalog):
        prompts = dict.fromkeys(text for text, _ in FOUND)
        await catalog.add_many(item(f"{number}.mp3", prompt=prompt) for number, prompt in enumerate(prompts))
        for text, token in FOUND:
            found = (await catalog.search(SearchQuery(tokens=(token,), limit=100))).items
            assert text in [item.prompt for item in found], token
            assert all(fold(token) in search_text(item) for item in found), token

    async def test_what_does_not_is_not(self, catalog: Catalog):
        await catalog.add(item("x.png", prompt="abc"))
        for token in NOT_IN_ABC:
            assert (await catalog.search(SearchQuery(tokens=(token,)), count=True)).total == 0, token

    async def test_what_begins_alike_and_ends_otherwise_is_not_found(self, catalog: Catalog):
        await catalog.add(item("x.png", prompt="long " * 20 + "tail"))
        assert (await catalog.search(SearchQuery(tokens=("long " * 20 + "tai",)), count=True)).total == 1
        assert (await catalog.search(SearchQuery(tokens=("long " * 20 + "tale",)), count=True)).total == 0
        assert (await catalog.search(SearchQuery(tokens=("long " * 20 + "tale", "q"), least=1), count=True)).total == 0

    async def test_a_letter_that_is_everywhere(self, catalog: Catalog):
        letters = [chr(ord("一") + number) for number in range(MOST_TERMS + 10)]
        await catalog.add_many(
            item(f"{letter}.png", number, prompt=f"z{letter}") for number, letter in enumerate(letters)
        )
        assert len(await names(catalog, "z")) == len(letters)
        assert await names(catalog, f"z+{letters[3]}") == [f"{letters[3]}.png"]
        assert await names(catalog, f"z+{letters[3]}+q", least=2) == [f"{letters[3]}.png"]

    async def test_too_many(self, catalog: Catalog):
        await catalog.add(item("abc.png"))
        assert await names(catalog, "+".join(["a", "bc", "abc"] * (MAX_TOKENS // 3))) == ["abc.png"]
        with pytest.raises(BadRequestError, match="64 tokens"):
            await names(catalog, "+".join(["a"] * (MAX_TOKENS + 1)))


class TestPages:
    async def test_skip_and_limit(self, catalog: Catalog):
        await catalog.add_many(item(f"{number}.png", number) for number in range(10))
        found = await catalog.search(SearchQuery(tokens=("png",), skip=3, limit=2), count=True)
        assert [item.name for item in found.items] == ["6.png", "5.png"]
        assert found.total == 10
        assert (await catalog.search(SearchQuery(tokens=("png",), skip=10))).items == ()

    async def test_what_is_old_and_what_is_new(self, catalog: Catalog):
        """PostgreSQL looks through the newest first, and need not find all that is asked for among them."""
        await catalog.add_many(
            item(f"{number}_{'rare' if number in (5, 2990) else 'name'}.png", number) for number in range(3000)
        )
        assert await names(catalog, "rare") == ["2990_rare.png", "5_rare.png"]
        assert await names(catalog, "rare", skip=1) == ["5_rare.png"]
        assert await names(catalog, "name", skip=2990) == [f"{number}_name.png" for number in (8, 7, 6, 4, 3, 2, 1, 0)]

    async def test_a_seed_picks_the_same_one_each_time(self, catalog: Catalog):
        await catalog.add_many(item(f"{number}.png", number) for number in range(50))
        picked = [
            (await catalog.search(SearchQuery(tokens=("png",), seed=f"seed {number}", skip=40))).items[0].name
            for number in range(40)
        ]
        expected = [f"{9 - Random(f'seed {number}').randrange(10)}.png" for number in range(40)]
        assert picked == expected
        assert set(picked) == {f"{number}.png" for number in range(10)}
        assert (await catalog.search(SearchQuery(tokens=("png",), seed="1", skip=50))).items == ()
        assert (await catalog.search(SearchQuery(tokens=("jpg",), seed="1"))).items == ()

    async def test_nobody_elses_chance_is_touched(self, catalog: Catalog):
        await catalog.add(item("1.png"))
        random.seed(7)
        await catalog.search(SearchQuery(tokens=("png",), seed="x"))
        assert random.random() == Random(7).random()
