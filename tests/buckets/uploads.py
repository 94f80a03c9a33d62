"""What the tests of buckets bring in, and with what; and programs that do so at the same time."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.intake.taken import Taken
from mediary.buckets.intake.unpack import Unpacker
from mediary.buckets.intake.upload import Intake
from mediary.buckets.media import Transcribe
from mediary.errors import NotFoundError
from mediary.extractors.registry import Extractors
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings


class Keeper:
    """A media library that finds every picture to be three by two."""

    async def keep(self, media_dir: Path, thumbnail_dir: Path, name: str) -> tuple[int, int] | None:
        if not (media_dir / name).is_file():
            raise NotFoundError("it is gone")
        return (3, 2) if name.endswith(".png") else None


@asynccontextmanager
async def opened(
    root: Path, *, transcribe: Transcribe | None = None, **settings: Any
) -> AsyncIterator[tuple[Buckets, Intake]]:
    """The buckets in a folder, and who takes files into them; without OCR unless the settings say so."""
    chosen = BucketSettings(**{"ocr": False, "processes": 1} | settings)
    buckets, sandbox = Buckets(root), Sandbox(1, readable=[])
    try:
        yield buckets, Intake(buckets, Extractors(sandbox), Unpacker(sandbox, chosen), Keeper(), chosen, transcribe)
    finally:
        await sandbox.close()
        await buckets.close()


async def chunks(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    """Bytes as a network brings them."""
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def put(intake: Intake, bucket: Bucket, name: str, data: bytes, **more: Any) -> Taken:
    """Take one file."""
    return await intake.take(bucket, name, chunks(data), **more)


def files(folder: Path) -> dict[str, bytes]:
    """What lies in a bucket's folder, but for what is hidden."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    relative = {str(path.relative_to(folder)): path for path in paths}
    return {name: path.read_bytes() for name, path in sorted(relative.items()) if not name.startswith(".")}


def lines(folder: Path) -> list[str]:
    """The lines of a bucket's manifest."""
    return (folder / "files.txt").read_text(encoding="utf-8").splitlines()


def spawn(script: str, *arguments: str | Path) -> "subprocess.Popen[str]":
    """A Python program of its own; it sees the tests."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


async def outcome(process: "subprocess.Popen[str]") -> list[str]:
    """What a program says, a line each, once it has ended well."""
    said, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    return said.splitlines()
