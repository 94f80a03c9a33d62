"""A file at a path that the caller chose: it is there whole, in the place of what was there, or not at all."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from mediary.storage.base import StoredFile
from mediary.storage.files import in_thread, stored_file, sync_folder, translated, write_all

_translated = partial(translated, "the target file")


class TargetFile:
    """Bytes on their way to a path outside the store.

    The temporary file lies beside the path, for a rename cannot cross file systems. It is hidden, named `.<hex>.part`,
    and gone if it is not committed; only a process that is killed leaves it behind. Nobody sweeps it up then: the
    folder is not ours, and another process may be writing there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(f".{secrets.token_hex(16)}.part")
        with _translated():
            self._descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    async def write(self, data: bytes) -> None:
        """Append bytes; NoSpaceError when the disk is full."""
        await in_thread(partial(self._write, data))

    async def commit(self, name: str, _sha256: str | None = None) -> StoredFile:
        """Make the bytes durable and put them under their name in the folder, in the place of what was there."""
        return await in_thread(partial(self._commit, self.path.with_name(name)))

    def close(self) -> None:
        """Remove what was not committed."""
        os.close(self._descriptor)
        self._temporary.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        with _translated():
            write_all(self._descriptor, data)

    def _commit(self, path: Path) -> StoredFile:
        with _translated():
            os.fsync(self._descriptor)
            self._temporary.replace(path)
            sync_folder(path.parent)
            return stored_file(path.name, os.fstat(self._descriptor))


@asynccontextmanager
async def stage_target(path: Path) -> AsyncIterator[TargetFile]:
    """Begin a file at a path; leaving the block without `commit` leaves everything as it was."""
    staged = TargetFile(path)
    try:
        yield staged
    finally:
        staged.close()
