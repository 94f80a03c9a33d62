"""Locks that hold between threads, processes and nodes with a shared folder: `flock` on files in `.mediary/`."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from mediary.buckets.naming import WHAT
from mediary.errors import NotFoundError
from mediary.storage.files import in_thread, translated

_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2


@asynccontextmanager
async def claimed(path: Path) -> AsyncGenerator["Claim", None]:
    """Have a file of one's own, `.mediary/<folder>/<name>`, once nobody else has it; it is empty at first.

    Whoever waits looks again and again: a thread that the system holds up could not be called back. NotFoundError if
    the bucket was deleted.
    """
    claim, pause = Claim(path), _FIRST_PAUSE
    try:
        while not await in_thread(claim.take):
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        yield claim
    finally:
        claim.release()


class Claim:
    """A file that one alone may write; `file` is its descriptor while it is taken. The system ends a claim, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = -1

    def take(self) -> bool:
        """Create or open the file and lock it; False while somebody else has it."""
        while True:
            with translated(WHAT):
                self.file = self._open()
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                return False
            if self._bears_name():
                os.ftruncate(self.file, 0)  # what somebody left behind who was killed
                return True
            self.release()

    def release(self) -> None:
        """Let others have it; a file that was not renamed stays where it is."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def remove(self) -> None:
        """Take the file away, if it still is under its name."""
        if self._bears_name():
            self.path.unlink(missing_ok=True)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with suppress(FileNotFoundError):
            return os.open(self.path, flags, 0o666)
        try:
            self.path.parent.parent.mkdir(exist_ok=True)
            self.path.parent.mkdir(exist_ok=True)
            return os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            raise NotFoundError("The bucket is gone") from None

    def _bears_name(self) -> bool:
        """Whoever had it before may have renamed or removed it."""
        try:
            return os.path.samestat(self.path.stat(follow_symlinks=False), os.fstat(self.file))
        except FileNotFoundError:
            return False
