"""Search by meaning: vectors come behind the answer, of the model that is set, and failures cost words nothing."""

import asyncio

import pytest
from tests.memory.test_memory import rows, texts
from tests.servers.embeddings import EmbeddingService

from mediary.database.engine import Database
from mediary.memory.placing import Patience
from mediary.memory.room import Memory
from mediary.memory.vectors import Placer
from mediary.settings import MemorySettings

FACTS = ["Miezi sleeps on the sofa", "I take mine without milk: tea", "We travel by train", "The compiler has a bug"]


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
async def places(database: Database, placers: dict[str, Placer], patience: Patience):
    memory = Memory(database, MemorySettings(), placers["small"], patience)
    await memory.begin()
    yield memory
    await memory.close()


async def test_what_means_the_same_is_found(places: Memory):
    await places.add("ann", FACTS)
    await places.idle()
    assert (await texts(places, "ann", "Do I have a pet?"))[0] == FACTS[0]
    assert (await texts(places, "ann", "my favourite beverage"))[0] == FACTS[1]


async def test_both_rankings_count(places: Memory):
    await places.add("ann", [*FACTS, "Pet food is in the cellar"])
    await places.idle()
    assert (await texts(places, "ann", "Where is the pet food?"))[0] == "Pet food is in the cellar"


async def test_filters_hold_for_meaning_too(places: Memory):
    await places.add("ann", FACTS[:2], conversation_id="c1")
    await places.add("ann", FACTS[2:], conversation_id="c2")
    await places.idle()
    assert FACTS[0] not in await texts(places, "ann", "pet", {"conversation_id": "c2"})


async def test_nobody_finds_by_meaning_what_another_has(places: Memory):
    await places.add("ann", FACTS[:1])
    await places.add("bob", FACTS[1:])
    await places.idle()
    assert await texts(places, "bob", "Miezi my pet") != []
    assert FACTS[0] not in await texts(places, "bob", "Miezi my pet")


async def test_vectors_go_with_their_items(places: Memory, database: Database):
    await places.add("ann", FACTS)
    await places.idle()
    assert (await rows(database))["memory_vectors"] == 4
    [first, *_] = (await places.list("ann")).items
    await places.delete_item("ann", first.id)
    there = await rows(database)
    assert (there["memory_vectors"], there["memory_signs"]) == (3, 3)
    await places.delete("ann")
    assert set((await rows(database)).values()) == {0}


async def test_another_model_makes_all_anew(places: Memory, database: Database, placers: dict[str, Placer]):
    await places.add("ann", FACTS)
    await places.idle()
    other = Memory(database, MemorySettings(), placers["large"])
    await other.begin()
    await other.idle()
    assert (await rows(database))["memory_vectors"] == 4
    assert (await texts(other, "ann", "Do I have a pet?"))[0] == FACTS[0]
    assert await texts(places, "ann", "animal") == []  # the first model's are gone
    await other.close()


async def test_another_model_by_the_same_name_makes_all_anew(
    places: Memory, database: Database, service: EmbeddingService
):
    await places.add("ann", FACTS)
    await places.idle()
    service.more = 32
    assert await texts(places, "ann", "Do I have a pet?") == []  # by words alone, until they are made
    await places.idle()
    assert (await rows(database))["memory_vectors"] == 4
    assert (await texts(places, "ann", "Do I have a pet?"))[0] == FACTS[0]
    service.more = 0
    await places.add("ann", ["Something new"])
    await places.idle()
    assert (await texts(places, "ann", "Do I have a pet?"))[0] == FACTS[0]


@pytest.mark.parametrize("patience", [Patience(query=0.05)])
async def test_storing_does_not_wait_for_vectors(places: Memory, service: EmbeddingService):
    service.held = asyncio.Event()
    assert await places.add("ann", FACTS) == 4
    assert await texts(places, "ann", "compiler") == [FACTS[3]]
    service.held.set()


@pytest.mark.parametrize("patience", [Patience(first_wait=0.01, rest=0.0)])
async def test_what_failed_is_made_later(places: Memory, service: EmbeddingService, caplog: pytest.LogCaptureFixture):
    service.failing = 503
    await places.add("ann", FACTS)
    assert await texts(places, "ann", "compiler") == [FACTS[3]]
    assert "memory is searched by words alone" in caplog.text
    service.failing = None
    await places.idle()
    assert (await texts(places, "ann", "Do I have a pet?"))[0] == FACTS[0]


async def test_one_text_that_is_refused_costs_the_others_nothing(
    places: Memory, database: Database, service: EmbeddingService
):
    service.refused = "sofa"
    await places.add("ann", FACTS)
    await places.idle()
    assert (await rows(database))["memory_vectors"] == 3
    asked = len(service.asked)
    await places.add("ann", ["One more"])
    await places.idle()
    assert len(service.asked) == asked + 1
    assert await texts(places, "ann", "sofa") != []


@pytest.mark.parametrize("patience", [Patience(query=0.05)])
async def test_a_search_waits_for_its_vector_only_so_long(places: Memory, service: EmbeddingService):
    await places.add("ann", FACTS)
    await places.idle()
    service.held = asyncio.Event()
    assert await texts(places, "ann", "Miezi") == [FACTS[0]]
    asked = len(service.asked)
    assert await texts(places, "ann", "Miezi") == [FACTS[0]]
    assert len(service.asked) == asked  # it rests
    service.held.set()


async def test_an_item_that_goes_while_its_vector_is_made(
    places: Memory, database: Database, service: EmbeddingService
):
    service.held = asyncio.Event()
    await places.add("ann", FACTS)
    await service.arrived.wait()
    await places.delete("ann")
    service.held.set()
    await places.idle()
    assert set((await rows(database)).values()) == {0}


async def test_vectors_of_a_size_that_no_model_has_are_not_taken(
    places: Memory, database: Database, service: EmbeddingService
):
    service.more = 20_000
    await places.add("ann", FACTS)
    await places.idle()
    assert (await rows(database))["memory_vectors"] == 0
    assert await texts(places, "ann", "Miezi") == [FACTS[0]]
