"""One stored file as an HTTP answer: conditional requests, ranges and headers, as RFC 9110 has them."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from itertools import pairwise
from typing import Protocol
from urllib.parse import quote

from mediary.errors import PreconditionFailedError, RangeNotSatisfiableError
from mediary.formats import Format
from mediary.server.protocol import Receive, Send

Headers = list[tuple[bytes, bytes]]
Span = tuple[int, int]
"""Bytes from the first number up to the second, exclusive."""

_CONDITIONS = frozenset(
    {b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"}
)
_IN_304 = frozenset({b"etag", b"last-modified", b"cache-control", b"vary"})
_ENTITY_TAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_RANGE = re.compile(rb"(\d*)-(\d*)")
_MAX_RANGES = 64
_MAX_DIGITS = 18  # more than any file has bytes; Python refuses to read numbers of thousands of digits
_WATCHED_BYTES = 4 * 1024 * 1024
_ATTR_CHAR = "!#$&+-.^_`|~"  # what RFC 8187 leaves as it is, beside letters and digits


@dataclass(slots=True, frozen=True)
class FileFacts:
    """What an answer says of a file: `headers` are those of the whole file, shown and not downloaded."""

    name: str
    size: int
    modified: int
    etag: bytes
    last_modified: bytes
    media_type: bytes
    headers: Headers


class Body(Protocol):
    """Where the bytes of an answer come from."""

    @property
    def facts(self) -> FileFacts:
        """What is known of the file."""
        ...

    def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces; StoreError if there are fewer."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def file_facts(name: str, size: int, modified: float, etag: str, detected: Format | None) -> FileFacts:
    """The facts of a file; what is none of the media formats becomes an attachment that can run no script."""
    # A time in the future, or one that no calendar has, must not reach a header.
    seconds = min(max(int(modified), 0), int(time.time()))
    tag = b'"' + etag.encode("ascii") + b'"'
    last_modified = formatdate(seconds, usegmt=True).encode("ascii")
    media_type = (detected.media_type if detected else "application/octet-stream").encode("ascii")
    headers = [
        (b"content-type", media_type),
        (b"content-length", b"%d" % size),
        (b"content-disposition", disposition(name, attachment=detected is None)),
        (b"accept-ranges", b"bytes"),
        (b"etag", tag),
        (b"last-modified", last_modified),
        (b"cache-control", b"public, max-age=31536000, immutable"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if detected is None:
        headers.append((b"content-security-policy", b"sandbox"))
    return FileFacts(name, size, seconds, tag, last_modified, media_type, headers)


def disposition(name: str, *, attachment: bool) -> bytes:
    """`Content-Disposition` with a name of any script (RFC 6266)."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    value = f'{"attachment" if attachment else "inline"}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"
    return value.encode("ascii")


def conditions(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers of a request that ask for less than the whole file; a repeated one is one list."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _CONDITIONS:
            found[name] = found[name] + b", " + value if name in found else value
    return found


def is_unmodified(asked: dict[bytes, bytes], facts: FileFacts) -> bool:
    """Whether the client has this very file (304); PreconditionFailedError if it wanted another one.

    The order is that of RFC 9110, section 13.2.2: an entity tag outweighs a date.
    """
    if (tags := asked.get(b"if-match")) is not None:
        if not _has_tag(tags, facts.etag, weak=False):
            raise PreconditionFailedError("the file is not the one in If-Match")
    elif (since := _seconds(asked.get(b"if-unmodified-since"))) is not None and facts.modified > since:
        raise PreconditionFailedError("the file changed after If-Unmodified-Since")
    if (tags := asked.get(b"if-none-match")) is not None:
        return _has_tag(tags, facts.etag, weak=True)
    since = _seconds(asked.get(b"if-modified-since"))
    return since is not None and facts.modified <= since


def wanted_ranges(asked: dict[bytes, bytes], facts: FileFacts) -> list[Span] | None:
    """The ranges to answer with, None for the whole file; RangeNotSatisfiableError if none of them exists."""
    header = asked.get(b"range")
    if header is None:
        return None
    # Equality is the strong comparison: a weak tag and a mere later date are other validators.
    if asked.get(b"if-range", facts.etag) not in (facts.etag, facts.last_modified):
        return None
    return parse_ranges(header, facts.size)


def parse_ranges(header: bytes, size: int) -> list[Span] | None:
    """A `Range` header as spans of a file of `size` bytes; None where it is to be ignored.

    Ignored are other units, malformed headers and too many ranges. Overlapping ranges are answered once, in order.
    """
    unit, _, specs = header.partition(b"=")
    if unit.strip().lower() != b"bytes":
        return None
    fields = [field for field in (field.strip(b" \t") for field in specs.split(b",")) if field]
    if not 0 < len(fields) <= _MAX_RANGES:
        return None
    spans = []
    for field in fields:
        span = _span(field, size)
        if span is None:
            return None
        if span[0] < span[1]:
            spans.append(span)
    if not spans:
        raise RangeNotSatisfiableError(size)
    return _coalesced(spans)


def _span(field: bytes, size: int) -> Span | None:
    """One range as a span, empty if it does not exist in the file; None if it is malformed."""
    match = _RANGE.fullmatch(field)
    if match is None or field == b"-":
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - _number(last)), size
    end = _number(last) + 1 if last else size
    if last and end <= _number(first):
        return None
    return _number(first), min(end, size)


def _number(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _coalesced(spans: list[Span]) -> list[Span]:
    """The spans as they were asked for; in order and joined if any two overlap."""
    ordered = sorted(spans)
    if all(before[1] <= after[0] for before, after in pairwise(ordered)):
        return spans
    joined = ordered[:1]
    for start, end in ordered[1:]:
        if start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _has_tag(header: bytes, etag: bytes, *, weak: bool) -> bool:
    if header.strip() == b"*":
        return True
    return any(tag == etag and (weak or not prefix) for prefix, tag in _ENTITY_TAG.findall(header))


def _seconds(date: bytes | None) -> int | None:
    """An HTTP date, in any of its three forms, as Unix seconds; None if it is none."""
    if date is None:
        return None
    try:
        parsed = parsedate_to_datetime(date.decode("latin-1"))
    except (ValueError, OverflowError):
        return None
    return int(parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp())


async def send_file(
    body: Body, asked: dict[bytes, bytes], receive: Receive, send: Send, *, head: bool, download: bool = False
) -> None:
    """Answer a GET or HEAD of this file: whole, in ranges or not at all, as the conditions of the request want it."""
    facts = body.facts
    headers = facts.headers
    if download:
        headers = _with(headers, (b"content-disposition", disposition(facts.name, attachment=True)))
    if is_unmodified(asked, facts):
        await _send_empty(send, 304, [header for header in headers if header[0] in _IN_304])
        return
    ranges = None if head else wanted_ranges(asked, facts)  # RFC 9110, 14.2: Range is for GET alone
    if head:
        await _send_empty(send, 200, headers)
    elif ranges is None:
        await _send(body.read(0, facts.size), facts.size, 200, headers, receive, send)
    elif len(ranges) == 1:
        await _send_range(body, ranges[0], headers, receive, send)
    else:
        await _send_parts(body, ranges, headers, receive, send)


async def _send_empty(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_range(body: Body, span: Span, headers: Headers, receive: Receive, send: Send) -> None:
    start, end = span
    headers = _with(
        headers, (b"content-length", b"%d" % (end - start)), (b"content-range", _content_range(span, body.facts.size))
    )
    await _send(body.read(start, end), end - start, 206, headers, receive, send)


async def _send_parts(body: Body, ranges: list[Span], headers: Headers, receive: Receive, send: Send) -> None:
    """Several ranges as `multipart/byteranges`."""
    facts = body.facts
    boundary = secrets.token_hex(16).encode("ascii")
    opening = b"\r\n--%s\r\ncontent-type: %s\r\ncontent-range: %s\r\n\r\n"
    openings = [opening % (boundary, facts.media_type, _content_range(span, facts.size)) for span in ranges]
    closing = b"\r\n--%s--\r\n" % boundary

    async def pieces() -> AsyncGenerator[bytes, None]:
        for text, (start, end) in zip(openings, ranges, strict=True):
            yield text
            async with aclosing(body.read(start, end)) as part:
                async for piece in part:
                    yield piece
        yield closing

    length = len(closing) + sum(map(len, openings)) + sum(end - start for start, end in ranges)
    headers = _with(
        headers,
        (b"content-type", b"multipart/byteranges; boundary=" + boundary),
        (b"content-length", b"%d" % length),
    )
    await _send(pieces(), length, 206, headers, receive, send)


async def _send(
    pieces: AsyncGenerator[bytes, None], length: int, status: int, headers: Headers, receive: Receive, send: Send
) -> None:
    """Send a body of `length` bytes; a large one is given up when the client goes away."""
    gone = asyncio.ensure_future(_disconnect(receive)) if length > _WATCHED_BYTES else None
    left = length
    try:
        async with aclosing(pieces):
            piece = await anext(pieces, b"")  # first: what fails here can still become an error's answer
            await send({"type": "http.response.start", "status": status, "headers": headers})
            while gone is None or not gone.done():
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
                if left <= 0:
                    break
                if gone is not None:
                    # What is sent to nobody returns at once: let others, and `gone`, have a turn.
                    await asyncio.sleep(0)
                piece = await anext(pieces)
    finally:
        if gone is not None:
            gone.cancel()


async def _disconnect(receive: Receive) -> None:
    """Wait until the client is gone. `send` does not tell: it drops what nobody receives."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _content_range(span: Span, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (span[0], span[1] - 1, size)


def _with(headers: Headers, *replacing: tuple[bytes, bytes]) -> Headers:
    """The headers with some of them replaced, or added."""
    replaced = {name for name, _ in replacing}
    return [*(header for header in headers if header[0] not in replaced), *replacing]
