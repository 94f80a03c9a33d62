"""Which addresses may be reached: every URL that a request brings passes here, and every connection made for it.

A name is judged by all its addresses, and the connection goes to an address that was judged, so an answer of the name
server that changes in between changes nothing. Redirects are new connections and are judged alike.
"""

import asyncio
import re
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from mediary.errors import AddressRefusedError, BadRequestError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What the standard library takes for global and is not, in one Python version or another.
_NOT_GLOBAL = (
    IPv4Network("168.63.129.16/32"),  # the Azure platform's own server
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle Cloud has its metadata here
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),  # documentation
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that was ever handed out
_6TO4 = IPv6Network("2002::/16")
_TAILED = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0:0/96"), IPv6Network("::/96"))
_LOOPBACK = IPv4Network("127.0.0.0/8")

_PLAIN = re.compile(r"[a-z]+://[^/?#]+((?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)(?:#.*)?", re.IGNORECASE)
_NAME = re.compile(r"(?=.{1,254}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?", re.ASCII | re.IGNORECASE)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address is a way to write, or a way to reach."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _6TO4:
        return IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    if any(address in network for network in _TAILED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet's own: it can be nobody's private server."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    if address.is_multicast or not address.is_global:
        return False
    return not any(address in network for network in _NOT_GLOBAL)


class Guard:
    """Refuses what leads off the internet; `allow` are the networks that the operator opens."""

    def __init__(self, allow: Iterable[Network] = ()) -> None:
        self._allow = tuple(allow)

    def allows(self, address: Address) -> bool:
        """Whether an address may be reached."""
        if any(address in network for network in self._allow):
            return True
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        if mapped is not None:  # the same address in another spelling
            return self.allows(mapped)
        return is_public(address)

    def check_address(self, address: Address | str, host: str | None = None) -> None:
        """AddressRefusedError for an address that may not be reached; `host` is the name that led to it."""
        try:
            parsed = ip_address(address) if isinstance(address, str) else address
        except ValueError:
            raise AddressRefusedError(f"{address} is no IP address") from None
        if not self.allows(parsed):
            where = f"{host} leads to {parsed}, which" if host and host != str(parsed) else str(parsed)
            raise AddressRefusedError(
                f"{where} is not on the internet and may not be reached; "
                f'`[net] allow = ["{_network_of(parsed)}"]` in mediary.toml opens it'
            )

    def check_url(self, url: str | URL) -> None:
        """AddressRefusedError for a URL that may not be fetched, as far as it can be told without a name server."""
        parsed = parse_url(url)
        if parsed.scheme not in ("http", "https"):
            raise AddressRefusedError(f"only http and https URLs are fetched, not {parsed.scheme or 'relative ones'}")
        if "@" in parsed.raw_authority:
            raise AddressRefusedError("a URL with a user name or a password in it is not fetched")
        host = parsed.raw_host or ""
        address = as_address(host)
        if address is not None:
            self.check_address(address)
        elif not _NAME.fullmatch(host):
            raise BadRequestError("the URL has no valid host name")
        elif _is_odd_address(host):
            raise AddressRefusedError(f"{host} is an unusual way to write an IP address; write it as 192.0.2.1")

    def connector(self, resolver: "GuardedResolver", *, keepalive: float) -> TCPConnector:
        """A connector that connects to nothing but addresses that pass."""

        def open_socket(info: AddrInfoType) -> socket.socket:
            # The last gate: whatever the host was, this is the address that the kernel is about to be given.
            family, kind, protocol, _, address = info
            self.check_address(str(address[0]))
            return socket.socket(family=family, type=kind, proto=protocol)

        return TCPConnector(
            limit=0,
            keepalive_timeout=keepalive,
            resolver=resolver,
            socket_factory=open_socket,
        )


class GuardedResolver(AbstractResolver):
    """Answers with the addresses of another resolver if all of them pass; one that does not refuses the name."""

    def __init__(self, guard: Guard, resolver: AbstractResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name; AddressRefusedError if one of them may not be reached."""
        results = await self._resolver.resolve(host, port, family)
        for result in results:
            self._guard.check_address(result["host"], host)
        return results

    async def close(self) -> None:
        """Let go of the other resolver."""
        await self._resolver.close()


class SystemResolver(AbstractResolver):
    """The system's own name service, in threads of its own.

    A name server that hangs must not hold the event loop's default threads: the files are read there.
    """

    def __init__(self, threads: int = 8) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name; OSError if there are none."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)

    async def close(self) -> None:
        """Let go of the threads, without waiting for one that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    try:
        infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "no valid host name") from None
    return [
        ResolveResult(
            hostname=host,
            host=socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0],  # keeps a scope
            port=port,
            family=found,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for found, _, protocol, _, address in infos
    ]


def parse_url(url: str | URL) -> URL:
    """A URL as the client will read it; BadRequestError if it is none.

    A path and query that need no quoting stay to the letter: some services sign them as they are.
    """
    try:
        parsed = URL(url)
        rest = _PLAIN.fullmatch(url) if isinstance(url, str) else None
        if rest and parsed.scheme and "/." not in rest[1]:
            return URL(f"{parsed.scheme}://{parsed.raw_authority}{rest[1]}", encoded=True)
        return parsed
    except ValueError:
        raise BadRequestError("the URL is not valid") from None


def as_address(host: str) -> Address | None:
    """The address that a host spells out, None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_odd_address(host: str) -> bool:
    """Whether the system would read a host as an IPv4 address: `127.1`, `0x7f.1`, `2130706433`, `127.0.0.1.`."""
    try:
        socket.inet_aton(host.rstrip("."))
    except OSError:
        return False
    return True


def _network_of(address: Address) -> Network:
    """The network that an operator would open to reach an address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _network_of(address.ipv4_mapped)
        return IPv6Network(int(address))
    return _LOOPBACK if address in _LOOPBACK else IPv4Network(address)
