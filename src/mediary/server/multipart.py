"""Multipart forms part by part, straight from the request's body: nothing is gathered, in memory or on disk."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from mediary.errors import BadRequestError, MediaryError
from mediary.server.limits import Body

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_PARTS = 10_000
MOST_HEADERS = 16
"""Headers of one part."""
LONGEST_HEADER = 8192
"""Bytes of one header of a part; the file's name is in one."""
PIECE = 128 * 1024
"""Bytes that are parsed at a time: if they are full of almost-boundaries, that takes a while."""
CRUMB = 4096
"""Pieces of data that are smaller are handed out together."""

# Some programs send names beyond ASCII so, though forms should not have it (RFC 7578, 4.2).
_extended_name = re.compile(rb";\s*filename\*=utf-8''([^;\s]+)", re.IGNORECASE)


@dataclass(slots=True, frozen=True)
class Part:
    """A field or, where it bears a file's name, a file.

    `chunks` are its bytes, to be had until the next part; what nobody takes of them is passed over.
    """

    field: str
    filename: str | None
    content_type: str
    chunks: AsyncGenerator[bytes, None]


@dataclass(slots=True, frozen=True)
class _Heading:
    """The beginning of a part."""

    field: str
    filename: str | None
    content_type: str


@dataclass(slots=True, frozen=True)
class _End:
    """The end of a part."""


async def read_parts(content_type: bytes, body: Body) -> AsyncGenerator[Part, None]:
    """The parts of a form in order, each as soon as its headers are here.

    BadRequestError if this is no form, breaks a limit or ends too early, and what `body` raises. If that happens within
    a file, its `chunks` raise it, and so does the step to the next part.
    """
    form = _Form(content_type, body)
    while (heading := await form.next_heading()) is not None:
        async with aclosing(form.rest_of_part()) as chunks:
            yield Part(heading.field, heading.filename, heading.content_type, chunks)


class _Form:
    """A form on its way in: what has been parsed of it and is not taken yet."""

    def __init__(self, content_type: bytes, body: Body) -> None:
        self._body = body
        self._parser = _parser(content_type, self._callbacks())
        self._parsed: deque[_Heading | bytes | _End] = deque()
        self._parts = 0
        self._name, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._crumbs: list[bytes] = []
        self._piece, self._at, self._last = b"", 0, False
        self._failure: MediaryError | None = None

    async def next_heading(self) -> _Heading | None:
        """The beginning of the next part; None behind the last one."""
        while (parsed := await self._next()) is not None:
            if isinstance(parsed, _Heading):
                return parsed
        return None

    async def rest_of_part(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the part that has begun."""
        while isinstance(parsed := await self._next(), bytes):
            yield parsed

    async def _next(self) -> _Heading | bytes | _End | None:
        while not self._parsed:
            if self._failure is not None:
                raise self._failure
            if self._last and self._at >= len(self._piece):
                return None
            try:
                await self._parse()
            except FormParserError as error:
                self._failure = BadRequestError(f"the form cannot be read: {error}")
            except MediaryError as error:
                self._failure = error
        return self._parsed.popleft()

    async def _parse(self) -> None:
        """Parse what comes next of the body."""
        if self._at >= len(self._piece):
            message = await self._body.receive()
            self._piece, self._at = message.get("body", b""), 0
            self._last = not message.get("more_body", False)
        else:
            await asyncio.sleep(0)  # others, too, have work to do
        self._parser.write(self._piece[self._at : self._at + PIECE])
        self._at += PIECE
        self._sweep()
        if self._last and self._at >= len(self._piece) and self._parser.state != MultipartState.END:
            raise BadRequestError("the form ends before its last boundary")

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._take_name,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._take_data,
            "on_part_end": self._end_part,
        }

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadRequestError(f"a form may have {MOST_PARTS} parts at most")
        self._headers = {}

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _end_headers(self) -> None:
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self._parsed.append(_Heading(*_names(self._headers.get(b"content-disposition", b"")), content_type))

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if end - start < CRUMB:
            self._crumbs.append(data[start:end])
        else:
            self._sweep()
            self._parsed.append(data[start:end])

    def _end_part(self) -> None:
        self._sweep()
        self._parsed.append(_End())

    def _sweep(self) -> None:
        if self._crumbs:
            self._parsed.append(b"".join(self._crumbs))
            self._crumbs.clear()


def _parser(content_type: bytes, callbacks: "MultipartCallbacks") -> MultipartParser:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise BadRequestError("the body must be a form: multipart/form-data")
    if not options.get(b"boundary"):
        raise BadRequestError("the form's Content-Type names no boundary")
    try:
        return MultipartParser(
            options[b"boundary"], callbacks, max_header_count=MOST_HEADERS, max_header_size=LONGEST_HEADER
        )
    except FormParserError as error:
        raise BadRequestError(f"the form cannot be read: {error}") from None


def _names(disposition: bytes) -> tuple[str, str | None]:
    """The names of the field and, where it is one, of the file."""
    _, options = parse_options_header(disposition)
    if b"name" not in options:
        raise BadRequestError("the form cannot be read: a part has no name")
    if b"filename" in options:
        return _text(options[b"name"]), _text(options[b"filename"])
    extended = _extended_name.search(disposition)
    return _text(options[b"name"]), unquote(extended[1].decode("latin-1")) if extended else None


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")
