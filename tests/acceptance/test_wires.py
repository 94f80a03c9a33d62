"""Each wire from end to end: a picture goes in and a picture comes out, by `POST B/conversation`.

aimock answers where it can: it draws by OpenAI's images and by Gemini (its inline data may be of any type). By Ollama's
API and by the Responses API it draws nothing, there our strict peers do. Claude draws nothing anywhere.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.aimock import KEY, running_aimock
from tests.servers.gate import Gate, gate
from tests.servers.mediary import MediaryServer, media_urls
from tests.servers.ollama import small_ollama
from tests.servers.openai_files import KEY as OPENAI_KEY
from tests.servers.openai_responses import PLAIN, small_openai
from tests.uploads.pictures import png

PATHS = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": "", "openai_responses": "/v1"}
"""The wires, and where each begins at aimock."""
PAINTERS = {
    "openai": ("openai", "gpt-image-1", "a picture of the sea"),
    "gemini": ("gemini", "gemini-2.5-flash-image", "Paint the lake"),
    "ollama": ("Workshop", "x/z-image-turbo", "A boat"),
    "openai_responses": ("Studio", "gpt-image-2", "A boat"),
}
"""Who draws by each wire: provider, model and what is asked for."""
SEA = "The sea is wide, and it is blue — „wie der Himmel“. 🌊"


@dataclass
class Wired:
    """A server with a provider for each wire, and what went out to aimock."""

    server: MediaryServer
    relay: Gate

    async def ask(self, provider: str, model: str, text: str, picture: str) -> list[dict[str, Any]]:
        """The events of a turn that ends well; the picture is a URL."""
        self.relay.heard = bytearray()
        parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": picture}}]
        question = {"provider": provider, "model": model, "messages": [{"role": "user", "content": parts}]}
        events = await asyncio.to_thread(self.server.converse, **question)
        assert events[-1] == {"type": "finish", "finish": {"reason": "stop"}}, events
        return events

    def has_heard(self, picture: bytes) -> bool:
        """Whether that picture went to aimock, as it is or in base64."""
        heard = bytes(self.relay.heard or b"")
        return picture in heard or base64.b64encode(picture) in heard


@pytest.fixture(scope="module")
async def wired(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wired]:
    async with AsyncExitStack() as stack:
        aimock = await asyncio.to_thread(stack.enter_context, running_aimock())
        relay = await stack.enter_async_context(gate(urlsplit(aimock.url).port or 0))
        workshop = await stack.enter_async_context(small_ollama())
        studio = await stack.enter_async_context(small_openai())
        places = {wire: (wire, relay.url + path, KEY, "gpt-4o") for wire, path in PATHS.items()}
        places["Workshop"] = ("ollama", workshop.url, "unused", "gemma3:4b")
        places["Studio"] = ("openai_responses", studio.base_url, OPENAI_KEY, PLAIN)
        settings = "".join(table(name, *place) for name, place in places.items())
        server = MediaryServer(tmp_path_factory.mktemp("wires") / "data", settings=settings, debug=True)
        await asyncio.to_thread(server.start)
        yield Wired(server, relay)
        await asyncio.to_thread(server.stop)
        assert "Traceback" not in server.output()
        assert server.slow_steps() == []


def table(name: str, wire: str, base_url: str, key: str, model: str) -> str:
    return (
        f'[providers.{name}]\nwire = "{wire}"\nbase_url = "{base_url}"\napi_key = "{key}"\n'
        f'default_model = "{model}"\nvision_models = ["{model}"]\n'
    )


@pytest.mark.parametrize("wire", PATHS)
async def test_a_picture_goes_in(wired: Wired, wire: str) -> None:
    picture = png(7, 5) + wire.encode()
    uri = f"data:image/png;base64,{base64.b64encode(picture).decode()}"

    events = await wired.ask(wire, "gpt-4o", "Tell me of the sea", uri)

    assert "".join(event["content"] for event in events if event["type"] == "content") == SEA
    assert wired.has_heard(picture)
    [usage] = [event for event in events if event["type"] == "usage"]
    assert (usage["provider"], usage["model"]) == (wire, "gpt-4o")


@pytest.mark.parametrize("wire", PAINTERS)
async def test_a_picture_comes_out_and_goes_into_every_other_wire(wired: Wired, wire: str) -> None:
    provider, model, wanted = PAINTERS[wire]
    original = png(9, 3) + wire.encode()
    uri = f"data:image/png;base64,{base64.b64encode(original).decode()}"

    events = await wired.ask(provider, model, wanted, uri)

    assert wired.has_heard(original) or provider not in PATHS
    [url] = [url for url in media_urls(events) if url.startswith("/media/")]
    with await asyncio.to_thread(wired.server.open, url) as answer:
        drawn = answer.read()
        assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert drawn.startswith(b"\x89PNG")
    for other in PATHS:
        await wired.ask(other, "gpt-4o", "Tell me of the sea", url)
        assert wired.has_heard(drawn), other
