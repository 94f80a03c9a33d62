"""The index: in line with the manifest and the folder, whoever changed them, and whatever happened to its file."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.buckets.uploads import outcome, spawn

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.document import Document
from mediary.errors import ConflictError, NotFoundError

MANY = 10_000

# Adds a number of documents to a bucket, one after the other, and changes each.
ADDER = """
import asyncio, sys
from pathlib import Path
from mediary.buckets.bucket import Buckets
from mediary.buckets.document import Document

async def main():
    buckets = Buckets(Path(sys.argv[1]))
    bucket = await buckets.open("a")
    for number in range(int(sys.argv[3])):
        name = f"{sys.argv[2]}-{number}.md"
        await bucket.index.add([Document(name=name, position=0, title=name)])
        await bucket.index.change(name, state="ready", text_size=number)
    await buckets.close()

asyncio.run(main())
"""


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncIterator[Bucket]:
    buckets = Buckets(tmp_path)
    yield await buckets.open("a")
    await buckets.close()


def lay(bucket: Bucket, name: str, data: bytes = b"x") -> None:
    path = bucket.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def document(name: str, **more: object) -> Document:
    return Document(name=name, position=0, **more)  # type: ignore[arg-type]


async def test_what_is_known_of_a_document_comes_back(bucket: Bucket):
    known = document(
        "r.pdf.md", state="ready", error="none", original="R.pdf", source="r.pdf", media_type="application/pdf",
        extractor="pdf", size=3, sha256="00", text_size=2, title="T\u00e4", author="A", pages=7, language="de",
        asked_language="en", taken=12.5, url="http://a.example/r.pdf",
    )  # fmt: skip
    added = await bucket.index.add([known, document("b.md")])
    assert [found.position for found in added] == [1, 2]
    assert await bucket.index.get("r.pdf.md") == replace(known, position=1) == (await bucket.index.documents())[0]
    assert await bucket.manifest.names() == ["r.pdf.md", "b.md"]
    assert await bucket.index.find("absent.md") is None
    for call in (bucket.index.get("absent.md"), bucket.index.change("absent.md", title="x")):
        with pytest.raises(NotFoundError):
            await call


async def test_changes_are_seen_and_counted(bucket: Bucket):
    await bucket.index.add([document("a.md"), document("b.md"), document("c.md", state="ready")])
    changed = await bucket.index.change("b.md", state="failed", error="it is broken")
    assert (changed.name, changed.position, changed.state, changed.error) == ("b.md", 2, "failed", "it is broken")
    assert await bucket.index.get("b.md") == changed
    assert await bucket.index.counts() == {"queued": 1, "failed": 1, "ready": 1}


async def test_what_somebody_adds_to_the_manifest_has_rows(bucket: Bucket):
    lay(bucket, "a.md", b"12345")
    lay(bucket, "notes.txt.md", b"123")
    lay(bucket, "source/r.pdf", b"1234567")
    lay(bucket, "source/s.pdf", b"1")
    lay(bucket, "s.pdf.md", b"12")
    lay(bucket, "source/torn.pdf", b"1")
    lay(bucket, "torn.pdf.md", b"")
    await bucket.manifest.append(["a.md", "notes.txt.md", "r.pdf.md", "s.pdf.md", "torn.pdf.md", "gone.pdf.md"])
    found = [
        (one.name, one.position, one.state, one.original, one.source, one.size, one.text_size)
        for one in await bucket.index.documents()
    ]
    assert found == [
        ("a.md", 1, "ready", "a.md", None, 5, 5),
        ("notes.txt.md", 2, "ready", "notes.txt", None, 3, 3),
        ("r.pdf.md", 3, "queued", "r.pdf", "r.pdf", 7, None),
        ("s.pdf.md", 4, "ready", "s.pdf", "s.pdf", 1, 2),
        ("torn.pdf.md", 5, "queued", "torn.pdf", "torn.pdf", 1, None),
        ("gone.pdf.md", 6, "failed", "gone.pdf", None, 0, None),
    ]
    assert (await bucket.index.get("gone.pdf.md")).error


async def test_a_link_in_the_folder_is_no_document(bucket: Bucket, tmp_path: Path):
    (tmp_path / "secret").write_text("x")
    (bucket.folder / "a.md").symlink_to(tmp_path / "secret")
    await bucket.manifest.append(["a.md"])
    assert (await bucket.index.get("a.md")).state == "failed"


async def test_a_manifest_that_was_written_anew_is_followed(bucket: Bucket):
    await bucket.index.add([document("a.md", title="A"), document("b.md", title="B"), document("c.md", title="C")])
    bucket.manifest.path.write_text("c.md\nnew.md\na.md\n")
    found = [(one.name, one.position, one.title) for one in await bucket.index.documents()]
    assert found == [("c.md", 1, "C"), ("new.md", 2, None), ("a.md", 3, "A")]
    bucket.manifest.path.unlink()
    assert await bucket.index.documents() == []


def delete(path: Path) -> None:
    path.unlink()


def overwrite(path: Path) -> None:
    path.write_bytes(b"garbage " * 5000)


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(5000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


def remove_all(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()


@pytest.mark.parametrize("harm", [delete, overwrite, truncate, empty, scribble, remove_all])
@pytest.mark.parametrize("is_open", [True, False])
async def test_a_lost_or_damaged_file_is_made_anew(bucket: Bucket, harm, is_open: bool):
    lay(bucket, "a.md", b"12345")
    lay(bucket, "source/r.pdf", b"123")
    fill = [document(f"{number}.md", title="x" * 100) for number in range(200)]
    await bucket.index.add([document("a.md"), document("r.pdf.md"), *fill])
    if not is_open:
        await bucket.index.close()
    await asyncio.to_thread(harm, bucket.hidden / "bucket.db")
    found = await bucket.index.documents(limit=2)
    assert [(one.name, one.position) for one in found] == [("a.md", 1), ("r.pdf.md", 2)]
    assert len(await bucket.index.documents()) == 202
    assert (await bucket.index.change("r.pdf.md", state="extracting")).source in ("r.pdf", None)
    await bucket.index.add([document("late.md")])
    assert (await bucket.index.documents(after=202))[0].name == "late.md"


@pytest.mark.parametrize("harm", [delete, overwrite])
@pytest.mark.parametrize("moment", ["look", "place", "change", "insert"])
@pytest.mark.timeout(30)
async def test_a_file_that_is_lost_in_the_middle_of_an_addition_loses_no_row(bucket: Bucket, harm, moment: str):
    lay(bucket, "old.md", b"12345")
    await bucket.index.add([document("old.md")])
    rows, manifest = bucket.index.rows, bucket.manifest

    def add() -> None:
        def harmed(now: str) -> None:
            if now == moment:
                harm(bucket.hidden / "bucket.db")

        with manifest.lock():
            rows.follow()
            harmed("look")
            assert rows.select("WHERE name = ?", ("old.md",), held=True)
            harmed("place")
            placed = rows.placed([document("new.md", title="New")])
            harmed("change")
            assert rows.change("old.md", {"title": "Old"}, held=True).title == "Old"
            lay(bucket, "new.md")
            manifest.extend(["new.md"])
            harmed("insert")
            rows.insert(placed)

    await asyncio.to_thread(add)
    found = await bucket.index.documents()
    assert [(one.name, one.position) for one in found] == [("old.md", 1), ("new.md", 2)]
    assert found[1].title == "New"


async def test_equal_bytes_under_the_same_name_are_found(bucket: Bucket):
    data, other = sha256(b"data").hexdigest(), sha256(b"other").hexdigest()
    await bucket.index.add(
        [
            document("R_1.pdf.md", original="R 1.pdf", source="R_1.pdf", sha256=data, size=4),
            document("R_1-2.pdf.md", original="R 1.pdf", source="R_1-2.pdf", sha256=other, size=5),
        ]
    )
    assert (await bucket.index.find_equal("R 1.pdf", data)).name == "R_1.pdf.md"
    assert (await bucket.index.find_equal("R_1.pdf", other)).name == "R_1-2.pdf.md"
    assert await bucket.index.find_equal("other.pdf", data) is None
    assert await bucket.index.find_equal("R 1.pdf", "00") is None


async def test_equal_bytes_are_found_when_no_digest_is_known(bucket: Bucket):
    lay(bucket, "source/r.pdf", b"data")
    lay(bucket, "source/r-2.pdf", b"more")
    lay(bucket, "notes-2.md", b"text")
    lay(bucket, "x.pdf", b"mine")
    await bucket.manifest.append(["r.pdf.md", "r-2.pdf.md", "notes-2.md", "x.pdf"])
    for name, data, found in [
        ("r.pdf", b"data", "r.pdf.md"),
        ("r.pdf", b"more", "r-2.pdf.md"),
        ("notes.md", b"text", "notes-2.md"),
        ("x.pdf", b"mine", "x.pdf"),
    ]:
        equal = await bucket.index.find_equal(name, sha256(data).hexdigest(), len(data))
        assert equal and equal.name == found
        assert (await bucket.index.get(found)).sha256 == sha256(data).hexdigest()
        assert (await bucket.index.get(found)).original == name
    assert await bucket.index.find_equal("r.pdf", sha256(b"text").hexdigest(), 4) is None


async def test_ten_thousand_documents_are_read_in_pages(bucket: Bucket):
    await bucket.index.add([document(f"{number}.md") for number in range(MANY)])
    names, after = [], 0
    while page := await bucket.index.documents(after, 777):
        names += [one.name for one in page]
        after = page[-1].position
    assert names == [f"{number}.md" for number in range(MANY)]
    assert (await bucket.index.change("9999.md", state="ready")).position == MANY
    await bucket.index.close()
    (bucket.hidden / "bucket.db").unlink()
    assert [one.name for one in await bucket.index.documents(MANY - 1)] == ["9999.md"]


async def test_two_programs_and_many_tasks_at_once(bucket: Bucket):
    adders = [spawn(ADDER, bucket.folder.parent, mine, "40") for mine in "xy"]

    async def add(number: int) -> None:
        await bucket.index.add([document(f"z-{number}.md", title=f"z-{number}.md")])
        await bucket.index.change(f"z-{number}.md", state="ready", text_size=number)

    await asyncio.gather(*(outcome(adder) for adder in adders), *map(add, range(40)))
    found = await bucket.index.documents()
    assert [one.position for one in found] == list(range(1, 121))
    assert [one.name for one in found] == await bucket.manifest.names()
    assert {one.name: one.text_size for one in found} == {f"{who}-{n}.md": n for who in "xyz" for n in range(40)}
    assert all(one.title == one.name and one.state == "ready" for one in found)


async def test_a_file_that_is_lost_again_and_again_fails_nobody(bucket: Bucket):
    await bucket.index.add([document("a.md"), document("b.md")])
    done = threading.Event()

    def lose() -> None:
        while not done.wait(0.002):
            (bucket.hidden / "bucket.db").unlink(missing_ok=True)

    losing = asyncio.create_task(asyncio.to_thread(lose))
    try:
        for number in range(300):
            changed = await bucket.index.change("a.md", title=str(number))
            assert (changed.name, changed.position) == ("a.md", 1)
            assert [one.name for one in await bucket.index.documents()] == ["a.md", "b.md"]
    finally:
        done.set()
        await losing


async def test_the_rows_of_a_bucket_that_is_removed_meanwhile_are_not_found(bucket: Bucket):
    """Whatever moment it is, the bucket is not there: nobody hears of a disk that failed."""
    others = Buckets(bucket.folder.parent)
    found = set()

    async def ask() -> None:
        for _ in range(300):
            try:
                await bucket.index.add([document("a.md")])
                await bucket.index.change("a.md", title="A")
                await bucket.index.documents()
            except (NotFoundError, ConflictError) as error:
                found.add(type(error))
                bucket.folder.mkdir(exist_ok=True)

    asking = asyncio.create_task(ask())
    while not asking.done():
        with suppress(NotFoundError, ConflictError):
            await others.delete("a")
        await asyncio.sleep(0)
    await asking
    assert found
    await others.close()
