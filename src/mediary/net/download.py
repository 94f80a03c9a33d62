"""Fetches remote files: guarded at every hop, bounded in bytes and time, never a part taken for the whole."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from mediary.errors import BadRequestError, DownloadError, DownloadTimeoutError, TooLargeError
from mediary.net.client import DOWNLOAD_FAILURES, HttpClient, server_of, translated
from mediary.net.guard import parse_url

_REDIRECTS = (301, 302, 303, 307, 308)

# What another origin may see of a request's headers; any other may be a credential.
_HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "user-agent"})
# What belongs to the connection and is not the caller's to say, and what would fetch a part.
_OURS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host"}
    | {"if-range", "proxy-authorization", "range", "te", "transfer-encoding", "upgrade"}
)
_PIECE = 256 * 1024

_Origin = tuple[str, str | None, int | None]


@dataclass(slots=True, frozen=True)
class Download:
    """An answer whose body is on its way; `length` is None where the server does not tell it.

    `url` is the one that answered, after all redirects; `headers` are looked up in any case; `chunks` is empty for an
    empty body. Reading `chunks` raises DownloadError, DownloadTimeoutError or TooLargeError.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    content_type: str | None
    length: int | None
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def open_download(
    http: HttpClient,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    proxy: str | None = None,
    ssl: bool = True,
    timeout: float | None = None,  # noqa: ASYNC109 - it spans the block, in which the caller reads
    max_bytes: int | None = None,
    trusted_origin: str | None = None,
    on_redirect: Callable[[str], Awaitable[None]] | None = None,
    any_status: bool = False,
) -> AsyncIterator[Download]:
    """Fetch a URL; the block reads the body, and leaving it closes the connection.

    `headers` and `cookies` go to the first origin (scheme, host and port) and, but for the harmless ones, to no other.
    `timeout` (seconds) and `max_bytes` default to the settings; both count for the whole download, bytes after
    decompression. `ssl=False` checks no certificate. `trusted_origin` is a URL that the operator configured: its origin
    needs no leave of the guard. `on_redirect` is told each further URL before it is asked for; it takes nothing off
    `timeout`, and may raise. With `any_status` an answer other than 2xx is no error. AddressRefusedError,
    BadRequestError, DownloadError, DownloadTimeoutError (a DownloadError) or TooLargeError.
    """
    seconds = http.net.timeout if timeout is None else timeout
    fetch = _Fetch(
        http=http,
        headers=_request_headers(headers or {}, cookies or {}),
        proxy=proxy,
        ssl=ssl,
        deadline=asyncio.get_running_loop().time() + seconds,
        trusted_origin=_origin(parse_url(trusted_origin)) if trusted_origin else None,
        on_redirect=on_redirect,
    )
    async with AsyncExitStack() as stack:
        response = await fetch.follow(parse_url(url), stack)
        most = http.net.max_bytes if max_bytes is None else max_bytes
        if not any_status or 200 <= response.status < 300:
            _check(response, most)
        chunks = _chunks(response, most)
        await stack.enter_async_context(aclosing(chunks))
        yield Download(
            url=str(response.url),
            status=response.status,
            headers=response.headers,
            content_type=response.headers.get("Content-Type"),
            length=None if _is_gzip(response) else response.content_length,
            chunks=chunks,
        )


@dataclass(slots=True)
class _Fetch:
    """One download on its way from hop to hop; `headers` shrink where the origin changes."""

    http: HttpClient
    headers: dict[str, str] = field(repr=False)
    proxy: str | None = field(repr=False)
    ssl: bool
    deadline: float
    trusted_origin: _Origin | None
    on_redirect: Callable[[str], Awaitable[None]] | None

    async def follow(self, url: URL, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        """The first answer that is no redirect; `stack` closes it."""
        most = self.http.net.max_redirects
        for _ in range(most + 1):
            response = await self._get(url, stack)
            if response.status not in _REDIRECTS:
                return response
            response.release()
            target = _location(response)
            if _origin(target) != _origin(url):
                # Dropped for good: a later hop back to the first origin was not the caller's idea.
                self.headers = {name: value for name, value in self.headers.items() if name.lower() in _HARMLESS}
            url = target
            if self.on_redirect is not None:
                loop = asyncio.get_running_loop()
                began = loop.time()
                await self.on_redirect(str(url))
                self.deadline += loop.time() - began
        raise DownloadError(f"{server_of(url)} is behind more than {most} redirects")

    async def _get(self, url: URL, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        left = self.deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise DownloadTimeoutError(f"{server_of(url)} did not answer in time")
        trusted = _origin(url) == self.trusted_origin
        with translated(url, DOWNLOAD_FAILURES):
            return await stack.enter_async_context(
                self.http.request(
                    "GET",
                    url.with_user(None) if trusted else url,
                    trusted=trusted,
                    proxy=self.proxy,
                    headers=self.headers,
                    ssl=self.ssl,
                    # `total` goes on counting while the body is read.
                    timeout=aiohttp.ClientTimeout(total=left, connect=self.http.net.connect_timeout),
                    # aiohttp takes a gzip stream that is cut for whole, so it is unpacked here.
                    auto_decompress=False,
                )
            )


def _request_headers(headers: Mapping[str, str], cookies: Mapping[str, str]) -> dict[str, str]:
    """The caller's headers with its cookies among them; BadRequestError for what would end a line."""
    kept = CIMultiDict({name: value for name, value in headers.items() if name.lower() not in _OURS})
    pairs = [*kept.popall("Cookie", ()), *(f"{name}={value}" for name, value in cookies.items())]
    if pairs:
        kept["Cookie"] = "; ".join(pairs)
    kept["Accept-Encoding"] = "gzip"
    for name, value in kept.items():
        if any(character in name or character in value for character in "\r\n\0"):
            raise BadRequestError("a header or cookie holds a line end")
    return dict(kept)


def _origin(url: URL) -> _Origin:
    return url.scheme, url.raw_host, url.port


def _location(response: aiohttp.ClientResponse) -> URL:
    """Where a redirect leads."""
    location = response.headers.get("Location")
    if not location:
        raise DownloadError(f"{server_of(response.url)} answered {response.status} without saying where to go")
    try:
        return parse_url(urljoin(str(response.url), location))
    except (BadRequestError, ValueError):
        raise DownloadError(f"{server_of(response.url)} redirects to what is no URL") from None


def _is_gzip(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip")


def _check(response: aiohttp.ClientResponse, max_bytes: int) -> None:
    """Refuse an answer for what its head says."""
    server = server_of(response.url)
    if not 200 <= response.status < 300 or response.status == 206:  # a part that nobody asked for
        raise DownloadError(f"{server} answered {response.status}")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise DownloadError(f"{server} answered in the encoding {encoding!r}, which was not asked for")
    if response.content_length is not None and response.content_length > max_bytes:
        raise TooLargeError(f"{server} sends {response.content_length} bytes, {max_bytes} are allowed")


async def _chunks(response: aiohttp.ClientResponse, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body in pieces, unpacked."""
    server = server_of(response.url)
    gunzip = _Gunzip(server) if _is_gzip(response) else None
    received = 0
    with translated(response.url, DOWNLOAD_FAILURES):
        async for raw in response.content.iter_any():
            for chunk in gunzip.feed(raw) if gunzip else (raw,):
                received += len(chunk)
                if received > max_bytes:
                    raise TooLargeError(f"{server} sends more than the {max_bytes} bytes that are allowed")
                yield chunk
                if gunzip:
                    await asyncio.sleep(0)  # a few bytes may unpack to very many
    if gunzip:
        gunzip.end()


class _Gunzip:
    """Unpacks gzip in bounded pieces; DownloadError where it is damaged or cut."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._member = zlib.decompressobj(wbits=31)
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that a chunk unpacks to."""
        self._fed = True
        try:
            while data:
                if self._member.eof:
                    if not data.startswith(b"\x1f"):
                        return  # padding
                    self._member = zlib.decompressobj(wbits=31)
                if piece := self._member.decompress(data, _PIECE):
                    yield piece
                data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        except zlib.error:
            raise DownloadError(f"{self._server} sent damaged gzip") from None

    def end(self) -> None:
        """To be called when the body has ended."""
        if self._fed and not self._member.eof:
            raise DownloadError(f"{self._server} broke off in the middle of its answer")
