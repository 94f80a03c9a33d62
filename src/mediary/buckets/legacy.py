"""Takes over the folders of the system that made buckets before: nothing in them is lost.

That system could leave a bucket's text in `plain.cache`, or in its pieces `plain_0001.cache` …, as the only copy, with
the documents deleted and with or without a manifest. Its parts become texts, before anybody makes the caches anew.
"""

import mmap
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO

from mediary.buckets.lookup import file_status, look
from mediary.buckets.manifest import Manifest
from mediary.buckets.naming import HIDDEN, SOURCES, TEXT, WHAT, document_name, file_name, is_document_name
from mediary.names import numbered
from mediary.storage.files import sync_folder, translated

_MARK = "adopted"
_CACHE, _CACHE_PIECES = "plain.cache", "plain_*.cache"
_FIRST_LINE = re.compile(rb"[^\r\n]{1,1024}(\r?\n)")
# Where a document begins, and how the last one ends; `N` is the end of a line.
_COMMENTS = rb"(?:\A|N<-- End -->NN)<!-- File: ([^\r\n]+?) -->N", rb"N<-- End -->\s*\Z"
# As that system had it first.
_FENCES = rb"(?:\A|N```NN)```([^\r\n`]+\.[A-Za-z0-9]+)N", rb"N```\s*\Z"
_LONGEST_END = 64
_PIECE = 1024**2


@dataclass(slots=True, frozen=True)
class _Part:
    """A document in a cache: its name as it stands there, and where its text begins and ends."""

    name: str
    start: int
    end: int


def is_adopted(folder: Path) -> bool:
    """Whether everything in a bucket's folder is in its manifest."""
    return (folder / HIDDEN / _MARK).exists()


def adopt(folder: Path, manifest: Manifest) -> None:
    """Make texts of what only the caches of a folder hold, and a manifest if there is none; in a thread.

    Who is killed in between begins again, with the same names.
    """
    with manifest.lock(), translated(WHAT):
        if is_adopted(folder):
            return
        listed = manifest.read()
        found = [] if manifest.path.exists() else _unlisted(folder)
        with _cache(folder) as cache:
            if cache:
                found += _adopt_parts(folder, cache, [*listed, *found])
        if new := [name for name in dict.fromkeys(found) if name not in listed]:
            sync_folder(folder)
            manifest.extend(new)
        (folder / HIDDEN / _MARK).touch()


def _unlisted(folder: Path) -> list[str]:
    """The documents in a folder without a manifest, oldest first; a text beside its source is that document."""
    here = {path.name: status for path in folder.iterdir() if (status := file_status(path))}
    sources = {f"{path.name}{TEXT}": file_status(path) for path in _children(folder / SOURCES)}
    times = {name: status.st_mtime_ns for name, status in (here | sources).items() if status}
    names = [
        name for name in times if is_document_name(name) and not name.endswith(".tmp") and f"{name}{TEXT}" not in times
    ]
    return sorted(names, key=lambda name: (times[name], name))


def _children(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


@contextmanager
def _cache(folder: Path) -> Iterator[mmap.mmap | None]:
    """The text that a folder's caches hold, None if they hold none."""
    whole = folder / _CACHE
    paths = [whole] if file_status(whole) else sorted(filter(file_status, folder.glob(_CACHE_PIECES)))
    with ExitStack() as stack:
        files: list[IO[bytes]] = [stack.enter_context(path.open("rb")) for path in paths]
        if len(files) > 1:
            joined = stack.enter_context(TemporaryFile(dir=folder / HIDDEN))
            for file in files:
                copyfileobj(file, joined, _PIECE)
            joined.flush()
            files = [joined]
        if files and os.fstat(files[0].fileno()).st_size:
            yield stack.enter_context(mmap.mmap(files[0].fileno(), 0, access=mmap.ACCESS_READ))
        else:
            yield None


def _adopt_parts(folder: Path, cache: mmap.mmap, names: list[str]) -> list[str]:
    """Write the texts that lie nowhere else; the names of all that are in the cache."""
    parts = list(_parts(cache))
    if not parts and (not names or any(_is_gone(folder, name, names) for name in names)):
        parts = [_Part(_CACHE + TEXT, 0, len(cache))]
    seen: Counter[str] = Counter()
    found = []
    for part in parts:
        name = part.name if is_document_name(part.name) else document_name(file_name(part.name), is_text=True)
        seen[name] += 1
        if seen[name] > 1:
            name = numbered(name, seen[name])
        if _is_gone(folder, name, names):
            _write(folder, look(folder, name, 0, names).text_name, cache, part)
        found.append(name)
    return found


def _is_gone(folder: Path, name: str, names: list[str]) -> bool:
    return look(folder, name, 0, names).state == "failed"


def _parts(cache: mmap.mmap) -> Iterator[_Part]:
    """The documents in a cache; none where it is of no known form."""
    head, end = _form(cache)
    begun: re.Match[bytes] | None = None
    for found in head.finditer(cache):
        if begun:
            yield _Part(_text(begun[1]), begun.end(), found.start())
        elif found.start():
            return  # there is something before the first
        begun = found
    if begun:
        last = end.search(cache, max(begun.end(), len(cache) - _LONGEST_END))
        yield _Part(_text(begun[1]), begun.end(), last.start() if last else len(cache))


def _form(cache: mmap.mmap) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """How the documents in a cache begin and end; its first line tells."""
    first = _FIRST_LINE.match(cache)
    line_end = re.escape(first[1]) if first else rb"\n"
    head, end = _FENCES if cache[:3] == b"```" else _COMMENTS
    return re.compile(head.replace(b"N", line_end)), re.compile(end.replace(b"N", line_end))


def _text(name: bytes) -> str:
    return name.decode(errors="replace").strip()


def _write(folder: Path, name: str, cache: mmap.mmap, part: _Part) -> None:
    """Make a text of a part: whole or not at all, and durable but for its name."""
    temporary = folder / HIDDEN / f"adopted-{token_hex(8)}"
    with temporary.open("xb") as file:
        for start in range(part.start, part.end, _PIECE):
            file.write(cache[start : min(start + _PIECE, part.end)])
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / name)
