"""A cookie, and where it may go (RFC 6265)."""

import ipaddress
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from msgspec import Struct


class Cookie(Struct, frozen=True):
    """A cookie: `expires` is in Unix seconds, None for as long as nobody says; one `host_only` is for no subdomain."""

    name: str
    value: str
    domain: str
    path: str = "/"
    expires: float | None = None
    secure: bool = False
    host_only: bool = False

    def __repr__(self) -> str:
        return f"Cookie({self.name!r}, domain={self.domain!r})"

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is told from others by."""
        return self.domain, self.path, self.name

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.expires is not None and self.expires <= time.time()

    def goes_to(self, url: str) -> bool:
        """Whether a request to that URL may bear it."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if self.secure and parts.scheme != "https" and not _is_loopback(host):
            return False
        return (host == self.domain if self.host_only else is_within(host, self.domain)) and _covers(
            self.path, parts.path or "/"
        )


def cookies_for(url: str, cookies: Iterable[Cookie]) -> dict[str, str]:
    """The cookies that a request to a URL bears, by name; of two with one name that of the longer path."""
    going = (cookie for cookie in cookies if not cookie.is_over() and cookie.goes_to(url))
    return {cookie.name: cookie.value for cookie in sorted(going, key=lambda cookie: len(cookie.path))}


def is_within(host: str, domain: str) -> bool:
    """Whether a host is a domain or below it; an address is below nothing."""
    return host == domain or (host.endswith(f".{domain}") and not _is_address(host))


def _covers(path: str, asked: str) -> bool:
    return asked == path or (asked.startswith(path) and (path.endswith("/") or asked[len(path)] == "/"))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
