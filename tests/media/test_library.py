"""The folder of the media, and what happens when the database fails."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.media.samples import picture

from mediary.errors import DatabaseError, SettingsError
from mediary.media.catalog import Catalog
from mediary.media.directories import ensure_media_dir, get_media_dir
from mediary.media.intake import save_response_media
from mediary.media.library import MediaLibrary, media_url
from mediary.net.client import HttpClient

NOBODY = 65534


def test_the_older_folder_comes_first(tmp_path: Path):
    assert get_media_dir(tmp_path) == tmp_path / "generated_media"
    (tmp_path / "generated_images").mkdir()
    assert get_media_dir(tmp_path) == tmp_path / "generated_images"


def test_the_default_is_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert get_media_dir() == Path("generated_media")
    assert ensure_media_dir().is_dir()


def test_the_folder_is_made_once_and_nothing_is_left_in_it(tmp_path: Path):
    folder = ensure_media_dir(tmp_path)
    assert folder == ensure_media_dir(tmp_path) == tmp_path / "generated_media"
    assert list(folder.iterdir()) == []


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of root's, seen by somebody else."""
    if os.geteuid() != 0:
        pytest.skip("needs the right to act as another user")
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def nobody() -> Iterator[None]:
    os.setresuid(NOBODY, NOBODY, 0)
    yield
    os.setresuid(0, 0, 0)


def refusal(root: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        ensure_media_dir(root)
    return caught.value.message


def test_a_data_folder_of_somebody_else(shared: Path, nobody: None):
    message = refusal(shared)
    assert f"{shared} belongs to root (mode 755)" in message
    assert "sudo chown -R" in message and message.endswith(str(shared))


def test_a_media_folder_of_somebody_else(shared: Path, request: pytest.FixtureRequest):
    (shared / "generated_images").mkdir()
    request.getfixturevalue("nobody")
    assert f"{shared / 'generated_images'} belongs to root" in refusal(shared)


def test_a_folder_that_cannot_be_read_is_passed_over(shared: Path, request: pytest.FixtureRequest):
    (shared / "generated_images").mkdir(mode=0o700)
    shared.chmod(0o777)
    request.getfixturevalue("nobody")
    assert get_media_dir(shared) == shared / "generated_media"
    assert ensure_media_dir(shared) == shared / "generated_media"


def test_a_file_in_the_way(tmp_path: Path):
    (tmp_path / "generated_media").touch()
    assert "file is in the way" in refusal(tmp_path)


def test_a_data_folder_is_made(tmp_path: Path):
    assert ensure_media_dir(tmp_path / "missing" / "data").is_dir()


@pytest.mark.parametrize("error", [DatabaseError("the database failed"), SettingsError("the database is newer")])
async def test_what_the_database_cannot_describe_is_kept(
    folder: Path, http: HttpClient, error: Exception, caplog: pytest.LogCaptureFixture
):
    async def catalog() -> Catalog:
        raise error

    library = MediaLibrary.local(folder, http, catalog)
    with caplog.at_level(logging.WARNING, "mediary"):
        [response] = [response async for response in save_response_media(picture(), library=library)]
    assert (folder / response.urls[0].removeprefix("/media/")).read_bytes() == picture()
    assert str(error) in caplog.text


def test_a_url_holds_any_name():
    assert media_url("1_flux+a,猫_00.png") == "/media/1_flux+a,%E7%8C%AB_00.png"
