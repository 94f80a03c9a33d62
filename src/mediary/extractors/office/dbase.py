"""Tables of dBase and its kin (DBF) as Markdown, record by record."""

from collections.abc import Iterator
from struct import error, unpack_from
from typing import BinaryIO, NamedTuple

from mediary.errors import UnreadableError
from mediary.extractors import charset, markdown
from mediary.extractors.base import Piece, Wanted

# By the number that the head has for the language.
_ENCODINGS = {
    0x01: "cp437",
    0x02: "cp850",
    0x03: "cp1252",
    0x13: "cp932",
    0x57: "cp1252",
    0x58: "cp1252",
    0x59: "cp1252",
    0x64: "cp852",
    0x65: "cp866",
    0xC8: "cp1250",
    0xC9: "cp1251",
    0xCA: "cp1254",
    0xCB: "cp1253",
}
_DELETED, _END = b"*", b"\x1a"
_ROWS = 500


class _Field(NamedTuple):
    name: bytes
    kind: bytes
    size: int


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The records that are not deleted. Long texts lie in a file of their own, and are left out."""
    head = source.read(32)
    try:
        start, size = unpack_from("<HH", head, 8)
        fields = list(_fields(source.read(start - 32)))
    except (error, ValueError) as problem:
        raise UnreadableError("it is damaged") from problem
    if not fields or sum(field.size for field in fields) >= size:
        raise UnreadableError("it is damaged")
    source.seek(start)
    encoding = _ENCODINGS.get(head[29]) or charset.detect(source.read(charset.SAMPLE))
    source.seek(start)
    lines = [markdown.row([markdown.cell(_text(field.name, encoding)) for field in fields])]
    lines.append(markdown.row(["---"] * len(fields)))
    while len(record := source.read(size)) == size and not record.startswith(_END):
        if not record.startswith(_DELETED):
            lines.append(markdown.row(_values(record, fields, encoding)))
        if len(lines) >= _ROWS:
            yield "\n".join(lines) + "\n"
            lines.clear()
    yield "\n".join(lines) + "\n"


def _fields(content: bytes) -> Iterator[_Field]:
    for at in range(0, len(content) - 31, 32):
        if content[at] in (0x0D, 0x00):
            return
        yield _Field(content[at : at + 11].partition(b"\0")[0], content[at + 11 : at + 12], content[at + 16])


def _values(record: bytes, fields: list[_Field], encoding: str) -> Iterator[str]:
    at = 1
    for field in fields:
        value = record[at : at + field.size]
        at += field.size
        match field.kind:
            case b"D" if value.strip(b"\0 ").isdigit() and len(value) == 8:
                text = value.decode("ascii")
                yield f"{text[:4]}-{text[4:6]}-{text[6:]}"
            case b"M" | b"G" | b"P" | b"B":
                yield ""
            case b"I" if len(value) == 4:
                yield str(int.from_bytes(value, "little", signed=True))
            case _:
                yield markdown.cell(markdown.escape(_text(value, encoding)))


def _text(value: bytes, encoding: str) -> str:
    return value.decode(encoding, "replace").strip("\0 ")
