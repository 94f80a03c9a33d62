"""Documents that are tested with; `make.sh` beside them says how they were made."""

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mediary.extractors.base import Extract, Facts, Wanted

DOCUMENTS = Path(__file__).parents[1] / "documents"
PDF = DOCUMENTS / "pdf"
SCANS = DOCUMENTS / "scans"


def markdown(extract: Extract, path: Path, media_type: str, language: str | None = None) -> str:
    """The text that an extractor makes of a document."""
    with path.open("rb") as source:
        return text(extract, source, Wanted(path.name, media_type, language))


def text(extract: Extract, source: BinaryIO | bytes, wanted: Wanted) -> str:
    """The text that an extractor makes of an open file, or of bytes."""
    source = BytesIO(source) if isinstance(source, bytes) else source
    return "".join(piece for piece in extract(source, wanted) if isinstance(piece, str))


def facts(extract: Extract, path: Path, media_type: str) -> Facts:
    """What an extractor says first of a document."""
    with path.open("rb") as source:
        return next(piece for piece in extract(source, Wanted(path.name, media_type)) if isinstance(piece, Facts))
