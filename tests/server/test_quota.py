"""`GET B/quota/<provider>` over HTTP: in the provider's own words, with whose key, and what is not to be had."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.elevenlabs import KEY, ElevenLabsPeer, elevenlabs_peer
from tests.servers.mediary import MediaryServer

B = "/backend-api/v2/quota"
TOLD = {"tier": "free", "character_count": 17, "character_limit": 10_000, "next_character_count_reset_unix": 1}


@pytest.fixture(scope="module")
async def peer() -> AsyncIterator[ElevenLabsPeer]:
    async with elevenlabs_peer() as running:
        yield running


async def started(folder: Path, peer: ElevenLabsPeer, more: str = "") -> MediaryServer:
    tables = "".join(
        f'[providers.{name}]\nwire = "elevenlabs"\nbase_url = "{peer.origin}"\napi_key = "{key}"\n'
        for name, key in (("Eleven", KEY), ("Other", "sk_wrong"))
    )
    server = MediaryServer(folder / "data", settings=more + tables)
    return await asyncio.to_thread(server.start)


@pytest.fixture(scope="module")
async def server(peer: ElevenLabsPeer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MediaryServer]:
    running = await started(tmp_path_factory.mktemp("quota"), peer)
    yield running
    await asyncio.to_thread(running.stop)


async def ask(server: MediaryServer, name: str, **headers: str) -> tuple[int, Any]:
    sent = {header.replace("_", "-"): value for header, value in headers.items()}
    with await asyncio.to_thread(server.open, f"{B}/{name}", headers=sent) as answer:
        return answer.status, json.loads(answer.read())


async def test_what_the_provider_tells(server: MediaryServer) -> None:
    assert await ask(server, "eleven") == (200, TOLD)


@pytest.mark.parametrize("name", ["x_api_key", "authorization"])
async def test_the_key_of_the_request(server: MediaryServer, name: str) -> None:
    prefix = "Bearer " if name == "authorization" else ""
    assert await ask(server, "Other", **{name: prefix + KEY}) == (200, TOLD)
    status, answer = await ask(server, "Eleven", **{name: f"{prefix}sk_wrong_one"})
    assert (status, answer["error"]["code"]) == (401, "missing_auth")
    assert "sk_wrong_one" not in answer["error"]["message"]


async def test_who_tells_nothing(server: MediaryServer) -> None:
    for name in ("Local", "Custom", "AnyProvider", "nobody", "%00", "x" * 5000):
        status, answer = await ask(server, name)
        assert (status, answer["error"]["code"]) == (404, "not_found"), name


async def test_a_key_that_is_none(server: MediaryServer) -> None:
    status, answer = await ask(server, "Eleven", x_api_key="sch\u00fcssel\u2603".encode().decode("latin-1"))
    assert status in (401, 422)
    assert "error" in answer


async def test_a_provider_that_fails(peer: ElevenLabsPeer, tmp_path: Path) -> None:
    settings = '[providers.Gone]\nwire = "elevenlabs"\nbase_url = "http://127.0.0.1:9"\napi_key = "sk_x"\n'
    server = MediaryServer(tmp_path / "data", settings=settings)
    await asyncio.to_thread(server.start)
    try:
        status, answer = await ask(server, "Gone")
        assert (status, answer["error"]["code"]) == (502, "provider_unavailable")
    finally:
        await asyncio.to_thread(server.stop)


async def test_where_the_server_has_a_key_the_bearers_key_is_the_servers(peer: ElevenLabsPeer, tmp_path: Path) -> None:
    server = await started(tmp_path, peer, '[server]\nkey = "of-the-server"\n')
    try:
        assert await ask(server, "Eleven", authorization="Bearer of-the-server") == (200, TOLD)
        assert (await ask(server, "Other", authorization="Bearer of-the-server", x_api_key=KEY))[0] == 200
        assert (await ask(server, "Eleven"))[0] == 401
    finally:
        await asyncio.to_thread(server.stop)
