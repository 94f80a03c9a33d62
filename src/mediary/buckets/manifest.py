"""The manifest of a bucket, `files.txt`: the name of every document ever taken, a line each; it only grows."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from mediary.buckets.lookup import file_status
from mediary.buckets.naming import HIDDEN, SOURCES, TEXT, WHAT, is_document_name
from mediary.errors import ConflictError, NotFoundError
from mediary.storage.files import in_thread, opened, sync_folder, translated, write_all

Signature = tuple[int, int, int]
"""What of a manifest changes when it does: the file's number, its size, and when it was changed, in nanoseconds."""

DELETED = "The bucket was deleted meanwhile"

_PIECE = 1024**2
_LONGEST_LINE = 1024


class Manifest:
    """The names in a manifest, in order. Any number of processes may read it and add to it at once.

    A last line without an end is half of one, of a writer that was killed, unless its document lies in the folder: the
    system that made such folders before may have left it so. What cannot be a name of a document is passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = path.parent
        self._lock = self._folder / HIDDEN / "manifest.lock"

    async def names(self) -> list[str]:
        """The names of all documents, in the order in which they were taken."""
        return await in_thread(self.read)

    async def append(self, names: Iterable[str]) -> None:
        """Add those that are not there yet, for good."""
        await in_thread(partial(self._append, list(names)))

    def read(self) -> list[str]:
        """The names, in a thread."""
        with translated(WHAT):
            data = _read(self.path)
        whole, _, torn = data.removeprefix(b"\xef\xbb\xbf").rpartition(b"\n")
        names = dict.fromkeys(name for line in whole.split(b"\n") if (name := _name(line)))
        if (name := _name(torn)) and self._lies_there(name):
            names[name] = None
        return list(names)

    def signature(self) -> Signature | None:
        """What changes when the manifest does; None while there is none."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep all others from adding, in whatever process; to be held in a thread, and not twice.

        NotFoundError if there is no bucket, ConflictError if it was deleted while we waited.
        """
        with translated(WHAT), self._open_lock() as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not self._bears_name(descriptor):
                raise ConflictError(DELETED)
            yield

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """The same without waiting: False where somebody else is adding."""
        with translated(WHAT), self._open_lock() as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield self._bears_name(descriptor)

    def extend(self, names: Iterable[str]) -> None:
        """Add names, all or none, durably; for who holds the lock. They must be names, and new."""
        with translated(WHAT):
            if is_new := not self.path.exists():
                self.path.touch()
            with opened(self.path, os.O_RDWR) as descriptor:
                self._write(descriptor, list(names))
            if is_new:
                sync_folder(self._folder)

    def _append(self, names: list[str]) -> None:
        with self.lock():
            known = set(self.read())
            self.extend(name for name in dict.fromkeys(names) if name not in known)

    def _write(self, descriptor: int, names: Sequence[str]) -> None:
        torn = _last_line(descriptor)
        end, lines = os.fstat(descriptor).st_size - len(torn), [*names]
        if (last := _name(torn)) and self._lies_there(last):
            end += len(torn)
            lines = ["", *(name for name in names if name != last)]
        os.ftruncate(descriptor, end)
        os.lseek(descriptor, end, os.SEEK_SET)
        try:
            write_all(descriptor, "".join(f"{line}\n" for line in lines).encode())
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise

    def _lies_there(self, name: str) -> bool:
        """Whether there is anything of the document in the folder."""
        places = [self._folder / name, self._folder / f"{name}{TEXT}"]
        if name.endswith(TEXT):
            places.append(self._folder / SOURCES / name.removesuffix(TEXT))
        return any(map(file_status, places))

    @contextmanager
    def _open_lock(self) -> Iterator[int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._lock.parent.mkdir(exist_ok=True)
            descriptor = os.open(self._lock, flags, 0o666)
        except (FileNotFoundError, FileExistsError):  # it can go between two looks
            raise NotFoundError("There is no such bucket") from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _bears_name(self, descriptor: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(self._lock.lstat(), os.fstat(descriptor))
        return False


def _read(path: Path) -> bytes:
    try:
        with opened(path, os.O_RDONLY) as descriptor:
            return b"".join(iter(partial(os.read, descriptor, _PIECE), b""))
    except FileNotFoundError:
        return b""


def _last_line(descriptor: int) -> bytes:
    """What stands behind the last end of a line."""
    size = os.fstat(descriptor).st_size
    for start in (max(0, size - _LONGEST_LINE), 0):
        tail = os.pread(descriptor, size - start, start)
        if b"\n" in tail:
            break
    return tail.rpartition(b"\n")[2]


def _name(line: bytes) -> str | None:
    """The name in a line, None if it can be none."""
    try:
        name = line.decode().strip()
    except UnicodeDecodeError:
        return None
    return name if is_document_name(name) else None
