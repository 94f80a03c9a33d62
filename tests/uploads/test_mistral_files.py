"""Mistral Files: the same requests as the official SDK's, links that end, and what goes wrong on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from mistralai.client.models import ContentChunk, UserMessage
from pydantic import SecretStr, TypeAdapter
from tests.servers.faulty import Cut, Faulty, Lose, Say, faulty, refusal
from tests.servers.http import Received, response
from tests.servers.mistral import KEY, MistralService, mistral
from tests.servers.openai_files import Asked
from tests.uploads.contents import file_of, nothing

from mediary.errors import (
    MissingAuthError,
    ProviderError,
    RateLimitError,
    SettingsError,
    TooLargeError,
    UnsupportedTypeError,
    UploadDamagedError,
)
from mediary.net.client import HttpClient
from mediary.settings import NetSettings, UploadSettings
from mediary.testing.uploads import FlowContract
from mediary.uploads.base import Abandons, Attaches, Credentials, File, Removes, UploadedFile
from mediary.uploads.delivery.delivery import Delivery
from mediary.uploads.mistral_files import MistralFiles, MistralTicket

DATA = b"%PDF-1.7\n" + bytes(range(256)) * 400
PDF = file_of(DATA, 'Bericht "März".pdf', "application/pdf")
PICTURE = file_of(b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png", width=3, height=2)
SOUND = file_of(b"ID3" + bytes(100), "a.mp3", "audio/mpeg")


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(NetSettings())
    yield client
    await client.close()


@pytest.fixture
async def service() -> AsyncIterator[MistralService]:
    async with mistral() as service:
        yield service


@pytest.fixture
async def proxy(service: MistralService) -> AsyncIterator[Faulty]:
    async with faulty(service.port) as proxy:
        yield proxy


@pytest.fixture
async def sdk(service: MistralService) -> AsyncIterator[Mistral]:
    async with Mistral(api_key=KEY, server_url=service.url) as client:
        yield client


def make(http: HttpClient, base_url: str = "https://api.example/v1", **own: Any) -> MistralFiles:
    table = UploadSettings(flow="mistral_files", base_url=base_url, api_key=SecretStr(KEY), **own)
    return MistralFiles("Mistral", table, http)


async def _begun(*_: object) -> None:
    pass


def delivery(flow: MistralFiles, file: File = PDF, key: str | None = None) -> Delivery:
    return Delivery(flow, file, flow.account(Credentials(key)), None, nothing, _begun)


async def upload(flow: MistralFiles, file: File = PDF, key: str | None = None) -> UploadedFile:
    return await delivery(flow, file, key).run()


async def test_the_sdk_uploads_links_and_removes(service: MistralService, sdk: Mistral):
    made = await sdk.files.upload_async(file={"file_name": "b.pdf", "content": DATA}, purpose="ocr")
    assert (made.size_bytes, made.filename, made.purpose) == (len(DATA), "b.pdf", "ocr")
    link = await sdk.files.get_signed_url_async(file_id=made.id)
    async with ClientSession() as browser, browser.get(link.url) as read:
        assert await read.read() == DATA
    assert (await sdk.files.delete_async(file_id=made.id)).deleted
    with pytest.raises(SDKError, match="No file matches"):
        await sdk.files.retrieve_async(file_id=made.id)


def _wire(asked: Asked) -> tuple[Any, ...]:
    path = "/".join("ID" if len(step) == 36 else step for step in asked.path.partition("?")[0].split("/"))
    names = ("content-length", "content-type") if asked.fields else ()
    headers = [asked.headers[name].partition(";")[0] for name in ("authorization", *names)]
    return asked.method, path, asked.path.partition("?")[2], headers, asked.fields


async def test_our_requests_are_the_sdks(http: HttpClient, service: MistralService, sdk: Mistral):
    content = {"file_name": PDF.name, "content": DATA, "content_type": PDF.media_type}
    made = await sdk.files.upload_async(file=content, purpose="ocr")  # type: ignore[arg-type]
    await sdk.files.get_signed_url_async(file_id=made.id, expiry=24)
    await sdk.files.delete_async(file_id=made.id)
    theirs = [_wire(asked) for asked in service.asked]
    service.asked.clear()

    flow = make(http, service.base_url)
    await flow.remove(await upload(flow), flow.account(Credentials()))

    ours = [_wire(asked) for asked in service.asked]
    # The length tells how long the boundary is, and no more.
    assert len(ours[0][3].pop(1)) == len(theirs[0][3].pop(1))
    assert ours == theirs


@pytest.mark.parametrize(
    ("file", "purpose", "entry"),
    [
        (PDF, "ocr", {"type": "document_url", "document_url": "URL", "document_name": PDF.name}),
        (PICTURE, "ocr", {"type": "image_url", "image_url": "URL"}),
        (SOUND, "audio", {"type": "input_audio", "input_audio": "URL"}),
    ],
    ids=["document", "picture", "sound"],
)
async def test_what_comes_of_it(
    http: HttpClient, service: MistralService, file: File, purpose: str, entry: dict[str, str]
):
    flow = make(http, service.base_url, visibility="user")
    before = time.time()

    uploaded = await upload(flow, file)

    assert service.files[uploaded.id]["purpose"] == purpose
    assert service.files[uploaded.id]["visibility"] == "user"
    assert uploaded.url
    assert uploaded.entry == {key: uploaded.url if value == "URL" else value for key, value in entry.items()}
    assert flow.part(uploaded, "openai") == uploaded.entry
    assert (uploaded.width, uploaded.height, uploaded.size) == (file.width, file.height, file.size)
    assert uploaded.expires_at
    assert before + 24 * 3600 - 1 <= uploaded.expires_at <= time.time() + 24 * 3600
    async with ClientSession() as browser, browser.get(uploaded.url) as read:
        assert await read.read() == service.contents[uploaded.id]


async def test_a_link_that_does_not_tell_ends_when_we_asked_for_it(http: HttpClient, service: MistralService):
    service.links_tell = False
    before = time.time()
    uploaded = await upload(make(http, service.base_url, link_hours=2))
    assert uploaded.expires_at
    assert before + 7200 <= uploaded.expires_at <= time.time() + 7200


async def test_a_file_that_ends_before_its_link(http: HttpClient, service: MistralService):
    service.changes = {"expires_at": int(time.time()) + 600}
    assert (await upload(make(http, service.base_url))).expires_at == service.changes["expires_at"]


@pytest.mark.parametrize(
    ("own", "key"),
    [({"link_hours": 0}, "link_hours"), ({"link_hours": 169}, "link_hours"), ({"visibility": "all"}, "visibility"),
     ({"purpose": ""}, "purpose"), ({"link_hour": 3}, "link_hours")],
)  # fmt: skip
def test_a_wrong_setting_is_named(http: HttpClient, own: dict[str, Any], key: str):
    with pytest.raises(SettingsError, match=key):
        make(http, **own)


def test_what_is_taken(http: HttpClient):
    flow = make(http)
    takes = flow.takes()
    takes.check("Mistral", "a", "application/pdf", 512 * 1024**2)
    with pytest.raises(TooLargeError):
        takes.check("Mistral", "a", "application/pdf", 512 * 1024**2 + 1)
    with pytest.raises(UnsupportedTypeError, match="application/pdf"):
        takes.check("Mistral", "a", "video/mp4", 1)
    assert flow.attaches("application/pdf", "openai")
    assert flow.attaches("audio/mpeg", "openai")
    assert not flow.attaches("video/mp4", "openai")
    assert not flow.attaches("application/pdf", "anthropic")
    assert isinstance(flow, Attaches)
    assert isinstance(flow, Removes)
    assert isinstance(flow, Abandons)


async def test_messages_are_such_as_the_sdk_knows(http: HttpClient, service: MistralService):
    flow = make(http, service.base_url)
    files = [await upload(flow, file) for file in (PDF, PICTURE, SOUND)]
    message = flow.message(files, "What is this?")
    for part in message["content"]:
        assert TypeAdapter(ContentChunk).validate_python(part).type == part["type"]
    assert UserMessage.model_validate(message).role == "user"
    assert [part["type"] for part in message["content"]] == ["document_url", "image_url", "input_audio", "text"]
    assert flow.message(files[:1], "")["content"] == [files[0].entry]


LINK = "https://store.example/fine-tune/ws/f1?se=2026-11-21T00%3A00%3A00Z&sig=a%2Fb"


@pytest.mark.parametrize(
    "words",
    [
        f"File could not be fetched from url '{LINK}'",
        "File could not be fetched from url 'https://store.example/fine-tune/ws/f1'",
        "The image couldn't be loaded",
        "Failed to download the document",
        "Unable to access the file",
        "The url has expired",
        "No such file",
    ],
)
def test_words_that_say_that_the_link_leads_nowhere(http: HttpClient, words: str):
    file = UploadedFile(id="f1", name="a", media_type="application/pdf", size=1, url=LINK)
    assert make(http).is_unknown(file, words)


@pytest.mark.parametrize(
    "words",
    [
        "File could not be fetched from url 'https://store.example/fine-tune/ws/f2?sig=x'",
        "The model cannot be used",
        "Image could not be loaded as a valid image",
        "Invalid model: nothing",
        "Document has too many pages",
        "Your key has expired",
        "",
    ],
)
def test_words_that_say_something_else(http: HttpClient, words: str):
    file = UploadedFile(id="f1", name="a", media_type="application/pdf", size=1, url=LINK)
    assert not make(http).is_unknown(file, words)


async def test_a_wrong_key(http: HttpClient, service: MistralService):
    with pytest.raises(MissingAuthError, match="Unauthorized") as caught:
        await upload(make(http, service.base_url), key="wrong-key-0123456789")
    assert "wrong-key" not in str(caught.value)


async def test_a_bad_moment_when_the_file_is_there(http: HttpClient, service: MistralService, proxy: Faulty):
    proxy.once(Say(refusal(503)), lambda request: "/url?" in request.target)
    assert (await upload(make(http, f"{proxy.url}/v1"))).url
    assert len(service.contents) == 1
    assert len(proxy.received) == 3


@pytest.mark.parametrize(
    ("status", "error"), [(403, MissingAuthError), (413, ProviderError), (422, ProviderError), (429, RateLimitError)]
)
async def test_a_refusal(http: HttpClient, proxy: Faulty, status: int, error: type[Exception]):
    proxy.plan = lambda _: Say(response(b'{"message": "not this one"}', "Retry-After: 5", status=status))
    with pytest.raises(error, match="not this one") as caught:
        await upload(make(http, f"{proxy.url}/v1"))
    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after", 5) == 5
    assert len(proxy.received) == 1


@pytest.mark.parametrize("fault", [Say(refusal(500)), Cut(0), Cut(0.5), Cut(0.99), Lose()], ids=repr)
async def test_what_is_broken_off_is_sent_again(http: HttpClient, service: MistralService, proxy: Faulty, fault):
    proxy.once(fault)
    uploaded = await upload(make(http, f"{proxy.url}/v1"))
    assert service.contents[uploaded.id] == DATA
    assert len(proxy.received) == 3


async def test_without_a_link_the_file_is_taken_away_again(http: HttpClient, service: MistralService):
    service.refusals["/url"] = 500
    sending = delivery(make(http, service.base_url))
    with pytest.raises(ProviderError, match="not now"):
        await sending.run()
    assert len(service.files) == 1
    await sending.give_up()
    assert not service.files


async def test_when_the_client_is_gone_the_file_is_taken_away_again(
    http: HttpClient, service: MistralService, proxy: Faulty
):
    asked = asyncio.Event()

    def plan(request: Received) -> None:
        if "/url" in request.target:
            asked.set()
            raise ConnectionError

    proxy.plan = plan
    sending = delivery(make(http, f"{proxy.url}/v1"))
    running = asyncio.create_task(sending.run())
    await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await sending.give_up()
    assert not service.files


async def test_another_size_than_was_sent_is_damage(http: HttpClient, service: MistralService):
    service.changes = {"bytes": 7}
    with pytest.raises(UploadDamagedError, match="7 bytes"):
        await upload(make(http, service.base_url))
    assert len([asked for asked in service.asked if asked.method == "POST"]) == 2
    assert len(service.files) == 1  # the one that the caller gives up


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"id": 7, "url": 7}', b'{"id": "", "url": ""}'])
@pytest.mark.parametrize("step", ["/files", "/url"])
async def test_an_answer_without_sense(http: HttpClient, proxy: Faulty, step: str, body: bytes):
    proxy.plan = lambda request: Say(response(body)) if request.target.partition("?")[0].endswith(step) else None
    with pytest.raises(ProviderError, match="Mistral: "):
        await upload(make(http, f"{proxy.url}/v1"))


async def test_one_that_is_gone_is_as_good_as_removed(http: HttpClient, service: MistralService):
    flow = make(http, service.base_url)
    account = flow.account(Credentials())
    uploaded = await upload(flow)
    await flow.remove(uploaded, account)
    await flow.remove(uploaded, account)
    assert not service.files


async def test_a_ticket_shows_no_key_and_can_be_written_down(http: HttpClient):
    flow = make(http)
    ticket = await flow.ticket(PDF, flow.account(Credentials()))
    assert KEY not in repr(ticket)
    assert msgspec.json.decode(msgspec.json.encode(ticket), type=MistralTicket) == ticket


class TestContract(FlowContract):
    @pytest.fixture
    def secret(self) -> str:
        return KEY

    @pytest.fixture
    def flow(self, service: MistralService, http: HttpClient) -> MistralFiles:
        return make(http, service.base_url)

    @pytest.fixture
    def nobody(self, service: MistralService, http: HttpClient) -> MistralFiles:
        return MistralFiles("Mistral", UploadSettings(flow="mistral_files", base_url=service.base_url), http)

    @pytest.fixture
    def stored(self, service: MistralService) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(file: UploadedFile) -> bytes:
            return service.contents[file.id]

        return read
