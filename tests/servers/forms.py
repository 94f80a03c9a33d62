"""Reads multipart forms, and is strict about them: what browsers and official SDKs would not write is refused."""

import re
from dataclasses import dataclass

_HEAD = re.compile(
    rb'Content-Disposition: form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?'
    rb"(?:\r\nContent-Type: ([^\r\n;]+))?"
)
_BOUNDARY = re.compile(r"multipart/form-data; boundary=([0-9A-Za-z'()+_,./:=?-]{1,70})")


class FormError(Exception):
    """A form that is none."""


@dataclass(frozen=True)
class Field:
    """A field as it stands in a form, nothing unescaped; a file has a `filename`."""

    name: str
    data: bytes
    filename: str | None = None
    media_type: str | None = None

    @property
    def text(self) -> str:
        return self.data.decode()


def read_form(content_type: str, body: bytes) -> list[Field]:
    """The fields in their order; FormError for what is not exactly a form."""
    found = _BOUNDARY.fullmatch(content_type)
    if not found:
        raise FormError(f"no multipart form: {content_type}")
    line = b"--" + found[1].encode()
    if not body.startswith(line + b"\r\n") or not body.endswith(b"\r\n" + line + b"--\r\n"):
        raise FormError("does not begin or end with its boundary")
    fields = []
    for part in body[len(line) + 2 : -len(line) - 6].split(b"\r\n" + line + b"\r\n"):
        head, separator, data = part.partition(b"\r\n\r\n")
        read = _HEAD.fullmatch(head)
        if not separator or not read:
            raise FormError(f"a part begins with {head!r}")
        name, filename, media_type = (None if value is None else value.decode() for value in read.groups())
        fields.append(Field(name or "", data, filename, media_type))
    return fields
