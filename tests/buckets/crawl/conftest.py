"""What the tests of crawls work with: a web site, and buckets whose child processes stay warm from test to test."""

from collections.abc import AsyncIterator
from itertools import count

import pytest
from tests.buckets.crawl.rooms import room_in
from tests.buckets.crawl.site import Site, site

from mediary.buckets.bucket import Bucket
from mediary.buckets.room import BucketRoom

_numbers = count()


@pytest.fixture
async def web() -> AsyncIterator[Site]:
    async with site() as served:
        yield served


@pytest.fixture(scope="session")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BucketRoom]:
    async with room_in(tmp_path_factory.mktemp("buckets")) as opened:
        yield opened


@pytest.fixture
async def bucket(room: BucketRoom) -> Bucket:
    return await room.buckets.open(f"bucket-{next(_numbers)}")
