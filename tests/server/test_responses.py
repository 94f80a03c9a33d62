"""The Responses wire over HTTP: pictures go in by id and come out into the library, conversations go on."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.forms import form
from tests.servers.mediary import MediaryServer, media_urls
from tests.servers.openai_files import KEY
from tests.servers.openai_responses import PAINTER, PIXEL, PLAIN, Responses, small_openai

PICTURE = base64.b64decode(PIXEL)
FIRST = {"role": "user", "content": "One"}


@pytest.fixture
async def openai() -> AsyncIterator[Responses]:
    async with small_openai() as service:
        yield service


@pytest.fixture
async def server(openai: Responses, tmp_path: Path) -> AsyncIterator[MediaryServer]:
    table = f'[providers.GPT]\nwire = "openai_responses"\nbase_url = "{openai.base_url}"\napi_key = "{KEY}"\n'
    server = MediaryServer(
        tmp_path / "data", settings=f'{table}default_model = "{PLAIN}"\nuploads = "openai_files"\n', debug=True
    )
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)
    assert server.slow_steps() == []


async def ask(
    server: MediaryServer, messages: list[dict[str, Any]], *files: bytes, **fields: Any
) -> list[dict[str, Any]]:
    """The events of a turn with these files, which end well."""
    asked = {"provider": "GPT", "messages": messages, **fields}
    body, content_type = form(
        {"json": json.dumps(asked)}, [(f"{number}.png", data) for number, data in enumerate(files)]
    )

    def send() -> str:
        path = "/backend-api/v2/conversation"
        with server.open(path, raw=body, headers={"Content-Type": content_type}) as response:
            return response.read().decode()

    said = await asyncio.to_thread(send)
    events = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"] == "finish", events
    return events


def text(events: list[dict[str, Any]]) -> str:
    return "".join(event["content"] for event in events if event["type"] == "content")


async def test_a_picture_stands_in_the_question_and_then_goes_by_its_id(server: MediaryServer, openai: Responses):
    question = [{"role": "user", "content": "What is this?"}]
    assert (
        text(await ask(server, question, PICTURE)) == f"You said: What is this? [image/png of {len(PICTURE)} bytes] (1)"
    )
    assert (
        text(await ask(server, question, PICTURE))
        == f"You said: What is this? [vision file of {len(PICTURE)} bytes] (1)"
    )
    [_, part] = openai.questions[-1]["input"][0]["content"]
    assert part.keys() == {"type", "file_id", "detail"}
    openai.files.files.clear()
    assert "[vision file of" in text(await ask(server, question, PICTURE))


async def test_a_picture_comes_out_and_is_kept(server: MediaryServer, openai: Responses):
    events = await ask(server, [{"role": "user", "content": "a boat"}], model=PAINTER)
    kinds = [event["type"] for event in events]
    assert kinds.count("preview") == 2
    preview = events[kinds.index("preview")]
    assert preview["urls"] == [f"data:image/png;base64,{PIXEL}"]
    assert preview["preview"] == f"![]({preview['urls'][0]})"
    [url] = media_urls([event for event in events if event["type"] == "content"])
    assert await asyncio.to_thread(server.get, url) == PICTURE
    assert {"type": "reasoning", "label": "Image", "status": "generating"} in events


async def test_a_conversation_goes_on_and_is_mended(server: MediaryServer, openai: Responses):
    events = await ask(server, [FIRST])
    [state] = [
        event["conversation"] for event in events if "response_id" in event.get("conversation", {}).get("GPT", {})
    ]
    later = [FIRST, {"role": "assistant", "content": text(events)}, {"role": "user", "content": "Two"}]
    assert text(await ask(server, later, conversation=state)) == "You said: Two (3)"
    assert text(await ask(server, later, conversation=state["GPT"])) == "You said: Two (3)"
    openai.stored.clear()
    assert text(await ask(server, later, conversation=state)) == "You said: One Two (3)"


async def test_tools_over_http(server: MediaryServer):
    tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
    events = await ask(server, [FIRST], tools=tools)
    pieces = [call for event in events if event["type"] == "tool_calls" for call in event["tool_calls"]]
    arguments = "".join(piece["function"]["arguments"] for piece in pieces)
    call = {"id": pieces[0]["id"], "type": "function", "function": {"name": "find", "arguments": arguments}}
    assert json.loads(arguments) == {"about": "One"}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "there"}
    events = await ask(server, [FIRST, said, result], tools=tools)
    assert text(events) == f"You said: One [{call['id']}: there] (3)"


async def test_models_over_http(server: MediaryServer):
    models = await asyncio.to_thread(server.get_json, "/backend-api/v2/models/GPT")
    assert [model["id"] for model in models][:1] == [PLAIN]
    assert {model["id"]: model["image"] for model in models}[PAINTER]
