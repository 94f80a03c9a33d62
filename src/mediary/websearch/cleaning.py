"""What strangers wrote, made harmless to show and to read: plain words, and URLs that lead where they say."""

import html
import re
import unicodedata
from collections.abc import Iterable

from mediary.net.urls import normalise
from mediary.websearch.base import Result

MAX_TITLE = 160
"""Characters of a title."""
MAX_SNIPPET = 1200
"""Characters of a snippet."""

# Marks that turn the direction of writing, are seen by nobody, or spell out words in invisible letters. Those that join
# and part letters stay: Persian and emojis need them.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_LINES = re.compile(r"\n{3,}")


def visible(text: str) -> str:
    """A text of several lines without what no reader sees."""
    plain = _CONTROLS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _LINES.sub("\n\n", _UNSEEN.sub("", unicodedata.normalize("NFC", plain)))


def line(text: str, most: int) -> str:
    """A text on one line, cut to `most` characters."""
    whole = " ".join(visible(text[: 8 * most]).split())
    return whole if len(whole) <= most else f"{whole[: most - 1].rstrip()}…"


def cleaned(results: Iterable[Result]) -> list[Result]:
    """Results with http(s) URLs, each once, and without the markup that some engines write into their texts."""
    found: dict[str, Result] = {}
    for result in results:
        url = normalise(result.url.strip())
        if url and url not in found:
            title = line(_bare(result.title), MAX_TITLE) or url
            found[url] = Result(url, title, line(_bare(result.snippet), MAX_SNIPPET))
    return list(found.values())


def _bare(text: str) -> str:
    """Without tags, and with the characters that entities stand for."""
    return html.unescape(_TAG.sub("", text[:20_000]))
