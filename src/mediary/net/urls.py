"""URLs as they are written here, and what the headers of an answer say of its body."""

import re
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from mediary.errors import BadRequestError
from mediary.net.guard import parse_url

MAX_URL = 2048
"""Characters of a URL; longer ones are not followed."""


def normalise(url: str, base: str | None = None) -> str | None:
    """The one way to write a URL here: no fragment, no default port, the host in lower case, `/` for no path.

    None for what is not fetched at all: no http(s) URL, one with a password, one that is too long. What tracks people
    stays in a URL: nobody can tell it from what a page needs.
    """
    try:
        parsed = parse_url(urljoin(base, url) if base else url).with_fragment(None)
    except (BadRequestError, ValueError):
        return None
    host = (parsed.raw_host or "").strip(".")
    if parsed.scheme not in ("http", "https") or not host or "@" in parsed.raw_authority:
        return None
    if parsed.explicit_port is not None and parsed.is_default_port():
        parsed = parsed.with_port(None)
    whole = urlsplit(str(parsed))
    text = whole._replace(path=whole.path or "/").geturl()
    return text if len(text) <= MAX_URL else None


def media_type(headers: Mapping[str, str]) -> str:
    """The type that an answer says it is of, without parameters; empty if it does not say."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def charset(headers: Mapping[str, str]) -> str | None:
    """The charset that an answer says its text is in."""
    found = re.search(r"charset\s*=\s*[\"']?([\w.:-]{2,40})", headers.get("content-type", ""), re.IGNORECASE)
    return found[1] if found else None
