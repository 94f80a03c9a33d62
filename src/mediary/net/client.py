"""The outbound HTTP client: one session for what the operator configured, one behind the guard for all the rest."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from mediary.errors import (
    BadRequestError,
    DownloadError,
    DownloadTimeoutError,
    MediaryError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SettingsError,
    ShutdownError,
    StreamInterruptedError,
)
from mediary.net.guard import Guard, GuardedResolver, SystemResolver, as_address, is_public, parse_url

if TYPE_CHECKING:
    from mediary.settings import NetSettings

_KEEPALIVE = 30.0  # seconds; a turn often follows another, and many servers hang up after a minute


class HttpClient:
    """Makes requests; opens its two sessions when they are first used, in the event loop that uses them.

    `trusted` requests go where the operator's settings point and need no leave. All others pass the guard, before the
    request and again at the connection. Cookies are never kept, the environment's proxies are not looked at, and no
    redirect is followed: where it leads is a new question for the guard, which `download` asks.

    Through a proxy the guard cannot see the connection: there the name is resolved and judged here first, and the proxy
    resolves it again. The operator's proxy needs no leave itself, a proxy that comes with a request does. What is near
    (this machine, a private address, a name without a dot) is reached without the operator's proxy.

    `resolver` answers for names instead of the system; it is closed with the client.
    """

    def __init__(self, net: "NetSettings", *, resolver: AbstractResolver | None = None) -> None:
        self.net = net
        self.guard = Guard(net.allow)
        # One for each session, so that names which requests bring cannot keep those of the operator waiting.
        self._resolver: AbstractResolver = resolver or SystemResolver()
        self._guarded_resolver = GuardedResolver(self.guard, resolver or SystemResolver())
        self._proxy_setting = net.proxy.get_secret_value() if net.proxy else None
        self._proxy = _proxy_url(self._proxy_setting, SettingsError) if self._proxy_setting else None
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._closed = False

    @asynccontextmanager
    async def request(
        self, method: str, url: str | URL, *, trusted: bool = False, proxy: str | None = None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; the response is closed with the block, and with it the connection if the body is unread.

        `options` are those of `aiohttp.ClientSession.request`, without `allow_redirects`. AddressRefusedError and
        BadRequestError are raised as such, other failures are aiohttp's own: see `translated`.
        """
        target = parse_url(url)
        if not trusted:
            self.guard.check_url(target)
        own = proxy is None or proxy == self._proxy_setting
        through = self._own_proxy(target) if own else _proxy_url(proxy or "", BadRequestError)
        if through is not None and not trusted:
            await self._check_name(target)
        # The connection goes to the proxy where there is one, and so does the question of leave.
        session = self._session(trusted=own and (trusted or through is not None))
        async with session.request(method, target, proxy=through, allow_redirects=False, **options) as response:
            yield response

    async def close(self) -> None:
        """Close all connections; a second time does nothing, a request after it is refused."""
        self._closed = True
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()
        await self._resolver.close()
        await self._guarded_resolver.close()

    def _session(self, *, trusted: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise ShutdownError("the server is stopping")
        session = self._sessions.get(trusted)
        if session is None:
            session = self._sessions[trusted] = self._open(trusted=trusted)
        return session

    def _open(self, *, trusted: bool) -> aiohttp.ClientSession:
        if trusted:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE, resolver=self._resolver)
        else:
            connector = self.guard.connector(self._guarded_resolver, keepalive=_KEEPALIVE)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": user_agent()},
            # `connect` spans the name's resolution, the connection and the TLS handshake.
            timeout=aiohttp.ClientTimeout(total=None, connect=self.net.connect_timeout),
        )

    def _own_proxy(self, target: URL) -> URL | None:
        """The operator's proxy, unless the target is near."""
        if self._proxy is None:
            return None
        host = target.raw_host or ""
        address = as_address(host)
        near = "." not in host if address is None else not is_public(address)
        return None if near else self._proxy

    async def _check_name(self, target: URL) -> None:
        """Judge the addresses of a name that a proxy is going to resolve."""
        host = target.raw_host or ""
        if as_address(host) is None:
            async with asyncio.timeout(self.net.connect_timeout):
                await self._guarded_resolver.resolve(host, target.port or 0)


@cache
def user_agent() -> str:
    """Who we say we are."""
    return f"mediary/{version('mediary')}"


def _proxy_url(proxy: str, failure: type[MediaryError]) -> URL:
    try:
        url = URL(proxy)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise failure("a proxy is given as http://host:port")  # never repeated: it may hold a password
    return url


@dataclass(slots=True, frozen=True)
class Failures:
    """The errors that a caller wants for a server it cannot reach, one that is late, one that breaks off."""

    unreachable: type[MediaryError]
    timed_out: type[MediaryError]
    interrupted: type[MediaryError]


PROVIDER_FAILURES = Failures(ProviderUnavailableError, ProviderTimeoutError, StreamInterruptedError)
DOWNLOAD_FAILURES = Failures(DownloadError, DownloadTimeoutError, DownloadError)


@contextmanager
def translated(url: str | URL, failures: Failures) -> Iterator[None]:
    """Turn what aiohttp and the system raise in the block into the caller's errors, in plain words.

    A failure before the answer begins is `unreachable`, one in its middle `interrupted`. The message names the server
    of `url` and the cause. The original is not chained: aiohttp's words may hold the query, where some services take
    their keys.
    """
    try:
        yield
    except TimeoutError as error:
        late = "could not be reached" if isinstance(error, aiohttp.ConnectionTimeoutError) else "did not answer"
        raise failures.timed_out(f"{server_of(url)} {late} in time") from None
    except aiohttp.ClientPayloadError:
        raise failures.interrupted(f"{server_of(url)} broke off in the middle of its answer") from None
    except (aiohttp.ClientError, ConnectionError, ssl.SSLError, socket.gaierror) as error:
        raise failures.unreachable(f"{server_of(url)} {_cause(error)}") from None


def server_of(url: str | URL) -> str:
    """The host of a URL, with the port where it has one, for messages."""
    parsed = parse_url(url)
    host = parsed.host_port_subcomponent if parsed.explicit_port else parsed.host_subcomponent
    return host or "the server"


_NO_ANSWER = "closed the connection without an answer"
# The first that fits; what stands behind the server's name.
_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "cannot be reached: its name has no address"),
    (socket.gaierror, "cannot be reached: its name has no address"),
    (aiohttp.ClientConnectorCertificateError, "has no valid certificate"),
    (aiohttp.ClientSSLError, "cannot be reached: TLS failed"),
    (aiohttp.ClientConnectorError, "cannot be reached"),
    (aiohttp.TooManyRedirects, "redirects too often"),
    (aiohttp.ClientResponseError, "does not answer in proper HTTP"),
    (aiohttp.InvalidURL, "is in no valid URL"),
)


def _cause(error: Exception) -> str:
    """What happened before an answer began, to stand behind the server's name."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"cannot be reached: the proxy answered {error.status}"
        case aiohttp.ClientProxyConnectionError():
            return f"cannot be reached: no connection to the proxy {error.host}:{error.port}"
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as invalid):
            return f"has no valid certificate: {invalid.verify_message}"
    words = next(
        (words for kind, words in _CAUSES if isinstance(error, kind)), "closed the connection without an answer"
    )
    if words == "cannot be reached" and isinstance(error, OSError) and error.errno:
        return f"{words}: {os.strerror(error.errno).lower()}"
    return words
