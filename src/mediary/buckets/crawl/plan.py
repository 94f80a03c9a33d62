"""`downloads.json`: what is to be fetched into a bucket, and how gently."""

import re
from difflib import get_close_matches
from typing import Annotated

from msgspec import DecodeError, Meta, Struct, ValidationError, json
from yarl import URL

from mediary.buckets.naming import DOWNLOADS
from mediary.errors import BadRequestError, FieldError, TooLargeError
from mediary.net.guard import parse_url
from mediary.net.urls import MAX_URL

MAX_BYTES = 1024 * 1024


class Download(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of `downloads.json`.

    Links are followed to `max_depth` (0: only these URLs), within the sites of these URLs unless `same_site` is false.
    Two requests to one host are `delay` seconds apart, `group_size` run at the same time, each for `timeout` seconds at
    most, through `proxy` if one is named. With `refresh`, each read of the bucket asks for them again.
    """

    url: str | None = None
    urls: tuple[str, ...] = ()
    max_depth: Annotated[int, Meta(ge=0, le=16)] = 0
    delay: Annotated[float, Meta(ge=0, le=60)] = 1.0
    group_size: Annotated[int, Meta(ge=1, le=16)] = 5
    timeout: Annotated[float, Meta(gt=0, le=300)] = 30.0
    proxy: str | None = None
    same_site: bool = True
    refresh: bool = False

    @property
    def starts(self) -> tuple[str, ...]:
        """All URLs of the entry."""
        return (() if self.url is None else (self.url,)) + self.urls


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<name>.*)`$", re.DOTALL)


def parse_downloads(data: bytes) -> list[Download]:
    """The entries of a `downloads.json`, which is a list or a single entry.

    FieldError names the key that is wrong, BadRequestError and TooLargeError say what else is.
    """
    if len(data) > MAX_BYTES:
        raise TooLargeError(f"a {DOWNLOADS} has at most {MAX_BYTES} bytes")
    single = data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    try:
        text = data.decode("utf-8-sig")
        found = [json.decode(text, type=Download)] if single else json.decode(text, type=list[Download])
    except ValidationError as error:
        raise _explained(str(error)) from None
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequestError(f"{DOWNLOADS} is not JSON") from None
    if not found:
        raise BadRequestError(f'{DOWNLOADS} names no URL; an entry is {{"url": "https://…"}}')
    for number, entry in enumerate(found):
        _check(entry, "" if single else f"[{number}].")
    return found


def _explained(problem: str) -> FieldError:
    """What msgspec found wrong, under the name of the key."""
    match = _AT.match(problem)
    assert match
    what, path = match["what"], (match["path"] or "").lstrip(".")
    unknown = _UNKNOWN.search(what)
    if not unknown:
        return FieldError(path or DOWNLOADS, what)
    name = unknown["name"]
    near = get_close_matches(name, Download.__struct_fields__, n=1)
    known = f"did you mean {near[0]}?" if near else f"known are {', '.join(Download.__struct_fields__)}"
    return FieldError(".".join(filter(None, (path, name))), f"there is no such key; {known}")


def _check(entry: Download, where: str) -> None:
    """FieldError unless all URLs of an entry are such."""
    if not entry.starts:
        raise FieldError(f"{where}url", "an entry names a `url`, or several `urls`")
    for url in entry.starts:
        if problem := _problem(url):
            raise FieldError(f"{where}{'url' if url == entry.url else 'urls'}", problem)
    if entry.proxy is not None and not _is_proxy(entry.proxy):
        # Never repeated: it may hold a password.
        raise FieldError(f"{where}proxy", "a proxy is given as http://host:port")


def _problem(url: str) -> str | None:
    """Why this is no URL to fetch; whether its address may be reached, the guard says when it is fetched."""
    try:
        parsed = parse_url(url)
    except BadRequestError as error:
        return error.message
    if parsed.scheme not in ("http", "https") or not parsed.raw_host:
        return f"{url[:100]!r} is no http(s) URL"
    if "@" in parsed.raw_authority:
        return "a URL with a user name or a password in it is not fetched"
    return f"a URL has at most {MAX_URL} characters" if len(url) > MAX_URL else None


def _is_proxy(proxy: str) -> bool:
    try:
        url = URL(proxy)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.raw_host)
