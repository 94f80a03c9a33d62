"""Media in folders that are no library: their size as it is shown, their thumbnails ahead of time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pyvips import GValue
from tests.media.looks import RED, plain, size
from tests.media.samples import picture, sound, video

from mediary.media.folder_media import KNOWN, FolderMedia
from mediary.media.thumbnails import Thumbnails
from mediary.sandbox.pool import Sandbox
from mediary.storage.local import LocalStore

MAX_PIXELS = 1_000_000


@pytest.fixture
async def media(tmp_path: Path) -> AsyncIterator[FolderMedia]:
    sandbox = Sandbox(readable=[tmp_path])
    opened = FolderMedia(LocalStore, sandbox, MAX_PIXELS)
    yield opened
    await opened.close()
    await sandbox.close()


async def keep(media: FolderMedia, bucket: Path, name: str, data: bytes) -> tuple[int, int] | None:
    folder = bucket / "media"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return await media.keep(folder, bucket / "thumbnail", name)


def turned() -> bytes:
    """A picture that lies on its side, as telephones make them."""
    image = plain(RED, 600, 300).copy()
    image.set_type(GValue.gint_type, "orientation", 6)
    return bytes(image.write_to_buffer(".jpg"))


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.png", picture(width=60, height=40), (60, 40)),
        ("turned.jpg", turned(), (300, 600)),
        ("film.mp4", video("mp4", "mpeg4"), (64, 48)),
        ("wave.mp3", sound("mp3", "libmp3lame"), None),
        ("broken.png", picture()[:20], None),
        ("none.png", b"no picture", None),
    ],
)
async def test_its_size_is_that_which_is_shown(
    media: FolderMedia, tmp_path: Path, name: str, data: bytes, expected: tuple[int, int] | None
) -> None:
    assert await keep(media, tmp_path, name, data) == expected


async def test_a_thumbnail_is_made_ahead(media: FolderMedia, tmp_path: Path) -> None:
    await keep(media, tmp_path, "turned.jpg", turned())
    await asyncio.gather(*media._beginning)

    [made] = [path for path in (tmp_path / "thumbnail").iterdir() if path.is_file()]
    assert size(made.read_bytes()) == (200, 400)
    thumbnails = await media.thumbnails(tmp_path / "media", tmp_path / "thumbnail")
    assert (await thumbnails.get("turned.jpg")).name == made.name


async def test_none_is_begun_of_what_cannot_be_read(media: FolderMedia, tmp_path: Path) -> None:
    await keep(media, tmp_path, "broken.png", picture()[:20])

    assert not media._beginning


async def test_a_folder_that_was_deleted_and_made_again_has_thumbnails(media: FolderMedia, tmp_path: Path) -> None:
    for number in range(2):
        await keep(media, tmp_path / "b", "a.png", picture(width=60 + number))
        await asyncio.gather(*media._beginning)
        [made] = [path for path in (tmp_path / "b" / "thumbnail").iterdir() if path.is_file()]
        assert size(made.read_bytes())[0] == 60 + number
        (tmp_path / "b").rename(tmp_path / f"gone{number}")


async def test_nothing_is_made_where_there_is_no_such_folder(media: FolderMedia, tmp_path: Path) -> None:
    assert isinstance(await media.thumbnails(tmp_path / "no" / "media", tmp_path / "no" / "thumbnail"), Thumbnails)
    assert list(tmp_path.iterdir()) == []


async def test_the_thumbnails_of_some_folders_are_at_hand(media: FolderMedia, tmp_path: Path) -> None:
    first = await media.thumbnails(tmp_path / "0", tmp_path / "t")
    assert await media.thumbnails(tmp_path / "0", tmp_path / "t") is first
    for number in range(KNOWN):
        await media.thumbnails(tmp_path / f"{number + 1}", tmp_path / "t")

    assert await media.thumbnails(tmp_path / "0", tmp_path / "t") is not first
