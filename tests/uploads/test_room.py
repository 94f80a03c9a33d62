"""The front of the uploads: what a program in Python calls."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.uploads.contents import file_of
from tests.uploads.flows import Plain, Simple, serving, table

from mediary.database.engine import Database
from mediary.errors import BadRequestError, UnsupportedTypeError
from mediary.net.client import HttpClient
from mediary.uploads.delivery.uploader import Uploader
from mediary.uploads.files import Files, Looked
from mediary.uploads.records.cache import UploadCache
from mediary.uploads.records.digests import Digests
from mediary.uploads.records.tables import file_digests
from mediary.uploads.room import UploadRoom

TEXT = b"the notice period is three months"


@pytest.fixture
async def room(database: Database, http: HttpClient) -> AsyncIterator[UploadRoom]:
    cache, digests = UploadCache(database), Digests(database)

    async def get_cache() -> UploadCache:
        return cache

    async def get_digests() -> Digests:
        return digests

    async def look(_: Path, name: str) -> Looked:
        return Looked("video/mp4" if name.endswith(".mp4") else "text/plain")

    async with serving() as service:
        flows = [Plain("Plain", table(service.url), http), Simple("Simple", table(service.url), http)]
        uploader = Uploader({flow.name: flow for flow in flows}, get_cache)
        yield UploadRoom(uploader, Files(get_digests, look))
        await uploader.close()


async def test_the_name_that_is_given_is_the_one_it_has(room: UploadRoom, tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(TEXT)
    for given in (tmp_path / "a.txt", str(tmp_path / "a.txt"), TEXT, file_of(TEXT, "a.txt", "text/plain")):
        assert (await room.upload(given, "Plain", name="lease/one.txt")).file.name == "lease_one.txt"
    with pytest.raises(BadRequestError, match="need a name"):
        await room.upload(TEXT, "Plain")


async def test_a_message_is_for_one_provider(room: UploadRoom):
    file = file_of(TEXT, "a.txt", "text/plain")
    here, there = await room.upload(file, "Plain"), await room.upload(file, "Simple")
    assert room.message([here, here], "What?") == {"files": [here.file.entry] * 2, "text": "What?"}
    for uploads in ([here, there], []):
        with pytest.raises(BadRequestError, match="one provider"):
            room.message(uploads, "What?")


async def test_a_file_that_is_not_taken_is_not_read(room: UploadRoom, database: Database, tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(TEXT)
    os.utime(tmp_path / "a.mp4", (1e9, 1e9))
    with pytest.raises(UnsupportedTypeError, match=r"does not take a.mp4 \(video/mp4\); it takes image"):
        await room.upload(tmp_path / "a.mp4", "Plain")
    async with database.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(file_digests)) == 0
