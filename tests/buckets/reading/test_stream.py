"""Reading a bucket: its text, and the events on the way."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.buckets.readers import Readers, go_on, leftovers, put, put_text, until_grown

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.reading.stream import Reading
from mediary.buckets.reading.text import Texts
from mediary.errors import BadRequestError, MissingExtraError, ShutdownError
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncIterator[Bucket]:
    buckets = Buckets(tmp_path)
    yield await buckets.open("b")
    await buckets.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    opened = Sandbox(2)
    yield opened
    await opened.close()


@pytest.fixture
async def texts(sandbox: Sandbox) -> AsyncIterator[Texts]:
    opened = Texts(Readers(sandbox), BucketSettings())
    yield opened
    await opened.close()


@pytest.fixture
async def reading(texts: Texts, sandbox: Sandbox) -> AsyncIterator[Reading]:
    opened = Reading(texts, None, sandbox)
    yield opened
    await opened.close()


async def read(reading: Reading, bucket: Bucket, *, delete_files: bool = False) -> bytes:
    return b"".join([piece async for piece in reading.text(bucket, delete_files=delete_files)])


async def happen(reading: Reading, bucket: Bucket, *, delete_files: bool = False) -> list[dict[str, Any]]:
    return [event async for event in reading.events(bucket, delete_files=delete_files)]


def part(name: str, text: str) -> bytes:
    return f"<!-- File: {name} -->\n{text}\n<-- End -->\n\n".encode()


async def test_the_text_is_the_documents_in_order(bucket: Bucket, reading: Reading):
    await put(bucket, "b.txt", "zweite\n")
    await put_text(bucket, "a.md", "# Erste")
    await put(bucket, "empty.txt", "")
    expected = part("b.txt.md", "zweite\n") + part("a.md", "# Erste") + part("empty.txt.md", "")
    assert await read(reading, bucket) == expected
    assert (bucket.folder / "plain.cache").read_bytes() == expected
    assert await read(reading, bucket) == expected


async def test_eight_first_reads_get_the_same_and_it_is_made_once(bucket: Bucket, reading: Reading, sandbox: Sandbox):
    for name in ("a.txt", "b.txt"):
        await put(bucket, name, "x" * 3_000_000 + "\n", "paced")
    await put(bucket, "c.txt", "FAIL\n", "paced")
    others = Texts(Readers(sandbox), BucketSettings())  # as another process has it
    second = Reading(others, None, sandbox)
    reads = [asyncio.create_task(read(each, bucket)) for each in (reading, second) for _ in range(4)]
    for name in ("a.txt", "b.txt"):
        await until_grown(bucket, name)
        go_on(bucket, name, "END")
    found = set(await asyncio.gather(*reads))
    assert len(found) == 1
    assert found.pop() == (bucket.folder / "plain.cache").read_bytes() == await read(second, bucket)
    await others.close()


async def test_text_comes_document_by_document(bucket: Bucket, reading: Reading):
    await put_text(bucket, "a.md", "first")
    await put(bucket, "b.txt", "", "paced")
    async with aclosing(reading.text(bucket)) as text:
        assert await anext(text) == part("a.md", "first")
        go_on(bucket, "b.txt", "END")
        assert (await anext(text)).startswith(b"<!-- File: b.txt.md -->\n")


async def test_the_next_documents_are_read_ahead(bucket: Bucket, reading: Reading):
    await put(bucket, "a.txt", "", "paced")
    await put(bucket, "b.txt", "", "paced")
    asking = asyncio.create_task(read(reading, bucket))
    await until_grown(bucket, "a.txt")
    await until_grown(bucket, "b.txt")
    go_on(bucket, "b.txt", "END")
    go_on(bucket, "a.txt", "END")
    assert (await asking).count(b"<-- End -->") == 2


async def test_later_uploads_show_up(bucket: Bucket, reading: Reading):
    await put_text(bucket, "a.md", "first")
    assert await read(reading, bucket) == part("a.md", "first")
    await put(bucket, "b.txt", "second")
    assert await read(reading, bucket) == part("a.md", "first") + part("b.txt.md", "second")
    assert (await happen(reading, bucket))[-1] == {"action": "done", "size": len(await read(reading, bucket))}


async def test_a_damaged_cache_is_not_read(bucket: Bucket, reading: Reading):
    await put_text(bucket, "a.md", "first")
    whole = await read(reading, bucket)
    (bucket.folder / "plain.cache").write_bytes(b"rubbish")
    assert await read(reading, bucket) == whole
    assert (bucket.folder / "plain.cache").read_bytes() == whole


@dataclass(frozen=True)
class Step:
    count: int


class Crawler:
    """Brings a document with each step, as a crawl does."""

    async def run(self, bucket: Bucket) -> AsyncGenerator[Step, None]:
        for number in range(3):
            await put_text(bucket, f"page{number}.md", "found")
            yield Step(number)
            yield Step(number)


async def test_events_in_order(bucket: Bucket, texts: Texts, sandbox: Sandbox):
    (bucket.folder / "downloads.json").write_text("[]")
    bucket.media_dir.mkdir()
    for name in ("z.png", "a.jpg", ".hidden"):
        (bucket.media_dir / name).touch()
    await put(bucket, "bad.txt", "FAIL\n", "paced")
    await put(bucket, "a.txt", "here")
    reading = Reading(texts, Crawler(), sandbox)
    events = await happen(reading, bucket, delete_files=True)
    assert [event["count"] for event in events if event.get("action") == "download"] == [0, 1, 2]
    rest = [event for event in events if event["action"] not in ("download", "load")]
    (bucket.folder / "downloads.json").unlink()
    size = len(await read(reading, bucket))
    assert rest == [
        {"action": "media", "filename": "a.jpg"},
        {"action": "media", "filename": "z.png"},
        {"action": "failed", "filename": "bad.txt.md", "message": "it breaks off here"},
        {"action": "delete_files"},
        {"action": "done", "size": size},
    ]
    order = [event["action"] for event in events]
    assert order.index("download") < order.index("load") < order.index("media")


async def test_load_grows_within_a_large_document(bucket: Bucket, reading: Reading):
    size = 12 * 1024**2
    await put(bucket, "a.txt", "x" * size)
    await put_text(bucket, "b.md", "small")
    sizes = [event["size"] for event in await happen(reading, bucket) if event["action"] == "load"]
    assert sizes == sorted(set(sizes)) and len(sizes) >= 3
    assert sizes[-1] == len(await read(reading, bucket))


async def test_very_many_small_documents_are_not_an_event_each(bucket: Bucket, reading: Reading):
    for number in range(300):
        await put_text(bucket, f"{number}.md", "small")
    (bucket.folder / ".mediary" / "caches.json").unlink(missing_ok=True)
    events = await happen(reading, bucket)
    assert events[-1]["action"] == "done"
    assert len(events) < 100


async def test_delete_files_removes_sources_of_what_is_ready_alone(bucket: Bucket, reading: Reading):
    await put(bucket, "good.txt", "good")
    await put(bucket, "bad.txt", "FAIL\n", "paced")
    await put_text(bucket, "a.md", "text")
    assert await read(reading, bucket, delete_files=False)
    assert (bucket.source_dir / "good.txt").exists()
    whole = await read(reading, bucket, delete_files=True)
    assert not (bucket.source_dir / "good.txt").exists()
    assert (bucket.source_dir / "bad.txt").exists()
    assert (bucket.folder / "a.md").read_text() == "text"
    assert (await bucket.index.get("good.txt.md")).source is None
    for path in bucket.folder.glob("*.cache"):
        path.unlink()
    assert await read(reading, bucket, delete_files=True) == whole


async def test_a_source_whose_text_is_not_what_was_made_stays(bucket: Bucket, reading: Reading):
    await put(bucket, "a.txt", "good")
    await read(reading, bucket)
    (bucket.folder / "a.txt.md").write_text("edited by hand")
    assert b"edited" in await read(reading, bucket, delete_files=True)
    assert (bucket.source_dir / "a.txt").exists()


async def to_its_end(generator: AsyncGenerator[Any, None]) -> None:
    async with aclosing(generator):
        async for _ in generator:
            pass


async def test_a_client_that_leaves_stops_what_it_alone_waited_for(bucket: Bucket, reading: Reading):
    await put_text(bucket, "a.md", "first")
    for number in range(3):
        await put(bucket, f"{number}.txt", "", "stuck")
    for generator in (reading.text(bucket), reading.events(bucket)):
        leaving = asyncio.create_task(to_its_end(generator))
        await until_grown(bucket, "0.txt")
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leftovers(bucket) == []
        assert {each.state for each in await bucket.index.documents(1)} == {"queued"}


async def test_an_error_is_the_last_event(bucket: Bucket, texts: Texts, reading: Reading):
    await put(bucket, "a.txt", "", "stuck")
    asking = asyncio.create_task(happen(reading, bucket))
    reader = asyncio.create_task(read(reading, bucket))
    await until_grown(bucket, "a.txt")
    await texts.close()
    assert (await asking)[-1] == {"error": {"message": "the server is stopping"}}
    with pytest.raises(ShutdownError):
        await reader


class BrokenCrawler:
    async def run(self, bucket: Bucket) -> AsyncGenerator[Step, None]:
        raise BadRequestError("downloads.json is broken")
        yield Step(0)


async def test_a_crawl_that_fails(bucket: Bucket, texts: Texts, sandbox: Sandbox):
    (bucket.folder / "downloads.json").write_text("[")
    reading = Reading(texts, BrokenCrawler(), sandbox)
    assert await happen(reading, bucket) == [{"error": {"message": "downloads.json is broken"}}]


async def test_an_empty_bucket(bucket: Bucket, reading: Reading):
    assert await read(reading, bucket) == b""
    assert await happen(reading, bucket) == [{"action": "done", "size": 0}]


async def test_without_spacy_it_is_said_at_once(bucket: Bucket, reading: Reading, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    for begin in (reading.text, reading.events):
        with pytest.raises(MissingExtraError, match=r"mediary\[refine\]"):
            begin(bucket, refine=True)


async def test_caches_that_cannot_be_made_do_not_cost_the_text(bucket: Bucket, reading: Reading):
    await put_text(bucket, "a.md", "first")
    (bucket.folder / "plain.cache").mkdir()
    assert await read(reading, bucket) == part("a.md", "first")
    assert (await happen(reading, bucket))[-1] == {"action": "done", "size": len(part("a.md", "first"))}
