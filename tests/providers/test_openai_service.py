"""What goes wrong between a provider and its service, on real sockets: refusals, retries, silence, secrets."""

import asyncio
import base64
import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network

import pytest
from pydantic import SecretStr
from tests.clock import Jump
from tests.providers.conftest import Make
from tests.providers.turns import ask, hold
from tests.servers.scripted import (
    STREAM,
    Asked,
    Hanging,
    Line,
    Play,
    Scripted,
    chunk,
    delta,
    events,
    refused,
    said,
    streamed,
    whole,
)

from mediary.errors import (
    AddressRefusedError,
    BadAnswerError,
    BadRequestError,
    FieldError,
    MediaryError,
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    SettingsError,
    StreamInterruptedError,
)
from mediary.events import Content
from mediary.net.client import HttpClient
from mediary.providers.http.refusals import MAX_WORDS
from mediary.providers.http.service import public_url
from mediary.providers.openai.provider import OpenAI
from mediary.settings import NetSettings, ProviderSettings

GOOD = streamed(events(delta(content="Good"), delta("stop")))
KEY = "sk-secret-key-of-the-operator"


def refusal(status: int, message: str | None = None, *headers: str, **marks: object) -> Play:
    return said({"error": {"message": message, **marks}}, status, *headers)


@pytest.mark.parametrize(
    ("play", "error", "words"),
    [
        (refusal(401, "Incorrect API key provided"), MissingAuthError, "Incorrect API key"),
        (refusal(403, "Country not supported"), MissingAuthError, "Country not supported"),
        (refusal(404, "The model `x` does not exist", code="model_not_found"), ModelNotFoundError, "does not exist"),
        (refusal(404, 'model "x" not found, try pulling it first'), ModelNotFoundError, "pulling"),
        (refusal(404, "No endpoints found for x.", code=404), ModelNotFoundError, "No endpoints"),
        (refusal(400, "Invalid model: x", type="invalid_model"), ModelNotFoundError, "Invalid model"),
        (refusal(404, "Not Found"), ProviderError, "Not Found"),
        (refusal(402, "Insufficient Balance"), ProviderError, "Insufficient Balance"),
        (refusal(400, "context too long", code="context_length_exceeded"), ProviderError, "context too long"),
        (refusal(408, "too slow"), ProviderTimeoutError, "too slow"),
        (refusal(500, "boom"), ProviderUnavailableError, "boom"),
        (said({"error": "just words"}, 400), ProviderError, "just words"),
        (said({"detail": "Unauthorized"}, 401), MissingAuthError, "Unauthorized"),
        (said({"message": "plain", "object": "error"}, 422), ProviderError, "plain"),
        (said({"detail": [{"loc": ["body", "n"], "msg": "no"}]}, 422), ProviderError, "body.n: no"),
        (said([{"error": {"code": 400, "message": "in a list"}}], 400), ProviderError, "in a list"),
        (refusal(400, "outer", metadata={"raw": '{"error":{"message":"inner"}}'}), ProviderError, "outer: inner"),
        (whole(b"<html><head><title>Bad &amp; gone</title></head>", status=410), ProviderError, "Bad & gone"),
        (whole(b"plain text", status=418, content_type="text/plain"), ProviderError, "plain text"),
        (whole(b"", status=409), ProviderError, "409"),
        (whole(b"", "Location: http://elsewhere.test/", status=308), ProviderError, "308"),
        (whole(b"\xff\xfe\x00", status=400), ProviderError, ""),
        (said({"error": {"code": 401, "message": "no credits"}}), MissingAuthError, "no credits"),
        (whole(b"<!doctype html><title>Welcome</title>", content_type="text/html"), BadAnswerError, "Welcome"),
        (whole(b"{", content_type="application/json"), BadAnswerError, "cannot be read"),
        (whole(b'{"message":' + b"[" * 100_000), BadAnswerError, "too deep"),
        (whole(b'{"error":' * 100_000, status=400), ProviderError, "error"),
        (refusal(400, "x", metadata={"raw": '{"message":' * 900 + "1" + "}" * 900}), ProviderError, "x"),
        (said({"message": {"message": {"message": "inside"}}}, 400), ProviderError, "inside"),
        (said({}), BadAnswerError, "holds nothing"),
        (whole(b"data: [DONE]\n\n"), BadAnswerError, "holds nothing"),
        (whole(b""), StreamInterruptedError, "with nothing"),
    ],
)
async def test_refusals(make: Make, service: Scripted, play: Play, error: type[MediaryError], words: str):
    service.play(play)
    turn = await hold(make(service.base_url), ask("Hello"))
    assert type(turn.error) is error
    assert words in str(turn.error)
    assert turn.events == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 30"], 30),
        (["Retry-After: 7.5"], 7.5),
        (["retry-after-ms: 12500", "Retry-After: 13"], 12.5),
        (["Retry-After: soon"], None),
        (["Retry-After: -3"], None),
        (["Retry-After: nan"], None),
        (["Retry-After: inf"], None),
        (["Retry-After: 1e308"], 86_400),
        (["retry-after-ms: 1e308"], 86_400),
        (["retry-after-ms: nan", "Retry-After: 9"], 9),
        (["Retry-After: Fri, 31 Dec 9998 23:59:59 GMT"], 86_400),
        ([], None),
    ],
)
async def test_retry_after(make: Make, service: Scripted, headers: Sequence[str], seconds: float | None):
    service.play(refusal(429, "slow down", *headers))
    turn = await hold(make(service.base_url), ask("Hello"))
    assert isinstance(turn.error, RateLimitError)
    assert turn.error.retry_after == seconds
    assert len(service.asked) == 1


async def test_retry_after_a_date(make: Make, service: Scripted):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    service.play(refusal(429, "slow down", f"Retry-After: {later}"))
    turn = await hold(make(service.base_url), ask("Hello"))
    assert isinstance(turn.error, RateLimitError)
    assert turn.error.retry_after is not None
    assert 60 < turn.error.retry_after <= 90


async def only_headers(_: Asked, line: Line) -> None:
    await line.send(STREAM)
    line.writer.close()


@pytest.mark.parametrize(
    "ill",
    [
        refused,
        only_headers,
        refusal(502),
        refusal(503, "loading model"),
        refusal(504),
        refusal(429, "slow down", "retry-after-ms: 5"),
        refusal(429, "slow down", "Retry-After: 0"),
    ],
)
async def test_one_retry_before_the_first_byte(make: Make, service: Scripted, ill: Play):
    provider = make(service.base_url)
    service.play(ill, GOOD)
    turn = await hold(provider, ask("Hello"))
    assert turn.text == "Good"
    assert len(service.asked) == 2
    service.play(ill)
    turn = await hold(provider, ask("Hello"))
    assert turn.error is not None
    assert turn.error.retryable
    assert len(service.asked) == 2


async def test_no_retry_once_something_was_said(make: Make, service: Scripted):
    service.play(streamed(events(delta(content="Half"), done=False), end=False), GOOD)
    turn = await hold(make(service.base_url), ask("Hello"))
    assert turn.text == "Half"
    assert type(turn.error) is StreamInterruptedError
    assert len(service.asked) == 1


async def test_nobody_listens(make: Make, unused_tcp_port: int):
    turn = await hold(make(f"http://127.0.0.1:{unused_tcp_port}/v1"), ask("Hello"))
    assert type(turn.error) is ProviderUnavailableError


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00\x01\x02\r\n\r\n"])
async def test_no_http_at_all(make: Make, service: Scripted, garbage: bytes):
    async def play(_: Asked, line: Line) -> None:
        await line.send(garbage)
        line.writer.close()

    service.play(play)
    turn = await hold(make(service.base_url), ask("Hello"))
    assert isinstance(turn.error, ProviderError)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "garbage", ""])
async def test_content_types_lie(make: Make, service: Scripted, content_type: str):
    service.play(
        whole(events(delta(content="Hi"), delta("stop")), content_type=content_type),
        whole(b'\n\n{"choices":[{"message":{"content":"Hi"}}]}', content_type=content_type or "application/json"),
    )
    provider = make(service.base_url)
    assert (await hold(provider, ask("Hello"))).text == "Hi"
    assert (await hold(provider, ask("Hello"))).text == "Hi"


async def test_a_finish_reason_is_an_end(make: Make, service: Scripted):
    service.play(streamed(events(delta(content="Whole"), delta("stop"), done=False), end=False))
    turn = await hold(make(service.base_url), ask("Hello"))
    assert (turn.text, turn.reason, turn.error) == ("Whole", "stop", None)


class Breaking(Hanging):
    """Says `b` once it may and ends its side; the connection is closed when the client has noticed."""

    def __init__(self) -> None:
        super().__init__(events(delta(content="a"), done=False))
        self.go_on = asyncio.Event()

    async def __call__(self, asked: Asked, line: Line) -> None:
        await super().__call__(asked, line)
        await self.go_on.wait()
        await line.send(chunk(events(delta(content="b"), done=False)))
        line.writer.write_eof()


async def test_what_waits_in_the_buffer_of_a_broken_connection_is_kept(make: Make, service: Scripted):
    """The consumer is slow: the rest and the break have arrived before it asks for more."""
    breaking = Breaking()
    service.play(breaking)
    async with aclosing(make(service.base_url).converse(ask("Hello"))) as turn:
        assert await anext(turn) == Content(content="a")
        breaking.go_on.set()
        await service.until_open(0)
        assert await anext(turn) == Content(content="b")
        with pytest.raises(StreamInterruptedError):
            await anext(turn)


@pytest.mark.parametrize(
    ("chunk_", "error", "words"),
    [
        ({"error": {"message": "Provider disconnected", "code": 502}}, ProviderUnavailableError, "disconnected"),
        ({"error": {"message": "slow", "code": "rate_limit_exceeded"}}, RateLimitError, "slow"),
        ({"error": {"message": "busy", "type": "overloaded_error", "code": None}}, ProviderUnavailableError, "busy"),
        ({"error": {"message": "who", "code": "401"}}, MissingAuthError, "who"),
        ({"error": "only text"}, ProviderError, "only text"),
        ({"error": {"code": 400}}, ProviderError, "400"),
        ({"object": "error", "message": "vllm", "code": 400}, ProviderError, "vllm"),
        ({"x_groq": {"error": "tool_use_failed"}}, ProviderError, "tool_use_failed"),
        ({"choices": [{"error": {"message": "of one choice", "code": 500}}]}, ProviderUnavailableError, "one choice"),
    ],
)
async def test_errors_in_mid_stream(make: Make, service: Scripted, chunk_: object, error: type, words: str):
    service.play(streamed(events(delta(content="So far"), chunk_)))
    turn = await hold(make(service.base_url), ask("Hello"))
    assert turn.text == "So far"
    assert type(turn.error) is error
    assert words in str(turn.error)


class Silent(Hanging):
    """Says nothing at all, and tells when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def __call__(self, asked: Asked, line: Line) -> None:
        self.asked.set()


async def test_silence_before_the_answer(make: Make, service: Scripted, jump: Jump):
    silent = Silent()
    service.play(silent)
    turn = asyncio.create_task(hold(make(service.base_url), ask("Hello", stream_timeout=60)))
    await silent.asked.wait()
    jump(61)
    assert type((await turn).error) is ProviderTimeoutError
    await service.until_open(0)
    assert len(service.asked) == 1


async def test_silence_in_its_middle(make: Make, service: Scripted, jump: Jump):
    service.play(Hanging(events(delta(content="Well"), done=False)))
    async with aclosing(make(service.base_url).converse(ask("Hello", stream_timeout=60))) as turn:
        assert await anext(turn) == Content(content="Well")
        asyncio.get_running_loop().call_soon(jump, 61)  # as soon as the turn waits
        with pytest.raises(ProviderTimeoutError):
            await anext(turn)
    await service.until_open(0)


async def test_an_answer_that_never_ends(make: Make, service: Scripted, jump: Jump):
    async def play(_: Asked, line: Line) -> None:
        await line.send(STREAM)
        while not line.writer.is_closing():
            await line.send(chunk(events(delta(content="x"), done=False)))
            await asyncio.sleep(0.005)

    async def rest() -> set[str]:
        return {event.content async for event in turn}

    service.play(play)
    async with aclosing(make(service.base_url).converse(ask("Hello", timeout=60))) as turn:
        for _ in range(3):
            assert await anext(turn) == Content(content="x")
        jump(61)
        with pytest.raises(ProviderTimeoutError):
            await rest()
    await service.until_open(0)


async def test_a_consumer_that_is_slow_gains_no_time(make: Make, service: Scripted, jump: Jump):
    """The turn's time passes between two reads: what has arrived meanwhile comes too late."""
    taken, sent = asyncio.Event(), asyncio.Event()

    async def play(_: Asked, line: Line) -> None:
        await line.send(STREAM + chunk(events(delta(content="a"), done=False)))
        await taken.wait()
        await line.send(chunk(events(delta(content="b"), delta("stop"))) + b"0\r\n\r\n")
        line.writer.write_eof()
        sent.set()

    service.play(play)
    async with aclosing(make(service.base_url).converse(ask("Hello", timeout=60))) as turn:
        assert await anext(turn) == Content(content="a")
        taken.set()
        await sent.wait()
        jump(61)
        with pytest.raises(ProviderTimeoutError):
            await anext(turn)


async def test_no_second_try_beyond_the_time_of_the_turn(make: Make, service: Scripted):
    service.play(refusal(503, "loading model", "Retry-After: 2"))
    turn = await hold(make(service.base_url), ask("Hello", timeout=1.9))
    assert type(turn.error) is ProviderUnavailableError
    assert len(service.asked) == 1


async def test_closing_the_iterator_closes_the_connection(make: Make, service: Scripted):
    service.play(Hanging(events(delta(content="Well"), done=False)))
    async with aclosing(make(service.base_url).converse(ask("Hello"))) as turn:
        await anext(turn)
        await service.until_open(1)
    await service.until_open(0)


async def test_cancelling_the_turn_closes_the_connection(make: Make, service: Scripted):
    service.play(Hanging())
    turn = asyncio.create_task(hold(make(service.base_url), ask("Hello")))
    await service.until_open(1)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await service.until_open(0)


async def test_good_answers_share_a_connection(make: Make, service: Scripted):
    service.play(GOOD)
    provider = make(service.base_url)
    for _ in range(3):
        assert (await hold(provider, ask("Hello"))).reason == "stop"
    assert service.connections == 1


async def test_no_key_in_any_error_or_log(make: Make, service: Scripted, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    mine = "sk-key-of-the-request-itself"
    provider = make(service.base_url, api_key=KEY, headers={"X-Gateway": "gateway-secret-42"})
    shown = []
    for key in (KEY, mine):
        words = f"you said {key} and gateway-secret-42"
        for play in (
            refusal(401, words),
            streamed(events(delta(content="a"), {"error": {"message": words}})),
            whole(f"<title>{words}</title>".encode(), content_type="text/html"),
        ):
            request = ask("Hello", api_key=None if key == KEY else key)
            service.play(play)
            turn = await hold(provider, request)
            assert "you said … and …" in str(turn.error)
            shown += [str(turn.error), repr(turn.error), repr(request), repr(provider)]
            assert service.asked[0].headers["authorization"] == f"Bearer {key}"
            assert service.asked[0].headers["x-gateway"] == "gateway-secret-42"
    for secret in (KEY, mine, "gateway-secret-42"):
        assert secret not in "".join([*shown, caplog.text])


TOKEN = "tok-of-the-operator"
PAIR = base64.b64encode(b"somebody:pa55").decode()


@pytest.mark.parametrize(
    ("headers", "key", "echo"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, None, TOKEN),
        ({"Authorization": f"Token token={TOKEN}, x=y"}, None, TOKEN),
        ({"Cookie": f"session={TOKEN}; theme=dark"}, None, TOKEN),
        ({"Authorization": f"Basic {PAIR}"}, None, PAIR),
        ({"Authorization": f"Basic {PAIR}"}, None, "somebody:pa55"),
        ({"Authorization": f"Basic {PAIR}"}, None, "somebody"),
        ({"Authorization": f"Basic {PAIR}"}, None, "pa55"),
        ({}, TOKEN, base64.b64encode(TOKEN.encode()).decode()),
        ({}, "k/e+y&of=mine", "k%2Fe%2By%26of%3Dmine"),
    ],
)
@pytest.mark.parametrize("before", ["Incorrect token ", "long " * 119, "x" * 590], ids=["short", "long", "one word"])
async def test_no_part_of_a_secret_is_shown(
    make: Make, service: Scripted, headers: dict[str, str], key: str | None, echo: str, before: str
):
    provider = make(service.base_url, headers=headers, api_key=key)
    words = f"{before}{echo} was refused"
    for play in (
        refusal(401, words),
        whole(words.encode(), status=500, content_type="text/plain"),
        streamed(events(delta(content="a"), {"error": {"message": words}})),
    ):
        service.play(play)
        error = (await hold(provider, ask("Hello"))).error
        assert error is not None
        assert before[:15].strip() in error.message
        assert len(error.message) <= MAX_WORDS
        assert not any(echo[:length] in error.message for length in range(4, len(echo) + 1))


async def test_words_that_stand_beside_a_secret_are_left(make: Make, service: Scripted):
    service.play(refusal(401, "Send a Bearer token"))
    turn = await hold(make(service.base_url, headers={"Authorization": f"Bearer {TOKEN}"}), ask("Hello"))
    assert "Send a Bearer token" in str(turn.error)


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
async def test_the_key_of_a_request_wins_over_a_header_of_the_settings(make: Make, service: Scripted, name: str):
    provider = make(service.base_url, api_key=KEY, headers={name: f"Bearer {TOKEN}", "X-Gateway": "g"})
    service.play(GOOD)
    await hold(provider, ask("Hello"))
    await hold(provider, ask("Hello", api_key="mine"))
    assert [asked.headers["authorization"] for asked in service.asked] == [f"Bearer {TOKEN}", "Bearer mine"]
    assert service.asked[1].headers["x-gateway"] == "g"


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((r"a\ud83d", r"\ude00b"), "a😀b"),
        ((r"a\ud83d", "b", "c"), "a\ufffdbc"),
        ((r"\ude00b",), "\ufffdb"),
        ((r"a\ud83d", r"\ud83d", r"\ude00"), "a\ufffd😀"),
        ((r"\ud83d\ude00", "é"), "😀é"),
    ],
)
@pytest.mark.parametrize("field", ["content", "reasoning"])
async def test_a_character_that_is_cut_in_two(
    make: Make, service: Scripted, pieces: tuple[str, ...], text: str, field: str
):
    bodies = [f'{{"choices":[{{"index":0,"delta":{{"{field}":"{piece}"}}}}]}}' for piece in pieces]
    stream = "".join(f"data: {body}\n\n" for body in bodies).encode()
    service.play(streamed(stream + events(delta("stop"))))
    turn = await hold(make(service.base_url), ask("Hello"))
    assert turn.error is None
    assert (turn.text if field == "content" else turn.reasoning) == text


async def test_half_a_character_at_the_end(make: Make, service: Scripted):
    service.play(streamed(rb'data: {"choices":[{"delta":{"content":"a\ud83d"}}]}' + b"\n\n" + events(delta("stop"))))
    turn = await hold(make(service.base_url), ask("Hello"))
    assert (turn.text, turn.reason) == ("a\ufffd", "stop")


async def test_bytes_that_are_no_utf8_are_no_end(make: Make, service: Scripted):
    service.play(streamed(b'data: {"choices":[{"delta":{"content":"a\xf0\x9f"}}]}\n\n' + events(delta("stop"))))
    turn = await hold(make(service.base_url), ask("Hello"))
    assert (turn.text, turn.reason) == ("a\ufffd", "stop")


async def test_the_base_url_of_a_request_is_guarded_and_gets_no_key_of_the_operator(make: Make, service: Scripted):
    service.play(GOOD)
    custom = make(None, name="Custom", api_key=KEY)
    turn = await hold(custom, ask("Hello", base_url=service.base_url, api_key="mine"))
    assert type(turn.error) is AddressRefusedError
    assert service.asked == []
    assert type((await hold(custom, ask("Hello"))).error) is BadRequestError


async def test_the_base_url_of_a_request_where_the_operator_opened_the_network(service: Scripted):
    http = HttpClient(NetSettings(allow=(ip_network("127.0.0.0/8"),)))
    secrets = {"api_key": SecretStr(KEY), "headers": {"X-Gateway": SecretStr("gateway-secret-42")}}
    custom = OpenAI("Custom", ProviderSettings(wire="openai", **secrets), http)
    service.play(GOOD)
    for key in (None, "mine"):
        assert (await hold(custom, ask("Hello", base_url=service.base_url, api_key=key))).text == "Good"
    await http.close()
    assert [asked.headers.get("authorization") for asked in service.asked] == [None, "Bearer mine"]
    assert "x-gateway" not in service.asked[0].headers


async def test_stream_options_are_left_out_where_they_are_refused(make: Make, service: Scripted):
    provider = make(service.base_url)
    no = said({"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs"}]}, 422)
    service.play(no, GOOD)
    for _ in range(2):
        assert (await hold(provider, ask("Hello"))).text == "Good"
    assert ["stream_options" in asked.json for asked in service.asked] == [True, False, False]


async def test_stream_options_refused_without_a_word(make: Make, service: Scripted):
    service.play(whole(b"", status=400), GOOD)
    assert (await hold(make(service.base_url), ask("Hello"))).text == "Good"


async def test_what_did_not_help_is_not_remembered(make: Make, service: Scripted):
    provider = make(service.base_url)
    service.play(whole(b"", status=400))
    assert (await hold(provider, ask("Hello"))).error is not None
    assert len(service.asked) == 2
    service.play(GOOD)
    await hold(provider, ask("Hello"))
    assert "stream_options" in service.asked[0].json


async def test_max_completion_tokens_where_they_are_wanted(make: Make, service: Scripted):
    no = refusal(
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        param="max_tokens",
        code="unsupported_parameter",
    )
    provider = make(service.base_url)
    service.play(no, GOOD)
    for model in ("o3", "o3", "gpt-4o"):
        assert (await hold(provider, ask("Hello", model=model, options={"max_tokens": 9}))).text == "Good"
    sent = [(asked.json.get("max_tokens"), asked.json.get("max_completion_tokens")) for asked in service.asked]
    assert sent == [(9, None), (None, 9), (None, 9), (9, None)]


BAD_VALUES = ("sk-a\r\nX-Evil: 1", "sk-\x00", "sk-\x7f", "ключ", "sk-“quoted”", "sk-\t1")


@pytest.mark.parametrize("key", BAD_VALUES)
async def test_a_key_that_no_header_can_hold(make: Make, service: Scripted, key: str):
    service.play(GOOD)
    provider = make(service.base_url, api_key=KEY)
    turn = await hold(provider, ask("Hello", api_key=key))
    assert isinstance(turn.error, FieldError)
    assert turn.error.field == "api_key"
    assert key not in str(turn.error)
    with pytest.raises(FieldError):
        await provider.models(api_key=key)
    assert service.asked == []


@pytest.mark.parametrize("value", BAD_VALUES)
def test_settings_that_no_header_can_hold(http: HttpClient, value: str):
    for fields in (
        {"api_key": SecretStr(value)},
        {"headers": {"X-Gateway": SecretStr(value)}},
        {"headers": {"X Gateway": SecretStr("good")}},
    ):
        settings = ProviderSettings.model_construct(wire="openai", base_url="http://service.test/v1", **fields)
        with pytest.raises(SettingsError, match=r"providers\.Box\.") as caught:
            OpenAI("Box", settings, http)
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://service.test/v1", "https://service.test/v1"),
        ("http://Eve:secret@service.test:81/v1?key=secret#secret", "http://service.test:81/v1"),
        ("http://Eve@[::1]:81/v1/", "http://[::1]:81/v1/"),
        ("http://[secret", None),
        ("", None),
        (None, None),
    ],
)
def test_what_clients_see_of_a_base_url(base_url: str | None, url: str | None):
    assert public_url(base_url) == url


def test_a_provider_shows_no_query_of_its_base_url(http: HttpClient):
    # The settings refuse such a URL.
    settings = ProviderSettings.model_construct(wire="openai", base_url="http://Eve:secret@service.test/v1?key=secret")
    assert OpenAI("Test", settings, http).url == "http://service.test/v1"
