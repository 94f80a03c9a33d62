"""Credentials and what tickets lend stay with the one they are for: on redirects, in refusals, in what is shown."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Network
from typing import Any

import aiohttp
import pytest
from tests.servers.http import RawServer, raw_server, redirect, response, unvouched_tls
from tests.servers.scripted import Scripted, scripted, whole
from tests.uploads.contents import Bytes

from mediary.errors import ProviderError, UploadRefusedError
from mediary.net.client import HttpClient
from mediary.settings import NetSettings
from mediary.testing.uploads import make_file
from mediary.uploads.base import Account
from mediary.uploads.senders.aliyun_oss import AliyunOSS
from mediary.uploads.senders.multipart_form import MultipartForm
from mediary.uploads.senders.oss4 import Keys
from mediary.uploads.senders.resumable import Resumable
from mediary.uploads.transport import Slice, Transport

TOKEN = "token-of-ann-0123456789"
ACCOUNT = Account({"Authorization": f"Bearer {TOKEN}"})
LENT = Keys("LTAI-lent-for-a-while", "secret-that-is-lent-0123456789", "security-token-0123456789")
FILE = make_file(b"hello")


class Believing(HttpClient):
    """A client that believes any certificate."""

    def request(self, *asked: Any, **options: Any) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return super().request(*asked, **options, ssl=False)


@pytest.fixture
async def believing() -> AsyncIterator[HttpClient]:
    client = Believing(NetSettings(allow=(IPv4Network("127.0.0.0/8"),)))
    yield client
    await client.close()


@pytest.fixture
async def secure() -> AsyncIterator[RawServer]:
    async with raw_server(tls=unvouched_tls()) as server:
        yield server


@pytest.fixture
async def storage() -> AsyncIterator[Scripted]:
    async with scripted() as storage:
        storage.play(whole(b""))
        yield storage


@pytest.fixture
async def elsewhere() -> AsyncIterator[Scripted]:
    async with scripted() as service:
        service.play(whole(b""))
        yield service


@pytest.fixture
def transport(http: HttpClient) -> Transport:
    return Transport("Web", http, "https://api.example")


def oss(storage: Scripted) -> AliyunOSS:
    url = f"{storage.origin}/bucket/key"
    return AliyunOSS(url=url, bucket="bucket", key="key", region="eu-central-1", keys=LENT)


# On redirects


@pytest.mark.parametrize("body", [None, b"{}", Slice(Bytes(b"hello"))])
@pytest.mark.parametrize("to_storage", [False, True])
async def test_nothing_goes_on_without_encryption_what_began_with_it(
    believing: HttpClient, secure: RawServer, elsewhere: Scripted, body: Any, to_storage: bool
):
    secure.answers = dict.fromkeys(("/b", "/files"), redirect(f"{elsewhere.origin}/b?sig=1", 307))
    transport = Transport("Web", believing, secure.url)
    asked = (
        transport.store("PUT", f"{secure.url}/b?sig=1", body=body)
        if to_storage
        else transport.api("POST", "/files", ACCOUNT, body=body)
    )
    with pytest.raises(ProviderError, match="without encryption"):
        await asked
    assert elsewhere.asked == []


async def test_encryption_may_begin_on_the_way(believing: HttpClient, secure: RawServer, storage: Scripted):
    storage.play(whole(b"", f"Location: {secure.url}/b", status=307))
    secure.answers["/b"] = response(b"", status=201)
    transport = Transport("Web", believing, storage.origin)
    assert (await transport.api("POST", "/b", ACCOUNT, json={})).status == 201
    assert "authorization" not in secure.received[0].headers


async def test_what_a_request_is_signed_with_is_not_handed_to_another_origin(
    transport: Transport, storage: Scripted, elsewhere: Scripted
):
    storage.play(whole(b"", f"Location: {elsewhere.origin}/b", status=307))
    await oss(storage).send(transport, FILE, lambda _: None)
    sent, forwarded = storage.asked[0].headers, elsewhere.asked[0].headers
    assert {"authorization", "x-oss-security-token"} <= set(sent)
    assert not {"authorization", "x-oss-security-token"} & set(forwarded)
    assert forwarded["content-type"] == FILE.media_type


async def test_it_stays_within_the_origin(transport: Transport, storage: Scripted):
    storage.play(whole(b"", "Location: /other", status=307), whole(b""))
    await oss(storage).send(transport, FILE, lambda _: None)
    assert storage.asked[1].headers["x-oss-security-token"] == LENT.security_token


@pytest.mark.parametrize("who", ["ann:pa55word@", "ann@", ":pa55word@"])
async def test_a_link_that_holds_a_password_is_not_followed(storage: Scripted, http: HttpClient, who: str):
    transport = Transport("Web", http, storage.origin)
    link = storage.origin.replace("://", f"://{who}")
    storage.play(whole(b"", f"Location: {link}/b", status=307))
    for asking in (
        transport.api("POST", "/files", ACCOUNT, json={}),
        transport.store("PUT", f"{link}/b?sig=1", body=b"", headers={"authorization": "lent"}),
    ):
        with pytest.raises(ProviderError, match="Web: points to what") as caught:
            await asking
        assert "pa55word" not in str(caught.value)
    assert [asked.path for asked in storage.asked] == ["/files"]


# In refusals


@pytest.mark.parametrize(
    ("before", "behind"), [("", ""), ("<Code>SignatureDoesNotMatch</Code><Message>", "</Message>")]
)
async def test_a_storage_that_repeats_what_it_was_sent(
    transport: Transport, storage: Scripted, before: str, behind: str
):
    async def play(asked: Any, line: Any) -> None:
        words = f"{before}not {asked.headers['authorization']} with {asked.headers['x-oss-security-token']}{behind}"
        await whole(words.encode(), status=403)(asked, line)

    storage.play(play)
    with pytest.raises(UploadRefusedError) as caught:
        await oss(storage).send(transport, FILE, lambda _: None)
    signature = storage.asked[0].headers["authorization"].rpartition("Signature=")[2]
    assert len(signature) == 64
    for hidden in (signature, LENT.access_key_secret, LENT.security_token or ""):
        assert hidden not in str(caught.value)
    assert "not" in str(caught.value)


async def test_a_storage_that_repeats_a_form(transport: Transport, storage: Scripted):
    fields = [("Signature", "c2lnbmF0dXJlLW9mLWEtZm9ybQ=="), ("policy", "eyJleHBpcmF0aW9uIjogIjIwMjYifQ==")]
    words = "".join(f"<Message>no {value}</Message>" for _, value in fields)
    storage.play(whole(words.encode(), status=403))
    with pytest.raises(UploadRefusedError) as caught:
        await MultipartForm(f"{storage.origin}/bucket", fields).send(transport, FILE, lambda _: None)
    assert str(caught.value) == "Web: the storage answered 403: no …"


# In what is shown


def test_senders_do_not_show_what_lets_others_send():
    fields = [("Signature", "c2lnbmF0dXJl"), ("policy", "eyJleHBp")]
    senders = [
        MultipartForm("https://h.example/b?sig=c2lnbmF0dXJl", fields, ACCOUNT),
        Resumable("https://h.example/upload?upload_id=c2lnbmF0dXJl", "gemini"),
        AliyunOSS(url="https://h.example/key", bucket="b", key="key", region="r", keys=LENT),
    ]
    for sender in senders:
        shown = repr(sender)
        assert "h.example" in shown
        for hidden in ("c2lnbmF0dXJl", "eyJleHBp", TOKEN, LENT.access_key_secret, LENT.security_token or ""):
            assert hidden not in shown
