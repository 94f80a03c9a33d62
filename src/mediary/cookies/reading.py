"""Reads the files that people bring their cookies in: JSON lists and objects, Netscape files, HAR files."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from mediary.cookies.cookie import Cookie, is_within
from mediary.errors import BadRequestError, FieldError, TooLargeError

MAX_COOKIES = 3000
MAX_LIST = 16 * 1024**2
"""Bytes of a file that holds cookies and nothing else; a HAR file has all that went to and fro."""
MAX_COOKIE = 16_384
"""Characters of a name and a value together."""
NETSCAPE_FIELDS = 7
_HTTP_ONLY = "#HttpOnly_"

_domain = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|\[?[0-9a-f:.]+\]?", re.ASCII)
_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_value = re.compile(r"[\x21-\x3a\x3c-\x7e ]*", re.ASCII)


@dataclass(slots=True, frozen=True)
class Found:
    """What a file held; `authorization` is that header by host, as a HAR file has it."""

    cookies: Sequence[Cookie]
    authorization: dict[str, str] = field(default_factory=dict, repr=False)


class _Listed(Struct, rename="camel"):
    """A cookie as browsers' extensions and test tools write it."""

    name: str
    value: str
    domain: str | None = None
    path: str | None = None
    expires: float | str | None = None
    expiration_date: float | None = None
    secure: bool | None = None
    host_only: bool | None = None


class _Stored(Struct):
    """The state of a browser as Playwright writes it."""

    cookies: list[_Listed]


class _Header(Struct):
    name: str = ""
    value: str = ""


class _HarCookie(Struct):
    name: str = ""
    value: str = ""
    domain: str | None = None
    path: str | None = None
    expires: str | None = None
    secure: bool | None = None


class _Exchanged(Struct, frozen=True):
    """A request or an answer."""

    url: str = ""
    cookies: list[_HarCookie] = []
    headers: list[_Header] = []


class _Entry(Struct):
    request: _Exchanged = _Exchanged()
    response: _Exchanged = _Exchanged()


class _Log(Struct):
    entries: list[_Entry] = []


class _Har(Struct):
    log: _Log


_json = msgspec.json.Decoder(list[_Listed] | dict[str, msgspec.Raw], strict=False)
_stored = msgspec.json.Decoder(_Stored, strict=False)
_named = msgspec.json.Decoder(dict[str, str], strict=False)
_har = msgspec.json.Decoder(_Har, strict=False)


def read_cookies(name: str, content: bytes, known: Iterable[str] = (), domain: str | None = None) -> Found:
    """The cookies of a file; BadRequestError says what is wrong with it.

    A name→value object belongs to `domain`, or else to the one that the file is named after. Of a HAR file only what
    belongs to the `known` hosts is taken.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix != ".har" and len(content) > MAX_LIST:
        raise TooLargeError(f"{name} has {len(content)} bytes; a file of cookies may have {MAX_LIST}")
    match suffix:
        case ".har":
            found = _read_har(content, tuple(known))
        case ".txt":
            found = Found(list(_read_netscape(content)))
        case ".json":
            found = Found(list(_read_json(name, content, domain)))
        case _:
            raise BadRequestError(
                "cookies come as `.json` (a list, or an object of names and values), `.txt` or `.har`"
            )
    kept = [cookie for cookie in found.cookies if not cookie.is_over()]
    if len(kept) > MAX_COOKIES:
        raise BadRequestError(f"{name} holds {len(kept)} cookies, {MAX_COOKIES} at most are taken")
    if not kept and not found.authorization:
        over = "; all of them have ended" if found.cookies else ""
        raise BadRequestError(f"{name} holds no cookies{over}")
    return Found(kept, found.authorization)


def _read_json(name: str, content: bytes, domain: str | None) -> Iterator[Cookie]:
    try:
        decoded = _json.decode(content)
        if isinstance(decoded, dict) and "cookies" in decoded:
            decoded = _stored.decode(content).cookies
        if isinstance(decoded, dict):
            pairs = _named.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"{name} is no list of cookies, and no object of names and values: {error}") from None
    if isinstance(decoded, dict):
        owner = _checked_domain(domain or PurePath(name).stem, given=domain is not None)
        for key, value in pairs.items():
            yield _cookie(key, value, owner)
        return
    for listed in decoded:
        owner = _checked_domain(listed.domain or domain or PurePath(name).stem, given=bool(listed.domain or domain))
        host_only = listed.host_only if listed.host_only is not None else not (listed.domain or "").startswith(".")
        end = _moment(listed.expiration_date if listed.expiration_date is not None else listed.expires)
        yield _cookie(listed.name, listed.value, owner, listed.path, end, secure=listed.secure, host_only=host_only)


def _read_netscape(content: bytes) -> Iterator[Cookie]:
    """Lines of domain, whether subdomains count, path, secure, expiry, name, value, with tabs between."""
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        line = line.removeprefix(_HTTP_ONLY)
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != NETSCAPE_FIELDS:
            raise BadRequestError(
                f"line {number} of the cookie file has {len(fields)} fields and not {NETSCAPE_FIELDS}"
            )
        domain, subdomains, path, secure, expires, name, value = fields
        owner = _checked_domain(domain, given=True)
        yield _cookie(
            name,
            value,
            owner,
            path,
            _moment(expires),
            secure=secure.upper() == "TRUE",
            host_only=subdomains.upper() != "TRUE",
        )


def _read_har(content: bytes, known: Sequence[str]) -> Found:
    try:
        entries = _har.decode(content).log.entries
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"this is no HAR file: {error}") from None
    cookies: dict[tuple[str, str, str], Cookie] = {}
    authorization: dict[str, str] = {}
    for entry in entries:
        host = _host(entry.request.url)
        if not host or not any(is_within(host, one) or is_within(one, host) for one in known):
            continue
        for cookie in _of_entry(entry, host):
            cookies[cookie.key] = cookie
        for header in entry.request.headers:
            if header.name.lower() == "authorization" and _value.fullmatch(header.value):
                authorization[host] = header.value
    if not cookies and not authorization:
        hosts = ", ".join(known) or "none is configured"
        raise BadRequestError(f"the HAR file holds no cookies of a provider that is configured here: {hosts}")
    return Found(list(cookies.values()), authorization)


def _of_entry(entry: _Entry, host: str) -> Iterator[Cookie]:
    """What a request bore, and over it what the answer set."""
    borne = {cookie.name: cookie.value for cookie in entry.request.cookies}
    for header in entry.request.headers:
        # Browsers leave the list empty and write the header, or the other way round.
        if header.name.lower() == "cookie":
            pairs = (pair.partition("=") for pair in header.value.split(";"))
            borne |= {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
    secure = entry.request.url.lower().startswith("https:")
    set_by_answer = [each for each in entry.response.cookies if each.name]
    for name, value in borne.items():
        yield _cookie(name, value, host, secure=secure, host_only=True)
    for each in set_by_answer:
        owner = (each.domain or host).lstrip(".").lower()
        if is_within(host, owner):
            host_only = not each.domain
            end = _moment(each.expires)
            yield _cookie(each.name, each.value, owner, each.path, end, secure=each.secure, host_only=host_only)


def _cookie(
    name: str,
    value: str,
    domain: str,
    path: str | None = None,
    expires: float | None = None,
    *,
    secure: bool | None = False,
    host_only: bool = False,
) -> Cookie:
    """A cookie that can be sent; never shown with its value."""
    if not _token.fullmatch(name):
        raise BadRequestError(f"a cookie of {domain} has a name that no cookie can have")
    if not _value.fullmatch(value) or len(name) + len(value) > MAX_COOKIE:
        raise BadRequestError(f"the cookie {name} of {domain} has a value that cannot be sent")
    path = path if path and path.startswith("/") else "/"
    return Cookie(name, value, domain, path, expires, bool(secure), host_only)


def _checked_domain(said: str, *, given: bool) -> str:
    domain = said.lstrip(".").rstrip(".").lower()
    if not _domain.fullmatch(domain) or (not given and "." not in domain):
        if given:
            raise BadRequestError("a cookie has a domain that is none")
        raise FieldError(
            "domain", "say whose cookies these are: name the file after the domain, `chat.example.com.json`, or send it"
        )
    if "." not in domain and domain != "localhost":
        raise BadRequestError(f"a cookie for all of .{domain} is not taken")
    return domain


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _moment(said: float | str | None) -> float | None:
    """Unix seconds of an expiry; None for a session's, which is written as nothing, 0 or -1."""
    seconds = _seconds(said) if isinstance(said, str) else said
    if seconds is None or not 0 < seconds < 1e13:
        return None
    # Some write milliseconds.
    return seconds / 1000 if seconds > 1e11 else seconds


def _seconds(said: str) -> float | None:
    """A number, or a date as JSON and HAR files have it."""
    try:
        return float(said)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(said).timestamp()
    except (ValueError, OverflowError):
        return None
