"""Names in a bucket: of files that come in, of the documents that are made of them, and which names are none."""

import re
from collections.abc import Callable

from mediary.names import MAX_SEGMENT_BYTES, numbered, secure_filename
from mediary.storage.base import is_name

TEXT = ".md"
"""What the file of a text ends in."""
HIDDEN = ".mediary"
"""The folder of what can be made again."""
MANIFEST = "files.txt"
DOWNLOADS = "downloads.json"
"""What is to be fetched into the bucket."""
SOURCES, MEDIA, THUMBNAILS = "source", "media", "thumbnail"
# In the hidden folder: what is in the making, and the locks of what one alone makes at a time.
TEXTS, CACHES, REFINED = "texts", "caches", "refined"
CACHES_LOCK, REFINED_LOCK, PASSAGES_LOCK, CRAWL_LOCK = "locks/caches", "locks/refined", "locks/passages", "crawl.lock"
WHAT = "the buckets"
"""What has failed when a disk has, for messages."""

_OURS = frozenset({MANIFEST, DOWNLOADS, SOURCES, MEDIA, THUMBNAILS})
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no name holds: control characters, ends of lines, halves of characters."""

_CACHE = re.compile(r"(?:plain|spacy)(?:_[0-9]+)?\.cache")
_LONGEST_EXTENSION = 16
_NUMBER = re.compile(r"-([1-9][0-9]{0,8})(?=\.[^.]*$|$)")


def file_name(original: str) -> str:
    """A safe name for a file that came in, with its extension also where the rest had to be cut."""
    stem, dot, extension = original.rpartition(".")
    is_plain = (
        0 < len(extension.encode(errors="replace")) <= _LONGEST_EXTENSION and secure_filename(extension) == extension
    )
    if not stem or not is_plain:
        return secure_filename(original) or "file"
    ending = f"{dot}{extension}"
    stem = secure_filename(stem) or "file"
    room = MAX_SEGMENT_BYTES - len(ending.encode())
    return secure_filename(stem.encode()[:room].decode(errors="ignore")) + ending


def document_name(file: str, *, is_text: bool) -> str:
    """What the manifest calls the document of a file; a Markdown text is its own."""
    return file if is_text and file.endswith(TEXT) and file != TEXT else file + TEXT


def is_document_name(name: str) -> bool:
    """Whether this can stand in a manifest: a file of the bucket's folder that is none of its own."""
    is_ours = name in _OURS or _CACHE.fullmatch(name)
    return is_name(name) and not is_ours and name == name.strip() and not CONTROLS.search(name)


def is_numbered(name: str, plain: str) -> bool:
    """Whether a name is `plain`, or that with a number."""
    return name == plain or any(numbered(plain, int(found[1])) == name for found in _NUMBER.finditer(name))


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name, or with the number of one that is free while the one before is taken; found in few steps."""
    if not is_taken(name):
        return name
    taken, free = 1, 2
    while is_taken(numbered(name, free)):
        taken, free = free, free * 2
    while free - taken > 1:
        middle = (taken + free) // 2
        taken, free = (middle, free) if is_taken(numbered(name, middle)) else (taken, middle)
    return numbered(name, free)
