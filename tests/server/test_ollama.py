"""Ollama from end to end: found on this machine or configured, pictures in and out, models that are slow to load."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.servers.mediary import MediaryServer, media_urls
from tests.servers.ollama import OllamaPeer, png, small_ollama

B = "/backend-api/v2"


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaPeer]:
    async with small_ollama() as peer:
        yield peer


@pytest.fixture
async def server(tmp_path: Path, ollama: OllamaPeer) -> AsyncIterator[MediaryServer]:
    settings = f'[providers.Ollama]\nwire = "ollama"\nbase_url = "{ollama.url}"\n'
    running = MediaryServer(tmp_path / "data", settings=settings)
    await asyncio.to_thread(running.start)
    yield running
    await asyncio.to_thread(running.stop)


async def converse(server: MediaryServer, text: str, **fields: Any) -> list[dict[str, Any]]:
    return await asyncio.to_thread(server.converse, text, **fields)


async def test_a_picture_goes_in_and_a_picture_comes_out(server: MediaryServer, ollama: OllamaPeer) -> None:
    made = await converse(server, "A boat", model="x/z-image-turbo:latest", width=32, height=16)
    [url] = media_urls(made)
    picture = await asyncio.to_thread(server.get, url)
    assert picture == png(32, 16)
    statuses = [event["status"] for event in made if event.get("label") == "Image"]
    assert statuses == ["25 %", "50 %", "75 %", "100 %"]

    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": url}}]
    seen = await converse(server, "", model="gemma3:4b", messages=[{"role": "user", "content": parts}])
    said = "".join(event["content"] for event in seen if event["type"] == "content")
    assert said == f"You said: Look and saw {len(picture)} bytes "
    assert seen[-2]["usage"]["total_tokens"] > 0
    sent = ollama.questions[-1]["messages"][0]["images"]
    assert sent == [base64.b64encode(picture).decode()]


async def test_a_model_that_sees_nothing_says_so(server: MediaryServer) -> None:
    await asyncio.to_thread(server.get_json, f"{B}/models/Ollama")
    uri = f"data:image/png;base64,{base64.b64encode(png(1, 1)).decode()}"
    question = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": uri}}]}
    body = {"provider": "Ollama", "model": "llama3.2:latest", "messages": [question]}
    with await asyncio.to_thread(server.open, f"{B}/conversation", body) as refused:
        answer = json.loads(refused.read())
    assert (refused.status, answer["error"]["code"]) == (415, "unsupported_type")


async def test_models_with_what_they_can(server: MediaryServer) -> None:
    models = {model["id"]: model for model in await asyncio.to_thread(server.get_json, f"{B}/models/Ollama")}
    assert "all-minilm:latest" not in models
    assert models["qwen3:8b"]["tags"] == ["tools", "thinking"]
    assert (models["gemma3:4b"]["vision"], models["x/z-image-turbo:latest"]["image"]) == (True, True)


async def test_people_see_that_a_model_is_being_loaded(server: MediaryServer, ollama: OllamaPeer) -> None:
    ollama.loaded = asyncio.Event()
    body = {
        "provider": "Ollama",
        "model": "llama3.2",
        "stream_timeout": 1,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    kinds = []
    async with aiohttp.ClientSession() as session, session.post(server.url + f"{B}/conversation", json=body) as answer:
        async for line in answer.content:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                kinds.append(event["type"])
                if event["type"] == "reasoning":
                    assert (event["label"], event["status"]) == ("Model", "loading")
                    ollama.loaded.set()
    assert kinds.index("reasoning") < kinds.index("content")
    assert kinds[-1] == "finish"


async def test_who_leaves_while_a_model_is_loaded_ends_the_request(server: MediaryServer, ollama: OllamaPeer) -> None:
    ollama.loaded = asyncio.Event()
    body = {"provider": "Ollama", "model": "llama3.2", "messages": [{"role": "user", "content": "Hello"}]}
    async with aiohttp.ClientSession() as session:
        async with session.post(server.url + f"{B}/conversation", json=body):
            await ollama.waiting.wait()
        async with asyncio.timeout(1):
            await ollama.left.wait()


async def test_a_model_that_is_not_there(server: MediaryServer) -> None:
    events = await converse(server, "Hello", provider="Ollama", model="llama4")
    assert events[-1]["error"] == "ModelNotFoundError"
    assert "there are: " in events[-1]["message"]


async def test_a_window_that_is_too_small_is_told_of(server: MediaryServer) -> None:
    messages = [
        {"role": "user", "content": "word " * 30_000},
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "And now?"},
    ]
    events = await converse(server, "", provider="Ollama", model="llama3.2", messages=messages)
    logs = [event["log"] for event in events if event["type"] == "log"]
    assert any("the oldest message was left out" in str(log) for log in logs)
    assert events[-1]["type"] == "finish"
