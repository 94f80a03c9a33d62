"""Buckets: folders of documents and media, each under its id; and the folder that they all lie in."""

import asyncio
import os
import secrets
import shutil
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

from mediary.buckets.document import Document
from mediary.buckets.index import Index
from mediary.buckets.legacy import adopt, is_adopted
from mediary.buckets.manifest import DELETED, Manifest
from mediary.buckets.naming import CONTROLS, HIDDEN, MANIFEST, MEDIA, SOURCES, THUMBNAILS, WHAT
from mediary.buckets.summary import BucketPage, summarise
from mediary.buckets.sweep import sweep
from mediary.errors import BadRequestError, ConflictError, NotFoundError
from mediary.names import MAX_SEGMENT_BYTES, secure_filename
from mediary.storage.files import in_thread, sync_folder, translated

MOST_OPEN = 64
"""Buckets whose index stays open for the next who asks."""

_TRASH = ".trash-"
_LONGEST_RAW = 3 * MAX_SEGMENT_BYTES  # each byte may come as an escape


class Bucket:
    """A bucket's folder, and where everything lies in it."""

    def __init__(self, folder: Path) -> None:
        self.id = folder.name
        self.folder = folder
        self.source_dir = folder / SOURCES
        self.media_dir = folder / MEDIA
        self.thumbnail_dir = folder / THUMBNAILS
        self.hidden = folder / HIDDEN
        self.manifest = Manifest(folder / MANIFEST)
        self.index = Index(folder, self.manifest)
        self.turn = asyncio.Lock()
        """Of those in this process who want the manifest's lock: one thread at a time waits for it."""

    def text_path(self, document: Document) -> Path:
        """Where the text of a document lies, or will."""
        return self.folder / document.text_name

    def source_path(self, document: Document) -> Path | None:
        """What the text of a document is made from; None where it is the text itself, or deleted."""
        if document.source is None:
            return None
        is_own = document.source == document.name
        return (self.folder if is_own else self.source_dir) / document.source


class Buckets:
    """The buckets in the folder `root`, which need not be there yet. Several processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._open: OrderedDict[str, Bucket] = OrderedDict()

    async def find(self, raw_id: str) -> Bucket | None:
        """The bucket of that id, if there is one; BadRequestError if it cannot be an id."""
        checked = bucket_id(raw_id)
        state = await in_thread(partial(_look, self.root / checked))
        return await self._opened(checked, state) if state.is_there else None

    async def get(self, raw_id: str) -> Bucket:
        """The bucket of that id; NotFoundError if there is none, BadRequestError if it cannot be an id."""
        if bucket := await self.find(raw_id):
            return bucket
        raise NotFoundError(f"There is no bucket {bucket_id(raw_id)!r}")

    async def open(self, raw_id: str) -> Bucket:
        """The bucket of that id, made if there is none; BadRequestError if it cannot be an id.

        ConflictError if it is deleted meanwhile.
        """
        checked = bucket_id(raw_id)
        try:
            return await self._opened(checked, await in_thread(partial(self._make, self.root / checked)))
        except NotFoundError as error:
            raise ConflictError(DELETED) from error

    async def list(self, cursor: str | None = None, limit: int = 100) -> BucketPage:
        """The buckets in the order of their ids, behind a cursor."""
        return await in_thread(partial(self._list, cursor or "", limit))

    async def delete(self, raw_id: str) -> None:
        """Remove a bucket with all it holds: at once for everybody, whatever happens then; NotFoundError."""
        checked = bucket_id(raw_id)
        if not (await in_thread(partial(_look, self.root / checked))).is_there:
            raise NotFoundError(f"There is no bucket {checked!r}")
        bucket = self._open.pop(checked, None) or Bucket(self.root / checked)
        async with bucket.turn:
            trash = await in_thread(partial(self._take_away, bucket))
        await bucket.index.close()
        await in_thread(partial(_remove, trash))

    async def recover(self) -> int:
        """Remove what a killed process left of buckets that it deleted; how many there were."""
        return await in_thread(self._recover)

    async def close(self) -> None:
        """Close what is open."""
        while self._open:
            _, bucket = self._open.popitem()
            await bucket.index.close()

    async def _opened(self, checked: str, state: "_State") -> Bucket:
        """The one object that stands for a bucket in this process."""
        known = self._open.get(checked)
        bucket = self._open[checked] = known or Bucket(self.root / checked)
        self._open.move_to_end(checked)
        # From the first wait on, somebody may delete it.
        if known is None:
            await in_thread(partial(sweep, bucket.hidden))
        if len(self._open) > MOST_OPEN:
            _, oldest = self._open.popitem(last=False)
            await oldest.index.close()
        if not state.is_adopted:
            async with bucket.turn:
                await in_thread(partial(adopt, bucket.folder, bucket.manifest))
        return bucket

    def _make(self, folder: Path) -> "_State":
        state = _look(folder)
        if state.is_there:
            return state
        with translated(WHAT):
            self.root.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                folder.mkdir()
            sync_folder(self.root)
        if not (state := _look(folder)).is_there:
            raise ConflictError(f"What is called {folder.name!r} in the folder of the buckets is no bucket")
        return state

    def _take_away(self, bucket: Bucket) -> Path:
        """Rename a bucket, when nobody is adding to it."""
        trash = self.root / f"{_TRASH}{secrets.token_hex(8)}"
        with bucket.manifest.lock(), translated(WHAT, bucket.id):
            bucket.folder.rename(trash)
            sync_folder(self.root)
        return trash

    def _list(self, after: str, limit: int) -> BucketPage:
        ids = _ids(self.root, after)
        page = ids[:limit]
        summaries = filter(None, (summarise(self.root / name) for name in page))
        return BucketPage(tuple(summaries), page[-1] if len(ids) > limit else None)

    def _recover(self) -> int:
        with translated(WHAT):
            left = list(self.root.glob(f"{_TRASH}*"))
        for folder in left:
            _remove(folder)
        return len(left)


def bucket_id(raw: str) -> str:
    """The id of a bucket, which is the safe form of a name; BadRequestError where there is none.

    Nothing is cut, so that two long names are not one bucket.
    """
    plain = normalize("NFC", unquote(raw[:_LONGEST_RAW]))
    if "/" in plain or "\\" in plain or CONTROLS.search(plain):
        raise BadRequestError("The id of a bucket has no slashes and no control characters")
    if len(raw) > _LONGEST_RAW or len(plain.encode()) > MAX_SEGMENT_BYTES:
        raise BadRequestError(f"The id of a bucket has at most {MAX_SEGMENT_BYTES} bytes")
    safe = secure_filename(plain)
    if not safe:
        raise BadRequestError("The id of a bucket has letters or digits")
    return safe


def _ids(root: Path, after: str) -> list[str]:
    """The ids of the buckets in a folder behind that one, in order."""
    with translated(WHAT), suppress(FileNotFoundError), os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.name > after and entry.is_dir(follow_symlinks=False)]
        return sorted(filter(_is_id, names))
    return []


def _is_id(name: str) -> bool:
    """Whether a folder of that name can be a bucket."""
    try:
        return bucket_id(name) == name
    except BadRequestError:
        return False


@dataclass(slots=True, frozen=True)
class _State:
    """What of a bucket's folder there is."""

    is_there: bool
    is_adopted: bool


def _look(folder: Path) -> _State:
    with translated(WHAT):
        return _State(folder.is_dir() and not folder.is_symlink(), is_adopted(folder))


def _remove(folder: Path) -> None:
    """Remove a folder, as far as it goes; somebody else may be doing the same."""
    shutil.rmtree(folder, ignore_errors=True)
