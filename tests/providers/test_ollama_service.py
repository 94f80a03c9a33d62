"""Ollama as a service: models that are slow to load, which there are and what they can, vectors, its own client."""

import asyncio
import base64
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, cast

import pytest
from ollama import AsyncClient
from tests.clock import Jump
from tests.providers.turns import ask, hold
from tests.servers.ollama import Kept, OllamaPeer, png
from tests.servers.scripted import Asked, Hanging, Line, Scripted, said

from mediary.errors import (
    BadRequestError,
    ModelNotFoundError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from mediary.events import Content, Reasoning
from mediary.providers.base import Embeds, Model
from mediary.providers.ollama.provider import LOADING_SECONDS, Ollama

MakeOllama = Callable[..., Ollama]


async def test_people_see_that_a_model_is_being_loaded(make_ollama: MakeOllama, ollama: OllamaPeer, jump: Jump):
    ollama.loaded = asyncio.Event()
    request = ask("Hello", model="llama3.2", stream_timeout=1.0)
    async with asyncio.timeout(60), aclosing(cast("Any", make_ollama(ollama.url).converse(request))) as turn:
        first = asyncio.ensure_future(anext(turn))
        await ollama.waiting.wait()
        jump(LOADING_SECONDS)
        assert await first == Reasoning(label="Model", status="loading")
        # Thirty times as long as may be between two pieces.
        jump(30)
        second = asyncio.ensure_future(anext(turn))
        done, _ = await asyncio.wait([second], timeout=0.05)
        assert not done
        ollama.loaded.set()
        assert await second == Content(content="You ")


async def test_nobody_is_told_of_a_model_that_answers_at_once(make_ollama: MakeOllama, ollama: OllamaPeer):
    turn = await hold(make_ollama(ollama.url), ask("Hello", model="llama3.2"))
    assert not [event for event in turn.events if isinstance(event, Reasoning)]


async def test_a_load_has_all_the_time_of_the_turn_and_no_more(make_ollama: MakeOllama, ollama: OllamaPeer, jump: Jump):
    ollama.loaded = asyncio.Event()
    turn = asyncio.ensure_future(
        hold(make_ollama(ollama.url), ask("Hello", model="llama3.2", stream_timeout=1.0, timeout=40.0))
    )
    await ollama.waiting.wait()
    jump(39)
    done, _ = await asyncio.wait([turn], timeout=0.05)
    assert not done
    jump(41)
    assert isinstance((await turn).error, ProviderTimeoutError)


@pytest.mark.parametrize("seen", [False, True])
async def test_who_leaves_while_a_model_is_loaded_ends_the_request(
    make_ollama: MakeOllama, ollama: OllamaPeer, jump: Jump, seen: bool
):
    ollama.loaded = asyncio.Event()

    async def listen() -> None:
        async with aclosing(cast("Any", make_ollama(ollama.url).converse(ask("Hello", model="llama3.2")))) as turn:
            async for _ in turn:
                told.set()

    told = asyncio.Event()
    listening = asyncio.create_task(listen())
    await ollama.waiting.wait()
    if seen:
        jump(LOADING_SECONDS)
        await told.wait()
    listening.cancel()
    async with asyncio.timeout(1):
        await ollama.left.wait()
    await asyncio.wait([listening])
    assert listening.cancelled()


async def test_a_turn_that_is_closed_while_a_model_is_loaded_ends_the_request(
    make_ollama: MakeOllama, ollama: OllamaPeer, jump: Jump
):
    ollama.loaded = asyncio.Event()
    async with aclosing(cast("Any", make_ollama(ollama.url).converse(ask("Hello", model="llama3.2")))) as turn:
        first = asyncio.ensure_future(anext(turn))
        await ollama.waiting.wait()
        jump(LOADING_SECONDS)
        await first
    async with asyncio.timeout(1):
        await ollama.left.wait()


async def test_a_server_that_hangs_up_while_it_loads(make_ollama: MakeOllama, service: Scripted):
    async def hang_up(_: Any, line: Any) -> None:
        line.reset()

    service.play(hang_up)
    turn = await hold(make_ollama(service.origin), ask("Hello"))
    assert isinstance(turn.error, ProviderUnavailableError)


async def test_a_model_that_breaks_in_the_middle(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.crashes = True
    turn = await hold(make_ollama(ollama.url), ask("Hello", model="llama3.2"))
    assert turn.text == "You said: Hello "
    assert type(turn.error) is ProviderUnavailableError
    assert "CUDA error: out of memory" in str(turn.error)


async def test_more_memory_than_there_is(make_ollama: MakeOllama, service: Scripted):
    words = "model requires more system memory (22.4 GiB) than is available (15.2 GiB)"
    service.play(said({"error": words}, 500))
    turn = await hold(make_ollama(service.origin), ask("Hello"))
    assert type(turn.error) is ProviderUnavailableError
    assert words in str(turn.error)


async def test_a_model_that_is_not_there(make_ollama: MakeOllama, ollama: OllamaPeer):
    turn = await hold(make_ollama(ollama.url), ask("Hello", model="lama3.2"))
    assert type(turn.error) is ModelNotFoundError
    said = str(turn.error)
    assert said.startswith("Test: model 'lama3.2' not found; there are: llama3.2:latest, ")
    assert all(name in said for name in ollama.models)


async def test_no_model_is_there_at_all(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.models.clear()
    turn = await hold(make_ollama(ollama.url), ask("Hello", model="llama3.2"))
    assert str(turn.error) == "Test: model 'llama3.2' not found; there is none: get one with `ollama pull`"


async def test_many_models_are_not_all_named(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.models |= {f"m{number}:latest": Kept(("completion",)) for number in range(20)}
    turn = await hold(make_ollama(ollama.url), ask("Hello", model="m999"))
    assert str(turn.error).endswith(" and 16 more")


async def test_models_with_what_they_can(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url)
    assert await provider.models() == [
        Model("llama3.2:latest", tags=("tools",), context_tokens=32_768),
        Model("qwen3:8b", tags=("tools", "thinking"), context_tokens=32_768),
        Model("gemma3:4b", vision=True, context_tokens=65_536),
        Model("tiny:latest", context_tokens=2_048),
        Model("x/z-image-turbo:latest", "image", vision=True),
    ]
    assert [provider.takes(model).types != () for model in ("llama3.2", "gemma3:4b", "unheard-of")] == [
        False,
        True,
        True,
    ]


async def test_each_model_is_asked_about_once(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url)
    for _ in range(3):
        await provider.models()
    assert ollama.asked.count("/api/show") == len(ollama.models)
    # The same name means another model now, and one is gone.
    ollama.models["tiny:latest"] = Kept(("completion", "vision"), 4_096, digest="d2")
    del ollama.models["qwen3:8b"]
    models = await provider.models()
    assert ollama.asked.count("/api/show") == len(ollama.models) + 2
    assert Model("tiny:latest", vision=True, context_tokens=4_096) in models
    assert "qwen3:8b" not in [model.id for model in models]


async def test_an_old_server_tells_less(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.is_old = True
    ollama.models["llava-like:7b"] = Kept(("completion", "vision"))
    models = {model.id: model for model in await make_ollama(ollama.url).models()}
    assert models["llava-like:7b"].vision
    assert not models["llama3.2:latest"].vision
    assert "all-minilm:latest" not in models
    assert models["x/z-image-turbo:latest"].kind == "image"


async def test_a_window_that_is_no_number(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.models["tiny:latest"].parameters = f"num_ctx {'9' * 5000}\n"
    models = {model.id: model for model in await make_ollama(ollama.url).models()}
    assert models["tiny:latest"].context_tokens == 2_048


async def test_what_cannot_be_shown_is_listed_all_the_same(make_ollama: MakeOllama, service: Scripted):
    async def play(asked: Any, line: Any) -> None:
        if asked.path == "/api/tags":
            await said({"models": [{"name": "qwen2.5vl:7b"}, {"model": "bge-m3"}, {}]})(asked, line)
        else:
            await said({"error": "no"}, 500)(asked, line)

    service.play(play)
    assert await make_ollama(service.origin).models() == [Model("qwen2.5vl:7b", vision=True)]


async def test_a_list_does_not_wait_for_a_model_that_is_not_shown(
    make_ollama: MakeOllama, service: Scripted, jump: Jump
):
    asked = asyncio.Event()

    class Silent(Hanging):
        async def __call__(self, _: Asked, line: Line) -> None:
            asked.set()

    service.play(said({"models": [{"name": "slow:latest"}]}), Silent())
    listing = asyncio.ensure_future(make_ollama(service.origin).models())
    async with asyncio.timeout(60):
        await asked.wait()
        jump(5)
        assert await listing == [Model("slow:latest")]
        await service.until_open(0)


async def test_models_of_the_settings(make_ollama: MakeOllama, ollama: OllamaPeer):
    settings = {"default_model": "tiny", "vision_models": ("llama3.2",), "context_tokens": 8_000}
    models = await make_ollama(ollama.url, **settings).models()
    assert models[0] == Model("tiny", context_tokens=8_000)
    assert [model.id for model in models].count("tiny:latest") == 0
    assert next(model for model in models if model.id == "llama3.2:latest").vision
    only = await make_ollama(ollama.url, models=("a", "b"), image_models=("b",)).models()
    assert [(model.id, model.kind) for model in only] == [("a", "chat"), ("b", "image")]


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/", "/v1"])
async def test_where_its_api_is(make_ollama: MakeOllama, ollama: OllamaPeer, path: str):
    turn = await hold(make_ollama(ollama.url + path), ask("Hello", model="llama3.2"))
    assert turn.text == "You said: Hello "


def test_without_an_address_it_is_on_this_machine(make_ollama: MakeOllama):
    assert make_ollama(None).url == "http://127.0.0.1:11434"


async def test_texts_become_vectors(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url)
    assert isinstance(provider, Embeds)
    texts = ["a" * (number % 7) for number in range(300)]
    vectors = await provider.embed(texts, "all-minilm")
    assert vectors == [[float(len(text) or 1), 1.0, 0.5] for text in texts]
    assert [len(question["input"]) for question in ollama.questions] == [128, 128, 44]
    assert await provider.embed([], "all-minilm") == []


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ("llama3.2", ProviderUnavailableError, "this model does not support embeddings"),
        ("none", ModelNotFoundError, "model 'none' not found; there are: "),
    ],
)
async def test_what_does_not_embed(
    make_ollama: MakeOllama, ollama: OllamaPeer, model: str, error: type[ProviderError], words: str
):
    with pytest.raises(error, match=words):
        await make_ollama(ollama.url).embed(["a"], model)


@pytest.mark.parametrize(
    "answer",
    [
        {"embeddings": [[1.0]]},
        {"embeddings": [[1.0], [1.0, 2.0]]},
        {"embeddings": [[], []]},
        {"embeddings": None},
        {"embeddings": "no"},
        {"error": "out of luck"},
        {},
    ],
)
async def test_vectors_that_are_none(make_ollama: MakeOllama, service: Scripted, answer: dict[str, Any]):
    service.play(said(answer))
    with pytest.raises(ProviderError):
        await make_ollama(service.origin).embed(["a", "b"], "m")


async def test_half_a_character_is_nobodys_question(make_ollama: MakeOllama, ollama: OllamaPeer):
    with pytest.raises(BadRequestError):
        await make_ollama(ollama.url).embed(["\ud800"], "all-minilm")
    turn = await hold(make_ollama(ollama.url), ask("\ud800", model="llama3.2"))
    assert isinstance(turn.error, BadRequestError)


async def test_twenty_at_once(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url)
    turns = await asyncio.gather(*(hold(provider, ask(f"number {n}", model="llama3.2")) for n in range(20)))
    assert [turn.text for turn in turns] == [f"You said: number {n} " for n in range(20)]


async def test_the_official_client_takes_the_peer_for_ollama(ollama: OllamaPeer):
    question = {"role": "user", "content": "Look", "images": [png(2, 2)]}
    functions = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    async with AsyncClient(ollama.url) as client:
        assert len((await client.list()).models) == len(ollama.models)
        assert (await client.show("qwen3:8b")).capabilities == ["completion", "tools", "thinking"]
        seen = await client.chat("gemma3:4b", [question])
        stream = await client.chat("qwen3:8b", [question | {"images": None}], think="low", stream=True)
        parts = [part async for part in stream]
        called = await client.chat("llama3.2", [{"role": "user", "content": "Go"}], tools=functions)
        embedded = await client.embed("all-minilm", ["one", "three"])
        painted = await client.generate("x/z-image-turbo", "A boat", width=64, height=64)
    assert seen.message.content == f"You said: Look and saw {len(png(2, 2))} bytes "
    assert "".join(part.message.thinking or "" for part in parts) == "Hm, low."
    assert (parts[-1].done_reason, parts[-1].prompt_eval_count) == ("stop", 1)
    assert [call.function.name for call in called.message.tool_calls or ()] == ["f"]
    assert embedded.embeddings == [[3.0, 1.0, 0.5], [5.0, 1.0, 0.5]]
    assert base64.b64decode(painted.image or "").startswith(b"\x89PNG")
