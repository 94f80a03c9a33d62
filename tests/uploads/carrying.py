"""An uploader with a database of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mediary.database.engine import Database
from mediary.uploads.base import Flow
from mediary.uploads.delivery.uploader import Uploader
from mediary.uploads.records.cache import UploadCache


@asynccontextmanager
async def uploader_of(folder: Path, *flows: Flow[Any]) -> AsyncIterator[Uploader]:
    """An uploader with these flows."""
    database = await Database.open(folder / "mediary.db")
    cache = UploadCache(database)

    async def get() -> UploadCache:
        return cache

    uploader = Uploader({flow.name: flow for flow in flows}, get)
    try:
        yield uploader
    finally:
        await uploader.close()
        await database.close()
