"""A server process to be killed: makes the text of a document, or the caches of a bucket again and again."""

import asyncio
import sys
from pathlib import Path

from tests.buckets.readers import Readers

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.reading.caches import build
from mediary.buckets.reading.text import Texts
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings


async def main(work: str, root: str) -> None:
    bucket = await Buckets(Path(root)).get("b")
    if work == "read":
        sandbox = Sandbox(1)
        texts = Texts(Readers(sandbox), BucketSettings())
        (document,) = await bucket.index.documents()
        print((await texts.ensure(bucket, document)).state, flush=True)
        await texts.close()
        await sandbox.close()
    else:
        await build_for_ever(bucket)


async def build_for_ever(bucket: Bucket) -> None:
    documents = await bucket.index.documents()
    print("building", flush=True)
    while True:
        (bucket.folder / "plain.cache").unlink(missing_ok=True)
        await build(bucket, documents)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
