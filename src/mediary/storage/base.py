"""What a store is: immutable bytes under names, written whole or not at all."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(slots=True, frozen=True)
class StoredFile:
    """A file of a store: `size` in bytes, `modified` in Unix seconds, `etag` changes when the bytes do."""

    name: str
    size: int
    modified: float
    etag: str


@dataclass(slots=True, frozen=True)
class Page:
    """A page of a listing; `next` is the cursor of the page after it, None on the last."""

    files: tuple[StoredFile, ...]
    next: str | None


class Staged(Protocol):
    """Bytes on their way in, seen by nobody yet."""

    async def write(self, data: bytes) -> None:
        """Append bytes; NoSpaceError when the store is full."""
        ...

    async def commit(self, name: str) -> StoredFile:
        """Make the bytes durable and give them a name, all at once.

        A name that is taken gets `-2`, `-3` … before its extension; the answer says which it became.
        """
        ...


class Store(Protocol):
    """A flat space of names. Names are as `names.secure_filename` makes them; any other is not found."""

    def stage(self) -> AbstractAsyncContextManager[Staged]:
        """Begin a file; leaving the block without `commit` leaves nothing behind."""
        ...

    async def get(self, name: str) -> StoredFile:
        """What is known of a file; NotFoundError if there is none."""
        ...

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces; NotFoundError if there is no such file."""
        ...

    async def list(self, after: str | None = None, limit: int = 1000) -> Page:
        """Files in the order of their names, from a cursor on."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a file; NotFoundError if there is none."""
        ...

    async def recover(self) -> int:
        """Remove what a killed process left half-written; the number of such files."""
        ...

    async def check(self) -> None:
        """Raise StoreError if the store cannot be reached, read and written now, as far as a cheap look tells."""
        ...


@runtime_checkable
class HasPath(Protocol):
    """A store whose files lie on this machine."""

    def path(self, name: str) -> Path:
        """Where a file of that name lies, or would; NotFoundError for what cannot be a name."""
        ...


@runtime_checkable
class ReplacesFiles(Protocol):
    """A store in which a file can take the place of another."""

    def stage_replacement(self) -> AbstractAsyncContextManager[Staged]:
        """Begin a file that takes the place of the one of its name, if there is one, when it is committed."""
        ...


@runtime_checkable
class SignsLinks(Protocol):
    """A store that can hand out links that anybody may read for a while."""

    async def sign(self, name: str, seconds: int) -> str:
        """A link to a file, good for that many seconds."""
        ...
