"""What becomes of files that come in: sorted, named, and there for good before anybody is told."""

import asyncio
import io
import json
import os
import shutil
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.buckets.uploads import chunks, files, lines, opened, outcome, put, spawn

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.intake.upload import Intake
from mediary.errors import BadRequestError, ConflictError, NoSpaceError, NotFoundError
from mediary.storage.spool import INCOMING

PDF = b"%PDF-1.4\n%some report\n"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001ff"
    "89993d1d0000000049454e44ae426082"
)

# Takes files into a bucket: as many as it is told, or for ever. One line for each that is answered.
UPLOADER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from tests.buckets.uploads import opened, put

async def main():
    mine, number = sys.argv[2], int(sys.argv[3])
    async with opened(Path(sys.argv[1])) as (buckets, intake):
        bucket = await buckets.open("a")
        for at in range(number) if number else count():
            for name, data in (
                (f"{mine}-{at}.txt", f"{mine} {at}\\n".encode() * 3000),
                (f"{mine}-{at}.pdf", b"%PDF-1.4 " + f"{mine} {at}".encode() * 30000),
                ("same.txt", b"the same"),
                ("other.pdf", b"%PDF-1.4 " + f"{mine} {at}".encode()),
            ):
                taken = await put(intake, bucket, name, data)
                print(taken.documents[0].name, flush=True)

asyncio.run(main())
"""

# Begins to take a file, says so, and waits.
HOLDER = """
import asyncio, sys
from pathlib import Path
from tests.buckets.uploads import opened

async def endless():
    yield b"x" * 3_000_000
    yield b"x" * 3_000_000  # taken while the first is written
    print("ready", flush=True)
    await asyncio.Event().wait()

async def main():
    async with opened(Path(sys.argv[1])) as (buckets, intake):
        await intake.take(await buckets.open("a"), "a.txt", endless())

asyncio.run(main())
"""


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[tuple[Buckets, Intake, Bucket]]:
    async with opened(tmp_path / "buckets") as (buckets, intake):
        yield buckets, intake, await buckets.open("a")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for three megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command here")
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", disk]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def staged(bucket: Bucket) -> list[str]:
    """What lies in the hidden folder without a name."""
    places = [bucket.hidden / INCOMING, bucket.hidden / "unpacked"]
    return [path.name for place in places if place.is_dir() for path in place.iterdir()]


def zipped(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return made.getvalue()


async def test_files_are_sorted_by_their_bytes(room):
    _, intake, bucket = room
    async with intake.upload(bucket, language="de") as upload:
        for name, data in [
            ("notes.txt", b"some notes"),
            ("readme.md", b"# Title"),
            ("Report 1.pdf", PDF),
            ("photo.txt", PNG),
            ("program.pdf", b"\x7fELF" + bytes(100)),
            ("empty.txt", b""),
            ("latin.txt", "Grüße".encode("latin-1")),
        ]:
            await upload.take(name, chunks(data))
        taken = await upload.finish()
    found = [(one.name, one.state, one.source, one.extractor, one.asked_language) for one in taken.documents]
    assert found == [
        ("notes.txt.md", "ready", None, None, "de"),
        ("readme.md", "ready", None, None, "de"),
        ("Report_1.pdf.md", "queued", "Report_1.pdf", "pdf", "de"),
        ("latin.txt.md", "queued", "latin.txt", "plain", "de"),
    ]
    assert [(one.name, one.width, one.height, one.text) for one in taken.media] == [("photo.txt.png", 3, 2, None)]
    assert [one.name for one in taken.rejected] == ["program.pdf", "empty.txt"]
    assert "program" in taken.rejected[0].reason and "empty" in taken.rejected[1].reason
    assert await bucket.index.documents() == taken.documents
    assert taken.documents[2].original == "Report 1.pdf"
    assert files(bucket.folder) == {
        "files.txt": b"notes.txt.md\nreadme.md\nReport_1.pdf.md\nlatin.txt.md\n",
        "media/photo.txt.png": PNG,
        "notes.txt.md": b"some notes",
        "readme.md": b"# Title",
        "source/Report_1.pdf": PDF,
        "source/latin.txt": "Grüße".encode("latin-1"),
    }
    assert staged(bucket) == []


async def test_the_same_name_and_bytes_are_one_document(room):
    _, intake, bucket = room
    for _ in range(2):
        text, report, photo = [
            await put(intake, bucket, name, data) for name, data in (("a.txt", b"text"), ("r.pdf", PDF), ("p.png", PNG))
        ]
        assert [one.name for one in text.documents + report.documents] == ["a.txt.md", "r.pdf.md"]
        assert [one.name for one in photo.media] == ["p.png"]
    (bucket.source_dir / "r.pdf").unlink()
    (bucket.folder / "r.pdf.md").write_text("its text")
    await bucket.index.change("r.pdf.md", state="ready", source=None, text_size=8)
    again = await put(intake, bucket, "r.pdf", PDF)
    assert [(one.name, one.state, one.source) for one in again.documents] == [("r.pdf.md", "ready", None)]
    assert lines(bucket.folder) == ["a.txt.md", "r.pdf.md"]
    assert not any(bucket.source_dir.iterdir())


async def test_a_taken_name_gets_a_number(room):
    _, intake, bucket = room
    names = []
    for number in range(4):
        for name in ("a.txt", "n.md", "r.pdf", "p.png"):
            data = (PNG if name == "p.png" else PDF if name == "r.pdf" else b"") + str(number).encode()
            taken = await put(intake, bucket, name, data)
            names += [one.name for one in (*taken.documents, *taken.media)]
    assert names[:8] == ["a.txt.md", "n.md", "r.pdf.md", "p.png", "a-2.txt.md", "n-2.md", "r-2.pdf.md", "p-2.png"]
    assert names[-4:] == ["a-4.txt.md", "n-4.md", "r-4.pdf.md", "p-4.png"]
    assert (bucket.source_dir / "r-3.pdf").read_bytes() == PDF + b"2"
    assert (bucket.folder / "n-2.md").read_bytes() == b"1"


async def test_documents_whose_texts_would_share_a_name_do_not(room):
    _, intake, bucket = room
    for name, data in (("x", PDF), ("x.md", b"# text"), ("x.md", PDF), ("r.pdf", PDF), ("r.pdf.md", b"mine")):
        await put(intake, bucket, name, data)
    names = lines(bucket.folder)
    assert len(set(names)) == 5 and names[0] == "x.md" and names[3] == "r.pdf.md"
    assert {one.text_name for one in await bucket.index.documents()} == set(names)
    texts = {one.name: bucket.text_path(one).read_bytes() for one in await bucket.index.documents() if not one.source}
    assert sorted(texts.values()) == [b"# text", b"mine"]


@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("../../etc/passwd", "etc_passwd.md"),
        ("C:\\fakepath\\r.txt", "C_fakepath_r.txt.md"),
        ("", "file.md"),
        ("...", "file.md"),
        ("🙂.txt", "file.txt.md"),
        (".bashrc", "bashrc.md"),
        ("a\0b\n.txt", "a_b.txt.md"),
        ("\ud800.txt", "file.txt.md"),
        ("files.txt", "files.txt.md"),
        ("plain.cache", "plain.cache.md"),
        ("日本語.md", "日本語.md"),
        (".md", "md.md"),
        ("n" * 300 + ".txt", "n" * 96 + ".txt.md"),
        ("a b.md", "a_b.md"),
    ],
)
async def test_names_are_made_safe(room, original: str, name: str):
    _, intake, bucket = room
    taken = await put(intake, bucket, original, b"text")
    assert [one.name for one in taken.documents] == [name]
    assert (bucket.folder / name).read_bytes() == b"text"
    assert await bucket.manifest.names() == [name]
    await bucket.index.close()
    (bucket.hidden / "bucket.db").unlink()
    assert [one.name for one in (await put(intake, bucket, original, b"text")).documents] == [name]


@pytest.mark.parametrize("late", [b"\xff", b"\0", b"\xc3"])
async def test_text_that_turns_out_to_be_none_is_read_by_an_extractor(room, late: bytes):
    _, intake, bucket = room
    data = "späte Überraschung\n".encode() * 200_000 + late
    taken = await put(intake, bucket, "a.txt", data)
    assert [(one.name, one.extractor, one.source) for one in taken.documents] == [("a.txt.md", "plain", "a.txt")]
    assert (bucket.source_dir / "a.txt").read_bytes() == data
    assert not (bucket.folder / "a.txt.md").exists()


@pytest.mark.parametrize("size", [1, 7, 65536, 1_048_576, 5_000_000])
async def test_text_is_kept_byte_for_byte_however_it_arrives(room, size: int):
    _, intake, bucket = room
    data = "\ufeffä€🙂 \r\n".encode()[3:] * 150_000
    if size == 1:
        data = data[:20_000]
    data = data.decode(errors="ignore").encode()
    taken = await intake.take(bucket, "a.txt", chunks(data, size))
    (document,) = taken.documents
    assert (document.state, document.size, document.text_size) == ("ready", len(data), len(data))
    assert bucket.text_path(document).read_bytes() == data


async def test_a_file_that_is_too_large_spoils_nothing(tmp_path: Path):
    async with opened(tmp_path, max_file_bytes=100_000) as (buckets, intake):
        bucket = await buckets.open("a")
        read = 0

        async def large() -> AsyncIterator[bytes]:
            nonlocal read
            for _ in range(100):
                read += 60_000
                yield b"x" * 60_000

        async with intake.upload(bucket) as upload:
            await upload.take("large.txt", large())
            await upload.take("exact.txt", chunks(b"x" * 100_000))
            taken = await upload.finish()
        assert [(one.name, "100,000" in one.reason) for one in taken.rejected] == [("large.txt", True)]
        assert [one.name for one in taken.documents] == ["exact.txt.md"]
        assert read == 6_000_000, "the next file comes behind the rest of this one"
        assert staged(bucket) == []


async def test_an_upload_that_breaks_off_leaves_what_was_whole(room):
    _, intake, bucket = room

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        raise BadRequestError("the client is gone")

    async with intake.upload(bucket) as upload:
        await upload.take("a.txt", chunks(b"a"))
        with pytest.raises(BadRequestError, match="client is gone"):
            await upload.take("b.txt", broken())
    assert lines(bucket.folder) == ["a.txt.md"]
    assert staged(bucket) == []


async def test_whoever_is_cancelled_leaves_nothing_half(room):
    _, intake, bucket = room
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        begun.set()
        await asyncio.Event().wait()

    taking = asyncio.create_task(intake.take(bucket, "a.txt", endless()))
    await begun.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert staged(bucket) == []
    assert await bucket.manifest.names() == []


async def test_archives_are_taken_by_their_members(room):
    _, intake, bucket = room
    data = zipped(
        ("docs/a.txt", b"first"), ("b.md", b"# second"), ("c.pdf", PDF), ("p.png", PNG), ("x.exe", b"MZ" + bytes(99)),
        ("d/a.txt", b"first"), ("in.zip", zipped(("e.txt", b"inner"))), ("n" * 150 + "/deep.pdf", PDF),
    )  # fmt: skip
    taken = await put(intake, bucket, "my docs.zip", data)
    names = [one.name for one in taken.documents]
    assert names[:5] == [
        "my_docs.zip_docs_a.txt.md",
        "my_docs.zip_b.md",
        "my_docs.zip_c.pdf.md",
        "my_docs.zip_d_a.txt.md",
        "my_docs.zip_in.zip_e.txt.md",
    ]
    assert names[5].endswith(".pdf.md") and len(names) == 6
    assert taken.documents[0].original == "my docs.zip/docs/a.txt"
    assert [one.name for one in taken.media] == ["my_docs.zip_p.png"]
    assert [one.name for one in taken.rejected] == ["my docs.zip/x.exe"]
    assert lines(bucket.folder) == names
    again = await put(intake, bucket, "my docs.zip", data)
    assert [one.name for one in again.documents] == names and lines(bucket.folder) == names
    assert staged(bucket) == []


async def test_a_refused_archive_leaves_nothing(room):
    _, intake, bucket = room
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name in ("good.txt", "../../evil.txt"):
            archive.addfile(tarfile.TarInfo(name))
    for name, data in (("a.tar.gz", made.getvalue()), ("b.zip", zipped(("a.txt", b"x" * 9999))[:-40])):
        taken = await put(intake, bucket, name, data)
        assert [one.name for one in taken.rejected] == [name] and taken.documents == []
    assert files(bucket.folder) == {} and staged(bucket) == []


async def test_five_hundred_members_are_one_addition(room):
    _, intake, bucket = room
    data = zipped(*((f"{number}.txt", str(number).encode()) for number in range(500)))
    taken = await put(intake, bucket, "z.zip", data)
    assert [one.position for one in taken.documents] == list(range(1, 501))
    assert lines(bucket.folder) == [f"z.zip_{number}.txt.md" for number in range(500)]


async def test_a_list_of_downloads_is_no_document(room):
    _, intake, bucket = room
    wanted = json.dumps([{"urls": ["http://a.example/", "http://b.example/"]}, {"url": "http://c.example/"}]).encode()
    assert (await put(intake, bucket, "downloads.json", wanted)).downloads == 3
    wrong = await put(intake, bucket, "downloads.json", b'[{"adress": "http://a.example/"}]')
    assert wrong.downloads is None and "adress" in wrong.rejected[0].reason
    assert (await put(intake, bucket, "downloads.json", b"[" + b" " * 2_000_000)).rejected
    assert files(bucket.folder) == {"downloads.json": wanted}
    other = await put(intake, bucket, "my downloads.json", wanted)
    assert [one.name for one in other.documents] == ["my_downloads.json.md"]


async def test_a_document_that_failed_gets_a_new_chance(room):
    _, intake, bucket = room
    await put(intake, bucket, "r.pdf", PDF)
    await put(intake, bucket, "a.txt", b"text")
    await bucket.index.change("r.pdf.md", state="failed", error="it took too long")
    again = (await put(intake, bucket, "r.pdf", PDF, language="fr")).documents[0]
    assert (again.name, again.state, again.error, again.asked_language) == ("r.pdf.md", "queued", None, "fr")
    (bucket.source_dir / "r.pdf").unlink()
    (bucket.folder / "a.txt.md").unlink()
    for name, data in (("r.pdf", PDF), ("a.txt", b"text")):
        await put(intake, bucket, name, data)
    assert (bucket.source_dir / "r.pdf").read_bytes() == PDF
    assert (bucket.folder / "a.txt.md").read_bytes() == b"text"
    assert lines(bucket.folder) == ["r.pdf.md", "a.txt.md"]


async def test_a_file_without_a_line_is_taken_over_if_its_bytes_are_these(room):
    _, intake, bucket = room
    bucket.source_dir.mkdir()
    for path in (bucket.source_dir / "r.pdf", bucket.source_dir / "s.pdf"):
        path.write_bytes(PDF)
    (bucket.folder / "a.txt.md").write_bytes(b"text")
    (bucket.folder / "b.txt.md").write_bytes(b"somebody's")
    names = [
        (await put(intake, bucket, name, data)).documents[0].name
        for name, data in (("r.pdf", PDF), ("s.pdf", PDF + b"!"), ("a.txt", b"text"), ("b.txt", b"mine"))
    ]
    assert names == ["r.pdf.md", "s-2.pdf.md", "a.txt.md", "b-2.txt.md"]
    assert (bucket.folder / "b.txt.md").read_bytes() == b"somebody's"


async def test_twenty_uploads_at_once_from_each_of_two_programs(tmp_path: Path):
    programs = [spawn(UPLOADER, tmp_path, mine, "5") for mine in "xy"]
    async with opened(tmp_path) as (buckets, intake):
        bucket = await buckets.open("a")

        async def upload(number: int) -> str:
            await put(intake, bucket, f"z-{number}.pdf", PDF + str(number).encode() * 50_000)
            return (await put(intake, bucket, "same.txt", b"the same")).documents[0].name

        same = await asyncio.gather(*map(upload, range(20)))
        said = [line for program in programs for line in await outcome(program)]
        names = lines(bucket.folder)
        assert len(set(names)) == len(names) == 2 * 5 * 3 + 20 + 1
        assert set(same) == {"same.txt.md"} and set(said) <= set(names)
        assert len([name for name in names if name.startswith("other")]) == 10
        documents = await bucket.index.documents()
        assert [one.name for one in documents] == names
        for one in documents:
            path = bucket.source_path(one) or bucket.text_path(one)
            assert path.stat().st_size == one.size
        assert staged(bucket) == []


def test_a_killed_upload_leaves_no_line_without_its_file(tmp_path: Path):
    answered = 0
    for round_ in range(4):
        program = spawn(UPLOADER, tmp_path, str(round_), "0")
        said = [program.stdout.readline().strip() for _ in range(3 + 5 * round_)]
        program.kill()
        rest, _ = program.communicate()
        said += rest.splitlines()
        folder = tmp_path / "a"
        names = lines(folder)
        assert set(said) <= set(names) and len(names) >= answered
        answered = len(names)
        for name in names:
            source = folder / "source" / name.removesuffix(".md")
            assert source.is_file() or (folder / name).is_file()
            expected = f"{name.split('.')[0].replace('-', ' ')}"
            if name.endswith(".txt.md") and name != "same.txt.md":
                assert (folder / name).read_bytes() == f"{expected}\n".encode() * 3000
            elif name != "same.txt.md" and not name.startswith("other"):
                assert source.read_bytes() == b"%PDF-1.4 " + expected.encode() * 30000


async def test_what_a_killed_upload_left_is_swept_away(room):
    buckets, intake, bucket = room
    holder = spawn(HOLDER, buckets.root)
    assert await asyncio.to_thread(holder.stdout.readline) == "ready\n"
    (name,) = staged(bucket)
    (bucket.hidden / "unpacked" / name).mkdir(parents=True)
    (bucket.hidden / "unpacked" / name / "0").touch()
    await put(intake, bucket, "b.txt", b"b")
    assert staged(bucket) == [name, name], "its process lives"
    holder.kill()
    await asyncio.to_thread(holder.communicate)
    await put(intake, bucket, "c.txt", b"c")
    assert staged(bucket) == []


async def test_a_full_disk_ends_the_upload_and_what_was_taken_stays(small_disk: Path):
    async with opened(small_disk) as (buckets, intake):
        bucket = await buckets.open("a")
        async with intake.upload(bucket) as upload:
            await upload.take("a.txt", chunks(b"a" * 1_000_000))
            with pytest.raises(NoSpaceError, match="buckets"):
                await upload.take("b.txt", chunks(b"b" * 9_000_000))
        assert lines(bucket.folder) == ["a.txt.md"] and staged(bucket) == []
        with pytest.raises(NoSpaceError):
            await put(intake, bucket, "c.zip", zipped(("x.txt", os.urandom(500_000)), ("y.txt", bytes(5_000_000))))
        assert lines(bucket.folder) == ["a.txt.md"] and staged(bucket) == []
        assert [one.name for one in (await put(intake, bucket, "d.txt", b"d" * 500_000)).documents] == ["d.txt.md"]
        assert set(files(bucket.folder)) == {"a.txt.md", "d.txt.md", "files.txt"}


async def test_a_bucket_that_is_deleted_meanwhile_takes_nothing(room):
    buckets, intake, bucket = room

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        await buckets.delete("a")
        await buckets.open("a")
        yield b"x"

    with pytest.raises(ConflictError):
        await intake.take(bucket, "a.txt", slow())
    again = await buckets.get("a")
    assert await again.manifest.names() == [] and files(again.folder) == {}


async def test_memory_stays_the_same_however_large_a_file_is(room):
    _, intake, bucket = room
    piece = b"some text \xc3\xa4\n" * 5000

    async def large() -> AsyncIterator[bytes]:
        for _ in range(1500):
            yield piece

    tracemalloc.start()
    try:
        taken = await intake.take(bucket, "large.txt", large())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken.documents[0].size == 1500 * len(piece) > 80_000_000
    assert peak < 10_000_000


async def test_uploads_and_deletions_at_once_end_each_in_one_of_two_ways(room):
    buckets, intake, _ = room

    async def upload(number: int) -> None:
        bucket = await buckets.open("a")
        await put(intake, bucket, f"{number}.txt", b"text")
        await put(intake, bucket, f"{number}.zip", zipped(("a.txt", b"a"), ("b.txt", b"b")))
        await put(intake, bucket, f"{number}.png", PNG + bytes([number]))

    async def delete() -> None:
        await buckets.delete("a")

    work = [work for number in range(20) for work in (upload(number), delete())]
    ends = await asyncio.gather(*work, return_exceptions=True)
    assert {type(end) for end in ends} <= {type(None), ConflictError, NotFoundError}
    bucket = await buckets.open("a")
    assert [one.name for one in await bucket.index.documents()] == await bucket.manifest.names()
    assert sorted(path.name for path in buckets.root.iterdir()) == ["a"]
