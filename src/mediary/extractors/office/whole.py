"""Documents that can only be read as a whole."""

from io import SEEK_END
from typing import BinaryIO

from mediary.errors import UnreadableError


def whole(source: BinaryIO, most: int) -> bytes:
    """All bytes of a file; UnreadableError if they are more than `most`."""
    size = source.seek(0, SEEK_END)
    if size > most:
        raise UnreadableError(f"it has more than {most // 1024**2} MiB")
    source.seek(0)
    return source.read(size)
