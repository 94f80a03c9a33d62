"""Serving files: ranges, conditions and headers over a real socket, and disks that keep one waiting."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import pytest
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from hypothesis import given
from hypothesis import strategies as st
from tests.servers import slow_disk

from mediary.errors import MediaryError, NotFoundError, PreconditionFailedError, RangeNotSatisfiableError
from mediary.server.errors import send_error
from mediary.server.file_answer import conditions, disposition, file_facts, is_unmodified, parse_ranges
from mediary.server.local_files import _THREADS_PER_FILE, PIECE, LocalFiles, _Threads
from mediary.server.routes.media import MediaFiles
from mediary.storage.base import StoredFile
from mediary.storage.local import LocalStore

MODIFIED = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = PNG + bytes(range(256)) * 40
FILM = b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + os.urandom(5 * 1024 * 1024)


class Elsewhere:
    """A store without paths: what it holds is read through `read` alone, in small pieces."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    async def get(self, name: str) -> StoredFile:
        if name not in self.files:
            raise NotFoundError("There is no file of that name")
        return StoredFile(name, len(self.files[name]), MODIFIED, f"{len(self.files[name]):x}")

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        data = self.files[name][start:end]
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """Granian in this process, asked by bare sockets: no client tidies the request."""

    port: int
    folder: Path

    async def ask(self, target: str, method: str = "GET", **headers: str) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        request = [f"{method} {target} HTTP/1.1", "host: x", "connection: close", *lines, "", ""]
        writer.write("\r\n".join(request).encode())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            body = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
        status, *fields = head.strip().split("\r\n")
        pairs = (field.split(": ", 1) for field in fields)
        return Answer(int(status.split()[1]), {name.lower(): value for name, value in pairs}, body)

    def put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        os.utime(path, (MODIFIED, MODIFIED))
        return path


FILES = {"picture.png": PICTURE, "film.mp4": FILM, "empty.png": b"", "page.html": b"<script>alert(1)</script>"}


async def serve(media: MediaFiles, folder: Path) -> AsyncIterator[Peer]:
    async def app(scope, receive, send):
        try:
            await media(scope, receive, send)
        except MediaryError as error:
            await send_error(send, error, "", scope["method"])

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(
        app, port=port, interface=Interfaces.ASGINL, http=HTTPModes.http1, websockets=False, log_enabled=False,
        backlog=1024, backpressure=1024,
    )  # fmt: skip
    serving = asyncio.create_task(server.serve())
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0)
        else:
            writer.close()
            break
    peer = Peer(port, folder)
    yield peer
    server.stop()
    await serving


@pytest.fixture(scope="module")
async def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    async for peer in serve(MediaFiles(LocalStore(folder)), folder):
        for name, data in FILES.items():
            peer.put(name, data)
        yield peer


@pytest.fixture(scope="module")
async def elsewhere(tmp_path_factory):
    async for peer in serve(MediaFiles(Elsewhere(FILES)), tmp_path_factory.mktemp("unused")):
        yield peer


@pytest.fixture(params=["local", "elsewhere"])
def peer(request) -> Peer:
    return request.getfixturevalue(request.param)


# Whole files


@pytest.mark.parametrize("prefix", ["media", "images"])
async def test_a_file_comes_with_its_headers(peer, prefix):
    for _ in range(2):  # unknown, and known
        answer = await peer.ask(f"/{prefix}/picture.png")
        assert (answer.status, answer.body) == (200, PICTURE)
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-length"] == str(len(PICTURE))
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["last-modified"] == DATE
        assert answer.headers["etag"].startswith('"')
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"] == 'inline; filename="picture.png"'
        assert "content-security-policy" not in answer.headers


async def test_a_large_file_comes_whole(peer):
    answer = await peer.ask("/media/film.mp4")
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.body == FILM


async def test_an_empty_file(peer):
    answer = await peer.ask("/media/empty.png")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "0", b"")
    assert (await peer.ask("/media/empty.png", range="bytes=0-")).status == 416


async def test_head_is_get_without_the_body(peer):
    for name in FILES:
        head, get = await peer.ask(f"/media/{name}", "HEAD"), await peer.ask(f"/media/{name}")
        assert (head.status, head.body) == (200, b"")
        assert head.headers | {"date": ""} == get.headers | {"date": ""}
    assert (await peer.ask("/media/picture.png", "HEAD", range="bytes=0-1")).status == 200


async def test_what_is_no_media_is_an_attachment_in_a_sandbox(peer):
    answer = await peer.ask("/media/page.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="page.html"'
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_download_makes_an_attachment(peer):
    answer = await peer.ask("/media/picture.png?download=1")
    assert answer.headers["content-disposition"] == 'attachment; filename="picture.png"'
    assert answer.headers["content-type"] == "image/png"
    assert answer.body == PICTURE
    answer = await peer.ask("/media/picture.png?download=no")
    assert answer.headers["content-disposition"] == 'inline; filename="picture.png"'
    assert (await peer.ask("/media/picture.png?download=perhaps")).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods(peer, method):
    answer = await peer.ask("/media/picture.png", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


# Names


async def test_names_of_any_script(local):
    for name in ("日本語 картина ü.png", "100%.png", 'a"b;c.png', "a+b&c=d.png"):
        local.put(name, PICTURE)
        answer = await local.ask("/media/" + quote(name))
        assert (answer.status, answer.body) == (200, PICTURE), name
        plain = name.translate(str.maketrans('"%', "__"))
        if plain != name or not name.isascii():
            assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(name, safe='+&!#$^`|~')}")


@pytest.mark.parametrize(
    "target",
    ["", "missing.png", "..", ".", "%2e%2e%2fsecret", "..%2f..%2fetc%2fpasswd", "folder", "folder/x.png",
     "folder%2Fx.png", "picture.png/", "picture.png%00", "%00", "%FF", "a" * 300, "link.png", "fifo.png", "socket.png",
     "../media/picture.png"],
)  # fmt: skip
async def test_what_is_no_file_of_the_store_is_not_found(local, target, tmp_path):
    (local.folder / "folder").mkdir(exist_ok=True)
    (local.folder / "folder" / "x.png").write_bytes(PICTURE)
    if target == "link.png":
        (tmp_path / "secret").write_bytes(PICTURE)
        (local.folder / target).symlink_to(tmp_path / "secret")
    elif target == "fifo.png":
        os.mkfifo(local.folder / target)
    elif target == "socket.png":
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(os.path.relpath(local.folder / target))
        bound.close()
    for method in ("GET", "HEAD"):
        answer = await local.ask(f"/media/{target}", method)
        assert answer.status == 404
        assert str(local.folder) not in str(answer)


async def test_a_missing_file_leads_to_its_source(peer):
    answer = await peer.ask("/media/gone.png?url=https%3A%2F%2Fexample.com%2Fa%2520b.png%3Fx%3D1%26y%3D%C3%BC")
    assert answer.status == 302
    assert answer.headers["location"] == "https://example.com/a%20b.png?x=1&y=%C3%BC"
    split = await peer.ask("/media/gone.png?url=https%3A%2F%2Fexample.com%2F%0D%0Aset-cookie:%20a=b")
    assert "set-cookie" not in split.headers
    for url in ("javascript:alert(1)", "ftp://example.com/", "", "//example.com"):
        assert (await peer.ask(f"/media/gone.png?url={quote(url, safe='')}")).status == 404
    assert (await peer.ask("/media/picture.png?url=https%3A%2F%2Fexample.com%2F")).status == 200


async def test_a_file_that_comes_goes_and_changes(local):
    assert (await local.ask("/media/new.png")).status == 404
    path = local.put("new.png", PICTURE)
    first = await local.ask("/media/new.png")
    assert first.body == PICTURE
    path.unlink()
    assert (await local.ask("/media/new.png")).status == 404
    local.put("new.png", PICTURE[::-1])
    second = await local.ask("/media/new.png")
    assert second.body == PICTURE[::-1]
    assert second.headers["content-type"] == "application/octet-stream"


# Ranges


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=100-", 100, None), ("bytes=-7", -7, None),
     ("BYTES = 1-2", 1, 3), ("bytes=0-99999999999999999999999", 0, None), (f"bytes=-{10**30}", 0, None),
     ("bytes=3-4,9999999-", 3, 5), ("bytes=0-5,3-9", 0, 10), ("bytes=,, 7-8 ,", 7, 9)],
)  # fmt: skip
async def test_a_single_range(peer, header, start, end):
    answer = await peer.ask("/media/picture.png", range=header)
    expected = PICTURE[start:end]
    first = PICTURE.index(expected) if start >= 0 else len(PICTURE) + start
    assert (answer.status, answer.body) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(PICTURE)}"
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["content-type"] == "image/png"


async def test_a_range_of_a_large_file(peer):
    start = PIECE - 10
    answer = await peer.ask("/media/film.mp4", range=f"bytes={start}-{start + 5_000_000}")
    assert answer.body == FILM[start : start + 5_000_001]


@pytest.mark.parametrize(
    "header",
    ["bytes=5-3", "bytes=a-b", "bytes=-", "bytes", "bytes=", "bytes=1", "items=0-1", "bytes=0-1;2-3", "bytes=--1",
     "bytes=1-2-3", "bytes=0-1,x", "bytes=" + ",".join(f"{n * 2}-{n * 2}" for n in range(500)),
     "bytes=" + "9" * 5000 + "-1"],
)  # fmt: skip
async def test_a_range_that_is_none_is_ignored(peer, header):
    answer = await peer.ask("/media/picture.png", range=header)
    assert (answer.status, answer.body) == (200, PICTURE)


@pytest.mark.parametrize(
    "header", [f"bytes={len(PICTURE)}-", "bytes=99999999-", "bytes=-0", "bytes=99999-,88888-99999"]
)
async def test_a_range_that_does_not_exist(peer, header):
    answer = await peer.ask("/media/picture.png", range=header)
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(PICTURE)}"


async def test_several_ranges(peer):
    answer = await peer.ask("/media/film.mp4", range="bytes=1000000-1000009, 0-4, -6")
    assert answer.status == 206
    media_type, boundary = answer.headers["content-type"].split("; boundary=")
    assert media_type == "multipart/byteranges"
    assert answer.headers["content-length"] == str(len(answer.body))
    before, *parts, after = answer.body.split(f"--{boundary}".encode())
    assert (before.strip(), after) == (b"", b"--\r\n")
    size = len(FILM)
    spans = [(1000000, 1000010), (0, 5), (size - 6, size)]
    for part, (start, end) in zip(parts, spans, strict=True):
        head, data = part.split(b"\r\n\r\n", 1)
        assert head.split(b"\r\n")[1:] == [
            b"content-type: video/mp4",
            f"content-range: bytes {start}-{end - 1}/{size}".encode(),
        ]
        assert data == FILM[start:end] + b"\r\n"


numbers = st.one_of(st.just(""), st.integers(0, 120).map(str))
range_sets = st.lists(st.tuples(numbers, numbers).map("-".join), min_size=1, max_size=8).map(",".join)


@given(range_sets, st.integers(0, 100))
def test_spans_lie_in_the_file_cover_what_was_asked_and_nothing_twice(ranges, size):
    try:
        spans = parse_ranges(b"bytes=" + ranges.encode(), size)
    except RangeNotSatisfiableError:
        spans = []
    if spans is None:
        return
    asked: set[int] = set()
    for field in ranges.split(","):
        first, last = field.split("-")
        if first:
            asked |= set(range(int(first), min(int(last or size) + 1, size)))
        else:
            asked |= set(range(max(0, size - int(last)), size))
    given_out = [at for start, end in spans for at in range(start, end)]
    assert all(0 <= start < end <= size for start, end in spans)
    assert sorted(given_out) == sorted(asked)


@given(st.binary(max_size=60))
def test_no_range_header_breaks_the_parser(header):
    for value in (header, b"bytes=" + header):
        with suppress(RangeNotSatisfiableError):
            parse_ranges(value, 50)


# Conditions


async def test_if_none_match(peer):
    etag = (await peer.ask("/media/picture.png")).headers["etag"]
    for value in (etag, f"W/{etag}", f'"x", {etag}', "*", f'"a,b" ,{etag}'):
        answer = await peer.ask("/media/picture.png", if_none_match=value)
        assert (answer.status, answer.body) == (304, b""), value
        assert answer.headers["etag"] == etag
        assert answer.headers["last-modified"] == DATE
        assert "immutable" in answer.headers["cache-control"]
        assert not {"content-length", "content-type"} & answer.headers.keys()
    for value in ('"x"', etag.strip('"'), "", 'W/"x"'):
        assert (await peer.ask("/media/picture.png", if_none_match=value)).status == 200


async def test_if_modified_since(peer):
    later, earlier = formatdate(MODIFIED + 1, usegmt=True), formatdate(MODIFIED - 1, usegmt=True)
    for value in (DATE, later, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
        assert (await peer.ask("/media/picture.png", if_modified_since=value)).status == 304, value
    for value in (earlier, "yesterday", "", "Sun, 99 Nov 1994 08:49:37 GMT", "0"):
        assert (await peer.ask("/media/picture.png", if_modified_since=value)).status == 200, value
    answer = await peer.ask("/media/picture.png", if_modified_since=DATE, if_none_match='"x"')
    assert answer.status == 200  # the tag outweighs the date


async def test_if_match_and_if_unmodified_since(peer):
    etag = (await peer.ask("/media/picture.png")).headers["etag"]
    earlier = formatdate(MODIFIED - 1, usegmt=True)
    for good in ({"if_match": etag}, {"if_match": "*"}, {"if_match": f'"x", {etag}'}, {"if_unmodified_since": DATE}):
        assert (await peer.ask("/media/picture.png", **good)).status == 200, good
    for bad in ({"if_match": '"x"'}, {"if_match": f"W/{etag}"}, {"if_unmodified_since": earlier}):
        assert (await peer.ask("/media/picture.png", **bad)).status == 412, bad
    assert (await peer.ask("/media/picture.png", if_match=etag, if_unmodified_since=earlier)).status == 200
    assert (await peer.ask("/media/picture.png", if_match='"x"', if_none_match=etag)).status == 412


async def test_if_range(peer):
    etag = (await peer.ask("/media/picture.png")).headers["etag"]
    for good in (etag, DATE):
        answer = await peer.ask("/media/picture.png", range="bytes=0-3", if_range=good)
        assert (answer.status, answer.body) == (206, PICTURE[:4])
    for other in ('"x"', f"W/{etag}", formatdate(MODIFIED + 1, usegmt=True), "*", ""):
        answer = await peer.ask("/media/picture.png", range="bytes=0-3", if_range=other)
        assert (answer.status, answer.body) == (200, PICTURE)
    assert (await peer.ask("/media/picture.png", range="bytes=999999-", if_range='"x"')).status == 200
    assert (await peer.ask("/media/picture.png", range="bytes=0-3", if_none_match=etag)).status == 304


@given(
    st.sampled_from([b"if-none-match", b"if-match", b"if-modified-since", b"if-unmodified-since"]),
    st.binary(max_size=80),
)
def test_no_condition_breaks_the_check(name, value):
    facts = file_facts("a.png", 5, MODIFIED, "tag", None)
    with suppress(PreconditionFailedError):
        is_unmodified(conditions([(name, value)]), facts)


def test_a_repeated_header_is_one_list():
    assert conditions([(b"if-none-match", b'"a"'), (b"host", b"x"), (b"if-none-match", b'"b"')]) == {
        b"if-none-match": b'"a", "b"'
    }


# Headers of odd files


@given(st.text(min_size=1, max_size=80).filter(lambda name: name.isprintable()))
def test_a_disposition_is_plain_ascii_and_well_quoted(name):
    value = disposition(name, attachment=True)
    assert all(0x20 <= byte < 0x7F for byte in value)
    assert value.split(b"; filename*=")[0].count(b'"') == 2


@pytest.mark.parametrize("modified", [-1e12, -1, 0, 4e9, 1e18])
def test_a_time_no_header_can_say_is_one_it_can(modified):
    assert file_facts("a.png", 5, modified, "tag", None).last_modified.endswith(b" GMT")


# Disks that keep one waiting


def drop_from_memory(path: Path) -> None:
    """Make the next read of the file wait for its disk, where the file system is not in memory itself."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def is_in_memory(path: Path) -> bool:
    """Whether the first byte can be read without waiting; if not, the kernel begins to fetch it."""
    with path.open("rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT) == 1
        except BlockingIOError:
            return False


async def test_a_file_that_is_not_in_memory_is_read_in_a_thread(local):
    picture = PNG + bytes(100_000)  # too large to be kept in the server's own memory
    path, probe, film = local.put("cold.png", picture), local.put("probe.png", PICTURE), local.folder / "film.mp4"
    drop_from_memory(probe)
    if is_in_memory(probe):
        pytest.skip("the temporary folder lies in memory")
    disk = LocalFiles(LocalStore(local.folder))
    (await disk.open("cold.png")).close()
    known = disk.whole("cold.png")
    assert known
    assert known[1] == picture
    drop_from_memory(path)
    assert disk.whole("cold.png") is None
    for _ in range(2):
        for cold, data in ((path, picture), (film, FILM)):
            drop_from_memory(cold)
            assert (await local.ask(f"/media/{cold.name}")).body == data


async def test_kept_bytes_are_those_of_the_file_now(tmp_path, monkeypatch):
    monkeypatch.setattr("mediary.server.local_files._SETTLED_NS", 0)
    monkeypatch.setattr("mediary.server.local_files._KEPT_BYTES", 3 * len(PICTURE))
    disk = LocalFiles(LocalStore(tmp_path))

    async def served(name: str) -> list[bytes]:
        """The file as it is sent three times: looked at first, then read, then from memory."""
        body = await disk.open(name)
        first = b"".join([piece async for piece in body.read(0, body.facts.size)])
        body.close()
        return [first, *(whole[1] for whole in (disk.whole(name), disk.whole(name)) if whole)]

    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(PICTURE[:-1] + bytes([number]))
    for _ in range(2):
        for number in range(9):
            assert await served(f"{number}.png") == [PICTURE[:-1] + bytes([number])] * 3
    (tmp_path / "8.png").write_bytes(PICTURE[:-1] + b"x")
    assert disk.whole("8.png") is None
    assert await served("8.png") == [PICTURE[:-1] + b"x"] * 3
    (tmp_path / "8.png").unlink()
    assert disk.whole("8.png") is None
    assert disk._kept._bytes == 3 * len(PICTURE)
    (tmp_path / "8.png").symlink_to(tmp_path / "7.png")
    assert disk.whole("8.png") is None


async def test_a_file_that_ends_early_is_not_passed_off_as_whole(local):
    path = local.put("cut.mp4", FILM)
    disk = LocalFiles(LocalStore(local.folder))
    body = await disk.open("cut.mp4")
    os.truncate(path, 1000)
    with pytest.raises(MediaryError, match="shorter"):
        async for _ in body.read(0, len(FILM)):
            pass
    body.close()


async def test_a_client_that_leaves_ends_the_reading(elsewhere):
    """The file is a million megabytes; only the client's leaving stops its being read."""
    closed = asyncio.Event()

    class Endless(Elsewhere):
        async def read(self, name, start=0, end=None):
            try:
                while start < end:
                    yield bytes(min(end - start, 100_000))
                    start += 100_000
            finally:
                if end == 1 << 40:
                    closed.set()

    store = Endless({"a.png": range(1 << 40)})
    async for peer in serve(MediaFiles(store), elsewhere.folder):
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        writer.write(b"GET /media/a.png HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readexactly(1_000_000)
        writer.transport.abort()
        await asyncio.wait_for(closed.wait(), 20)


@pytest.mark.skipif(not slow_disk.is_possible(), reason="needs the right to mount a file system")
async def test_a_stalled_disk_holds_nobody_else(local):
    names = [f"other-{number}.png" for number in range(30)]
    for name in names:
        local.put(name, PICTURE)
    slow = PICTURE + b"slow" * PIECE
    with slow_disk.SlowDisk(local.folder / "slow.png", slow) as disk:
        disk.stall()
        waiting = [asyncio.create_task(local.ask("/media/slow.png")) for _ in range(100)]
        assert await asyncio.to_thread(disk.reached.wait, 20)
        for _ in range(2):  # never read before: in a thread; then known
            for answer in await asyncio.gather(*(local.ask(f"/media/{name}") for name in names)):
                assert answer.body == PICTURE
        assert not any(task.done() for task in waiting)
        disk.release()
        assert {task.body == slow for task in await asyncio.gather(*waiting)} == {True}
        disk.reached.clear()
        disk.stall()  # now the file is known
        waiting = [asyncio.create_task(local.ask("/media/slow.png", range="bytes=-4")) for _ in range(100)]
        assert await asyncio.to_thread(disk.reached.wait, 20)
        assert (await local.ask("/media/picture.png")).body == PICTURE
        disk.release()
        assert {task.body for task in await asyncio.gather(*waiting)} == {b"slow"}


async def test_a_place_is_free_when_its_thread_ends_and_not_when_its_client_leaves():
    threads, stuck, begun = _Threads(), threading.Event(), []

    def wait(number: int) -> None:
        begun.append(number)
        assert stuck.wait(30)

    for number in range(_THREADS_PER_FILE):  # clients come and go, and the disk gives nothing
        task = asyncio.create_task(threads.run("slow", wait, number))
        while len(begun) <= number:  # noqa: ASYNC110 - a thread says so
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    late = [asyncio.create_task(threads.run("slow", wait, 99)) for _ in range(10)]
    for _ in range(100):
        assert await threads.run("other", len, begun) == _THREADS_PER_FILE
    late.pop().cancel()  # one that waited for a place
    stuck.set()
    await asyncio.gather(*late)
    assert len(begun) == _THREADS_PER_FILE + 9
    assert threads._lanes == {}
