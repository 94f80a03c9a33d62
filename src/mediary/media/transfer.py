"""Brings files from one store to another under the names they have, each read back before it counts."""

import asyncio
import hashlib
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from mediary.errors import ConflictError, NotFoundError, StoreError
from mediary.media.digests import digest_of, hashed, recorded_digest
from mediary.storage.base import SharesBytes, Store, StoredFile

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

_OTHER_BYTES = "its bytes are not those that the catalog knows"


class Transfer:
    """A way from one store to another.

    `shared` is the store in whose files `catalog` may find the same bytes: the target itself, or the one whose trash it
    is. Two names of one blob are one blob in the target, too. With `thorough`, what is in both already is read on both
    sides, so that the source can let go of it; else the digest that the target wrote down is believed.
    """

    def __init__(self, source: Store, target: Store, shared: Store, catalog: "Catalog", *, thorough: bool) -> None:
        self.source = source
        self.target = target
        self._shared = shared
        self._catalog = catalog
        self._thorough = thorough
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def bring(self, file: StoredFile, sha256: str | None) -> tuple[str, bool]:
        """Make sure that a file of the source is in the target; its digest, and whether it was not there before.

        `sha256` is what the catalog knows. NotFoundError if the source lost the file meanwhile, ConflictError if the
        target has other bytes under its name, or the source other bytes than the catalog: then nothing is changed.
        """
        name = file.name
        if sha256 is None:
            sha256 = await recorded_digest(self.source, name) or (await digest_of(self.source, name)).sha256
        lock = self._locks.setdefault(sha256, asyncio.Lock())
        async with lock:  # of two names of the same bytes, the second shares what the first brought
            if await self._is_there(name, sha256):
                if self._thorough and (await digest_of(self.source, name)).sha256 != sha256:
                    raise ConflictError(_OTHER_BYTES)
                return sha256, False
            stored = await self._share(name, sha256) or await self._copy(name, sha256)
        if stored.name != name:  # somebody took the name while it was copied, maybe with the same bytes
            await self._undo(stored.name)
            return sha256, not await self._is_there(name, sha256)
        await self._confirm(file)
        return sha256, True

    async def _is_there(self, name: str, sha256: str) -> bool:
        try:
            recorded = None if self._thorough else await recorded_digest(self.target, name)
            there = recorded or (await digest_of(self.target, name)).sha256
        except NotFoundError:
            return False
        if there != sha256:
            raise ConflictError("the target has other bytes under this name")
        return True

    async def _share(self, name: str, sha256: str) -> StoredFile | None:
        """Give bytes that are there already one name more."""
        if not isinstance(self.target, SharesBytes):
            return None
        for twin in {item.name for item in await self._catalog.twins(sha256)} - {name}:
            with suppress(NotFoundError):  # it is not there yet
                if (await digest_of(self._shared, twin)).sha256 == sha256:
                    return await self.target.adopt(self._shared, twin, name)
        return None

    async def _copy(self, name: str, sha256: str) -> StoredFile:
        """Copy the bytes, piece by piece, and read back what came of it."""
        digest = hashlib.sha256()
        async with self.target.stage() as staged:
            async with aclosing(self.source.read(name)) as pieces:
                async for piece in hashed(pieces, digest):
                    await staged.write(piece)
            if digest.hexdigest() != sha256:
                raise ConflictError(_OTHER_BYTES)
            stored = await staged.commit(name, sha256)
        if (await digest_of(self.target, stored.name)).sha256 != sha256:
            await self._undo(stored.name)
            raise StoreError("it came out of the target other than it went in")
        return stored

    async def _confirm(self, file: StoredFile) -> None:
        """Take back what was brought if the source's file was changed or deleted while it was copied."""
        try:
            unchanged = (await self.source.get(file.name)).etag == file.etag
        except NotFoundError:
            await self._undo(file.name)
            raise
        if not unchanged:
            await self._undo(file.name)
            raise ConflictError("it was changed while it was copied")

    async def _undo(self, name: str) -> None:
        with suppress(NotFoundError):
            await self.target.delete(name)
