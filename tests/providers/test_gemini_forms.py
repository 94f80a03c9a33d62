"""Answers of the generateContent wire, cut into pieces anywhere, with any line ends, and broken off anywhere.

The bodies in `forms/gemini/` are written by hand, in the forms that the reference and Google's own client have.
"""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.forms import FOLDER, Form, check, cut, read_pieces
from tests.providers.turns import Turn, ask, hold
from tests.servers.scripted import Scripted, events, said, streamed, whole

from mediary.errors import (
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.events import Media, ToolCalls
from mediary.providers.gemini.answer import ContentReader

COUNTS = {"prompt_tokens": 8, "completion_tokens": 32, "total_tokens": 40}
DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 27},
}
FORMS = (
    Form(
        "text-and-thoughts.sse",
        text="Grüße, 世界 🌍",
        reasoning="**Weighing it**\n\nFirst, then.",
        usage=COUNTS | DETAILS,
    ),
    Form(
        "tools-with-signature.sse",
        calls=((0, "fc-1", "find", '{"q":"é"}'), (1, "fc-2", "look", "{}")),
        reason="tool_calls",
        usage={"prompt_tokens": 65, "completion_tokens": 30, "total_tokens": 95},
    ),
    Form("cut-short.sse", text="Once upon", reason="length", usage={"total_tokens": 6}),
    Form(
        "question-blocked.sse",
        text="Test did not take the question: PROHIBITED_CONTENT",
        reason="content_filter",
        usage={"prompt_tokens": 9, "completion_tokens": 0},
    ),
    Form(
        "answer-stopped-in-its-middle.sse",
        text="You take the ",
        reason="content_filter",
        usage={"total_tokens": 5},
    ),
    Form(
        "answer-stopped-before-it-began.sse",
        text="Test gave no answer: RECITATION",
        reason="content_filter",
        usage={"total_tokens": 5},
    ),
    Form(
        "no-picture-and-why.sse",
        text="Test gave no answer: Unable to show the generated image. (IMAGE_SAFETY)",
        reason="content_filter",
    ),
    Form("program.sse", text="\n```python\nprint(6*7)\n```\n\n```\n42\n```\nIt is 42."),
    Form("a-second-candidate.sse", text="First."),
    Form("not-asked-for-as-events.json", text="One two", usage={"prompt_tokens": 3, "total_tokens": 7}),
    Form("whole.json", text="All.", reasoning="Hm"),
)
FORMS = tuple(replace(form, name=f"gemini/{form.name}") for form in FORMS)
STREAMED = [form for form in FORMS if form.name.endswith(".sse")]
forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


def test_every_form_is_read():
    assert {path.name for path in (FOLDER / "gemini").iterdir()} == {form.name.rpartition("/")[2] for form in FORMS}


async def read(pieces: list[bytes]) -> Turn:
    return await read_pieces(pieces, ContentReader("Test", "m", lambda url, kind: Media(kind=kind, url=url)))


@forms
async def test_over_the_network(make_gemini, service: Scripted, form: Form):
    service.play(whole(form.body.encode(), content_type="text/event-stream"))
    check(await hold(make_gemini(service.base_url), ask("Hello")), form)


@forms
async def test_a_byte_at_a_time(make_gemini, service: Scripted, form: Form):
    service.play(streamed(*(bytes([byte]) for byte in form.body.encode())))
    check(await hold(make_gemini(service.base_url), ask("Hello")), form)


@given(
    form=st.sampled_from(FORMS),
    places=st.lists(st.integers(0, 4000), max_size=30),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
)
async def test_cut_anywhere(form: Form, places: list[int], ends: str):
    check(await read(cut(form.body.replace("\n", ends).encode(), places)), form)


@given(form=st.sampled_from(STREAMED), length=st.integers(1, 4000))
async def test_broken_off_anywhere(form: Form, length: int):
    turn = await read([form.body.encode()[:length]])
    assert form.reasoning.startswith(turn.reasoning)
    if turn.error is None:
        assert turn.text == form.text
        assert turn.reason == form.reason
    else:
        assert form.text.startswith(turn.text)
        assert type(turn.error) is StreamInterruptedError
        assert turn.reason is None


@given(st.binary(min_size=1, max_size=200))
async def test_any_bytes_end_in_a_provider_error(noise: bytes):
    turn = await read([noise])
    assert turn.error is not None
    assert turn.error.status in (502, 503, 504)


@given(st.binary(max_size=60))
async def test_any_data_of_an_event_ends_well_or_in_a_provider_error(noise: bytes):
    turn = await read([b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\ndata: ' + noise + b"\n\n"])
    assert turn.text.startswith("a") or turn.error
    assert turn.error is None or turn.error.code != "internal"


async def test_signatures_come_with_the_first_call():
    (form,) = (form for form in FORMS if "signature" in form.name)
    turn = await read([form.body.encode()])
    calls = [call for event in turn.events if isinstance(event, ToolCalls) for call in event.tool_calls]
    assert calls[0].extra_content == {"google": {"thought_signature": "CtYBc2ln"}}
    assert not calls[1].extra_content


async def test_calls_without_an_id_get_one():
    call = {"functionCall": {"name": "f", "args": None}}
    turn = await read([events({"candidates": [{"content": {"parts": [call, call]}, "finishReason": "STOP"}]})])
    (_, first, _, arguments), (_, second, _, _) = turn.calls
    assert first and second and first != second
    assert arguments == "{}"


LIMIT = {
    "code": 429,
    "message": "You exceeded your current quota.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [
        {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"},
    ],
}
BAD_KEY = {
    "code": 400,
    "message": "API key not valid. Please pass a valid API key.",
    "status": "INVALID_ARGUMENT",
    "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "metadata": {}}],
}
ERRORS = [
    (LIMIT, RateLimitError),
    (BAD_KEY, MissingAuthError),
    ({"code": 403, "message": "Denied.", "status": "PERMISSION_DENIED"}, MissingAuthError),
    ({"code": 404, "message": "models/x is not found for API version v1.", "status": "NOT_FOUND"}, ModelNotFoundError),
    ({"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}, ProviderUnavailableError),
    ({"code": 500, "message": "An internal error has occurred.", "status": "INTERNAL"}, ProviderUnavailableError),
    ({"code": 400, "message": "Unable to process input image.", "status": "INVALID_ARGUMENT"}, ProviderError),
]
errors = pytest.mark.parametrize(("error", "kind"), ERRORS, ids=[str(error["status"]) for error, _ in ERRORS])


@errors
@pytest.mark.parametrize("in_list", [False, True])
async def test_refusals(make_gemini, service: Scripted, error: dict, kind: type, in_list: bool):
    body = {"error": error}
    service.play(said([body] if in_list else body, error["code"]))
    turn = await hold(make_gemini(service.base_url), ask("Hello"))
    assert type(turn.error) is kind
    assert turn.error.message == f"Test: {error['message']}"
    if isinstance(turn.error, RateLimitError):
        assert turn.error.retry_after == 34.07


@errors
@pytest.mark.parametrize("whole_answer", [False, True])
async def test_errors_in_the_middle(error: dict, kind: type, whole_answer: bool):
    begin = {"candidates": [{"content": {"parts": [{"text": "Well, "}]}}]}
    pieces = [begin, {"error": error}]
    body = events(*pieces) if not whole_answer else json.dumps(pieces).encode()
    turn = await read([body])
    assert type(turn.error) is kind
    assert error["message"] in turn.error.message
    assert turn.text == ("" if whole_answer else "Well, ")


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER", "NO_IMAGE", "SOMETHING_NEW"])
async def test_a_model_that_fails_says_why(reason: str):
    chunk = {"candidates": [{"finishReason": reason, "finishMessage": "Malformed call: f("}]}
    turn = await read([events(chunk)])
    assert type(turn.error) is ProviderError
    assert turn.error.message == f"Test: made no answer: Malformed call: f( ({reason})"
    begin = {"candidates": [{"content": {"parts": [{"text": "Well"}]}}]}
    turn = await read([events(begin, chunk)])
    assert (turn.text, turn.reason) == ("Well", reason.casefold())


async def test_an_answer_of_nothing_is_whole():
    turn = await read([events({"candidates": [{"finishReason": "STOP"}]})])
    assert (turn.text, turn.reason) == ("", "stop")


async def test_a_web_page(make_gemini, service: Scripted):
    service.play(whole(b"<html><title>Busy</title></html>"))
    turn = await hold(make_gemini(service.base_url), ask("Hello"))
    assert str(turn.error) == "Test: answered with a web page: Busy"
