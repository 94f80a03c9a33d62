"""What items are searched by: their words in one text, and the tokens that such a text may hold.

Every search is the question whether a token is a substring of an item's `search_text`, so each database answers alike.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from unicodedata import normalize

from mediary.errors import BadRequestError
from mediary.formats import Kind, by_media_type

if TYPE_CHECKING:
    from mediary.media.item import MediaItem

MAX_FIELD = 16_384
"""Characters of a prompt that are searched; more are kept, and not found."""
MAX_TOKENS = 64

# Control characters part the lines and hide the markers, so no text and no token may hold one. SQLite takes the last
# two for another character.
_BLANKS = dict.fromkeys(map(ord, "\t\n\v\f\r\x85"), " ")
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF))
_STRIPPED = _CONTROLS | _BLANKS

# A media type stands in the text in letters that nobody can type: "image" finds the word, and not every picture.
_LETTERS = "abcdefghijklmnopqrstuvwxyz/-.+0123456789"
_CODES = "".join(map(chr, (*range(0x80, 0x9E), *range(0x0E, 0x18))))
_HIDDEN = str.maketrans(_LETTERS, _CODES)
_SHOWN = str.maketrans(_CODES, _LETTERS)
_TYPE, _TAG = "\x01", "\x02"

_KINDS: tuple[Kind, ...] = ("image", "audio", "video")
_MEDIA_TYPE = re.compile(rf"(?:{'|'.join(_KINDS)})/[a-z0-9.+-]+")


def fold(text: str) -> str:
    """A text as it is compared: composed (NFC), without case and control characters; a line break is a blank."""
    if text.isascii() and text.isprintable():  # as nearly all are
        return text.lower()
    return normalize("NFC", normalize("NFC", text.translate(_STRIPPED)).casefold())


def search_text(item: "MediaItem") -> str:
    """The text that an item is found by: name, prompt, alt and model, a line each, then its tags and its type."""
    lines = (fold(line[:MAX_FIELD]) for line in (item.name, item.prompt, item.alt, item.model or ""))
    tags = f"{_TAG}{''.join(fold(tag) + _TAG for tag in item.tags)}" if item.tags else ""
    # The type comes last: any character before it begins three, which is what an index of trigrams can find.
    return "\n".join(dict.fromkeys(filter(None, lines))) + f"\n{tags}{type_token(item.media_type)}"


def kind_token(kind: Kind) -> str:
    """The token of all items of a kind: the start of their media types, as short as an index of trigrams allows."""
    return _TYPE + kind[:2].translate(_HIDDEN)


def type_token(media_type: str) -> str:
    """The token of all items of a media type."""
    return _TYPE + media_type.translate(_HIDDEN) + _TYPE


def tag_token(tag: str) -> str:
    """The token of all items that bear exactly this tag."""
    return _TAG + fold(tag) + _TAG


def hidden_type(token: str) -> tuple[Kind | None, str | None]:
    """The kind or else the media type that a token stands for, if it is one of these tokens."""
    if not token.startswith(_TYPE):
        return None, None
    shown = token.strip(_TYPE).translate(_SHOWN)
    return (None, shown) if token.endswith(_TYPE) else (next(kind for kind in _KINDS if kind.startswith(shown)), None)


def parse_search(text: str) -> tuple[str, ...]:
    """The tokens of `a+b+c`, as a SearchQuery takes them."""
    return tuple(filter(None, text.split("+")))


def read_tokens(tokens: Iterable[str]) -> tuple[str, ...]:
    """Tokens as `search_text` holds them; the first may name a kind (`image`, `audio`, `video`) or a media type.

    Those of which nothing is left fall away. BadRequestError for more than 64.
    """
    read = tuple(filter(None, map(fold, tokens)))
    if len(read) > MAX_TOKENS:
        raise BadRequestError(f"a search has {MAX_TOKENS} tokens at most, this one has {len(read)}")
    return (*map(_read_first, read[:1]), *read[1:])


def _read_first(token: str) -> str:
    if token in _KINDS:
        return kind_token(token)
    known = by_media_type(token)
    if known or _MEDIA_TYPE.fullmatch(token):
        return type_token(known.media_type if known else token)
    return token
