"""Shares of the system that made them before: `chat.json` in the folder of a bucket."""

import os
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

from mediary.errors import MediaryError, NotFoundError
from mediary.shares.chat import Chat, read_chat
from mediary.storage.files import SAFELY, in_thread, translated

CHAT = "chat.json"


async def find(folder: Path, share_id: str, max_bytes: int) -> Chat | None:
    """The chat that was shared under this id, if there is one that can be read; StoreError if the disk fails."""
    return await in_thread(partial(_read, folder / share_id / CHAT, max_bytes))


async def remove(folder: Path, share_id: str) -> None:
    """Delete the chat that was shared under this id, if there is one, and its folder with it if nothing else is in it.

    StoreError if the disk fails.
    """
    await in_thread(partial(_remove, folder / share_id / CHAT))


def _remove(path: Path) -> None:
    with suppress(NotFoundError), translated("the buckets", CHAT):
        path.unlink()
        with suppress(OSError):  # it is a bucket as well
            path.parent.rmdir()


def _read(path: Path, max_bytes: int) -> Chat | None:
    with suppress(NotFoundError), translated("the buckets", CHAT):
        descriptor = os.open(path, os.O_RDONLY | SAFELY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
                return None
            with suppress(MediaryError):  # what is no chat is no share
                return read_chat(file.read(max_bytes))
    return None
