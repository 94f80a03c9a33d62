"""`/media` against nginx, one worker each: `python -m benchmarks.media`.

Server, nginx and wrk (2 threads, 16 connections) share the machine. nginx and Mediary take turns; a ratio is the median
of the rounds' ratios, a rate the median of the rounds' rates. Exit code 1 if a limit does not hold.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from benchmarks._nginx import nginx
from benchmarks._report import Row, report
from tests.servers.mediary import MediaryServer
from tests.servers.slow_disk import SlowDisk, is_possible

ROUNDS = 5
SECONDS = 2
SMALL_FILES = 1000
STALLED_CLIENTS = 32
KB, MB = 1024, 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"

ANY_SMALL_FILE = f"""
local threads = 0
function setup(thread) thread:set("seed", threads); threads = threads + 1 end
function init() math.randomseed(seed) end
function request() return wrk.format("GET", "/media/small-" .. math.random(0, {SMALL_FILES - 1}) .. ".png") end
"""


@dataclass(frozen=True)
class Figure:
    """What is asked for, and what the ratio to nginx must be at least."""

    name: str
    arguments: tuple[str, ...]
    path: str
    body: int
    limit: float


@contextmanager
def media_folder() -> Iterator[Path]:
    """A data folder with many small files and a few large ones."""
    with TemporaryDirectory(prefix="mediary-") as work:
        folder = Path(work) / "data" / "generated_media"
        folder.mkdir(parents=True)
        for number in range(SMALL_FILES):
            (folder / f"small-{number}.png").write_bytes(PNG + os.urandom(10 * KB - len(PNG)))
        (folder / "1mb.png").write_bytes(PNG + os.urandom(MB - len(PNG)))
        (folder / "100mb.png").write_bytes(PNG + os.urandom(100 * MB - len(PNG)))
        (Path(work) / "small.lua").write_text(ANY_SMALL_FILE)
        yield folder


def rate(base: str, figure: Figure) -> float:
    """Requests a second."""
    program = shutil.which("wrk")
    if program is None:
        sys.exit("this benchmark needs wrk")
    command = [program, "-t2", "-c16", f"-d{SECONDS}s", *figure.arguments, base + figure.path]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", printed)
    # wrk counts what it could not read while it stops; a status that is no success is ours to answer for.
    if not found or "Non-2xx" in printed:
        sys.exit(f"{figure.name}: wrk says\n{printed}")
    return float(found[1])


def against_nginx(ours: str, theirs: str, figure: Figure) -> Row:
    """Alternating rounds of nginx and Mediary."""
    rounds = [(rate(theirs, figure), rate(ours, figure)) for _ in range(ROUNDS)]
    ratio = median(our / their for their, our in rounds)
    shown = [_shown(median(column), figure.body) for column in zip(*rounds, strict=True)]
    return Row(figure.name, shown[1], shown[0], ratio, figure.limit, at_least=True)


def _shown(requests: float, body: int) -> str:
    return f"{requests:,.0f} req/s" if body < MB else f"{requests * body / 1e9:.2f} GB/s"


def beside_a_stalled_disk(base: str, figure: Figure, folder: Path) -> Row:
    """Small files with a stalled disk under another file, against small files alone."""
    with SlowDisk(folder / "slow.png", PNG + bytes(MB)) as disk:
        free, stalled = [], []
        for _ in range(ROUNDS):
            free.append(rate(base, figure))
            disk.reached.clear()
            disk.stall()
            clients = [
                threading.Thread(target=_fetch, args=(f"{base}/media/slow.png",)) for _ in range(STALLED_CLIENTS)
            ]
            for client in clients:
                client.start()
            disk.reached.wait()
            stalled.append(rate(base, figure))
            disk.release()
            for client in clients:
                client.join()
    ratio = median(beside / alone for beside, alone in zip(stalled, free, strict=True))
    shown = [f"{median(rates):,.0f} req/s" for rates in (stalled, free)]
    return Row(f"{figure.name} beside a stalled disk", shown[0], shown[1], ratio, figure.limit, at_least=True)


def _fetch(url: str) -> None:
    with urlopen(url) as response:
        assert len(response.read()) == len(PNG) + MB


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    with media_folder() as folder:
        small = ("-s", str(folder.parent.parent / "small.lua"))
        part = ("-H", f"Range: bytes={40 * MB}-{50 * MB - 1}")
        figures = [
            Figure(f"10 KB, {SMALL_FILES:,} files", small, "/", 10 * KB, 0.45),
            Figure("1 MB", (), "/media/1mb.png", MB, 1.0),
            Figure("100 MB", (), "/media/100mb.png", 100 * MB, 1.0),
            Figure("10 MB range of 100 MB", part, "/media/100mb.png", 10 * MB, 1.0),
        ]
        server = MediaryServer(folder.parent, env={"MEDIARY_LOG_LEVEL": "warning"})
        with server, nginx(folder) as theirs:
            rows = [against_nginx(server.url, theirs, figure) for figure in figures]
            if is_possible():
                stall = Figure("10 KB", small, "/", 10 * KB, 0.9)
                rows.append(beside_a_stalled_disk(server.url, stall, folder))
            else:
                print("the figure of the stalled disk needs the right to mount a file system")
    sys.exit(not report(rows, "nginx, or alone"))


if __name__ == "__main__":
    main()
