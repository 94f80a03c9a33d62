"""Models as each service lists them, and the endpoint that each is taken to want."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.conftest import Make
from tests.providers.turns import ask, hold
from tests.servers.scripted import Asked, Line, Scripted, delta, events, said, streamed, whole

from mediary.errors import MissingAuthError, ProviderError
from mediary.providers.base import Model
from mediary.providers.http.models import MAX_MODELS, kind_by_id, read_models

LISTS: dict[str, tuple[Any, list[Model]]] = {
    "openai": (
        {
            "object": "list",
            "data": [
                {"id": "gpt-4o", "object": "model", "created": 1715367049, "owned_by": "system"},
                {"id": "gpt-4o-audio-preview", "object": "model", "created": 1, "owned_by": "system"},
                {"id": "gpt-4o-mini-tts", "object": "model", "created": 1, "owned_by": "system"},
                {"id": "gpt-4o-transcribe", "object": "model", "created": 1, "owned_by": "system"},
                {"id": "dall-e-3", "object": "model", "created": 1, "owned_by": "system"},
                {"id": "whisper-1", "object": "model", "created": 1, "owned_by": "system"},
                {"id": "text-embedding-3-small", "object": "model", "created": 1, "owned_by": "system"},
            ],
        },
        [
            Model("gpt-4o", vision=True),
            Model("gpt-4o-audio-preview", vision=True, audio=True),
            Model("gpt-4o-mini-tts", kind="speech"),
            Model("dall-e-3", kind="image"),
        ],
    ),
    "ollama": (
        {"object": "list", "data": [{"id": "llama3.2:latest", "object": "model", "created": 1, "owned_by": "library"}]},
        [Model("llama3.2:latest")],
    ),
    "ollama with nothing pulled": ({"object": "list", "data": None}, []),
    "llama.cpp": (
        {
            "models": [{"name": "gemma-3", "model": "gemma-3", "capabilities": ["completion", "multimodal"]}],
            "object": "list",
            "data": [{"id": "gemma-3", "object": "model", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131072}}],
        },
        [Model("gemma-3", vision=True)],
    ),
    "models alone": (
        {"models": [{"name": "a", "model": "a:1", "capabilities": ["multimodal"]}, "b"]},
        [Model("a:1", label="a", vision=True), Model("b")],
    ),
    "together": (
        [
            {"id": "meta-llama/Llama-3-8b", "object": "model", "type": "chat", "display_name": "Llama 3 8B"},
            {"id": "black-forest-labs/FLUX.1-schnell", "type": "image", "display_name": "FLUX.1"},
            {"id": "BAAI/bge-large", "type": "embedding", "display_name": "BGE"},
        ],
        [
            Model("meta-llama/Llama-3-8b", label="Llama 3 8B"),
            Model("black-forest-labs/FLUX.1-schnell", kind="image", label="FLUX.1"),
        ],
    ),
    "openrouter": (
        {
            "data": [
                {
                    "id": "openai/gpt-4o",
                    "name": "OpenAI: GPT-4o",
                    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                },
                {
                    "id": "black-forest-labs/flux.2-pro",
                    "name": "FLUX.2",
                    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["image"]},
                },
                {"id": "old/one", "name": "Old", "architecture": {"modality": "text->text"}},
            ]
        },
        [
            Model("openai/gpt-4o", label="OpenAI: GPT-4o", vision=True),
            Model("black-forest-labs/flux.2-pro", kind="image", label="FLUX.2", vision=True),
            Model("old/one", label="Old"),
        ],
    ),
    "mistral": (
        {
            "object": "list",
            "data": [
                {
                    "id": "pixtral-large",
                    "name": "pixtral-large",
                    "type": "base",
                    "capabilities": {"completion_chat": True, "vision": True, "fine_tuning": False},
                },
                {"id": "codestral", "capabilities": {"completion_chat": True, "vision": False}},
            ],
        },
        [Model("pixtral-large", vision=True), Model("codestral")],
    ),
    "lm studio": (
        {"data": [{"id": "qwen2-vl-7b-instruct", "object": "model", "type": "vlm", "state": "loaded"}]},
        [Model("qwen2-vl-7b-instruct", vision=True)],
    ),
    "names alone": (["a", "b"], [Model("a"), Model("b")]),
    "nameless": ({"data": [{"object": "model"}, {"id": None}, {"id": "x"}]}, [Model("x")]),
}


@pytest.mark.parametrize(("listed", "models"), LISTS.values(), ids=LISTS.keys())
async def test_lists(make: Make, service: Scripted, listed: Any, models: list[Model]):
    service.play(said(listed))
    assert await make(service.base_url).models() == models
    assert [asked.path for asked in service.asked] == ["/v1/models"]


@pytest.mark.parametrize("body", [b"", b"nope", b"<html>", b"7", b'{"data": 7}'])
async def test_what_is_no_list(make: Make, service: Scripted, body: bytes):
    service.play(whole(body))
    with pytest.raises(ProviderError, match="list of models"):
        await make(service.base_url).models()


async def test_a_list_needs_a_key(make: Make, service: Scripted):
    service.play(said({"error": {"message": "Missing bearer"}}, 401))
    with pytest.raises(MissingAuthError, match="Missing bearer"):
        await make(service.base_url).models()
    service.play(said({"data": [{"id": "x"}]}))
    assert await make(service.base_url).models(api_key="mine") == [Model("x")]
    assert service.asked[0].headers["authorization"] == "Bearer mine"


async def test_the_settings_have_the_last_word(make: Make, service: Scripted):
    service.play(said({"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}))
    provider = make(
        service.base_url,
        default_model="c",
        image_models=("b", "d"),
        speech_models=("e",),
        vision_models=("a",),
    )
    assert await provider.models() == [
        Model("c"),
        Model("a", vision=True),
        Model("b", kind="image"),
        Model("d", kind="image"),
        Model("e", kind="speech"),
    ]


async def test_models_of_the_settings_are_not_asked_for(make: Make, service: Scripted):
    provider = make(service.base_url, models=("x", "tts-1"), default_model="y")
    assert [(model.id, model.kind) for model in await provider.models()] == [
        ("y", "chat"),
        ("x", "chat"),
        ("tts-1", "speech"),
    ]
    assert service.asked == []


async def test_custom_lists_nothing_without_an_address(make: Make):
    assert await make(None, name="Custom").models() == []


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("gpt-4o", "chat"),
        ("dall-e-2", "image"),
        ("openai/gpt-image-1-mini", "image"),
        ("black-forest-labs/FLUX.1-dev", "image"),
        ("imagen-3.0-generate-002", "image"),
        ("stabilityai/stable-diffusion-xl-base-1.0", "image"),
        ("google/gemini-2.5-flash-image", "chat"),
        ("tts-1-hd", "speech"),
        ("gpt-4o-mini-tts", "speech"),
        ("canopylabs/orpheus-v1-english", "speech"),
        ("playai-tts", "speech"),
        ("nomic-embed-text", None),
        ("whisper-large-v3", None),
        ("omni-moderation-latest", None),
    ],
)
def test_kinds_by_id(model: str, kind: str | None):
    assert kind_by_id(model) == kind


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_a_list_or_a_provider_error(value: Any):
    with suppress(ProviderError):
        assert all(
            known.model is None or known.model.id for known in read_models("T", json.dumps(value).encode())[0].values()
        )


def by_path(**plays: Any):
    async def play(asked: Asked, line: Line) -> None:
        await plays[asked.path.rpartition("/")[2]](asked, line)

    return play


async def test_pictures_go_by_the_chat_where_the_service_says_so(make: Make, service: Scripted):
    architecture = {"output_modalities": ["image", "text"], "input_modalities": ["text"]}
    service.play(
        by_path(
            models=said({"data": [{"id": "some/flux-2", "architecture": architecture}]}),
            completions=streamed(events(delta(images=[{"image_url": {"url": "https://x.test/1.png"}}]), delta("stop"))),
        )
    )
    provider = make(service.base_url)
    for _ in range(2):
        turn = await hold(provider, ask("A boat", model="some/flux-2"))
        assert [picture.url for picture in turn.media] == ["https://x.test/1.png"]
    assert [asked.path for asked in service.asked] == ["/v1/models", "/v1/chat/completions", "/v1/chat/completions"]
    assert service.asked[1].json["modalities"] == ["image", "text"]


async def test_the_endpoint_goes_by_the_id_where_the_service_lists_nothing(make: Make, service: Scripted):
    picture = said({"data": [{"url": "https://x.test/1.png"}]})
    service.play(by_path(models=said({"error": "no such thing"}, 404), generations=picture))
    provider = make(service.base_url)
    for _ in range(2):
        assert len((await hold(provider, ask("A boat", model="flux-dev"))).media) == 1
    assert [asked.path for asked in service.asked] == [
        "/v1/models",
        "/v1/images/generations",
        "/v1/images/generations",
    ]


async def test_the_service_tells_what_a_name_does_not(make: Make, service: Scripted):
    picture = said({"data": [{"url": "https://x.test/1.png"}]})
    service.play(by_path(models=said([{"id": "dreamer", "type": "image"}]), generations=picture))
    provider = make(service.base_url)
    await provider.models()
    assert len((await hold(provider, ask("A boat", model="dreamer"))).media) == 1


async def test_a_list_for_the_key_of_a_request_is_for_nobody_else(make: Make, service: Scripted):
    """Or whoever brings a key could turn everybody's chat model into one for pictures."""
    answer = streamed(events(delta(content="Hi"), delta("stop")))
    mine = {"data": [{"id": "m", "type": "image"}]}

    async def play(asked: Asked, line: Line) -> None:
        is_mine = asked.headers["authorization"] == "Bearer mine"
        listed = said(mine if is_mine else {"data": [{"id": "m"}]})
        await (listed if asked.method == "GET" else answer)(asked, line)

    service.play(play)
    provider = make(service.base_url, api_key="sk-of-the-operator")
    await provider.models()
    assert [model.kind for model in await provider.models(api_key="mine")] == ["image"]
    assert (await hold(provider, ask("Hello", model="m"))).text == "Hi"


async def test_the_service_is_asked_as_the_operator_where_a_picture_goes(make: Make, service: Scripted):
    architecture = {"output_modalities": ["image"]}
    service.play(
        by_path(
            models=said({"data": [{"id": "some/flux-2", "architecture": architecture}]}),
            completions=streamed(events(delta(images=[{"image_url": {"url": "https://x.test/1.png"}}]), delta("stop"))),
        )
    )
    provider = make(service.base_url, api_key="sk-of-the-operator")
    turns = await asyncio.gather(
        *(hold(provider, ask("A boat", model="some/flux-2", api_key="mine")) for _ in range(3))
    )
    assert [len(turn.media) for turn in turns] == [1, 1, 1]
    keys = [(asked.method, asked.headers["authorization"]) for asked in service.asked]
    assert keys == [("GET", "Bearer sk-of-the-operator"), *[("POST", "Bearer mine")] * 3]


async def test_a_list_that_is_far_too_long_is_cut(make: Make, service: Scripted, caplog: pytest.LogCaptureFixture):
    service.play(said({"data": [f"model-{number}" for number in range(MAX_MODELS + 5)]}))
    provider = make(service.base_url)
    for _ in range(2):
        assert len(await provider.models()) == MAX_MODELS
    assert [record.message for record in caplog.records] == ["a list of models is cut"]


@pytest.mark.parametrize("body", [b"[" + b'"model",' * 1_200_000 + b'"z"]', b"[" * 100_000])
async def test_a_list_that_nobody_can_mean(make: Make, service: Scripted, body: bytes):
    service.play(whole(body))
    with pytest.raises(ProviderError, match=r"larger than|cannot be read"):
        await make(service.base_url).models()


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        ({"context_length": 131072}, 131072),  # OpenRouter, Together
        ({"max_model_len": 8192}, 8192),  # vLLM
        ({"max_context_length": 32768}, 32768),  # Mistral, LM Studio
        ({"context_window": 16384.0}, 16384),  # Groq
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 131072}}, 4096),  # llama.cpp
        ({"meta": {"n_ctx_train": 131072}}, None),
        ({"context_length": None, "max_model_len": 8192}, 8192),
        ({"context_length": "many"}, None),
        ({"context_length": True}, None),
        ({"context_length": -1}, None),
        ({"context_length": 0, "meta": []}, None),
        ({}, None),
    ],
)
async def test_the_window_as_each_service_tells_it(
    make: Make, service: Scripted, told: dict[str, Any], tokens: int | None
):
    service.play(said({"data": [{"id": "m", **told}]}))

    assert [model.context_tokens for model in await make(service.base_url).models()] == [tokens]
    [configured] = await make(service.base_url, context_tokens=999).models()
    assert configured.context_tokens == 999
