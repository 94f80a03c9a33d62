"""Refinement: the sentences that carry a text, in its language."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.buckets.readers import Readers, put_text

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.reading.markdown_blocks import blocks
from mediary.buckets.reading.stream import Reading
from mediary.buckets.reading.text import Texts
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings

HERE = Path(__file__).parent
ENGLISH = (HERE / "texts" / "bees.md").read_text()
GERMAN = (HERE / "texts" / "moor.md").read_text()


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    opened = Sandbox(2, readable=[])
    yield opened
    await opened.close()


@pytest.fixture
async def reading(sandbox: Sandbox) -> AsyncIterator[Reading]:
    texts = Texts(Readers(sandbox), BucketSettings())
    opened = Reading(texts, None, sandbox)
    yield opened
    await opened.close()
    await texts.close()


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncIterator[Bucket]:
    buckets = Buckets(tmp_path)
    yield await buckets.open("b")
    await buckets.close()


async def refined(reading: Reading, bucket: Bucket) -> str:
    pieces = [piece async for piece in reading.text(bucket, delete_files=False, refine=True)]
    return b"".join(pieces).decode()


def documents(text: str) -> list[str]:
    """What stands between the lines that documents begin and end with."""
    return [part.partition(" -->\n")[2].rpartition("\n<-- End -->")[0] for part in text.split("<!-- File: ")[1:]]


async def test_english_and_german_side_by_side(bucket: Bucket, reading: Reading):
    await put_text(bucket, "bees.md", ENGLISH)
    await put_text(bucket, "moor.md", GERMAN)
    text = await refined(reading, bucket)
    english, german = documents(text)
    for whole, kept in ((ENGLISH, english), (GERMAN, german)):
        assert 0.15 * len(whole) < len(kept) < 0.4 * len(whole)
    # Whole sentences, abbreviations and dates in them notwithstanding, in reading order.
    for whole, kept in ((ENGLISH, english), (GERMAN, german)):
        paragraphs = [block.text for block in blocks(kept) if block.kind == "paragraph"]
        places = [whole.index(paragraph[:40]) for paragraph in paragraphs]
        assert places == sorted(places)
        assert all(paragraph[-1] in ".!?”“:" for paragraph in paragraphs)
    # What they are about, and nothing of what is said aside.
    assert "flowers" in english and "waggle dance" in english
    assert "Torf" in german and "Wasserstand" in german
    assert "my uncle's old bicycle" not in english
    assert "Kuchen" not in german


async def test_structure_stays(bucket: Bucket, reading: Reading):
    code = "```python\ndance = angle(sun, flower)\nwaggle(dance, distance(hive, flower))\n```"
    table = "| flower | nectar |\n|---|---|\n" + "".join(f"| kind {number} | {number} |\n" for number in range(40))
    await put_text(bucket, "a.md", f"{ENGLISH}\n\n## Code\n\n{code}\n\n## Table\n\n{table}")
    (text,) = documents(await refined(reading, bucket))
    assert "# The language of bees" in text
    assert ("```" in text) == (code in text)
    found = list(blocks(text))
    for number, block in enumerate(found[:-1]):
        if block.kind == "heading":
            assert found[number + 1].kind != "heading" or found[number + 1].level > block.level
    for block in found:
        if block.kind == "table":
            assert block.lead == "| flower | nectar |\n|---|---|\n"
    assert found[-1].kind != "heading"


async def test_what_is_short_stays_whole_and_every_document_stays(bucket: Bucket, reading: Reading):
    await put_text(bucket, "a.md", ENGLISH)
    await put_text(bucket, "note.md", "Buy honey. Call the vet about the cat.")
    await put_text(bucket, "empty.md", "")
    await put_text(bucket, "list.md", "\n".join(f"- item {number} of it" for number in range(100)))
    english, note, empty, items = documents(await refined(reading, bucket))
    assert len(english) < len(ENGLISH)
    assert note == "Buy honey. Call the vet about the cat."
    assert empty == ""
    assert items.startswith("- item")


async def test_the_terms_of_the_whole_bucket_decide(bucket: Bucket, reading: Reading):
    aside = "\nThe council raised the dike at Warnow by metres of clay. It was in the news.\n"
    await put_text(bucket, "a.md", ENGLISH + aside)
    alone = await refined(reading, bucket)
    for number in range(8):
        report = f"Report {number}: metres of clay came, and the council raised the dike at Warnow. "
        await put_text(bucket, f"dike{number}.md", report * 3)
    together = await refined(reading, bucket)
    assert "dike at Warnow" in documents(together)[0]
    assert "Warnow" not in alone


async def test_caches_are_validated_and_made_again(bucket: Bucket, reading: Reading):
    await put_text(bucket, "a.md", ENGLISH * 900)
    text = await refined(reading, bucket)
    files = sorted(path for path in bucket.folder.glob("spacy_*.cache"))
    assert [path.name for path in files] == [f"spacy_{number:04}.cache" for number in range(1, len(files) + 1)]
    assert len(files) == len(list(bucket.folder.glob("plain_*.cache"))) > 1
    assert "".join(path.read_text() for path in files) == text
    inodes = [path.stat().st_ino for path in files]
    assert await refined(reading, bucket) == text
    assert [path.stat().st_ino for path in files] == inodes
    files[0].write_text("rubbish")
    files[1].unlink()
    assert await refined(reading, bucket) == text
    await put_text(bucket, "b.md", "A later one.")
    assert "A later one." in await refined(reading, bucket)
    assert not (bucket.hidden / "refined").exists()


async def test_eight_who_ask_get_the_same_and_the_events_tell(bucket: Bucket, reading: Reading):
    await put_text(bucket, "a.md", ENGLISH)
    found = await asyncio.gather(*(refined(reading, bucket) for _ in range(8)))
    assert len(set(found)) == 1
    (bucket.folder / "spacy_0001.cache").unlink()
    events = [event async for event in reading.events(bucket, delete_files=False, refine=True)]
    size = len(found[0].encode())
    assert [event["action"] for event in events] == ["load", "refine", "done"]
    assert events[1]["size"] == events[2]["size"] == size


@pytest.mark.parametrize(
    "text",
    ["这是第一句。蜜蜂在跳舞。" * 100, "ミツバチは踊る。" * 100, "\ufffd\x07 |" * 500, "x" * 50_000, "1 2 3\n" * 500],
    ids=["Chinese", "Japanese", "no words", "one word", "numbers"],
)
async def test_any_text_is_refined(bucket: Bucket, reading: Reading, text: str):
    await put_text(bucket, "a.md", text)
    (kept,) = documents(await refined(reading, bucket))
    assert kept.strip()


@given(st.text(alphabet="ab #`~-|*1.=\n"))
def test_blocks_lose_nothing_but_empty_lines(text: str):
    found = list(blocks(text))
    lines = [line for block in found for line in (block.lead + block.text).splitlines() if line.strip()]
    assert lines == [line for line in text.splitlines() if line.strip()]
