"""Texts of documents: made once, whoever asks, and by whomever it was begun."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.buckets.readers import Readers, go_on, leftovers, put, put_text, until_grown

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.reading.extraction import clean
from mediary.buckets.reading.text import Texts
from mediary.errors import NoSpaceError, NotFoundError, ShutdownError
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncIterator[Bucket]:
    buckets = Buckets(tmp_path)
    yield await buckets.open("b")
    await buckets.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    opened = Sandbox(1)
    yield opened
    await opened.close()


@pytest.fixture
async def texts(sandbox: Sandbox) -> AsyncIterator[Texts]:
    opened = Texts(Readers(sandbox), BucketSettings(processes=1))  # one child: they go in order
    yield opened
    await opened.close()


async def victim(work: str, bucket: Bucket) -> asyncio.subprocess.Process:
    root = str(bucket.folder.parent)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.buckets.victim", work, root), stdout=asyncio.subprocess.PIPE
    )


def text_of(bucket: Bucket, name: str) -> str:
    return (bucket.folder / f"{name}.md").read_text()


async def test_a_text_is_made_with_its_facts(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "Grüße\nund mehr")
    ready = await texts.ensure(bucket, document)
    assert (ready.state, ready.title, ready.pages, ready.language) == ("ready", "A title", 7, "de")
    assert text_of(bucket, "a.txt") == "Grüße\nund mehr"
    assert ready.text_size == len("Grüße\nund mehr".encode())
    assert await bucket.index.get("a.txt.md") == ready
    assert leftovers(bucket) == []


async def test_eight_who_ask_at_once_have_it_made_once(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "one\n", "paced")
    other = Sandbox(1)
    others = Texts(Readers(other), BucketSettings())  # as another process has it: they share the folder alone
    asking = [asyncio.create_task(each.ensure(bucket, document)) for each in (texts, others) for _ in range(4)]
    await until_grown(bucket, "a.txt", 40)
    go_on(bucket, "a.txt", "END")
    found = await asyncio.gather(*asking)
    assert {each.state for each in found} == {"ready"}
    run, rest = text_of(bucket, "a.txt").split("\n", 1)
    assert len(run) == 36 and rest == "one\n"
    inode = (bucket.folder / "a.txt.md").stat().st_ino
    assert (await others.ensure(bucket, document)).text_size == 41
    assert (bucket.folder / "a.txt.md").stat().st_ino == inode
    await others.close()
    await other.close()


async def test_its_size_is_told_as_it_grows(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "", "paced")
    told = []
    async with aclosing(texts.sizes(bucket, document)) as sizes:
        async for size in sizes:
            told.append(size)
            go_on(bucket, "a.txt", "END" if len(told) == 3 else "a line")
    assert told[0] == 37 and told == sorted(set(told)) and told[-1] == 37 + 2 * 7


async def test_when_the_last_one_leaves_it_stops_and_is_queued(bucket: Bucket, texts: Texts):
    waits = await put(bucket, "a.txt", "", "stuck")
    other = await put(bucket, "b.txt", "here", "plain")
    waiting = [asyncio.create_task(texts.ensure(bucket, waits)) for _ in range(2)]
    await until_grown(bucket, "a.txt")
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert (await bucket.index.get("a.txt.md")).state == "extracting"
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert (await bucket.index.get("a.txt.md")).state == "queued"
    assert leftovers(bucket) == []
    assert (await texts.ensure(bucket, other)).state == "ready"  # the only child is free


async def test_a_warm_up_goes_on_when_readers_leave(bucket: Bucket, texts: Texts):
    documents = [await put(bucket, f"{number}.txt", "", "paced") for number in range(3)]
    texts.begin(bucket)
    await until_grown(bucket, "0.txt")
    reader = asyncio.create_task(texts.ensure(bucket, documents[0]))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    await put(bucket, "late.txt", "late")
    texts.begin(bucket)
    for number in range(3):
        go_on(bucket, f"{number}.txt", "END")
    await texts._warm_ups["b"].task
    assert [each.state for each in await bucket.index.documents()] == ["ready"] * 4


async def test_one_that_fails_says_why_and_the_next_goes_on(bucket: Bucket, texts: Texts):
    bad = await put(bucket, "a.txt", "first\nFAIL\n", "paced")
    good = await put(bucket, "b.txt", "well", "plain")
    failed, ready = await asyncio.gather(texts.ensure(bucket, bad), texts.ensure(bucket, good))
    assert (failed.state, failed.error) == ("failed", "it breaks off here")
    assert not (bucket.folder / "a.txt.md").exists() and leftovers(bucket) == []
    assert ready.state == "ready"


@pytest.mark.parametrize(
    ("extractor", "limits", "reason"),
    [
        ("endless", BucketSettings(max_text_bytes=100_000), "its text has more than 100,000 bytes"),
        ("stuck", BucketSettings(seconds=0.5), "reading it takes more than 0.5 s"),
    ],
)
async def test_limits(bucket: Bucket, sandbox: Sandbox, extractor: str, limits: BucketSettings, reason: str):
    texts = Texts(Readers(sandbox), limits)
    failed = await texts.ensure(bucket, await put(bucket, "a.txt", "", extractor))
    assert (failed.state, failed.error) == ("failed", reason)
    await texts.close()


async def test_what_is_this_machines_fault_is_tried_again(bucket: Bucket, tmp_path: Path):
    document = await put(bucket, "a.txt", "here")
    closed, opened = Sandbox(1), Sandbox(1)
    await closed.close()
    broken, texts = Texts(Readers(closed), BucketSettings()), Texts(Readers(opened), BucketSettings())
    with pytest.raises(ShutdownError):
        await broken.ensure(bucket, document)
    assert (await bucket.index.get("a.txt.md")).state == "queued"
    broken.begin(bucket)
    assert (await texts.ensure(bucket, document)).state == "ready"
    for each in (broken, texts):
        await each.close()
    await opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("mount is not allowed here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


async def test_a_full_disk_is_not_the_documents_fault(small_disk: Path, texts: Texts):
    buckets = Buckets(small_disk)
    bucket = await buckets.open("b")
    document = await put(bucket, "a.txt", "x" * 350_000)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    with pytest.raises(NoSpaceError):
        await texts.ensure(bucket, document)
    assert (await bucket.index.get("a.txt.md")).state == "queued"
    assert leftovers(bucket) == []
    ballast.unlink()
    assert (await texts.ensure(bucket, document)).state == "ready"
    await buckets.close()


async def test_stopping_a_bucket_ends_all_that_wait_for_it(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "", "stuck")
    texts.begin(bucket)
    waiting = asyncio.create_task(texts.ensure(bucket, document))
    await until_grown(bucket, "a.txt")
    await texts.stop(bucket.id)
    with pytest.raises(NotFoundError):
        await waiting
    assert (await bucket.index.get("a.txt.md")).state == "queued"


async def test_closing_ends_all(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "", "stuck")
    waiting = asyncio.create_task(texts.ensure(bucket, document))
    await until_grown(bucket, "a.txt")
    await texts.close()
    with pytest.raises(ShutdownError):
        await waiting
    with pytest.raises(ShutdownError):
        await texts.ensure(bucket, document)


async def test_a_bucket_that_was_deleted_meanwhile(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "", "paced")
    waiting = asyncio.create_task(texts.ensure(bucket, document))
    await until_grown(bucket, "a.txt")
    buckets = Buckets(bucket.folder.parent)
    source = (bucket.source_dir / "a.txt").open("a")
    await buckets.delete(bucket.id)
    source.write("END\n")
    source.close()
    with pytest.raises(NotFoundError):
        await waiting
    assert not bucket.folder.exists()
    await buckets.close()


async def test_a_process_that_is_killed_leaves_nothing_that_matters(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "one\n", "paced")
    process = await victim("read", bucket)
    await until_grown(bucket, "a.txt", 40)
    process.kill()
    await process.wait()
    assert (await bucket.index.get("a.txt.md")).state == "extracting"
    assert not (bucket.folder / "a.txt.md").exists()
    go_on(bucket, "a.txt", "END")
    assert (await texts.ensure(bucket, document)).text_size == 41
    assert text_of(bucket, "a.txt").endswith("\none\n")


async def test_another_process_makes_it_and_this_one_waits(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "one\n", "paced")
    process = await victim("read", bucket)
    await until_grown(bucket, "a.txt", 40)
    inode = (bucket.hidden / "texts" / "a.txt.md").stat().st_ino
    waiting = asyncio.create_task(texts.ensure(bucket, document))
    await asyncio.sleep(0)
    go_on(bucket, "a.txt", "END")
    assert (await waiting).state == "ready"
    assert (bucket.folder / "a.txt.md").stat().st_ino == inode
    said, _ = await process.communicate()
    assert said == b"ready\n"


async def test_a_text_that_is_taken_away_is_made_again(bucket: Bucket, texts: Texts):
    ready = await texts.ensure(bucket, await put(bucket, "a.txt", "here"))
    (bucket.folder / "a.txt.md").unlink()
    assert (await texts.ensure(bucket, ready)).state == "ready"
    assert text_of(bucket, "a.txt") == "here"
    (bucket.folder / "a.txt.md").write_bytes(b"")  # a power cut
    assert (await texts.ensure(bucket, ready)).state == "ready"
    assert text_of(bucket, "a.txt") == "here"


async def test_an_empty_text_of_a_power_cut_is_made_again_although_nobody_knows_its_size(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "here")
    await bucket.index.change("a.txt.md", state="extracting")
    (bucket.folder / "a.txt.md").write_bytes(b"")
    assert (await texts.ensure(bucket, document)).text_size == 4
    assert text_of(bucket, "a.txt") == "here"


async def test_a_document_that_is_gone(bucket: Bucket, texts: Texts):
    document = await put_text(bucket, "a.md", "# Here")
    (bucket.folder / "a.md").unlink()
    failed = await texts.ensure(bucket, document)
    assert failed.state == "failed" and failed.error and "gone" in failed.error
    (bucket.folder / "a.md").write_text("# Again")
    again = await texts.ensure(bucket, failed)
    assert (again.state, again.error, again.text_size) == ("ready", None, 7)


async def test_a_file_that_another_system_left_is_recognised(bucket: Bucket, texts: Texts):
    document = await put(bucket, "a.txt", "here", extractor=None)
    assert (await texts.ensure(bucket, document)).state == "ready"


async def test_what_utf_8_cannot_hold():
    assert clean("a\0b\ud83d\ude00c\ud800") == "ab😀c\ufffd".encode()


@given(st.text(alphabet=st.characters()))
def test_any_text_becomes_utf_8(text: str):
    assert "\0" not in clean(text).decode()
    if "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text):
        assert clean(text).decode() == text
