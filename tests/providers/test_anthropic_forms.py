"""Answers on the Messages wire, cut into pieces anywhere, with any line ends, and broken off anywhere."""

import asyncio
from collections.abc import Callable

import pytest
from anthropic import AsyncAnthropic
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.anthropic_forms import FORMS
from tests.providers.forms import FOLDER, Form, check, cut, read_pieces
from tests.providers.turns import Turn, ask, hold
from tests.servers.scripted import Hanging, Scripted, events, said, streamed, whole

from mediary.errors import (
    BadAnswerError,
    MissingAuthError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.providers.anthropic.answer import MessageReader
from mediary.providers.anthropic.provider import Anthropic

MakeAnthropic = Callable[..., Anthropic]

forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
STREAMED = [form for form in FORMS if form.name.endswith(".sse")]
OFFICIAL = [form for form in FORMS if form.name.startswith("anthropic-") and "unknown" not in form.name]
BEGINNING = (
    {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
)


async def read(pieces: list[bytes]) -> Turn:
    return await read_pieces(pieces, MessageReader("Test", "m"))


@forms
async def test_over_the_network(make_anthropic: MakeAnthropic, service: Scripted, form: Form):
    service.play(whole(form.body.encode(), content_type="text/event-stream"))
    check(await hold(make_anthropic(service.base_url), ask("Hello")), form)


@forms
async def test_a_byte_at_a_time(make_anthropic: MakeAnthropic, service: Scripted, form: Form):
    service.play(streamed(*(bytes([byte]) for byte in form.body.encode())))
    check(await hold(make_anthropic(service.base_url), ask("Hello")), form)


@pytest.mark.parametrize("form", OFFICIAL, ids=lambda form: form.name)
async def test_the_sdk_reads_the_same(service: Scripted, form: Form):
    stream = form.name.endswith(".sse")
    service.play(whole(form.body.encode(), content_type="text/event-stream" if stream else "application/json"))
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    async with AsyncAnthropic(base_url=service.origin, api_key="k", max_retries=0) as client:
        if stream:
            async with client.messages.stream(**asked) as answer:
                message = await answer.get_final_message()
        else:
            message = await client.messages.create(**asked)
    texts = [block.text for block in message.content if block.type == "text"]
    explained = message.stop_details.explanation if message.stop_details and not texts else ""
    assert "".join(texts) + (explained or "") == form.text
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == form.reasoning
    calls = [(block.id, block.name) for block in message.content if block.type == "tool_use"]
    assert calls == [(id_, name) for _, id_, name, _ in form.calls]


@given(
    form=st.sampled_from(FORMS),
    places=st.lists(st.integers(0, 4000), max_size=30),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
)
async def test_cut_anywhere(form: Form, places: list[int], ends: str):
    body = form.body.replace("\n", ends).encode()
    check(await read(cut(body, places)), form)


@given(form=st.sampled_from(STREAMED), length=st.integers(1, 6000))
async def test_broken_off_anywhere(form: Form, length: int):
    turn = await read([form.body.encode()[:length]])
    assert form.reasoning.startswith(turn.reasoning)
    if turn.error is None:
        check(turn, form)
    else:
        assert type(turn.error) is StreamInterruptedError
        assert turn.reason is None
        assert form.text.startswith(turn.text.removesuffix("\ufffd"))


@given(st.binary(min_size=1, max_size=200))
async def test_any_bytes_end_in_a_provider_error(noise: bytes):
    turn = await read([noise])
    assert turn.error is not None
    assert turn.error.status in (502, 503, 504)


@given(st.binary(max_size=60))
async def test_any_data_of_an_event_ends_well_or_in_a_provider_error(noise: bytes):
    turn = await read([events(*BEGINNING, done=False) + b"data: " + noise + b"\n\n"])
    assert turn.text.startswith("a")
    assert turn.error is None or turn.error.code != "internal"


@given(
    st.dictionaries(
        st.sampled_from(["type", "index", "delta", "content_block", "message", "usage", "error"]),
        st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=2)),
    )
)
async def test_any_json_of_an_event_ends_well_or_in_a_provider_error(event: dict[str, object]):
    turn = await read([events(*BEGINNING, event, done=False)])
    assert isinstance(turn.error, ProviderError)
    assert turn.text.startswith("a")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("overloaded_error", ProviderUnavailableError),
        ("api_error", ProviderUnavailableError),
        ("timeout_error", ProviderUnavailableError),
        ("rate_limit_error", RateLimitError),
        ("authentication_error", MissingAuthError),
        ("invalid_request_error", ProviderError),
        ("something_new", ProviderError),
    ],
)
async def test_an_error_in_the_middle(make_anthropic: MakeAnthropic, service: Scripted, kind: str, error: type):
    failed = {"type": "error", "error": {"type": kind, "message": "Overloaded"}, "request_id": "req_1"}
    service.play(whole(events(*BEGINNING, failed, done=False), content_type="text/event-stream"))
    turn = await hold(make_anthropic(service.base_url), ask("Hello"))
    assert turn.text == "a"
    assert type(turn.error) is error
    assert "Overloaded" in str(turn.error)
    assert turn.error.retryable == (error not in (ProviderError, MissingAuthError))
    assert len(service.asked) == 1


async def test_an_error_without_a_word(make_anthropic: MakeAnthropic, service: Scripted):
    service.play(whole(events(*BEGINNING, {"type": "error"}, done=False), content_type="text/event-stream"))
    turn = await hold(make_anthropic(service.base_url), ask("Hello"))
    assert type(turn.error) is ProviderError


async def test_a_key_that_is_repeated_in_the_middle_is_not_shown(make_anthropic: MakeAnthropic, service: Scripted):
    key = "sk-ant-0123456789"
    failed = {"type": "error", "error": {"type": "api_error", "message": f"no such key: {key}"}}
    service.play(whole(events(*BEGINNING, failed, done=False), content_type="text/event-stream"))
    turn = await hold(make_anthropic(service.base_url, api_key=key), ask("Hello"))
    assert "no such key" in str(turn.error)
    assert key not in str(turn.error)


async def test_a_stream_that_falls_silent(make_anthropic: MakeAnthropic, service: Scripted):
    service.play(Hanging(events(*BEGINNING, done=False)))
    turn = await hold(make_anthropic(service.base_url), ask("Hello", stream_timeout=0.05))
    assert turn.text == "a"
    assert isinstance(turn.error, ProviderTimeoutError)


async def test_nothing_is_waited_for_behind_the_end(make_anthropic: MakeAnthropic, service: Scripted):
    service.play(Hanging((FOLDER / "anthropic-longest.sse").read_bytes()))
    async with asyncio.timeout(10):
        turn = await hold(make_anthropic(service.base_url), ask("Hello"))
    assert (turn.text, turn.reason) == ("One two", "length")


async def test_a_web_page_and_silence(make_anthropic: MakeAnthropic, service: Scripted):
    service.play(whole(b"<html><title>Sign in</title></html>", content_type="text/html"))
    turn = await hold(make_anthropic(service.base_url), ask("Hello"))
    assert type(turn.error) is BadAnswerError
    assert "Sign in" in str(turn.error)
    service.play(whole(b"", content_type="text/event-stream"))
    assert isinstance((await hold(make_anthropic(service.base_url), ask("Hello"))).error, StreamInterruptedError)
    service.play(said({"type": "ping"}))
    assert "holds nothing" in str((await hold(make_anthropic(service.base_url), ask("Hello"))).error)
