"""Documents into a bucket and their text out, against MarkItDown on the same files: `python -m benchmarks.buckets`.

Ours is end to end over HTTP: curl uploads the file into a new bucket and reads its text to the last byte. MarkItDown
converts the same file in a process that is warm, without a server. They take turns; a ratio is the median of the
rounds' ratios. The 100 MB of text are compared with a copy of the file that is synced to disk, reading them back with
what the server gives for a kept file of that size. Exit code 1 if a limit does not hold.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks._documents import make_docx, make_pdf, make_text, make_xlsx, make_zip
from benchmarks._report import Row, report
from benchmarks._server import memory, serving
from benchmarks.media import KB, MB, PNG, Figure, rate
from benchmarks.thumbnails import make_photo, take
from tests.servers.mediary import MediaryServer

ROUNDS = 3
CHEAP_ROUNDS = 7
SETTLED = 3.0
"""Seconds after which a file that was put into the media folder is served from memory."""

_buckets = count()
_converter: Any = None


def load_markitdown() -> None:
    """Have MarkItDown ready in its process."""
    global _converter
    from markitdown import MarkItDown

    _converter = MarkItDown()


def by_markitdown(paths: list[Path]) -> int:
    """What MarkItDown alone does: the characters of the text."""
    return sum(len(_converter.convert(path).text_content) for path in paths)


def curl(*arguments: str) -> bytes:
    """What the server answers; it must not be an error."""
    return subprocess.run(["curl", "-sS", "-f", *arguments], check=True, capture_output=True).stdout


def end_to_end(base: str, paths: list[Path]) -> int:
    """Upload the files into a new bucket and read its text: its bytes."""
    bucket = f"{base}/backend-api/v2/files/bench-{next(_buckets)}"
    files = [argument for path in paths for argument in ("-F", f"files=@{path}")]
    answer = curl(*files, bucket)
    assert b'"rejected":[]' in answer.replace(b" ", b""), answer
    return len(curl(f"{bucket}?delete_files=false"))


def against_markitdown(base: str, name: str, paths: list[Path], pool: Executor, limit: float | None) -> Row:
    """Alternating rounds; the value is how many times as fast we are."""

    def one_round() -> tuple[float, float]:
        ours = take(lambda: end_to_end(base, paths))
        return ours, take(lambda: pool.submit(by_markitdown, paths).result())

    rounds = [one_round() for _ in range(ROUNDS)]
    ratio = median(theirs / ours for ours, theirs in rounds)
    shown = [_shown(median(column)) for column in zip(*rounds, strict=True)]
    return Row(name, shown[0], shown[1], ratio, limit, at_least=True, unit=" times")


def _shown(seconds: float) -> str:
    return f"{seconds:,.2f} s" if seconds >= 1 else f"{1000 * seconds:,.0f} ms"


def text_in(server: MediaryServer, text: Path) -> Iterator[Row]:
    """100 MB of text uploaded, against a copy that is synced; and by how much memory grows meanwhile."""
    size = text.stat().st_size
    before = memory(server.pid)
    with watched(server) as peak:
        rounds = [(take(lambda: _upload(server.url, text)), take(lambda: _copy(text))) for _ in range(CHEAP_ROUNDS)]
    ratio = median(theirs / ours for ours, theirs in rounds)
    shown = [f"{size / MB / median(column):,.0f} MB/s" for column in zip(*rounds, strict=True)]
    yield Row("100 MB of text uploaded, against a synced copy", shown[0], shown[1], ratio, 0.5, at_least=True)
    grown = (max(peak) - before) / MB
    yield Row(
        "memory by which that grows", f"{max(peak) / MB:,.0f} MB", f"{before / MB:,.0f} MB", grown, 30, unit=" MB"
    )


def _upload(base: str, path: Path) -> None:
    curl("-F", f"files=@{path}", f"{base}/backend-api/v2/files/bench-{next(_buckets)}")


def _copy(path: Path) -> None:
    copy = path.with_name("copy")
    subprocess.run(["dd", f"if={path}", f"of={copy}", "bs=1M", "conv=fsync", "status=none"], check=True)
    copy.unlink()


def text_out(server: MediaryServer, text: Path) -> Row:
    """That text read back, against a kept file of its size from `/media`."""
    bucket = f"{server.url}/backend-api/v2/files/text"
    curl("-F", f"files=@{text}", bucket)
    url = f"{bucket}?delete_files=false"
    curl("-o", "/dev/null", url)  # makes the caches
    media = f"{server.url}/media/100mb.png"
    rounds = [
        (take(lambda: curl("-o", "/dev/null", url)), take(lambda: curl("-o", "/dev/null", media)))
        for _ in range(CHEAP_ROUNDS)
    ]
    ratio = median(file / ours for ours, file in rounds)
    shown = [f"{100 / median(column):,.0f} MB/s" for column in zip(*rounds, strict=True)]
    return Row("that text read back, against /media", shown[0], shown[1], ratio, 0.5, at_least=True)


def beside_extraction(server: MediaryServer, pdf: Path, figure: Figure) -> Iterator[Row]:
    """`/media` while one large PDF after the other is read, against `/media` alone."""
    rounds, slowest = [], 0.0
    for _ in range(CHEAP_ROUNDS):
        alone, stop = rate(server.url, figure), threading.Event()
        client = threading.Thread(target=_keep_extracting, args=(server.url, pdf, stop))
        client.start()
        beside, longest = _rate_and_longest(server.url, figure)
        stop.set()
        client.join()
        rounds.append((beside, alone))
        slowest = max(slowest, longest)
    ratio = median(beside / alone for beside, alone in rounds)
    shown = [f"{median(column):,.0f} req/s" for column in zip(*rounds, strict=True)]
    yield Row("/media while large PDFs are read", shown[0], shown[1], ratio, 0.5, at_least=True)
    yield Row("its slowest answer meanwhile", f"{slowest:,.0f} ms", "", slowest, 100, unit=" ms")


def _keep_extracting(base: str, pdf: Path, stop: threading.Event) -> None:
    """Upload a PDF that nobody has seen yet, and read it, again and again."""
    while not stop.is_set():
        with pdf.open("ab") as file:
            file.write(b"%%%d\n" % next(_buckets))
        end_to_end(base, [pdf])


def _rate_and_longest(base: str, figure: Figure) -> tuple[float, float]:
    """Requests a second, and the milliseconds of the slowest."""
    program = shutil.which("wrk")
    assert program
    command = [program, "-t2", "-c16", "-d2s", *figure.arguments, base + figure.path]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests = re.search(r"Requests/sec:\s*([\d.]+)", printed)
    # Average, deviation, most.
    latency = re.search(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)", printed)
    assert requests
    assert latency
    return float(requests[1]), float(latency[1]) * {"us": 0.001, "ms": 1, "s": 1000}[latency[2]]


@contextmanager
def watched(server: MediaryServer) -> Iterator[list[int]]:
    """The memory of the server with its children, looked at again and again."""
    seen = [memory(server.pid)]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            try:
                seen.append(memory(server.pid))
            except (FileNotFoundError, ProcessLookupError):  # a child that ended just now
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def make_documents(folder: Path) -> dict[str, list[Path]]:
    """The files by the names of their figures."""
    pdf, docx, xlsx = (folder / name for name in ("contract.pdf", "report.docx", "orders.xlsx"))
    make_pdf(pdf, 200)
    make_docx(docx, 100)
    make_xlsx(xlsx, 10_000)
    photos = [folder / f"photo-{number}.jpg" for number in range(20)]
    for number, photo in enumerate(photos):
        make_photo(photo, number)
    archive = folder / "notes.zip"
    make_zip(archive, 500)
    return {
        "PDF of 200 pages": [pdf],
        "DOCX of 100 sections": [docx],
        "XLSX of 10,000 rows": [xlsx],
        "20 photos": photos,
        "zip of 500 texts": [archive],
    }


LIMITS = {"PDF of 200 pages": 10.0, "XLSX of 10,000 rows": 10.0}


def measure(work: Path, server: MediaryServer) -> Iterator[Row]:
    """All figures."""
    documents = make_documents(work)
    text, large = work / "text.txt", work / "large.pdf"
    make_text(text, 100 * MB)
    make_pdf(large, 1000)
    media = server.data / "generated_media"
    (media / "100mb.png").write_bytes(PNG + bytes(100 * MB - len(PNG)))
    (media / "small.png").write_bytes(PNG + bytes(10 * KB - len(PNG)))
    os.sync()  # what was just made is not to be written beside what is measured
    time.sleep(SETTLED)
    with watched(server) as seen:
        yield from text_in(server, text)  # first, while there are no children that could end meanwhile
        yield text_out(server, text)
        with ProcessPoolExecutor(1, get_context("spawn"), load_markitdown) as pool:
            for name, paths in documents.items():
                yield against_markitdown(server.url, name, paths, pool, LIMITS.get(name))
        yield from beside_extraction(server, large, Figure("10 KB", (), "/media/small.png", 10 * KB, 0.5))
    most = max(seen) / MB
    yield Row("memory of server and children throughout", f"{most:,.0f} MB", "", most, 500, unit=" MB")


def run(measured: Callable[[Path, MediaryServer], Iterator[Row]]) -> bool:
    """Measure beside a server of our own; whether the limits hold."""
    with TemporaryDirectory(prefix="mediary-") as work, serving() as server:
        return report(list(measured(Path(work), server)), "reference")


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    sys.exit(not run(measure))


if __name__ == "__main__":
    main()
