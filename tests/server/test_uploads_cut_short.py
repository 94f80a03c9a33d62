"""Uploads that do not come to their end: clients leave, the server stops, the provider says nothing any more."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from tests.conversations import questions
from tests.conversations.questions import drop, question, serving
from tests.server.forms import form
from tests.servers.gemini import KEY, GeminiPeer, Upload
from tests.servers.gemini import serving as listening
from tests.servers.mediary import MediaryServer

PATH = "/backend-api/v2/uploads"
MIB = 1024**2
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"

_numbers = count()


@dataclass
class Slow(GeminiPeer):
    """Holds up whatever is sent to it until `open`; and if it is to `hang`, even the word that this is given up."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    hang: bool = False

    async def _session(self, request: web.Request) -> web.Response:
        if self.hang and self.arrived.is_set():
            await self.open.wait()
        return await super()._session(request)

    async def _chunk(self, request: web.Request, upload: Upload, *, is_last: bool) -> web.Response:
        self.arrived.set()
        await self.open.wait()
        return await super()._chunk(request, upload, is_last=is_last)


@pytest.fixture
async def peer() -> AsyncIterator[Slow]:
    peer = Slow()
    async with listening(peer.app()) as peer.port:
        yield peer
        peer.open.set()


@pytest.fixture
async def server(tmp_path: Path, peer: Slow) -> AsyncIterator[MediaryServer]:
    settings = (
        f'[server]\ngrace_seconds = 1\n[providers.Gemini]\nwire = "gemini"\nbase_url = "{peer.base_url}"\n'
        f'api_key = "{KEY}"\ndefault_model = "gemini-flash"\nmodels = ["gemini-flash"]\n'
    )
    async with serving(tmp_path, settings) as running:
        yield running


def clip(size: int) -> bytes:
    """A video that is in no other test, as far as its beginning goes."""
    return (MP4 + b"%08d" % next(_numbers)).ljust(size, b".")


def open_post(server: MediaryServer, path: str, body: bytes, content_type: str) -> HTTPConnection:
    """Send a form; its answer is to be read by the caller, or not."""
    url = urlsplit(server.url)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=60)
    connection.request("POST", path, body, {"Content-Type": content_type})
    return connection


async def begin(server: MediaryServer, data: bytes) -> HTTPConnection:
    body, content_type = form({"provider": "Gemini"}, {"clip.mp4": data})
    return await asyncio.to_thread(open_post, server, PATH, body, content_type)


async def begin_turn(server: MediaryServer, data: bytes) -> HTTPConnection:
    body, content_type = form({"json": json.dumps(question())}, {"clip.mp4": data})
    return await asyncio.to_thread(open_post, server, questions.PATH, body, content_type)


async def arrived(peer: Slow) -> None:
    async with asyncio.timeout(30):
        await peer.arrived.wait()


def left_over(server: MediaryServer) -> list[Path]:
    return list((server.data / "generated_media" / ".incoming").iterdir())


@pytest.mark.parametrize("beginning", [begin, begin_turn])
@pytest.mark.parametrize("hang", [False, True])
async def test_the_server_ends_whatever_the_provider_does(server, peer, beginning, hang):
    peer.hang = hang
    connection = await beginning(server, clip(9 * MIB))
    await arrived(peer)

    assert await asyncio.to_thread(server.stop) == 0

    connection.close()
    assert left_over(server) == []
    assert "Exception" not in server.output() and "Traceback" not in server.output()
    assert hang or [upload.state for upload in peer.uploads.values()] == ["cancelled"]


async def test_who_leaves_stops_the_upload(server, peer):
    data = clip(9 * MIB)
    connection = await begin(server, data)
    await arrived(peer)
    await asyncio.to_thread(drop, connection)
    await asyncio.to_thread(server.await_output, "path=/backend-api/v2/uploads status=499")

    assert [upload.state for upload in peer.uploads.values()] == ["cancelled"]
    assert left_over(server) == []
    assert server.get_json(PATH) == {"uploads": [], "next": None}
    peer.open.set()
    again = await begin(server, data)
    answer = json.loads(await asyncio.to_thread(lambda: again.getresponse().read()))
    again.close()
    assert [each["cached"] for each in answer["uploads"]] == [False]
