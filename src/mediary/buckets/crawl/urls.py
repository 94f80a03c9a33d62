"""The URLs of a crawl: what is of one site, and how what they bring is named."""

import mimetypes
import posixpath
import re
from collections.abc import Mapping
from contextlib import suppress
from email.message import Message
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from yarl import URL

from mediary.buckets.naming import DOWNLOADS
from mediary.names import secure_filename
from mediary.net.urls import media_type

_PAGES = re.compile(r"\.(?:x?html?|php\d?|aspx?|jspx?|cfm|cgi|md)$", re.IGNORECASE)
_MAX_STEM = 80  # bytes; names made of it get numbers and extensions
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}")
_EXTENDED = re.compile(r"""filename\*\s*=\s*"?([\w-]+)'[^']*'([^;"]+)""", re.IGNORECASE)
_FITTING = {
    "image/jpeg": ".jpg",
    "application/octet-stream": "",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/xml": ".xml",
}


def site(url: str) -> str:
    """What tells sites apart: the host, with or without `www.`, and the port where it is an unusual one."""
    parsed = URL(url)
    host = (parsed.raw_host or "").rstrip(".").removeprefix("www.")
    return host if parsed.is_default_port() else f"{host}:{parsed.port}"


def origin(url: str) -> str:
    """Scheme, host and port: what has a robots.txt."""
    return str(URL(url).origin())


def host(url: str) -> str:
    """Whose turn it is to be asked: the host, and the port where it is an unusual one."""
    return urlsplit(url).netloc


def page_name(url: str) -> str:
    """The name of a page's document: `https://example.com/docs/intro.html` is `example.com_docs_intro.md`."""
    parsed = urlsplit(url)
    path = _PAGES.sub("", unquote(parsed.path).rstrip("/"))
    told = "_".join(filter(None, [_host(url), *path.split("/"), unquote(parsed.query)]))
    return f"{_stem(told, url)}.md"


def file_name(url: str, headers: Mapping[str, str]) -> str:
    """The name of a file: as its server says, else the last part of its path, with the extension of its type."""
    path = unquote(urlsplit(url).path).rstrip("/")
    # A path may be in a name that a server says, too, of this system or another.
    name = (_disposition(headers) or path).replace("\\", "/").rpartition("/")[2] or _host(url)
    stem, extension = posixpath.splitext(_PAGES.sub("", name))
    if not _EXTENSION.fullmatch(extension) or name == _host(url):
        stem, extension = f"{stem}{extension}", _extension(headers)
    name = f"{_stem(stem, url)}{extension}"
    # Under its own name it would say what this bucket is to fetch.
    return f"{_stem(_host(url), url)}_{name}" if secure_filename(name).lower() == DOWNLOADS else name


def _host(url: str) -> str:
    parsed = URL(url)
    host = (parsed.host or "").removeprefix("www.")
    return host if parsed.is_default_port() else f"{host}_{parsed.port}"


def _stem(told: str, url: str) -> str:
    """A name that is safe; a long one is cut, and told from others by a hash of its URL."""
    safe = secure_filename(told)
    digest = sha256(url.encode()).hexdigest()[:8]
    if len(told.encode(errors="replace")) > _MAX_STEM or not safe:
        safe = "_".join(filter(None, (safe.encode()[: _MAX_STEM - 9].decode(errors="ignore"), digest)))
    return safe


def _disposition(headers: Mapping[str, str]) -> str | None:
    """The file name of Content-Disposition, in either of its forms."""
    message = Message()
    message["content-disposition"] = " ".join(headers.get("content-disposition", "").split())
    if extended := _EXTENDED.search(message["content-disposition"]):
        with suppress(LookupError):
            return unquote(extended[2].strip(), extended[1])
    return message.get_filename()


def _extension(headers: Mapping[str, str]) -> str:
    kind = media_type(headers)
    found = _FITTING.get(kind)
    return found if found is not None else mimetypes.guess_extension(kind) or ""
