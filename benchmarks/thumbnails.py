"""Photos to thumbnails, against libvips alone, and what `/media` does meanwhile: `python -m benchmarks.thumbnails`.

Twenty JPEG photos of 12 megapixels, asked for over HTTP at once, each as WebP within 400 by 400. libvips alone is a
process for each core that makes the same thumbnails of the same files and writes them, with the same encoder. Both are
warm: their processes run, and the photos are in the page cache. They take turns; a ratio is the median of the rounds'
ratios. Meanwhile means under a stream of photos that nobody has seen yet. Exit code 1 if a limit does not hold.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

import pyvips
from benchmarks._report import Row, report
from benchmarks.media import ANY_SMALL_FILE, KB, PNG, SMALL_FILES, Figure, rate
from tests.servers.mediary import MediaryServer

PHOTOS = 20
ROUNDS = 7
WIDTH, HEIGHT = 4000, 3000
CORES = os.cpu_count() or 1
SETTLED = 15.0
"""Seconds after which a new server has read what lies in its folder."""
CLIENTS = 4
"""Those who ask for thumbnails while `/media` is measured."""
WIDTHS = ("", "?w=160", "?w=320", "?w=640", "?w=1280")


def make_photo(path: Path, seed: int) -> None:
    """A photo: sky above land, with detail of every size and a sensor's noise, as a camera writes it."""

    def noise(scale: int, sigma: float) -> pyvips.Image:
        small = pyvips.Image.gaussnoise(WIDTH // scale + 2, HEIGHT // scale + 2, mean=0, sigma=sigma, seed=seed + scale)
        return small.resize(scale, kernel="linear").crop(0, 0, WIDTH, HEIGHT)

    place = pyvips.Image.xyz(WIDTH, HEIGHT)
    sky = place[1] / HEIGHT * [120, 80, 20] + 120
    ground = (place[1] + noise(200, 300) > HEIGHT / 2).ifthenelse([90, 110, 60], sky)
    detail = noise(80, 25) + noise(16, 14) + noise(4, 8) + noise(1, 4)
    photo = (ground + detail).cast("uchar").copy(interpretation="srgb")
    photo.jpegsave(str(path), Q=90)


@contextmanager
def photo_folder() -> Iterator[Path]:
    """A data folder with the photos, and small files beside them."""
    with TemporaryDirectory(prefix="mediary-") as work:
        media = Path(work) / "data" / "generated_media"
        media.mkdir(parents=True)
        for number in range(PHOTOS):
            make_photo(media / f"photo-{number}.jpg", number)
        for number in range(SMALL_FILES):
            (media / f"small-{number}.png").write_bytes(PNG + os.urandom(10 * KB - len(PNG)))
        (Path(work) / "small.lua").write_text(ANY_SMALL_FILE)
        yield media


def warm_up() -> None:
    """Have libvips as the server's children have it: one thread in each process, nothing kept, the same priority."""
    os.nice(10)
    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)


def by_libvips(photo: Path) -> None:
    """What libvips alone does: the same size, colours and encoder."""
    image = pyvips.Image.thumbnail(str(photo), 400, height=400, size="down", output_profile="srgb")
    photo.with_suffix(".webp").write_bytes(image.webpsave_buffer(Q=80, effort=4, keep="none"))


def fetch(url: str) -> None:
    """A thumbnail, which must come."""
    with urlopen(Request(url, headers={"Accept": "image/webp"})) as answer:
        assert answer.read()[8:12] == b"WEBP"


def forget(media: Path) -> None:
    """Remove all thumbnails."""
    for path in (media / "thumbnails").glob("*.webp"):
        path.unlink()


def take(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def against_libvips(base: str, media: Path, pool: Executor, clients: Executor) -> Row:
    """Alternating rounds."""
    photos = [media / f"photo-{number}.jpg" for number in range(PHOTOS)]
    urls = [f"{base}/thumbnail/{photo.name}" for photo in photos]

    def one_round() -> tuple[float, float]:
        forget(media)
        return take(lambda: list(clients.map(fetch, urls))), take(lambda: list(pool.map(by_libvips, photos)))

    one_round()  # starts the processes
    rounds = [one_round() for _ in range(ROUNDS)]
    for photo in photos:
        photo.with_suffix(".webp").unlink()
    ratio = median(ours / alone for ours, alone in rounds)
    shown = [f"{1000 * median(column):,.0f} ms" for column in zip(*rounds, strict=True)]
    return Row(f"{PHOTOS} photos of 12 megapixels to thumbnails", shown[0], shown[1], ratio, 1.2)


def kept_thumbnails(base: str, media: Path) -> Row:
    """Thumbnails that are there, against files of their size."""
    fetch(f"{base}/thumbnail/photo-0.jpg")
    made = next((media / "thumbnails").glob("*.webp"))
    (media / "copy.webp").write_bytes(made.read_bytes())
    accept = ("-H", "Accept: image/webp")
    small = made.stat().st_size
    thumbnail = Figure("thumbnail", accept, "/thumbnail/photo-0.jpg", small, 0)
    file = Figure("file", accept, "/media/copy.webp", small, 0)
    time.sleep(SETTLED)  # a file so new is read anew each time
    rounds = [(rate(base, thumbnail), rate(base, file)) for _ in range(ROUNDS)]
    ratio = median(ours / theirs for ours, theirs in rounds)
    shown = [f"{median(column):,.0f} req/s" for column in zip(*rounds, strict=True)]
    return Row("a thumbnail that is there, against /media", shown[0], shown[1], ratio, 0.6, at_least=True)


def beside_thumbnails(base: str, media: Path, figure: Figure) -> Row:
    """`/media` while thumbnails are made without a pause, against `/media` alone."""
    urls = [f"{base}/thumbnail/photo-{number}.jpg{width}" for width in WIDTHS for number in range(PHOTOS)]
    rounds, made = [], 0
    for _ in range(ROUNDS):
        forget(media)
        alone, left, stop = rate(base, figure), iter(urls), threading.Event()
        clients = [threading.Thread(target=_fetch_all, args=(left, stop)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        beside = rate(base, figure)
        stop.set()
        for client in clients:
            client.join()
        assert next(left, None), "the thumbnails were all made before the time was over"
        rounds.append((beside, alone))
        made += len(list((media / "thumbnails").glob("*.webp")))
    ratio = median(beside / alone for beside, alone in rounds)
    shown = [f"{median(column):,.0f} req/s" for column in zip(*rounds, strict=True)]
    figure_name = f"/media while thumbnails are made ({made // ROUNDS} meanwhile)"
    return Row(figure_name, shown[0], shown[1], ratio, 0.5, at_least=True)


def _fetch_all(urls: Iterator[str], stop: threading.Event) -> None:
    while not stop.is_set() and (url := next(urls, None)):
        fetch(url)


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    with photo_folder() as media:
        small = Figure("10 KB", ("-s", str(media.parent.parent / "small.lua")), "/", 10 * KB, 0.5)
        with (
            MediaryServer(media.parent, env={"MEDIARY_LOG_LEVEL": "warning"}) as server,
            ProcessPoolExecutor(CORES, get_context("spawn"), warm_up) as pool,
            ThreadPoolExecutor(PHOTOS) as clients,
        ):
            time.sleep(SETTLED)
            rows = [
                against_libvips(server.url, media, pool, clients),
                kept_thumbnails(server.url, media),
                beside_thumbnails(server.url, media, small),
            ]
    sys.exit(not report(rows, "alone, or /media"))


if __name__ == "__main__":
    main()
