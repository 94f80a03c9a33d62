"""A process that crawls: `python -m tests.buckets.crawl.child FOLDER BUCKET`; a line for each step."""

import asyncio
import sys
from pathlib import Path

from tests.buckets.crawl.rooms import room_in


async def main(folder: str, bucket_id: str) -> None:
    async with room_in(Path(folder)) as room:
        async for step in room.crawler.run(await room.buckets.get(bucket_id)):
            print(step.kind, step.url, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
