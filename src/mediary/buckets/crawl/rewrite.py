"""A page that has changed: its new text takes the place of the old one, under the name that it has in the manifest."""

import os
import time
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.buckets.naming import WHAT
from mediary.storage.files import in_thread, sync_folder, translated, write_all

if TYPE_CHECKING:
    from mediary.buckets.bucket import Bucket


async def rewrite(bucket: "Bucket", name: str, text: bytes) -> bool:
    """Give a document that is its own text another one; False if the bucket has no such document.

    Whoever reads the old text meanwhile has it to its end.
    """
    document = await bucket.index.find(name)
    if document is None or document.source is not None:
        return False
    await in_thread(partial(_replace, bucket.text_path(document), bucket.hidden, text))
    size = len(text)
    digest = sha256(text).hexdigest()
    await bucket.index.change(name, sha256=digest, size=size, text_size=size, taken=time.time())
    return True


def _replace(path: Path, waiting_room: Path, text: bytes) -> None:
    """Put a whole and durable file in the place of another."""
    temporary = waiting_room / f"crawl-{path.name}"
    with translated(WHAT, path.name):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            write_all(descriptor, text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)
