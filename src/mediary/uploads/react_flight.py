"""React Flight: the rows in which a React server answers, and the arguments that its actions take."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

MAX_ROWS = 10_000
MAX_DEPTH = 64
"""How deep values may be nested, references included; what refers to itself is deeper than that."""
MAX_VALUES = 10_000
"""Values that a row may come to, once what it refers to stands in its place."""

# A row of these kinds tells its length and has no line end; all others end with one. Of them only texts (T) are read
# here, the rest are arrays of numbers.
_head = re.compile(rb"([0-9a-f]{0,8}):(?:([TAOobUSsLlGgMmV])([0-9a-f]{1,8}),|(?![TAOUSLGMV])([A-Z#rx]?))")
_reference = re.compile(r"\$@?([0-9a-f]{1,8})((?::[^:]{1,256}){0,64})")
_numbers = {"$Infinity": float("inf"), "$-Infinity": float("-inf"), "$NaN": float("nan"), "$-0": -0.0}


class FlightError(ValueError):
    """A body that cannot be read, or an action that failed; says why."""


class Row(NamedTuple):
    """A row as it came: `kind` is a letter, or nothing where the payload is JSON."""

    kind: bytes
    payload: bytes


def read_row(body: bytes, number: int) -> Any:
    """The value of a row, with what it refers to in its place; FlightError if it cannot be had.

    Values are those of JSON, dates are ISO 8601; what has no such form (a map, a component, bytes) is None.
    """
    reader = _Reader(split_rows(body))
    return reader.whole(reader.row(number), MAX_DEPTH)


def split_rows(body: bytes) -> dict[int, Row]:
    """The rows by their numbers; of two with the same the first. Those without a number are hints, and left out."""
    rows: dict[int, Row] = {}
    at = count = 0
    while at < len(body):
        count += 1
        head = _head.match(body, at)
        if head is None or count > MAX_ROWS:
            raise FlightError(
                f"the answer has more than {MAX_ROWS} rows" if head else f"byte {at} of the answer begins no row"
            )
        number, sized, length, kind = head.groups()
        start = head.end()
        end = start + int(length, 16) if sized else body.find(b"\n", start)
        if not start <= end <= len(body):
            raise FlightError("the answer breaks off in the middle of a row")
        if number:
            rows.setdefault(int(number, 16), Row(sized or kind, body[start:end]))
        at = end if sized else end + 1
    return rows


def write_arguments(arguments: Sequence[str]) -> bytes:
    """The arguments of an action, as the body of its request."""
    return msgspec.json.encode([escape(argument) for argument in arguments])


def escape(text: str) -> str:
    """A text as React writes it, so that it is not taken for a reference."""
    return f"${text}" if text.startswith("$") else text


class _Reader:
    """Puts values together out of rows; `depth` is how many levels they may still have."""

    def __init__(self, rows: dict[int, Row]) -> None:
        self._rows = rows
        self._read: dict[int, Any] = {}
        self._values = 0

    def row(self, number: int) -> Any:
        """What a row holds, with its references as they are written."""
        if number not in self._read:
            row = self._rows.get(number)
            if row is None:
                raise FlightError(f"the answer has no row {number:x}")
            self._read[number] = _payload(row, number)
        return self._read[number]

    def whole(self, value: Any, depth: int) -> Any:
        """The value, with everything that it refers to."""
        self._count(depth)
        match value:
            case str() if value.startswith("$"):
                return self._meant(value, depth)
            case list():
                return [self.whole(one, depth - 1) for one in value]
            case dict():
                return {name: self.whole(one, depth - 1) for name, one in value.items() if one != "$undefined"}
            case _:
                return value

    def _meant(self, text: str, depth: int) -> Any:
        """What a text that begins with $ stands for."""
        if text.startswith("$$"):
            return text[1:]
        if text.startswith("$D"):
            return text[2:]
        if text.startswith("$n"):
            return int(text[2:]) if text[2:].lstrip("-").isdecimal() and len(text) <= 40 else None
        reference = _reference.fullmatch(text)
        if reference:
            return self.whole(self._found(reference, depth - 1), depth - 1)
        return _numbers.get(text)

    def _found(self, reference: re.Match[str], depth: int) -> Any:
        """What a reference points to: a row, or a place in it (`$1:data:url`)."""
        self._count(depth)
        value = self.row(int(reference[1], 16))
        for name in reference[2].split(":")[1:]:
            while isinstance(value, str) and (further := _reference.fullmatch(value)):
                depth -= 1
                value = self._found(further, depth)
            value = _member(value, name)
        return value

    def _count(self, depth: int) -> None:
        self._values += 1
        if depth <= 0:
            raise FlightError("the answer is nested too deep, or refers to itself")
        if self._values > MAX_VALUES:
            raise FlightError(f"the answer comes to more than {MAX_VALUES} values")


def _payload(row: Row, number: int) -> Any:
    """What the payload of a row says, its texts escaped."""
    try:
        match row.kind:
            case b"":
                return msgspec.json.decode(row.payload)
            case b"T":
                return escape(row.payload.decode())
            case b"E":
                raise FlightError(_failure(msgspec.json.decode(row.payload)))
            case _:
                return None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise FlightError(f"row {number:x} of the answer cannot be read: {error}") from None


def _failure(said: Any) -> str:
    """The words of an error row: its message, which only a server in development tells, or its digest."""
    words = [said.get(name) for name in ("message", "digest")] if isinstance(said, dict) else []
    told = ": ".join(word for word in words if isinstance(word, str) and word)
    return f"the service reports an error{told and ': '}{told}"


def _member(value: Any, name: str) -> Any:
    """A member of an object or a list."""
    match value:
        case dict() if name in value:
            return value[name]
        case list() if name.isdecimal() and len(name) < 8 and int(name) < len(value):
            return value[int(name)]
        case _:
            raise FlightError("a reference in the answer leads nowhere")
