"""Downloads: the bytes that came, the limits, and what a redirect may and may not carry along."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from tests.net.names import Names, client_with
from tests.servers.http import (
    RawServer,
    Received,
    chunked,
    proxy_to,
    raw_server,
    redirect,
    repeated,
    reset,
    response,
    silence,
    unvouched_tls,
)

from mediary.errors import (
    AddressRefusedError,
    BadRequestError,
    DownloadError,
    DownloadTimeoutError,
    MediaryError,
    TooLargeError,
)
from mediary.net.client import HttpClient
from mediary.net.download import Download, open_download

OPEN = {"allow": ["127.0.0.1/32"]}
BODY = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        server.answers["/"] = response(b"hello", "Content-Type: image/png", "Last-Modified: yesterday")
        yield server


@pytest.fixture
async def other() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        server.answers["/"] = response(b"other")
        yield server


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with client_with(**OPEN) as client:
        yield client


async def fetch(client: HttpClient, url: str, **options: object) -> bytes:
    async with open_download(client, url, **options) as download:
        return b"".join([chunk async for chunk in download.chunks])


async def fails(client: HttpClient, url: str, error: type[MediaryError], words: str, **options: object) -> None:
    with pytest.raises(error, match=words) as caught:
        await fetch(client, url, **options)
    assert type(caught.value) is error


async def test_a_download(client: HttpClient, server: RawServer):
    async with open_download(client, f"{server.url}/#part") as download:
        assert isinstance(download, Download)
        assert (download.status, download.content_type, download.length) == (200, "image/png", 5)
        assert download.headers["last-modified"] == "yesterday"
        assert download.url.startswith(f"{server.url}/")
        assert [chunk async for chunk in download.chunks] == [b"hello"]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (response(BODY), BODY),
        (chunked([BODY[:1], BODY[1:]]), BODY),
        (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, BODY),
        (response(b""), b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (response(gzip.compress(BODY), "Content-Encoding: gzip"), BODY),
        (response(gzip.compress(BODY) + gzip.compress(b"more"), "Content-Encoding: X-GZIP"), BODY + b"more"),
        (response(gzip.compress(b"padded") + bytes(99), "Content-Encoding: gzip"), b"padded"),
        (chunked([bytes([byte]) for byte in gzip.compress(b"a" * 9999)], "Content-Encoding: gzip"), b"a" * 9999),
        (response(b"", "Content-Encoding: gzip"), b""),
        (response(b"plain", "Content-Encoding: identity"), b"plain"),
    ],
)
async def test_bodies(client: HttpClient, server: RawServer, answer: bytes, body: bytes):
    server.answers["/"] = answer
    assert await fetch(client, f"{server.url}/") == body


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (response(b"hello", length=6), "broke off in the middle of its answer"),
        (reset(response(b"hello", length=6)), "broke off"),
        (chunked([b"hello"], whole=False), "broke off"),
        (response(gzip.compress(BODY)[:-9], "Content-Encoding: gzip"), "broke off"),
        (response(gzip.compress(BODY)[:-8] + bytes(8), "Content-Encoding: gzip"), "damaged gzip"),
        (response(b"no gzip at all", "Content-Encoding: gzip"), "damaged gzip"),
        (response(b"hello", "Content-Encoding: br"), "encoding 'br'"),
        (response(b"", status=404), "^127.0.0.1:[0-9]+ answered 404$"),
        (response(b"", status=500), "answered 500"),
        (response(b"part", "Content-Range: bytes 0-3/9", status=206), "answered 206"),
        (response(b"", status=304), "answered 304"),
        (b"", "closed the connection without an answer"),
        (b"220 smtp.example ESMTP\r\n", "does not answer in proper HTTP"),
    ],
)
async def test_what_is_never_taken_for_a_whole_file(client: HttpClient, server: RawServer, answer, words: str):
    server.answers["/"] = answer
    await fails(client, f"{server.url}/", DownloadError, words)


async def test_a_declared_length_over_the_limit(client: HttpClient, server: RawServer):
    server.answers["/"] = silence(response(b"", length=101))  # the body never comes: nobody waits for it
    await fails(client, f"{server.url}/", TooLargeError, "sends 101 bytes, 100 are allowed", max_bytes=100)
    server.answers["/"] = response(bytes(100))
    assert await fetch(client, f"{server.url}/", max_bytes=100) == bytes(100)


async def taken(client: HttpClient, url: str, max_bytes: int) -> AsyncIterator[int]:
    """The sizes of the pieces."""
    async with open_download(client, url, max_bytes=max_bytes) as download:
        async for chunk in download.chunks:
            yield len(chunk)


async def test_real_bytes_over_the_limit(client: HttpClient, server: RawServer):
    server.answers["/"] = repeated(b"HTTP/1.1 200 OK\r\n\r\n", bytes(2**16))
    await fails(client, f"{server.url}/", TooLargeError, "more than the 1000000 bytes", max_bytes=1_000_000)
    server.answers["/"] = response(gzip.compress(bytes(1001)), "Content-Encoding: gzip")
    await fails(client, f"{server.url}/", TooLargeError, "more than the 1000 bytes", max_bytes=1000)
    assert len(await fetch(client, f"{server.url}/", max_bytes=1001)) == 1001


async def test_a_bomb_is_unpacked_in_small_pieces_only(client: HttpClient, server: RawServer):
    server.answers["/"] = response(gzip.compress(bytes(2**24)), "Content-Encoding: gzip")  # 16 MiB in 16 KB
    sizes = [size async for size in taken(client, f"{server.url}/", 2**24)]
    assert sum(sizes) == 2**24
    assert max(sizes) <= 2**18
    pieces = taken(client, f"{server.url}/", 2**20)
    assert sum([await anext(pieces) for _ in range(4)]) == 2**20
    with pytest.raises(TooLargeError):
        await anext(pieces)


async def test_the_limits_of_the_settings_hold(server: RawServer):
    async with client_with(max_bytes=4, **OPEN) as client:
        await fails(client, f"{server.url}/", TooLargeError, "5 bytes, 4 are allowed")
    server.answers["/"] = silence()
    async with client_with(timeout=0.05, **OPEN) as client:
        await fails(client, f"{server.url}/", DownloadTimeoutError, "did not answer in time")


async def test_no_end_in_time(client: HttpClient, server: RawServer):
    server.answers["/"] = silence(response(b"hello", length=6))
    await fails(client, f"{server.url}/", DownloadTimeoutError, "did not answer in time", timeout=0.05)


async def test_time_is_for_all_hops_together(client: HttpClient, server: RawServer):
    async def slowly(_: Received, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_later(0.04, done.set_result, None)
        await done
        writer.write(redirect("/"))

    server.answers["/"] = slowly
    async with client_with(max_redirects=1000, **OPEN) as patient:
        await fails(patient, f"{server.url}/", DownloadTimeoutError, "did not answer in time", timeout=0.2)


async def test_no_connection_in_time():
    class Waiting(Names):
        async def resolve(self, *_: object, **__: object) -> list:
            return await asyncio.Event().wait()

    async with client_with(Waiting(), connect_timeout=0.05) as client:
        await fails(client, "http://slow.example/", DownloadTimeoutError, "slow.example could not be reached in time")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(client: HttpClient, server: RawServer, status: int):
    server.answers["/a/b"] = redirect("../c?x=%2F&y=1", status)
    server.answers["/c"] = response(b"there")
    async with open_download(client, f"{server.url}/a/b") as download:
        assert download.url == f"{server.url}/c?x=%2F&y=1"
        assert [chunk async for chunk in download.chunks] == [b"there"]


async def test_a_url_is_asked_for_to_the_letter(client: HttpClient, server: RawServer):
    signed = "/%7Efile%2Fa;b=c?sig=a%2Fb%3D+%20&x=%41"
    server.answers |= {"/": redirect(signed), signed.partition("?")[0]: response(b"signed")}
    assert await fetch(client, f"{server.url}{signed}#part") == b"signed"
    assert await fetch(client, f"{server.url}/") == b"signed"
    assert {request.target for request in server.received} == {signed, "/"}
    server.answers["/%C3%A4%20b"] = response(b"quoted")
    assert await fetch(client, f"{server.url}/ä b") == b"quoted"


async def test_so_many_redirects_and_no_more(server: RawServer):
    server.answers |= {f"/{step}": redirect(f"/{step - 1}") for step in range(1, 5)} | {"/0": response(b"end")}
    async with client_with(max_redirects=3, **OPEN) as client:
        assert await fetch(client, f"{server.url}/3") == b"end"
        await fails(client, f"{server.url}/4", DownloadError, "behind more than 3 redirects")


async def test_redirects_to_nowhere(client: HttpClient, server: RawServer):
    server.answers["/"] = response(b"", status=302)
    await fails(client, f"{server.url}/", DownloadError, "answered 302 without saying where to go")
    server.answers["/"] = redirect("http://[::1")
    await fails(client, f"{server.url}/", DownloadError, "redirects to what is no URL")


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://127.1:{port}/",
        "http://[::1]:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://inside.example:{port}/",
        "http://user:pass@127.0.0.1:{port}/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
    ],
)
async def test_a_redirect_is_guarded_like_a_request(location: str):
    names = Names(inside_example=[["127.0.0.2"]])
    async with (
        raw_server() as server,
        raw_server("127.0.0.2", server.port) as closed,
        client_with(names, **OPEN) as client,
    ):
        server.answers["/"] = redirect(location.format(port=server.port))
        with pytest.raises(AddressRefusedError):
            await fetch(client, f"{server.url}/")
        assert (server.connections, closed.connections) == (1, 0)


async def test_the_trusted_origin_needs_no_leave_and_any_other_does(server: RawServer, other: RawServer):
    async with client_with() as client:
        await fails(client, f"{server.url}/", AddressRefusedError, "127.0.0.1")
        assert await fetch(client, f"{server.url}/", trusted_origin=f"{server.url}/v1") == b"hello"
        await fails(client, f"{other.url}/", AddressRefusedError, "127.0.0.1", trusted_origin=server.url)
        server.answers["/away"] = redirect(f"{other.url}/")
        await fails(client, f"{server.url}/away", AddressRefusedError, "127.0.0.1", trusted_origin=server.url)
        assert other.connections == 0
        server.answers["/near"] = redirect(f"http://user:pass@127.0.0.1:{server.port}/")
        assert await fetch(client, f"{server.url}/near", trusted_origin=server.url) == b"hello"
        assert "authorization" not in server.received[-1].headers


CREDENTIALS = {
    "Authorization": "Bearer s3cret",
    "Cookie": "a=s3cret",
    "X-Api-Key": "s3cret",
    "api-key": "s3cret",
    "Referer": "https://private.example/s3cret",
    "User-Agent": "browser",
    "Accept": "image/*",
    "Accept-Language": "de",
    "Accept-Encoding": "br",
    "Host": "elsewhere.example",
    "Range": "bytes=0-",
}


async def test_headers_and_cookies_go_to_the_first_origin(client: HttpClient, server: RawServer):
    server.answers["/away"] = redirect("/")
    await fetch(client, f"{server.url}/away", headers=CREDENTIALS, cookies={"b": "s3cret", "c": "2"})
    for request in server.received:
        assert request.headers["authorization"] == "Bearer s3cret"
        assert request.headers["cookie"] == "a=s3cret; b=s3cret; c=2"
        assert request.headers["x-api-key"] == request.headers["api-key"] == "s3cret"
        assert request.headers["user-agent"] == "browser"
        assert request.headers["accept-encoding"] == "gzip"
        assert "range" not in request.headers
        assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert len(server.received) == 2


async def test_and_not_to_another_even_on_the_way_back(client: HttpClient, server: RawServer, other: RawServer):
    server.answers["/away"] = redirect(f"{other.url}/back")
    other.answers["/back"] = redirect(f"{server.url}/")
    await fetch(client, f"{server.url}/away", headers=CREDENTIALS, cookies={"b": "s3cret"})
    for request in (other.received[0], server.received[1]):
        assert "s3cret" not in str(request)
        assert (request.headers["user-agent"], request.headers["accept"]) == ("browser", "image/*")
        assert request.headers["accept-language"] == "de"


async def test_and_not_without_tls_where_they_had_it(client: HttpClient, server: RawServer):
    async with raw_server(tls=unvouched_tls()) as secure:
        secure.answers["/"] = redirect(f"{server.url}/")
        assert await fetch(client, f"{secure.url}/", headers=CREDENTIALS, ssl=False) == b"hello"
        assert "s3cret" in str(secure.received)
        assert "s3cret" not in str(server.received)


async def test_certificates_are_checked_unless_this_call_says_otherwise(client: HttpClient):
    async with raw_server(tls=unvouched_tls()) as secure:
        secure.answers["/"] = response(b"hello")
        await fails(client, f"{secure.url}/", DownloadError, "no valid certificate")
        assert await fetch(client, f"{secure.url}/", ssl=False) == b"hello"
        await fails(client, f"{secure.url}/", DownloadError, "no valid certificate")


@pytest.mark.parametrize(
    "bad", [{"headers": {"X-A": "b\r\nX-C: d"}}, {"headers": {"X\n": "b"}}, {"cookies": {"a": "\n"}}]
)
async def test_a_header_cannot_end_its_line(client: HttpClient, server: RawServer, bad: dict[str, object]):
    await fails(client, f"{server.url}/", BadRequestError, "line end", **bad)
    assert server.connections == 0


async def test_through_a_proxy(server: RawServer):
    async with raw_server(tls=unvouched_tls()) as secure, proxy_to(server) as proxy, proxy_to(secure) as tunnel:
        secure.answers["/"] = response(b"secure")
        names = Names(far_example=[["8.8.8.8"]])
        with_password = proxy.url.replace("//", "//user:s3cret@")
        async with client_with(names, **OPEN) as client:
            assert await fetch(client, "http://far.example/", proxy=with_password) == b"hello"
            assert proxy.received[0].headers["proxy-authorization"] == "Basic dXNlcjpzM2NyZXQ="
            assert await fetch(client, "https://far.example/", proxy=tunnel.url, ssl=False) == b"secure"
            assert tunnel.received[0].target == "far.example:443"
            await fails(client, "https://far.example/", DownloadError, "no valid certificate", proxy=tunnel.url)


async def test_a_proxys_password_is_in_no_message(client: HttpClient):
    async with raw_server() as gone:
        proxy = gone.url.replace("//", "//user:s3cret@")
    words = "^8.8.8.8 cannot be reached: no connection to the proxy 127.0.0.1:[0-9]+$"
    await fails(client, "http://8.8.8.8/?key=s3cret", DownloadError, words, proxy=proxy)


async def test_leaving_early_closes_the_connection(client: HttpClient, server: RawServer):
    left = asyncio.Event()

    async def endless(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(bytes(65536))
                await writer.drain()
        except ConnectionError:
            left.set()

    server.answers["/"] = endless
    async with open_download(client, f"{server.url}/") as download:
        await anext(download.chunks)
    async with asyncio.timeout(5):
        await left.wait()


async def test_each_redirect_is_told_before_it_is_followed(client: HttpClient, server: RawServer):
    server.answers |= {"/a": redirect("/b"), "/b": redirect("/#part")}
    told: list[str] = []

    async def on_redirect(url: str) -> None:
        told.append(url.removeprefix(server.url))
        assert server.received[-1].target == ("/a" if len(told) == 1 else "/b")

    assert await fetch(client, f"{server.url}/a", on_redirect=on_redirect) == b"hello"
    assert told == ["/b", "/"]


async def test_a_redirect_can_be_refused(client: HttpClient, server: RawServer):
    server.answers["/a"] = redirect("/")

    async def on_redirect(url: str) -> None:
        raise LookupError(url)

    with pytest.raises(LookupError):
        await fetch(client, f"{server.url}/a", on_redirect=on_redirect)
    assert [request.target for request in server.received] == ["/a"]


@pytest.mark.parametrize("status", [304, 404, 429, 500])
async def test_any_status_where_the_caller_looks_at_it(client: HttpClient, server: RawServer, status: int):
    server.answers["/"] = response(b"", "Retry-After: 9", status=status)
    async with open_download(client, f"{server.url}/", any_status=True) as download:
        assert (download.status, download.headers["retry-after"]) == (status, "9")
