"""Anthropic's Files API: against a small and strict Anthropic, which the official SDK accepts as well."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from anthropic import AsyncAnthropic
from pydantic import SecretStr
from tests.servers.anthropic import KEY, OTHER_KEY, Small, small_anthropic
from tests.servers.faulty import Cut, Faulty, Lose, Say, faulty, refusal
from tests.uploads.contents import Pattern, file_of, nothing

from mediary.errors import (
    MediaryError,
    MissingAuthError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    SettingsError,
    UploadDamagedError,
)
from mediary.events import Content
from mediary.net.client import HttpClient
from mediary.providers.anthropic.provider import Anthropic
from mediary.providers.base import Message, Remote, Text, TurnRequest
from mediary.settings import ProviderSettings, UploadSettings
from mediary.testing.uploads import FlowContract, Told, send
from mediary.uploads.anthropic_files import AnthropicFiles
from mediary.uploads.base import Attaches, Credentials, File, Removes, UploadedFile

MODEL = "claude-haiku-4-5"
PDF = b"%PDF-1.7 and more"
Make = Callable[..., AnthropicFiles]


@pytest.fixture
async def small() -> AsyncIterator[Small]:
    async with small_anthropic() as service:
        yield service


@pytest.fixture
async def proxy(small: Small) -> AsyncIterator[Faulty]:
    async with faulty(small.port) as between:
        yield between


@pytest.fixture
def make(http: HttpClient) -> Make:
    def flow(base_url: str, api_key: str | None = KEY, **fields: Any) -> AnthropicFiles:
        headers = {header: SecretStr(value) for header, value in fields.pop("headers", {}).items()}
        key = SecretStr(api_key) if api_key else None
        table = UploadSettings(flow="anthropic_files", base_url=base_url, api_key=key, headers=headers, **fields)
        return AnthropicFiles("Claude", table, http)

    return flow


async def upload(
    flow: AnthropicFiles, file: File, credentials: Credentials | None = None, told: Told | None = None
) -> UploadedFile:
    return await send(flow, file, flow.account(credentials or Credentials()), told=told)


async def failed(flow: AnthropicFiles, file: File) -> MediaryError:
    with pytest.raises(MediaryError) as caught:
        await upload(flow, file)
    return caught.value


@pytest.mark.parametrize(
    ("name", "media_type", "data", "kind"),
    [
        ("Bild ü.png", "image/png", b"\x89PNG", "image"),
        ("a.pdf", "application/pdf", PDF, "document"),
        ("a.txt", "text/plain", b"", "document"),
    ],
)
async def test_a_file_and_a_question_about_it(
    make: Make, small: Small, http: HttpClient, name: str, media_type: str, data: bytes, kind: str
):
    flow = make(small.base_url)
    uploaded = await upload(flow, file_of(data, name, media_type, width=3, height=2))
    assert (uploaded.name, uploaded.media_type, uploaded.size) == (name, media_type, len(data))
    assert (uploaded.width, uploaded.height, uploaded.expires_at, uploaded.reusable) == (3, 2, None, True)
    assert uploaded.entry["filename"] == name
    assert small.files[uploaded.id].data == data
    assert isinstance(flow, Attaches)
    assert flow.attaches(media_type, "anthropic")
    part = flow.part(uploaded, "anthropic")
    assert part["type"] == kind
    said = f"You said: [{media_type} of {len(data)} bytes] What?"
    provider = Anthropic("Claude", ProviderSettings(wire="anthropic", base_url=small.base_url), http)
    message = Message("user", (Remote(media_type, part, name), Text("What?")))
    question = TurnRequest(MODEL, (message,), api_key=KEY, headers=flow.question_headers)
    answer = [event.content async for event in provider.converse(question) if isinstance(event, Content)]
    assert "".join(answer) == said
    async with AsyncAnthropic(base_url=small.sdk_url, api_key=KEY) as client:
        assert (await client.files.retrieve_metadata(uploaded.id)).mime_type == media_type
        by_sdk = await client.messages.create(
            model=MODEL,
            max_tokens=100,
            messages=[flow.message([uploaded], "What?")],  # type: ignore[list-item]
        )
    assert by_sdk.content[0].text == said  # type: ignore[union-attr]


class TestContract(FlowContract):
    @pytest.fixture
    def flow(self, make: Make, small: Small) -> AnthropicFiles:
        return make(small.base_url)

    @pytest.fixture
    def nobody(self, make: Make, small: Small) -> AnthropicFiles:
        return make(small.base_url, None)

    @pytest.fixture
    def secret(self) -> str:
        return KEY

    @pytest.fixture
    def stored(self, small: Small) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(file: UploadedFile) -> bytes:
            return small.files[file.id].data

        return read


async def test_what_is_sent(make: Make, small: Small):
    await upload(make(small.base_url), file_of(PDF, "a.pdf", "application/pdf"))
    assert small.asked == [("POST", "/v1/files")]
    (headers,) = small.headers
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2026-10-21"
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert not {"authorization", "anthropic-beta", "transfer-encoding"} & headers.keys()


async def test_the_service_is_strict(small: Small):
    shown = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}

    async def pieces() -> AsyncIterator[bytes]:
        yield b"--b\r\n"

    def form(**fields: str) -> aiohttp.FormData:
        data = aiohttp.FormData(fields)
        data.add_field("file", PDF, filename=fields.get("filename", "a.pdf"), content_type="application/pdf")
        return data

    no_file = {"data": "--b--\r\n", "headers": {**shown, "Content-Type": "multipart/form-data; boundary=b"}}
    chunked = {"data": pieces(), "headers": no_file["headers"]}
    too_soon, unknown = {"data": form(expires_in_seconds="60")}, {"data": form(purpose="vision")}
    nobody, no_version = {"data": form(), "headers": {}}, {"data": form(), "headers": {"x-api-key": KEY}}
    async with aiohttp.ClientSession() as session:
        statuses = []
        for how in (no_file, chunked, too_soon, unknown, nobody, no_version, {"data": form()}):
            async with session.post(f"{small.base_url}/files", **{"headers": shown, **how}) as answer:  # type: ignore[arg-type]
                statuses.append(answer.status)
    assert statuses == [400, 411, 400, 400, 401, 400, 200]
    assert len(small.files) == 1


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("日本語 🌍.pdf", "日本語 🌍.pdf"),
        ('what? "a": <b>|*\\c/d.pdf', "what_ _a__ _b____c_d.pdf"),
        ("a" * 300 + ".pdf", "a" * 251 + ".pdf"),
        ("a\r\nb.pdf", "a__b.pdf"),
    ],
)
async def test_names(make: Make, small: Small, name: str, kept: str):
    uploaded = await upload(make(small.base_url), file_of(PDF, name, "application/pdf"))
    assert small.files[uploaded.id].metadata["filename"] == kept
    assert uploaded.name == name


@pytest.mark.parametrize("end", ["", "/", "/v1/"])
async def test_a_base_url_with_and_without_the_version(make: Make, small: Small, end: str):
    await upload(make(small.sdk_url + end), file_of(PDF, "a.pdf", "application/pdf"))
    assert small.asked == [("POST", "/v1/files")]


async def test_the_end_of_a_file(make: Make, small: Small):
    uploaded = await upload(make(small.base_url, expires_in_seconds=3600), file_of(PDF, "a.pdf", "application/pdf"))
    assert uploaded.expires_at == pytest.approx(time.time() + 3600, abs=60)


@pytest.mark.parametrize("said", ["2030-01-01T00:00:00Z", "2030-01-01T02:00:00+02:00", "2030-01-01T00:00:00"])
async def test_the_end_as_the_service_tells_it(make: Make, proxy: Faulty, said: str):
    proxy.plan = lambda _: Say(refusal(200, f'{{"id": "file_1", "expires_at": "{said}"}}'))
    uploaded = await upload(make(f"{proxy.url}/v1"), file_of(PDF, "a.pdf", "application/pdf"))
    assert uploaded.expires_at == datetime(2030, 1, 1, tzinfo=UTC).timestamp()


async def test_the_end_where_the_service_does_not_tell(make: Make, proxy: Faulty):
    proxy.plan = lambda _: Say(refusal(200, '{"id": "file_1"}'))
    file = file_of(PDF, "a.pdf", "application/pdf")
    assert (await upload(make(f"{proxy.url}/v1"), file)).expires_at is None
    ends = (await upload(make(f"{proxy.url}/v1", expires_in_seconds=7200), file)).expires_at
    assert ends == pytest.approx(time.time() + 7200, abs=60)


@pytest.mark.parametrize("key", [{"expires_in_seconds": 60}, {"expire_in_seconds": 3600}])
async def test_wrong_settings(make: Make, small: Small, key: dict[str, int]):
    with pytest.raises(SettingsError, match="expires_in_seconds"):
        make(small.base_url, **key)


async def test_what_it_takes(make: Make, small: Small):
    flow = make(small.base_url)
    assert flow.takes().max_bytes == 500 * 1024**2
    assert [flow.attaches(kind, "anthropic") for kind in ("image/webp", "text/plain", "image/bmp", "video/mp4")] == [
        True,
        True,
        False,
        False,
    ]
    assert not flow.attaches("image/png", "openai")
    assert flow.names_matter


async def test_accounts(make: Make, small: Small):
    flow, other = make(small.base_url), Credentials(api_key=OTHER_KEY)
    mine, theirs = flow.account(Credentials()), flow.account(other)
    assert mine.id == flow.account(Credentials(api_key=KEY)).id != theirs.id
    assert KEY not in repr(mine) and KEY not in mine.id
    uploaded = await upload(flow, file_of(PDF, "a.pdf", "application/pdf"), other)
    assert small.files[uploaded.id].owner == OTHER_KEY
    with pytest.raises(MissingAuthError, match="api_key"):
        make(small.base_url, None).account(Credentials())


async def test_headers_of_the_settings(make: Make, small: Small):
    own = {
        "Authorization": f"Bearer {KEY}",
        "Anthropic-Version": "2023-06-01",
        "anthropic-beta": "files-api-2025-04-14",
    }
    flow, file = make(small.base_url, None, headers=own), file_of(PDF, "a.pdf", "application/pdf")
    await upload(flow, file)
    headers = small.headers[0]
    assert (headers["anthropic-version"], headers["anthropic-beta"]) == ("2023-06-01", "files-api-2025-04-14")
    uploaded = await upload(flow, file, Credentials(api_key=OTHER_KEY))
    assert small.files[uploaded.id].owner == OTHER_KEY
    assert "authorization" not in small.headers[1]


async def test_removing(make: Make, small: Small):
    flow = make(small.base_url)
    uploaded = await upload(flow, file_of(PDF, "a.pdf", "application/pdf"))
    assert isinstance(flow, Removes)
    with pytest.raises(MissingAuthError):
        await flow.remove(uploaded, flow.account(Credentials(api_key="wrong")))
    for _ in range(2):
        await flow.remove(uploaded, flow.account(Credentials()))
    assert small.files == {}


async def test_a_file_that_is_gone_or_at_its_end(make: Make, small: Small, http: HttpClient):
    flow = make(small.base_url, expires_in_seconds=3600)
    gone = await upload(flow, file_of(PDF, "a.pdf", "application/pdf"))
    ended = await upload(flow, file_of(PDF, "b.pdf", "application/pdf"))
    kept = await upload(flow, file_of(PDF, "c.pdf", "application/pdf"))
    await flow.remove(gone, flow.account(Credentials()))
    small.files[ended.id].metadata["expires_at"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    provider = Anthropic("Claude", ProviderSettings(wire="anthropic", base_url=small.base_url), http)
    for lost in (gone, ended):
        parts = tuple(Remote(file.media_type, flow.part(file, "anthropic"), file.name) for file in (kept, lost))
        with pytest.raises(ProviderError) as caught:
            await anext(provider.converse(TurnRequest(MODEL, (Message("user", parts),), api_key=KEY)))
        assert flow.is_unknown(lost, str(caught.value))
        assert not flow.is_unknown(kept, str(caught.value))


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        ("Claude: File not found: file_011A", True),
        ("messages.0.content.1.document.source.file.file_id: File file_011A does not exist", True),
        ("file_011A was deleted", True),
        ("The file has expired", True),
        ("File not found: file_011B", False),
        ("File not found: file_011AB", False),
        ("model: claude-none was not found", False),
        ("file_011A: the file type is not supported", False),
        ("Overloaded", False),
    ],
)
async def test_words_about_unknown_files(make: Make, small: Small, words: str, unknown: bool):
    file = UploadedFile(id="file_011A", name="a.pdf", media_type="application/pdf", size=1)
    assert make(small.base_url).is_unknown(file, words) == unknown


async def test_a_service_that_keeps_less(make: Make, small: Small):
    small.keeps_less = True
    flow, file = make(small.base_url), file_of(PDF, "a.pdf", "application/pdf")
    account = flow.account(Credentials())
    ticket = await flow.ticket(file, account)
    sent = await ticket.sender.send(flow.transport, file, nothing)
    with pytest.raises(UploadDamagedError, match=f"{len(PDF) - 1} bytes"):
        await flow.receipt(file, account, ticket, sent)
    assert small.files
    await flow.abandon(account, ticket)
    assert small.files == {}


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
async def test_a_connection_that_breaks_once(no_delays: None, make: Make, small: Small, proxy: Faulty, share: float):
    proxy.once(Cut(share))
    data = bytes(3_000_000)
    told = Told()
    uploaded = await upload(make(f"{proxy.url}/v1"), file_of(data, "a.png"), told=told)
    assert small.files[uploaded.id].data == data
    assert len(small.files) == 1
    assert told.sent[-1] == len(data)


async def test_an_answer_that_is_lost(no_delays: None, make: Make, small: Small, proxy: Faulty):
    proxy.once(Lose())
    uploaded = await upload(make(f"{proxy.url}/v1"), file_of(PDF, "a.pdf", "application/pdf"))
    assert small.files[uploaded.id].data == PDF


async def test_a_connection_that_breaks_always(no_delays: None, make: Make, small: Small, proxy: Faulty):
    proxy.plan = lambda _: Cut(0.5)
    error = await failed(make(f"{proxy.url}/v1"), file_of(bytes(3_000_000), "a.png"))
    assert isinstance(error, ProviderUnavailableError)
    assert len(proxy.received) == 3
    assert small.files == {}


def says(status: int, kind: str, *headers: str) -> Say:
    words = f'{{"type": "error", "error": {{"type": "{kind}", "message": "No {KEY}"}}}}'
    return Say(refusal(status, words, *headers))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (says(400, "invalid_request_error"), ProviderError),
        (says(401, "authentication_error"), MissingAuthError),
        (says(403, "permission_error"), MissingAuthError),
        (says(413, "request_too_large"), ProviderError),
        (says(429, "rate_limit_error", "Retry-After: 7"), RateLimitError),
        (says(500, "api_error"), ProviderUnavailableError),
    ],
)
async def test_refusals(no_delays: None, make: Make, proxy: Faulty, answer: Say, error: type[MediaryError]):
    proxy.plan = lambda _: answer
    caught = await failed(make(f"{proxy.url}/v1"), file_of(PDF, "a.pdf", "application/pdf"))
    assert type(caught) is error
    assert str(caught).startswith("Claude: No") and KEY not in str(caught)
    if isinstance(caught, RateLimitError):
        assert caught.retry_after == 7


@pytest.mark.parametrize("body", ["", "no", "[]", "{}", '{"id": null}', '{"id": 5}', "<html>"])
async def test_answers_that_say_nothing(make: Make, proxy: Faulty, body: str):
    proxy.plan = lambda _: Say(refusal(200, body))
    caught = await failed(make(f"{proxy.url}/v1"), file_of(PDF, "a.pdf", "application/pdf"))
    assert type(caught) is ProviderError


async def test_a_large_file(make: Make, small: Small):
    content = Pattern(40 * 1024**2)
    uploaded = await upload(make(small.base_url), file_of(content, "a.pdf", "application/pdf"))
    assert len(small.files[uploaded.id].data) == content.size
