"""Crawls that are asked for again: after a stop, a kill, a new list; by several at once, in several processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from tests.buckets.crawl.rooms import crawl, failures, room_in, texts, write_list
from tests.buckets.crawl.site import Site, html
from tests.servers.http import Received, response

from mediary.buckets.bucket import Bucket
from mediary.buckets.crawl.base import Progress
from mediary.buckets.room import BucketRoom
from mediary.errors import NotFoundError, ShutdownError

ROOT = Path(__file__).parents[3]


class Gate:
    """A page that is not answered before somebody opens it; `reached` when it is asked for."""

    def __init__(self, web: Site, path: str, links: tuple[str, ...] = ()) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._body = html(f"Behind the gate of {path}.", links)
        web.put(path, self._answer)

    async def _answer(self, _: Received, writer: asyncio.StreamWriter) -> None:
        self.reached.set()
        await self.opened.wait()
        writer.write(response(self._body, "Content-Type: text/html"))


def versions(web: Site, path: str, *answers: tuple[str, str]) -> None:
    """A page that knows conditional requests; `answers` are (ETag or date, text), the last one stays."""
    left = list(answers)

    async def answer(request: Received, writer: asyncio.StreamWriter) -> None:
        mark, text = left.pop(0) if len(left) > 1 else left[0]
        name = "ETag" if mark.startswith('"') else "Last-Modified"
        asked = request.headers.get("if-none-match" if name == "ETag" else "if-modified-since")
        whole = response(html(text, ["/linked"]), "Content-Type: text/html", f"{name}: {mark}")
        writer.write(response(b"", f"{name}: {mark}", status=304) if asked == mark else whole)

    web.put(path, answer)


@pytest.mark.parametrize("mark", ['"one"', "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_what_has_not_changed_is_not_sent_again(web: Site, room: BucketRoom, bucket: Bucket, mark: str):
    versions(web, "/", (mark, "The ferry leaves at nine."))
    web.page("/linked", "Linked")
    entry = {"url": web.url, "max_depth": 1}
    await crawl(room, bucket, entry)
    before = await texts(bucket)
    steps = await crawl(room, bucket, entry)  # the list is written anew
    # The second has no state to compare: it is sent again, and its text is the same.
    assert [(step.kind, step.count) for step in steps] == [("unchanged", 1), ("unchanged", 2)]
    assert web.asked == ["/", "/linked"] * 2
    assert await texts(bucket) == before


async def test_a_page_that_changed_takes_the_place_of_what_it_was(web: Site, room: BucketRoom, bucket: Bucket):
    versions(web, "/", ('"one"', "The ferry leaves at nine."), ('"two"', "The ferry leaves at ten."))
    entry = {"url": web.url, "refresh": True}
    await crawl(room, bucket, entry)
    [name] = await texts(bucket)
    document = await bucket.index.get(name)
    [step] = await crawl(room, bucket)
    assert (step.kind, step.name) == ("page", name)
    [(same, text)] = (await texts(bucket)).items()
    assert same == name
    assert "at ten" in text and "at nine" not in text
    changed = await bucket.index.get(name)
    assert (changed.position, changed.text_size, changed.size) == (1, len(text.encode()), len(text.encode()))
    assert changed.sha256 != document.sha256 and changed.title == "The ferry leaves at ten."
    assert [step.kind for step in await crawl(room, bucket)] == ["unchanged"]
    read = b"".join([piece async for piece in room.reading.text(bucket)]).decode()
    assert "at ten" in read and "at nine" not in read


async def test_a_page_whose_document_is_gone_is_asked_for_whole(web: Site, room: BucketRoom, bucket: Bucket):
    versions(web, "/", ('"one"', "The ferry leaves at nine."))
    await crawl(room, bucket, {"url": web.url})
    await room.delete(bucket.id)
    bucket = await room.buckets.open(bucket.id)
    assert [step.kind for step in await crawl(room, bucket, {"url": web.url})] == ["page"]
    assert len(await texts(bucket)) == 1


async def test_a_file_that_changed_is_taken_beside_the_old_one(web: Site, room: BucketRoom, bucket: Bucket):
    for text in (b"one", b"one", b"two"):
        web.put("/notes.txt", response(text, "Content-Type: text/plain"))
        await crawl(room, bucket, {"url": f"{web.url}/notes.txt"})
    assert list((await texts(bucket)).values()) == ["one", "two"]


async def test_only_what_is_to_be_refreshed(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/a", "A")
    web.page("/b", "B")
    await crawl(room, bucket, {"url": f"{web.url}/a"}, {"url": f"{web.url}/b", "refresh": True})
    await crawl(room, bucket)
    assert web.asked == ["/a", "/b", "/b"]


async def test_asking_whether_anything_has_changed(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/", "Home", ["/a"])
    web.page("/a", "A")
    await crawl(room, bucket, {"url": web.url, "max_depth": 1})
    web.page("/a", "Another")
    steps = [step async for step in room.crawler.run(bucket, refresh=True)]
    assert [step.kind for step in steps] == ["unchanged", "page"]
    assert len(await texts(bucket)) == 2


async def test_what_failed_is_tried_again_with_a_new_list(web: Site, room: BucketRoom, bucket: Bucket):
    web.put("/", response(b"", status=500))
    await crawl(room, bucket, {"url": web.url})
    assert len(await failures(room, bucket)) == 1
    web.page("/")
    assert await crawl(room, bucket) == []
    assert [step.kind for step in await crawl(room, bucket, {"url": web.url})] == ["page"]
    assert await failures(room, bucket) == {}


async def test_another_list(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/a", "A")
    web.page("/b", "B")
    await crawl(room, bucket, {"url": f"{web.url}/a"})
    await crawl(room, bucket, {"url": f"{web.url}/b"})
    assert web.asked == ["/a", "/b"]
    assert len(await texts(bucket)) == 2


async def test_a_list_that_is_replaced_in_the_middle(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/a")
    web.page("/b", "B")
    write_list(bucket, {"url": f"{web.url}/a"})
    steps = asyncio.create_task(crawl(room, bucket))
    await gate.reached.wait()
    write_list(bucket, {"url": f"{web.url}/b"})
    assert [step.url for step in await steps] == [f"{web.url}/b"]


async def test_two_who_ask_join_in_one_crawl(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/")
    write_list(bucket, {"url": web.url})
    readers = [asyncio.create_task(crawl(room, bucket)) for _ in range(8)]
    await gate.reached.wait()
    late = asyncio.create_task(crawl(room, bucket))
    await asyncio.sleep(0)
    assert (await room.crawler.progress(bucket)).state == "running"
    gate.opened.set()
    for steps in await asyncio.gather(*readers, late):
        assert [step.kind for step in steps] == ["page"]
    assert web.asked == ["/"]


async def test_the_last_one_who_leaves_stops_it(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/gate")
    web.page("/", "Home", ["/gate", "/after"])
    web.page("/after", "After")
    write_list(bucket, {"url": web.url, "max_depth": 1, "group_size": 1})
    first, second = (room.crawler.run(bucket) for _ in range(2))
    assert (await anext(first)).kind == (await anext(second)).kind == "page"
    await gate.reached.wait()
    await first.aclose()
    assert (await room.crawler.progress(bucket)).state == "running"
    await second.aclose()
    state = await room.crawler.progress(bucket)
    assert (state.state, state.count, state.total) == ("stopped", 1, 3)
    gate.opened.set()
    assert [step.kind for step in await crawl(room, bucket)] == ["page", "page"]
    assert web.asked == ["/", "/gate", "/gate", "/after"]
    assert (await room.crawler.progress(bucket)).state == "finished"


async def test_a_reader_that_is_cancelled_stops_it(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/")
    write_list(bucket, {"url": web.url})
    reader = asyncio.create_task(crawl(room, bucket))
    await gate.reached.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert (await room.crawler.progress(bucket)).state == "stopped"


async def test_forgetting_the_list(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/")
    write_list(bucket, {"url": web.url})
    reader = asyncio.create_task(crawl(room, bucket))
    await gate.reached.wait()
    await room.crawler.forget(bucket)
    assert [step.kind for step in await reader] == ["stopped"]
    assert await crawl(room, bucket) == []
    with pytest.raises(NotFoundError):
        await room.crawler.forget(bucket)


async def test_deleting_the_bucket(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/")
    write_list(bucket, {"url": web.url})
    reader = asyncio.create_task(crawl(room, bucket))
    await gate.reached.wait()
    await room.delete(bucket.id)
    with pytest.raises(NotFoundError):
        await reader
    assert not bucket.folder.exists()


async def test_the_end_of_the_server(web: Site, tmp_path: Path):
    async with room_in(tmp_path) as room:
        bucket = await room.buckets.open("b")
        gate = Gate(web, "/")
        write_list(bucket, {"url": web.url})
        reader = asyncio.create_task(crawl(room, bucket))
        await gate.reached.wait()
        await room.crawler.close()
        with pytest.raises(ShutdownError):
            await reader
        with pytest.raises(ShutdownError):
            await crawl(room, bucket)


@asynccontextmanager
async def another_process(bucket: Bucket) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that crawls a bucket; it does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.buckets.crawl.child", str(bucket.folder.parent), bucket.id),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_kill_in_the_middle(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/gate", ("/behind",))
    before, after = [f"/before/{number}" for number in range(5)], [f"/after/{number}" for number in range(5)]
    web.page("/", "Home", [*before, "/gate", *after])
    for path in (*before, *after, "/behind"):
        web.page(path)
    write_list(bucket, {"url": web.url, "max_depth": 2, "group_size": 1})
    async with another_process(bucket) as process:
        await gate.reached.wait()
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    assert web.asked == ["/", *before, "/gate"]
    assert (await room.crawler.progress(bucket)).state == "stopped"
    gate.opened.set()
    steps = await crawl(room, bucket)
    assert [step.kind for step in steps] == ["page"] * 7
    assert web.asked == ["/", *before, "/gate", "/gate", *after, "/behind"]
    assert len(await texts(bucket)) == 13
    assert (await room.crawler.progress(bucket)).count == 13


async def test_a_crawl_in_another_process_is_waited_for(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/gate")
    web.page("/", "Home", ["/gate"])
    write_list(bucket, {"url": web.url, "max_depth": 1, "refresh": True})
    async with another_process(bucket) as process:
        await gate.reached.wait()
        async with aclosing(room.crawler.run(bucket)) as steps:
            waiting: Progress = await anext(steps)
            assert (waiting.kind, waiting.count, waiting.total) == ("waiting", 1, 2)
            assert (await room.crawler.progress(bucket)).state == "running"
            gate.opened.set()
            assert {step.kind async for step in steps} <= {"waiting"}
        assert await process.wait() == 0
    assert web.asked == ["/", "/gate"]
    assert len(await texts(bucket)) == 2


async def test_a_list_that_is_taken_away_stops_another_process_too(web: Site, room: BucketRoom, bucket: Bucket):
    gate = Gate(web, "/")
    write_list(bucket, {"url": web.url})
    async with another_process(bucket) as process:
        await gate.reached.wait()
        await room.crawler.forget(bucket)
        said, _ = await process.communicate()
    assert said == b"stopped None\n"


@pytest.mark.parametrize("damage", [b"", b"no database", bytes(100_000)])
async def test_what_a_crawl_knew_can_be_lost(web: Site, room: BucketRoom, bucket: Bucket, damage: bytes):
    web.page("/", "Home", ["/a"])
    web.page("/a", "A")
    await crawl(room, bucket, {"url": web.url, "max_depth": 1})
    (bucket.hidden / "crawl.db").write_bytes(damage)
    assert (await room.crawler.progress(bucket)).state == "waiting"
    await crawl(room, bucket)
    assert len(await texts(bucket)) == 2
