"""Lists of models, with real providers that are slow, fail and come back; by a clock of the test's own."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.servers.scripted import Hanging, Play, Scripted, said, scripted, whole

from mediary.conversations.choice.choosing import Choice
from mediary.conversations.choice.directory import ProviderDirectory
from mediary.conversations.choice.listings import FAILURE_SECONDS, FRESH_SECONDS, KEPT_SECONDS, Listings
from mediary.conversations.request import ConversationRequest
from mediary.errors import ModelNotFoundError
from mediary.net.client import HttpClient
from mediary.plugins import load
from mediary.providers.base import Provider
from mediary.settings import NetSettings, ProviderSettings

BROKEN = whole(b"", status=500)


def lists(*models: str) -> Play:
    return said({"data": [{"id": model} for model in models]})


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(NetSettings())
    yield client
    await client.close()


@pytest.fixture
async def service() -> AsyncIterator[Scripted]:
    async with scripted() as running:
        yield running


def make(http: HttpClient, name: str, base_url: str, **settings: object) -> Provider:
    table = ProviderSettings.model_validate({"wire": "openai", "base_url": base_url, **settings})
    provider: Provider = load("providers", "openai")(name, table, http)
    return provider


class Clock:
    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def ids(listings: Listings, provider: Provider) -> list[str]:
    [models] = await listings.of([provider])
    return [model.id for model in models]


async def settled(listings: Listings, provider: Provider) -> list[str]:
    """The list once what is asked for behind it has come."""
    await ids(listings, provider)
    await listings.anew([provider], float("inf"), 30)
    return await ids(listings, provider)


async def test_a_list_is_asked_for_anew_behind_whom_it_is_handed_to(http: HttpClient, service: Scripted, clock: Clock):
    listings, provider = Listings(clock), make(http, "A", service.base_url)
    service.play(lists("one"), lists("one", "two"))
    assert await ids(listings, provider) == ["one"]
    clock.time += FRESH_SECONDS - 1
    assert await ids(listings, provider) == ["one"]
    assert len(service.asked) == 1
    clock.time += 1
    assert await ids(listings, provider) == ["one"]
    assert await settled(listings, provider) == ["one", "two"]
    assert len(service.asked) == 2
    await listings.close()


async def test_the_last_list_stands_in_for_a_while(http: HttpClient, service: Scripted, clock: Clock):
    listings, provider = Listings(clock), make(http, "A", service.base_url)
    service.play(lists("one"), BROKEN)
    assert await ids(listings, provider) == ["one"]
    clock.time += FRESH_SECONDS
    assert await settled(listings, provider) == ["one"]
    assert listings.is_failing(provider)
    clock.time += KEPT_SECONDS
    assert await settled(listings, provider) == []
    assert not listings.has_told(provider)
    service.play(lists("two"))
    clock.time += FAILURE_SECONDS
    assert await settled(listings, provider) == ["two"]
    assert not listings.is_failing(provider)
    await listings.close()


async def test_many_ask_once(http: HttpClient, service: Scripted):
    listings, provider = Listings(), make(http, "A", service.base_url)
    service.play(lists("one"))
    assert await asyncio.gather(*(ids(listings, provider) for _ in range(20))) == [["one"]] * 20
    assert len(service.asked) == 1
    await listings.close()


async def test_the_end_waits_for_nobody(http: HttpClient, service: Scripted):
    listings, provider = Listings(), make(http, "A", service.base_url)
    service.play(Hanging())
    listings.refresh([provider])
    await service.until_open(1)
    await listings.close()
    await service.until_open(0)


async def test_a_model_that_is_new_is_found(http: HttpClient, service: Scripted, monkeypatch: pytest.MonkeyPatch):
    directory = ProviderDirectory(
        {"A": make(http, "A", service.base_url)}, custom=make(http, "Custom", service.base_url)
    )
    monkeypatch.setattr("mediary.conversations.choice.directory.MISSED_SECONDS", 0.0)
    service.play(lists("one"), lists("one", "two"))
    assert [model.id for model in (await directory.list_models())["A"]] == ["one"]
    [found] = await Choice(directory).candidates(ConversationRequest(model="two"))
    assert (found.provider.name, found.model) == ("A", "two")
    await directory.close()


async def test_who_cannot_tell_is_asked_for_its_default_last(http: HttpClient, service: Scripted):
    service.play(BROKEN)
    mute = make(http, "Mute", service.base_url, default_model="m")
    other = make(http, "Other", service.base_url, models=["m"])
    directory = ProviderDirectory({"Mute": mute, "Other": other}, custom=make(http, "Custom", service.base_url))
    choice = Choice(directory)

    found = await choice.candidates(ConversationRequest(model="m"))
    assert [each.provider.name for each in found] == ["Other", "Mute"]
    with pytest.raises(ModelNotFoundError, match="no provider has the model 'n'; Mute could not tell"):
        await choice.candidates(ConversationRequest(model="n"))
    await directory.close()


async def test_what_nobody_named_is_answered_in_words_where_it_can_be(http: HttpClient, service: Scripted):
    tables: dict[str, dict[str, object]] = {
        "Speaker": {"speech_models": ["say"], "models": ["say"], "default_model": "say"},
        "Painter": {"image_models": ["draw"], "models": ["draw"], "default_model": "draw"},
        "Talker": {"models": ["talk"]},
    }
    made = {name: make(http, name, service.base_url, **table) for name, table in tables.items()}

    async def first(*names: str) -> list[str]:
        directory = ProviderDirectory(
            {name: made[name] for name in names}, custom=make(http, "Custom", service.base_url)
        )
        return [each.provider.name for each in await Choice(directory).candidates(ConversationRequest())]

    assert await first("Speaker", "Painter", "Talker") == ["Talker"]
    assert await first("Speaker", "Painter") == ["Painter"]
    with pytest.raises(ModelNotFoundError):
        await first("Speaker")


async def test_a_group_may_be_called_like_a_model(http: HttpClient, service: Scripted):
    one, two = (make(http, name, service.base_url, models=["m", "m-2"]) for name in ("One", "Two"))
    groups = {"m": ["Two/m-2", "One/m"]}
    custom = make(http, "Custom", service.base_url)
    choice = Choice(ProviderDirectory({"One": one, "Two": two}, custom=custom, groups=groups))

    async def found(**fields: str) -> list[tuple[str, str]]:
        candidates = await choice.candidates(ConversationRequest(**fields))
        return [(each.provider.name, each.model) for each in candidates]

    assert await found(model="m") == [("Two", "m-2"), ("One", "m")]
    assert await found(model="m", provider="one") == [("One", "m")]
    assert await found(model="m", provider="two") == [("Two", "m")]


async def test_a_server_that_is_late_once_stays(http: HttpClient, service: Scripted):
    seen = [
        {"Found": make(http, "Found", service.base_url)},
        {},
        {"Found": make(http, "Found", service.base_url)},
        {},
        {},
    ]
    first = seen[0]["Found"]

    async def discover() -> dict[str, Provider]:
        return seen.pop(0)

    service.play(lists("one"))
    directory = ProviderDirectory({}, custom=make(http, "Custom", service.base_url), discover=discover)
    for here in (True, True, True, True, False):
        await directory.discover()
        assert (directory.find("found") is first) == here
    await directory.close()
