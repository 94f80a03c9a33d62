"""The client: what it sends, what it keeps to itself, and the words in which it fails."""

import asyncio
import gzip
import traceback
from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.net.names import Names, client_with
from tests.servers.http import (
    RawServer,
    chunked,
    listening,
    proxy_to,
    raw_server,
    redirect,
    reset,
    response,
    silence,
    unvouched_tls,
)

from mediary.errors import (
    BadRequestError,
    MediaryError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SettingsError,
    ShutdownError,
    StreamInterruptedError,
)
from mediary.net.client import PROVIDER_FAILURES, HttpClient, translated
from mediary.settings import NetSettings

SECRET = "s3cret"


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        server.answers["/"] = response(b"hello")
        yield server


async def fetch(client: HttpClient, url: str, **options: object) -> bytes:
    with translated(url, PROVIDER_FAILURES):
        async with client.request("GET", url, trusted=True, **options) as answer:
            return await answer.read()


async def test_it_says_who_it_is_and_reads_gzip(server: RawServer):
    server.answers["/packed"] = response(gzip.compress(b"hello"), "Content-Encoding: gzip")
    async with client_with() as client:
        assert await fetch(client, f"{server.url}/packed") == b"hello"
    assert server.received[0].headers["user-agent"].startswith("mediary/")


async def test_cookies_are_never_kept(server: RawServer):
    server.answers["/"] = response(b"", "Set-Cookie: session=1; Path=/")
    async with client_with() as client:
        for _ in range(2):
            await fetch(client, f"{server.url}/")
    assert ["cookie" in request.headers for request in server.received] == [False, False]


async def test_redirects_are_not_followed(server: RawServer):
    server.answers["/away"] = redirect("/")
    async with client_with() as client, client.request("GET", f"{server.url}/away", trusted=True) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/")
    assert len(server.received) == 1


async def test_the_environment_is_not_looked_at(server: RawServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with client_with(Names(far_example=[["127.0.0.1"]])) as client:
        assert await fetch(client, f"http://far.example:{server.port}/") == b"hello"


async def test_a_connection_is_used_again():
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with listening(serve) as port, client_with() as client:
        for _ in range(3):
            assert await fetch(client, f"http://127.0.0.1:{port}/") == b"ok"
    assert len(connections) == 1


async def test_many_streams_run_at_once():
    count = 300
    begun = asyncio.Barrier(count)

    async with raw_server() as server, client_with() as client:

        async def together(_: object, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
            await begun.wait()  # nobody is done before all have begun
            writer.write(b"0\r\n\r\n")

        server.answers["/"] = together
        answers = await asyncio.gather(*(fetch(client, f"{server.url}/") for _ in range(count)))
    assert answers == [b"ok"] * count


async def test_a_closed_client_stays_closed(server: RawServer):
    async with client_with() as client:
        await fetch(client, f"{server.url}/")
        await client.close()
        await client.close()
        with pytest.raises(ShutdownError):
            await fetch(client, f"{server.url}/")


async def fails(client: HttpClient, url: str, error: type[MediaryError], words: str) -> None:
    """The fetch of a URL with a key in its query fails so, and no trace of the failure holds the key."""
    with pytest.raises(error, match=words) as caught:
        await fetch(client, f"{url}?key={SECRET}", headers={"Authorization": SECRET})
    assert type(caught.value) is error
    assert SECRET not in "".join(traceback.format_exception(caught.value))


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"", ProviderUnavailableError, "127.0.0.1:[0-9]+ closed the connection without an answer"),
        (reset(), ProviderUnavailableError, "closed the connection without an answer"),
        (b"SSH-2.0-server\r\n", ProviderUnavailableError, "does not answer in proper HTTP"),
        (CUT, StreamInterruptedError, "127.0.0.1:[0-9]+ broke off in the middle of its answer"),
        (reset(CUT), StreamInterruptedError, "broke off"),
        (chunked([b"hello"], whole=False), StreamInterruptedError, "broke off"),
        (response(b"no gzip", "Content-Encoding: gzip"), StreamInterruptedError, "broke off"),
    ],
)
async def test_answers_that_fail(server: RawServer, answer, error: type[MediaryError], words: str):
    server.answers["/"] = answer
    async with client_with() as client:
        await fails(client, f"{server.url}/", error, words)


async def test_nobody_listens(server: RawServer):
    async with raw_server() as gone:
        url = f"{gone.url}/"
    words = "127.0.0.1:[0-9]+ cannot be reached: connection refused"
    async with client_with() as client:
        await fails(client, url, ProviderUnavailableError, words)


async def test_no_such_name():
    words = "^gone.example cannot be reached: its name has no address$"
    async with client_with(Names()) as client:
        await fails(client, "http://gone.example/", ProviderUnavailableError, words)


async def test_a_certificate_that_nobody_vouches_for():
    async with raw_server(tls=unvouched_tls()) as server, client_with() as client:
        server.answers["/"] = response(b"hello")
        await fails(
            client, f"{server.url}/", ProviderUnavailableError, "no valid certificate: unable to get local issuer"
        )
        assert await fetch(client, f"{server.url}/", ssl=False) == b"hello"


async def test_tls_where_there_is_none():
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"plain"))

    async with listening(serve) as port, client_with() as client:
        await fails(client, f"https://127.0.0.1:{port}/", ProviderUnavailableError, "TLS failed")


async def test_no_answer_in_time(server: RawServer):
    server.answers["/"] = silence()
    async with client_with() as client:
        with pytest.raises(ProviderTimeoutError, match=r"^127\.0\.0\.1:[0-9]+ did not answer in time$"):
            await fetch(client, f"{server.url}/", timeout=aiohttp.ClientTimeout(total=0.05))
        with (
            pytest.raises(ProviderTimeoutError, match=r"^x did not answer in time$"),
            translated("http://x", PROVIDER_FAILURES),
        ):
            async with asyncio.timeout(0.05), client.request("GET", f"{server.url}/", trusted=True):
                pass


async def test_no_connection_in_time(server: RawServer):
    class Waiting(Names):
        async def resolve(self, *_: object, **__: object) -> list:
            return await asyncio.Event().wait()

    words = "^slow.example could not be reached in time$"
    async with client_with(Waiting(), connect_timeout=0.05) as client:
        await fails(client, "http://slow.example/", ProviderTimeoutError, words)


async def test_errors_of_our_own_pass_as_they_are():
    with pytest.raises(MemoryError), translated("http://x", PROVIDER_FAILURES):
        raise MemoryError
    with pytest.raises(FileNotFoundError), translated("http://x", PROVIDER_FAILURES):
        raise FileNotFoundError
    with pytest.raises(BadRequestError), translated("http://x", PROVIDER_FAILURES):
        raise BadRequestError("")


async def test_the_operators_proxy_is_for_what_is_far(server: RawServer):
    async with proxy_to(server) as proxy:
        own = proxy.url.replace("//", f"//user:{SECRET}@")
        async with client_with(proxy=own) as client:
            assert await fetch(client, "http://far.example/") == b"hello"
            assert proxy.received[0].headers["proxy-authorization"].startswith("Basic ")
            for near in ("127.0.0.1", "localhost"):
                assert await fetch(client, f"http://{near}:{server.port}/") == b"hello"
            assert len(proxy.received) == 1


async def test_a_proxy_that_is_not_there():
    async with raw_server() as gone:
        proxy = gone.url.replace("//", f"//user:{SECRET}@")
    words = "^far.example cannot be reached: no connection to the proxy 127.0.0.1:[0-9]+$"
    async with client_with(proxy=proxy) as client:
        await fails(client, "http://far.example/", ProviderUnavailableError, words)


async def test_a_proxy_that_refuses(server: RawServer):
    server.answers = {"far.example:443": response(b"", status=407)}
    words = "^far.example cannot be reached: the proxy answered 407$"
    async with client_with(proxy=server.url) as client:
        await fails(client, "https://far.example/", ProviderUnavailableError, words)


@pytest.mark.parametrize("proxy", [f"socks5://user:{SECRET}@127.0.0.1:1", f"http://user:{SECRET}@[::1", SECRET])
async def test_what_is_no_proxy(proxy: str):
    with pytest.raises(SettingsError) as caught:
        HttpClient(NetSettings(proxy=proxy))
    assert SECRET not in str(caught.value)
    async with client_with() as client:
        with pytest.raises(BadRequestError) as refused:
            await fetch(client, "http://far.example/", proxy=proxy)
    assert SECRET not in str(refused.value)
