"""Pictures that look alike: the fewest differing bits of a perceptual hash come first."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediary.database.engine import Database
from mediary.media.catalog import Catalog
from mediary.media.item import MediaItem


def picture(name: str, phash: int | None, created: float = 0) -> MediaItem:
    return MediaItem(name=name, size=1, media_type="image/png", kind="image", created=created, phash=phash)


@pytest.fixture
def catalog(database: Database) -> Catalog:
    return Catalog(database)


async def ranked(catalog: Catalog, name: str, limit: int = 20) -> list[tuple[str, int]]:
    return [(item.name, distance) for item, distance in await catalog.similar(name, limit)]


async def test_the_nearest_come_first(catalog: Catalog):
    await catalog.add_many(
        [
            picture("it.png", 0b1111),
            picture("twin.png", 0b1111, 1),
            picture("newer twin.png", 0b1111, 2),
            picture("near.png", 0b0111),
            picture("far.png", -1),
            picture("opposite.png", ~0b1111),
            picture("unknown.png", None),
            picture("gone.png", 0b1111),
        ]
    )
    await catalog.trash("gone.png")
    expected = [("newer twin.png", 0), ("twin.png", 0), ("near.png", 1), ("far.png", 60), ("opposite.png", 64)]
    assert await ranked(catalog, "it.png") == expected
    assert await ranked(catalog, "it.png", limit=2) == expected[:2]


async def test_without_a_hash_there_is_nothing_to_compare(catalog: Catalog):
    await catalog.add_many([picture("a.png", None), picture("b.png", 0)])
    assert await ranked(catalog, "a.png") == []
    assert await ranked(catalog, "b.png") == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=8))
async def test_the_distance_is_the_number_of_differing_bits(catalog: Catalog, hashes: list[int]):
    await catalog.remove_many(await catalog.names())
    await catalog.add_many(picture(str(number), phash) for number, phash in enumerate(hashes))
    found = dict(await ranked(catalog, "0"))
    assert found == {
        str(number): ((phash ^ hashes[0]) % 2**64).bit_count() for number, phash in enumerate(hashes) if number
    }
