"""Mediary as a person starts it, in a folder that is gone afterwards, and what it holds in memory."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers.mediary import MediaryServer


@contextmanager
def serving(settings: str = "") -> Iterator[MediaryServer]:
    """A server with these settings (the text of `mediary.toml`), listening on a free port."""
    quiet = {"MEDIARY_LOG_LEVEL": "warning"}
    with (
        TemporaryDirectory(prefix="mediary-") as folder,
        MediaryServer(Path(folder) / "data", settings=settings, env=quiet) as server,
    ):
        yield server


def memory(server: int, *, peak: bool = False) -> int:
    """Bytes of memory in the process and all it started: now, or the most since the start."""
    field = "VmHWM" if peak else "VmRSS"
    return sum(_status(process, field) for process in _tree(server))


def _tree(process: int) -> Iterator[int]:
    yield process
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _status(process: int, field: str) -> int:
    match = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(match[1]) * 1024 if match else 0
