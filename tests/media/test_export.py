"""Copies for a person: the same bytes, or the same pixels with the words in them."""

import hashlib
from pathlib import Path

import pytest
import pyvips
from tests.media.samples import picture, sound

from mediary.errors import ConflictError, NotFoundError, StoreError
from mediary.media.decoding.facts import read_facts
from mediary.media.export import export
from mediary.media.item import MediaItem
from mediary.media.library import MediaLibrary

MAX_PIXELS = 10**8


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    folder.mkdir()
    return folder


async def cat(library: MediaLibrary, data: bytes) -> MediaItem:
    """A picture of which something is known."""
    item = await library.add(data, prompt="a red cat, кот", tags=["pet"])
    known = {"model": "flux", "seed": "42", "steps": 20, "negative_prompt": "a dog"}
    return await (await library.catalog()).update(item.name, known)


async def test_a_copy_has_the_bytes_and_the_time(library: MediaLibrary, target: Path):
    item = await library.add(picture())
    done = await export(library, item.name, target)

    assert (done.path, done.embedded, done.reason) == (target / item.name, False, None)
    assert done.path.read_bytes() == picture()
    assert int(done.path.stat().st_mtime) == int(item.created)
    assert list(target.iterdir()) == [done.path]


async def test_a_copy_can_have_another_name(library: MediaLibrary, target: Path):
    item = await library.add(picture())
    assert (await export(library, item.name, target / "cat.png")).path.read_bytes() == picture()


async def test_what_is_there_is_not_replaced_unasked(library: MediaLibrary, target: Path):
    item = await library.add(picture())
    (target / item.name).write_bytes(b"mine")
    with pytest.raises(ConflictError, match="exists"):
        await export(library, item.name, target)
    assert (target / item.name).read_bytes() == b"mine"

    await export(library, item.name, target, replace=True)
    assert (target / item.name).read_bytes() == picture()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
async def test_the_words_are_in_the_copy_and_our_own_reader_finds_them(
    library: MediaLibrary, folder: Path, target: Path, suffix: str
):
    item = await cat(library, picture(suffix))
    before = hashlib.sha256((folder / item.name).read_bytes()).hexdigest()
    done = await export(library, item.name, target, embed=True)

    assert done.embedded
    [facts] = read_facts([str(done.path)], MAX_PIXELS)
    found = {name: facts.get(name) for name in ("prompt", "negative_prompt", "model", "seed", "steps", "width")}
    assert found == {
        "prompt": "a red cat, кот", "negative_prompt": "a dog", "model": "flux", "seed": "42", "steps": 20, "width": 64,
    }  # fmt: skip
    ours, theirs = (pyvips.Image.new_from_file(str(path)) for path in (folder / item.name, done.path))
    assert (ours - theirs).abs().max() == 0
    assert hashlib.sha256((folder / item.name).read_bytes()).hexdigest() == before
    assert list(target.iterdir()) == [done.path]


async def test_what_takes_no_words_is_copied_as_it_is(library: MediaLibrary, target: Path):
    for data in (sound("mp3", "libmp3lame"), picture(".gif"), picture()[:200]):
        item = await cat(library, data)
        done = await export(library, item.name, target, embed=True)
        assert not done.embedded
        assert done.reason
        assert done.path.read_bytes() == data


async def test_where_nothing_is_known_nothing_is_written(library: MediaLibrary, target: Path):
    item = await library.add(picture())
    done = await export(library, item.name, target, embed=True)
    assert (done.embedded, done.path.read_bytes()) == (False, picture())


async def test_what_fails_leaves_nothing(library: MediaLibrary, folder: Path, target: Path):
    with pytest.raises(NotFoundError):
        await export(library, "1_a.png", target)
    item = await library.add(picture())
    with pytest.raises(StoreError):
        await export(library, item.name, target / "missing" / "a.png")
    (folder / item.name).unlink()
    for embed in (False, True):
        with pytest.raises(NotFoundError):
            await export(library, item.name, target, embed=embed)
    assert list(target.iterdir()) == []
