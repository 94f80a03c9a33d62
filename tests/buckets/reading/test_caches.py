"""The caches of a bucket: made of the texts, and made again whenever they do not fit."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.buckets.readers import put_text

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.reading.caches import build, find_caches

LONG = "".join(f"line {number} of many\n" for number in range(120_000))


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncIterator[Bucket]:
    buckets = Buckets(tmp_path)
    bucket = await buckets.open("b")
    for name, text in (("a.md", "# Überschrift\n"), ("b.md", LONG), ("c.md", "")):
        await put_text(bucket, name, text)
    yield bucket
    await buckets.close()


def expected(**texts: str) -> bytes:
    return "".join(f"<!-- File: {name}.md -->\n{text}\n<-- End -->\n\n" for name, text in texts.items()).encode()


WHOLE = expected(a="# Überschrift\n", b=LONG, c="")


def caches(bucket: Bucket) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(bucket.folder.glob("*.cache"))}


def check(bucket: Bucket, whole: bytes = WHOLE) -> None:
    """They hold the text, whole and in chunks, and nothing else."""
    found = caches(bucket)
    assert found.pop("plain.cache") == whole
    assert list(found) == [f"plain_{number:04}.cache" for number in range(1, len(found) + 1)]
    assert b"".join(found.values()) == whole


async def test_they_hold_the_text(bucket: Bucket):
    documents = await bucket.index.documents()
    made = await build(bucket, documents)
    check(bucket)
    assert made.size == len(WHOLE)
    assert len(made.chunks) == 3
    assert await find_caches(bucket, documents) == made


async def test_what_fits_stays(bucket: Bucket):
    documents = await bucket.index.documents()
    await build(bucket, documents)
    before = {path: path.stat().st_ino for path in bucket.folder.glob("*.cache")}
    await asyncio.gather(*(build(bucket, documents) for _ in range(8)))
    assert {path: path.stat().st_ino for path in bucket.folder.glob("*.cache")} == before


def _flip(path: Path) -> None:
    """Another byte, with the size and time as they were."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _swap(folder: Path) -> None:
    (folder / "plain_0001.cache").rename(folder / "x")
    (folder / "plain_0002.cache").rename(folder / "plain_0001.cache")
    (folder / "x").rename(folder / "plain_0002.cache")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "plain.cache").unlink(),
        lambda folder: (folder / "plain_0002.cache").unlink(),
        lambda folder: (folder / "plain.cache").write_bytes(b""),
        lambda folder: os.truncate(folder / "plain_0001.cache", 100),
        lambda folder: _flip(folder / "plain.cache"),
        lambda folder: _flip(folder / "plain_0003.cache"),
        _swap,
        lambda folder: (folder / ".mediary" / "caches.json").unlink(),
        lambda folder: (folder / ".mediary" / "caches.json").write_bytes(b"\xff{"),
        lambda folder: (folder / ".mediary" / "caches.json").write_text('{"parts": 3}'),
        lambda folder: (folder / "a.md").write_text("# Uberschrift\n!"),  # the text itself
    ],
)
async def test_whatever_is_damaged_is_made_again(bucket: Bucket, damage: Callable[[Path], None]):
    documents = await bucket.index.documents()
    await build(bucket, documents)
    damage(bucket.folder)
    assert await find_caches(bucket, documents) is None
    await build(bucket, documents)
    check(bucket, expected(a=(bucket.folder / "a.md").read_text(), b=LONG, c=""))


async def test_a_later_document_is_in_them_and_chunks_that_are_too_many_go(bucket: Bucket):
    await build(bucket, await bucket.index.documents())
    await put_text(bucket, "d.md", "new")
    await build(bucket, await bucket.index.documents())
    check(bucket, WHOLE + expected(d="new"))
    (bucket.folder / "plain_0099.cache").write_text("stale")
    (bucket.folder / "spacy_0001.cache").write_text("not ours")
    (bucket.folder / "b.md").write_text("short")
    await build(bucket, await bucket.index.documents())
    assert (bucket.folder / "spacy_0001.cache").read_text() == "not ours"
    (bucket.folder / "spacy_0001.cache").unlink()
    check(bucket, expected(a="# Überschrift\n", b="short", c="", d="new"))


async def test_a_text_that_was_taken_away_is_left_out(bucket: Bucket):
    documents = await bucket.index.documents()
    (bucket.folder / "b.md").unlink()
    made = await build(bucket, documents)
    check(bucket, expected(a="# Überschrift\n", c=""))
    assert await find_caches(bucket, documents) == made


async def test_a_bucket_without_documents(tmp_path: Path):
    buckets = Buckets(tmp_path)
    bucket = await buckets.open("empty")
    assert (await build(bucket, [])).size == 0
    assert caches(bucket) == {"plain.cache": b""}
    await buckets.close()


@pytest.mark.parametrize("moment", range(5))
async def test_a_process_that_is_killed_in_the_middle(bucket: Bucket, moment: int):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.buckets.victim", "build", str(bucket.folder.parent)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"building\n"
    other = asyncio.create_task(build(bucket, await bucket.index.documents()))  # two processes at once
    await other
    for _ in range(moment * 500):
        await asyncio.sleep(0)
    process.kill()
    await process.wait()
    documents = await bucket.index.documents()
    await build(bucket, documents)
    check(bucket)
