"""A chat on its way in: checked, and otherwise kept as it came."""

import hashlib
from dataclasses import dataclass
from unicodedata import normalize

import msgspec
from msgspec import Struct

from mediary.errors import BadRequestError, FieldError, TooLargeError
from mediary.names import MAX_SEGMENT_BYTES, secure_filename
from mediary.shares.pictures import shown_items

LARGEST_TIME = 2**53
"""Beyond it, numbers of JavaScript are not exact."""
MOST_ITEMS = 10_000
"""Media items that a chat may show."""
_LONGEST_ID = 3 * MAX_SEGMENT_BYTES


@dataclass(slots=True, frozen=True)
class Chat:
    """A chat as it came; `updated` is the time that it bears itself, `items` are the media items that it shows."""

    body: bytes
    digest: bytes
    updated: float | None
    items: frozenset[str]


class _Read(Struct):
    """What is read of a chat here."""

    updated: int | float | None = None


_decoder = msgspec.json.Decoder(_Read)


def read_chat(body: bytes) -> Chat:
    """The chat in a JSON body.

    BadRequestError if it is no JSON object, FieldError for an `updated` that is no time, TooLargeError for one that
    shows too many media items.
    """
    try:
        text = body.decode()
        updated = _decoder.decode(body).updated
    except msgspec.ValidationError as error:
        if "updated" in str(error):
            raise FieldError("updated", "must be a number, as JavaScript's Date.now() gives it") from None
        raise BadRequestError("the body must be a JSON object: the chat") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise BadRequestError("the body is nested too deeply") from None
    if updated is not None and not 0 <= updated <= LARGEST_TIME:
        raise FieldError("updated", f"must be a number from 0 to {LARGEST_TIME}")
    items: set[str] = set()
    for name in shown_items(text):
        items.add(name)
        if len(items) > MOST_ITEMS:
            raise TooLargeError(f"a shared chat may show {MOST_ITEMS} media items at most")
    return Chat(body, hashlib.sha256(body).digest(), None if updated is None else float(updated), frozenset(items))


def share_id(raw: str) -> str:
    """The id of a share, which is the safe form of a name; BadRequestError where there is none.

    Nothing is cut, so that two long names are not one share.
    """
    plain = normalize("NFC", raw[:_LONGEST_ID])
    if len(raw) > _LONGEST_ID or len(plain.encode("utf-8", "replace")) > MAX_SEGMENT_BYTES:
        raise BadRequestError(f"the id of a share has at most {MAX_SEGMENT_BYTES} bytes")
    if "/" in plain or "\\" in plain or not (safe := secure_filename(plain)):
        raise BadRequestError("the id of a share has letters or digits, and no slashes")
    return safe


def etag(updated: float | None, revision: int) -> str:
    """The quoted ETag of a chat: its own `updated`, or where it has none the number of its revision."""
    if updated is None:
        return f'"r{revision}"'
    return f'"{int(updated) if updated.is_integer() else updated}"'
