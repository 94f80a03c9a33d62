"""One PUT to a signed link: what is sent, what is sent again, and what is made of the answers."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.clock import Jump, jump
from tests.servers import swift
from tests.servers.faulty import Cut, Early, Faulty, Lose, Say, faulty, refusal
from tests.servers.http import raw_server, response
from tests.servers.scripted import Scripted, scripted, whole
from tests.uploads.contents import PIECE, Bytes, Pattern, file_of, nothing

from mediary.errors import UploadBrokenOffError, UploadDamagedError, UploadRefusedError
from mediary.net.client import HttpClient
from mediary.uploads.base import CleansUp, File, GoesOn, Sent
from mediary.uploads.senders.presigned_put import PresignedPut
from mediary.uploads.transport import ATTEMPTS, Transport

__all__ = ["jump"]

DATA = bytes(range(256)) * 20
SIGNED = "X-Amz-Signature=5fbb63c46ab0cd2d8f5a&X-Amz-Expires=60"
MD5 = base64.b64encode(hashlib.md5(DATA).digest()).decode()


@pytest.fixture
async def storage() -> AsyncIterator[Scripted]:
    async with scripted() as storage:
        storage.play(whole(b"", status=200))
        yield storage


@pytest.fixture
async def proxy(storage: Scripted) -> AsyncIterator[Faulty]:
    async with faulty(storage.port) as proxy:
        yield proxy


@pytest.fixture
def transport(http: HttpClient) -> Transport:
    return Transport("Shop", http, "http://api.invalid")


@pytest.fixture
def file() -> File:
    return file_of(DATA)


def put_to(server: Faulty | Scripted, **more: bool) -> PresignedPut:
    origin = server.url if isinstance(server, Faulty) else server.origin
    return PresignedPut(f"{origin}/b?{SIGNED}", {"Content-Type": "image/png"}, **more)


async def test_it_sends_the_file_with_these_headers_and_its_length(transport: Transport, storage: Scripted, file: File):
    storage.play(whole(b"<ok/>", 'ETag: "abc"', status=201))
    told: list[int] = []
    sent = await put_to(storage).send(transport, file, told.append)
    (asked,) = storage.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", f"/b?{SIGNED}", DATA)
    sent_along = {"host", "accept", "accept-encoding", "user-agent"}
    assert {name: value for name, value in asked.headers.items() if name not in sent_along} == {
        "content-type": "image/png",
        "content-length": str(len(DATA)),
    }
    assert told[-1] == len(DATA)
    assert (sent.headers["etag"], sent.body) == ('"abc"', b"<ok/>")


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1])
async def test_files_of_any_size(transport: Transport, storage: Scripted, size: int):
    await put_to(storage).send(transport, file_of(Pattern(size)), nothing)
    assert len(storage.asked[0].body) == size
    assert storage.asked[0].headers["content-length"] == str(size)


def test_it_can_be_written_down_and_has_nothing_to_go_on_with():
    sender = PresignedPut("https://h.example/b", {"Content-Type": "a/b"}, etag_is_md5=True)
    assert msgspec.json.decode(msgspec.json.encode(sender), type=PresignedPut) == sender
    assert not isinstance(sender, GoesOn | CleansUp)


def test_it_does_not_show_the_signature():
    assert repr(PresignedPut(f"https://h.example/b?{SIGNED}")) == "PresignedPut('https://h.example/b')"


# Sums


@pytest.mark.parametrize(
    ("header", "etag_is_md5"),
    [
        (f"Content-MD5: {MD5}", False),
        (f'ETag: "{hashlib.md5(DATA).hexdigest()}"', True),
        (f"ETag: {hashlib.md5(DATA).hexdigest().upper()}", True),
        ('ETag: "d41d8cd98f00b204e9800998ecf8427e"', False),  # of a key in KMS: no MD5, though it looks like one
        ('ETag: "d41d8cd98f00b204e9800998ecf8427e-3"', True),  # of several parts
        ('ETag: "0x8DCB56A1B2C3D4E"', True),  # of Azure
        ('ETag: W/"x"', True),
    ],
)
async def test_good_sums_and_what_is_none(
    transport: Transport, storage: Scripted, file: File, header: str, etag_is_md5: bool
):
    storage.play(whole(b"", header, status=201))
    assert await put_to(storage, etag_is_md5=etag_is_md5).send(transport, file, nothing)


@pytest.mark.parametrize(
    ("header", "etag_is_md5"),
    [
        ("Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==", False),
        ('ETag: "d41d8cd98f00b204e9800998ecf8427e"', True),
        ("ETag: D41D8CD98F00B204E9800998ECF8427E", True),
    ],
)
async def test_a_sum_that_differs(transport: Transport, storage: Scripted, file: File, header: str, etag_is_md5: bool):
    storage.play(whole(b"", header, status=201))
    with pytest.raises(UploadDamagedError, match=r"Shop: the storage has kept other bytes of a\.png"):
        await put_to(storage, etag_is_md5=etag_is_md5).send(transport, file, nothing)


# What goes wrong on the way


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize(
    "fault", [Cut(0), Cut(0.5), Cut(0.99), Lose(), Say(refusal(503)), Say(response(b"", status=429))]
)
async def test_it_is_sent_again_from_its_beginning(transport: Transport, storage: Scripted, proxy: Faulty, fault):
    proxy.once(fault)
    content = Pattern(32 * PIECE)
    told: list[int] = []
    await put_to(proxy).send(transport, file_of(content), told.append)
    assert len(proxy.received) == 2
    assert hashlib.md5(storage.asked[-1].body).hexdigest() == content.digest()
    assert told[-1] == content.size


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("status", [403, 409])
async def test_a_lost_answer_and_then_a_no_is_a_yes(
    transport: Transport, storage: Scripted, proxy: Faulty, file: File, status: int
):
    proxy.first(Lose(), Say(refusal(status, "it exists")))
    assert await put_to(proxy).send(transport, file, nothing) == Sent()
    assert storage.asked[0].body == DATA


@pytest.mark.usefixtures("no_delays")
async def test_a_lost_answer_is_remembered_over_a_bad_moment(transport: Transport, proxy: Faulty, file: File):
    proxy.first(Lose(), Say(refusal(503)), Say(refusal(403)))
    assert await put_to(proxy).send(transport, file, nothing) == Sent()


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("status", [400, 401, 404, 410, 412, 413])
async def test_a_lost_answer_and_then_another_no_is_a_no(transport: Transport, proxy: Faulty, file: File, status: int):
    proxy.first(Lose(), Say(refusal(status, "gone")))
    with pytest.raises(UploadRefusedError, match="gone") as caught:
        await put_to(proxy).send(transport, file, nothing)
    assert caught.value.answered == status


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("status", [403, 409])
async def test_a_body_that_was_cut_and_then_a_no_is_a_no(transport: Transport, proxy: Faulty, status: int):
    proxy.first(Cut(0.5), Say(refusal(status, "expired")))
    with pytest.raises(UploadRefusedError, match="expired"):
        await put_to(proxy).send(transport, file_of(Pattern(32 * PIECE)), nothing)


@pytest.mark.usefixtures("no_delays")
async def test_an_empty_file_whose_link_is_bad(transport: Transport, proxy: Faulty):
    proxy.first(Cut(0), Say(refusal(503)), Say(refusal(403, "expired")))
    # There was nothing to go out: whether it is there, only the receipt can tell.
    assert await put_to(proxy).send(transport, file_of(b""), nothing) == Sent()
    proxy.first(Say(refusal(503)), Say(refusal(403, "expired")))
    with pytest.raises(UploadRefusedError, match="expired"):
        await put_to(proxy).send(transport, file_of(b""), nothing)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
async def test_a_plain_no(transport: Transport, storage: Scripted, file: File, status: int):
    storage.play(whole(b"<Error><Code>AccessDenied</Code></Error>", status=status))
    with pytest.raises(UploadRefusedError) as caught:
        await put_to(storage).send(transport, file, nothing)
    assert str(caught.value) == f"Shop: the storage answered {status}: AccessDenied"
    assert len(storage.asked) == 1


async def test_a_no_before_the_file_is_out(transport: Transport, proxy: Faulty):
    proxy.plan = lambda _: Early(refusal(403, "expired"))
    with pytest.raises(UploadRefusedError, match="expired"):
        await put_to(proxy).send(transport, file_of(Pattern(64 * PIECE)), nothing)


@pytest.mark.usefixtures("no_delays")
async def test_it_is_given_up_in_the_end(transport: Transport, proxy: Faulty, file: File):
    proxy.plan = lambda _: Lose()
    with pytest.raises(UploadBrokenOffError) as caught:
        await put_to(proxy).send(transport, file, nothing)
    assert "X-Amz" not in str(caught.value)
    assert len(proxy.received) == ATTEMPTS


@pytest.mark.usefixtures("no_delays")
async def test_an_answer_that_never_comes_and_then_a_no_is_a_yes(transport: Transport, file: File, jump: Jump):
    heard = asyncio.Event()

    async def silent(_, writer) -> None:
        heard.set()
        await asyncio.Event().wait()

    async with raw_server() as server:
        server.answers["/b"] = silent
        sending = asyncio.create_task(PresignedPut(f"{server.url}/b").send(transport, file, nothing))
        await heard.wait()
        server.answers["/b"] = refusal(403)
        jump(1000)
        assert await sending == Sent()
        assert len(server.received) == 2


# A real storage


@pytest.fixture
def bucket():
    return swift.server().new_bucket()


def presigned(bucket, key: str, media_type: str) -> str:
    parameters = {"Bucket": bucket.name, "Key": bucket.prefix + key, "ContentType": media_type}
    return bucket._client.generate_presigned_url("put_object", Params=parameters, ExpiresIn=60)


async def test_s3_takes_it(transport: Transport, bucket):
    file = file_of(Bytes(DATA), "ü b.png")
    url = presigned(bucket, "ü b.png", "image/png")
    sent = await PresignedPut(url, {"Content-Type": "image/png"}, etag_is_md5=True).send(transport, file, nothing)
    assert file.md5 in sent.headers["etag"]
    (key,) = bucket.list_keys()
    assert bucket._client.get_object(Bucket=bucket.name, Key=key)["Body"].read() == DATA
    assert bucket.media_type(key) == "image/png"


@pytest.mark.parametrize("headers", [{"Content-Type": "image/jpeg"}, {}])
async def test_s3_wants_the_type_that_was_signed(transport: Transport, bucket, file: File, headers: dict[str, str]):
    url = presigned(bucket, "a.png", "image/png")
    with pytest.raises(UploadRefusedError, match="403: SignatureDoesNotMatch") as caught:
        await PresignedPut(url, headers).send(transport, file, nothing)
    assert "http" not in str(caught.value)
    assert bucket.list_keys() == []
