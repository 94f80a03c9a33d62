"""`/search` in a library of a million items, and against a scan of the folder: `python -m benchmarks.search`.

The files are hard links to a few pictures; the rows are those that a look at the folder would write, marked as read, so
that no work in the background is left. The scan is that of the system in the specification: it walks the folder, counts
the tokens in each name, and takes the first name that has enough of them. It runs in this process, and is spared HTTP.
Exit code 1 if a limit does not hold.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from itertools import chain
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

from benchmarks._report import Row, report
from benchmarks._server import memory
from tests.servers.mediary import MediaryServer

from mediary.database.engine import Database
from mediary.media.catalog import Catalog
from mediary.media.item import WHOLE, MediaItem
from mediary.media.sync import item_of
from mediary.storage.base import StoredFile

MANY, FEW = 1_000_000, 100_000
LINKS = 50_000
"""Names of one file; common file systems take 65,000."""
ROUNDS = 50
SCANS = 3
FIRST = 1_600_000_000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
WORDS = (
    *("cat", "dog", "red", "sunset", "portrait", "anime", "character", "dragon", "castle", "forest", "river", "night"),
    *("mountain", "city", "light", "robot", "ocean", "flower", "house", "cloud", "猫咪", "风景", "закат", "море"),
)
# Common and rare ones, one that nothing holds, kinds and types, short ones, and several at once.
QUERIES = (
    *("cat", "sdxl", "zebra", "nowhere", "image", "image+dragon+castle", "video", "video+zebra", "image/png+robot"),
    *("猫", "风景", "закат", "flux+portrait+night", "16000", "f00d", "cat+zebra?min=1", "cat?skip=100", "a+zebra"),
)
SCANNED = ("cat", "zebra", "nowhere", "portrait+night")


def names(count: int) -> Iterator[str]:
    """File names as the system of the specification makes them, oldest first, always the same."""
    chance = Random(1)
    for number in range(count):
        words = chance.choices(WORDS, k=5) + ["zebra"] * (number % 50_000 == 7)
        model, extension = "flux" if number % 5 else "sdxl", "mp4" if number % 20_000 == 3 else "png"
        yield f"{FIRST + 60 * number}_{model}+{'_'.join(words)}_{chance.getrandbits(64):016x}.{extension}"


@contextmanager
def library(count: int) -> Iterator[Path]:
    """A data folder with that many items, and a catalog that knows them."""
    with TemporaryDirectory(prefix="mediary-") as work:
        data = Path(work) / "data"
        folder = data / "generated_media"
        folder.mkdir(parents=True)
        source = Path(work) / "source.png"
        for number, name in enumerate(names(count)):
            if number % LINKS == 0:
                source.unlink(missing_ok=True)
                source.write_bytes(PNG)
            os.link(source, folder / name)
        asyncio.run(_describe(data / "mediary.db", folder, count))
        yield data


async def _describe(path: Path, folder: Path, count: int) -> None:
    database = await Database.open(path)
    await Catalog(database).add_many(_items(folder, count))
    await database.close()


def _items(folder: Path, count: int) -> Iterator[MediaItem]:
    for name in names(count):
        status = (folder / name).stat()
        item = item_of(StoredFile(name, status.st_size, status.st_mtime, ""))
        assert item
        yield replace(item, read=WHOLE)


@contextmanager
def serving(data: Path) -> Iterator[MediaryServer]:
    """A server that says that it is ready (`/readyz`), in a folder in which it was once already."""
    with MediaryServer(data, env={"MEDIARY_LOG_LEVEL": "warning"}) as server:
        _wait_until_idle(server.pid)
        server.restart()
        server.get("/readyz")
        yield server


def _wait_until_idle(process: int) -> None:
    """Wait for the work that goes on behind the start."""
    used = -1.0
    while (now := _processor_seconds(process)) - used > 0.05:
        used = now
        time.sleep(2)


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client:
    """A client that keeps its connection."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc)

    def seconds(self, query: str) -> float:
        """How long a search takes: until it leads somewhere, or says that there is nothing."""
        started = time.perf_counter()
        self._connection.request("GET", f"/search/{quote(query, safe='+/?=')}")
        response = self._connection.getresponse()
        response.read()
        taken = time.perf_counter() - started
        assert response.status in (302, 404), f"{query}: {response.status}"
        return taken


def of_a_million() -> list[Row]:
    """The figures of a large library."""
    with library(MANY) as data, serving(data) as server:
        first = Client(server.url).seconds(QUERIES[0])
        _wait_until_idle(server.pid)
        client = Client(server.url)  # the server closes a connection that was idle for so long
        rounds = [[client.seconds(query) for query in QUERIES] for _ in range(ROUNDS)]
        used = memory(server.pid, peak=True)
        middle, slowest = median(chain.from_iterable(rounds)), max(map(median, zip(*rounds, strict=True)))
    return [
        Row(f"{MANY:,}: the first search", _shown(first), "", first * 1e3, 50, unit=" ms"),
        Row(f"{MANY:,}: {len(QUERIES)} different", _shown(middle), "", middle * 1e3, 2, unit=" ms"),
        Row(f"{MANY:,}: the slowest of them", _shown(slowest), "", slowest * 1e3, None, unit=" ms"),
        Row(f"{MANY:,}: memory", f"{used / 1e6:.0f} MB", "", used / 1e6, 200, unit=" MB"),
    ]


def against_a_scan() -> list[Row]:
    """A search against a scan of the folder, the two taking turns."""
    with library(FEW) as data, serving(data) as server:
        _wait_until_idle(server.pid)
        client = Client(server.url)
        ours, theirs = {query: [] for query in SCANNED}, {query: [] for query in SCANNED}
        for query in SCANNED * SCANS:
            theirs[query].append(_scan_seconds(data / "generated_media", query))
            ours[query] += [client.seconds(query) for _ in range(ROUNDS)]
    return [
        Row(
            f"{FEW:,}: {query}",
            _shown(our := median(ours[query])),
            _shown(their := median(theirs[query])),
            their / our,
            50,
            at_least=True,
        )
        for query in SCANNED
    ]


def _scan_seconds(folder: Path, query: str) -> float:
    started = time.perf_counter()
    tokens = query.split("+")
    found: dict[str, int] = {}
    for _, _, files in os.walk(folder):
        for file in files:
            for token in tokens:
                if token in file.lower():
                    found[file] = found.get(file, 0) + 1
    next((file for file, count in found.items() if count >= len(tokens)), None)
    return time.perf_counter() - started


def _shown(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    sys.exit(not report([*against_a_scan(), *of_a_million()], "a scan"))


if __name__ == "__main__":
    main()
