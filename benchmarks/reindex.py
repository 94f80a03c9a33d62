"""How fast a folder becomes a library: `python -m benchmarks.reindex`.

100,000 files that no catalog knows: until all of them are found by their names, and how many headers a second are read
behind that (PNG, JPEG and WebP files with real headers). Then the same folder once more, where nothing changed. Exit
code 1 if a limit does not hold.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pyvips
import uvloop
from benchmarks._report import Row, report

from mediary.database.engine import Database
from mediary.media.catalog import Catalog
from mediary.media.indexer import Indexer
from mediary.media.item import HEADERS
from mediary.media.library import MediaLibrary
from mediary.media.reader import Reader
from mediary.media.sync import sync
from mediary.net.client import HttpClient
from mediary.sandbox.pool import Sandbox
from mediary.settings import NetSettings

FILES = 100_000
READ = 20_000
"""Files whose headers are read."""
KINDS = (".png", ".jpg", ".webp")
A1111 = (
    "a lighthouse at night, oil on canvas\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 1234, Model: sd"
)


def fill(folder: Path) -> None:
    """Files as generators leave them, each with a name and a file of its own."""
    pictures = [_picture(kind) for kind in KINDS]
    for number in range(FILES):
        kind = number % len(KINDS)
        name = f"{1_600_000_000 + number}_lighthouse+night+{number % 97}_{number:016x}{KINDS[kind]}"
        (folder / name).write_bytes(pictures[kind])
    os.utime(folder, (1, 1))


def _picture(kind: str) -> bytes:
    noise = pyvips.Image.gaussnoise(48, 48, mean=128, sigma=40).cast("uchar")
    picture = noise.bandjoin([noise, noise]).copy(interpretation="srgb").copy()
    if kind == ".png":
        picture.set_type(pyvips.GValue.gstr_type, "png-comment-0-parameters", A1111)
    data: bytes = picture.write_to_buffer(kind)
    return data


async def measure(work: Path) -> list[Row]:
    """The rows of the report."""
    folder = work / "generated_images"
    folder.mkdir()
    await asyncio.to_thread(fill, folder)
    database = await Database.open(work / "mediary.db")
    catalog = Catalog(database)
    http = HttpClient(NetSettings())
    sandbox = Sandbox(readable=[folder])

    async def opened() -> Catalog:
        return catalog

    library = MediaLibrary.local(folder, http, opened)
    try:
        names = await _seconds(library, catalog, folder)
        again = await _seconds(library, catalog, folder)
        headers = await _read(Indexer(library.store, Reader(sandbox, 10**8), folder), catalog)
    finally:
        await sandbox.close()
        await http.close()
        await database.close()
    return [
        Row(f"{FILES:,} new names", f"{FILES / names:,.0f}/s", "", names, 10, unit=" s"),
        Row("the same again", f"{again:.2f} s", "", FILES / again, 50_000, True, unit="/s"),
        Row(f"{READ:,} headers", f"{headers:.1f} s", "", READ / headers, 2_000, True, unit="/s"),
    ]


async def _seconds(library: MediaLibrary, catalog: Catalog, folder: Path) -> float:
    began = time.perf_counter()
    await sync(library.store, catalog, folder)
    seconds = time.perf_counter() - began
    assert await catalog.count() == FILES
    return seconds


async def _read(indexer: Indexer, catalog: Catalog) -> float:
    """Seconds to read the headers of `READ` files; the children are running before."""
    await indexer.step(catalog)
    done, began = 0, time.perf_counter()
    while done < READ:
        done += (await indexer.step(catalog)).done
    seconds = (time.perf_counter() - began) * READ / done
    [item] = (await catalog.list(limit=1)).items
    assert item.read == HEADERS, item
    assert item.width == 48, item
    return seconds


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    with TemporaryDirectory(prefix="mediary-") as work:
        rows = uvloop.run(measure(Path(work)))
    sys.exit(not report(rows))


if __name__ == "__main__":
    main()
