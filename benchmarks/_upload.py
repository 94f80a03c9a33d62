"""One upload in a process of its own, ours or the store's own SDK: `python -m benchmarks._upload` reads a `Job`.

It answers with the seconds that it took and the bytes by which the process grew meanwhile.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

MEDIA_TYPE = "video/mp4"


@dataclass(frozen=True)
class Job:
    """`who` sends the file at `path`, whose digests are known, to the signed `url`; boto3 takes `s3` instead."""

    who: str
    path: str
    md5: str
    sha256: str
    url: str
    s3: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What it took."""

    seconds: float
    grown: int


def run(job: Job) -> Outcome:
    """Do it in a fresh process, once the disk has written what went there before."""
    os.sync()
    command = [sys.executable, "-m", "benchmarks._upload"]
    done = subprocess.run(command, input=json.dumps(asdict(job)), capture_output=True, text=True, check=True)
    return Outcome(**json.loads(done.stdout))


def ours(job: Job, kind: str) -> Callable[[], Any]:
    """Our sender, in a loop of its own."""
    import uvloop

    from mediary.net.client import HttpClient
    from mediary.settings import NetSettings
    from mediary.uploads.base import File
    from mediary.uploads.contents import PathContent, file_at
    from mediary.uploads.senders.azure_blob import AzureBlob
    from mediary.uploads.senders.presigned_put import PresignedPut
    from mediary.uploads.transport import Transport

    path = Path(job.path)
    stored = file_at(path)

    async def send() -> None:
        http = HttpClient(NetSettings(allow=(IPv4Network("127.0.0.0/8"),)))
        try:
            transport = Transport("bench", http, "http://127.0.0.1:9")
            file = File(path.name, MEDIA_TYPE, PathContent(path, stored.size, stored.etag), job.md5, job.sha256)
            sender = (
                AzureBlob(job.url, "https://example.com", MEDIA_TYPE)
                if kind == "azure"
                else PresignedPut(job.url, {"Content-Type": MEDIA_TYPE}, etag_is_md5=True)
            )
            await sender.send(transport, file, lambda _: None)
        finally:
            await http.close()

    return partial(uvloop.run, send())


def azure_sdk(job: Job) -> Callable[[], Any]:
    """azure-storage-blob as its documentation shows it, with four blocks at a time."""
    from azure.storage.blob import BlobClient, ContentSettings

    client = BlobClient.from_blob_url(job.url)

    def send() -> None:
        with Path(job.path).open("rb") as file:
            client.upload_blob(
                file, overwrite=True, max_concurrency=4, content_settings=ContentSettings(content_type=MEDIA_TYPE)
            )

    return send


def s3_sdk(job: Job) -> Callable[[], Any]:
    """boto3's managed upload: parts side by side."""
    import boto3
    from botocore.config import Config

    s3 = dict(job.s3)
    bucket, key = s3.pop("bucket"), s3.pop("key")
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    client = boto3.client("s3", region_name="us-east-1", config=config, **s3)
    return partial(client.upload_file, job.path, bucket, key, ExtraArgs={"ContentType": MEDIA_TYPE})


WAYS: dict[str, Callable[[Job], Callable[[], Any]]] = {
    "azure": partial(ours, kind="azure"),
    "s3": partial(ours, kind="s3"),
    "azure-sdk": azure_sdk,
    "s3-sdk": s3_sdk,
}


def _memory(field: str) -> int:
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(match[1]) * 1024 if match else 0


def main() -> None:
    job = Job(**json.load(sys.stdin))
    send = WAYS[job.who](job)
    before = _memory("VmRSS")
    began = time.perf_counter()
    send()
    seconds = time.perf_counter() - began
    print(json.dumps(asdict(Outcome(seconds, max(0, _memory("VmHWM") - before)))))


if __name__ == "__main__":
    main()
