"""`plain.cache` and its chunks: the texts of a bucket in one, made of them again whenever they do not fit them.

`.mediary/caches.json` says of which texts they were made and what they looked like then. It is written last: files that
are not as it says are as good as none.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.buckets.locks import claimed
from mediary.buckets.naming import CACHES, CACHES_LOCK, WHAT
from mediary.buckets.reading.split import split_file_by_size_and_newline
from mediary.storage.files import in_thread, translated, write_all

PLAIN = "plain.cache"
_INDEX = "caches.json"
_BLOCK = 1024 * 1024

END = b"\n<-- End -->\n\n"


class Stamp(NamedTuple):
    """What differs between a file and the one that takes its place, or itself when somebody has written to it."""

    inode: int
    size: int
    modified: int
    changed: int


class Part(NamedTuple):
    """A document as it stands in the caches."""

    name: str
    stamp: Stamp


class Made(Struct, frozen=True):
    """The texts that files were made of, in order, and what became of them."""

    parts: list[Part] = []
    files: dict[str, Stamp] = {}

    @property
    def size(self) -> int:
        """Bytes of the whole text."""
        return self.files[PLAIN].size

    @property
    def chunks(self) -> list[str]:
        """The names of the chunks in order."""
        return [name for name in self.files if name != PLAIN]


def head(name: str) -> bytes:
    """What stands before the text of a document."""
    return f"<!-- File: {name} -->\n".encode()


async def find_caches(bucket: Bucket, documents: Sequence[Document]) -> Made | None:
    """The caches of these documents, None if there are none, or they are no longer as they were made."""
    return await in_thread(partial(_find, bucket, documents))


async def build(bucket: Bucket, documents: Sequence[Document]) -> Made:
    """Make the caches of these documents, unless they are there; one process does it at a time."""
    if made := await find_caches(bucket, documents):
        return made
    async with claimed(bucket.hidden / CACHES_LOCK):
        return await in_thread(partial(_build, bucket, documents))


async def snapshot(bucket: Bucket, documents: Sequence[Document], folder: Path) -> Made:
    """The caches of these documents, and copies of their chunks in a folder, which nobody else changes."""
    async with claimed(bucket.hidden / CACHES_LOCK):
        return await in_thread(partial(_snapshot, bucket, documents, folder))


def stamp(path: Path | int) -> Stamp:
    """What a file looks like now."""
    status = path.stat() if isinstance(path, Path) else os.fstat(path)
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_index(path: Path) -> Made:
    """What such a file says; nothing if there is none, or it makes no sense."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Made)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Made()


def write_index(path: Path, made: Made) -> None:
    """Write it down, all at once."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(msgspec.json.encode(made))
    temporary.replace(path)


def are_as_made(folder: Path, made: Made) -> bool:
    """Whether nobody has touched the files since."""
    try:
        return bool(made.files) and all(stamp(folder / name) == was for name, was in made.files.items())
    except FileNotFoundError:
        return False


def put_in_place(folder: Path, index: Path, made: Made, new: Iterable[Path], pattern: str) -> Made:
    """Let new files take the place of all that the pattern matches; `made` says of what they were made."""
    write_index(index, Made())
    names = []
    for path in new:
        path.replace(folder / path.name)
        names.append(path.name)
    for old in folder.glob(pattern):
        if old.name not in names:
            old.unlink(missing_ok=True)
    made = Made(made.parts, {name: stamp(folder / name) for name in names})
    write_index(index, made)
    return made


def _parts(bucket: Bucket, documents: Iterable[Document]) -> list[Part]:
    parts = []
    for document in documents:
        with suppress(FileNotFoundError):  # taken away since
            parts.append(Part(document.name, stamp(bucket.text_path(document))))
    return parts


def _find(bucket: Bucket, documents: Sequence[Document]) -> Made | None:
    with translated(WHAT):
        made = read_index(bucket.hidden / _INDEX)
        fits = are_as_made(bucket.folder, made) and made.parts == _parts(bucket, documents)
        return made if fits else None


def _build(bucket: Bucket, documents: Sequence[Document]) -> Made:
    if made := _find(bucket, documents):
        return made
    staging = bucket.hidden / CACHES
    with translated(WHAT):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            plain = staging / PLAIN
            parts = _join(bucket, documents, plain)
            files = [plain, *split_file_by_size_and_newline(plain, staging)]
            return put_in_place(bucket.folder, bucket.hidden / _INDEX, Made(parts), files, "plain_*.cache")
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _snapshot(bucket: Bucket, documents: Sequence[Document], folder: Path) -> Made:
    made = _build(bucket, documents)
    with translated(WHAT):
        folder.mkdir(exist_ok=True)
        for name in made.chunks:
            shutil.copyfile(bucket.folder / name, folder / name)
    return made


def _join(bucket: Bucket, documents: Iterable[Document], path: Path) -> list[Part]:
    """Write all texts into one file; of which they were."""
    parts = []
    with path.open("wb", buffering=0) as joined:
        for document in documents:
            with suppress(FileNotFoundError), bucket.text_path(document).open("rb", buffering=0) as text:
                parts.append(Part(document.name, stamp(text.fileno())))
                write_all(joined.fileno(), head(document.name))
                _copy(text.fileno(), joined.fileno(), parts[-1].stamp.size)
                write_all(joined.fileno(), END)
    return parts


def _copy(source: int, target: int, size: int) -> None:
    """Append the first `size` bytes of a file, within the kernel where it can."""
    left = size
    with suppress(OSError, AttributeError):
        while left and (copied := os.copy_file_range(source, target, left)):
            left -= copied
    while left and (block := os.read(source, min(_BLOCK, left))):
        write_all(target, block)
        left -= len(block)
