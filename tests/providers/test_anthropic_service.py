"""The Messages wire and its service: headers, models, refusals, against a small and strict Anthropic."""

import asyncio
from collections.abc import Callable

import pytest
from anthropic import AsyncAnthropic, NotFoundError
from pydantic import SecretStr
from tests.providers.claude import HAIKU, OPUS, SMALL, good, say
from tests.providers.turns import ask, hold
from tests.servers.anthropic import KEY, Small
from tests.servers.scripted import Scripted, said

from mediary.errors import (
    AddressRefusedError,
    BadAnswerError,
    BadRequestError,
    FieldError,
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    SettingsError,
)
from mediary.net.client import HttpClient
from mediary.providers.anthropic.provider import Anthropic
from mediary.providers.base import (
    HasFlow,
    TakesFiles,
)
from mediary.settings import NetSettings, ProviderSettings

MakeAnthropic = Callable[..., Anthropic]


async def test_the_sdk_accepts_this_service(small: Small):
    async with AsyncAnthropic(base_url=small.sdk_url, api_key=KEY, max_retries=0) as client:
        assert [model.id async for model in client.models.list(limit=2)] == [OPUS, HAIKU, SMALL]
        file = await client.files.upload(file=("ä.txt", b"hello", "text/plain"), expires_in_seconds=3600)
        assert (file.filename, file.size_bytes) == ("ä.txt", 5) and file.expires_at
        assert [found.id async for found in client.files.list()] == [file.id]
        source = {"type": "document", "source": {"type": "file", "file_id": file.id}}
        question = {"role": "user", "content": [source, {"type": "text", "text": "What is this?"}]}
        asked = {"model": HAIKU, "max_tokens": 100, "messages": [question]}
        whole = await client.messages.create(**asked)
        async with client.messages.stream(**asked) as stream:
            streamed = await stream.get_final_message()
        assert whole.content[0].text == streamed.content[0].text == "You said: [text/plain of 5 bytes] What is this?"
        assert (await client.files.delete(file.id)).id == file.id
        with pytest.raises(NotFoundError, match="File not found"):
            await client.messages.create(**asked)


async def test_text_usage_and_end(claude: Anthropic):
    turn = await good(claude, say("Grüße, 世界 🌍"))
    assert turn.text == "You said: Grüße, 世界 🌍"
    assert turn.reason == "stop"
    assert turn.usage == {
        "input_tokens": 12,
        "output_tokens": 7,
        "cache_read_input_tokens": 100,
        "prompt_tokens": 112,
        "completion_tokens": 7,
        "total_tokens": 119,
    }


async def test_headers(claude: Anthropic, small: Small):
    await good(claude, say("Hello"))
    (headers,) = small.headers
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2026-10-21"
    assert not {"authorization", "anthropic-beta"} & headers.keys()


async def test_the_operator_has_the_last_word_on_headers(make_anthropic: MakeAnthropic, small: Small):
    own = {"Authorization": f"Bearer {KEY}", "Anthropic-Version": "2023-06-01", "anthropic-beta": "some-2026-01-01"}
    await good(make_anthropic(small.base_url, api_key="not shown", headers=own), say("Hello"))
    (headers,) = small.headers
    assert "x-api-key" not in headers
    assert (headers["anthropic-version"], headers["anthropic-beta"]) == ("2023-06-01", "some-2026-01-01")


async def test_the_key_of_a_request_stands_for_all_of_the_operator(make_anthropic: MakeAnthropic, small: Small):
    own = {"authorization": "Bearer no", "X-Api-Key": "no", "X-Team": "blue"}
    claude = make_anthropic(small.base_url, api_key="no", headers=own)
    await good(claude, say("Hello", api_key=KEY))
    (headers,) = small.headers
    assert (headers["x-api-key"], headers["x-team"]) == (KEY, "blue")
    assert "authorization" not in headers


async def test_headers_of_the_files(claude: Anthropic, small: Small):
    await good(claude, say("Hello", headers={"anthropic-beta": "files-1"}))
    assert small.headers[0]["anthropic-beta"] == "files-1"


async def test_an_address_that_comes_with_the_request_gets_nothing_of_the_operator(service: Scripted):
    service.play(said({"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}))
    settings = ProviderSettings(wire="anthropic", api_key=SecretStr(KEY), headers={"X-Secret": SecretStr("secret")})
    for allow, failure in (((), AddressRefusedError), (["127.0.0.0/8"], None)):
        http = HttpClient(NetSettings(allow=allow))
        custom = Anthropic("Custom", settings, http)
        assert isinstance((await hold(custom, say("Hello"))).error, BadRequestError)
        turn = await hold(custom, say("Hello", base_url=service.base_url, api_key="theirs"))
        assert type(turn.error) is (failure or type(None))
        await http.close()
    (asked,) = service.asked
    assert asked.headers["x-api-key"] == "theirs"
    assert "x-secret" not in asked.headers


async def test_models_on_several_pages(make_anthropic: MakeAnthropic, small: Small):
    small.page = 2
    models = await make_anthropic(small.base_url, api_key=KEY, default_model=HAIKU).models()
    assert [(model.id, model.vision, model.context_tokens) for model in models] == [
        (HAIKU, True, 200_000),
        (OPUS, True, 1_000_000),
        (SMALL, False, 200_000),
    ]
    assert models[0].label == "Claude Haiku 4 5"
    assert {model.kind for model in models} == {"chat"}
    assert len(small.asked) == 2


async def test_models_of_the_settings(make_anthropic: MakeAnthropic, small: Small):
    claude = make_anthropic(small.base_url, models=("a", "b"), vision_models=("b",), context_tokens=9000)
    assert [(model.id, model.vision, model.context_tokens) for model in await claude.models()] == [
        ("a", False, 9000),
        ("b", True, 9000),
    ]
    assert small.asked == []


async def test_what_it_takes(make_anthropic: MakeAnthropic, small: Small):
    claude = make_anthropic(small.base_url)
    assert isinstance(claude, TakesFiles) and isinstance(claude, HasFlow)
    assert claude.flow == "anthropic_files"
    takes = claude.takes(OPUS)
    assert takes.has("image/webp") and takes.has("application/pdf") and takes.has("text/plain")
    assert not takes.has("image/bmp") and not takes.has("video/mp4") and not takes.has("text/csv")
    assert (takes.limit("image/png"), takes.limit("application/pdf")) == (5 * 1024**2, 22 * 1024**2)
    assert takes.together == 22 * 1024**2
    takes = make_anthropic(small.base_url, takes=("image/*",), inline_bytes=9).takes(OPUS)
    assert (takes.types, takes.limit("image/png")) == (("image/*",), 9)


async def test_a_wrong_key(make_anthropic: MakeAnthropic, small: Small):
    wrong = "sk-ant-wrong-0123456789"
    turn = await hold(make_anthropic(small.base_url, api_key=wrong), say("Hello"))
    assert type(turn.error) is MissingAuthError
    assert "invalid x-api-key" in str(turn.error)
    assert wrong not in str(turn.error)


async def test_a_key_that_cannot_be_sent(make_anthropic: MakeAnthropic, small: Small):
    with pytest.raises(SettingsError) as caught:
        make_anthropic(small.base_url, api_key="ключ")
    assert "ключ" not in str(caught.value)
    with pytest.raises(SettingsError, match="X Bad"):
        make_anthropic(small.base_url, headers={"X Bad": "a"})
    turn = await hold(make_anthropic(small.base_url), say("Hello", api_key="a\nb"))
    assert isinstance(turn.error, FieldError)


async def test_an_unknown_model(claude: Anthropic):
    turn = await hold(claude, say("Hello", model="claude-none"))
    assert type(turn.error) is ModelNotFoundError


def refused(status: int, kind: str, *headers: str):
    body = {"type": "error", "error": {"type": kind, "message": f"A {kind}"}, "request_id": "req_1"}
    return said(body, status, *headers)


@pytest.mark.parametrize(
    ("answer", "error", "asked"),
    [
        (refused(400, "invalid_request_error"), ProviderError, 1),
        (refused(402, "billing_error"), ProviderError, 1),
        (refused(403, "permission_error"), MissingAuthError, 1),
        (refused(413, "request_too_large"), ProviderError, 1),
        (refused(429, "rate_limit_error", "retry-after: 30"), RateLimitError, 1),
        (refused(500, "api_error"), ProviderUnavailableError, 1),
        (refused(529, "overloaded_error"), ProviderUnavailableError, 2),
        (said({"type": "error", "error": {"type": "overloaded_error", "message": "A"}}), ProviderUnavailableError, 1),
        (said({"choices": []}), BadAnswerError, 1),
        (said([]), BadAnswerError, 1),
    ],
)
async def test_refusals(make_anthropic: MakeAnthropic, service: Scripted, answer, error, asked):
    service.play(answer)
    turn = await hold(make_anthropic(service.base_url), ask("Hello"))
    assert type(turn.error) is error
    assert turn.events == []
    assert len(service.asked) == asked
    if isinstance(turn.error, RateLimitError):
        assert turn.error.retry_after == 30


async def test_a_list_that_is_none(make_anthropic: MakeAnthropic, service: Scripted):
    service.play(said([1]))
    with pytest.raises(ProviderError, match="cannot be read"):
        await make_anthropic(service.base_url).models()
    service.play(said({"data": [{"id": "a"}, {}], "has_more": True, "last_id": "a b&c"}))
    assert [model.id for model in await make_anthropic(service.base_url).models()] == ["a"]
    assert [asked.path for asked in service.asked][:2] == [
        "/v1/models?limit=1000",
        "/v1/models?limit=1000&after_id=a%20b%26c",
    ]
    assert len(service.asked) == 10


async def test_many_at_once(claude: Anthropic):
    turns = await asyncio.gather(*(good(claude, say(f"Number {number}")) for number in range(20)))
    assert [turn.text for turn in turns] == [f"You said: Number {number}" for number in range(20)]


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
async def test_a_base_url_with_and_without_the_version(make_anthropic: MakeAnthropic, small: Small, end: str):
    turn = await hold(make_anthropic(small.sdk_url + end, api_key=KEY), say("Hello"))
    assert (turn.error, turn.text) == (None, "You said: Hello")
