"""A folder that the older system wrote is dropped in, before the start or beside the running server, and works."""

import hashlib
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.media.samples import picture
from tests.servers.mediary import MediaryServer

FILES = 100_000
WORDS = ("flux", "anime", "character", "sunset", "over", "sea", "portrait", "cat", "猫", "закат", "robot", "night")
MANY = 20_000
PATIENCE = 60


def names(number: int) -> Iterator[str]:
    """Names as that system makes them: `{unix seconds}_{words}_{16 hex}.jpg`."""
    chance = random.Random(number)
    for index in range(number):
        words = "+".join(chance.sample(WORDS, 4))
        digest = hashlib.sha256(str(index).encode()).hexdigest()[:16]
        yield f"{1_600_000_000 + index}_{words}_{digest}.jpg"


def drop(folder: Path, number: int) -> list[str]:
    """Fill a folder: many names of one picture, and some thumbnails below it."""
    (folder / "thumbnails").mkdir(parents=True, exist_ok=True)
    source = folder / "thumbnails" / f"{next(names(1))}"
    source.write_bytes(picture(".jpg"))
    made = list(names(number))
    for index, name in enumerate(made):
        if index % 30_000 == 0:  # a file has 65,000 names at most
            shutil.copy(source, folder / name)
            origin = folder / name
        else:
            os.link(origin, folder / name)
    return made


def search(server: MediaryServer, what: str) -> str | None:
    """Where a search leads."""
    with server.open(f"/search/{quote(what, safe='+')}") as answer:
        return answer.headers["location"] if answer.status == 302 else None


def wait_for(server: MediaryServer, what: str) -> float:
    """Seconds until a search leads somewhere."""
    began = time.monotonic()
    while search(server, what) is None:
        assert time.monotonic() < began + PATIENCE, f"{what} is not found\n{server.output()}"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.timeout(300)
def test_a_hundred_thousand_files_that_are_there_before_the_start(tmp_path: Path) -> None:
    made = drop(tmp_path / "data" / "generated_images", FILES)
    with MediaryServer(tmp_path / "data") as server:
        wait_for(server, made[-1].removesuffix(".jpg"))
        found = search(server, "image+ANIME+猫+закат")
        assert found
        assert server.get(found) == picture(".jpg")
        assert server.get(f"/media/{quote(made[7])}") == picture(".jpg")
        assert server.get(f"/images/{quote(made[7])}") == picture(".jpg")
        assert server.get_json("/search/image", headers={"accept": "application/json"})["total"] == FILES


@pytest.mark.timeout(300)
def test_many_files_beside_the_server(tmp_path: Path) -> None:
    drop(tmp_path / "elsewhere", MANY)
    with MediaryServer(tmp_path / "data") as server:
        media = server.data / "generated_media"
        for path in (tmp_path / "elsewhere").glob("*.jpg"):
            path.rename(media / path.name)
        for name in (min(names(MANY)), max(names(MANY))):
            wait_for(server, name.removesuffix(".jpg"))
        (media / max(names(MANY))).unlink()
        began = time.monotonic()
        while search(server, max(names(MANY)).removesuffix(".jpg")):
            assert time.monotonic() < began + PATIENCE
            time.sleep(0.05)


@pytest.mark.timeout(300)
def test_killed_while_names_are_compared_and_bytes_are_read(tmp_path: Path) -> None:
    made = drop(tmp_path / "data" / "generated_media", 8000)
    server = MediaryServer(tmp_path / "data")
    for round_ in range(6):
        server.start()
        time.sleep(0.15 * round_)  # somewhere within the comparison, and later within the reading
        server.kill()
    with server:
        wait_for(server, made[-1].removesuffix(".jpg"))
        wait_for(server, made[0].removesuffix(".jpg"))
        found = server.get_json("/search/image?limit=1", headers={"accept": "application/json"})
        assert found["total"] == len(made)
        assert "ERROR" not in server.output()
