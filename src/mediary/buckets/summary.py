"""What a list of buckets tells of each: how much lies in it."""

import os
from dataclasses import dataclass
from pathlib import Path

from mediary.buckets.manifest import Manifest
from mediary.buckets.naming import MANIFEST, MEDIA, SOURCES, THUMBNAILS, WHAT
from mediary.errors import StoreError
from mediary.storage.files import translated


@dataclass(slots=True, frozen=True)
class BucketSummary:
    """A bucket in a list: how many documents and media it has, what they and its caches take in bytes, its last change.

    `modified` is in Unix seconds.
    """

    id: str
    documents: int
    media: int
    size: int
    modified: float


@dataclass(slots=True, frozen=True)
class BucketPage:
    """A page of a list of buckets; `next` is the cursor of the page after it, None on the last."""

    buckets: tuple[BucketSummary, ...]
    next: str | None


def summarise(folder: Path) -> BucketSummary | None:
    """Count what lies in a bucket, in a thread; None if it is not there any more, or no folder."""
    with translated(WHAT):
        try:
            if folder.is_symlink():
                return None
            modified, sizes = _files(folder)
            parts = {name: _files(folder / name) for name in (SOURCES, MEDIA, THUMBNAILS) if (folder / name).is_dir()}
        except (FileNotFoundError, NotADirectoryError):
            return None
    return BucketSummary(
        id=folder.name,
        documents=_count(folder / MANIFEST),
        media=len(parts[MEDIA][1]) if MEDIA in parts else 0,
        size=sum(map(sum, (sizes, *(sizes for _, sizes in parts.values())))),
        modified=max(modified, *(changed for changed, _ in parts.values()), 0.0),
    )


def _count(manifest: Path) -> int:
    """The documents in a manifest; none where it cannot be read: that is no reason not to list the other buckets."""
    try:
        return len(Manifest(manifest).read())
    except StoreError:
        return 0


def _files(folder: Path) -> tuple[float, list[int]]:
    """When a folder was changed last, and the sizes of the plain files in it that are not hidden."""
    with os.scandir(folder) as entries:
        sizes = [
            entry.stat(follow_symlinks=False).st_size
            for entry in entries
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".")
        ]
    return folder.stat().st_mtime, sizes
