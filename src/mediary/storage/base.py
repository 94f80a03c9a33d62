"""What a store is: immutable bytes under names, written whole or not at all."""

from collections.abc import AsyncGenerator, Callable, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from mediary.errors import NotFoundError
from mediary.names import MAX_NAME_BYTES


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

    async def commit(self, name: str, sha256: str | None = None) -> StoredFile:
        """Make the bytes durable and give them a name, all at once.

        A name that is taken gets `-2`, `-3` … before its extension; the answer says which it became. `sha256` is the
        digest of the bytes in hex, for who knows it already.
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
class SharesBytes(Protocol):
    """A store in which one copy of the bytes can bear several names, here or in a sibling: a trash, a waiting room."""

    async def adopt(self, other: Store, name: str, new: str) -> StoredFile:
        """Give a file of `other`, which may be this very store, one more name here, `new`, without copying its bytes.

        A taken name gets a number, as with `commit`. NotFoundError if there is no such file; StoreError where `other`
        is no sibling.
        """
        ...


@runtime_checkable
class SignsLinks(Protocol):
    """A store that can hand out links that anybody may read for a while."""

    async def sign(self, name: str, seconds: int) -> str:
        """A link to a file, good for that many seconds; NotFoundError if there is none, or it lies in no such place."""
        ...


@runtime_checkable
class KnowsDigests(Protocol):
    """A store that remembers what came in."""

    async def digest(self, name: str) -> str | None:
        """The SHA-256 that a file's bytes had when they came in, in hex; None where nobody wrote it down.

        NotFoundError if there is no such file.
        """
        ...


@dataclass(slots=True, frozen=True)
class StoredObject:
    """What lies under a key: `size` in bytes, `modified` in Unix seconds; `named` tells whether a name leads to it."""

    key: str
    size: int
    modified: float
    named: bool


@runtime_checkable
class HoldsObjects(Protocol):
    """A store whose names and bytes lie in two places, so that bytes can be left without a name."""

    def objects(self) -> AsyncGenerator[StoredObject, None]:
        """Everything that lies there."""
        ...

    async def remove_object(self, key: str) -> None:
        """Remove what lies under a key, unless a name leads to it; gone already is as good."""
        ...


@runtime_checkable
class HoldsLeftovers(Protocol):
    """A store in which a killed process can leave what it was writing."""

    async def leftovers(self) -> tuple[StoredFile, ...]:
        """What `recover` would remove now."""
        ...


@runtime_checkable
class HasWaitingRoom(Protocol):
    """A store in front of which files wait, while it cannot take them, in another."""

    @property
    def settled(self) -> Store:
        """Where files are to lie."""
        ...

    @property
    def waiting(self) -> Store:
        """Where those lie that are still to be carried over."""
        ...


class Entry(Protocol):
    """A name in an object store: `key` is where the bytes lie, `size` in bytes, `stored` in Unix seconds."""

    @property
    def name(self) -> str: ...  # noqa: D102 - said above, as all of these
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def stored(self) -> float: ...  # noqa: D102


class Names(Protocol):
    """The names of the files in an object store, which itself knows keys alone; one key can bear several names.

    Every change is whole, and in turn with the other changes to the same bytes, whichever process makes them.
    """

    async def find(self, name: str) -> Entry | None:
        """A name, if there is such."""
        ...

    async def claim(self, name: str, key: str, sha256: str, size: int, taken: Callable[[str], bool]) -> Entry:
        """Give a name to an object that was just written.

        If an object with these bytes is there already, the name goes to that one, and the entry has its key. A name in
        use here, or for which `taken` says so, gets a number.
        """
        ...

    async def adopt(self, other: "Names", name: str, new: str, taken: Callable[[str], bool]) -> Entry:
        """Give the object of a name in `other` one more, here; NotFoundError, or StoreError if that is no sibling."""
        ...

    async def release(self, name: str) -> str | None:
        """Remove a name; the key if that was the last name it bore, else None. NotFoundError if there is none."""
        ...

    async def list(self, after: str, limit: int) -> Sequence[Entry]:
        """The names after that one, in byte order."""
        ...

    async def keys(self, keys: Sequence[str]) -> Set[str]:
        """Which of these keys bear a name, in any space of the store."""
        ...


def is_name(name: str) -> bool:
    """Whether this can name a file of a store: one that is not hidden, and lies in no other folder."""
    if not name or name[0] == "." or "/" in name or "\\" in name or "\0" in name:
        return False
    try:
        return len(name if name.isascii() else name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:  # lone surrogates
        return False


def checked_name(name: str) -> str:
    """The name; NotFoundError if it cannot be one."""
    if not is_name(name):
        raise NotFoundError("There is no file of that name")
    return name
