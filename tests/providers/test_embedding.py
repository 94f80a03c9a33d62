"""Texts placed in a space of meaning by OpenAI's and Google's wires, and which models do that."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.servers.aimock import KEY, Aimock
from tests.servers.scripted import Asked, Line, Scripted, said

from mediary.errors import (
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    RateLimitError,
)
from mediary.providers.base import Embeds
from mediary.providers.http.embedding import BATCH_CHARACTERS, batches, is_embedder

Make = Callable[..., Any]
wires = pytest.mark.parametrize("wire", ["openai", "gemini"])


@pytest.fixture
def makers(make: Make, make_gemini: Make) -> dict[str, Make]:
    return {"openai": make, "gemini": make_gemini}


def vector_of(text: str) -> list[float]:
    return [float(len(text)), 0.5]


async def play(asked: Asked, line: Line) -> None:
    """Embeds as OpenAI or Google would, the last text first where an index says which is which."""
    if asked.path == "/v1/embeddings":
        texts = asked.json["input"]
        found = [{"index": at, "embedding": vector_of(text)} for at, text in enumerate(texts)]
        await said({"object": "list", "data": found[::-1], "usage": {"total_tokens": 3}})(asked, line)
    elif asked.path == "/v1/models/m:batchEmbedContents":
        assert {request["model"] for request in asked.json["requests"]} == {"models/m"}
        texts = [request["content"]["parts"][0]["text"] for request in asked.json["requests"]]
        await said({"embeddings": [{"values": vector_of(text)} for text in texts]})(asked, line)
    else:
        await said({"error": {"message": "no such model", "status": "NOT_FOUND"}}, 404)(asked, line)


@wires
async def test_texts_become_vectors(makers: dict[str, Make], service: Scripted, wire: str):
    service.play(play)
    provider = makers[wire](service.base_url, api_key="k-0123456789")
    assert isinstance(provider, Embeds)
    texts = ["a" * (number % 9 + 1) for number in range(600)]
    assert await provider.embed(texts, "m") == [vector_of(text) for text in texts]
    assert len(service.asked) == {"openai": 3, "gemini": 6}[wire]


@wires
async def test_nothing_is_asked_for_nothing(makers: dict[str, Make], service: Scripted, wire: str):
    service.play(play)
    assert await makers[wire](service.base_url).embed([], "m") == []
    assert service.asked == []


@wires
async def test_an_empty_text_is_a_blank(makers: dict[str, Make], service: Scripted, wire: str):
    service.play(play)
    assert await makers[wire](service.base_url).embed(["", "ab"], "m") == [[1.0, 0.5], [2.0, 0.5]]


async def test_some_do_not_say_which_is_which(make: Make, service: Scripted):
    service.play(said({"data": [{"embedding": [1, 2]}, {"embedding": [3, 4]}]}))
    assert await make(service.base_url).embed(["a", "b"], "m") == [[1.0, 2.0], [3.0, 4.0]]
    assert service.asked[0].json == {"model": "m", "input": ["a", "b"], "encoding_format": "float"}


@wires
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": None, "embeddings": None},
        {"data": [{"embedding": [1.0]}], "embeddings": [{"values": [1.0]}]},
        {"data": [{"embedding": []}, {}], "embeddings": [{"values": []}, {}]},
        {"data": [{"embedding": [1.0]}, {"embedding": [1, 2]}], "embeddings": [{"values": [1.0]}, {"values": [1, 2]}]},
        {"data": "no", "embeddings": "no"},
        {"error": {"message": "out of luck"}},
        "no object",
    ],
)
async def test_what_is_no_answer(makers: dict[str, Make], service: Scripted, wire: str, answer: Any):
    service.play(said(answer))
    with pytest.raises(ProviderError):
        await makers[wire](service.base_url).embed(["a", "b"], "m")


@wires
@pytest.mark.parametrize(
    ("status", "message", "error"),
    [(401, "no", MissingAuthError), (404, "no such model", ModelNotFoundError), (429, "slow", RateLimitError)],
)
async def test_a_refusal(
    makers: dict[str, Make], service: Scripted, wire: str, status: int, message: str, error: type[ProviderError]
):
    service.play(said({"error": {"message": message}}, status))
    provider = makers[wire](service.base_url, api_key="k-0123456789")
    with pytest.raises(error, match=message) as caught:
        await provider.embed(["a"], "m")
    assert "k-0123456789" not in str(caught.value)


async def test_aimock_embeds(make: Make, aimock: Aimock):
    one, two = await make(aimock.base_url, api_key=KEY).embed(["the sea", "the lake"], "text-embedding-3-small")
    assert len(one) == len(two) > 100
    assert one != two


def test_batches_hold_what_they_may():
    assert list(batches([], 3)) == []
    assert list(batches(["a", "", "c", "d"], 3)) == [["a", " ", "c"], ["d"]]
    half = "x" * (BATCH_CHARACTERS // 2)
    assert [len(batch) for batch in batches([half, half, "y", half * 3, "z"], 100)] == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("model", "embeds"),
    [
        ("text-embedding-3-large", True),
        ("openai/text-embedding-ada-002", True),
        ("gemini-embedding-001", True),
        ("nomic-embed-text:v1.5", True),
        ("mxbai-embed-large:latest", True),
        ("all-minilm:22m", True),
        ("BAAI/bge-m3", True),
        ("jeffh/intfloat-multilingual-e5-large:f16", True),
        ("thenlper/gte-large", True),
        ("voyage-3.5", True),
        ("gpt-4o", False),
        ("llama3.2:latest", False),
        ("granite3.3:8b", False),
        ("qwen3:8b", False),
    ],
)
def test_which_models_embed(model: str, embeds: bool):
    assert is_embedder(model) is embeds
