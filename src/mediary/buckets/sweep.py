"""Removing what killed processes left in the hidden folder of a bucket, and nothing that a living one works on."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mediary.buckets.locks import Claim
from mediary.buckets.naming import CACHES, CACHES_LOCK, CRAWL_LOCK, REFINED, REFINED_LOCK, TEXTS
from mediary.errors import MediaryError
from mediary.storage.spool import INCOMING, recover

UNPACKED = "unpacked"
"""The folder of what is unpacked of archives."""

_WORKED_ON = {CACHES_LOCK: CACHES, REFINED_LOCK: REFINED, CRAWL_LOCK: "crawl-*"}
"""What is made in the hidden folder by whoever has the claim."""


def sweep(hidden: Path) -> None:
    """Remove it, as far as it goes, in a thread: a disk that cannot be written to has nothing that could be removed."""
    with suppress(OSError, MediaryError):
        sweep_incoming(hidden)
        for path in (hidden / TEXTS).glob("*"):
            with _claimed(path) as claim:
                if claim:
                    claim.remove()
        for lock, pattern in _WORKED_ON.items():
            if left := list(hidden.glob(pattern)):
                with _claimed(hidden / lock) as claim:
                    if claim:
                        _remove(left)


def sweep_incoming(hidden: Path) -> None:
    """The same of uploads alone; OSError or StoreError."""
    recover(hidden)
    # Each folder bears the name of the file that it was unpacked from, which its process holds.
    _remove(path for path in (hidden / UNPACKED).glob("*") if not (hidden / INCOMING / path.name).exists())


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _claimed(path: Path) -> Iterator[Claim | None]:
    """The claim, None where somebody has it."""
    claim = Claim(path)
    try:
        yield claim if claim.take() else None
    finally:
        claim.release()
