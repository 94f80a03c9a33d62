"""Finds the media items that a chat shows: their URLs, wherever they stand in it."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

import msgspec

from mediary.names import MAX_NAME_BYTES

# In JSON, some write a slash with a backslash before it.
_SLASH = r"\\?/"
_OF_BUCKET = rf'files{_SLASH}[^\s"/\\]+{_SLASH}(?:media|thumbnail)'
# A name ends where its URL does: in JSON, HTML, Markdown or a sentence.
_NAME = r"""(?P<name>(?:[^\s"'()<>?#/\\\[\]|`]|\\u[0-9a-fA-F]{4})+)"""
_URL = re.compile(rf"{_SLASH}(?:(?P<bucket>{_OF_BUCKET})|media|images|thumbnail){_SLASH}{_NAME}")
_END_OF_SENTENCE = ".,;:!*_~"


def shown_items(chat: str) -> Iterator[str]:
    """The names of the library's items that a chat, as JSON, has URLs of; one may come several times.

    `/media/…`, `/images/…` and `/thumbnail/…` count, with or without a host. Files of buckets are not the library's.
    """
    for found in _URL.finditer(chat):
        if found["bucket"]:
            continue
        name = unquote(_unescaped(found["name"])).rstrip(_END_OF_SENTENCE)
        if name and name.isprintable() and len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES:
            yield name


def _unescaped(text: str) -> str:
    r"""A part of a JSON string, with its `\u…` read."""
    if "\\" not in text:
        return text
    try:
        return msgspec.json.decode(f'"{text}"', type=str)
    except msgspec.DecodeError:  # half of a character
        return ""
