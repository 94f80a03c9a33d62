"""The index of a bucket: what is known of its documents, always in line with the manifest and the folder."""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mediary.buckets.document import Document, State
from mediary.buckets.lookup import file_status
from mediary.buckets.manifest import Manifest
from mediary.buckets.naming import HIDDEN, SOURCES, TEXT, WHAT, file_name, is_numbered
from mediary.buckets.rows import Rows
from mediary.errors import NotFoundError
from mediary.storage.files import in_thread, opened, translated

_PIECE = 1024**2


class Index:
    """The documents of the bucket in `folder`. Derived: what is lost is made again of the manifest and the folder."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.rows = Rows(folder / HIDDEN / "bucket.db", manifest)
        self._folder = folder
        self._manifest = manifest

    async def documents(self, after: int = 0, limit: int | None = None) -> list[Document]:
        """The documents behind a position, in the order of the manifest."""
        condition = "WHERE position > ? ORDER BY position LIMIT ?"
        return await in_thread(partial(self.rows.select, condition, (after, -1 if limit is None else limit)))

    async def find(self, name: str) -> Document | None:
        """The document of that name in the manifest, if there is one."""
        found = await in_thread(partial(self.rows.select, "WHERE name = ?", (name,)))
        return found[0] if found else None

    async def find_original(self, original: str) -> Document | None:
        """The first document that was brought under that name, if there is one."""
        found = await in_thread(partial(self.rows.select, "WHERE original = ? ORDER BY position LIMIT 1", (original,)))
        return found[0] if found else None

    async def get(self, name: str) -> Document:
        """The document of that name in the manifest; NotFoundError if there is none."""
        if found := await self.find(name):
            return found
        raise NotFoundError(f"There is no document {name!r}")

    async def find_equal(self, original: str, sha256: str, size: int | None = None) -> Document | None:
        """The document that was brought under that name with these bytes, if there is one; `size` of them, if known."""
        return await in_thread(partial(self.equal, original, lambda: sha256, size))

    async def add(self, documents: Sequence[Document]) -> list[Document]:
        """Take documents, whose files are durable, into the manifest, and give them their positions."""
        return await in_thread(partial(self._add, documents))

    async def change(self, name: str, **changes: Any) -> Document:
        """Change fields of a document; NotFoundError if there is none of that name."""
        return await in_thread(partial(self.rows.change, name, changes))

    async def counts(self) -> dict[State, int]:
        """How many documents are in each state."""
        return await in_thread(self.rows.counts)

    async def close(self) -> None:
        """Close the file; the next who asks opens it again."""
        await in_thread(self.rows.close)

    def equal(
        self, original: str, digest: Callable[[], str], size: int | None = None, *, held: bool = False
    ) -> Document | None:
        """`find_equal`, in a thread; `digest` gives that of the bytes, if it takes one to tell.

        Whoever holds the manifest's lock, and follows it, says so.
        """
        safe, of_size = file_name(original), "size = ?" if size is not None else "? IS NULL"
        if not self.rows.select(f"WHERE {of_size} LIMIT 1", (size,), held=held):
            return None
        # Thousands may have the size: only those are looked at that have the digest, or none yet.
        sha256 = digest()
        for document in self.rows.select(
            f"WHERE {of_size} AND sha256 = ? ORDER BY position", (size, sha256), held=held
        ):
            if file_name(document.original) == safe:
                return document
        for document in self.rows.select(f"WHERE {of_size} AND sha256 IS NULL ORDER BY position", (size,), held=held):
            # A row that was made again does not know of a numbered name what it was.
            if _may_be(document, safe) and self.digest(document) == sha256:
                return self.rows.change(document.name, {"sha256": sha256, "original": original}, held=held)
        return None

    def _add(self, documents: Sequence[Document]) -> list[Document]:
        with self._manifest.lock():
            self.rows.follow()
            placed = self.rows.placed(documents)
            self._manifest.extend(document.name for document in placed)
            self.rows.insert(placed)
            return placed

    def digest(self, document: Document) -> str | None:
        """The digest of the bytes that were brought, None if they are gone; in a thread."""
        if document.source is None:
            path = self._folder / document.text_name
        elif document.source == document.name:
            path = self._folder / document.name
        else:
            path = self._folder / SOURCES / document.source
        return digest_of(path) if file_status(path) else None


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hex; in a thread."""
    digest = hashlib.sha256()
    with translated(WHAT, path.name), opened(path, os.O_RDONLY) as descriptor:
        while piece := os.read(descriptor, _PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _may_be(document: Document, safe: str) -> bool:
    """Whether a document was brought under that safe name, as far as its own tells."""
    return any(is_numbered(name, safe) for name in (document.name, document.name.removesuffix(TEXT)))
