"""Removing sources whose texts are safe."""

import os
from collections.abc import Sequence
from functools import partial

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.buckets.naming import WHAT
from mediary.storage.files import in_thread, opened, sync_folder, translated


async def delete_sources(bucket: Bucket, documents: Sequence[Document]) -> None:
    """Remove the sources of documents that are ready, once their texts are on the disk for good."""
    sources = [document for document in documents if document.state == "ready" and document.source is not None]
    if sources:
        await _remember_digests(bucket, sources)
        for document in await in_thread(partial(_delete, bucket, sources)):
            await bucket.index.change(document.name, source=None)


async def _remember_digests(bucket: Bucket, documents: Sequence[Document]) -> None:
    """Write down what only the bytes can tell, so that they are known when they are brought again."""
    for document in documents:
        if document.sha256 is None and (digest := await in_thread(partial(bucket.index.digest, document))):
            await bucket.index.change(document.name, sha256=digest)


def _delete(bucket: Bucket, documents: Sequence[Document]) -> list[Document]:
    """All texts first, then the names of the folder, and only then the sources; which documents have none now."""
    with translated(WHAT):
        safe = [document for document in documents if _make_safe(bucket, document)]
        sync_folder(bucket.folder)
        for document in safe:
            if source := bucket.source_path(document):
                source.unlink(missing_ok=True)
    return safe


def _make_safe(bucket: Bucket, document: Document) -> bool:
    """Whether the text is what was made, and will outlive a power cut."""
    try:
        with opened(bucket.text_path(document), os.O_RDONLY) as text:
            if os.fstat(text).st_size != document.text_size:
                return False
            os.fsync(text)
            return True
    except FileNotFoundError:
        return False
