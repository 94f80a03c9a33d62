"""Questions with files to a small Anthropic, over HTTP: uploaded once, asked about by id, sent again when gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.forms import form
from tests.servers.anthropic import KEY, Small, small_anthropic
from tests.servers.mediary import MediaryServer

PATH = "/backend-api/v2/conversation"
PDF = b"%PDF-1.4\n%" + b"x" * 2_000_000 + b"\ntrailer<</Root 1 0 R>>\n%%EOF\n"
WAV = b"RIFF\x34\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(40)
QUESTION = {"provider": "Claude", "messages": [{"role": "user", "content": "What is this?"}]}


@pytest.fixture
async def small() -> AsyncIterator[Small]:
    async with small_anthropic() as service:
        yield service


@pytest.fixture
async def server(small: Small, tmp_path: Path) -> AsyncIterator[MediaryServer]:
    table = f'[providers.Claude]\nwire = "anthropic"\nbase_url = "{small.base_url}"\napi_key = "{KEY}"\n'
    server = MediaryServer(tmp_path / "data", settings=table + 'default_model = "claude-haiku-4-5"\n')
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


async def post(server: MediaryServer, *files: tuple[str, bytes]) -> tuple[int, str]:
    """Ask with files; status and body."""
    body, content_type = form({"json": json.dumps(QUESTION)}, files)

    def send() -> tuple[int, str]:
        with server.open(PATH, raw=body, headers={"Content-Type": content_type}) as response:
            return response.status, response.read().decode()

    return await asyncio.to_thread(send)


async def ask(server: MediaryServer, *files: tuple[str, bytes]) -> list[dict[str, Any]]:
    """The events of such a question."""
    _, said = await post(server, *files)
    return [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: ")]


def answer(events: list[dict[str, Any]]) -> str:
    assert events[-1] == {"type": "finish", "finish": {"reason": "stop"}}, events
    return "".join(event["content"] for event in events if event["type"] == "content")


def sources(small: Small) -> list[str]:
    """How the files of the last question stood in it."""
    blocks = small.questions[-1]["messages"][-1]["content"]
    return [block["source"]["type"] for block in blocks if "source" in block]


async def test_a_document_is_uploaded_once(server: MediaryServer, small: Small):
    about = f"[application/pdf of {len(PDF)} bytes]"
    turns = await asyncio.gather(*(ask(server, ("a.pdf", PDF)) for _ in range(5)))
    assert all(about in answer(events) for events in turns)
    assert sources(small) == ["file"]
    assert small.asked.count(("POST", "/v1/files")) == 1

    small.files.clear()
    events = await ask(server, ("a.pdf", PDF))
    assert about in answer(events)
    assert sources(small) == ["file"]
    assert small.asked.count(("POST", "/v1/files")) == 2


async def test_small_files_stand_in_the_question_and_sounds_are_refused(server: MediaryServer, small: Small):
    events = await ask(server, ("small.pdf", PDF[:10] + PDF[-30:]))
    assert "[application/pdf of 40 bytes]" in answer(events)
    assert sources(small) == ["base64"]
    assert ("POST", "/v1/files") not in small.asked

    asked = len(small.asked)
    status, said = await post(server, ("a.wav", WAV))
    assert status == 415
    assert "a.wav" in said and "image/png" in said
    assert len(small.asked) == asked
