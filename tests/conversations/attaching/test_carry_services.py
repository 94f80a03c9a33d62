"""Files of questions to DashScope and Mistral, through HTTP: uploaded by their protocols once, and pointed to."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.conversations.questions import PDF, ask, serving
from tests.media.samples import picture, video
from tests.servers.dashscope import KEY as DASHSCOPE_KEY
from tests.servers.dashscope import DashScopeService, dashscope_service
from tests.servers.mediary import MediaryServer
from tests.servers.mistral import KEY as MISTRAL_KEY
from tests.servers.mistral import MistralService, mistral
from tests.servers.scripted import Scripted, delta, events, scripted, streamed

YES = streamed(events(delta(content="yes"), delta("stop")))
FILM = video("mp4", "mpeg4")


@pytest.fixture(scope="module")
async def dashscope() -> AsyncIterator[DashScopeService]:
    async with dashscope_service() as running:
        yield running


@pytest.fixture(scope="module")
async def storage() -> AsyncIterator[MistralService]:
    async with mistral() as running:
        yield running


@pytest.fixture(scope="module")
async def model() -> AsyncIterator[Scripted]:
    async with scripted() as running:
        running.play(YES)
        yield running


@pytest.fixture(scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, dashscope: DashScopeService, storage: MistralService, model: Scripted
) -> AsyncIterator[MediaryServer]:
    settings = (
        '[net]\nallow = ["127.0.0.0/8"]\n[conversation]\ninline_bytes = 0\n'
        f'[providers.Qwen]\nwire = "openai"\nbase_url = "http://127.0.0.1:{dashscope.port}/compatible-mode/v1"\n'
        f'api_key = "{DASHSCOPE_KEY}"\nmodels = ["qwen-vl", "qwen-omni"]\nuploads = "dashscope"\n'
        f'[providers.Mistral]\nwire = "openai"\nbase_url = "{model.base_url}"\napi_key = "{MISTRAL_KEY}"\n'
        f'models = ["small"]\nuploads = {{ flow = "mistral_files", base_url = "{storage.base_url}" }}\n'
    )
    async with serving(tmp_path_factory.mktemp("services"), settings) as running:
        yield running


async def test_dashscope_finds_what_was_uploaded_for_the_model(server: MediaryServer, dashscope: DashScopeService):
    brought = {"film.mp4": FILM, "sea.png": picture(width=161)}
    first = await ask(server, brought, provider="Qwen", model="qwen-vl")
    assert first.text == f"video_url video/mp4 {len(FILM)}; image_url image/png {len(brought['sea.png'])}"
    assert first.last["type"] == "finish"
    stored = len(dashscope.storage.objects)
    again = await ask(server, brought, provider="Qwen", model="qwen-vl")
    assert again.text == first.text
    assert sorted(again.logs) == ["film.mp4 is with Qwen already", "sea.png is with Qwen already"]
    assert len(dashscope.storage.objects) == stored
    # What was uploaded for one model is not good for another.
    other = await ask(server, brought, provider="Qwen", model="qwen-omni")
    assert other.text == first.text
    assert len(dashscope.storage.objects) == stored + 2


async def test_mistral_reads_a_document_by_its_link(server: MediaryServer, storage: MistralService, model: Scripted):
    document = PDF + b"% for Mistral"
    for _ in range(2):
        answer = await ask(server, {"lease.pdf": document}, provider="Mistral", model="small")
        assert answer.text == "yes"
    assert answer.logs == ["lease.pdf is with Mistral already"]
    assert [content for content in storage.contents.values() if content == document] == [document]
    parts: list[dict[str, Any]] = model.asked[-1].json["messages"][-1]["content"]
    [pointed] = [part for part in parts if part["type"] == "document_url"]
    assert str(pointed["document_url"]).startswith(storage.url)
    assert "Bearer" not in str(parts)
