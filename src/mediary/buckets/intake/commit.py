"""Gives files that have arrived their names in a bucket: for good, one process at a time, all at once or none."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.buckets.index import digest_of
from mediary.buckets.intake.staging import Arrived
from mediary.buckets.lookup import file_status
from mediary.buckets.naming import DOWNLOADS, TEXT, WHAT, document_name, file_name, free_name
from mediary.extractors.base import Recognised
from mediary.formats import Format, is_allowed_extension
from mediary.storage.files import sync_folder, translated

_SYNCING = 8
"""Files that are made durable at the same time: the disk does them together."""


@dataclass(slots=True, frozen=True)
class Accepted:
    """A document that has arrived, and what it is."""

    arrived: Arrived
    original: str
    found: Recognised
    language: str | None = None
    url: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether its bytes are its text."""
        return self.found.sort == "text"


@dataclass(slots=True, frozen=True)
class Brought:
    """A media file that has arrived."""

    arrived: Arrived
    original: str
    format: Format


@dataclass(slots=True, frozen=True)
class Kept:
    """A media file that has its name; `is_new` unless it was there already."""

    name: str
    format: Format
    is_new: bool


def sync_all(files: Sequence[Arrived]) -> None:
    """Make the bytes of files durable, in a thread."""
    if len(files) == 1:
        files[0].sync()
        return
    with ThreadPoolExecutor(_SYNCING) as threads:
        list(threads.map(Arrived.sync, files))


def commit_documents(bucket: Bucket, accepted: Sequence[Accepted]) -> list[Document]:
    """Take documents, whose bytes are durable, into the bucket, in order; in a thread.

    One that is there already under its name with the same bytes is that one. ConflictError if the bucket was deleted.
    """
    with bucket.manifest.lock(), translated(WHAT):
        bucket.index.rows.follow()
        return _Commit(bucket).run(accepted)


def commit_media(bucket: Bucket, brought: Sequence[Brought]) -> list[Kept]:
    """Take media, whose bytes are durable, into the bucket, in order; in a thread.

    One that is there already under its name with the same bytes is that one. ConflictError if the bucket was deleted.
    """
    with bucket.manifest.lock(), translated(WHAT):
        bucket.media_dir.mkdir(exist_ok=True)
        with ExitStack() as undo:
            kept = [_keep(bucket.media_dir, one, undo.callback) for one in brought]
            _sync_folders([bucket.media_dir, bucket.folder])
            undo.pop_all()
    return kept


def commit_downloads(bucket: Bucket, arrived: Arrived) -> None:
    """Put the list of what is to be fetched in the place of the one that was there; in a thread."""
    arrived.sync()
    with bucket.manifest.lock(), translated(WHAT):
        arrived.path.rename(bucket.folder / DOWNLOADS)
        sync_folder(bucket.folder)


class _Commit:
    """One step of a bucket, under its lock."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._rows = bucket.index.rows
        self._fresh: dict[tuple[str, int], list[tuple[Arrived, Document]]] = {}
        self._made: list[Document] = []
        self._names: set[str] = set()

    def run(self, accepted: Sequence[Accepted]) -> list[Document]:
        """Name the files, then list them: a name is in the manifest when its file is there for good."""
        _tell_apart(accepted)
        with ExitStack() as undo:
            taken = [self._take(one, undo.callback) for one in accepted]
            fresh = self._rows.placed(self._made)
            if fresh:
                _sync_folders([self._bucket.source_dir, self._bucket.folder])
                self._bucket.manifest.extend(document.name for document in fresh)
            undo.pop_all()
        if fresh:
            self._rows.insert(fresh)
        placed = {document.name: document for document in fresh}
        return [placed.get(document.name, document) for document in taken]

    def _take(self, one: Accepted, undo: Callable[..., object]) -> Document:
        """The document that a file becomes, or is."""
        safe = file_name(one.original)
        alike = self._fresh.setdefault((safe, one.arrived.size), [])
        for arrived, document in alike:
            if arrived.sha256 == one.arrived.sha256:
                return document
        if known := self._bucket.index.equal(one.original, lambda: one.arrived.sha256, one.arrived.size, held=True):
            return self._renewed(known, one)
        name = free_name(safe, lambda name: self._is_taken(name, one))
        document = _document(one, name)
        path = self._bucket.text_path(document) if one.is_text else self._bucket.source_dir / name
        path.parent.mkdir(exist_ok=True)
        if _place(one.arrived, path):
            undo(path.unlink, missing_ok=True)
        alike.append((one.arrived, document))
        self._made.append(document)
        self._names.add(document.name)
        return document

    def _renewed(self, known: Document, one: Accepted) -> Document:
        """A document that is brought again; one that could not be read, or whose files are gone, gets a new chance."""
        source = self._bucket.source_path(known)
        has_source = source is not None and file_status(source) is not None
        if known.state != "failed" and (has_source or file_status(self._bucket.text_path(known))):
            return known
        again = _document(one, known.name.removesuffix(TEXT))
        changes = {name: getattr(again, name) for name in ("state", "error", "media_type", "extractor", "text_size")}
        if not has_source:
            path, changes["source"] = self._place_of(known, one)
            path.parent.mkdir(exist_ok=True)
            _place(one.arrived, path)
            _sync_folders([path.parent, self._bucket.folder])
        changes["asked_language"] = one.language or known.asked_language
        return self._rows.change(known.name, changes, held=True)

    def _place_of(self, known: Document, one: Accepted) -> tuple[Path, str | None]:
        """Where the bytes of a document belong whose files are gone, and what its `source` is then."""
        if known.text:
            return self._bucket.folder / known.name, known.name
        if one.is_text:
            return self._bucket.text_path(known), None
        name = known.name.removesuffix(TEXT)
        return self._bucket.source_dir / name, name

    def _is_taken(self, file: str, one: Accepted) -> bool:
        """Whether a document of that file has a name that is in use, or would cover a file that is not its own."""
        name = document_name(file, is_text=one.is_text)
        names = (name, name.removesuffix(TEXT))
        if name in self._names or self._rows.select("WHERE name IN (?, ?)", names, held=True):
            return True
        text, source = self._bucket.folder / name, self._bucket.source_dir / file
        return _is_other(text, one.arrived) if one.is_text else lexists(text) or _is_other(source, one.arrived)


def _keep(folder: Path, one: Brought, undo: Callable[..., object]) -> Kept:
    safe = file_name(one.original)
    if is_allowed_extension(safe) is None:
        safe += one.format.extension
    name = free_name(safe, lambda name: _is_other(folder / name, one.arrived))
    is_new = _place(one.arrived, folder / name)
    if is_new:
        undo((folder / name).unlink, missing_ok=True)
    return Kept(name, one.format, is_new)


def _tell_apart(accepted: Sequence[Accepted]) -> None:
    """Have the digests of those that may be the same, while they still lie where they arrived."""
    alike = Counter((file_name(one.original), one.arrived.size) for one in accepted)
    for one in accepted:
        if alike[file_name(one.original), one.arrived.size] > 1:
            _ = one.arrived.sha256


def _document(one: Accepted, file: str) -> Document:
    """The document of a file with that name."""
    return Document(
        name=document_name(file, is_text=one.is_text),
        position=0,
        state="ready" if one.is_text else "queued",
        original=one.original,
        source=None if one.is_text else file,
        media_type=one.found.media_type,
        extractor=one.found.extractor,
        size=one.arrived.size,
        sha256=one.arrived.digest,
        text_size=one.arrived.size if one.is_text else None,
        asked_language=one.language,
        taken=time.time(),
        url=one.url,
    )


def _is_other(path: Path, arrived: Arrived) -> bool:
    """Whether something lies there that is not the same bytes: a killed process may have left these without a line."""
    if not lexists(path):
        return False
    status = file_status(path)
    return status is None or status.st_size != arrived.size or digest_of(path) != arrived.sha256


def _place(arrived: Arrived, path: Path) -> bool:
    """Move a file to a name that is free, or bears the same bytes; False if these lie there already."""
    if lexists(path):
        return False
    arrived.path.rename(path)
    return True


def _sync_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        if folder.is_dir():
            sync_folder(folder)
