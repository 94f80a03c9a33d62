"""What killed processes leave in the hidden folder of a bucket is gone when the next one opens it; nothing else is."""

import asyncio
from pathlib import Path

import pytest

from mediary.buckets.bucket import Buckets
from mediary.buckets.locks import claimed

LEFT = ["texts/report.pdf.md", "caches/plain.cache", "refined/plain_0001.cache", "crawl-page.md", "unpacked/a1/000000"]


def leave(hidden: Path, name: str) -> Path:
    path = hidden / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    return path


@pytest.mark.parametrize("name", [*LEFT, ".incoming/0123"])
async def test_it_is_removed(tmp_path: Path, name: str) -> None:
    left = leave(tmp_path / "a" / ".mediary", name)
    buckets = Buckets(tmp_path)

    await buckets.get("a")

    assert not left.exists()
    await buckets.close()


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        ("texts/report.pdf.md", "texts/report.pdf.md"),
        ("locks/caches", "caches/plain.cache"),
        ("locks/refined", "refined/plain_0001.cache"),
        ("crawl.lock", "crawl-page.md"),
    ],
)
async def test_what_somebody_works_on_stays(tmp_path: Path, claim: str, name: str) -> None:
    hidden = tmp_path / "a" / ".mediary"
    hidden.mkdir(parents=True)
    buckets = Buckets(tmp_path)
    async with claimed(hidden / claim):
        worked_on = leave(hidden, name)

        await buckets.get("a")

        assert worked_on.read_bytes() == b"half"
    await buckets.close()


async def test_to_sweep_is_no_reason_not_to_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.md").write_bytes(b"Notes")
    leave(tmp_path / "a" / ".mediary", "locks")  # no folder
    leave(tmp_path / "a" / ".mediary", "caches/plain.cache")
    buckets = Buckets(tmp_path)

    bucket = await buckets.get("a")

    assert [document.name for document in await asyncio.wait_for(bucket.index.documents(), 10)] == ["notes.md"]
    await buckets.close()
