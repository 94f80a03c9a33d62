"""Who may come in: a server with a key wants it as a bearer token, or as the password that a browser asks for."""

import base64
import binascii
import hmac
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from mediary.errors import ForbiddenError, UnauthorizedError
from mediary.server.origins import Origins
from mediary.server.protocol import Scope

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
API = "/backend-api/"
_FOREIGN = (b"cross-site", b"same-site")
"""What browsers say of requests that pages of other origins have them send; no page can write it otherwise."""


class Door:
    """Lets requests in, or raises why not. Without a key only this machine comes in, by a name of its own.

    Pages of the `origins` may do what the server's own may.
    """

    def __init__(self, key: str | None, origins: Origins) -> None:
        self._key = key.encode() if key else None
        self._origins = origins

    def check(self, scope: Scope) -> None:
        """UnauthorizedError without the key, ForbiddenError for what another site makes a browser send."""
        headers = dict(scope["headers"])
        if self._key is None:
            _check_host(headers.get(b"host", b""))
        elif not hmac.compare_digest(_credential(headers.get(b"authorization", b"")), self._key):
            hint = "is not this server's" if b"authorization" in headers else "is missing"
            raise UnauthorizedError(
                f"the key {hint}: send it as `Authorization: Bearer …`, or as the password of Basic"
            )
        origin = headers.get(b"origin")
        if scope["method"] in SAFE_METHODS:
            if scope["path"].startswith(API) and headers.get(b"sec-fetch-site") in _FOREIGN:
                self._check_page(origin or _origin_of(headers.get(b"referer", b"")))
        elif origin is not None and origin not in self._origins:
            _check_origin(origin, headers.get(b"host", b""))

    def _check_page(self, origin: bytes) -> None:
        """Without CORS a page cannot read an answer, but it can have a browser ask for what costs money."""
        if origin not in self._origins:
            raise ForbiddenError(f"{origin.decode('latin-1') or 'another site'!r} may not have a browser ask for this")


def _check_host(host: bytes) -> None:
    """A name that merely leads to this machine may be a trick of another site."""
    if not _is_this_machine(host):
        shown = host.decode("latin-1")
        raise ForbiddenError(f"a server without a key answers this machine only, not {shown!r}; set server.key")


def _check_origin(origin: bytes, host: bytes) -> None:
    """A browser sends what it knows of this server along with forms of other sites."""
    if _authority(origin) != host:
        raise ForbiddenError(f"a page of {origin.decode('latin-1')!r} may not do this: it is another site")


@lru_cache(64)
def _is_this_machine(host: bytes) -> bool:
    try:
        name = urlsplit(b"//" + host).hostname or b""
    except ValueError:
        return False
    try:
        return ip_address(name.decode("latin-1")).is_loopback
    except ValueError:
        return name == b"localhost" or name.endswith(b".localhost")


def _origin_of(url: bytes) -> bytes:
    try:
        split = urlsplit(url)
    except ValueError:
        return b""
    return b"%s://%s" % (split.scheme, split.netloc) if split.netloc else b""


def _authority(origin: bytes) -> bytes | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _credential(authorization: bytes) -> bytes:
    """The token of a Bearer header, the password of a Basic one."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""
