"""Buckets with all that brings documents into them, as a crawler needs it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.net.names import Names, client_with

from mediary.buckets.bucket import Bucket
from mediary.buckets.crawl.base import Progress
from mediary.buckets.room import BucketRoom
from mediary.settings import BucketSettings


class NoLook:
    """Keeps media without looking at them."""

    async def keep(self, media_dir: Path, thumbnail_dir: Path, name: str) -> tuple[int, int] | None:
        return None


@asynccontextmanager
async def room_in(
    folder: Path, *, names: Names | None = None, net: dict | None = None, **settings
) -> AsyncIterator[BucketRoom]:
    """The buckets in a folder; loopback may be reached unless `net` says otherwise."""
    async with client_with(names, **({"allow": ["127.0.0.0/8"]} if net is None else net)) as http:
        room = BucketRoom(folder, BucketSettings(**settings), http, NoLook())
        try:
            yield room
        finally:
            await room.close()


def write_list(bucket: Bucket, *entries: dict) -> None:
    """What is to be fetched into a bucket; without pauses, if an entry does not ask for them."""
    bucket.folder.mkdir(parents=True, exist_ok=True)
    temporary = bucket.folder / "downloads.new"
    temporary.write_text(json.dumps([{"delay": 0} | entry for entry in entries]))
    temporary.replace(bucket.folder / "downloads.json")


async def crawl(room: BucketRoom, bucket: Bucket, *entries: dict) -> list[Progress]:
    """Fetch these, or what is still to be fetched; all steps."""
    if entries:
        write_list(bucket, *entries)
    return [step async for step in room.crawler.run(bucket)]


async def texts(bucket: Bucket) -> dict[str, str]:
    """The texts that are there, by the names of their documents."""
    ready = [document for document in await bucket.index.documents() if document.state == "ready"]
    return {document.name: bucket.text_path(document).read_text() for document in ready}


async def failures(room: BucketRoom, bucket: Bucket) -> dict[str, str]:
    """What could not be fetched, and why."""
    return {failure.url: failure.reason for failure in (await room.crawler.progress(bucket)).failures}
