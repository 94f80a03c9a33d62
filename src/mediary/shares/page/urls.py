"""Which URLs of a chat its page may have: our own media to show, and the web to link to."""

import re
from urllib.parse import urlsplit

_OWN = re.compile(r"/(?:(?:media|images|thumbnail)/[^/\\]+|files/[^/\\]+/(?:media|thumbnail)/[^/\\]+)")
_OF_A_LIBRARY = re.compile(r"/[0-9]{10}_[^/]*[0-9a-f]{16}(?:-[0-9]+)?\.[a-z0-9]+\Z")
_LINK = re.compile(r"https?://|[^:/?#]*(?:[/?#]|\Z)", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=%]+\Z", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\x9f]")


def own_path(url: str, host: str) -> str | None:
    """The path of a media file of this server, if that is what a URL means; `host` is the server's name.

    Some clients write the server's address before it, which may have changed: what is named as libraries name their
    files is ours all the same.
    """
    try:
        split = urlsplit(url)
    except ValueError:
        return None
    if not _OWN.fullmatch(split.path) or split.scheme not in ("", "http", "https"):
        return None
    is_here = split.netloc in ("", host)
    return split.path if is_here or _OF_A_LIBRARY.search(split.path) else None


def is_link(url: str) -> bool:
    """Whether a page may link there: http, https, or a path of this server."""
    return _LINK.match(_UNSEEN.sub("", url)) is not None


def is_picture(url: str) -> bool:
    """Whether a URL is a picture by itself."""
    return _PICTURE.match(url) is not None
