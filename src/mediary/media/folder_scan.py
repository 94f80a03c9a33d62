"""Prints the names of the media files in a folder, in the order of their bytes, each with a NUL behind it.

A program of its own, of the standard library alone: a million names are listed and sorted outside of the server, in
some twenty megabytes. `folder.list_names` runs it.
"""

import heapq
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import BinaryIO

RUN = 50_000
"""Names that are sorted in memory."""
PRINTED = 1_000
"""Names that are printed in one go."""
BLOCK = 64 * 1024


def names_in(folder: bytes, extensions: tuple[bytes, ...]) -> Iterator[bytes]:
    """Regular files with one of these extensions (lower case), no links, whose names the store would serve."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.lower().endswith(extensions) and is_plain(name) and entry.is_file(follow_symlinks=False):
                yield name


def is_plain(name: bytes) -> bool:
    """Whether the store would serve a file of that name."""
    if name.startswith(b".") or b"\\" in name:
        return False
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def in_order(names: Iterator[bytes], files: ExitStack) -> Iterable[bytes]:
    """The names, sorted: runs of them in memory, and then their files side by side."""
    run = sorted(islice(names, RUN))
    if len(run) < RUN:
        return run
    runs = []
    while run:
        file = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is closed with the others
        file.writelines(name + b"\0" for name in run)
        file.seek(0)
        runs.append(read_names(file))
        run = sorted(islice(names, RUN))
    return heapq.merge(*runs)


def read_names(file: BinaryIO) -> Iterator[bytes]:
    """The names in a file, each with a NUL behind it."""
    rest = b""
    while block := file.read(BLOCK):
        *names, rest = (rest + block).split(b"\0")
        yield from names


def main(folder: bytes, *extensions: bytes) -> None:
    """Print the names; whoever has more urgent work goes first."""
    os.nice(10)
    with ExitStack() as files:
        names = iter(in_order(names_in(folder, extensions), files))
        while batch := list(islice(names, PRINTED)):
            sys.stdout.buffer.write(b"\0".join(batch) + b"\0")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main(*map(os.fsencode, sys.argv[1:]))
    except OSError as error:
        sys.exit(error.strerror)
