"""What an extractor is: a function that runs in a child process and turns a document into Markdown, piece by piece."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from msgspec import Struct

from mediary.formats import Format

Sort = Literal["media", "archive", "document", "text"]


class Facts(Struct, frozen=True, omit_defaults=True):
    """What a document says of itself: `pages` (or slides, sheets), `language` as in BCP 47."""

    title: str | None = None
    author: str | None = None
    pages: int | None = None
    language: str | None = None


class Wanted(Struct, frozen=True, omit_defaults=True):
    """How a document is to be read: its name and type; `language` (BCP 47) is what the uploader said it is in.

    `ocr` is whether text in pictures is to be recognised.
    """

    name: str
    media_type: str
    language: str | None = None
    ocr: bool = True


Piece = str | Facts
"""Markdown, at most a mebibyte of it, or what was learned of the document so far; later facts add to earlier ones."""


class Extract(Protocol):
    """An extractor, registered as `module:function` under `mediary.extractors`; it is imported in the child alone.

    `source` is at its beginning and can seek; there is nothing else that the function could read. It raises
    UnreadableError for what cannot be read; whatever else it raises costs that document alone.
    """

    def __call__(self, source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
        """The text in reading order."""
        ...


@dataclass(slots=True, frozen=True)
class Recognised:
    """What a file is, by its bytes first and its name second.

    `sort` "media" is one of `formats` (then `format` says which), "archive" has members, "text" is plain text or
    Markdown whose bytes are the document's text as they are (UTF-8), "document" needs an extractor: `extractor` is its
    entry-point name.
    """

    sort: Sort
    media_type: str
    format: Format | None = None
    extractor: str | None = None


class Extracts(Protocol):
    """What knows documents, in the parent: `registry.Extractors`."""

    async def recognise(self, path: Path, head: bytes, name: str, *, is_utf8: bool | None = None) -> Recognised:
        """What a file is, by its first bytes and its name; `is_utf8` says whether all of it is, if that is known.

        UnsupportedTypeError says what it is instead, and what is taken; UnreadableError that it is empty or damaged.
        """
        ...

    def extract(self, path: Path, extractor: str, wanted: Wanted, *, seconds: float) -> AsyncGenerator[Piece, None]:
        """The text as it comes, and facts; UnreadableError says why there is none, or no more of it."""
        ...
