"""LMArena's uploads: against React's own server code, with the bytes in an S3 server that checks signatures."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.servers.faulty import Cut, Fault, Faulty, Lose, Say, faulty, refusal
from tests.servers.http import raw_server, response
from tests.servers.lmarena import ACTIONS, COOKIES, PAGE, LMArenaService, running_lmarena
from tests.uploads.carrying import uploader_of
from tests.uploads.contents import Pattern, file_of

from mediary.errors import (
    ChallengeError,
    MissingAuthError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    SettingsError,
    UnsupportedTypeError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.settings import UploadSettings
from mediary.testing.uploads import FlowContract
from mediary.uploads.base import CachePolicy, Credentials, File, UploadedFile
from mediary.uploads.expiry import expires_at
from mediary.uploads.lmarena import LMArena

ANN, BOB = (Credentials(cookies=cookies) for cookies in COOKIES)
GENERATE, SIGN = ACTIONS["generate_upload_url"], ACTIONS["get_signed_url"]
PICTURE = file_of(b"a picture" * 1000, "a 猫.png", width=3, height=2)


@pytest.fixture(scope="module")
def running() -> Iterator[LMArenaService]:
    with running_lmarena() as service:
        yield service


@pytest.fixture
def service(running: LMArenaService) -> LMArenaService:
    running.journal()
    running.links.endpoint = running.links.storage
    return running


@pytest.fixture
async def storage(service: LMArenaService) -> AsyncIterator[Faulty]:
    """The storage, behind a proxy that spoils requests."""
    async with faulty(int(service.links.storage.rpartition(":")[2])) as proxy:
        service.links.endpoint = proxy.url
        yield proxy


def flow_of(service: LMArenaService | str, http: HttpClient, fault: str = "", **keys: Any) -> LMArena:
    url = service if isinstance(service, str) else service.url
    table = {"actions": ACTIONS, "page": PAGE, "headers": {"x-fault": f"!{fault}"}, **keys}
    return LMArena("Arena", UploadSettings(flow="lmarena", base_url=url, **table), http)


async def carry(flow: LMArena, folder: Path, file: File = PICTURE, credentials: Credentials = ANN) -> UploadedFile:
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
    """The actions that were asked for."""
    return [told["headers"]["next-action"] for told in journal]


async def test_a_file_is_uploaded_as_the_site_does_it(
    service: LMArenaService, storage: Faulty, http: HttpClient, tmp_path: Path
):
    uploaded = await carry(flow_of(service, http), tmp_path)

    ticket, receipt = service.journal()
    for told, action in ((ticket, GENERATE), (receipt, SIGN)):
        assert (told["method"], told["url"]) == ("POST", PAGE)
        assert told["headers"]["accept"] == "text/x-component"
        assert told["headers"]["content-type"] == "text/plain;charset=UTF-8"
        assert told["headers"]["next-action"] == action
        assert told["headers"]["referer"] == service.url + PAGE
        assert told["headers"]["cookie"] == "arena-auth=ann"
    assert json.loads(ticket["body"]) == ["a 猫.png", "image/png"]
    # The key begins with a dollar sign, which React writes twice.
    assert json.loads(receipt["body"]) == [f"${uploaded.id}"]
    (put,) = storage.received
    assert (put.method, put.headers["content-type"], put.headers["content-length"]) == ("PUT", "image/png", "9000")
    assert not {"cookie", "authorization", "transfer-encoding", "x-fault"} & set(put.headers)
    assert service.links.read(uploaded.id) == b"a picture" * 1000
    assert uploaded.url
    assert uploaded == UploadedFile(
        id=uploaded.id,
        name="a 猫.png",
        media_type="image/png",
        size=9000,
        entry={"name": uploaded.id, "contentType": "image/png", "url": uploaded.url},
        url=uploaded.url,
        width=3,
        height=2,
        expires_at=expires_at(uploaded.url),
    )
    assert uploaded.expires_at


@pytest.mark.parametrize(
    "file",
    [
        file_of(b"", "empty.txt", "text/plain"),
        file_of(Pattern(3_000_001), "large.pdf", "application/pdf"),
        file_of(b"a", '$1"\\ 😀.svg', "image/svg+xml"),
    ],
    ids=["empty", "large", "name"],
)
async def test_any_file(service: LMArenaService, http: HttpClient, tmp_path: Path, file: File):
    uploaded = await carry(flow_of(service, http), tmp_path, file)

    content = b"".join([piece async for piece in file.content.read()])
    assert await asyncio.to_thread(service.links.read, uploaded.id) == content


async def test_links_so_long_that_they_stand_in_rows_of_their_own(
    service: LMArenaService, http: HttpClient, tmp_path: Path
):
    uploaded = await carry(flow_of(service, http, "long"), tmp_path)

    assert len(uploaded.url or "") > 1024
    assert parse_qs(uploaded.url)["X-Amz-Expires"] == ["900"]
    assert service.links.read(uploaded.id) == b"a picture" * 1000


async def test_the_same_file_is_sent_once_for_an_account(service: LMArenaService, http: HttpClient, tmp_path: Path):
    flow = flow_of(service, http)
    async with uploader_of(tmp_path, flow) as uploader:
        of_ann = await asyncio.gather(*(uploader.upload(flow, PICTURE, ANN) for _ in range(20)))
        again = await uploader.upload(flow, PICTURE, ANN)
        of_bob = await uploader.upload(flow, PICTURE, BOB)

    assert again.cached
    assert {upload.id for upload in of_ann} == {again.id}
    assert of_bob.file.id.startswith("$bob/")
    assert steps(service.journal()) == [GENERATE, SIGN] * 2


async def test_a_link_that_has_ended_is_not_used_again(
    service: LMArenaService, http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    flow = flow_of(service, http)
    real = time.time
    async with uploader_of(tmp_path, flow) as uploader:
        first = await uploader.upload(flow, PICTURE, ANN)
        assert (await uploader.upload(flow, PICTURE, ANN)).cached
        monkeypatch.setattr(time, "time", lambda: real() + 871)
        assert not (await uploader.upload(flow, PICTURE, ANN)).cached
        assert first.file.expires_at

    assert steps(service.journal()) == [GENERATE, SIGN] * 2


@pytest.mark.parametrize("fault", ["brief", "plain"])
async def test_a_link_that_ends_soon_or_does_not_say_when_is_good_for_once(
    service: LMArenaService, http: HttpClient, tmp_path: Path, fault: str
):
    flow = flow_of(service, http, fault)
    async with uploader_of(tmp_path, flow) as uploader:
        uploads = [await uploader.upload(flow, PICTURE, ANN) for _ in range(2)]

    assert [upload.cached for upload in uploads] == [False, False]
    assert [upload.file.reusable for upload in uploads] == [fault == "brief"] * 2
    assert all(upload.file.entry["url"] for upload in uploads)


def test_all_files_are_remembered(service: LMArenaService, http: HttpClient):
    assert flow_of(service, http).policy == CachePolicy()


@pytest.mark.parametrize(
    ("keys", "credentials", "sent"),
    [
        ({}, Credentials(cookies={"b": "2", "a": "1"}), "a=1; b=2"),
        ({"cookies": {"a": "1"}}, Credentials(), "a=1"),
        ({"cookies": {"a": "1", "c": "3"}}, Credentials(cookies={"a": "2"}), "a=2; c=3"),
    ],
)
def test_where_the_cookies_come_from(
    service: LMArenaService, http: HttpClient, keys: dict[str, Any], credentials: Credentials, sent: str
):
    assert flow_of(service, http, **keys).account(credentials).headers["Cookie"] == sent


@pytest.mark.parametrize("credentials", [Credentials(), Credentials(api_key="a")])
def test_without_cookies_it_says_what_to_hand_in(service: LMArenaService, http: HttpClient, credentials: Credentials):
    with pytest.raises(
        MissingAuthError, match=r"wants the cookies of a browser .* by `upload_cookies`, or set `cookies`"
    ):
        flow_of(service, http).account(credentials)


OUTDATED = r"does not know this action any more \(.*\): set `actions` in its table of mediary\.toml"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("refused", ProviderError, "Arena: File is too large$"),
        ("failed", ProviderUnavailableError, "Arena: the service reports an error: 1734092$"),
        ("lost", ProviderError, "Arena: No such file$"),
        ("unsigned", ProviderError, "Arena: gave no link to a 猫.png$"),
        (
            "proof",
            ChallengeError,
            r"proof that a browser is at work \(recaptcha validation failed\)\. Mediary gives none",
        ),
        ("challenge", ChallengeError, r"proof that a browser is at work \(403\)"),
        ("page", ProviderError, OUTDATED),
        ("old", ProviderError, OUTDATED),
        ("limited", RateLimitError, "Arena: Too many requests$"),
        ("login", ProviderError, "redirects"),
    ],
)
async def test_a_step_is_refused(
    service: LMArenaService, http: HttpClient, tmp_path: Path, fault: str, kind: type[ProviderError], words: str
):
    with pytest.raises(kind, match=words) as caught:
        await carry(flow_of(service, http, fault), tmp_path)

    assert type(caught.value) is kind
    assert getattr(caught.value, "retry_after", 9.0) == 9.0
    assert steps(service.journal())[-1] == (SIGN if fault in ("lost", "unsigned") else GENERATE)


@pytest.mark.usefixtures("no_delays")
async def test_a_bad_moment_when_the_bytes_are_there(
    service: LMArenaService, storage: Faulty, http: HttpClient, tmp_path: Path
):
    async with faulty(int(service.url.rpartition(":")[2])) as site:
        site.once(Say(refusal(503)), lambda request: request.headers["next-action"] == SIGN)
        assert await carry(flow_of(site.url, http), tmp_path)
    assert len(storage.received) == 1
    assert [request.headers["next-action"] for request in site.received] == [GENERATE, SIGN, SIGN]


@pytest.mark.parametrize("action", ["generate_upload_url", "get_signed_url"])
async def test_an_action_that_the_site_has_no_more(
    service: LMArenaService, http: HttpClient, tmp_path: Path, action: str
):
    with pytest.raises(ProviderError, match=OUTDATED):
        await carry(flow_of(service, http, actions={**ACTIONS, action: "40ffffffffff"}), tmp_path)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"actions": {}},
            r"actions\.generate_upload_url: the id of this action is needed: it is the header `next-action`",
        ),
        ({"actions": {"generate_upload_url": "4a"}}, r"actions\.get_signed_url: the id of this action is needed"),
        ({"actions": {**ACTIONS, "get_signed_url": "4a\r\nx: y"}}, r"actions\.get_signed_url: the id of this action"),
        ({"actions": {**ACTIONS, "get_url": "4a"}}, r"unknown setting actions\.get_url"),
        ({"actions": "4a"}, "actions"),
        ({"page": "de"}, "page: a path below base_url is needed"),
        ({"page": "/a b"}, "page: a path below base_url is needed"),
        ({"page": "/#a"}, "page: a path below base_url is needed"),
        ({"pages": "/"}, "did you mean page"),
    ],
)
def test_settings_that_are_wrong(service: LMArenaService, http: HttpClient, keys: dict[str, Any], words: str):
    with pytest.raises(SettingsError, match=words):
        flow_of(service, http, **keys)


def test_settings_without_the_actions(http: HttpClient):
    with pytest.raises(SettingsError, match=r"actions\.generate_upload_url: the id of this action is needed"):
        LMArena("Arena", UploadSettings(flow="lmarena", base_url="https://arena.example"), http)


@pytest.mark.parametrize(
    ("fault", "words"), [("expired", "Request has expired"), ("other-type", "SignatureDoesNotMatch")]
)
async def test_a_link_that_is_not_good(
    service: LMArenaService, http: HttpClient, tmp_path: Path, fault: str, words: str
):
    with pytest.raises(UploadRefusedError, match=words) as caught:
        await carry(flow_of(service, http, fault), tmp_path)

    assert caught.value.answered == 403
    assert steps(service.journal()) == [GENERATE, GENERATE]


@pytest.mark.parametrize(
    "fault", [Cut(0), Cut(0.5), Cut(0.99), Lose(), Say(refusal(503))], ids=["0 %", "50 %", "99 %", "lost", "503"]
)
@pytest.mark.usefixtures("no_delays")
async def test_what_is_lost_on_the_way_is_sent_again(
    service: LMArenaService, storage: Faulty, http: HttpClient, tmp_path: Path, fault: Fault
):
    storage.once(fault)

    uploaded = await carry(flow_of(service, http), tmp_path, file_of(Pattern(700_000)))

    assert len(await asyncio.to_thread(service.links.read, uploaded.id)) == 700_000
    assert len(storage.received) == 2
    assert steps(service.journal()) == [GENERATE, SIGN]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Arena: the answer has no row 1"),
        (b'1:{"success":tr', "Arena: the answer breaks off"),
        (b'1:"$1"\n', "Arena: the answer is nested too deep, or refers to itself"),
        (b"1:null\n", "Arena: null"),
        (b'1:{"success":1}\n', "Arena: "),
        (b'1:{"success":true}\n', "gave no place to upload to"),
        (b'1:{"success":true,"data":null}\n', "its answer cannot be read"),
        (b'1:{"success":true,"data":{"uploadUrl":1}}\n', "its answer cannot be read"),
        (b'1:{"success":true,"data":{"uploadUrl":"http://a"}}\n', "gave no place to upload to"),
        (b'1:{"success":true,"data":{"uploadUrl":"file:///a","key":"1"}}\n', "points to what is no http"),
        (b'1:{"success":false,"error":"not with session=my-session"}\n', "Arena: not with …$"),
        (b'1:{"success":false}\n', 'Arena: {"success":false}$'),
    ],
)
async def test_an_answer_that_is_none(http: HttpClient, tmp_path: Path, body: bytes, words: str):
    async with raw_server() as server:
        server.answers["/"] = response(body, "Content-Type: text/x-component; charset=utf-8")
        with pytest.raises(ProviderError, match=words):
            await carry(
                flow_of(server.url, http, page="/"),
                tmp_path,
                credentials=Credentials(cookies={"session": "my-session"}),
            )


async def test_a_file_that_is_not_taken_is_refused_before_a_request(
    service: LMArenaService, http: HttpClient, tmp_path: Path
):
    with pytest.raises(UnsupportedTypeError, match=r"it takes image/\*"):
        await carry(flow_of(service, http, types=["image/*"]), tmp_path, file_of(b"a", "a.pdf", "application/pdf"))
    assert not service.journal()


async def test_the_message_is_what_the_site_sends(service: LMArenaService, http: HttpClient, tmp_path: Path):
    flow = flow_of(service, http)
    file = await carry(flow, tmp_path)

    assert flow.message([file], "What is this?") == {
        "role": "user",
        "content": "What is this?",
        "experimental_attachments": [{"name": file.id, "contentType": "image/png", "url": file.url}],
    }


class TestContract(FlowContract):
    @pytest.fixture
    def secret(self) -> str:
        return "arena-auth=ann"

    @pytest.fixture
    def flow(self, service: LMArenaService, storage: Faulty, http: HttpClient) -> LMArena:
        return flow_of(service, http, cookies=COOKIES[0])

    @pytest.fixture
    def nobody(self, service: LMArenaService, http: HttpClient) -> LMArena:
        return flow_of(service, http)

    @pytest.fixture
    def stored(self, service: LMArenaService) -> Callable[[UploadedFile], Awaitable[bytes]]:
        async def read(file: UploadedFile) -> bytes:
            return await asyncio.to_thread(service.links.read, file.id)

        return read
