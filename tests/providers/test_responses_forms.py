"""Answers on the Responses wire: cut into pieces anywhere, with any line ends, out of order, broken off anywhere."""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI
from tests.providers.forms import FOLDER, Form, check, cut, read_pieces
from tests.providers.responses import logs, previews, thoughts, work
from tests.providers.responses_forms import FORMS
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
from mediary.events import Reasoning
from mediary.providers.openai_responses.answer import ResponseReader
from mediary.providers.openai_responses.provider import OpenAIResponses

Make = Callable[..., OpenAIResponses]

forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
STREAMED = [form for form in FORMS if form.name.endswith(".sse")]
OFFICIAL = [form for form in FORMS if form.name.startswith("responses/openai")]
PIECE = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "a"}
END = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}
PICTURE = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "output_format": "webp"}


async def read(pieces: list[bytes]) -> Turn:
    """What is read, without the words on what is going on."""
    turn = await read_pieces(pieces, ResponseReader("Test", "m"))
    return without_work(turn)


def without_work(turn: Turn) -> Turn:
    kept = [event for event in turn.events if not (isinstance(event, Reasoning) and event.label)]
    return replace(turn, events=kept)


@forms
async def test_over_the_network(make_responses: Make, service: Scripted, form: Form):
    service.play(whole(form.body.encode(), content_type="text/event-stream"))
    check(without_work(await hold(make_responses(service.base_url), ask("Hello"))), form)


@forms
async def test_a_byte_at_a_time(make_responses: Make, service: Scripted, form: Form):
    service.play(streamed(*(bytes([byte]) for byte in form.body.encode())))
    check(without_work(await hold(make_responses(service.base_url), ask("Hello"))), form)


@pytest.mark.parametrize("form", OFFICIAL, ids=lambda form: form.name)
async def test_the_sdk_reads_the_same(service: Scripted, form: Form):
    stream = form.name.endswith(".sse")
    service.play(whole(form.body.encode(), content_type="text/event-stream" if stream else "application/json"))
    async with AsyncOpenAI(base_url=service.base_url, api_key="k", max_retries=0) as client:
        if stream:
            async with client.responses.stream(model="m", input="Hello") as answer:
                [*_, last] = [event async for event in answer]
                response = last.response
        else:
            response = await client.responses.create(model="m", input="Hello")
    messages = [item for item in response.output if item.type == "message"]
    texts = ["".join(getattr(part, "text", None) or part.refusal for part in item.content) for item in messages]
    assert form.text.startswith("\n\n".join(texts))
    calls = [(item.call_id, item.name, item.arguments) for item in response.output if item.type == "function_call"]
    assert calls == [call[1:] for call in form.calls]
    assert response.usage.total_tokens == (form.usage or {})["total_tokens"]


@given(
    form=st.sampled_from(FORMS),
    places=st.lists(st.integers(0, 9000), max_size=30),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
)
async def test_cut_anywhere(form: Form, places: list[int], ends: str):
    body = form.body.replace("\n", ends).encode()
    check(await read(cut(body, places)), form)


@given(form=st.sampled_from(STREAMED), length=st.integers(1, 12_000))
async def test_broken_off_anywhere(form: Form, length: int):
    turn = await read([form.body.encode()[:length]])
    assert form.reasoning.startswith(turn.reasoning)
    if turn.error is None:
        check(turn, form)
    else:
        assert type(turn.error) is StreamInterruptedError
        assert turn.reason is None
        assert form.text.startswith(turn.text.removesuffix("\ufffd"))


@given(form=st.sampled_from(STREAMED), random=st.randoms(use_true_random=False))
async def test_events_in_any_order_end_well_or_in_a_provider_error(form: Form, random):
    blocks = form.body.split("\n\n")
    random.shuffle(blocks)
    turn = await read(["\n\n".join([*blocks, ""]).encode()])
    assert turn.reason if turn.error is None else isinstance(turn.error, ProviderError)


@given(form=st.sampled_from(STREAMED), times=st.integers(2, 3))
async def test_events_that_come_twice_end_well(form: Form, times: int):
    blocks = [block for block in form.body.split("\n\n") for _ in range(times)]
    turn = await read(["\n\n".join([*blocks, ""]).encode()])
    assert turn.error is None
    assert len(turn.calls) >= len(form.calls)
    assert len(turn.media) <= 1


@given(st.binary(min_size=1, max_size=200))
async def test_any_bytes_end_in_a_provider_error(noise: bytes):
    turn = await read([noise])
    assert turn.error is not None
    assert turn.error.status in (502, 503, 504)


@given(st.binary(max_size=60))
async def test_any_data_of_an_event_ends_well_or_in_a_provider_error(noise: bytes):
    turn = await read([events(PIECE, done=False) + b"data: " + noise + b"\n\n"])
    assert turn.text.startswith("a")
    assert turn.error is None or turn.error.code != "internal"


KINDS = st.sampled_from([*ResponseReader.readers, "response.unknown"])
ANYTHING = st.recursive(
    st.none() | st.text(max_size=5) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "content", "text"]), inner),
)
FIELDS = st.sampled_from(
    ["delta", "output_index", "item", "response", "annotation", "arguments", "partial_image_b64", "error", "message"]
)


@given(kind=KINDS, fields=st.dictionaries(FIELDS, ANYTHING))
async def test_any_json_of_an_event_ends_well_or_in_a_provider_error(kind: str, fields: dict[str, object]):
    turn = await read([events(PIECE, {"type": kind, **fields}, done=False)])
    assert turn.text.startswith("a")
    assert turn.reason if turn.error is None else isinstance(turn.error, ProviderError)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("server_error", ProviderUnavailableError),
        ("rate_limit_exceeded", RateLimitError),
        ("invalid_api_key", MissingAuthError),
        ("invalid_prompt", ProviderError),
        (None, ProviderError),
    ],
)
async def test_an_error_in_the_middle(make_responses: Make, service: Scripted, code, error, nested):
    words = {"code": code, "message": "Overloaded", "param": None}
    failed = {"type": "error", "sequence_number": 3, **({"error": words} if nested else words)}
    service.play(whole(events(PIECE, failed, done=False), content_type="text/event-stream"))
    turn = await hold(make_responses(service.base_url), ask("Hello"))
    assert turn.text == "a"
    assert type(turn.error) is error
    assert "Overloaded" in str(turn.error)
    assert len(service.asked) == 1


async def test_an_answer_that_fails(make_responses: Make, service: Scripted):
    for words, error in (
        ({"code": "server_error", "message": "Oh no"}, ProviderUnavailableError),
        (None, ProviderError),
    ):
        failed = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "error": words}}
        service.play(whole(events(PIECE, failed, done=False), content_type="text/event-stream"))
        turn = await hold(make_responses(service.base_url), ask("Hello"))
        assert (turn.text, turn.reason) == ("a", None)
        assert type(turn.error) is error


async def test_an_error_of_who_stands_between(make_responses: Make, service: Scripted):
    service.play(whole(events(PIECE, {"error": {"message": "Gone"}}, done=False), content_type="text/event-stream"))
    assert "Gone" in str((await hold(make_responses(service.base_url), ask("Hello"))).error)


async def test_a_key_that_is_repeated_in_the_middle_is_not_shown(make_responses: Make, service: Scripted):
    key = "sk-proj-0123456789"
    failed = {"type": "error", "code": "server_error", "message": f"no such key: {key}"}
    service.play(whole(events(PIECE, failed, done=False), content_type="text/event-stream"))
    turn = await hold(make_responses(service.base_url, api_key=key), ask("Hello"))
    assert "no such key" in str(turn.error)
    assert key not in str(turn.error)


async def test_a_stream_that_falls_silent(make_responses: Make, service: Scripted):
    service.play(Hanging(events(PIECE, done=False)))
    turn = await hold(make_responses(service.base_url), ask("Hello", stream_timeout=0.05))
    assert turn.text == "a"
    assert isinstance(turn.error, ProviderTimeoutError)


async def test_nothing_is_waited_for_behind_the_end(make_responses: Make, service: Scripted):
    service.play(Hanging((FOLDER / "responses/openai-longest.sse").read_bytes()))
    async with asyncio.timeout(10):
        turn = await hold(make_responses(service.base_url), ask("Hello"))
    assert (turn.text, turn.reason) == ("One two", "length")


async def test_a_web_page_and_silence(make_responses: Make, service: Scripted):
    service.play(whole(b"<html><title>Sign in</title></html>", content_type="text/html"))
    turn = await hold(make_responses(service.base_url), ask("Hello"))
    assert type(turn.error) is BadAnswerError
    assert "Sign in" in str(turn.error)
    service.play(whole(b"", content_type="text/event-stream"))
    assert isinstance((await hold(make_responses(service.base_url), ask("Hello"))).error, StreamInterruptedError)
    service.play(said({"type": "response.ping"}))
    assert "holds nothing" in str((await hold(make_responses(service.base_url), ask("Hello"))).error)
    service.play(whole(events(PIECE), content_type="text/event-stream"))
    assert isinstance((await hold(make_responses(service.base_url), ask("Hello"))).error, StreamInterruptedError)


async def test_thoughts_and_their_summary_are_told_once():
    kinds = ("response.reasoning_text.delta", "response.reasoning_summary_text.delta")
    pieces = [{"type": kind, "output_index": place, "delta": f"{place}"} for place in (0, 1) for kind in kinds]
    assert thoughts(await read([events(*pieces, END, done=False)])) == "0\n\n1"


async def test_a_picture_comes_at_once_and_once():
    picture = {**PICTURE, "result": base64.b64encode(b"RIFF").decode(), "revised_prompt": "A boat"}
    done = {"type": "response.output_item.done", "output_index": 0, "item": picture}
    reader = ResponseReader("Test", "m", alt="boat")
    [media] = reader.read(reader.decode(json.dumps(done).encode()))
    assert (media.data, media.content_type, media.alt) == ("UklGRg==", "image/webp", "A boat")
    end = {**END, "response": {**END["response"], "output": [picture]}}
    turn = await read([events(done, end, done=False)])
    assert (len(turn.media), turn.reason) == (1, "stop")
    assert len((await read([events(end, done=False)])).media) == 1


async def test_a_picture_by_its_url():
    item = {**PICTURE, "result": "https://example.com/a.webp"}
    [media] = (await read([events({"type": "response.output_item.done", "item": item}, END, done=False)])).media
    assert (media.url, media.data) == ("https://example.com/a.webp", None)


async def test_a_picture_that_fails_beside_others():
    lost = {"type": "image_generation_call", "id": "ig_2", "status": "failed", "error": "blocked"}
    made = {**PICTURE, "result": "UklGRg=="}
    turn = await read([events({**END, "response": {"status": "completed", "output": [lost, made]}}, done=False)])
    assert logs(turn) == ["Test made no picture: blocked"]
    assert (len(turn.media), turn.error) == (1, None)
    turn = await read([events({**END, "response": {"status": "completed", "output": [lost]}}, done=False)])
    assert type(turn.error) is ProviderError
    assert logs(turn) == ["Test made no picture: blocked"]


@pytest.mark.parametrize("data", ["", None, "AA==) [x](y", '"><script>', "A A"])
async def test_an_unfinished_picture_that_is_none(data: str | None):
    partial = {"type": "response.image_generation_call.partial_image", "partial_image_b64": data}
    turn = await read([events(partial, PIECE, END, done=False)])
    assert previews(turn.events) == []
    assert turn.text == "a"


async def test_huge_pictures(make_responses: Make, service: Scripted):
    data = base64.b64encode(bytes(12 * 1024**2)).decode()
    partial = {"type": "response.image_generation_call.partial_image", "partial_image_b64": data}
    done = {"type": "response.output_item.done", "output_index": 0, "item": {**PICTURE, "result": data}}
    end = {**END, "response": {"status": "completed", "output": [{**PICTURE, "result": data}]}}
    service.play(whole(events(partial, done, end, done=False), content_type="text/event-stream"))
    turn = await hold(make_responses(service.base_url), ask("Hello"))
    assert [len(media.data) for media in turn.media] == [len(data)]
    [preview] = previews(turn.events)
    assert preview == f"data:image/png;base64,{data}"


async def test_what_is_going_on():
    kinds = ("web_search_call.searching", "file_search_call.searching", "code_interpreter_call.interpreting")
    body = events(*({"type": f"response.{kind}"} for kind in kinds), END, done=False)
    turn = await read_pieces([body], ResponseReader("Test", "m"))
    assert work(turn) == [("Web search", "searching"), ("File search", "searching"), ("Code", "running")]


async def test_pages_that_are_none():
    cited = [{"type": "url_citation", "url": url} for url in ("javascript:x", None, "https://a.example/ b", "HTTP://b")]
    pieces = [{"type": "response.output_text.annotation.added", "annotation": one} for one in (*cited, *cited, None)]
    turn = await read([events(PIECE, *pieces, END, done=False)])
    assert turn.text == "a\n\n1. [https://a.example/ b](https://a.example/%20b)\n2. [HTTP://b](HTTP://b)"
