"""The manifest: it only grows, whole or not at all, whoever writes it and whatever ends them."""

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.buckets.uploads import outcome, spawn

from mediary.buckets.manifest import Manifest
from mediary.errors import NotFoundError, StoreError

# Adds names of its own, in batches, for ever; a document lies there before it is named.
WRITER = """
import sys
from itertools import count
from pathlib import Path
from mediary.buckets.manifest import Manifest

folder, mine = Path(sys.argv[1]), sys.argv[2]
manifest = Manifest(folder / "files.txt")
print("ready", flush=True)
for number in count():
    names = [f"{mine}-{number}-{part}-{'n' * 150}.md" for part in range(60)]
    for name in names:
        (folder / name).touch()
    with manifest.lock():
        manifest.extend(names)
    if number + 1 == int(sys.argv[3]):
        break
"""

# May write no more than so many bytes to a file, like a disk that is full.
FULL = """
import resource, signal, sys
from pathlib import Path
from mediary.buckets.manifest import Manifest
from mediary.errors import StoreError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
manifest = Manifest(Path(sys.argv[1]))
try:
    with manifest.lock():
        manifest.extend(["b" * 90 + ".md", "c.md"])
except StoreError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(tmp_path / "files.txt")


def lay(manifest: Manifest, data: bytes, *documents: str) -> None:
    manifest.path.write_bytes(data)
    for document in documents:
        path = manifest.path.parent / document
        path.parent.mkdir(exist_ok=True)
        path.touch()


async def test_names_are_added_once_and_in_order(manifest: Manifest):
    assert await manifest.names() == []
    await manifest.append(["b.md", "a.md", "b.md"])
    await manifest.append(["a.md", "ü ä.md"])
    assert await manifest.names() == ["b.md", "a.md", "ü ä.md"]
    assert manifest.path.read_text(encoding="utf-8") == "b.md\na.md\nü ä.md\n"
    assert manifest.path.stat().st_mode & 0o111 == 0


@pytest.mark.parametrize(
    "data",
    [b"a.md\nb.pdf.md\n", b"a.md\r\nb.pdf.md\r\n", b"\xef\xbb\xbfa.md\nb.pdf.md\n", b" a.md \n\n\nb.pdf.md\na.md\n"],
)
async def test_it_is_read_as_other_systems_write_it(manifest: Manifest, data: bytes):
    manifest.path.write_bytes(data)
    assert await manifest.names() == ["a.md", "b.pdf.md"]


@pytest.mark.parametrize("place", ["b.pdf.md", "source/b.pdf"])
async def test_a_last_line_without_an_end_counts_if_its_document_is_there(manifest: Manifest, place: str):
    lay(manifest, b"a.md\nb.pdf.md", place)
    assert await manifest.names() == ["a.md", "b.pdf.md"]
    await manifest.append(["c.md"])
    assert manifest.path.read_bytes() == b"a.md\nb.pdf.md\nc.md\n"


@pytest.mark.parametrize("torn", [b"b.pd", b"b.pdf.md", b"\xff\xc3", b"x" * 5000, b".", b"../a"])
async def test_half_a_line_is_nothing_and_the_next_writer_drops_it(manifest: Manifest, torn: bytes):
    lay(manifest, b"a.md\n" + torn, "a.md")
    assert await manifest.names() == ["a.md"]
    await manifest.append(["c.md"])
    assert manifest.path.read_bytes() == b"a.md\nc.md\n"


async def test_names_that_lead_elsewhere_are_passed_over(manifest: Manifest):
    hostile = ["../x", "/etc/passwd", ".hidden", "a/b", "a\\b", "a\0b", "x" * 256, "..", ".", "\x1b[2J", "a\u2028b"]
    ours = ["files.txt", "downloads.json", "plain.cache", "plain_0001.cache", "spacy_0002.cache", "source", "media"]
    manifest.path.write_bytes("\n".join(["a.md", *hostile, *ours, "my report.pdf", ""]).encode() + b"\xff\xfe.md\n")
    assert await manifest.names() == ["a.md", "my report.pdf"]


@given(st.binary(max_size=400))
@settings(max_examples=80)
def test_any_bytes_are_read_and_survive_an_addition(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    manifest = Manifest(tmp_path_factory.mktemp("bucket") / "files.txt")
    manifest.path.write_bytes(data)
    before = manifest.read()
    with manifest.lock():
        manifest.extend(["new document.md"])
    assert manifest.read() == list(dict.fromkeys([*before, "new document.md"]))


async def test_two_programs_and_many_tasks_add_at_once(manifest: Manifest):
    writers = [spawn(WRITER, manifest.path.parent, mine, "10") for mine in "xy"]
    await asyncio.gather(
        *(outcome(writer) for writer in writers), *(manifest.append([f"{number}.md"]) for number in range(40))
    )
    names = await manifest.names()
    assert len(names) == 2 * 10 * 60 + 40 == len(manifest.path.read_bytes().splitlines())
    for mine in "xy":
        of_it = [name for name in names if name.startswith(f"{mine}-")]
        assert of_it == [f"{mine}-{number}-{part}-{'n' * 150}.md" for number in range(10) for part in range(60)]


def test_it_is_whole_whenever_its_writer_is_killed(manifest: Manifest):
    chance = random.Random(4)
    kept: list[str] = []
    for round_ in range(6):
        writer = spawn(WRITER, manifest.path.parent, str(round_), "0")
        assert writer.stdout.readline() == "ready\n"
        while len(manifest.read()) < len(kept) + chance.randrange(1, 400):
            assert writer.poll() is None
        writer.kill()
        writer.communicate()
        names = manifest.read()
        assert names[: len(kept)] == kept
        assert all((manifest.path.parent / name).is_file() for name in names)
        kept = names
    with manifest.lock():
        manifest.extend(["last.md"])
    assert manifest.read() == [*kept, "last.md"]
    assert manifest.path.read_bytes() == "".join(f"{name}\n" for name in [*kept, "last.md"]).encode()


async def test_a_full_disk_leaves_it_as_it_was(manifest: Manifest):
    lay(manifest, b"a.md\nb.md", "b.md")
    assert await outcome(spawn(FULL, manifest.path)) == ["StoreError"]
    assert manifest.path.read_bytes() == b"a.md\nb.md"
    assert await manifest.names() == ["a.md", "b.md"]


async def test_a_link_is_no_manifest(manifest: Manifest, tmp_path: Path):
    (tmp_path / "elsewhere").write_text("a.md\n")
    manifest.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        await manifest.names()


async def test_there_is_none_without_a_bucket(tmp_path: Path):
    absent = Manifest(tmp_path / "absent" / "files.txt")
    assert await absent.names() == []
    with pytest.raises(NotFoundError):
        await absent.append(["a.md"])
