"""The `downloads.json` that lies in a bucket: what it says, and whether it is still the same one."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mediary.buckets.crawl.plan import MAX_BYTES, Download, parse_downloads
from mediary.buckets.naming import DOWNLOADS, WHAT
from mediary.errors import NotFoundError
from mediary.storage.files import opened, translated

Mark = tuple[int, int, int]


@dataclass(slots=True, frozen=True)
class Listing:
    """A list as it was read; `id` is another one whenever it is uploaded again, be it the same to the letter."""

    id: str
    mark: Mark
    plan: list[Download]


def read_list(folder: Path) -> Listing | None:
    """The list of the bucket in `folder`, None if it has none; FieldError or BadRequestError for one that is wrong."""
    try:
        with translated(WHAT, DOWNLOADS), opened(folder / DOWNLOADS, os.O_RDONLY) as descriptor:
            status = os.fstat(descriptor)
            data = b""
            while len(data) <= MAX_BYTES and (piece := os.read(descriptor, MAX_BYTES + 1)):
                data += piece
    except NotFoundError:
        return None
    return Listing(f"{status.st_mtime_ns}-{sha256(data).hexdigest()}", _mark(status), parse_downloads(data))


def mark_of(folder: Path) -> Mark | None:
    """What changes with the list; None if there is none."""
    try:
        return _mark((folder / DOWNLOADS).stat(follow_symlinks=False))
    except OSError:
        return None


def remove_list(folder: Path) -> None:
    """Take the list away; NotFoundError if there is none."""
    with translated(WHAT, DOWNLOADS):
        (folder / DOWNLOADS).unlink()


def _mark(status: os.stat_result) -> Mark:
    return status.st_ino, status.st_size, status.st_mtime_ns
