"""OpenAI's web app: tickets and receipts of a strict service, the bytes in Azurite."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from azure.storage.blob import BlobClient
from tests.clock import Jump, jump
from tests.servers.faulty import Cut, Early, Fault, Lose, Say, Spoil, refusal
from tests.servers.openai_web import OpenAIWebService, openai_web
from tests.uploads.contents import PIECE, Pattern, file_of, nothing

from mediary.errors import (
    BadRequestError,
    ChallengeError,
    MissingAuthError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    SettingsError,
    UploadDamagedError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.settings import UploadSettings
from mediary.testing.uploads import FlowContract, send
from mediary.uploads.base import Attaches, Credentials, File, GoesOn, Sent, UploadedFile
from mediary.uploads.openai_web import OpenAIWeb, WebTicket, use_case
from mediary.uploads.transport import ATTEMPTS

__all__ = ["jump"]

ANN, BOB = "token-of-ann", "token-of-bob"
PNG = bytes(range(256)) * 30

Make = Callable[..., OpenAIWeb]


@pytest.fixture
async def service() -> AsyncIterator[OpenAIWebService]:
    async with openai_web() as service:
        yield service


@pytest.fixture
def make(service: OpenAIWebService, http: HttpClient) -> Make:
    def made(**keys: Any) -> OpenAIWeb:
        table = {"flow": "openai_web", "base_url": service.url, "api_key": ANN, "settle_seconds": 0, **keys}
        return OpenAIWeb("Web", UploadSettings(**table), http)

    return made


@pytest.fixture
def flow(make: Make) -> OpenAIWeb:
    return make()


@pytest.fixture
def picture() -> File:
    return file_of(PNG, "Ünï “cödé” 図.png", width=30, height=20)


@pytest.fixture
def paper() -> File:
    return file_of(b"%PDF-1.7 whatever", "paper.pdf", "application/pdf")


class TestContract(FlowContract):
    """The promises of every flow."""

    @pytest.fixture
    def flow(self, make: Make) -> OpenAIWeb:
        return make()

    @pytest.fixture
    def nobody(self, make: Make) -> OpenAIWeb:
        return make(api_key=None)

    @pytest.fixture
    def secret(self) -> str:
        return ANN

    @pytest.fixture
    def stored(self, service: OpenAIWebService) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(uploaded: UploadedFile) -> bytes:
            return await asyncio.to_thread(service.content, uploaded.id)

        return read


# The three steps


async def test_a_picture(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    uploaded = await send(flow, picture, flow.account(Credentials()))
    ticket, receipt = service.told
    assert ticket.body == {"file_name": picture.name, "file_size": len(PNG), "use_case": "multimodal"}
    assert (receipt.step, receipt.body) == ("receipt", {})
    assert service.content(uploaded.id) == PNG
    assert uploaded.id.startswith("file-")
    assert (uploaded.name, uploaded.media_type, uploaded.size) == (picture.name, "image/png", len(PNG))
    assert (uploaded.width, uploaded.height) == (30, 20)
    assert (uploaded.expires_at, uploaded.reusable) == (None, True)
    assert uploaded.entry == {
        "id": uploaded.id,
        "mimeType": "image/png",
        "name": picture.name,
        "size": len(PNG),
        "height": 20,
        "width": 30,
    }
    (put,) = service.storage.received
    assert put.headers["content-type"] == "image/png"
    assert put.headers["origin"] == service.url


async def test_a_document(flow: OpenAIWeb, service: OpenAIWebService, paper: File):
    uploaded = await send(flow, paper, flow.account(Credentials()))
    assert service.told[0].body["use_case"] == "my_files"
    assert uploaded.entry == {
        "id": uploaded.id,
        "mimeType": "application/pdf",
        "name": "paper.pdf",
        "size": paper.size,
    }


async def test_the_sdk_reads_it_by_the_download_url(flow: OpenAIWeb, picture: File):
    uploaded = await send(flow, picture, flow.account(Credentials()))
    assert uploaded.url
    found = await asyncio.to_thread(lambda: BlobClient.from_blob_url(uploaded.url or "").download_blob())
    assert await asyncio.to_thread(found.readall) == PNG
    assert found.properties.content_settings.content_type == "image/png"


async def test_a_receipt_without_a_download_url(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    service.gives_download_url = False
    assert (await send(flow, picture, flow.account(Credentials()))).url is None


async def test_a_large_file_in_blocks(make: Make, service: OpenAIWebService):
    flow = make(single_bytes=PIECE, block_bytes=PIECE)
    content = Pattern(6 * PIECE + 11)
    uploaded = await send(flow, file_of(content, "a.mp4", "video/mp4"), flow.account(Credentials()))
    assert len(service.storage.received) == 8
    assert service.content(uploaded.id)[::PIECE] == b"".join(content.piece(number) for number in range(7))[::PIECE]
    assert service.files[uploaded.id].uploaded


async def test_it_waits_a_moment_before_the_bytes_go(
    make: Make, service: OpenAIWebService, picture: File, jump: Jump, monkeypatch: pytest.MonkeyPatch
):
    pauses: list[float] = []
    slept = asyncio.Event()
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
            slept.set()
        await real(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    flow = make(settle_seconds=1.0)
    sending = asyncio.create_task(send(flow, picture, flow.account(Credentials())))
    await slept.wait()
    assert service.steps == ["ticket"]
    assert not service.storage.received
    jump(1.5)
    await sending
    assert pauses == [1.0]


def test_the_pause_is_a_second_where_nobody_says_otherwise(service: OpenAIWebService, http: HttpClient):
    table = UploadSettings(flow="openai_web", base_url=service.url, api_key=ANN)
    assert OpenAIWeb("Web", table, http).options.settle_seconds == 1.0


async def test_another_origin(make: Make, service: OpenAIWebService, picture: File):
    flow = make(origin="https://chat.example")
    service.storage.complain = lambda request: None if request.headers["origin"] == "https://chat.example" else "no"
    await send(flow, picture, flow.account(Credentials()))


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("image/png", "multimodal"),
        ("image/svg+xml", "multimodal"),
        ("application/pdf", "my_files"),
        ("video/mp4", "my_files"),
        ("audio/mpeg", "my_files"),
        ("application/octet-stream", "my_files"),
        ("text/image", "my_files"),
    ],
)
def test_what_files_are_for(media_type: str, expected: str):
    assert use_case(media_type) == expected


# Who asks


async def test_the_settings_account(make: Make, service: OpenAIWebService, picture: File):
    flow = make(cookies={"b": "2", "a": "1"}, headers={"X-Device": "d"})
    await send(flow, picture, flow.account(Credentials()))
    for told in service.told:
        assert told.headers["authorization"] == f"Bearer {ANN}"
        assert told.headers["cookie"] == "a=1; b=2"
        assert told.headers["x-device"] == "d"
    assert "x-device" not in service.storage.received[0].headers


async def test_the_requests_account_comes_first(make: Make, service: OpenAIWebService, picture: File):
    flow = make(cookies={"a": "1", "b": "2"})
    uploaded = await send(flow, picture, flow.account(Credentials(BOB, {"b": "3"})))
    assert service.files[uploaded.id].owner == "bob"
    assert service.told[0].headers["cookie"] == "a=1; b=3"


def test_accounts_are_told_apart_by_their_tokens(flow: OpenAIWeb):
    """Cookies change with every visit; the person stays the same."""
    ids = [
        flow.account(credentials).id
        for credentials in (Credentials(), Credentials(ANN), Credentials(ANN, {"a": "1"}), Credentials(BOB))
    ]
    assert ids[0] == ids[1] == ids[2] != ids[3]


def test_without_a_token_it_says_what_to_hand_in(make: Make):
    with pytest.raises(MissingAuthError, match="api_key"):
        make(api_key=None).account(Credentials(cookies={"a": "1"}))


@pytest.mark.parametrize("credentials", [Credentials("to\nken"), Credentials(ANN, {"a": "b\r\nX: y"})])
def test_credentials_that_cannot_be_sent(flow: OpenAIWeb, credentials: Credentials):
    with pytest.raises(BadRequestError):
        flow.account(credentials)


# What can be refused


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, MissingAuthError), (403, MissingAuthError), (413, ProviderError), (422, ProviderError)],
)
@pytest.mark.parametrize("step", ["ticket", "receipt"])
async def test_a_no_of_the_service(
    flow: OpenAIWeb, service: OpenAIWebService, picture: File, step: str, status: int, kind: type[ProviderError]
):
    service.say(step, {"detail": {"message": f"no, {ANN}"}}, status)
    with pytest.raises(kind) as caught:
        await send(flow, picture, flow.account(Credentials()))
    assert str(caught.value) == "Web: no, …"
    assert service.steps == (["ticket"] if step == "ticket" else ["ticket", "receipt"])


@pytest.mark.usefixtures("no_delays")
async def test_a_bad_moment_when_the_bytes_are_there(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    service.say("receipt", {"detail": "away"}, 503)
    assert service.files[(await send(flow, picture, flow.account(Credentials()))).id].uploaded
    assert service.steps == ["ticket", "receipt", "receipt"]
    assert len(service.storage.received) == 1


@pytest.mark.usefixtures("no_delays")
async def test_a_receipt_that_never_comes(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    for _ in range(ATTEMPTS):
        service.say("receipt", {"detail": f"away, {ANN}"}, 500)
    with pytest.raises(ProviderUnavailableError, match="away, …"):
        await send(flow, picture, flow.account(Credentials()))


async def test_a_token_that_nobody_knows(flow: OpenAIWeb, picture: File):
    with pytest.raises(MissingAuthError) as caught:
        await send(flow, picture, flow.account(Credentials("token-of-nobody")))
    assert str(caught.value) == "Web: Could not validate your token …."


@pytest.mark.parametrize("step", ["ticket", "receipt"])
async def test_a_rate_limit(flow: OpenAIWeb, service: OpenAIWebService, picture: File, step: str):
    service.say(step, {"detail": "Too many uploads"}, 429, Retry_After="30")
    with pytest.raises(RateLimitError, match="Too many uploads") as caught:
        await send(flow, picture, flow.account(Credentials()))
    assert caught.value.retry_after == 30


@pytest.mark.parametrize("step", ["ticket", "receipt"])
async def test_who_wants_a_browser_gets_none(flow: OpenAIWeb, service: OpenAIWebService, picture: File, step: str):
    service.say(step, "<title>Just a moment...</title>", 403, cf_mitigated="challenge")
    with pytest.raises(ChallengeError, match="browser"):
        await send(flow, picture, flow.account(Credentials()))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            {"status": "error", "error_code": "file_too_large", "error_message": "It is too large"},
            ProviderError,
            "Web: file_too_large: It is too large",
        ),
        ({"status": "error", "error_code": "rate_limit_exceeded"}, RateLimitError, "Web: rate_limit_exceeded"),
        ({"status": "failed"}, ProviderError, "Web: reported an error without a word"),
        (
            {"status": "error", "error_message": f"https://h.example/b?sig={ANN} {ANN}"},
            ProviderError,
            "Web: https://h.example/b?… …",
        ),
    ],
)
@pytest.mark.parametrize("step", ["ticket", "receipt"])
async def test_a_no_within_a_200(
    flow: OpenAIWeb,
    service: OpenAIWebService,
    picture: File,
    step: str,
    answer: Any,
    kind: type[ProviderError],
    words: str,
):
    service.say(step, answer)
    with pytest.raises(ProviderError) as caught:
        await send(flow, picture, flow.account(Credentials()))
    assert (type(caught.value), str(caught.value)) == (kind, words)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"file_id": "file-1"},
        {"upload_url": "https://h.example/b?sig=s3cret-signature"},
        {"file_id": "", "upload_url": ""},
        {"file_id": 7, "upload_url": "https://h.example/b?sig=s3cret-signature"},
        [],
        "<html>",
        "",
    ],
)
async def test_a_ticket_that_is_none(flow: OpenAIWeb, service: OpenAIWebService, picture: File, answer: Any):
    service.say("ticket", answer)
    with pytest.raises(ProviderError, match=r"^Web: ") as caught:
        await send(flow, picture, flow.account(Credentials()))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["no url", "ftp://h.example/b", "/relative", "http://["])
async def test_a_ticket_that_leads_nowhere(flow: OpenAIWeb, service: OpenAIWebService, picture: File, url: str):
    service.say("ticket", {"file_id": "file-1", "upload_url": url})
    with pytest.raises(ProviderError, match="points to what is no http"):
        await send(flow, picture, flow.account(Credentials()))


async def test_a_receipt_that_is_none(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    service.say("receipt", "<html>")
    with pytest.raises(ProviderError, match="cannot be read"):
        await send(flow, picture, flow.account(Credentials()))


async def test_a_receipt_before_the_bytes_is_refused(flow: OpenAIWeb, picture: File):
    account = flow.account(Credentials())
    ticket = await flow.ticket(picture, account)
    with pytest.raises(ProviderError, match="has not been uploaded"):
        await flow.receipt(picture, account, ticket, Sent())


async def test_a_receipt_of_somebody_else_is_refused(flow: OpenAIWeb, picture: File):
    account = flow.account(Credentials())
    ticket = await flow.ticket(picture, account)
    sent = await ticket.sender.send(flow.transport, picture, nothing)
    with pytest.raises(ProviderError, match="File not found"):
        await flow.receipt(picture, flow.account(Credentials(BOB)), ticket, sent)
    assert (await flow.receipt(picture, account, ticket, sent)).id == ticket.file_id


async def test_a_link_that_has_expired(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    service.link_seconds = -1
    with pytest.raises(UploadRefusedError) as caught:
        await send(flow, picture, flow.account(Credentials()))
    assert caught.value.answered == 403
    assert service.steps == ["ticket"]


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("permissions", ["cw", "c"])
@pytest.mark.parametrize("fault", [Cut(0), Cut(0.5), Cut(0.99), Lose(), Say(refusal(503)), Early(refusal(500))])
async def test_what_breaks_on_the_way_is_mended(
    flow: OpenAIWeb, service: OpenAIWebService, fault: Fault, permissions: str
):
    service.permissions = permissions
    service.storage.once(fault)
    content = Pattern(24 * PIECE)
    uploaded = await send(flow, file_of(content), flow.account(Credentials()))
    assert len(service.storage.received) == 2
    assert service.files[uploaded.id].uploaded
    assert len(service.content(uploaded.id)) == content.size


async def test_other_bytes_in_the_storage(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    service.storage.once(Spoil())
    with pytest.raises(UploadDamagedError):
        await send(flow, picture, flow.account(Credentials()))
    assert service.steps == ["ticket"]


async def test_a_ticket_can_be_written_down_and_shows_no_signature(flow: OpenAIWeb, picture: File):
    ticket = await flow.ticket(picture, flow.account(Credentials()))
    assert isinstance(ticket, WebTicket)
    assert isinstance(ticket.sender, GoesOn)
    assert "sig=" in ticket.sender.url
    assert "sig=" not in repr(ticket)


# Processing


async def test_files_are_processed_where_that_is_wanted(make: Make, service: OpenAIWebService, paper: File):
    flow = make(process=True)
    uploaded = await send(flow, paper, flow.account(Credentials()))
    assert service.steps == ["ticket", "receipt", "process"]
    assert service.told[-1].body == {
        "file_id": uploaded.id,
        "file_name": "paper.pdf",
        "use_case": "my_files",
        "index_for_retrieval": True,
        "entry_surface": "composer",
    }
    assert service.files[uploaded.id].processed


async def test_pictures_are_not_indexed(make: Make, service: OpenAIWebService, picture: File):
    flow = make(process=True)
    await send(flow, picture, flow.account(Credentials()))
    assert service.told[-1].body["index_for_retrieval"] is False


async def test_words_about_processing_repeat_no_credential(make: Make, service: OpenAIWebService, paper: File):
    flow = make(process=True)
    account = flow.account(Credentials())
    token = account.headers["Authorization"].removeprefix("Bearer ")
    said = f"{token} may not read https://blob.example/a?sig=c2ln"
    service.processing = [{"event": "file.processing.failed", "message": said}]
    with pytest.raises(ProviderError, match=r"failed: … may not read https://blob\.example/a\?…$"):
        await send(flow, paper, account)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([{"event": "file.processing.failed", "message": "It is broken"}], "failed: It is broken"),
        ([{"event": "file.indexing.error", "progress": 50}], r"failed: file\.indexing\.error"),
        ([{"event": "file.processing.started", "progress": 0}, {"event": "x", "progress": 40.5}], r"ended at 40\.5 %"),
        ([], "ended at 0 %"),
        (["what?"], "cannot be read"),
    ],
)
async def test_processing_that_fails(make: Make, service: OpenAIWebService, paper: File, events: Any, words: str):
    flow = make(process=True)
    service.processing = events
    with pytest.raises(ProviderError, match=words):
        await send(flow, paper, flow.account(Credentials()))


@pytest.mark.parametrize("events", [[{"event": "file.processing.completed"}], [{"event": "x", "progress": 100.0}]])
async def test_processing_that_ends(make: Make, service: OpenAIWebService, paper: File, events: Any):
    flow = make(process=True)
    service.processing = events
    assert await send(flow, paper, flow.account(Credentials()))


async def test_processing_that_is_refused(make: Make, service: OpenAIWebService, paper: File):
    flow = make(process=True)
    service.say("process", {"detail": "slowly"}, 429)
    with pytest.raises(RateLimitError, match="slowly"):
        await send(flow, paper, flow.account(Credentials()))


# The message

PICTURE = UploadedFile(id="file-1", name="a.png", media_type="image/png", size=5, width=30, height=20)
PAPER = UploadedFile(id="file-2", name="b.pdf", media_type="application/pdf", size=7)
POINTER = {
    "content_type": "image_asset_pointer",
    "asset_pointer": "file-service://file-1",
    "height": 20,
    "width": 30,
    "size_bytes": 5,
}
ATTACHED = {"id": "file-1", "mimeType": "image/png", "name": "a.png", "size": 5, "height": 20, "width": 30}
ATTACHED_PAPER = {"id": "file-2", "mimeType": "application/pdf", "name": "b.pdf", "size": 7}


def test_a_message_points_to_pictures_and_names_all_files(flow: OpenAIWeb):
    assert flow.message([PICTURE, PAPER], "What is it?") == {
        "author": {"role": "user"},
        "content": {"content_type": "multimodal_text", "parts": [POINTER, "What is it?"]},
        "metadata": {"attachments": [ATTACHED, ATTACHED_PAPER]},
    }


def test_a_message_with_documents_alone(flow: OpenAIWeb):
    message = flow.message([PAPER], "What is it?")
    assert message["content"] == {"content_type": "multimodal_text", "parts": ["What is it?"]}
    assert message["metadata"] == {"attachments": [ATTACHED_PAPER]}


def test_a_message_without_files(flow: OpenAIWeb):
    assert flow.message([], "Hello") == {
        "author": {"role": "user"},
        "content": {"content_type": "text", "parts": ["Hello"]},
        "metadata": {},
    }


def test_a_picture_of_unknown_size(flow: OpenAIWeb):
    message = flow.message([UploadedFile(id="file-3", name="c.svg", media_type="image/svg+xml", size=9)], "")
    assert message["content"]["parts"][0] == {
        "content_type": "image_asset_pointer",
        "asset_pointer": "file-service://file-3",
        "size_bytes": 9,
    }
    assert message["metadata"]["attachments"] == [
        {"id": "file-3", "mimeType": "image/svg+xml", "name": "c.svg", "size": 9}
    ]


@pytest.mark.parametrize(
    ("file_id", "keys", "pointer"),
    [
        ("file-AbC", {}, "file-service://file-AbC"),
        ("file_0000", {}, "sediment://file_0000"),
        ("file_0000", {"scheme": "file-service"}, "file-service://file_0000"),
        ("file-AbC", {"scheme": "sediment"}, "sediment://file-AbC"),
        ("other", {}, "file-service://other"),
    ],
)
def test_the_scheme_follows_the_id_or_the_settings(make: Make, file_id: str, keys: dict[str, str], pointer: str):
    file = UploadedFile(id=file_id, name="a.png", media_type="image/png", size=5)
    assert make(**keys).message([file], "")["content"]["parts"][0]["asset_pointer"] == pointer


async def test_ids_of_the_newer_form(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    service.id_form = "file_{}"
    uploaded = await send(flow, picture, flow.account(Credentials()))
    assert flow.message([uploaded], "")["content"]["parts"][0]["asset_pointer"] == f"sediment://{uploaded.id}"


async def test_an_id_stays_within_its_path(flow: OpenAIWeb, service: OpenAIWebService, picture: File):
    service.id_form = "a/../b?c#{}"
    uploaded = await send(flow, picture, flow.account(Credentials()))
    assert service.files[uploaded.id].uploaded


async def test_other_keys_of_attachments(make: Make, picture: File):
    flow = make(attachment_keys={"mimeType": "mime_type", "name": "file_name"})
    uploaded = await send(flow, picture, flow.account(Credentials()))
    (attached,) = flow.message([uploaded], "")["metadata"]["attachments"]
    assert attached == uploaded.entry
    assert set(attached) == {"id", "mime_type", "file_name", "size", "height", "width"}


def test_what_is_in_a_message_stays(flow: OpenAIWeb):
    message = {
        "id": "m1",
        "author": {"role": "user", "name": "Ann"},
        "content": {"content_type": "text", "parts": ["Hello"], "language": "en"},
        "metadata": {"system_hints": ["search"], "attachments": [{"id": "file-0", "name": "old.txt"}]},
    }
    before = json.dumps(message)
    attached = flow.attach(message, [PICTURE, PAPER])
    assert json.dumps(message) == before
    assert attached == {
        "id": "m1",
        "author": {"role": "user", "name": "Ann"},
        "content": {"content_type": "multimodal_text", "parts": [POINTER, "Hello"], "language": "en"},
        "metadata": {
            "system_hints": ["search"],
            "attachments": [{"id": "file-0", "name": "old.txt"}, ATTACHED, ATTACHED_PAPER],
        },
    }
    assert flow.attach(attached, [PICTURE, PAPER]) == attached
    assert flow.attach(message, []) == message


def test_the_same_file_twice_is_attached_once(flow: OpenAIWeb):
    message = flow.message([PICTURE, msgspec.structs.replace(PICTURE, name="again.png")], "")
    assert len(message["metadata"]["attachments"]) == 1
    assert len(message["content"]["parts"]) == 2


def test_a_message_without_metadata_gets_some(flow: OpenAIWeb):
    attached = flow.attach({"content": {"parts": ["x"]}, "metadata": None}, [PAPER])
    assert attached["metadata"]["attachments"] == [ATTACHED_PAPER]
    assert attached["content"]["parts"] == ["x"]


# The settings


def test_it_takes_what_the_settings_say(make: Make):
    takes = make(types=["image/*"], max_bytes=100).takes()
    assert (takes.types, takes.max_bytes) == (("image/*",), 100)
    assert make().takes().has("application/x-whatever")
    assert make().takes().max_bytes is None


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"settle_second": 1}, "did you mean settle_seconds"),
        ({"settle_seconds": -1}, "settle_seconds"),
        ({"attachment_keys": {"mime": "x"}}, "attachment_keys"),
        ({"process": "perhaps"}, "process"),
        ({"block_bytes": 0}, "block_bytes"),
        ({"origin": "chat.example"}, "origin"),
        ({"origin": "https://chat.example\r\nX: y"}, "origin"),
        ({"actions": {}}, "unknown setting actions"),
    ],
)
def test_keys_that_are_wrong(make: Make, keys: dict[str, Any], words: str):
    with pytest.raises(SettingsError, match=words):
        make(**keys)


def test_its_files_are_for_its_own_messages(flow: OpenAIWeb):
    assert not isinstance(flow, Attaches)
    assert flow.names_matter
    assert not flow.models_matter
