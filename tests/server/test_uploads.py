"""`POST /backend-api/v2/uploads`: what may be asked, and how much is done at once for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conversations.questions import serving
from tests.servers.gemini import KEY, GeminiPeer, gemini_peer
from tests.servers.mediary import MediaryServer

PATH = "/backend-api/v2/uploads"
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


@pytest.fixture
async def peer() -> AsyncIterator[GeminiPeer]:
    async with gemini_peer() as running:
        yield running


@pytest.fixture
async def server(tmp_path: Path, peer: GeminiPeer) -> AsyncIterator[MediaryServer]:
    settings = (
        '[net]\nallow = ["127.0.0.0/8"]\n'
        f'[providers.Gemini]\nwire = "gemini"\nbase_url = "{peer.base_url}"\napi_key = "{KEY}"\n'
    )
    async with serving(tmp_path, settings) as running:
        yield running


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_the_methods_of_the_path_are_told(server, method):
    with server.open(PATH, method=method) as response:
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_of_many_urls_some_are_fetched_at_a_time(server, peer):
    begun, eight, going_on = 0, asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        begun += 1
        if begun == 8:
            eight.set()
        await going_on.wait()
        data = MP4 + path
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        await writer.drain()
        writer.close()

    remote = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{remote.sockets[0].getsockname()[1]}"
    asked = {"provider": "Gemini", "files": [f"{url}/{number}.mp4" for number in range(20)]}

    def ask() -> list[str]:
        with server.open(PATH, asked) as response:
            return [each["name"] for each in json.load(response)["uploads"]]

    async with remote:
        answer = asyncio.create_task(asyncio.to_thread(ask))
        async with asyncio.timeout(30):
            await eight.wait()
        for _ in range(20):  # time enough for others to come
            await asyncio.to_thread(server.get_json, PATH)
        at_once = begun
        going_on.set()
        assert await answer == [f"{number}.mp4" for number in range(20)]
    assert at_once == 8
    assert len(peer.files) == 20
