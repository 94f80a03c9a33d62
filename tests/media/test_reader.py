"""Facts and looks as the library asks for them: in batches, through child processes, and whatever the files are."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.media.embedding import png_texts
from tests.media.looks import plain
from tests.media.samples import picture, video

from mediary.media.item import HEADERS, WHOLE, MediaItem
from mediary.media.reader import BATCH, Reader, unsaid
from mediary.sandbox.pool import MIB, Sandbox

MANY = 10**7


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    opened = Sandbox(2, memory_bytes=512 * MIB, readable=[tmp_path])
    yield opened
    await opened.close()


@pytest.fixture
def reader(sandbox: Sandbox) -> Reader:
    return Reader(sandbox, MANY)


async def test_facts_come_in_order_with_what_was_read(reader: Reader, tmp_path: Path):
    paths = [tmp_path / f"{number}.png" for number in range(BATCH * 2 + 1)]
    for number, path in enumerate(paths):
        path.write_bytes(png_texts(parameters=f"number {number}\nSteps: 1, Seed: 2, Sampler: x"))
    found = await reader.facts(paths)
    assert [changes["prompt"] for changes in found] == [f"number {number}" for number in range(len(paths))]
    assert {changes["read"] for changes in found} == {HEADERS}


async def test_no_paths_have_no_facts(reader: Reader):
    assert await reader.facts([]) == []


async def test_changes_are_fields_of_an_item(reader: Reader, tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(video("mp4", "libx264"))
    (facts,) = await reader.facts([tmp_path / "a.mp4"])
    whole = await reader.whole(tmp_path / "a.mp4")
    item = MediaItem(name="a.mp4", size=1, **{**facts, **whole})
    assert (item.kind, item.width, item.read) == ("video", 64, WHOLE)


async def test_a_file_that_is_gone_has_that_problem(reader: Reader, tmp_path: Path):
    (found,) = await reader.facts([tmp_path / "gone.png"])
    assert found == {"problem": "there is no such file", "read": HEADERS}
    assert await reader.whole(tmp_path / "gone.png") == {"problem": "there is no such file", "read": WHOLE}


async def test_one_file_that_is_too_much_does_not_take_the_batch_with_it(tmp_path: Path):
    sandbox = Sandbox(1, output_bytes=20_000, readable=[tmp_path])
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        path.write_bytes(picture(".png"))
    negative = "\nNegative prompt: " + "n" * 19_000
    paths[1].write_bytes(png_texts(parameters="p" * 19_000 + negative + "\nSteps: 1, Seed: 2, Sampler: x"))
    found = await Reader(sandbox, MANY).facts(paths)
    await sandbox.close()
    assert [changes.get("width") for changes in found] == [64, None, 64]
    assert "problem" in found[1]


async def test_a_picture_that_is_too_much_has_its_digest(tmp_path: Path):
    sandbox = Sandbox(1, memory_bytes=40 * MIB, readable=[tmp_path])
    data = plain((1, 2, 3), 4000, 4000).write_to_buffer(".png", interlace=True)  # such a one is unpacked as a whole
    (tmp_path / "a.png").write_bytes(data)
    found = await Reader(sandbox, 10**9).whole(tmp_path / "a.png")
    await sandbox.close()
    assert found.pop("problem")
    assert found == {"sha256": hashlib.sha256(data).hexdigest(), "read": WHOLE}


def test_what_somebody_said_stays():
    item = MediaItem(name="a", size=1, media_type="image/png", kind="image", prompt="mine", tags=("x",))
    found = {"prompt": "theirs", "tags": ("y",), "model": "flux", "width": 5, "read": HEADERS}
    assert unsaid(item, found) == {"model": "flux", "width": 5, "read": HEADERS}
