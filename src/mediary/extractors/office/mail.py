"""Mail (EML, MHTML) as Markdown: who wrote to whom and when, the text, and the names of what was attached."""

import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from typing import BinaryIO

from mediary.extractors import charset, markdown
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office import webpage
from mediary.extractors.office.whole import whole

FIELDS = ("From", "To", "Cc", "Date", "Subject")

_ADDRESS = re.compile(r"\\<([^<>\s@\\]+@[^<>\s\\]+)>")
_DEPTH = 10
# What a mail may have: it is kept whole while it is read.
_MOST_BYTES = 128 * 1024**2


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of a mail, and of the mails that it brings along."""
    content = whole(source, _MOST_BYTES)
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(content)
    del content
    yield Facts(_field(message, "Subject") or None, _field(message, "From") or None)
    yield from _message(message, 0)


def head(fields: dict[str, str], level: int = 1) -> str:
    """What a mail says of itself: its subject as a heading, then the rest, a line each."""
    subject = fields.get("Subject", "")
    title = f"{'#' * min(level, 6)} {markdown.escape(subject)}\n\n" if subject else ""
    lines = [f"**{name}:** {_addresses(fields[name])}" for name in FIELDS[:-1] if fields.get(name)]
    return title + "  \n".join(lines) + "\n\n"


def _addresses(field: str) -> str:
    """Text in which only the addresses are links."""
    return _ADDRESS.sub(r"<\1>", markdown.escape(field))


def attachments(names: list[str]) -> str:
    """The names of what was attached."""
    if not names:
        return ""
    return "**Attachments:**\n\n" + "".join(f"- {markdown.escape(name)}\n" for name in names) + "\n"


def text(plain: str) -> str:
    """The text of a mail: its lines stay lines, quotations stay quotations."""
    return "\n".join(line.rstrip() for line in plain.replace("\r\n", "\n").strip().split("\n")) + "\n\n"


def _message(message: EmailMessage, level: int) -> Iterator[str]:
    yield head({name: _field(message, name) for name in FIELDS}, level + 1)
    body = _body(message)
    if body is not None:
        content = _text(body)
        if body.get_content_subtype() == "html":
            yield from webpage.Page().convert([content])
        else:
            yield text(content)
    attached = list(message.iter_attachments()) if message.is_multipart() else []
    yield attachments([name for part in attached if part is not body and (name := part.get_filename())])
    for part in attached:
        if part.get_content_type() == "message/rfc822" and level < _DEPTH:
            inner = part.get_content()
            if isinstance(inner, EmailMessage):
                yield from _message(inner, level + 1)


def _body(message: EmailMessage) -> MIMEPart | None:
    """The text as it was written: what is plain, if it says anything."""
    plain = message.get_body(("plain",))
    if plain is not None and _text(plain).strip():
        return plain
    return message.get_body(("html", "plain"))


def _text(part: MIMEPart) -> str:
    content = part.get_payload(decode=True)
    return charset.decoded(content if isinstance(content, bytes) else b"", part.get_content_charset())


def _field(message: EmailMessage, name: str) -> str:
    """A field as people read it; one that breaks the rules, as it stands."""
    try:
        value = str(message.get(name, ""))
    except (ValueError, IndexError, AttributeError, TypeError):  # what the parser of fields trips over
        value = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    return " ".join(value.split())[:2000]
