"""What a bucket's folder itself tells of a document: whether its text is there, or a source to make it of."""

import os
import stat
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from mediary.buckets.document import Document
from mediary.buckets.naming import SOURCES, TEXT, free_name

UNKNOWN_TYPE = "application/octet-stream"
MARKDOWN, PLAIN_TEXT = "text/markdown", "text/plain"

_GONE = "its file is not in the bucket's folder any more"


def look(folder: Path, name: str, position: int, names: Collection[str]) -> Document:
    """A document as it lies in the folder; `names` are all of the manifest.

    One that ends in `.md` is a text, and may have a source under `source/`. Any other is its own source, as the system
    left it that made such folders before, and its text lies beside it.
    """
    if name.endswith(TEXT):
        original, text = original_name(name), None
        source = folder / SOURCES / name.removesuffix(TEXT)
    else:
        original, text = name, _text_beside(name, names)
        source = folder / name
    bare = Document(name=name, position=position, original=original, text=text)
    brought, read = file_status(source), file_status(folder / bare.text_name)
    if brought:
        # An empty text beside a source is one that a power cut left.
        is_ready = read is not None and read.st_size > 0
        return replace(
            bare,
            state="ready" if is_ready else "queued",
            source=source.name,
            media_type=UNKNOWN_TYPE,
            size=brought.st_size,
            text_size=read.st_size if read and is_ready else None,
            taken=brought.st_mtime,
        )
    if read:
        return replace(
            bare,
            state="ready",
            media_type=MARKDOWN if name == original else PLAIN_TEXT,
            size=read.st_size,
            text_size=read.st_size,
            taken=read.st_mtime,
        )
    return replace(bare, state="failed", error=_GONE)


def original_name(name: str) -> str:
    """What the file of a document was called: `notes.txt` for `notes.txt.md`, and `notes.md` for itself."""
    stem = name.removesuffix(TEXT)
    return stem if "." in stem else name


def file_status(path: Path) -> os.stat_result | None:
    """The status of a plain file, None where there is none, or a link to one."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _text_beside(name: str, names: Collection[str]) -> str:
    """Where the text of a document lies that is its own source: under a name that is no document itself."""
    return free_name(name + TEXT, names.__contains__)
