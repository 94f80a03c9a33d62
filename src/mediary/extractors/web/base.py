"""What a web page says."""

from msgspec import Struct

MAX_LINK = 2048
"""Characters of a URL; longer ones are left out."""


class Page(Struct, frozen=True, kw_only=True):
    """What a page says: `text` is Markdown and empty where there is none.

    `links` are the whole URLs that may be followed, each once, without fragments.
    """

    text: str = ""
    title: str | None = None
    author: str | None = None
    language: str | None = None
    links: tuple[str, ...] = ()
