"""Qwen's web app: ticket, storage, message, and what the service may say instead."""

import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import pytest
from aiohttp import web
from tests.servers.oss import MIN_PART
from tests.servers.qwen import BUCKET, TOKEN, QwenService, qwen_service, says
from tests.uploads.contents import file_of, nothing

from mediary.errors import (
    ChallengeError,
    MediaryError,
    MissingAuthError,
    ProviderError,
    RateLimitError,
    SettingsError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.settings import NetSettings, UploadSettings
from mediary.uploads.base import Credentials, File, UploadedFile
from mediary.uploads.qwen import Qwen, QwenTicket

pytestmark = pytest.mark.usefixtures("no_delays")

CREDENTIALS = Credentials(api_key=TOKEN)


@pytest.fixture
async def service() -> AsyncIterator[QwenService]:
    async with qwen_service() as served:
        yield served


@pytest.fixture
def flow(service: QwenService, http: HttpClient) -> Qwen:
    return make(service.url, http)


def make(url: str, http: HttpClient, **table: Any) -> Qwen:
    return Qwen("Qwen", UploadSettings(flow="qwen", base_url=url, **table), http)


async def carry(flow: Qwen, file: File, credentials: Credentials = CREDENTIALS) -> UploadedFile:
    """Ticket, send, receipt."""
    account = flow.account(credentials)
    ticket = await flow.ticket(file, account)
    sent = await ticket.sender.send(flow.transport, file, nothing)
    return await flow.receipt(file, account, ticket, sent)


async def say(flow: Qwen, message: dict[str, Any]) -> Any:
    """Hand the message to the service, as its page does."""
    answer = await flow.transport.api(
        "POST", "/api/v2/chat/completions", flow.account(CREDENTIALS), json={"messages": [message]}
    )
    return msgspec.json.decode(answer.body)


async def test_a_file_arrives_and_the_service_knows_it_in_a_message(service, flow):
    file = file_of(b"\x89PNG" * 99, name="bild ü 猫.png", width=3, height=2)
    uploaded = await carry(flow, file)
    assert service.asked == [{"filename": "bild ü 猫.png", "filesize": 396, "filetype": "image/png"}]
    (stored,) = service.storage.objects.values()
    assert stored.data == b"\x89PNG" * 99 and stored.media_type == "image/png"
    assert (uploaded.id, uploaded.width, uploaded.height) == (next(iter(service.files)), 3, 2)
    answer = await say(flow, flow.message([uploaded], "what is this?"))
    assert answer["success"] is True


async def test_a_message_without_files_and_one_with_two(flow):
    plain = flow.message([], "hello")
    assert plain["role"] == "user" and plain["content"] == "hello" and plain["files"] == []
    UUID(plain["fid"])
    two = [await carry(flow, file_of(data)) for data in (b"one", b"two")]
    assert [entry["id"] for entry in flow.message(two, "x")["files"]] == [file.id for file in two]
    assert (await say(flow, flow.message(two, "x")))["success"] is True


@pytest.mark.parametrize(
    ("media_type", "kind", "shown", "file_class"),
    [
        ("image/webp", "image", "image", "vision"),
        ("video/mp4", "video", "video", "video"),
        ("audio/mpeg", "audio", "audio", "audio"),
        ("application/pdf", "file", "file", "document"),
        ("text/plain", "file", "file", "document"),
    ],
)
async def test_the_entry_is_as_the_web_app_writes_it(service, flow, media_type, kind, shown, file_class):
    before = int(time.time() * 1000)
    uploaded = await carry(flow, file_of(b"abc", name="n.bin", media_type=media_type))
    entry = dict(uploaded.entry)
    moment = entry["file"]["created_at"]
    assert before <= moment <= time.time() * 1000
    assert UUID(entry.pop("itemId")) != UUID(entry.pop("uploadTaskId"))
    assert entry == {
        "type": kind,
        "file": {
            "created_at": moment,
            "data": {},
            "filename": "n.bin",
            "hash": None,
            "id": uploaded.id,
            "meta": {"name": "n.bin", "size": 3, "content_type": media_type},
            "update_at": moment,
        },
        "id": uploaded.id,
        "url": uploaded.url,
        "name": "n.bin",
        "collection_name": "",
        "progress": 0,
        "status": "uploaded",
        "greenNet": "success",
        "size": 3,
        "error": "",
        "file_type": media_type,
        "showType": shown,
        "file_class": file_class,
    }


async def test_a_large_file_goes_in_parts(service, http):
    flow = make(service.url, http, single_bytes=0, part_bytes=MIN_PART)
    data = bytes(range(256)) * 2000
    uploaded = await carry(flow, file_of(data, name="a.mp4", media_type="video/mp4"))
    assert service.storage.objects[service.files[uploaded.id]].data == data
    assert service.storage.uploads == {}
    assert (await say(flow, flow.message([uploaded], "x")))["success"] is True


async def test_an_upload_is_good_until_its_link_ends(service, flow):
    uploaded = await carry(flow, file_of(b"abc"))
    assert uploaded.reusable and uploaded.expires_at is not None
    assert abs(uploaded.expires_at - time.time() - 300) < 60
    service.change = lambda data: data.update(file_url=data["file_url"].partition("?")[0])
    uploaded = await carry(flow, file_of(b"abc"))
    assert not uploaded.reusable and uploaded.expires_at is None


async def test_a_link_that_has_ended_is_refused_by_the_storage(service, flow):
    service.link_seconds = 0
    uploaded = await carry(flow, file_of(b"abc"))
    assert uploaded.expires_at is not None and uploaded.expires_at <= time.time()
    with pytest.raises(UploadRefusedError, match="expired"):
        await flow.transport.store("GET", uploaded.url or "")


async def test_what_lies_there_can_be_read_by_the_link(service, flow):
    uploaded = await carry(flow, file_of(b"abc"))
    assert (await flow.transport.store("GET", uploaded.url or "")).body == b"abc"


# Where the bytes go.


@pytest.mark.parametrize("region", ["eu-central-1", "oss-eu-central-1"])
async def test_the_region_of_the_ticket(service, flow, region):
    service.region = region
    await carry(flow, file_of(b"abc"))


async def test_the_region_falls_back(service, flow):
    service.storage.region = "ap-southeast-1"
    service.change = lambda data: data.pop("region")
    await carry(flow, file_of(b"abc"))


async def test_the_place_is_read_from_the_link_where_the_ticket_does_not_name_it(service, flow, http):
    def change(data: dict[str, Any]) -> None:
        del data["bucketname"], data["region"], data["file_path"]
        parts = urlsplit(data["file_url"])
        path = parts.path.removeprefix(f"/{BUCKET}")
        data["file_url"] = f"https://{BUCKET}.oss-cn-hangzhou.aliyuncs.com{path}?{parts.query}"

    service.change = change
    sender = (await flow.ticket(file_of(b"abc", name="ü x.png"), flow.account(CREDENTIALS))).sender
    assert (sender.bucket, sender.region) == (BUCKET, "cn-hangzhou")
    assert sender.key == next(iter(service.files.values()))[1]
    service.change = lambda data: data.pop("bucketname")
    other = make(service.url, http, bucket=BUCKET)
    await carry(other, file_of(b"abc"))


async def test_a_link_with_bare_unicode_is_written_as_a_request_can_bear_it(service, flow):
    service.change = lambda data: data.update(file_url=f"{service.storage.url}/{BUCKET}/{data['file_path']}?Expires=1")
    await carry(flow, file_of(b"abc", name="ü 猫.png"))
    assert [stored.data for stored in service.storage.objects.values()] == [b"abc"]


# Accounts.


async def test_the_token_may_be_a_cookie_and_goes_to_the_service_alone(service, flow):
    await carry(flow, file_of(b"abc"), Credentials(cookies={"token": TOKEN, "cna": "x"}))
    assert service.headers[0]["Authorization"] == f"Bearer {TOKEN}"
    assert service.headers[0]["Cookie"] == f"cna=x; token={TOKEN}"
    assert all("Cookie" not in headers and TOKEN not in str(headers) for headers in service.storage.headers)


def test_what_the_request_brings_goes_before_the_settings(http):
    flow = make("https://chat.example.com", http, api_key="of-settings", cookies={"token": "cookie-of-settings"})
    assert flow.account(Credentials()).headers == {
        "Authorization": "Bearer of-settings",
        "Cookie": "token=of-settings",
    }
    assert flow.account(Credentials(cookies={"token": "of-request"})).headers == {
        "Authorization": "Bearer of-request",
        "Cookie": "token=of-request",
    }
    assert flow.account(Credentials(api_key="key")).headers["Cookie"] == "token=key"
    assert flow.account(Credentials(api_key="a")).id != flow.account(Credentials(api_key="b")).id


def test_an_authorization_of_the_settings_stands_for_the_token(http):
    flow = make("https://chat.example.com", http, headers={"authorization": "Basic x"})
    assert flow.account(Credentials()).headers == {"authorization": "Basic x"}
    assert flow.account(Credentials(api_key="a")).headers == {"Authorization": "Bearer a"}


def test_without_credentials_it_says_what_to_hand_in(http):
    with pytest.raises(MissingAuthError, match=r"api_key.*cookies"):
        make("https://chat.example.com", http).account(Credentials(cookies={"cna": "x"}))


def test_a_wrong_key_of_the_settings_is_named(http):
    with pytest.raises(SettingsError, match=r"single_byte.*single_bytes"):
        make("https://chat.example.com", http, single_byte=1)
    with pytest.raises(SettingsError, match="part_bytes"):
        make("https://chat.example.com", http, part_bytes=1)


# What the service may say instead.


async def refused(service: QwenService, flow: Qwen, answer: web.Response) -> MediaryError:
    service.refuse = lambda: answer
    with pytest.raises(MediaryError) as caught:
        await flow.ticket(file_of(b"abc"), flow.account(CREDENTIALS))
    assert TOKEN not in str(caught.value)
    assert service.storage.asked == []
    return caught.value


@pytest.mark.parametrize(
    "code", ["RateLimited", "rate_limit_exceeded", "TooManyRequests", "Throttling.User", "quota_limit"]
)
async def test_a_rate_limit_in_a_200(service, flow, code):
    error = await refused(service, flow, says(code, "You've reached the upper limit for today's usage."))
    assert type(error) is RateLimitError
    assert str(error) == f"{code}:You've reached the upper limit for today's usage."
    assert error.retry_after is None


async def test_a_rate_limit_may_say_how_many_hours_to_wait(service, flow):
    template = "You have reached the daily usage limit. Please wait {{num}} hours before trying again."
    error = await refused(service, flow, says("RateLimited", "limit", template=template, num=4))
    assert isinstance(error, RateLimitError) and error.retry_after == 4 * 3600


@pytest.mark.parametrize("code", ["Unauthorized", "TokenExpired", "Forbidden", "NotLogin"])
async def test_a_refused_token_in_a_200(service, flow, code):
    error = await refused(service, flow, says(code, f"no such token {TOKEN}"))
    assert type(error) is MissingAuthError
    assert str(error) == f"Qwen: {code}:no such token …"


async def test_other_refusals_in_a_200(service, flow):
    error = await refused(service, flow, says("Bad_Request", "filetype is not supported"))
    assert type(error) is ProviderError and str(error) == "Qwen: Bad_Request:filetype is not supported"
    error = await refused(service, flow, web.json_response({"success": False, "data": "no"}))
    assert str(error) == "Qwen: error:no"
    error = await refused(service, flow, web.json_response({"success": False}))
    assert str(error) == "Qwen: error:{}"
    error = await refused(
        service, flow, web.json_response({"success": False, "data": {"code": 1, "details": {"a": 1}}})
    )
    assert str(error) == 'Qwen: 1:{"a":1}'
    error = await refused(service, flow, says("x", "y" * 5000))
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("status", "kind"), [(401, MissingAuthError), (403, MissingAuthError), (429, RateLimitError), (500, ProviderError)]
)
@pytest.mark.parametrize("body", [{"detail": "no"}, {"success": False, "data": {"code": "Odd", "details": "no"}}])
async def test_refusals_by_status(service, flow, status, kind, body):
    error = await refused(service, flow, web.json_response(body, status=status, headers={"Retry-After": "7"}))
    assert isinstance(error, kind) and str(error).endswith(("Qwen: no", "Odd:no"))
    assert getattr(error, "retry_after", 7) == 7


@pytest.mark.parametrize(
    "body",
    [
        '{"ret":["FAIL_SYS_USER_VALIDATE","RGV587_ERROR::SM::x"],"data":{"url":"https://c/_____tmd_____/punish?x=1"}}',
        '<!doctypehtml><html><meta name="aliyun_waf_aa" content="1">',
    ],
)
async def test_a_service_that_asks_for_a_browser_is_left(service, flow, body):
    error = await refused(service, flow, web.Response(text=body, content_type="text/html"))
    assert isinstance(error, ChallengeError) and "browser" in str(error)


async def test_a_file_whose_name_looks_like_a_challenge_is_none(service, flow):
    await carry(flow, file_of(b"abc", name="aliyun_waf punish? captcha.png"))


@pytest.mark.parametrize(
    "body", ["", "[]", "null", "{}", '{"success":true}', '{"success":true,"data":[1]}', "<p>hi", "\xff{"]
)
async def test_garbage_is_no_ticket(service, flow, body):
    error = await refused(service, flow, web.Response(text=body))
    assert type(error) is ProviderError and str(error).startswith("Qwen: ")


@pytest.mark.parametrize(
    "change",
    [
        {"file_url": "ftp://x/y"},
        {"file_url": "http://["},
        {"file_url": "http:///a"},
        {"region": "a\r\nX-Evil: 1"},
        {"file_url": None},
        {"file_id": ""},
        {"access_key_secret": None},
        {"security_token": "a\r\nX-Evil: 1"},
        {"access_key_id": "a\nb"},
    ],
)
async def test_a_ticket_that_cannot_be_used_is_an_error(service, flow, change):
    service.change = lambda data: data.update(change)
    with pytest.raises(ProviderError, match=r"gave no (keys|place)"):
        await flow.ticket(file_of(b"abc"), flow.account(CREDENTIALS))


async def test_a_place_that_may_not_be_reached_is_refused(service, http):
    strict = HttpClient(NetSettings())
    flow = make(service.url, strict)
    try:
        with pytest.raises(MediaryError, match=r"127\.0\.0\.1"):
            await carry(flow, file_of(b"abc"))
    finally:
        await strict.close()
    assert service.storage.asked == []


async def test_expired_keys_are_refused_by_the_storage_with_403(service, flow):
    service.key_seconds = -1
    with pytest.raises(UploadRefusedError, match="SecurityTokenExpired") as caught:
        await carry(flow, file_of(b"abc"))
    assert caught.value.answered == 403


async def test_a_ticket_can_be_written_down_and_shows_nothing(service, flow):
    file = file_of(b"abc")
    account = flow.account(CREDENTIALS)
    ticket = await flow.ticket(file, account)
    (lent,) = service.storage.lent.values()
    secrets = (lent.access_key_secret, lent.security_token, "x-oss-signature")
    assert not any(str(secret) in repr(ticket) for secret in secrets)
    again = msgspec.json.decode(msgspec.json.encode(ticket), type=QwenTicket)
    sent = await again.sender.send(flow.transport, file, nothing)
    uploaded = await flow.receipt(file, account, again, sent)
    assert (await say(flow, flow.message([uploaded], "x")))["success"] is True


def test_what_is_taken(http):
    takes = make("https://chat.example.com", http).takes()
    assert takes.has("application/x-whatever") and takes.max_bytes is None
    takes = make("https://chat.example.com", http, types=["image/*"], max_bytes=5).takes()
    assert not takes.has("video/mp4") and takes.max_bytes == 5
