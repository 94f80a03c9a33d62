"""Yupp's uploads: against a real tRPC server, with the bytes in an S3 server that checks signatures."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.servers.faulty import Cut, Fault, Faulty, Lose, Say, Spoil, faulty, refusal
from tests.servers.http import raw_server, response
from tests.servers.yupp import TOKENS, YuppService, running_yupp
from tests.uploads.carrying import uploader_of
from tests.uploads.contents import Pattern, file_of

from mediary.errors import (
    BadRequestError,
    MissingAuthError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    SettingsError,
    TooLargeError,
    UnsupportedTypeError,
    UploadDamagedError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.settings import UploadSettings
from mediary.testing.uploads import FlowContract
from mediary.uploads.base import CachePolicy, Credentials, File, UploadedFile
from mediary.uploads.yupp import COOKIE, Yupp

ANN, BOB = (Credentials(api_key=token) for token in TOKENS)
PICTURE = file_of(b"a picture" * 1000, "a 猫.png", width=3, height=2)


@pytest.fixture(scope="module")
def running() -> Iterator[YuppService]:
    with running_yupp() as service:
        yield service


@pytest.fixture
def service(running: YuppService) -> YuppService:
    running.journal()
    running.links.endpoint = running.links.storage
    return running


@pytest.fixture
async def storage(service: YuppService) -> AsyncIterator[Faulty]:
    """The storage, behind a proxy that spoils requests, and takes none with credentials or without a length."""
    async with faulty(int(service.links.storage.rpartition(":")[2])) as proxy:
        service.links.endpoint = proxy.url
        yield proxy


def flow_of(service: YuppService | str, http: HttpClient, fault: str = "", **keys: Any) -> Yupp:
    url = service if isinstance(service, str) else service.url
    headers = {"x-fault": f"!{fault}"}
    return Yupp("Yupp", UploadSettings(flow="yupp", base_url=url, **{"headers": headers, **keys}), http)


async def carry(flow: Yupp, folder: Path, file: File = PICTURE, credentials: Credentials = ANN) -> UploadedFile:
    """Upload a file; a failure leaves nothing that would be used again."""
    async with uploader_of(folder, flow) as uploader:
        try:
            upload = await uploader.upload(flow, file, credentials)
        except ProviderError:
            assert not (await uploader.list()).uploads
            raise
        assert not upload.cached
        return upload.file


def steps(journal: list[dict[str, Any]]) -> list[str]:
    """The procedures that were called."""
    return [told["url"].partition("?")[0].rpartition(".")[2] for told in journal]


TICKET, RECEIPT = "createPresignedURLForUpload", "createAttachmentForUploadedFile"


async def test_a_file_is_uploaded_as_the_site_does_it(
    service: YuppService, storage: Faulty, http: HttpClient, tmp_path: Path
):
    uploaded = await carry(flow_of(service, http), tmp_path)

    ticket, receipt = service.journal()
    file_id = uploaded.id.removeprefix("attachment-")
    about = {"fileName": "a 猫.png", "contentType": "image/png"}
    assert [told["method"] for told in (ticket, receipt)] == ["POST", "POST"]
    assert ticket["url"] == "/api/trpc/chat.createPresignedURLForUpload?batch=1"
    assert json.loads(ticket["body"]) == {"0": {"json": {**about, "fileSize": 9000}}}
    assert receipt["url"] == "/api/trpc/chat.createAttachmentForUploadedFile?batch=1"
    assert json.loads(receipt["body"]) == {"0": {"json": {**about, "fileId": file_id}}}
    for told in (ticket, receipt):
        assert told["headers"]["cookie"] == "__Secure-yupp.session-token=session-of-ann"
        assert told["headers"]["content-type"] == "application/json"
    assert service.content(file_id) == b"a picture" * 1000
    (put,) = storage.received
    assert (put.method, put.headers["content-type"], put.headers["content-length"]) == ("PUT", "image/png", "9000")
    assert not {"cookie", "authorization", "transfer-encoding", "x-fault"} & set(put.headers)
    assert uploaded == UploadedFile(
        id=uploaded.id,
        name="a 猫.png",
        media_type="image/png",
        size=9000,
        entry={**about, "attachmentId": uploaded.id, "chatMessageId": ""},
        width=3,
        height=2,
    )


@pytest.mark.parametrize(
    "file",
    [
        file_of(b"", "empty.txt", "text/plain"),
        file_of(Pattern(3_000_001), "large.pdf", "application/pdf"),
        file_of(b"a", "\"'\\ $1 😀.svg", "image/svg+xml"),
    ],
    ids=["empty", "large", "name"],
)
async def test_any_file(service: YuppService, http: HttpClient, tmp_path: Path, file: File):
    uploaded = await carry(flow_of(service, http), tmp_path, file)

    content = b"".join([piece async for piece in file.content.read()])
    assert await asyncio.to_thread(service.content, uploaded.id.removeprefix("attachment-")) == content
    assert uploaded.entry["fileName"] == file.name


async def test_the_same_file_is_sent_once_for_an_account(service: YuppService, http: HttpClient, tmp_path: Path):
    flow = flow_of(service, http)
    async with uploader_of(tmp_path, flow) as uploader:
        of_ann = await asyncio.gather(*(uploader.upload(flow, PICTURE, ANN) for _ in range(20)))
        again = await uploader.upload(flow, PICTURE, Credentials(cookies={COOKIE: TOKENS[0], "other": "1"}))
        of_bob = await uploader.upload(flow, PICTURE, BOB)
        renamed = await uploader.upload(flow, file_of(PICTURE.content, "b.png"), ANN)

    assert again.cached
    assert {upload.id for upload in of_ann} == {again.id}
    assert len({again.file.id, of_bob.file.id, renamed.file.id}) == 3
    assert steps(service.journal()) == [TICKET, RECEIPT] * 3


def test_a_thousand_files_are_remembered(service: YuppService, http: HttpClient):
    assert flow_of(service, http).policy == CachePolicy(entries=1000, keep=900)
    assert flow_of(service, http, cache_entries=10, image_cache=False).policy == CachePolicy(False, 10, 9)


@pytest.mark.parametrize(
    ("keys", "credentials"),
    [
        ({}, Credentials(api_key="session-of-ann")),
        ({}, Credentials(cookies={COOKIE: "session-of-ann", "other": "1"})),
        ({"api_key": "session-of-ann"}, Credentials()),
        ({"cookies": {COOKIE: "session-of-ann", "other": "1"}}, Credentials(cookies={"another": "2"})),
        ({"api_key": "old", "cookies": {COOKIE: "older"}}, Credentials(cookies={COOKIE: "session-of-ann"})),
        ({"api_key": "old", "cookies": {COOKIE: "session-of-ann"}}, Credentials()),
        ({"cookies": {COOKIE: "old"}}, Credentials(api_key="session-of-ann", cookies={COOKIE: "older"})),
    ],
)
async def test_where_the_session_comes_from(
    service: YuppService, http: HttpClient, keys: dict[str, Any], credentials: Credentials
):
    flow = flow_of(service, http, **keys)

    assert await flow.ticket(PICTURE, flow.account(credentials))


@pytest.mark.parametrize("credentials", [Credentials(), Credentials(cookies={"other": "1"})])
def test_without_a_session_it_says_what_to_hand_in(service: YuppService, http: HttpClient, credentials: Credentials):
    with pytest.raises(
        MissingAuthError, match=r"hand in the cookie __Secure-yupp\.session-token .* or .* as `api_key`"
    ):
        flow_of(service, http).account(credentials)


def test_a_session_that_cannot_be_sent_is_not_repeated(service: YuppService, http: HttpClient):
    with pytest.raises(BadRequestError) as caught:
        flow_of(service, http).account(Credentials(api_key="secret\r\nHost: elsewhere"))
    assert "secret" not in str(caught.value)


async def test_a_session_that_is_none(service: YuppService, http: HttpClient, tmp_path: Path):
    with pytest.raises(MissingAuthError, match="Yupp: Sign in first"):
        await carry(flow_of(service, http), tmp_path, credentials=Credentials(api_key="of nobody"))
    assert steps(service.journal()) == [TICKET]


@pytest.mark.parametrize("step", [TICKET, RECEIPT])
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("limited", RateLimitError, "Yupp: Slow down"),
        ("forbidden", MissingAuthError, "Yupp: This account has no files"),
        ("echo", ProviderError, "Yupp: Not with the session …"),
        ("broken", ProviderUnavailableError, "Yupp: The database is away"),
    ],
)
async def test_a_step_is_refused(
    service: YuppService, http: HttpClient, tmp_path: Path, step: str, fault: str, kind: type[ProviderError], words: str
):
    with pytest.raises(ProviderError) as caught:
        await carry(flow_of(service, http, f"{fault}@{step}"), tmp_path)

    assert (type(caught.value), str(caught.value)) == (kind, words)
    assert getattr(caught.value, "retry_after", 7.0) == 7.0
    assert steps(service.journal())[-1] == step


async def test_a_batch_of_mixed_outcomes_is_a_refusal(service: YuppService, http: HttpClient, tmp_path: Path):
    with pytest.raises(ProviderError, match="Yupp: The other half of the batch failed"):
        await carry(flow_of(service, http, "mixed"), tmp_path)


@pytest.mark.parametrize(
    ("fault", "words"), [("expired", "Request has expired"), ("other-type", "SignatureDoesNotMatch")]
)
async def test_a_link_that_is_not_good(service: YuppService, http: HttpClient, tmp_path: Path, fault: str, words: str):
    with pytest.raises(UploadRefusedError, match=words) as caught:
        await carry(flow_of(service, http, fault), tmp_path)

    assert caught.value.answered == 403
    assert "X-Amz" not in str(caught.value)
    assert steps(service.journal()) == [TICKET, TICKET]


async def test_a_link_that_is_not_good_any_more_is_replaced(
    service: YuppService, storage: Faulty, http: HttpClient, tmp_path: Path
):
    storage.once(Say(refusal(403)))

    assert await carry(flow_of(service, http), tmp_path)
    assert steps(service.journal()) == [TICKET, TICKET, RECEIPT]


@pytest.mark.parametrize(
    "fault", [Cut(0), Cut(0.5), Cut(0.99), Lose(), Say(refusal(503))], ids=["0 %", "50 %", "99 %", "lost", "503"]
)
@pytest.mark.usefixtures("no_delays")
async def test_what_is_lost_on_the_way_is_sent_again(
    service: YuppService, storage: Faulty, http: HttpClient, tmp_path: Path, fault: Fault
):
    storage.once(fault)

    uploaded = await carry(flow_of(service, http), tmp_path, file_of(Pattern(700_000)))

    assert len(await asyncio.to_thread(service.content, uploaded.id.removeprefix("attachment-"))) == 700_000
    assert len(storage.received) == 2
    assert steps(service.journal()) == [TICKET, RECEIPT]


async def test_bytes_that_the_storage_has_otherwise(
    service: YuppService, storage: Faulty, http: HttpClient, tmp_path: Path
):
    storage.plan = lambda _: Spoil()

    with pytest.raises(UploadDamagedError):
        await carry(flow_of(service, http, etag_is_md5=True), tmp_path)
    assert steps(service.journal()) == [TICKET, TICKET]


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (200, "[]", "answered chat.createPresignedURLForUpload without a result"),
        (200, "[{}]", "without a result"),
        (200, '[{"result":null}]', "without a result"),
        (200, '[{"result":{}}]', "its answer cannot be read"),
        (200, '[{"result":{"data":{"json":null}}}]', "its answer cannot be read"),
        (200, '[{"result":{"data":{"json":{}}}}]', "gave no place to upload to"),
        (200, '[{"result":{"data":{"json":{"signedUrl":"http://x"}}}}]', "gave no place to upload to"),
        (200, '[{"result":{"data":{"json":{"signedUrl":"x","fileId":"1"}}}}]', "points to what is no http"),
        (200, '[{"result":{"data":{"json":{"signedUrl":"http://[","fileId":"1"}}}}]', "points to what is no http"),
        (200, '[{"result":{"data":{"json":{"signedUrl":"http://a..b/","fileId":"1"}}}}]', "no valid host name"),
        (200, '[{"result":{"data":{"json":{"signedUrl":1}}}}]', "its answer cannot be read"),
        (200, "<html>", "its answer cannot be read"),
        (200, "", "its answer cannot be read"),
        (207, '[{"result":{"data":{"json":{}}}},{"error":{"json":{"message":"No"}}}]', "Yupp: No$"),
        (400, '[{"error":{"message":"Plain","data":{"code":"BAD_REQUEST"}}}]', "Yupp: Plain$"),
        (400, '[{"error":{"json":{}}}]', "Yupp: answered 400 without a word"),
        (500, "<html><title>Away</title></html>", "Yupp: Away$"),
        (302, "", "redirects"),
    ],
)
async def test_an_answer_that_is_none(http: HttpClient, tmp_path: Path, status: int, said: str, words: str):
    async with raw_server() as server:
        server.answers["/api/trpc/chat.createPresignedURLForUpload"] = response(said.encode(), status=status)
        with pytest.raises(ProviderError, match=words):
            await carry(flow_of(server.url, http), tmp_path)


@pytest.mark.parametrize(
    ("code", "kind"), [("UNAUTHORIZED", MissingAuthError), ("TOO_MANY_REQUESTS", RateLimitError), ("X", ProviderError)]
)
async def test_an_error_without_its_status(http: HttpClient, tmp_path: Path, code: str, kind: type[ProviderError]):
    said = json.dumps([{"error": {"json": {"message": "No", "data": {"code": code}}}}]).encode()
    async with raw_server() as server:
        server.answers["/api/trpc/chat.createPresignedURLForUpload"] = response(said)
        with pytest.raises(ProviderError) as caught:
            await carry(flow_of(server.url, http), tmp_path)
    assert type(caught.value) is kind


async def test_a_file_that_is_not_taken_is_refused_before_a_request(
    service: YuppService, http: HttpClient, tmp_path: Path
):
    with pytest.raises(UnsupportedTypeError, match=r"a 猫\.png \(image/png\); it takes application/pdf, text/\*"):
        await carry(flow_of(service, http, types=["application/pdf", "text/*"]), tmp_path)
    with pytest.raises(TooLargeError):
        await carry(flow_of(service, http, max_bytes=8999), tmp_path)
    assert not service.journal()


@pytest.mark.parametrize(
    ("keys", "words"),
    [({"kinds": []}, "unknown setting kinds"), ({"max_bytes": 0}, "max_bytes"), ({"types": 1}, "types")],
)
def test_settings_that_are_wrong(service: YuppService, http: HttpClient, keys: dict[str, Any], words: str):
    with pytest.raises(SettingsError, match=words):
        flow_of(service, http, **keys)


async def test_the_message_is_what_the_site_sends(service: YuppService, http: HttpClient, tmp_path: Path):
    flow = flow_of(service, http)
    file = await carry(flow, tmp_path, file_of(b"a", "$1.png"))

    (sent,) = flow.message([file], "$5 for this?").values()

    chat, turn, *rest = sent
    assert chat != turn
    entry = {**file.entry, "fileName": "$$1.png"}
    nothing = "$undefined"
    assert rest == ["$$5 for this?", nothing, nothing, [entry], nothing, "none", "text", True, nothing]
    assert list(flow.message([], "")) == ["startNewChat"]


async def test_the_link_to_an_image(service: YuppService, http: HttpClient):
    flow = flow_of(service, http)
    account = flow.account(ANN)

    assert await flow.signed_image(account, "newer") == "https://images.example/newer?signature=1"
    assert await flow.signed_image(account, "older") == "https://images.example/older?signature=1"
    with pytest.raises(ProviderError, match="gave no link to the image lost"):
        await flow.signed_image(account, "lost")
    with pytest.raises(ProviderError, match="Yupp: No such image"):
        await flow.signed_image(account, "a&b=c 猫")
    *_, told = service.journal()
    asked = quote('{"0":{"json":{"imageId":"a&b=c 猫"}}}', safe="")
    assert (told["method"], told["url"]) == ("GET", f"/api/trpc/chat.getSignedImage?batch=1&input={asked}")


async def test_nothing_shows_a_credential_or_a_signature(service: YuppService, http: HttpClient):
    flow = flow_of(service, http)
    ticket = await flow.ticket(PICTURE, flow.account(ANN))
    shown = repr(
        (ANN, flow.account(ANN), UploadedFile(id="1", name="a", media_type="b", size=1, url="https://a?sig=1"))
    )

    assert "session-of-ann" not in shown
    assert "sig=1" not in shown
    assert "X-Amz-Signature" in ticket.sender.url
    assert "X-Amz-Signature" not in shown


class TestContract(FlowContract):
    @pytest.fixture
    def secret(self) -> str:
        return TOKENS[0]

    @pytest.fixture
    def flow(self, service: YuppService, storage: Faulty, http: HttpClient) -> Yupp:
        return flow_of(service, http, api_key=TOKENS[0])

    @pytest.fixture
    def nobody(self, service: YuppService, http: HttpClient) -> Yupp:
        return flow_of(service, http)

    @pytest.fixture
    def stored(self, service: YuppService) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(file: UploadedFile) -> bytes:
            return await asyncio.to_thread(service.content, file.id.removeprefix("attachment-"))

        return read
