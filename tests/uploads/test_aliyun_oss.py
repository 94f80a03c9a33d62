"""Alibaba's object storage: whole files and parts, to a server that checks with Alibaba's SDK, and faults."""

import asyncio
import hashlib
import socket
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st
from tests.servers.faulty import Cut, Faulty, Lose, Say, Spoil, faulty, refusal
from tests.servers.http import Received, response
from tests.servers.oss import MIN_PART, OSS, REGION, Lent, content_md5, etag, oss
from tests.uploads.contents import file_of, nothing

from mediary.errors import (
    ProviderError,
    ProviderUnavailableError,
    UploadBrokenOffError,
    UploadDamagedError,
    UploadRefusedError,
)
from mediary.net.client import HttpClient
from mediary.settings import NetSettings
from mediary.uploads.base import CleansUp, GoesOn, Sent
from mediary.uploads.senders import aliyun_oss
from mediary.uploads.senders.aliyun_oss import MAX_PARTS, AliyunOSS, place_of, split
from mediary.uploads.senders.oss4 import Keys
from mediary.uploads.transport import Transport

BUCKET = "examplebucket"
pytestmark = pytest.mark.usefixtures("no_delays")

KEY = "u1/猫 und ü+(1).mp4"
PARTS = 6
LARGE = bytes(range(256)) * (MIN_PART // 256) * (PARTS - 1) + b"the end"


@pytest.fixture
async def storage() -> AsyncIterator[OSS]:
    async with oss() as served:
        yield served


@pytest.fixture
async def proxy(storage: OSS) -> AsyncIterator[Faulty]:
    async with faulty(storage.port) as served:
        yield served


@pytest.fixture
def transport(http: HttpClient) -> Transport:
    return Transport("Q", http, "https://chat.example.com")


def keys_of(lent: Lent) -> Keys:
    return Keys(lent.access_key_id, lent.access_key_secret, lent.security_token)


def sender_to(storage: OSS, base: str | None = None, **given: object) -> AliyunOSS:
    """A sender with keys that the storage has lent for one object."""
    sizes = {"single_bytes": 0, "part_bytes": MIN_PART} if given.pop("in_parts", False) else {}
    lent = storage.lend(BUCKET, KEY)
    place = {"url": place_of(f"{base or storage.url}/{BUCKET}/{KEY}"), "bucket": BUCKET, "key": KEY}
    return AliyunOSS(**{**place, "region": REGION, "keys": keys_of(lent), **sizes, **given})


def kept(storage: OSS) -> bytes:
    return storage.objects[BUCKET, KEY].data


def about_part(number: int, request: Received) -> bool:
    return f"partNumber={number}&" in request.target


async def test_a_small_file_goes_in_one_put(storage, transport):
    told: list[int] = []
    file = file_of(b"\x89PNG" * 1000)
    sent = await sender_to(storage).send(transport, file, told.append)
    assert kept(storage) == b"\x89PNG" * 1000
    assert storage.asked == ["PUT "]
    assert storage.objects[BUCKET, KEY].media_type == "image/png"
    assert sent.headers["etag"] == etag(b"\x89PNG" * 1000)
    assert told[-1] == file.size


async def test_the_headers_are_those_of_the_table(storage, transport):
    await sender_to(storage).send(transport, file_of(b"abc", media_type="video/mp4"), nothing)
    sent = {name.lower(): value for name, value in storage.headers[0].items()}
    assert sent["content-type"] == "video/mp4"
    assert sent["content-length"] == "3" and "transfer-encoding" not in sent
    assert sent["content-md5"] == content_md5(b"abc")
    assert sent["x-oss-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert sent["x-oss-security-token"].startswith("CAIS")
    assert sent["x-oss-user-agent"].startswith("mediary/")
    assert sent["authorization"].startswith("OSS4-HMAC-SHA256 Credential=STS.")


async def test_an_empty_file(storage, transport):
    await sender_to(storage).send(transport, file_of(b""), nothing)
    assert kept(storage) == b""


async def test_a_large_file_goes_in_parts_some_at_a_time(storage, proxy, transport):
    sender = sender_to(storage, proxy.url, in_parts=True)
    told: list[int] = []
    await sender.send(transport, file_of(LARGE, media_type="video/mp4"), told.append)
    assert kept(storage) == LARGE
    assert storage.objects[BUCKET, KEY].media_type == "video/mp4"
    assert storage.uploads == {}
    assert told[-1] == len(LARGE) and told == sorted(told)
    assert 1 < proxy.most <= 4
    assert isinstance(sender, GoesOn) and isinstance(sender, CleansUp) and sender.is_worth_keeping()


class NearResolver(AbstractResolver):
    """Every name is here."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        near = {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [ResolveResult(**near)]  # type: ignore[typeddict-item]

    async def close(self) -> None:
        pass


async def test_the_bucket_may_be_in_the_name_of_the_host(storage):
    http = HttpClient(NetSettings(allow=["127.0.0.0/8"]), resolver=NearResolver())
    transport = Transport("Q", http, "https://chat.example.com")
    url = place_of(f"http://{BUCKET}.oss-{REGION}.aliyuncs.com:{storage.port}/{KEY}")
    try:
        await sender_to(storage, url=url).send(transport, file_of(b"abc"), nothing)
        await sender_to(storage, url=url, in_parts=True).send(transport, file_of(LARGE), nothing)
    finally:
        await http.close()
    assert kept(storage) == LARGE


# What can go wrong.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keys": Keys("STS.unknown", "secret", "token")}, "InvalidAccessKeyId"),
        ({"region": "cn-hangzhou"}, "InvalidArgument"),
        ({"key": "u1/another"}, "SignatureDoesNotMatch|another object"),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
async def test_a_refusal_is_told_with_the_words_of_the_storage(storage, transport, change, words, in_parts):
    sender = sender_to(storage, in_parts=in_parts, **change)
    with pytest.raises(UploadRefusedError, match=words) as caught:
        await sender.send(transport, file_of(LARGE), nothing)
    assert caught.value.answered == 403
    assert len(storage.asked) == 1
    assert storage.objects == {}


async def test_a_tampered_secret_and_expired_keys_are_refused(storage, transport):
    good = sender_to(storage)
    tampered = msgspec.structs.replace(good, keys=Keys(good.keys.access_key_id, "x", good.keys.security_token))
    with pytest.raises(UploadRefusedError, match="SignatureDoesNotMatch") as caught:
        await tampered.send(transport, file_of(b"abc"), nothing)
    assert caught.value.answered == 403
    storage.lent[good.keys.access_key_id].ends = 0
    with pytest.raises(UploadRefusedError, match="SecurityTokenExpired") as caught:
        await good.send(transport, file_of(b"abc"), nothing)
    assert caught.value.answered == 403
    text = f"{caught.value}{caught.value!r}{good!r}"
    assert good.keys.access_key_secret not in text and str(good.keys.security_token) not in text


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
async def test_a_part_that_is_cut_is_sent_again_alone(storage, proxy, transport, share):
    proxy.once(Cut(share), lambda request: about_part(3, request))
    told: list[int] = []
    await sender_to(storage, proxy.url, in_parts=True).send(transport, file_of(LARGE), told.append)
    assert kept(storage) == LARGE
    puts = [request.target.partition("partNumber=")[2][:1] for request in proxy.received if request.method == "PUT"]
    assert sorted(puts) == ["1", "2", "3", "3", "4", "5", "6"]
    assert told[-1] == len(LARGE)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
async def test_a_put_that_is_cut_is_sent_again_signed_anew(storage, proxy, transport, monkeypatch, share):
    moments = iter([time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - ago)) for ago in (60, 0)])
    monkeypatch.setattr(aliyun_oss, "now", lambda: next(moments))
    proxy.once(Cut(share))
    await sender_to(storage, proxy.url).send(transport, file_of(LARGE), nothing)
    assert kept(storage) == LARGE
    first, second = (request.headers for request in proxy.received)
    assert first["x-oss-date"] < second["x-oss-date"] and first["authorization"] != second["authorization"]


async def test_a_put_whose_answer_is_lost_is_taken_for_done_only_if_the_storage_says_that_it_is_there(
    storage, proxy, transport
):
    there = "<Error><Code>FileImmutable</Code></Error>"
    proxy.first(Lose(), Say(refusal(409, there)))
    assert await sender_to(storage, proxy.url).send(transport, file_of(b"abc"), nothing) == Sent()
    proxy.first(Lose(), Say(refusal(403, "<Error><Code>SecurityTokenExpired</Code></Error>")))
    with pytest.raises(UploadRefusedError, match="SecurityTokenExpired"):
        await sender_to(storage, proxy.url).send(transport, file_of(b"abc"), nothing)
    proxy.first(Say(refusal(409, there)))
    with pytest.raises(UploadRefusedError, match="FileImmutable"):
        await sender_to(storage, proxy.url).send(transport, file_of(b"abc"), nothing)


async def test_a_storage_that_is_down_for_a_moment_is_asked_again_and_then_no_more(storage, proxy, transport):
    proxy.first(Say(refusal(503)), Say(refusal(500)))
    await sender_to(storage, proxy.url).send(transport, file_of(b"abc"), nothing)
    assert len(proxy.received) == 3
    proxy.plan = lambda _: Cut(0.5)
    with pytest.raises(UploadBrokenOffError):
        await sender_to(storage, proxy.url).send(transport, file_of(LARGE), nothing)
    assert len(proxy.received) == 6


async def test_bytes_that_changed_on_the_way_are_refused_by_the_storage(storage, proxy, transport):
    proxy.once(Spoil())
    with pytest.raises(UploadDamagedError, match="InvalidDigest"):
        await sender_to(storage, proxy.url).send(transport, file_of(b"abc"), nothing)
    assert storage.objects == {}


async def test_a_part_that_was_kept_with_other_bytes_is_an_error_and_not_done(storage, proxy, transport):
    proxy.once(Spoil(), lambda request: about_part(2, request))
    sender = sender_to(storage, proxy.url, in_parts=True)
    with pytest.raises(UploadDamagedError, match="other bytes of part 2"):
        await sender.send(transport, file_of(LARGE), nothing)
    assert 2 not in sender.parts
    await sender.send(transport, file_of(LARGE), nothing)
    assert kept(storage) == LARGE


@pytest.mark.parametrize(
    ("answer", "fails"),
    [
        (response(b"", f'ETag: "{hashlib.md5(b"abd").hexdigest().upper()}"'), True),
        (response(b"", f"Content-MD5: {content_md5(b'abd')}"), True),
        (response(b"", f'ETag: "{hashlib.md5(b"abd").hexdigest()}"', "x-oss-server-side-encryption: KMS"), False),
        (response(b"", 'ETag: "5B3C1A2E053D763E1B002CC607C5A0FE1****"'), False),
        (response(b""), False),
    ],
)
async def test_an_etag_is_believed_where_it_is_an_md5(storage, proxy, transport, answer, fails):
    proxy.once(Say(answer))
    sending = sender_to(storage, proxy.url).send(transport, file_of(b"abc"), nothing)
    if fails:
        with pytest.raises(UploadDamagedError, match=r"other bytes of a\.png"):
            await sending
    else:
        await sending


async def test_another_process_goes_on_with_what_is_missing(storage, proxy, transport):
    proxy.plan = lambda request: Say(refusal(403)) if about_part(5, request) else None
    sender = sender_to(storage, proxy.url, in_parts=True)
    with pytest.raises(UploadRefusedError):
        await sender.send(transport, file_of(LARGE), nothing)
    assert sender.is_worth_keeping()
    written = msgspec.json.encode(sender)
    there = set(sender.parts)
    assert there and 5 not in there

    proxy.plan, told = lambda _: None, []
    proxy.received.clear()
    other = msgspec.json.decode(written, type=AliyunOSS)
    await other.send(transport, file_of(LARGE), told.append)
    assert kept(storage) == LARGE
    sent = [request for request in proxy.received if request.method == "PUT"]
    assert len(sent) == PARTS - len(there)
    assert min(told) > MIN_PART * (len(there) - 1) and told[-1] == len(LARGE)


async def test_to_give_up_leaves_no_part(storage, proxy, transport):
    sender = sender_to(storage, proxy.url, in_parts=True)
    under_way = asyncio.Event()

    def told(_: int) -> None:
        under_way.set()

    task = asyncio.create_task(sender.send(transport, file_of(LARGE), told))
    await under_way.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert storage.uploads
    await sender.abort(transport)
    assert storage.uploads == {} and storage.objects == {}
    assert not sender.is_worth_keeping()
    await sender.abort(transport)  # a second time is as good


async def test_what_is_gone_already_need_not_be_removed(storage, transport):
    sender = sender_to(storage, in_parts=True, upload_id="GONE", parts={1: "x"})
    await sender.abort(transport)
    assert not sender.is_worth_keeping()
    storage.lent.clear()
    with pytest.raises(UploadRefusedError, match="InvalidAccessKeyId"):
        await sender_to(storage, in_parts=True, upload_id="X", keys=Keys("a", "b")).abort(transport)


async def test_a_lost_answer_to_the_joining_of_the_parts_does_not_matter(storage, proxy, transport):
    proxy.once(Lose(), lambda request: request.method == "POST" and "uploadId" in request.target)
    await sender_to(storage, proxy.url, in_parts=True).send(transport, file_of(LARGE), nothing)
    assert kept(storage) == LARGE


async def test_an_upload_that_is_gone_when_its_parts_are_to_be_joined_is_not_there(storage, proxy, transport):
    gone = Say(refusal(404, "<Error><Code>NoSuchUpload</Code></Error>"))
    proxy.once(gone, lambda request: request.method == "POST" and "uploadId" in request.target)
    with pytest.raises(UploadRefusedError, match="NoSuchUpload"):
        await sender_to(storage, proxy.url, in_parts=True).send(transport, file_of(LARGE), nothing)


async def test_an_upload_that_the_storage_forgot_is_refused_as_not_found(storage, transport):
    with pytest.raises(UploadRefusedError, match="NoSuchUpload") as caught:
        await sender_to(storage, in_parts=True, upload_id="GONE").send(transport, file_of(LARGE), nothing)
    assert caught.value.answered == 404


@pytest.mark.parametrize("body", [b"", b"<a/>", b"\xff<UploadId></UploadId>"])
async def test_an_upload_in_parts_needs_an_id(storage, proxy, transport, body):
    proxy.once(Say(response(body)))
    with pytest.raises(ProviderError, match="which upload"):
        await sender_to(storage, proxy.url, in_parts=True).send(transport, file_of(LARGE), nothing)


async def test_a_part_without_an_etag_is_an_error(storage, proxy, transport):
    proxy.plan = lambda request: Say(response(b"")) if request.method == "PUT" else None
    with pytest.raises(ProviderError, match="what it kept of part"):
        await sender_to(storage, proxy.url, in_parts=True).send(transport, file_of(LARGE), nothing)


async def test_nobody_there(transport):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/{BUCKET}/k"
        sender = AliyunOSS(url=url, bucket=BUCKET, key="k", region=REGION, keys=Keys("a", "b"))
        with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
            await sender.send(transport, file_of(b"abc"), nothing)


@given(st.integers(1, 2**45), st.integers(MIN_PART, 2**32))
def test_parts_cover_the_file_and_are_never_too_many(size, part_bytes):
    at = range(0, size, max(part_bytes, -(-size // MAX_PARTS)))
    assert len(at) <= MAX_PARTS
    if len(at) <= 200:
        parts = split(size, part_bytes)
        assert list(parts) == list(range(1, len(at) + 1))
        assert [start for start, _ in parts.values()] == [0, *[end for _, end in parts.values()][:-1]]
        assert parts[len(at)][1] == size
