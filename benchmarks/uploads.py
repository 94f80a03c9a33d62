"""Files to storages against their own SDKs, and what a repeated attachment costs: `python -m benchmarks.uploads`.

1 GB goes to Azurite by our `azure_blob` sender and by azure-storage-blob, and to OpenStack Swift's S3 by our
`presigned_put` and by boto3. They take turns, each in a process of its own; a ratio is the median of the rounds'. The
digests of the file are known, as they are from the second upload on; what taking them costs is a row of its own.

A repeated attachment is a kept picture in a question that is answered at once: the time of the whole turn with it
minus that of the same turn without it, as medians of many, in turn. Exit code 1 if a limit does not hold.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import boto3
from benchmarks import _upload
from benchmarks._report import Row, report
from benchmarks._server import serving
from benchmarks._upload import MEDIA_TYPE, Job, Outcome
from benchmarks._upstream import upstream
from benchmarks.thumbnails import make_photo
from botocore.config import Config
from tests.server.forms import form
from tests.servers import azurite, swift
from tests.servers.azure_links import link
from tests.servers.dashscope import KEY, DashScopeService, dashscope_service
from tests.servers.mediary import MediaryServer

from mediary.uploads.contents import Known, PathContent, file_at, hash_content

GB = 1024**3
MB = 1024**2
ROUNDS = 5
TURNS = 200
MODEL = "chunks-1-burst"
SETTINGS = """
[net]
allow = ["127.0.0.0/8"]
[providers.Bench]
wire = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "{key}"
models = ["{model}"]
vision_models = ["{model}"]
uploads = {{ flow = "dashscope", base_url = "http://127.0.0.1:{service}/compatible-mode/v1" }}
[conversation]
inline_bytes = 0
"""


def make_file(path: Path) -> None:
    """1 GB of bytes that repeat after 64 MB."""
    block = os.urandom(64 * MB)
    with path.open("wb") as file:
        for _ in range(GB // len(block)):
            file.write(block)
    os.sync()


def take_digests(path: Path) -> tuple[Known, float]:
    """The digests of a file, and the seconds that they took."""
    stored = file_at(path)
    began = time.perf_counter()
    known = asyncio.run(hash_content(PathContent(path, stored.size, stored.etag)))
    return known, time.perf_counter() - began


def to_azure(path: Path, known: Known) -> Iterator[tuple[Outcome, Outcome]]:
    """Rounds of ours and of Microsoft's SDK."""
    for number in range(ROUNDS):
        # A new container each time, and the last one's blobs are not read again.
        container = azurite.new_bucket()
        outcomes = [
            _upload.run(Job(who, str(path), known.md5, known.sha256, link(container, f"{who}-{number}", ends=3600), {}))
            for who in in_turn(number, "azure", "azure-sdk")
        ]
        yield sorted_back(number, outcomes)


def to_s3(path: Path, known: Known) -> Iterator[tuple[Outcome, Outcome]]:
    """Rounds of ours and of boto3."""
    for number in range(ROUNDS):
        bucket = swift.server().new_bucket()
        access = {"endpoint_url": bucket.options["endpoint"], "aws_access_key_id": swift.ACCESS_KEY}
        access["aws_secret_access_key"] = swift.SECRET
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, proxies={})
        client = boto3.client("s3", region_name="us-east-1", config=config, **access)
        params = {"Bucket": bucket.name, "Key": "ours", "ContentType": MEDIA_TYPE}
        url = client.generate_presigned_url("put_object", Params=params, ExpiresIn=3600)
        s3 = {"bucket": bucket.name, "key": "theirs", **access}
        outcomes = [
            _upload.run(Job(who, str(path), known.md5, known.sha256, url, s3))
            for who in in_turn(number, "s3", "s3-sdk")
        ]
        for key in ("ours", "theirs"):
            client.delete_object(Bucket=bucket.name, Key=key)
        yield sorted_back(number, outcomes)


def in_turn(number: int, *who: str) -> tuple[str, ...]:
    """Who goes first changes from round to round."""
    return who if number % 2 == 0 else who[::-1]


def sorted_back(number: int, outcomes: list[Outcome]) -> tuple[Outcome, Outcome]:
    ours, theirs = outcomes if number % 2 == 0 else outcomes[::-1]
    return ours, theirs


def rows_of(where: str, sdk: str, rounds: list[tuple[Outcome, Outcome]]) -> Iterator[Row]:
    """The rate against the SDK's, and how much the process grew."""
    ours, theirs = (median(pair[at].seconds for pair in rounds) for at in (0, 1))
    ratio = median(theirs.seconds / ours.seconds for ours, theirs in rounds)
    speeds = (f"{GB / seconds / 1e6:.0f} MB/s" for seconds in (ours, theirs))
    yield Row(f"1 GB to {where}, against {sdk}", *speeds, ratio, 0.8, at_least=True)
    grown = max(ours.grown for ours, _ in rounds) / MB
    theirs_grown = max(theirs.grown for _, theirs in rounds) / MB
    yield Row("growth of memory by that", f"{grown:.0f} MB", f"{theirs_grown:.0f} MB", grown, 40, unit=" MB")


@contextmanager
def dashscope() -> Iterator[DashScopeService]:
    """The service that the picture lies with, in a thread of its own."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    ended = asyncio.Event()
    found: list[DashScopeService] = []

    async def serve() -> None:
        async with dashscope_service() as service:
            found.append(service)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait(30)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def repeated(folder: Path) -> list[Row]:
    """What a kept picture costs that lies with the provider already."""
    photo = folder / "photo.jpg"
    make_photo(photo, 1)
    with upstream() as port, dashscope() as service:
        settings = SETTINGS.format(upstream=port, service=service.port, key=KEY, model=MODEL)
        with serving(settings) as server:
            [url] = keep(server, photo)
            plain = [{"type": "text", "text": "What is it?"}]
            with_photo = [*plain, {"type": "image_url", "image_url": {"url": url}}]
            logs = [event["log"] for event in turn(server, with_photo) if event["type"] == "log"]
            assert any("uploading" in log for log in logs), logs
            turns = [
                (timed(lambda: turn(server, with_photo)), timed(lambda: turn(server, plain))) for _ in range(TURNS)
            ]
            again = median(timed(lambda: ask_again(server, url)) for _ in range(TURNS)) * 1000
    with_it, without = (median(pair[at] for pair in turns) * 1000 for at in (0, 1))
    more = with_it - without
    return [
        Row(
            "a turn with a picture that lies there already",
            f"{with_it:.2f} ms",
            f"{without:.2f} ms",
            more,
            2,
            unit=" ms",
        ),
        Row("the same upload asked for again, over HTTP", f"{again:.2f} ms", "", again, None, unit=" ms"),
    ]


def keep(server: MediaryServer, photo: Path) -> list[str]:
    """Put the picture into the library."""
    body, content_type = form({}, {photo.name: photo.read_bytes()})
    with server.open(
        "/backend-api/v2/media", method="POST", raw=body, headers={"content-type": content_type}
    ) as response:
        return [result["url"] for result in json.load(response)["results"]]


def turn(server: MediaryServer, content: Any) -> list[dict[str, Any]]:
    """One question and its whole answer, which must be a good one."""
    events = server.converse(provider="Bench", model=MODEL, messages=[{"role": "user", "content": content}])
    assert events[-1]["type"] == "finish", events[-1]
    return events


def ask_again(server: MediaryServer, url: str) -> None:
    asked = {"provider": "Bench", "model": MODEL, "files": [url]}
    with server.open("/backend-api/v2/uploads", asked) as response:
        assert b'"cached":true' in response.read()


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure() -> list[Row]:
    """All rows."""
    with TemporaryDirectory(prefix="mediary-") as name:
        folder = Path(name)
        rows = repeated(folder)
        big = folder / "big.mp4"
        make_file(big)
        known, seconds = take_digests(big)
        rows += rows_of("Azurite", "azure-storage-blob", list(to_azure(big, known)))
        rows += rows_of("Swift's S3", "boto3", list(to_s3(big, known)))
        rows.append(Row("MD5 and SHA-256 of it, once", f"{seconds:.1f} s", "", seconds, None, unit=" s"))
    return rows


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    sys.exit(not report(measure(), "reference"))


if __name__ == "__main__":
    main()
