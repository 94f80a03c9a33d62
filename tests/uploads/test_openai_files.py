"""OpenAI Files and Uploads: the same requests as the official SDK's, and what goes wrong on the way."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
from openai import APIStatusError, AsyncOpenAI
from openai.types.chat import ChatCompletionContentPartParam
from openai.types.responses import ResponseInputItemParam
from pydantic import SecretStr, TypeAdapter
from tests.servers import aimock as aimock_server
from tests.servers.faulty import Cut, Early, Faulty, Lose, Say, faulty, refusal
from tests.servers.http import Received, response
from tests.servers.openai_files import KEY, OTHER_KEY, Asked, OpenAIFilesService, openai_files
from tests.uploads.contents import Bytes, file_of, nothing

from mediary.errors import (
    MissingAuthError,
    ProviderError,
    RateLimitError,
    SettingsError,
    TooLargeError,
    UnsupportedTypeError,
    UploadDamagedError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.settings import NetSettings, UploadSettings
from mediary.testing.uploads import FlowContract
from mediary.uploads.base import Abandons, Attaches, Credentials, File, GoesOn, Removes, Sent, UploadedFile
from mediary.uploads.delivery.delivery import Delivery
from mediary.uploads.openai_files import OpenAIFiles, OpenAITicket
from mediary.uploads.senders.openai_parts import OpenAIParts

DATA = b"%PDF-1.7\n" + hashlib.shake_128(b"no part is like another").digest(700_000)
PART = 65536
PDF = file_of(DATA, 'Bericht "März".pdf', "application/pdf")
PICTURE = file_of(b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png", width=3, height=2)
COUNT = -(-len(DATA) // PART)


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(NetSettings())
    yield client
    await client.close()


@pytest.fixture
async def service() -> AsyncIterator[OpenAIFilesService]:
    async with openai_files() as service:
        yield service


@pytest.fixture
async def proxy(service: OpenAIFilesService) -> AsyncIterator[Faulty]:
    async with faulty(service.port) as proxy:
        yield proxy


@pytest.fixture
async def sdk(service: OpenAIFilesService) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=service.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def make(http: HttpClient, base_url: str, **own: Any) -> OpenAIFiles:
    table = UploadSettings(flow="openai_files", base_url=base_url, api_key=SecretStr(KEY), **own)
    return OpenAIFiles("OpenAI", table, http)


def in_parts(http: HttpClient, base_url: str, **own: Any) -> OpenAIFiles:
    return make(http, base_url, single_bytes=0, part_bytes=PART, **own)


async def upload(flow: OpenAIFiles, file: File = PDF, key: str | None = None) -> UploadedFile:
    account = flow.account(Credentials(key))
    return await Delivery(flow, file, account, None, nothing, _begun).run()


async def _begun(*_: object) -> None:
    pass


def numbers(service: OpenAIFilesService) -> list[int]:
    """The numbers of the parts that the service was sent, as it got them."""
    return sorted(DATA.index(asked.fields[0].data) // PART for asked in service.about("/parts") if asked.fields)


# The peer, proven by the SDK


async def test_the_sdk_uploads_and_removes(service: OpenAIFilesService, sdk: AsyncOpenAI):
    made = await sdk.files.create(
        file=("b.pdf", DATA, "application/pdf"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (made.bytes, made.filename, made.expires_at) == (len(DATA), "b.pdf", made.created_at + 3600)
    assert (await sdk.files.content(made.id)).read() == DATA
    assert (await sdk.files.delete(made.id)).deleted
    with pytest.raises(APIStatusError, match="No such File object"):
        await sdk.files.retrieve(made.id)


async def test_the_sdk_uploads_in_parts(service: OpenAIFilesService, sdk: AsyncOpenAI):
    done = await sdk.uploads.upload_file_chunked(
        file=DATA, filename="b.pdf", bytes=len(DATA), mime_type="application/pdf", purpose="user_data",
        part_size=PART, md5=hashlib.md5(DATA).hexdigest(),
    )  # fmt: skip
    assert done.status == "completed"
    assert done.file
    assert service.contents[done.file.id] == DATA
    begun = await sdk.uploads.create(bytes=5, filename="b", mime_type="text/plain", purpose="user_data")
    assert (await sdk.uploads.cancel(begun.id)).status == "cancelled"
    with pytest.raises(APIStatusError, match="is cancelled"):
        await sdk.uploads.parts.create(begun.id, data=b"abcde")
    with pytest.raises(APIStatusError, match="md5"):
        await sdk.uploads.upload_file_chunked(
            file=DATA, filename="b.pdf", bytes=len(DATA), mime_type="application/pdf", purpose="user_data", md5="0" * 32
        )


def _wire(asked: Asked) -> tuple[Any, ...]:
    """What matters of a request; ids, and what part came when, do not."""
    path = "/".join("ID" if step.startswith(("upload_", "file-")) else step for step in asked.path.split("/"))
    said = dict(asked.json or {})
    said["part_ids"] = len(said.get("part_ids", ()))
    names = ("content-length", "content-type") if asked.json or asked.fields else ()
    headers = [asked.headers[name].partition("; boundary")[0] for name in ("authorization", *names)]
    return asked.method, path, headers, asked.fields, said


async def test_our_form_is_the_sdks(http: HttpClient, service: OpenAIFilesService, sdk: AsyncOpenAI):
    made = await sdk.files.create(
        file=(PDF.name, DATA, PDF.media_type),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )
    await sdk.files.delete(made.id)
    theirs = [_wire(asked) for asked in service.asked]
    service.asked.clear()

    flow = make(http, service.base_url, expires_after_seconds=7200)
    uploaded = await upload(flow)
    await flow.remove(uploaded, flow.account(Credentials()))

    assert [_wire(asked) for asked in service.asked] == theirs


async def test_our_parts_are_the_sdks(http: HttpClient, service: OpenAIFilesService, sdk: AsyncOpenAI):
    await sdk.uploads.upload_file_chunked(
        file=DATA, filename=PDF.name, bytes=len(DATA), mime_type=PDF.media_type, purpose="user_data",
        part_size=PART, md5=PDF.md5,
    )  # fmt: skip
    theirs = [_wire(asked) for asked in service.asked]
    service.asked.clear()

    await upload(in_parts(http, service.base_url))

    ours = [_wire(asked) for asked in service.asked]
    assert (ours[0], ours[-1]) == (theirs[0], theirs[-1])
    assert sorted(ours[1:-1], key=repr) == sorted(theirs[1:-1], key=repr)


# What comes of it


async def test_a_document(http: HttpClient, service: OpenAIFilesService):
    uploaded = await upload(make(http, service.base_url, expires_after_seconds=3600))

    assert service.contents[uploaded.id] == DATA
    said = service.files[uploaded.id]
    assert said["purpose"] == "user_data"
    assert uploaded == UploadedFile(
        id=said["id"], name=PDF.name, media_type="application/pdf", size=len(DATA), entry=uploaded.entry,
        expires_at=said["expires_at"],
    )  # fmt: skip
    assert uploaded.entry.items() <= said.items()
    assert {"id", "bytes", "filename", "purpose", "expires_at"} <= set(uploaded.entry)


async def test_a_picture_is_to_be_seen_and_keeps(http: HttpClient, service: OpenAIFilesService):
    uploaded = await upload(make(http, service.base_url), PICTURE)
    assert service.files[uploaded.id]["purpose"] == "vision"
    assert (uploaded.expires_at, uploaded.width, uploaded.height) == (None, 3, 2)


async def test_in_parts_an_expiry_is_asked_for_too(http: HttpClient, service: OpenAIFilesService):
    uploaded = await upload(in_parts(http, service.base_url, expires_after_seconds=3600))
    assert service.contents[uploaded.id] == DATA
    assert uploaded.expires_at == service.files[uploaded.id]["created_at"] + 3600


async def test_up_to_the_limit_one_request_is_enough(http: HttpClient, service: OpenAIFilesService):
    flow = make(http, service.base_url, single_bytes=len(DATA))
    await upload(flow)
    assert [asked.path for asked in service.asked] == ["/v1/files"]
    await upload(flow, file_of(DATA + b"x"))
    assert service.asked[1].path == "/v1/uploads"


async def test_an_empty_file_goes_as_a_form(http: HttpClient, service: OpenAIFilesService):
    uploaded = await upload(in_parts(http, service.base_url), file_of(b"", "a.txt", "text/plain"))
    assert service.contents[uploaded.id] == b""


async def test_parts_go_side_by_side_and_are_put_together_in_order(http: HttpClient, service: OpenAIFilesService):
    others = asyncio.Event()
    waiting: list[Asked] = []

    async def first_comes_last(asked: Asked) -> None:
        if asked.path.endswith("/parts"):
            waiting.append(asked)
            if len(waiting) == COUNT:
                others.set()
            if asked.fields[0].data == DATA[:PART]:
                await others.wait()

    service.pause = first_comes_last
    uploaded = await upload(in_parts(http, service.base_url))

    assert service.contents[uploaded.id] == DATA
    assert next(iter(service.uploads.values())).parts
    assert numbers(service) == list(range(COUNT))


async def test_progress_ends_with_the_whole(http: HttpClient, service: OpenAIFilesService):
    flow = in_parts(http, service.base_url)
    told: list[int] = []
    await Delivery(flow, PDF, flow.account(Credentials()), None, told.append, _begun).run()
    assert told == sorted(told)
    assert told[-1] == len(DATA)


async def test_aimock_keeps_what_was_sent(http: HttpClient, aimock: aimock_server.Aimock):
    table = UploadSettings(flow="openai_files", base_url=aimock.base_url, api_key=SecretStr(aimock_server.KEY))
    flow = OpenAIFiles("aimock", table, http)
    account = flow.account(Credentials())
    uploaded = await upload(flow)

    async with AsyncOpenAI(base_url=aimock.base_url, api_key=aimock_server.KEY, max_retries=0) as sdk:
        kept = await sdk.files.retrieve(uploaded.id)
        assert (kept.bytes, kept.purpose) == (len(DATA), "user_data")
        assert (await sdk.files.content(uploaded.id)).read() == DATA
        await flow.remove(uploaded, account)
        await flow.remove(uploaded, account)
        with pytest.raises(APIStatusError) as caught:
            await sdk.files.retrieve(uploaded.id)
    assert flow.is_unknown(uploaded, caught.value.message)


@pytest.fixture(scope="module")
def aimock() -> Iterator[aimock_server.Aimock]:
    with aimock_server.running_aimock() as server:
        yield server


# Settings, types, credentials


@pytest.mark.parametrize(
    ("own", "key"),
    [
        ({"expires_after_seconds": 3599}, "expires_after_seconds"),
        ({"expires_after_seconds": 2592001}, "expires_after_seconds"),
        ({"purpose": "fun"}, "purpose"),
        ({"single_bytes": 513 * 1024**2}, "single_bytes"),
        ({"part_bytes": 65 * 1024**2}, "part_bytes"),
        ({"part_byte": 65536}, "part_bytes"),
    ],
)
def test_a_wrong_setting_is_named(http: HttpClient, own: dict[str, Any], key: str):
    with pytest.raises(SettingsError, match=key):
        make(http, "https://api.example/v1", **own)


def test_what_is_taken(http: HttpClient):
    flow = make(http, "https://api.example/v1", max_bytes=1000)
    flow.takes().check("OpenAI", "a.bin", "application/x-unheard-of", 1000)
    with pytest.raises(TooLargeError, match="1000"):
        flow.takes().check("OpenAI", "a.bin", "application/pdf", 1001)
    with pytest.raises(UnsupportedTypeError, match="image/png"):
        make(http, "https://api.example/v1", purpose="vision").takes().check("OpenAI", "a", "application/pdf", 1)
    assert make(http, "https://api.example/v1").takes().max_bytes == 8 * 1024**3


async def test_the_key_of_the_request_stands_before_that_of_the_settings(http: HttpClient, service: OpenAIFilesService):
    flow = make(http, service.base_url, headers={"OpenAI-Project": SecretStr("p1")})
    uploaded = await upload(flow, key=OTHER_KEY)
    assert service.owners[uploaded.id] == OTHER_KEY
    assert service.asked[0].headers["openai-project"] == "p1"
    # Bob's file is nothing that Ann's key could remove.
    await flow.remove(uploaded, flow.account(Credentials()))
    assert uploaded.id in service.files


def test_without_a_key_it_is_said_what_to_hand_in(http: HttpClient):
    flow = OpenAIFiles("OpenAI", UploadSettings(flow="openai_files", base_url="https://api.example/v1"), http)
    with pytest.raises(MissingAuthError, match="api_key"):
        flow.account(Credentials())


def test_it_has_the_abilities(http: HttpClient):
    flow = make(http, "https://api.example/v1")
    assert isinstance(flow, Attaches)
    assert isinstance(flow, Removes)
    assert isinstance(flow, Abandons)
    assert isinstance(OpenAIParts("upload_1", flow.account(Credentials())), GoesOn)


# Messages


@pytest.mark.parametrize(
    ("media_type", "chat", "responses"),
    [
        ("application/pdf", True, True),
        ("image/png", False, True),
        ("image/tiff", False, False),
        ("text/markdown", False, True),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", False, True),
        ("video/mp4", False, False),
        ("audio/mpeg", False, False),
    ],
)
def test_what_can_be_pointed_to(http: HttpClient, media_type: str, chat: bool, responses: bool):
    flow = make(http, "https://api.example/v1")
    assert flow.attaches(media_type, "openai") is chat
    assert flow.attaches(media_type, "openai_responses") is responses
    assert not flow.attaches(media_type, "anthropic")


def uploaded_file(media_type: str = "application/pdf") -> UploadedFile:
    return UploadedFile(id="file-abc123", name="a", media_type=media_type, size=1)


def test_parts_are_such_as_the_sdk_knows(http: HttpClient):
    flow = make(http, "https://api.example/v1")
    pdf, picture = uploaded_file(), uploaded_file("image/png")
    part = flow.part(pdf, "openai")
    assert part == {"type": "file", "file": {"file_id": "file-abc123"}}
    TypeAdapter(ChatCompletionContentPartParam).validate_python(part)
    message = flow.message([picture, pdf], "What is this?")
    assert [part["type"] for part in message["content"]] == ["input_image", "input_file", "input_text"]
    read = TypeAdapter(ResponseInputItemParam).validate_python(message)
    assert [part.get("file_id") for part in read["content"]] == ["file-abc123", "file-abc123", None]
    assert flow.message([pdf], "")["content"] == [{"type": "input_file", "file_id": "file-abc123"}]


@pytest.mark.parametrize(
    "words",
    [
        "OpenAI: No such File object: file-abc123",
        "No such file: file-abc123",
        "The file file-abc123 was not found",
        "Files ['file-abc123'] were not found",
        "File 'file-abc123' has expired.",
        "Invalid file_id: file-abc123",
        "Could not find file file-abc123 in this project",
        "File with ID file-abc123 does not exist",
        "The file was deleted: it is gone. The file has been deleted",
    ],
)
def test_words_that_say_that_the_file_is_gone(http: HttpClient, words: str):
    assert make(http, "https://api.example/v1").is_unknown(uploaded_file(), words)


@pytest.mark.parametrize(
    "words",
    [
        "No such File object: file-another1",
        "No such File object: file-abc1234",
        "Invalid file data: file-abc123 is no PDF",
        "The model gpt-9 does not exist",
        "The model is not found",
        "The file type is not supported, the encoding was not found",
        "File search store vs_1 not found",
        "Incorrect API key provided",
        "",
    ],
)
def test_words_that_say_something_else(http: HttpClient, words: str):
    assert not make(http, "https://api.example/v1").is_unknown(uploaded_file(), words)


# Faults


def _said(status: int, words: str, *headers: str) -> bytes:
    return response(f'{{"error": {{"message": "{words}"}}}}'.encode(), *headers, status=status)


@pytest.mark.parametrize("form", [make, in_parts], ids=["form", "parts"])
async def test_a_wrong_key(http: HttpClient, service: OpenAIFilesService, form):
    with pytest.raises(MissingAuthError, match="Incorrect API key") as caught:
        await upload(form(http, service.base_url), key="sk-wrong-0123456789")
    assert "sk-wrong" not in str(caught.value)


def _is_part(request: Received) -> bool:
    return request.target.endswith("/parts")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, MissingAuthError), (403, MissingAuthError), (413, ProviderError), (429, RateLimitError)],
)
@pytest.mark.parametrize("early", [False, True])
async def test_a_part_that_is_refused_ends_the_upload(
    http: HttpClient, service: OpenAIFilesService, proxy: Faulty, status: int, error: type[Exception], early: bool
):
    answer = _said(status, f"no, {KEY}", "Retry-After: 3")
    proxy.once(Early(answer) if early else Say(answer), _is_part)
    flow = in_parts(http, f"{proxy.url}/v1")
    delivery = Delivery(flow, PDF, flow.account(Credentials()), None, nothing, _begun)

    with pytest.raises(error, match="no, ") as caught:
        await delivery.run()
    await delivery.give_up()

    assert type(caught.value) is error
    assert KEY not in str(caught.value)
    assert getattr(caught.value, "retry_after", 3) == 3
    assert [upload.said["status"] for upload in service.uploads.values()] == ["cancelled"]
    assert not service.files


@pytest.mark.parametrize("fault", [Say(refusal(500)), Cut(0), Cut(0.5), Cut(0.99), Lose()], ids=repr)
async def test_a_part_that_failed_is_sent_again_alone(
    http: HttpClient, service: OpenAIFilesService, proxy: Faulty, fault
):
    proxy.once(fault, _is_part)
    flow = in_parts(http, f"{proxy.url}/v1")

    uploaded = await upload(flow)

    assert service.contents[uploaded.id] == DATA
    assert len([request for request in proxy.received if _is_part(request)]) == COUNT + 1
    assert len(service.uploads) == 1


async def test_a_damaged_part_is_found_out_by_the_md5_and_the_file_sent_anew(
    http: HttpClient, service: OpenAIFilesService, proxy: Faulty
):
    # The last byte of a request to /parts is that of the form; so the part is spoiled in its source.
    spoiled = Bytes(DATA[:-1] + b"!")
    file = File(PDF.name, PDF.media_type, spoiled, PDF.md5, PDF.sha256)
    flow = in_parts(http, f"{proxy.url}/v1")
    with pytest.raises(UploadDamagedError, match="md5"):
        await upload(flow, file)
    assert [upload.said["status"] for upload in service.uploads.values()] == ["cancelled", "pending"]
    assert not service.files


@pytest.mark.parametrize("fault", [Say(refusal(500)), Cut(0.5)], ids=["500", "cut"])
async def test_completing_is_asked_for_again(http: HttpClient, service: OpenAIFilesService, proxy: Faulty, fault):
    proxy.once(fault, lambda request: request.target.endswith("/complete"))
    uploaded = await upload(in_parts(http, f"{proxy.url}/v1"))
    assert service.contents[uploaded.id] == DATA
    assert len(service.uploads) == 1


async def test_an_upload_whose_last_answer_is_lost_is_begun_anew(
    http: HttpClient, service: OpenAIFilesService, proxy: Faulty
):
    proxy.once(Lose(), lambda request: request.target.endswith("/complete"))
    uploaded = await upload(in_parts(http, f"{proxy.url}/v1"))
    assert service.contents[uploaded.id] == DATA
    assert [upload.said["status"] for upload in service.uploads.values()] == ["completed", "completed"]


async def test_the_clock_of_the_service_may_be_another(http: HttpClient, service: OpenAIFilesService, proxy: Faulty):
    said = {"id": "upload_1", "created_at": 1_000_000, "expires_at": 1_003_600}
    proxy.once(Say(response(msgspec.json.encode(said))))
    flow = in_parts(http, f"{proxy.url}/v1")
    ticket = await flow.ticket(PDF, flow.account(Credentials()))
    assert isinstance(ticket.sender, OpenAIParts)
    assert ticket.sender.ends_at
    assert 3500 < ticket.sender.ends_at - time.time() <= 3600


async def test_another_size_than_was_sent_is_damage_and_leaves_nothing(http: HttpClient, service: OpenAIFilesService):
    service.changes = {"bytes": 7}
    flow = make(http, service.base_url)
    delivery = Delivery(flow, PDF, flow.account(Credentials()), None, nothing, _begun)
    with pytest.raises(UploadDamagedError, match="7 bytes"):
        await delivery.run()
    await delivery.give_up()
    assert len(service.about("/files")) == 2
    assert not service.files


async def test_a_file_that_the_service_cannot_use(http: HttpClient, service: OpenAIFilesService):
    service.changes = {"status": "error", "status_details": f"it is password protected, {KEY}"}
    flow = make(http, service.base_url)
    delivery = Delivery(flow, PDF, flow.account(Credentials()), None, nothing, _begun)
    with pytest.raises(ProviderError, match=r"password protected, …$"):
        await delivery.run()
    await delivery.give_up()
    assert not service.files


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"id": 7}', b'{"id": ""}'])
@pytest.mark.parametrize("step", ["/files", "/uploads", "/parts", "/complete"])
async def test_an_answer_without_sense(
    http: HttpClient, service: OpenAIFilesService, proxy: Faulty, step: str, body: bytes
):
    proxy.plan = lambda request: Say(response(body)) if request.target.endswith(step) else None
    form = make if step == "/files" else in_parts
    with pytest.raises(ProviderError, match="OpenAI: "):
        await upload(form(http, f"{proxy.url}/v1"))


async def test_an_answer_that_takes_its_time(http: HttpClient, service: OpenAIFilesService):
    asked, go = asyncio.Event(), asyncio.Event()

    async def wait(_: Asked) -> None:
        asked.set()
        await go.wait()

    service.pause = wait
    running = asyncio.create_task(upload(make(http, service.base_url)))
    await asked.wait()
    assert not running.done()
    go.set()
    assert (await running).id in service.files


async def test_when_the_client_is_gone_the_upload_is_cancelled(http: HttpClient, service: OpenAIFilesService):
    reached = asyncio.Event()

    async def hang(asked: Asked) -> None:
        if asked.path.endswith("/parts") and len(service.about("/parts")) > 5:
            reached.set()
            await asyncio.Event().wait()

    service.pause = hang
    flow = in_parts(http, service.base_url)
    delivery = Delivery(flow, PDF, flow.account(Credentials()), None, nothing, _begun)
    running = asyncio.create_task(delivery.run())
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert delivery.is_worth_keeping

    await delivery.give_up()

    assert [upload.said["status"] for upload in service.uploads.values()] == ["cancelled"]
    assert not service.files
    assert len(service.about("/parts")) < COUNT


async def test_another_process_sends_what_is_missing(http: HttpClient, service: OpenAIFilesService, proxy: Faulty):
    def plan(request: Received) -> Say | None:
        nonlocal seen
        if not _is_part(request):
            return None
        seen += 1
        return Say(_said(429, "slow down")) if seen > 6 else None

    seen = 0
    proxy.plan = plan
    flow = in_parts(http, f"{proxy.url}/v1")
    delivery = Delivery(flow, PDF, flow.account(Credentials()), None, nothing, _begun)
    with pytest.raises(RateLimitError):
        await delivery.run()
    written = msgspec.json.encode(delivery.ticket)
    arrived = len(delivery.ticket.sender.arrived)
    assert 2 < arrived <= 6

    proxy.plan = lambda _: None
    told: list[int] = []
    again = in_parts(http, service.base_url)
    ticket = msgspec.json.decode(written, type=again.ticket_type)
    uploaded = await Delivery(again, PDF, again.account(Credentials()), None, told.append, _begun, ticket).run()

    assert service.contents[uploaded.id] == DATA
    here = [asked for asked in service.about("/parts") if asked.headers["host"].endswith(str(service.port))]
    assert len(here) == COUNT - arrived
    assert told[0] > arrived * PART - PART
    assert told[-1] == len(DATA)
    assert len(service.uploads) == 1


async def test_an_upload_whose_time_is_over_is_begun_anew(http: HttpClient, service: OpenAIFilesService):
    flow = in_parts(http, service.base_url)
    account = flow.account(Credentials())
    ticket = await flow.ticket(PDF, account)
    assert isinstance(ticket.sender, OpenAIParts)
    ticket.sender.ends_at = time.time() - 1
    assert not ticket.sender.is_worth_keeping()
    with pytest.raises(UploadRefusedError) as caught:
        await ticket.sender.send(flow.transport, PDF, nothing)
    assert caught.value.answered == 410

    uploaded = await Delivery(flow, PDF, account, None, nothing, _begun, ticket).run()

    assert service.contents[uploaded.id] == DATA
    assert len(service.uploads) == 2
    assert not service.about("/cancel")


async def test_an_upload_that_ends_on_the_way_is_told_as_such(http: HttpClient, service: OpenAIFilesService):
    flow = in_parts(http, service.base_url)
    ticket = await flow.ticket(PDF, flow.account(Credentials()))
    sender = ticket.sender
    assert isinstance(sender, OpenAIParts)

    async def end(asked: Asked) -> None:
        service.uploads[sender.upload_id].said["status"] = "expired"
        sender.ends_at = time.time() - 1

    service.pause = end
    with pytest.raises(UploadRefusedError) as caught:
        await sender.send(flow.transport, PDF, nothing)
    assert caught.value.answered == 410


def test_a_ticket_shows_no_key_and_can_be_written_down(http: HttpClient):
    flow = make(http, "https://api.example/v1")
    ticket = OpenAITicket(OpenAIParts("upload_1", flow.account(Credentials()), arrived={3: "part_c", 0: "part_a"}))
    assert KEY not in repr(ticket)
    read = msgspec.json.decode(msgspec.json.encode(ticket), type=OpenAITicket)
    assert read == ticket
    assert read.sender.part_ids == ["part_a", "part_c"]  # type: ignore[union-attr]


async def test_nothing_is_left_to_abandon_of_a_form_that_was_never_sent(http: HttpClient, service: OpenAIFilesService):
    flow = make(http, service.base_url)
    account = flow.account(Credentials())
    await flow.abandon(account, await flow.ticket(PDF, account))
    assert not service.asked


async def test_a_receipt_for_nothing(http: HttpClient):
    flow = make(http, "https://api.example/v1")
    account = flow.account(Credentials())
    with pytest.raises(ProviderError, match="cannot be read"):
        await flow.receipt(PDF, account, await flow.ticket(PDF, account), Sent())


class TestContract(FlowContract):
    @pytest.fixture
    def secret(self) -> str:
        return KEY

    @pytest.fixture
    def file(self) -> File:
        return PDF

    @pytest.fixture(params=[make, in_parts])
    def flow(self, request: pytest.FixtureRequest, service: OpenAIFilesService, http: HttpClient) -> OpenAIFiles:
        made: OpenAIFiles = request.param(http, service.base_url)
        return made

    @pytest.fixture
    def nobody(self, service: OpenAIFilesService, http: HttpClient) -> OpenAIFiles:
        return OpenAIFiles("OpenAI", UploadSettings(flow="openai_files", base_url=service.base_url), http)

    @pytest.fixture
    def stored(self, service: OpenAIFilesService) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(file: UploadedFile) -> bytes:
            return service.contents[file.id]

        return read
