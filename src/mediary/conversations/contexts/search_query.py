"""What the web is searched for: the question's last text without its marks, shortened, with what it follows up."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from mediary.conversations.request import CONTINUE
from mediary.passages.rank import terms_of
from mediary.providers.base import Message, Text
from mediary.sentences import sentences
from mediary.websearch.cleaning import visible

MAX_QUERY = 300
"""Characters of a query; engines take about four hundred."""
MAX_WORDS = 40
"""Words of it; engines take about fifty."""

_LOOKED_AT = 8000  # characters, at the beginning of a text and at its end
_LOOKED_BACK = 20  # questions
_CODE = re.compile(r"(```|~~~).*?(\1|\Z)", re.DOTALL)
_PICTURE = re.compile(r"!\[[^\]\n]{0,500}\]\([^)\n]{0,2000}\)")
_LINK = re.compile(r"\[([^\]\n]{1,500})\]\([^)\n]{0,2000}\)")
_MARKS = re.compile(r"[`*~|<>#]+|(?<!\w)_+|_+(?!\w)|^[^\S\n]*[-+]\s+", re.MULTILINE)
_ASKS = re.compile(r"[?？؟⸮՞፧]\W*$")  # noqa: RUF001 - of other scripts
_FOLLOWS = re.compile(
    r"(?:and|or|but|what about|how about|und|oder|aber|et|ou|mais|y|pero|ma|maar|и|или|но)\b", re.IGNORECASE
)


def query_of(wanted: bool | str, messages: Sequence[Message]) -> str:
    """The query itself if the request has one, else that of the question; empty where there is no text. It blocks.

    A question that begins with "and" or the like, or has no more than one word that tells what it is about, is
    searched for together with the last one before it that is no such.
    """
    if isinstance(wanted, str) and wanted.strip():
        return _cut(wanted)
    asked = _own_texts(messages)
    last = next(asked, "")
    if not last or not _follows_up(last):
        return last
    before = next((text for text in islice(asked, _LOOKED_BACK) if not _follows_up(text)), "")
    return f"{_cut(before, MAX_QUERY - len(last) - 1, MAX_WORDS - len(last.split()))} {last}".strip()


def _own_texts(messages: Sequence[Message]) -> Iterator[str]:
    """What the user asked, the last first, each as a query."""
    for message in reversed(messages):
        if message.role == "user":
            own = "\n".join(part.text for part in message.parts if isinstance(part, Text) and part.source is None)
            if own != CONTINUE and (text := _shortened(own)):
                yield text


def _shortened(text: str) -> str:
    """A text as a query; of a long one the last sentence that asks, else how it begins."""
    if len(text) > 2 * _LOOKED_AT:
        text = f"{text[:_LOOKED_AT]}\n{text[-_LOOKED_AT:]}"
    plain = _MARKS.sub(" ", _LINK.sub(r"\1", _PICTURE.sub(" ", _CODE.sub("\n\n", text))))
    whole = " ".join(plain.split())
    if len(whole) > MAX_QUERY or whole.count(" ") >= MAX_WORDS:
        found = list(sentences(plain))
        asking = [sentence for sentence in found if _ASKS.search(sentence)]
        whole = asking[-1] if asking else " ".join(found[:3])
    return _cut(whole)


def _cut(text: str, most: int = MAX_QUERY, most_words: int = MAX_WORDS) -> str:
    """A text on one line, as far as whole words go; of a word that is longer than all, how it begins."""
    whole = " ".join(visible(text[: 8 * MAX_QUERY]).split()[: max(0, most_words)])
    begin = whole[: max(0, most)]
    return begin if begin == whole else begin.rpartition(" ")[0] or begin


def _follows_up(text: str) -> bool:
    return bool(_FOLLOWS.match(text)) or len(terms_of(text)) <= 1
