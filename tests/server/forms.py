"""Multipart forms, as a browser sends them."""

import uuid
from collections.abc import Iterable, Mapping


def form(
    fields: Mapping[str, str], files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], field: str = "files"
) -> tuple[bytes, str]:
    """A form's body and its content type; the files are in the field `files`, or the one that is named."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    parts += [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in (files.items() if isinstance(files, Mapping) else files)
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
