"""How fast a large file comes in: `python -m benchmarks.intake`.

1 GB from a local nginx through `copy_media`, against `curl -o` from the same server onto the same disk, in turn; and
how much memory that takes. `copy_media` also hashes the bytes and waits until they are on the disk; curl leaves them in
the page cache. Exit code 1 if a limit does not hold.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import uvloop
from benchmarks._nginx import nginx
from benchmarks._report import Row, report

from mediary.media.directories import ensure_media_dir
from mediary.media.intake import copy_media
from mediary.media.library import MediaLibrary
from mediary.net.client import HttpClient
from mediary.settings import NetSettings

SIZE = 1_000_000_000
ROUNDS = 5
MB = 1_000_000
HEAD = b"\0\0\0\x18ftypisom\0\0\0\0isommp42"
"""How an MP4 file begins."""


def make_source(folder: Path) -> Path:
    """A file of `SIZE` bytes that passes for a video."""
    folder.mkdir()
    path = folder / "big.mp4"
    with path.open("wb") as file:
        file.write(HEAD)
        block = bytes(range(256)) * 4096
        for _ in range((SIZE - len(HEAD)) // len(block)):
            file.write(block)
        file.write(bytes(SIZE - file.tell()))
    return path


def with_curl(url: str, target: Path) -> float:
    """Seconds for curl to fetch it into a file."""
    began = time.perf_counter()
    subprocess.run(["curl", "--silent", "--fail", "-o", target, url], check=True)
    seconds = time.perf_counter() - began
    assert target.stat().st_size == SIZE
    target.unlink()
    return seconds


async def copy(url: str, folder: Path) -> None:
    """Fetch it into a library, and print the seconds and the bytes of memory that this took at most."""
    http = HttpClient(NetSettings(allow=("127.0.0.0/8",)))
    library = MediaLibrary.local(folder, http)
    small = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    await copy_media([small], library=library)  # what is loaded once is loaded
    before = _peak()
    began = time.perf_counter()
    [copied] = await copy_media([url], add_url=False, library=library)
    seconds = time.perf_counter() - began
    assert copied.startswith("/media/"), copied
    await http.close()
    print(seconds, _peak() - before)


def _peak() -> int:
    """The most memory that this process held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def with_copy_media(url: str, folder: Path) -> tuple[float, int]:
    """Seconds and bytes of memory for `copy_media`, in a process of its own."""
    folder = ensure_media_dir(folder)
    command = [sys.executable, "-m", "benchmarks.intake", url, str(folder)]
    seconds, growth = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    [kept] = folder.glob("*.mp4")
    assert kept.stat().st_size == SIZE
    kept.unlink()
    return float(seconds), int(growth)


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    with TemporaryDirectory(prefix="mediary-") as name, nginx(Path(name) / "source") as server:
        work = Path(name)
        source = make_source(work / "source")
        url = f"{server}/media/{source.name}"
        with_curl(url, work / "curl.mp4")
        rounds = [(with_curl(url, work / "curl.mp4"), *with_copy_media(url, work / "library")) for _ in range(ROUNDS)]
    theirs, ours, growth = (median(column) for column in zip(*rounds, strict=True))
    ratio = median(round_[0] / round_[1] for round_ in rounds)
    rows = [
        Row(
            "1 GB through copy_media",
            f"{SIZE / MB / ours:.0f} MB/s",
            f"{SIZE / MB / theirs:.0f} MB/s",
            ratio,
            0.6,
            True,
        ),
        Row("memory it takes", "", "", growth / MB, 30, unit=" MB"),
    ]
    sys.exit(not report(rows, "curl"))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        uvloop.run(copy(sys.argv[1], Path(sys.argv[2])))
    else:
        main()
