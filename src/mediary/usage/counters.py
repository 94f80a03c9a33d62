"""Numbers that only grow, by name and labels, for `/metrics`: those of all processes of a server come together.

Counting costs a microsecond, and neither a lock nor a library. Where several processes serve one port, each keeps its
numbers in a file of its own in a folder that they share, so that whoever is asked tells the sum, and what a process
counted stays when it dies.
"""

import fcntl
import json
import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

FILE_BYTES = 16 * 1024**2
"""Room for all that a process may count, of which only what is used takes any on the disk."""
PIECE = 64 * 1024
"""Bytes that are taken on the disk at once."""
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Upper bounds of what is counted in seconds."""
MAX_PAIRS = 300
"""Providers and models that a process counts apart."""
MAX_LABEL = 200
OTHER = "(other)"

Key = tuple[str, ...]
"""A name and the values of its labels."""

_LENGTH = struct.Struct("<I")
_VALUE = struct.Struct("<d")
_START = 8


class Counters:
    """The numbers of this process, and, with a `folder`, those of the others that share it."""

    def __init__(self, folder: Path | None = None) -> None:
        self._values: dict[Key, float] = {}
        self._pairs: set[tuple[str, str]] = set()
        self._folder = folder
        self._file = None if folder is None else _Own(folder)

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        """Count up."""
        key = (name, *labels)
        value = self._values[key] = self._values.get(key, 0.0) + amount
        if self._file is not None:
            self._file.put(key, value)

    def among(self, provider: str, model: str) -> tuple[str, str]:
        """The labels of a provider and a model: models come from clients, and nobody reads thousands of them."""
        pair = (provider, model[:MAX_LABEL])
        if pair not in self._pairs:
            if len(self._pairs) >= MAX_PAIRS:
                return provider, OTHER
            self._pairs.add(pair)
        return pair

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        """Count one more that took so long: into its bucket, the last of which has no bound, and into the sum."""
        self.add(name, *labels, str(bisect_left(BUCKETS, seconds)))
        self.add(f"{name}_sum", *labels, amount=seconds)

    def all(self) -> dict[Key, float]:
        """The numbers of all processes together; names that begin with `now_` of the living alone."""
        together = dict(self._values)
        if self._folder is not None and self._file is not None:
            for path in self._folder.iterdir():
                if path != self._file.path:
                    _merge(path, together)
        return together

    def processes(self) -> list[int]:
        """The ids of the processes that count here and live."""
        if self._folder is None:
            return [os.getpid()]
        return [int(path.name.partition("-")[0]) for path in self._folder.iterdir() if _lives(path)]


class _Own:
    """The file of this process: `<length of key> <key as JSON> <value>` again and again, behind how much is used.

    It is locked as long as the process lives.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{os.getpid()}-{os.urandom(4).hex()}"
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        os.truncate(self._descriptor, FILE_BYTES)
        self._map = mmap.mmap(self._descriptor, FILE_BYTES)
        self._places: dict[Key, int] = {}
        self._used = _START
        self._taken = 0

    def put(self, key: Key, value: float) -> None:
        place = self._places.get(key)
        if place is None:
            place = self._new_place(key)
            if place is None:
                return
        _VALUE.pack_into(self._map, place, value)

    def _new_place(self, key: Key) -> int | None:
        """Room for one more, unless there is none."""
        written = json.dumps(key, ensure_ascii=False).encode(errors="backslashreplace")
        written += b" " * (-(len(written) + _LENGTH.size) % 8)
        place = self._used + _LENGTH.size + len(written)
        if not self._take(place + _VALUE.size):
            return None
        self._map[self._used : place] = _LENGTH.pack(len(written)) + written
        _VALUE.pack_into(self._map, place, 0.0)
        self._used = place + _VALUE.size
        _LENGTH.pack_into(self._map, 0, self._used)
        self._places[key] = place
        return place

    def _take(self, end: int) -> bool:
        """Take what the disk has to give up to there: who writes to a map where it has nothing to give is killed."""
        while self._taken < end:
            if self._taken == FILE_BYTES:
                return False
            try:
                if os.pwrite(self._descriptor, bytes(PIECE), self._taken) < PIECE:
                    return False
            except OSError:
                return False
            self._taken += PIECE
        return True


def _merge(path: Path, together: dict[Key, float]) -> None:
    living = _lives(path)
    for key, value in _read(path):
        if living or not key[0].startswith("now_"):
            together[key] = together.get(key, 0.0) + value


def _read(path: Path) -> Iterator[tuple[Key, float]]:
    """The numbers in a file."""
    with path.open("rb") as file:
        start = file.read(_START)
        data = start + file.read(max(0, _LENGTH.unpack_from(start)[0] - _START)) if start else b""
    place = _START
    while place < len(data):
        length = _LENGTH.unpack_from(data, place)[0]
        place += _LENGTH.size
        key = tuple(json.loads(data[place : place + length]))
        place += length
        yield key, _VALUE.unpack_from(data, place)[0]
        place += _VALUE.size


def _lives(path: Path) -> bool:
    """Whether the process that has a file still holds it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
