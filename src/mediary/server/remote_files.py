"""The files of a store that is elsewhere, for `routes/media`."""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing

from mediary.errors import StoreError
from mediary.formats import SNIFF_BYTES, Format, detect
from mediary.server.file_answer import FileFacts, file_facts
from mediary.storage.base import Store, StoredFile
from mediary.storage.fetch import first_bytes

_KNOWN_TYPES = 8192
"""Files whose format is remembered."""


class RemoteFiles:
    """The files of a store that is elsewhere: each piece comes through `Store.read`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._types: OrderedDict[str, Format | None] = OrderedDict()

    def whole(self, name: str) -> None:
        """Nothing that is elsewhere comes without waiting."""

    async def open(self, name: str) -> "RemoteFile":
        """Ask for a file; NotFoundError if there is none."""
        stored = await self._store.get(name)
        detected = await self._detect(stored)
        return RemoteFile(self._store, file_facts(name, stored.size, stored.modified, stored.etag, detected))

    async def _detect(self, stored: StoredFile) -> Format | None:
        """The format by the first bytes, which are read once while the file stays the same."""
        key = f"{stored.etag} {stored.name}"
        if key not in self._types:
            self._types[key] = detect(await first_bytes(self._store, stored.name, SNIFF_BYTES))
            if len(self._types) > _KNOWN_TYPES:
                self._types.popitem(last=False)
        return self._types[key]


class RemoteFile:
    """A file that is read through its store."""

    def __init__(self, store: Store, facts: FileFacts) -> None:
        self._store = store
        self.facts = facts

    async def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces."""
        if start == end:
            return
        async with aclosing(self._store.read(self.facts.name, start, end)) as pieces:
            async for piece in pieces:
                start += len(piece)
                yield piece
        if start != end:
            raise StoreError(f"The store gave {end - start} bytes too few of {self.facts.name!r}")

    def close(self) -> None:
        """Nothing is held between reads."""
