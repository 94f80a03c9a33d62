"""What a person brings: files, URLs, bytes, streams."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.media.samples import picture, sound
from tests.servers.http import RawServer, response

from mediary.errors import BadRequestError, DownloadError, NotFoundError, TooLargeError, UnsupportedTypeError
from mediary.media.library import MediaLibrary

OLD = 1_500_000_000


def file(path: Path, data: bytes, modified: float = OLD) -> Path:
    path.write_bytes(data)
    os.utime(path, (modified, modified))
    return path


async def test_a_file_is_as_old_as_it_was_and_has_its_words(library: MediaLibrary, tmp_path: Path):
    item = await library.add(file(tmp_path / "my red-cat.png", picture()), tags=["pet"], prompt="a cat")

    assert item.name.startswith(f"{OLD}_pet+my_red-cat_")
    assert (item.created, item.media_type, item.width, item.height) == (OLD, "image/png", 64, 48)
    assert (item.tags, item.prompt, item.source_url) == (("pet",), "a cat", None)
    assert b"".join([piece async for piece in library.read(item.name)]) == picture()


async def test_the_bytes_decide_what_it_is(library: MediaLibrary, tmp_path: Path):
    item = await library.add(str(file(tmp_path / "picture.png", sound("mp3", "libmp3lame"))))
    assert (item.kind, item.name[-4:]) == ("audio", ".mp3")


@pytest.mark.parametrize("name", ["1704123456_flux+cat_a1b2c3d4e5f67890.png", "1704123456_a1b2c3d4e5f67890-2.png"])
async def test_a_name_of_a_library_is_kept(library: MediaLibrary, tmp_path: Path, name: str):
    item = await library.add(file(tmp_path / name, picture()), tags=["x"])
    assert (item.name, item.created) == (name, 1_704_123_456)


@pytest.mark.parametrize(
    "name", ["1704123456_x_a1b2c3d4e5f67890.mp3", "1704123456_.._a1b2c3d4e5f67890.png", "170_x_a1b2c3d4e5f67890.png"]
)
async def test_a_name_that_only_looks_like_one_is_not(library: MediaLibrary, tmp_path: Path, name: str):
    item = await library.add(file(tmp_path / name, picture()))
    assert item.name != name
    assert item.name.startswith(f"{OLD}_")


async def test_the_same_bytes_twice_are_two_names(library: MediaLibrary, folder: Path, tmp_path: Path):
    once = await library.add(file(tmp_path / "a.png", picture()))
    twice = await library.add(file(tmp_path / "b.png", picture()))

    assert once.name != twice.name
    assert once.sha256 == twice.sha256
    assert (folder / once.name).samefile(folder / twice.name)


@pytest.mark.parametrize("modified", [0, 4_000_000_000, 999_999_999])
async def test_a_time_that_cannot_be_is_not_taken_over(library: MediaLibrary, tmp_path: Path, modified: int):
    item = await library.add(file(tmp_path / "a.png", picture(), modified))
    assert int(item.name[:10]) > OLD
    assert int(item.name[:10]) != modified


async def test_what_is_no_media_leaves_nothing(library: MediaLibrary, folder: Path, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "empty.png").touch()
    for path, error in (
        (file(tmp_path / "notes.png", b"only words"), UnsupportedTypeError),
        (tmp_path / "missing.png", NotFoundError),
        (tmp_path / "a.png" / "below.png", NotFoundError),
        (tmp_path, BadRequestError),
        (tmp_path / "pipe.png", BadRequestError),
        (tmp_path / "empty.png", BadRequestError),
        ("\0.png", BadRequestError),
        ("ftp://host/a.png", NotFoundError),
        ("data:image/png;base64,AAAA", UnsupportedTypeError),
    ):
        with pytest.raises(error):
            await library.add(path)
    assert [path for path in folder.iterdir() if path.is_file()] == []


async def test_a_url_is_fetched_and_remembered(library: MediaLibrary, server: RawServer):
    server.answers["/cat.png"] = response(picture(), "Last-Modified: Fri, 14 Jul 2017 02:40:00 GMT")
    item = await library.add(f"{server.url}/cat.png")
    assert (item.source_url, item.created) == (f"{server.url}/cat.png", OLD)

    with pytest.raises(DownloadError):
        await library.add(f"{server.url}/missing.png")


async def test_bytes_and_streams(library: MediaLibrary):
    async def pieces() -> AsyncIterator[bytes]:
        data = picture()
        yield data[:10]
        yield data[10:]

    first = await library.add(picture(), alt="A cat")
    second = await library.add(pieces(), parent=first.name, owner="ada")
    assert first.alt == "A cat"
    assert (second.parent, second.owner, second.sha256) == (first.name, "ada", first.sha256)


async def test_the_limit_is_the_librarys(library: MediaLibrary, tmp_path: Path):
    library.max_bytes = 100
    with pytest.raises(TooLargeError):
        await library.add(file(tmp_path / "a.png", picture()))
