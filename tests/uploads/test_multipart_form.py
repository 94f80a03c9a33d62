"""Forms: as the official SDKs write them, whole and streamed, with credentials to the provider alone."""

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

import httpx2
import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from tests.servers.faulty import Cut, Early, Faulty, Lose, Say, faulty, refusal
from tests.servers.forms import Field, read_form
from tests.servers.http import raw_server, redirect, response
from tests.servers.openai_files import serving
from tests.uploads.contents import Bytes, Pattern, file_of, nothing

from mediary.errors import (
    MissingAuthError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    UnreadableError,
    UploadBrokenOffError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.providers.http.form import Form
from mediary.settings import NetSettings
from mediary.uploads.base import Account, Sent
from mediary.uploads.senders.multipart_form import MultipartForm
from mediary.uploads.transport import Slice, Transport

KEY = "sk-ann-0123456789abcdef"
ANN = Account({"Authorization": f"Bearer {KEY}", "X-Org": "org-ann"})
DATA = bytes(range(256)) * 4096
FIELDS = [("b", "second comes first"), ("a", "zwei\r\nZeilen"), ("b", "again")]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\\x1b\x7f"), min_size=1, max_size=40)


@dataclass
class Sink:
    """Takes forms; it knows no more of each than what a test looks at."""

    url: str = ""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    keep: bool = True

    @property
    def headers(self) -> list[dict[str, str]]:
        return [headers for headers, _ in self.received]

    @property
    def forms(self) -> list[list[Field]]:
        return [read_form(headers["content-type"], body) for headers, body in self.received]

    async def take(self, request: web.Request) -> web.Response:
        size = 0
        body = bytearray()
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if self.keep:
                body += chunk
        self.received.append(({name.lower(): value for name, value in request.headers.items()}, bytes(body)))
        return web.json_response({"bytes": size})


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(NetSettings(allow=["127.0.0.0/8"]))
    yield client
    await client.close()


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    sink = Sink()
    app = web.Application()
    app.router.add_post("/{path:.*}", sink.take)
    async with serving(app) as sink.url:
        yield sink


@pytest.fixture
async def proxy(sink: Sink) -> AsyncIterator[Faulty]:
    async with faulty(int(sink.url.rpartition(":")[2])) as proxy:
        yield proxy


async def whole(form: Form) -> bytes:
    async with aclosing(form.pieces()) as pieces:
        return b"".join([piece async for piece in pieces])


@given(st.lists(st.tuples(names, text), max_size=4), names, st.binary(max_size=300), st.integers(1, 64))
async def test_a_form_reads_back_as_it_was_written(
    fields: list[tuple[str, str]], filename: str, data: bytes, piece: int
):
    form = Form(fields, "file", filename, "application/pdf", Slice(Bytes(data, piece)))
    body = await whole(form)
    assert len(body) == form.size
    *read, last = read_form(form.content_type, body)
    assert [field.data for field in read] == [value.encode() for _, value in fields]
    assert (last.name, last.media_type, last.data) == ("file", "application/pdf", data)


@given(st.lists(st.tuples(names, text), max_size=4, unique_by=lambda pair: pair[0]), names, st.binary(max_size=300))
async def test_a_form_is_byte_for_byte_what_the_official_sdks_send(
    fields: list[tuple[str, str]], filename: str, data: bytes
):
    form = Form(fields, "file", filename, "image/png", Slice(Bytes(data)))
    ours = await whole(form)
    theirs = httpx2.Request(
        "POST", "https://x.example", data=dict(fields), files={"file": (filename, data, "image/png")},
        headers={"Content-Type": form.content_type},
    )  # fmt: skip
    assert ours == theirs.read()
    assert theirs.headers["Content-Length"] == str(form.size)


@pytest.mark.parametrize("name", ["a\\b.png", "a\x00b\x7f\x1b.png", "\ud800.png"])
async def test_a_name_that_no_form_can_hold_is_written_otherwise(name: str):
    form = Form([], "file", name, "image/png", Slice(Bytes(b"x")))
    [read] = read_form(form.content_type, await whole(form))
    assert read.filename
    assert not set(read.filename) & set(name[:-4].replace("a", "").replace("b", ""))


async def test_to_a_storage_goes_no_credential(http: HttpClient, sink: Sink):
    told: list[int] = []
    form = MultipartForm(f"{sink.url}/bucket?x=%2F", FIELDS, file_field="upload", headers={"X-Further": "1"})

    sent = await form.send(Transport("Test", http, "https://api.example"), file_of(DATA, 'é "1".png'), told.append)

    assert msgspec.json.decode(sent.body)["bytes"] == int(sink.headers[0]["content-length"])
    assert sink.forms == [
        [
            Field("b", b"second comes first"),
            Field("a", b"zwei\r\nZeilen"),
            Field("b", b"again"),
            Field("upload", DATA, "é %221%22.png", "image/png"),
        ]
    ]
    assert "transfer-encoding" not in sink.headers[0]
    assert "authorization" not in sink.headers[0]
    assert sink.headers[0]["x-further"] == "1"
    assert told[-1] == len(DATA)


async def test_to_the_api_the_account_goes_along(http: HttpClient, sink: Sink):
    form = MultipartForm("/files", FIELDS, ANN)

    await form.send(Transport("Test", http, f"{sink.url}/v1"), file_of(DATA), nothing)

    assert sink.headers[0]["authorization"] == f"Bearer {KEY}"
    assert sink.headers[0]["x-org"] == "org-ann"


async def test_where_the_api_points_elsewhere_the_account_stays_behind(http: HttpClient, sink: Sink):
    async with raw_server() as api:
        api.answers["/v1/files"] = redirect(f"{sink.url}/elsewhere", 307)
        await MultipartForm("/files", FIELDS, ANN).send(
            Transport("Test", http, f"{api.url}/v1"), file_of(DATA), nothing
        )

    assert not {"authorization", "x-org"} & set(sink.headers[0])
    assert sink.forms[0][-1].data == DATA


def test_a_form_can_be_written_down_and_shows_no_key():
    form = MultipartForm("/files", FIELDS, ANN)
    assert KEY not in repr(form)
    assert msgspec.json.decode(msgspec.json.encode(form), type=MultipartForm) == form


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("account", [None, ANN], ids=["storage", "api"])
async def test_a_cut_form_is_sent_again(http: HttpClient, sink: Sink, proxy: Faulty, share: float, account):
    proxy.once(Cut(share))
    form = MultipartForm("/files" if account else f"{proxy.url}/files", FIELDS, account)

    await form.send(Transport("Test", http, proxy.url), file_of(DATA), nothing)

    assert [read[-1].data for read in sink.forms] == [DATA]
    assert len(proxy.received) == 2


@pytest.mark.parametrize("account", [None, ANN], ids=["storage", "api"])
async def test_a_bad_moment_passes(http: HttpClient, sink: Sink, proxy: Faulty, account):
    proxy.first(Say(refusal(500)), Say(refusal(503)))
    form = MultipartForm("/files" if account else f"{proxy.url}/files", FIELDS, account)

    await form.send(Transport("Test", http, proxy.url), file_of(DATA), nothing)

    assert [read[-1].data for read in sink.forms] == [DATA]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (lambda: Say(refusal(500, "down")), ProviderUnavailableError, "down"),
        (lambda: Cut(0.5), UploadBrokenOffError, "closed the connection"),
    ],
)
async def test_a_lasting_failure_ends_it(http: HttpClient, proxy: Faulty, fault, error: type[Exception], words: str):
    proxy.plan = lambda _: fault()
    with pytest.raises(error, match=words):
        await MultipartForm("/files", FIELDS, ANN).send(Transport("Test", http, proxy.url), file_of(DATA), nothing)
    assert len(proxy.received) == 3


async def test_the_storage_that_has_it_already_is_believed_after_a_lost_answer(http: HttpClient, proxy: Faulty):
    proxy.first(Lose(), Say(refusal(409, "<Error><Code>FileAlreadyExists</Code></Error>")))
    form = MultipartForm(f"{proxy.url}/bucket", FIELDS)
    assert await form.send(Transport("Test", http, "https://api.example"), file_of(DATA), nothing) == Sent()


async def test_the_words_of_the_storage_come_with_its_status(http: HttpClient, proxy: Faulty):
    proxy.once(Say(refusal(403, "<Error><Code>AccessDenied</Code><Message>Policy expired</Message></Error>")))
    with pytest.raises(UploadRefusedError, match="AccessDenied: Policy expired") as caught:
        await MultipartForm(f"{proxy.url}/bucket").send(
            Transport("Test", http, "https://a.example"), file_of(DATA), nothing
        )
    assert caught.value.answered == 403
    assert len(proxy.received) == 1


def _said(status: int, words: str, *headers: str) -> bytes:
    return response(f'{{"error": {{"message": "{words}"}}}}'.encode(), *headers, status=status)


@pytest.mark.parametrize("then", ["read on", "hang up"])
@pytest.mark.parametrize(
    ("status", "error"),
    [(401, MissingAuthError), (403, MissingAuthError), (413, ProviderError), (429, RateLimitError)],
)
async def test_a_refusal_of_the_api_before_the_end_of_the_form_is_heard(
    http: HttpClient, proxy: Faulty, status: int, error: type[Exception], then
):
    proxy.plan = lambda _: Early(_said(status, f"{KEY} is not welcome", "Retry-After: 7"), then)
    content = Pattern(32 * 1024 * 1024)
    with pytest.raises(error, match="is not welcome") as caught:
        await MultipartForm("/files", FIELDS, ANN).send(Transport("Test", http, proxy.url), file_of(content), nothing)
    assert type(caught.value) is error
    assert KEY not in str(caught.value)
    assert len(proxy.received) == 1
    if isinstance(caught.value, RateLimitError):
        assert caught.value.retry_after == 7


async def test_a_file_that_changes_on_the_way_is_told_as_such(http: HttpClient, sink: Sink):
    class Shorter(Bytes):
        async def read(self, start: int = 0, end: int | None = None):
            yield self.data[:1000]
            raise UnreadableError("a.png has changed")

    with pytest.raises(UnreadableError, match="has changed"):
        await MultipartForm("/files", FIELDS, ANN).send(
            Transport("Test", http, sink.url), file_of(Shorter(DATA)), nothing
        )


async def test_a_large_file_takes_no_memory(http: HttpClient, sink: Sink):
    sink.keep = False
    file = file_of(Pattern(96 * 1024 * 1024))
    transport = Transport("Test", http, sink.url)
    await MultipartForm("/files", FIELDS, ANN).send(transport, file_of(DATA), nothing)
    tracemalloc.start()
    try:
        await MultipartForm("/files", FIELDS, ANN).send(transport, file, nothing)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1024 * 1024
