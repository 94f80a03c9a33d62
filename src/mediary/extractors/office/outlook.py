"""Outlook messages (MSG) as Markdown, like any other mail."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from struct import unpack_from
from typing import BinaryIO

from olefile import OleFileIO

from mediary.extractors import charset
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office import mail, richtext, webpage
from mediary.extractors.office.compressed_rtf import decompressed
from mediary.extractors.office.ole import opened, stream_of

# The properties of a message, by their numbers.
_SUBJECT, _TO, _CC, _BODY, _HTML, _RTF = 0x0037, 0x0E04, 0x0E03, 0x1000, 0x1013, 0x1009
_SENDER, _SENDER_ADDRESS, _SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
_SENT, _RECEIVED = 0x0039, 0x0E06
_CODEPAGES = (0x3FDE, 0x3FFD)
_FILE_NAMES = (0x3707, 0x3704, 0x3001)
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of a message, and the names of what was attached."""
    with opened(source) as ole:
        message = _Message(ole)
        fields = message.fields()
        yield Facts(fields["Subject"] or None, fields["From"] or None)
        yield mail.head(fields)
        yield from message.body(wanted)
        yield mail.attachments(message.attachments())


class _Message:
    def __init__(self, ole: OleFileIO) -> None:
        self._ole = ole
        self._fixed = self._fixed_properties()
        self._encoding = next(
            (name for page in _CODEPAGES if (name := charset.named(f"cp{self._number(page)}"))),
            None,
        )

    def fields(self) -> dict[str, str]:
        name, address = self._text(_SENDER), self._text(_SENDER_SMTP) or self._text(_SENDER_ADDRESS)
        known = "@" in address and address != name
        return {
            "From": f"{name} <{address}>".strip() if known else name or address,
            "To": self._text(_TO),
            "Cc": self._text(_CC),
            "Date": self._date(),
            "Subject": " ".join(self._text(_SUBJECT).split()),
        }

    def body(self, wanted: Wanted) -> Iterator[str]:
        """The plain text; where there is none the HTML, and else the RTF."""
        if (plain := self._text(_BODY)).strip():
            yield mail.text(plain)
        elif html := self._binary(_HTML):
            text = charset.decoded(html, webpage.encoding_of(html[: charset.SAMPLE]))
            yield from webpage.Page().convert([text])
        elif html_text := self._text(_HTML):
            yield from webpage.Page().convert([html_text])
        elif packed := self._binary(_RTF):
            pieces = richtext.extract(BytesIO(decompressed(packed)), wanted)
            yield from (piece for piece in pieces if isinstance(piece, str))

    def attachments(self) -> list[str]:
        folders = sorted({path[0] for path in self._ole.listdir() if path[0].startswith("__attach_version1.0_")})
        names = (
            next((name for number in _FILE_NAMES if (name := self._text(number, f"{folder}/"))), "")
            for folder in folders
        )
        return [name for name in names if name]

    def _date(self) -> str:
        for number in (_SENT, _RECEIVED):
            if value := self._fixed.get(number):
                try:
                    return format_datetime(_EPOCH + timedelta(microseconds=unpack_from("<Q", value)[0] // 10))
                except OverflowError:
                    return ""
        return ""

    def _number(self, number: int) -> int:
        value: int = unpack_from("<I", self._fixed.get(number, bytes(8)))[0]
        return value

    def _fixed_properties(self) -> dict[int, bytes]:
        """Numbers and dates; sixteen bytes each, after a head of 32."""
        content = self._stream("__properties_version1.0")
        return {
            unpack_from("<H", content, at + 2)[0]: content[at + 8 : at + 16] for at in range(32, len(content) - 15, 16)
        }

    def _text(self, number: int, folder: str = "") -> str:
        if content := self._stream(f"{folder}__substg1.0_{number:04X}001F"):
            return content.decode("utf-16-le", "replace").rstrip("\0")
        content = self._stream(f"{folder}__substg1.0_{number:04X}001E")
        return charset.decoded(content.rstrip(b"\0"), self._encoding) if content else ""

    def _binary(self, number: int) -> bytes:
        return self._stream(f"__substg1.0_{number:04X}0102")

    def _stream(self, name: str) -> bytes:
        return stream_of(self._ole, name) if self._ole.exists(name) else b""
