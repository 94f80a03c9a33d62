"""What is read by kreuzberg: formats that few people use."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from kreuzberg import ExtractionConfig, KreuzbergError, extract_bytes_sync

from mediary.errors import UnreadableError
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office.whole import whole

_MOST_BYTES = 128 * 1024**2
_PASSWORD = re.compile(r"password|encrypt", re.IGNORECASE)


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text as kreuzberg reads it; it has the file and the text in memory at once."""
    content = whole(source, _MOST_BYTES)
    config = ExtractionConfig(output_format="markdown", use_cache=False, enable_quality_processing=False)
    try:
        result = extract_bytes_sync(content, wanted.media_type, config)
    except KreuzbergError as error:
        reason = (
            "it is protected by a password" if _PASSWORD.search(str(error)) else "it is damaged, or of an unknown kind"
        )
        raise UnreadableError(reason) from error
    authors = result.metadata.get("authors") or []
    title, language = result.metadata.get("title"), result.metadata.get("language")
    yield Facts(title or None, ", ".join(authors) or None, language=language or None)
    yield result.content
