"""DashScope's temporary storage: policy, form, questions that point to the file; the official SDKs as clients, too."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import dashscope
import msgspec
import pytest
from aiohttp import web
from dashscope.utils.oss_utils import OssUtils
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI
from openai import BadRequestError as OpenAIBadRequestError
from tests.servers.dashscope import BUCKET, FORM, KEY, DashScopeService, dashscope_service
from tests.servers.faulty import Cut, Lose, Say, faulty, refusal
from tests.uploads.contents import file_of, nothing

from mediary.errors import (
    BadRequestError,
    MissingAuthError,
    ProviderError,
    RateLimitError,
    SettingsError,
    TooLargeError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.settings import UploadSettings
from mediary.testing.uploads import FlowContract
from mediary.uploads.base import Attaches, Credentials, File, Removes, UploadedFile
from mediary.uploads.dashscope import DashScope, DashScopeTicket

MODEL = "qwen-vl-plus"
pytestmark = pytest.mark.usefixtures("no_delays")

CREDENTIALS = Credentials(api_key=KEY)


@pytest.fixture
async def service() -> AsyncIterator[DashScopeService]:
    async with dashscope_service() as served:
        yield served


@pytest.fixture
def flow(service: DashScopeService, http: HttpClient) -> DashScope:
    return make(service.base_url, http)


def make(url: str, http: HttpClient, **table: Any) -> DashScope:
    return DashScope("DashScope", UploadSettings(flow="dashscope", base_url=url, **table), http)


async def carry(flow: DashScope, file: File, model: str | None = MODEL) -> UploadedFile:
    """Ticket, send, receipt."""
    account = flow.account(CREDENTIALS)
    ticket = await flow.ticket(file, account, model)
    sent = await ticket.sender.send(flow.transport, file, nothing)
    return await flow.receipt(file, account, ticket, sent)


async def ask(service: DashScopeService, flow: DashScope, *files: UploadedFile, model: str = MODEL) -> str:
    """A question by OpenAI's SDK."""
    async with AsyncOpenAI(base_url=service.base_url, api_key=KEY, max_retries=0) as client:
        message: Any = flow.message(files, "what is this?")
        headers = dict(flow.question_headers)
        answer = await client.chat.completions.create(model=model, messages=[message], extra_headers=headers)
    return answer.choices[0].message.content or ""


async def test_a_file_arrives_and_questions_can_point_to_it(service, flow):
    uploaded = await carry(flow, file_of(b"\x89PNG", name="bild ü 猫.png", width=3, height=2))
    assert service.kept == {uploaded.id.removeprefix("oss://"): b"\x89PNG"}
    assert uploaded.id == uploaded.url and uploaded.id.endswith("/bild ü 猫.png")
    assert uploaded.reusable and (uploaded.width, uploaded.height) == (3, 2)
    assert await ask(service, flow, uploaded) == "image_url image/png 4"
    assert service.asked == [f"action=getPolicy&model={MODEL}"]


async def test_the_form_has_its_fields_in_order_and_the_storage_sees_no_key(service, flow):
    await carry(flow, file_of(b"abc"))
    (stored,) = service.storage.objects.values()
    assert msgspec.json.decode(stored.headers["form"]) == FORM
    (headers,) = service.storage.headers
    assert "Authorization" not in headers and KEY not in str(headers)
    assert headers["Content-Length"].isdecimal() and "Transfer-Encoding" not in headers


async def test_every_kind_of_media_has_its_part(service, flow):
    files = [
        await carry(flow, file_of(b"1", name="a.png")),
        await carry(flow, file_of(b"22", name="a.mp4", media_type="video/mp4")),
        await carry(flow, file_of(b"333", name="a.mp3", media_type="audio/mpeg")),
    ]
    assert await ask(service, flow, *files) == "image_url image/png 1; video_url video/mp4 2; input_audio audio/mpeg 3"
    assert flow.part(files[2], "openai")["input_audio"]["format"] == "mp3"
    odd = msgspec.structs.replace(files[2], media_type="audio/aac")
    assert flow.part(odd, "openai")["input_audio"]["format"] == "aac"


def test_what_it_attaches(http):
    flow = make("https://dashscope.example.com/compatible-mode/v1", http)
    assert isinstance(flow, Attaches) and not isinstance(flow, Removes)
    for media_type in ("image/png", "video/mp4", "audio/wav"):
        assert flow.attaches(media_type, "openai") and flow.takes().has(media_type)
        assert not flow.attaches(media_type, "anthropic")
    assert not flow.attaches("application/pdf", "openai") and not flow.takes().has("application/pdf")
    assert flow.models_matter and flow.names_matter


async def test_a_file_is_kept_for_two_days(flow, monkeypatch):
    monkeypatch.setattr("mediary.uploads.dashscope.time.time", lambda: 1000.0)
    assert (await carry(flow, file_of(b"abc"))).expires_at == 1000.0 + 48 * 3600


async def test_an_upload_is_for_one_model(service, flow, http):
    with pytest.raises(BadRequestError, match="model"):
        await carry(flow, file_of(b"abc"), None)
    assert service.asked == []
    await carry(make(service.base_url, http, model="a b&c"), file_of(b"abc"), None)
    assert service.asked == ["action=getPolicy&model=a%20b%26c"]
    uploaded = await carry(flow, file_of(b"abc"))
    with pytest.raises(OpenAIBadRequestError) as caught:
        await ask(service, flow, uploaded, model="another")
    assert flow.is_unknown(uploaded, str(caught.value))


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        ("<400> InternalError.Algo.InvalidParameter: Failed to download multimodal content", True),
        ("Unable to download the media resource during the data inspection process.", True),
        ("Download the media resource timed out during the data inspection process.", True),
        ("The file oss://x was not found", True),
        ("The image url has expired", True),
        ("NoSuchKey", True),
        ("The image format is illegal and cannot be opened", False),
        ("Rate limit exceeded", False),
        ("Model not exist.", False),
    ],
)
def test_words_that_say_that_a_file_is_gone(http, words, unknown):
    flow = make("https://dashscope.example.com", http)
    file = UploadedFile(id="oss://dir/a.png", name="a.png", media_type="image/png", size=1)
    assert flow.is_unknown(file, words) is unknown


# Sizes.


async def test_a_file_that_is_too_large_for_the_model_is_refused_before_a_byte_is_sent(service, flow):
    service.max_megabytes = 1
    with pytest.raises(TooLargeError, match="1048576 bytes at most for qwen-vl-plus"):
        await carry(flow, file_of(bytes(1024 * 1024 + 1)))
    assert service.storage.asked == []
    await carry(flow, file_of(bytes(1024 * 1024)))


@pytest.mark.parametrize("said", ["1", 1.0, 1])
async def test_the_largest_size_may_be_written_in_words(service, flow, said):
    service.change = lambda data: data.update(max_file_size_mb=said)
    with pytest.raises(TooLargeError):
        await carry(flow, file_of(bytes(1024 * 1024 + 1)))


@pytest.mark.parametrize("said", [None, "", "plenty", "inf", "nan", 0])
async def test_a_size_that_is_none_does_not_matter(service, flow, said):
    service.change = lambda data: data.update(max_file_size_mb=said)
    await carry(flow, file_of(b"abc"))


# What the service may say instead.


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (lambda: web.json_response({"code": "InvalidApiKey", "message": "no"}, status=401), MissingAuthError, "no"),
        (lambda: web.json_response({"code": "x", "message": "denied"}, status=403), MissingAuthError, "denied"),
        (lambda: web.json_response({"code": "Throttling", "message": "slow"}, status=429), RateLimitError, "slow"),
        (lambda: web.json_response({"code": "x", "message": "bad"}, status=400), ProviderError, "bad"),
        (lambda: web.json_response({"data": {"policy": "x"}}), ProviderError, "no policy"),
        (lambda: web.json_response({"data": None}), ProviderError, "no policy"),
        (lambda: web.json_response([]), ProviderError, "cannot be read"),
        (lambda: web.Response(text=""), ProviderError, "cannot be read"),
        (lambda: web.Response(text="<html>"), ProviderError, "cannot be read"),
    ],
)
async def test_a_refused_policy(service, flow, answer, kind, words):
    service.refuse = answer
    with pytest.raises(kind, match=words):
        await carry(flow, file_of(b"abc"))
    assert service.storage.asked == []


@pytest.mark.parametrize("host", [None, "", "not a url", "ftp://x"])
async def test_a_policy_without_a_place_is_none(service, flow, host):
    service.change = lambda data: data.update(upload_host=host)
    with pytest.raises(ProviderError, match="place"):
        await carry(flow, file_of(b"abc"))


async def test_a_wrong_key_and_none(service, flow):
    with pytest.raises(MissingAuthError, match="Invalid API-key"):
        await flow.ticket(file_of(b"abc"), flow.account(Credentials(api_key="sk-wrong")), MODEL)
    with pytest.raises(MissingAuthError, match="api_key"):
        flow.account(Credentials())


async def test_a_tampered_policy_is_refused_by_the_storage(service, flow):
    service.change = lambda data: data.update(signature="AAAA")
    with pytest.raises(UploadRefusedError, match="SignatureDoesNotMatch") as caught:
        await carry(flow, file_of(b"abc"))
    assert caught.value.answered == 403 and service.storage.objects == {}


async def test_the_key_of_the_form_is_within_what_the_policy_allows(service, flow):
    service.change = lambda data: data.update(upload_dir="elsewhere")
    with pytest.raises(UploadRefusedError, match="Policy"):
        await carry(flow, file_of(b"abc"))


async def test_a_form_may_be_answered_under_output(service, flow):
    service.under = "output"
    service.change = lambda data: data.update(x_oss_forbid_overwrite=True)
    await carry(flow, file_of(b"abc"))


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
async def test_a_form_that_is_cut_is_sent_again(service, flow, share):
    async with faulty(service.storage.port) as proxy:
        service.storage_url = proxy.url
        proxy.once(Cut(share))
        await carry(flow, file_of(b"abc" * 10_000))
        assert [*service.kept.values()] == [b"abc" * 10_000]
        assert len(proxy.received) == 2


async def test_a_lost_answer_does_not_matter_since_nothing_is_overwritten(service, flow):
    async with faulty(service.storage.port) as proxy:
        service.storage_url = proxy.url
        proxy.once(Lose())
        uploaded = await carry(flow, file_of(b"abc"))
    assert [request.method for request in proxy.received] == ["POST", "POST"]
    assert await ask(service, flow, uploaded) == "image_url image/png 3"


async def test_a_storage_that_refuses_is_told_with_its_words(service, flow):
    async with faulty(service.storage.port) as proxy:
        service.storage_url = proxy.url
        proxy.once(Say(refusal(400, "<Error><Code>EntityTooLarge</Code><Message>too large</Message></Error>")))
        with pytest.raises(UploadRefusedError, match="EntityTooLarge: too large"):
            await carry(flow, file_of(b"abc"))


async def test_a_ticket_can_be_written_down_and_shows_nothing(service, flow):
    file, account = file_of(b"abc"), flow.account(CREDENTIALS)
    ticket = await flow.ticket(file, account, MODEL)
    assert "Signature" not in repr(ticket) and KEY not in repr(ticket)
    again = msgspec.json.decode(msgspec.json.encode(ticket), type=DashScopeTicket)
    await again.sender.send(flow.transport, file, nothing)
    assert service.kept == {ticket.key: b"abc"}


def test_wrong_keys_of_the_settings(http):
    with pytest.raises(SettingsError, match="types"):
        make("https://dashscope.example.com", http, type=["image/*"])


# The official SDK as the client of the same service.


async def test_the_sdk_uploads_to_the_same_service(service, tmp_path, monkeypatch):
    monkeypatch.setattr(dashscope, "base_http_api_url", f"{service.url}/api/v1")
    path: Path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG")
    url, policy = await asyncio.to_thread(OssUtils.upload, model=MODEL, file_path=str(path), api_key=KEY)
    assert service.kept == {url.removeprefix("oss://"): b"\x89PNG"}
    (stored,) = service.storage.objects.values()
    assert msgspec.json.decode(stored.headers["form"]) == FORM
    assert policy["upload_dir"].startswith(BUCKET)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=60))
def test_a_part_has_the_link_as_it_is(name):
    url = f"oss://{BUCKET}/x/{name}"
    file = UploadedFile(id=url, name=name, media_type="video/mp4", size=1)
    assert DashScope.part(None, file, "openai") == {"type": "video_url", "video_url": {"url": url}}  # type: ignore[arg-type]


class TestContract(FlowContract):
    @pytest.fixture
    def secret(self) -> str:
        return KEY

    @pytest.fixture
    def model(self) -> str:
        return MODEL

    @pytest.fixture
    def flow(self, service: DashScopeService, http: HttpClient) -> DashScope:
        return make(service.base_url, http, api_key=KEY)

    @pytest.fixture
    def nobody(self, service: DashScopeService, http: HttpClient) -> DashScope:
        return make(service.base_url, http)

    @pytest.fixture
    def stored(self, service: DashScopeService) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(file: UploadedFile) -> bytes:
            return service.kept[file.id.removeprefix("oss://")]

        return read
