"""Answers in Ollama's own form, cut into pieces anywhere, with any line ends, and broken off anywhere."""

import asyncio
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ollama import AsyncClient
from tests.providers.forms import FOLDER, Form, check, cut, read_pieces
from tests.providers.ollama_forms import FORMS
from tests.providers.turns import Turn, ask, hold
from tests.servers.scripted import Hanging, Scripted, said, streamed, whole

from mediary.errors import (
    BadAnswerError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    StreamInterruptedError,
)
from mediary.providers.ollama.answer import LineReader
from mediary.providers.ollama.provider import Ollama

MakeOllama = Callable[..., Ollama]

forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
STREAMED = [form for form in FORMS if form.name.endswith(".ndjson")]
OFFICIAL = [
    form for form in STREAMED if "half" not in form.name and "nulls" not in form.name and "2023" not in form.name
]
NDJSON = "application/x-ndjson"
BEGIN = b'{"model":"m","message":{"role":"assistant","content":"a"},"done":false}\n'
END = b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n'


async def read(pieces: list[bytes]) -> Turn:
    return await read_pieces(pieces, LineReader("Test", "m"))


@forms
async def test_over_the_network(make_ollama: MakeOllama, service: Scripted, form: Form):
    service.play(whole(form.body.encode(), content_type=NDJSON))
    check(await hold(make_ollama(service.origin), ask("Hello")), form)


@forms
async def test_a_byte_at_a_time(make_ollama: MakeOllama, service: Scripted, form: Form):
    service.play(streamed(*(bytes([byte]) for byte in form.body.encode())))
    check(await hold(make_ollama(service.origin), ask("Hello")), form)


@pytest.mark.parametrize("form", OFFICIAL, ids=lambda form: form.name)
async def test_the_official_client_reads_the_same(service: Scripted, form: Form):
    service.play(whole(form.body.encode(), content_type=NDJSON))
    async with AsyncClient(service.origin) as client:
        parts = [part async for part in await client.chat("m", [{"role": "user", "content": "Hello"}], stream=True)]
    assert "".join(part.message.content or "" for part in parts) == form.text
    assert "".join(part.message.thinking or "" for part in parts) == form.reasoning
    calls = [call.function.name for part in parts for call in part.message.tool_calls or ()]
    assert calls == [name for _, _, name, _ in form.calls]
    assert parts[-1].done


@given(
    form=st.sampled_from(FORMS),
    places=st.lists(st.integers(0, 4000), max_size=30),
    ends=st.sampled_from(["\n", "\r\n", "\n\n", " \n"]),
)
async def test_cut_anywhere(form: Form, places: list[int], ends: str):
    check(await read(cut(form.body.replace("\n", ends).encode(), places)), form)


@given(form=st.sampled_from(STREAMED), length=st.integers(1, 4000))
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
async def test_any_line_ends_well_or_in_a_provider_error(noise: bytes):
    turn = await read([BEGIN + noise + b"\n" + END])
    assert turn.text.startswith("a")
    assert turn.error is None or isinstance(turn.error, ProviderError)


@given(
    st.dictionaries(
        st.sampled_from(["message", "done", "done_reason", "error", "image", "total", "completed", "eval_count"]),
        st.recursive(
            st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["content", "tool_calls", "function", "arguments"]), inner)
            ),
        ),
    )
)
async def test_any_json_of_a_line_ends_well_or_in_a_provider_error(line: dict[str, object]):
    turn = await read([BEGIN + json.dumps(line).encode() + b"\n" + END])
    assert turn.text.startswith("a")
    assert isinstance(turn.error, ProviderError) or turn.reason


async def test_an_error_behind_content(make_ollama: MakeOllama, service: Scripted):
    service.play(whole(BEGIN + b'{"error":"model runner has unexpectedly stopped"}\n', content_type=NDJSON))
    turn = await hold(make_ollama(service.origin), ask("Hello"))
    assert turn.text == "a"
    assert type(turn.error) is ProviderUnavailableError
    assert "model runner has unexpectedly stopped" in str(turn.error)
    assert len(service.asked) == 1


async def test_a_key_that_is_repeated_in_the_middle_is_not_shown(make_ollama: MakeOllama, service: Scripted):
    key = "ollama-key-0123456789"
    service.play(whole(BEGIN + b'{"error":"no such key: ' + key.encode() + b'"}\n', content_type=NDJSON))
    turn = await hold(make_ollama(service.origin, api_key=key), ask("Hello"))
    assert service.asked[0].headers["authorization"] == f"Bearer {key}"
    assert "no such key" in str(turn.error)
    assert key not in str(turn.error)


async def test_a_stream_that_falls_silent(make_ollama: MakeOllama, service: Scripted):
    service.play(Hanging(BEGIN))
    turn = await hold(make_ollama(service.origin), ask("Hello", stream_timeout=0.05))
    assert turn.text == "a"
    assert isinstance(turn.error, ProviderTimeoutError)


async def test_nothing_is_waited_for_behind_the_end(make_ollama: MakeOllama, service: Scripted):
    service.play(Hanging((FOLDER / "ollama/longest.ndjson").read_bytes()))
    async with asyncio.timeout(10):
        turn = await hold(make_ollama(service.origin), ask("Hello"))
    assert (turn.text, turn.reason) == ("One two", "length")


async def test_a_web_page_and_silence(make_ollama: MakeOllama, service: Scripted):
    service.play(whole(b"<html><title>Sign in</title></html>", content_type="text/html"))
    turn = await hold(make_ollama(service.origin), ask("Hello"))
    assert type(turn.error) is BadAnswerError
    assert "Sign in" in str(turn.error)
    service.play(whole(b"", content_type=NDJSON))
    assert isinstance((await hold(make_ollama(service.origin), ask("Hello"))).error, StreamInterruptedError)
    service.play(said({"done": True}))
    assert "holds nothing" in str((await hold(make_ollama(service.origin), ask("Hello"))).error)


async def test_a_line_without_an_end():
    turn = await read([BEGIN, *[b"x" * 1024**2] * 65])
    assert turn.text == "a"
    assert "single line" in str(turn.error)
