"""Ids of buckets; their making, finding, listing and deleting."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.buckets.uploads import spawn

from mediary.buckets.bucket import MOST_OPEN, Buckets, bucket_id
from mediary.buckets.document import Document
from mediary.errors import BadRequestError, ConflictError, NotFoundError

# Holds the lock of a bucket's manifest until a line comes.
HOLDER = """
import sys
from pathlib import Path
from mediary.buckets.manifest import Manifest

with Manifest(Path(sys.argv[1]) / "files.txt").lock():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
async def buckets(tmp_path: Path):
    buckets = Buckets(tmp_path / "buckets")
    yield buckets
    await buckets.close()


@pytest.mark.parametrize(
    "raw",
    [
        "", ".", "..", "...", "_", "-", "+", "/", "a/b", "..\\a", "a\\b", "%2e%2e%2fa", "..%2F..%2Fetc", "a\0", "a%00b",
        "%", "\u2028a", "a\nb", "\x7f", "\x85", "\ud800", "🙂", "🙂🙃", "n" * 101, "n" * 300, "é" * 51, "%41" * 101,
        " ",
    ],
)  # fmt: skip
def test_what_is_no_id(raw: str):
    with pytest.raises(BadRequestError) as refused:
        bucket_id(raw)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("a", "a"),
        ("My bucket", "My_bucket"),
        ("naïve", "naïve"),
        ("nai\u0308ve", "naïve"),
        ("日本語", "日本語"),
        ("🙂a", "a"),
        (".hidden", "hidden"),
        ("n" * 100, "n" * 100),
        ("3f2b8c1e-0b1f-4f7e-9d65-0c9d3a1f2e4d", "3f2b8c1e-0b1f-4f7e-9d65-0c9d3a1f2e4d"),
        ("%41bc", "Abc"),
    ],
)
def test_an_id_is_the_safe_form_of_a_name(raw: str, safe: str):
    assert bucket_id(raw) == safe


@given(st.text(max_size=120))
def test_an_id_is_a_folder_of_its_own(raw: str):
    try:
        safe = bucket_id(raw)
    except BadRequestError:
        return
    assert bucket_id(safe) == safe
    assert Path("/x", safe).parent == Path("/x") and os.path.normpath(f"/x/{safe}") == f"/x/{safe}"
    assert not safe.startswith(".") and len(safe.encode()) <= 255


@pytest.mark.parametrize("raw", ["_", "..", ".", "n" * 300, "a\0b", "🙂", "../x", ""])
async def test_bad_ids_reach_no_folder(buckets: Buckets, raw: str):
    await buckets.open("kept")
    for call in (buckets.get, buckets.find, buckets.open, buckets.delete):
        with pytest.raises(BadRequestError):
            await call(raw)
    assert [bucket.id for bucket in (await buckets.list()).buckets] == ["kept"]


async def test_a_bucket_is_made_once_and_found(buckets: Buckets):
    assert (await buckets.list()).buckets == ()
    assert await buckets.find("a") is None
    with pytest.raises(NotFoundError):
        await buckets.get("a")
    made = await asyncio.gather(*(buckets.open("a") for _ in range(10)))
    assert len(set(map(id, made))) == 1
    assert await buckets.get("a") is made[0] is await buckets.find("a")
    assert made[0].folder == buckets.root / "a"


async def test_what_is_no_folder_of_the_buckets_is_no_bucket(buckets: Buckets, tmp_path: Path):
    await buckets.open("a")
    (tmp_path / "elsewhere").mkdir()
    (buckets.root / "link").symlink_to(tmp_path / "elsewhere")
    (buckets.root / "file").touch()
    (buckets.root / ".hidden").mkdir()
    (buckets.root / "un safe").mkdir()
    assert [bucket.id for bucket in (await buckets.list()).buckets] == ["a"]
    for name in ("link", "file"):
        assert await buckets.find(name) is None
        with pytest.raises(ConflictError):
            await buckets.open(name)
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_buckets_are_listed_in_pages_with_what_they_hold(buckets: Buckets):
    for name in ("c", "a", "b"):
        bucket = await buckets.open(name)
        (bucket.folder / "x.md").write_bytes(b"12345")
        bucket.media_dir.mkdir()
        (bucket.media_dir / "p.png").write_bytes(b"123")
        (bucket.media_dir / ".incoming").mkdir()
        await bucket.manifest.append(["x.md"])
    first = await buckets.list(limit=2)
    assert [bucket.id for bucket in first.buckets] == ["a", "b"]
    assert [(found.documents, found.media, found.size) for found in first.buckets] == [
        (1, 1, 5 + 3 + len("x.md\n"))
    ] * 2
    assert first.buckets[0].modified == pytest.approx((buckets.root / "a" / "media").stat().st_mtime, abs=10)
    last = await buckets.list(first.next, limit=2)
    assert [bucket.id for bucket in last.buckets] == ["c"] and last.next is None
    assert (await buckets.list("c")).buckets == ()


async def test_a_deleted_bucket_is_gone_with_all_it_holds(buckets: Buckets):
    bucket = await buckets.open("a")
    (bucket.folder / "x.md").touch()
    await bucket.manifest.append(["x.md"])
    assert len(await bucket.index.documents()) == 1
    await buckets.open("b")
    await buckets.delete("a")
    assert sorted(path.name for path in buckets.root.iterdir()) == ["b"]
    with pytest.raises(NotFoundError):
        await buckets.delete("a")
    with pytest.raises(NotFoundError):
        await bucket.index.documents()
    with pytest.raises(NotFoundError):
        await bucket.manifest.append(["y.md"])
    again = await buckets.open("a")
    assert again is not bucket and await again.index.documents() == []


async def test_whoever_waits_for_a_bucket_that_is_deleted_is_told(buckets: Buckets):
    bucket = await buckets.open("a")
    other = await buckets.open("b")
    holder = spawn(HOLDER, bucket.folder)
    assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
    waiting = asyncio.create_task(bucket.manifest.append(["x.md"]))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    bucket.folder.rename(buckets.root / ".trash-by-another-process")
    await asyncio.to_thread(holder.communicate, "go on\n")
    with pytest.raises(ConflictError):
        await waiting
    assert await other.index.documents() == []


async def test_what_a_killed_process_left_of_a_deleted_bucket_is_removed(buckets: Buckets):
    bucket = await buckets.open("a")
    (bucket.folder / "x.md").touch()
    bucket.folder.rename(buckets.root / ".trash-0123456789abcdef")
    assert (await buckets.list()).buckets == ()
    assert await buckets.recover() == 1
    assert list(buckets.root.iterdir()) == []
    assert await Buckets(buckets.root / "absent").recover() == 0


async def test_more_buckets_than_stay_open(buckets: Buckets):
    first = await buckets.open("first")
    await first.index.add([Document(name="x.md", position=0)])
    for number in range(MOST_OPEN + 3):
        bucket = await buckets.open(str(number))
        assert await bucket.index.documents() == []
    assert [document.name for document in await first.index.documents()] == ["x.md"]
    assert (await buckets.get("first")).id == "first"
    await first.index.close()


async def test_a_bucket_that_somebody_else_removes_is_gone(buckets: Buckets):
    bucket = await buckets.open("a")
    await bucket.index.add([Document(name="x.md", position=0)])
    shutil.rmtree(bucket.folder)
    assert await buckets.find("a") is None
    with pytest.raises(NotFoundError):
        await bucket.index.change("x.md", state="ready")


async def test_where_the_files_of_documents_lie(buckets: Buckets):
    bucket = await buckets.open("a")
    text = Document(name="notes.md", position=1)
    derived = Document(name="r.pdf.md", position=2, source="r.pdf")
    legacy = Document(name="x.pdf", position=3, source="x.pdf", text="x.pdf.md")
    assert [bucket.source_path(document) for document in (text, derived, legacy)] == [
        None,
        bucket.folder / "source" / "r.pdf",
        bucket.folder / "x.pdf",
    ]
    assert [bucket.text_path(document).name for document in (text, derived, legacy)] == [
        "notes.md",
        "r.pdf.md",
        "x.pdf.md",
    ]
