"""Folders of the system that made buckets before: all in them is read, and nothing is lost."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.buckets.uploads import files, lines, opened, put

from mediary.buckets.bucket import Bucket, Buckets


def lay(folder: Path, contents: dict[str, str | bytes]) -> None:
    """Make a folder as that system left it."""
    for number, (name, data) in enumerate(contents.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        os.utime(path, (number + 1, number + 1))


def cache(*parts: tuple[str, str]) -> str:
    return "".join(f"<!-- File: {name} -->\n{text}\n<-- End -->\n\n" for name, text in parts)


async def read(folder: Path) -> tuple[Bucket, dict[str, str | None]]:
    """The bucket in a folder, and the text of each document, None where it has to be made."""
    buckets = Buckets(folder.parent)
    bucket = await buckets.get(folder.name)
    texts = {}
    for document in await bucket.index.documents():
        path = bucket.text_path(document)
        texts[document.name] = path.read_text(encoding="utf-8") if document.state == "ready" else None
        assert (document.state == "queued") == (bucket.source_path(document) is not None and not path.exists())
    await buckets.close()
    return bucket, texts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "old"


async def test_documents_and_texts_in_the_folder_are_read_as_they_stand(folder: Path):
    lay(
        folder,
        {
            "files.txt": "notes.txt\nreport.pdf.md\nreport.pdf\n",
            "notes.txt": "note",
            "report.pdf.md": "a text",
            "report.pdf": b"%PDF",
            "media/p.png": b"x",
            "thumbnail/p.png": b"x",
        },
    )
    before = files(folder)
    bucket, texts = await read(folder)
    assert texts == {"notes.txt": None, "report.pdf.md": "a text", "report.pdf": None}
    assert files(folder) == before
    notes, _, own = await bucket.index.documents()
    assert (notes.original, notes.source, notes.text) == ("notes.txt", "notes.txt", "notes.txt.md")
    assert bucket.source_path(notes) == folder / "notes.txt"
    # The text of the PDF must not cover the document that bears the name it would have.
    assert own.text == "report.pdf-2.md" and bucket.source_path(own) == folder / "report.pdf"
    await bucket.index.close()


async def test_a_cache_that_is_the_only_copy_becomes_texts(folder: Path):
    text = cache(
        ("a.md", "first\n\n```\ncode\n```"), ("notes.txt", ""), ("ü.pdf.md", "third\n<-- End -->\nstill third\n")
    )
    lay(folder, {"plain.cache": text})
    _, texts = await read(folder)
    assert texts == {
        "a.md": "first\n\n```\ncode\n```",
        "notes.txt": "",
        "ü.pdf.md": "third\n<-- End -->\nstill third\n",
    }
    assert lines(folder) == ["a.md", "notes.txt", "ü.pdf.md"]
    assert (folder / "notes.txt.md").read_bytes() == b""
    assert (folder / "plain.cache").read_text(encoding="utf-8") == text


async def test_so_do_its_pieces(folder: Path):
    whole = cache(("a.md", "x" * 900), ("b.md", "y" * 900)).encode()
    lay(folder, {f"plain_{at // 500 + 1:04}.cache": whole[at : at + 500] for at in range(0, len(whole), 500)})
    _, texts = await read(folder)
    assert texts == {"a.md": "x" * 900, "b.md": "y" * 900}


async def test_deleted_documents_of_a_manifest_come_back_in_their_places(folder: Path):
    lay(
        folder,
        {
            "files.txt": "a.pdf\nb.md\nc.md",
            "c.md": "c in the folder",
            "plain.cache": cache(("a.pdf", "a"), ("b.md", "b"), ("c.md", "c of old"), ("older.md", "o")),
        },
    )
    _, texts = await read(folder)
    assert texts == {"a.pdf": "a", "b.md": "b", "c.md": "c in the folder", "older.md": "o"}
    assert lines(folder) == ["a.pdf", "b.md", "c.md", "older.md"]


async def test_a_deleted_document_in_a_last_line_without_an_end_comes_back_once(folder: Path):
    lay(folder, {"files.txt": "a.md\ngone.pdf", "a.md": "a", "plain.cache": cache(("gone.pdf", "gone"))})
    _, texts = await read(folder)
    assert texts == {"a.md": "a", "gone.pdf": "gone"}
    assert lines(folder) == ["a.md", "gone.pdf"]


async def test_the_form_with_fences_is_read_too(folder: Path):
    lay(folder, {"plain.cache": "```a.txt\nfirst\n```python\nx\n```\nend\n```\n\n```b.pdf\nsecond\n```\n\n"})
    _, texts = await read(folder)
    assert texts == {"a.txt": "first\n```python\nx\n```\nend", "b.pdf": "second"}


async def test_a_cache_with_the_line_ends_of_windows_is_read_too(folder: Path):
    lay(folder, {"plain.cache": cache(("a.md", "1\n2"), ("b.md", "")).replace("\n", "\r\n")})
    await read(folder)
    assert (folder / "a.md").read_bytes() == b"1\r\n2" and (folder / "b.md").read_bytes() == b""


async def test_a_cache_of_no_known_form_is_kept_whole_if_documents_are_gone(folder: Path):
    lay(folder, {"files.txt": "gone.md\n", "plain.cache": "words\n"})
    _, texts = await read(folder)
    assert texts == {"gone.md": None, "plain.cache.md": "words\n"}


async def test_a_cache_of_what_is_there_is_left_alone(folder: Path):
    lay(folder, {"files.txt": "a.md\n", "a.md": "a", "plain.cache": "words\n"})
    _, texts = await read(folder)
    assert texts == {"a.md": "a"}


async def test_names_that_lead_elsewhere_are_made_safe(folder: Path, tmp_path: Path):
    lay(folder, {"plain.cache": cache(("../../x.md", "1"), ("/etc/y", "2"), (".mediary", "3"), ("files.txt", "4"))})
    _, texts = await read(folder)
    assert sorted(texts.values()) == ["1", "2", "3", "4"]
    assert not any("/" in name or name.startswith(".") for name in texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"]


async def test_two_documents_of_one_name_both_stay(folder: Path):
    lay(folder, {"plain.cache": cache(("a.md", "1"), ("a.md", "2"), ("a.md", "3"))})
    _, texts = await read(folder)
    assert texts == {"a.md": "1", "a-2.md": "2", "a-3.md": "3"}


async def test_a_folder_without_manifest_gets_one_of_what_lies_in_it(folder: Path):
    lay(
        folder,
        {
            "b.md": "b",
            "x.pdf": b"%PDF",
            "x.pdf.md": "x",
            "a.txt": "a",
            "source/r.pdf": b"%PDF",
            "downloads.json": "[]",
            "plain.cache.12.tmp": "half",
            ".hidden": "h",
            "media/m.png": b"",
        },
    )
    _, texts = await read(folder)
    assert texts == {"b.md": "b", "x.pdf.md": "x", "a.txt": None, "r.pdf.md": None}
    assert lines(folder) == ["b.md", "x.pdf.md", "a.txt", "r.pdf.md"]


async def test_an_empty_folder_is_an_empty_bucket(folder: Path):
    folder.mkdir()
    _, texts = await read(folder)
    assert texts == {} and files(folder) == {}


async def test_it_happens_once(folder: Path):
    lay(folder, {"plain.cache": cache(("a.md", "a"))})
    buckets = Buckets(folder.parent)
    found = await asyncio.gather(*(buckets.get("old") for _ in range(8)))
    assert len({id(bucket) for bucket in found}) == 1
    (folder / "plain.cache").write_text(cache(("b.md", "b")))
    assert await (await buckets.get("old")).manifest.names() == ["a.md"] == lines(folder)
    await buckets.close()


async def test_who_is_killed_meanwhile_begins_again(folder: Path):
    lay(folder, {"files.txt": "a.md\n", "plain.cache": cache(("a.md", "1"), ("b.md", "2"), ("b.md", "3"))})
    _, once = await read(folder)
    shutil.rmtree(folder / ".mediary")
    (folder / "files.txt").write_text("a.md\n")
    (folder / "b-2.md").unlink()
    _, twice = await read(folder)
    assert once == twice == {"a.md": "1", "b.md": "2", "b-2.md": "3"}


async def test_our_own_folder_loses_nothing_but_time_with_its_hidden_part(tmp_path: Path):
    async with opened(tmp_path) as (buckets, intake):
        bucket = await buckets.open("a")
        for name, data in (("n.md", b"text"), ("t.txt", b"more"), ("r.pdf", b"%PDF-1.4 x")):
            await put(intake, bucket, name, data)
        before = [(one.name, one.source, one.state) for one in await bucket.index.documents()]
        (bucket.folder / "plain.cache").write_text(cache(("n.md", "text"), ("t.txt.md", "more")))
        kept = files(bucket.folder)
        shutil.rmtree(bucket.hidden)
        again = await buckets.get("a")
        assert [(one.name, one.source, one.state) for one in await again.index.documents()] == before
        assert files(bucket.folder) == kept


async def test_new_uploads_join_the_old_documents(tmp_path: Path, folder: Path):
    lay(folder, {"files.txt": "notes.txt\n", "notes.txt": "old", "r.pdf.md": "unlisted"})
    async with opened(tmp_path) as (buckets, intake):
        bucket = await buckets.open("old")
        same = await put(intake, bucket, "notes.txt", b"old")
        other = await put(intake, bucket, "notes.txt", b"new")
        report = await put(intake, bucket, "r.pdf", b"%PDF-1.4 x")
        assert [taken.documents[0].name for taken in (same, other, report)] == [
            "notes.txt",
            "notes-2.txt.md",
            "r-2.pdf.md",
        ]
    assert (folder / "r.pdf.md").read_text() == "unlisted"


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=60)), max_size=6))
@settings(max_examples=60, deadline=None)
def test_no_text_of_any_cache_is_lost(tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, str]]):
    parts = [(name.encode(errors="replace").decode(), text.encode(errors="replace").decode()) for name, text in parts]
    parts = [(name, text) for name, text in parts if name.strip() and "\n" not in name and "\r" not in name]
    folder = tmp_path_factory.mktemp("buckets") / "old"
    lay(folder, {"plain.cache": cache(*parts)})

    async def texts() -> list[bytes]:
        buckets = Buckets(folder.parent)
        bucket = await buckets.get("old")
        found = [bucket.text_path(one).read_bytes() for one in await bucket.index.documents()]
        await buckets.close()
        return found

    assert asyncio.run(texts()) == [text.encode() for _, text in parts]
