"""Azure Blob Storage behind signed links: Microsoft's emulator on the other side, and their SDK's opinion."""

import asyncio
import base64
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from secrets import token_hex
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import msgspec
import pytest
from azure.storage.blob import BlobClient, ContentSettings
from hypothesis import given
from hypothesis import strategies as st
from tests.servers import azurite
from tests.servers.azure_links import client, link
from tests.servers.azurite import AzureContainer
from tests.servers.faulty import Cut, Early, Fault, Faulty, Lose, Say, Spoil, faulty, refusal
from tests.servers.http import Received
from tests.servers.scripted import Asked, Scripted, scripted, whole
from tests.uploads.contents import PIECE, Bytes, Pattern, file_of, nothing

from mediary.errors import UnreadableError, UploadBrokenOffError, UploadDamagedError, UploadRefusedError
from mediary.net.client import HttpClient
from mediary.uploads.base import File, GoesOn, Sent
from mediary.uploads.senders.azure_blob import BLOCK_BYTES, MAX_BLOCKS, MIB, SINGLE_BYTES, AzureBlob, block_id, split
from mediary.uploads.senders.parts import AT_ONCE
from mediary.uploads.senders.presigned_put import PresignedPut
from mediary.uploads.transport import ATTEMPTS, Transport

DATA = bytes(range(256)) * 40
ORIGIN = "https://chat.example"
HEADERS = {"Content-Type": "image/png", "x-ms-blob-type": "BlockBlob", "x-ms-version": "2020-04-08", "Origin": ORIGIN}


@pytest.fixture(scope="module")
def container() -> AzureContainer:
    return azurite.new_bucket()


@pytest.fixture
def transport(http: HttpClient) -> Transport:
    return Transport("Web", http, "http://api.invalid")


@pytest.fixture
async def proxy(container: AzureContainer) -> AsyncIterator[Faulty]:
    async with faulty(azurite.server().port) as proxy:
        yield proxy


def through(proxy: Faulty, url: str) -> str:
    """The same link, by way of the proxy: the signature does not hold the host."""
    parts = urlsplit(url)
    return url.replace(f"{parts.scheme}://{parts.netloc}", proxy.url)


def sender_to(url: str, media_type: str = "image/png", **more: int) -> AzureBlob:
    return AzureBlob(url, ORIGIN, media_type, **more)


def in_blocks(url: str, done: list[int] | None = None) -> AzureBlob:
    return AzureBlob(url, ORIGIN, "video/mp4", single_bytes=0, block_bytes=PIECE, done=done or [])


def look(container: AzureContainer, blob: str) -> tuple[bytes, str, str]:
    """What lies there: bytes, type and MD5, as the SDK has them."""
    found = client(container, blob).download_blob()
    settings = found.properties.content_settings
    return found.readall(), settings.content_type, bytes(settings.content_md5).hex()


def block_of(request: Received) -> int | None:
    """The number of the block that a request sends."""
    ids = parse_qs(urlsplit(request.target).query).get("blockid")
    return int(base64.b64decode(ids[0])) if ids else None


# One PUT


@pytest.mark.parametrize("name", ["a.png", "Ünïcode 図 & more?.png", "folder/a b+c%20.png"])
async def test_a_file_in_one_put(transport: Transport, container: AzureContainer, name: str):
    file = file_of(DATA)
    sent = await sender_to(link(container, name)).send(transport, file, nothing)
    assert sent.headers["content-md5"] == file.content_md5
    assert look(container, name) == (DATA, "image/png", file.md5)


async def test_an_empty_file(transport: Transport, container: AzureContainer):
    await sender_to(link(container, "empty")).send(transport, file_of(b""), nothing)
    assert look(container, "empty")[0] == b""


async def test_the_headers_of_one_put(transport: Transport, container: AzureContainer, proxy: Faulty):
    await sender_to(through(proxy, link(container, "headers"))).send(transport, file_of(DATA), nothing)
    (asked,) = proxy.received
    sent_along = {"host", "accept", "accept-encoding", "user-agent"}
    assert {name: value for name, value in asked.headers.items() if name not in sent_along} == {
        "content-type": "image/png",
        "content-length": str(len(DATA)),
        "x-ms-blob-type": "BlockBlob",
        "x-ms-version": "2020-04-08",
        "origin": ORIGIN,
    }


@pytest.mark.parametrize("blob_type", [None, "Whatever"])
async def test_a_missing_or_wrong_blob_type(transport: Transport, container: AzureContainer, blob_type: str | None):
    headers = {name: value for name, value in HEADERS.items() if name != "x-ms-blob-type"}
    sender = PresignedPut(link(container, "typeless"), headers | ({"x-ms-blob-type": blob_type} if blob_type else {}))
    with pytest.raises(UploadRefusedError) as caught:
        await sender.send(transport, file_of(DATA), nothing)
    assert caught.value.answered == 400
    assert str(caught.value).startswith("Web: the storage answered 400")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda container: link(container, "shut", ends=-1, begins=-60), "AuthorizationFailure|AuthenticationFailed"),
        (lambda container: link(container, "shut", begins=300), "AuthorizationFailure|AuthenticationFailed"),
        (lambda container: link(container, "shut").replace("sp=cw", "sp=rcw"), "AuthorizationFailure"),
        (lambda container: link(container, "shut").partition("?")[0], "403"),
        (lambda container: link(container, "other").replace("/other?", "/shut?"), "AuthorizationFailure"),
        (lambda container: link(container, "shut", "r"), "AuthorizationPermissionMismatch"),
    ],
    ids=["expired", "not yet valid", "tampered", "absent", "of another blob", "read only"],
)
async def test_a_link_that_is_not_good(transport: Transport, container: AzureContainer, spoil, words: str):
    url = spoil(container)
    with pytest.raises(UploadRefusedError, match=words) as caught:
        await sender_to(url).send(transport, file_of(DATA), nothing)
    assert caught.value.answered == 403
    assert "sig=" not in str(caught.value)
    assert "shut" not in container.list_keys()


async def test_a_link_that_creates_only_is_good_once(transport: Transport, container: AzureContainer):
    url = link(container, "once", "c")
    await sender_to(url).send(transport, file_of(DATA), nothing)
    with pytest.raises(UploadRefusedError, match="AuthorizationPermissionMismatch") as caught:
        await sender_to(url).send(transport, file_of(b"other"), nothing)
    assert caught.value.answered == 403
    assert look(container, "once")[0] == DATA


@pytest.mark.usefixtures("no_delays")
async def test_a_lost_answer_of_a_link_that_creates_only(
    transport: Transport, container: AzureContainer, proxy: Faulty
):
    proxy.once(Lose())
    sent = await sender_to(through(proxy, link(container, "lost", "c"))).send(transport, file_of(DATA), nothing)
    assert sent == Sent()
    assert len(proxy.received) == 2
    assert look(container, "lost")[0] == DATA


async def test_a_link_that_creates_only_takes_no_blocks(transport: Transport, container: AzureContainer, proxy: Faulty):
    sender = in_blocks(through(proxy, link(container, "whole", "c")))
    await sender.send(transport, file_of(Pattern(3 * PIECE)), nothing)
    assert len(proxy.received) == 1
    assert client(container, "whole").get_blob_properties().size == 3 * PIECE


@pytest.mark.parametrize("header", [{"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}])
async def test_a_wrong_md5_at_the_storage(transport: Transport, container: AzureContainer, header: dict[str, str]):
    with pytest.raises(UploadRefusedError, match="answered 400"):
        await PresignedPut(link(container, "md5"), HEADERS | header).send(transport, file_of(DATA), nothing)
    assert "md5" not in container.list_keys()


async def test_a_blob_that_must_not_exist_yet(transport: Transport, container: AzureContainer):
    sender = PresignedPut(link(container, "exists"), HEADERS | {"If-None-Match": "*"})
    await sender.send(transport, file_of(DATA), nothing)
    with pytest.raises(UploadRefusedError, match="BlobAlreadyExists") as caught:
        await sender.send(transport, file_of(DATA), nothing)
    assert caught.value.answered == 409


async def test_other_bytes_than_were_sent(transport: Transport, container: AzureContainer, proxy: Faulty):
    proxy.once(Spoil())
    with pytest.raises(UploadDamagedError, match="the storage has kept other bytes"):
        await sender_to(through(proxy, link(container, "spoilt"))).send(transport, file_of(DATA), nothing)


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
async def test_a_connection_that_is_cut(transport: Transport, container: AzureContainer, proxy: Faulty, share: float):
    proxy.once(Cut(share))
    content = Pattern(32 * PIECE)
    await sender_to(through(proxy, link(container, f"cut{share}"))).send(transport, file_of(content), nothing)
    assert len(proxy.received) == 2
    assert hashlib.md5(look(container, f"cut{share}")[0]).hexdigest() == content.digest()


@pytest.mark.usefixtures("no_delays")
async def test_a_connection_that_is_always_cut_leaves_nothing(
    transport: Transport, container: AzureContainer, proxy: Faulty
):
    proxy.plan = lambda _: Cut(0.99)
    with pytest.raises(UploadBrokenOffError):
        await sender_to(through(proxy, link(container, "never"))).send(transport, file_of(Pattern(8 * PIECE)), nothing)
    assert "never" not in container.list_keys()


# Blocks


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 9 * PIECE + 7])
async def test_blocks_make_the_same_blob(transport: Transport, container: AzureContainer, size: int):
    content = Pattern(size)
    file = file_of(content, "a.mp4", "video/mp4")
    sender = in_blocks(link(container, f"blocks/{size}"))
    told: list[int] = []
    await sender.send(transport, file, told.append)
    data, media_type, md5 = look(container, f"blocks/{size}")
    assert hashlib.md5(data).hexdigest() == md5 == file.md5
    assert media_type == "video/mp4"
    assert told == sorted(told)
    assert told[-1] == size
    assert sorted(sender.done) == list(range(-(-size // PIECE)))


async def test_the_requests_of_blocks(transport: Transport, container: AzureContainer, proxy: Faulty):
    url = through(proxy, link(container, "requests"))
    file = file_of(Pattern(7 * PIECE + 5))
    await in_blocks(url).send(transport, file, nothing)
    *blocks, last = proxy.received
    assert sorted(block_of(request) for request in blocks) == list(range(8))
    sent_along = {"host", "accept", "accept-encoding", "user-agent"}
    for request in blocks:
        assert request.method == "PUT"
        assert request.target.startswith(f"{url.removeprefix(proxy.url)}&comp=block&blockid=")
        assert set(request.headers) - sent_along == {"x-ms-version", "content-length"}
        assert request.headers["x-ms-version"] == "2020-04-08"
        assert request.headers["content-length"] == str(5 if block_of(request) == 7 else PIECE)
    assert last.target == f"{url.removeprefix(proxy.url)}&comp=blocklist"
    assert last.headers["x-ms-blob-content-type"] == "video/mp4"
    assert last.headers["x-ms-blob-content-md5"] == file.content_md5
    assert 1 < proxy.most <= AT_ONCE


async def test_a_large_file_goes_in_blocks_at_constant_memory(transport: Transport, container: AzureContainer):
    content = Pattern(160 * MIB)
    file = await asyncio.to_thread(file_of, content, "a.mp4", "video/mp4")
    tracemalloc.start()
    try:
        await sender_to(link(container, "large")).send(transport, file, nothing)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    properties = await asyncio.to_thread(client(container, "large").get_blob_properties)
    assert properties.size == content.size > SINGLE_BYTES
    assert bytes(properties.content_settings.content_md5).hex() == file.md5
    assert peak < 32 * MIB
    assert await asyncio.to_thread(hash_of, container, "large") == file.md5


def hash_of(container: AzureContainer, blob: str) -> str:
    """The MD5 of what lies there, read piece by piece."""
    found = hashlib.md5()
    for chunk in client(container, blob).download_blob().chunks():
        found.update(chunk)
    return found.hexdigest()


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("fault", [Cut(0), Cut(0.5), Cut(0.99), Lose(), Say(refusal(503)), Say(refusal(500))])
async def test_a_block_that_fails_is_sent_again_alone(
    transport: Transport, container: AzureContainer, proxy: Faulty, fault: Fault
):
    proxy.once(fault, lambda request: block_of(request) == 5)
    content = Pattern(9 * PIECE + 1)
    blob = f"again/{token_hex(4)}"
    await in_blocks(through(proxy, link(container, blob))).send(transport, file_of(content), nothing)
    *blocks, _ = proxy.received
    assert sorted(filter(lambda n: n is not None, map(block_of, blocks))) == sorted([*range(10), 5])
    assert hash_of(container, blob) == content.digest()


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("fault", [Cut(0.5), Lose(), Say(refusal(503))])
async def test_a_list_that_fails_is_sent_again_alone(
    transport: Transport, container: AzureContainer, proxy: Faulty, fault: Fault
):
    proxy.once(fault, lambda request: "comp=blocklist" in request.target)
    content = Pattern(3 * PIECE)
    blob = f"list/{token_hex(4)}"
    await in_blocks(through(proxy, link(container, blob))).send(transport, file_of(content), nothing)
    assert len(proxy.received) == 5
    assert hash_of(container, blob) == content.digest()


@pytest.mark.usefixtures("no_delays")
async def test_a_block_that_fails_for_good_ends_the_others(
    transport: Transport, container: AzureContainer, proxy: Faulty
):
    proxy.plan = lambda request: Cut(0.5) if block_of(request) == 2 else None
    sender = in_blocks(through(proxy, link(container, "fails")))
    with pytest.raises(UploadBrokenOffError):
        await sender.send(transport, file_of(Pattern(40 * PIECE)), nothing)
    assert [block_of(request) for request in proxy.received].count(2) == ATTEMPTS
    assert len(sender.done) < 39
    assert sender.is_worth_keeping() == bool(sender.done)
    assert "fails" not in container.list_keys()
    running = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
    assert not [name for name in running if "side_by_side" in name or "write_bytes" in name]


async def test_a_no_to_a_block_is_not_asked_again(transport: Transport, container: AzureContainer, proxy: Faulty):
    sender = in_blocks(through(proxy, link(container, "no", ends=-1)))
    with pytest.raises(UploadRefusedError) as caught:
        await sender.send(transport, file_of(Pattern(40 * PIECE)), nothing)
    assert caught.value.answered == 403
    assert len(proxy.received) <= AT_ONCE
    assert not sender.is_worth_keeping()


async def test_a_no_before_a_block_is_out(transport: Transport, container: AzureContainer, proxy: Faulty):
    proxy.plan = lambda _: Early(refusal(403, "shut"))
    with pytest.raises(UploadRefusedError, match="shut"):
        await in_blocks(through(proxy, link(container, "early"))).send(transport, file_of(Pattern(9 * PIECE)), nothing)


async def test_another_process_goes_on(transport: Transport, container: AzureContainer, proxy: Faulty):
    content = Pattern(9 * PIECE + 1)
    first = in_blocks(through(proxy, link(container, "on")))
    proxy.plan = lambda request: Say(refusal(403)) if block_of(request) == 6 else None
    with pytest.raises(UploadRefusedError):
        await first.send(transport, file_of(content), nothing)
    assert isinstance(first, GoesOn)
    assert first.is_worth_keeping()
    second = msgspec.json.decode(msgspec.json.encode(first), type=AzureBlob)
    there = set(second.done)
    proxy.plan = lambda _: None
    proxy.received.clear()
    told: list[int] = []
    await second.send(transport, file_of(content), told.append)
    assert {block_of(request) for request in proxy.received[:-1]} == set(range(10)) - there
    assert told[0] > len(there) * PIECE - PIECE
    assert told[-1] == content.size
    assert hash_of(container, "on") == content.digest()


async def test_blocks_that_are_there_are_not_read_again(transport: Transport, container: AzureContainer, proxy: Faulty):
    url = through(proxy, link(container, "read"))
    content = Bytes(bytes(3 * PIECE))
    proxy.plan = lambda request: Say(refusal(403)) if "blocklist" in request.target else None
    sender = in_blocks(url)
    with pytest.raises(UploadRefusedError):
        await sender.send(transport, file_of(content), nothing)
    proxy.plan = lambda _: None
    content.reads.clear()
    await sender.send(transport, file_of(content), nothing)
    assert content.reads == []
    assert look(container, "read")[0] == content.data


async def test_blocks_that_the_storage_forgot_are_sent_again(transport: Transport, container: AzureContainer):
    content = Pattern(3 * PIECE)
    sender = in_blocks(link(container, "forgot"), done=[0, 2])
    await sender.send(transport, file_of(content), nothing)
    assert hash_of(container, "forgot") == content.digest()
    assert sorted(sender.done) == [0, 1, 2]


async def test_a_list_that_is_refused_all_the_same(transport: Transport, container: AzureContainer, proxy: Faulty):
    proxy.plan = lambda request: Say(refusal(400, "InvalidBlockList")) if "blocklist" in request.target else None
    for done in ([], [0, 1]):
        proxy.received.clear()
        sender = in_blocks(through(proxy, link(container, "bad")), done=list(done))
        with pytest.raises(UploadRefusedError, match="InvalidBlockList"):
            await sender.send(transport, file_of(Pattern(2 * PIECE)), nothing)
        assert len([request for request in proxy.received if "blocklist" in request.target]) == (2 if done else 1)


async def test_an_upload_that_is_cancelled(transport: Transport, container: AzureContainer, proxy: Faulty):
    half = asyncio.Event()
    content = Pattern(64 * PIECE)

    def progress(out: int) -> None:
        if out > content.size / 2:
            half.set()

    sender = in_blocks(through(proxy, link(container, "cancelled")))
    sending = asyncio.create_task(sender.send(transport, file_of(content), progress))
    await half.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert "cancelled" not in container.list_keys()
    await sender.send(transport, file_of(content), nothing)
    assert hash_of(container, "cancelled") == content.digest()


async def test_a_file_that_changes_meanwhile(transport: Transport, container: AzureContainer):
    class Changes(Pattern):
        async def read(self, start: int = 0, end: int | None = None):
            async for piece in super().read(start, end):
                if start >= 3 * PIECE:
                    raise UnreadableError("it has changed")
                yield piece

    with pytest.raises(UnreadableError, match="it has changed"):
        await in_blocks(link(container, "changes")).send(transport, file_of(Changes(9 * PIECE)), nothing)
    assert "changes" not in container.list_keys()


# How a file is cut


@given(st.integers(1, 60_000 * 64), st.integers(1, 64))
def test_blocks_cover_a_file_without_a_gap(size: int, block: int):
    blocks = split(size, block) if -(-size // block) <= 100_000 else []
    assert len(blocks) <= MAX_BLOCKS
    at = 0
    for start, end in blocks:
        assert start == at < end
        at = end
    assert not blocks or at == size


@pytest.mark.parametrize("size", [BLOCK_BYTES * MAX_BLOCKS, BLOCK_BYTES * MAX_BLOCKS + 1, 190 * 1024**4])
def test_a_huge_file_has_larger_blocks(size: int):
    blocks = split(size)
    assert len(blocks) <= MAX_BLOCKS
    assert blocks[-1][1] == size
    length = blocks[0][1]
    assert length % MIB == 0
    assert (length > BLOCK_BYTES) == (size > BLOCK_BYTES * MAX_BLOCKS)


def test_ids_of_blocks_are_of_one_length():
    ids = [block_id(number) for number in (0, 1, 9, 10, 4711, MAX_BLOCKS - 1)]
    assert len({len(base64.b64decode(one)) for one in ids}) == 1
    assert len(set(ids)) == len(ids)


# A second opinion


def sdk(url: str) -> BlobClient:
    return BlobClient.from_blob_url(url, max_single_put_size=4 * PIECE, max_block_size=PIECE, retry_total=0)


@pytest.mark.parametrize("size", [len(DATA), 6 * PIECE + 3])
async def test_the_sdk_reads_what_we_sent_with_the_same_link(
    transport: Transport, container: AzureContainer, size: int
):
    url = link(container, f"both/{size}", "rcw")
    file = file_of(Pattern(size), "a.mp4", "video/mp4")
    await AzureBlob(url, ORIGIN, "video/mp4", single_bytes=4 * PIECE, block_bytes=PIECE).send(transport, file, nothing)
    found = await asyncio.to_thread(lambda: sdk(url).download_blob())
    data = await asyncio.to_thread(found.readall)
    assert hashlib.md5(data).hexdigest() == file.md5
    assert found.properties.content_settings.content_type == "video/mp4"
    assert bytes(found.properties.content_settings.content_md5).hex() == file.md5


@pytest.fixture
async def recorder() -> AsyncIterator[Scripted]:
    async with scripted() as recorder:
        recorder.play(whole(b"", 'ETag: "0x1"', "Last-Modified: Fri, 02 Jan 2026 03:04:05 GMT", status=201))
        yield recorder


async def asked_by_both(transport: Transport, recorder: Scripted, file: File) -> tuple[list[Asked], list[Asked]]:
    """What we ask and what the SDK asks to put the same file there; the list of blocks last."""
    url = f"{recorder.origin}/account/container/blob?sp=cw&sv=2024-11-04&sig=abc"
    await AzureBlob(url, ORIGIN, "video/mp4", single_bytes=4 * PIECE, block_bytes=PIECE).send(transport, file, nothing)
    ours = sorted(recorder.asked, key=lambda one: (what_for(one) == "blocklist", one.body))
    recorder.asked.clear()
    data = b"".join([piece async for piece in file.content.read()])
    settings = ContentSettings("video/mp4", content_md5=bytearray.fromhex(file.md5))
    # Without `overwrite` the SDK adds `If-None-Match: *`.
    await asyncio.to_thread(lambda: sdk(url).upload_blob(data, content_settings=settings, overwrite=True))
    theirs = sorted(recorder.asked, key=lambda one: (what_for(one) == "blocklist", one.body))
    return ours, theirs


def what_for(asked: Asked) -> str:
    """What a request is for, without the names of blocks: everybody has his own."""
    return parse_qs(urlsplit(asked.path).query).get("comp", ["put"])[0]


def latest(asked: Asked) -> list[str]:
    """The blocks that a list names."""
    assert ET.fromstring(asked.body).tag == "BlockList"
    return [one.text or "" for one in ET.fromstring(asked.body).iter("Latest")]


async def test_the_sdk_puts_a_file_the_same_way(transport: Transport, recorder: Scripted):
    (our,), (their,) = await asked_by_both(transport, recorder, file_of(Pattern(100), "a.mp4", "video/mp4"))
    assert (our.method, our.path, our.body) == (their.method, their.path, their.body)
    for name in ("x-ms-blob-type", "content-length"):
        assert our.headers[name] == their.headers[name]
    # Azure takes either for the type of the blob.
    assert our.headers["content-type"] == their.headers["x-ms-blob-content-type"]


async def test_the_sdk_puts_blocks_the_same_way(transport: Transport, recorder: Scripted):
    ours, theirs = await asked_by_both(transport, recorder, file_of(Pattern(6 * PIECE + 3), "a.mp4", "video/mp4"))
    assert [what_for(one) for one in ours] == [what_for(one) for one in theirs] == [*["block"] * 7, "blocklist"]
    for our, their in zip(ours[:-1], theirs[:-1], strict=True):
        assert (our.method, our.body) == (their.method, their.body)
        assert our.headers["content-length"] == their.headers["content-length"]
    our, their = ours[-1], theirs[-1]
    for name in ("x-ms-blob-content-type", "x-ms-blob-content-md5", "content-type"):
        assert our.headers[name] == their.headers[name]
    assert latest(our) == [block_id(number) for number in range(7)]
    assert len(latest(their)) == 7
