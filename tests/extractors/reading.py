"""Reads documents with an extractor, as a child process would."""

from collections.abc import Iterable
from importlib import import_module
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from mediary.extractors.base import Facts, Wanted

DOCUMENTS = Path(__file__).parents[1] / "documents"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OPEN = "application/vnd.oasis.opendocument."
EPUB = "application/epub+zip"
MEBIBYTE = 1024**2


def read(content: bytes | Path, media_type: str, *, name: str = "document", by: str = "office") -> tuple[str, Facts]:
    """The whole text, and all facts, the later ones first."""
    if isinstance(content, Path):
        content = content.read_bytes()
    module = import_module(f"mediary.extractors.{by}")
    texts: list[str] = []
    facts = Facts()
    for piece in module.extract(BytesIO(content), Wanted(name, media_type)):
        if isinstance(piece, Facts):
            facts = Facts(*(new or old for new, old in zip(_values(piece), _values(facts), strict=True)))
        else:
            assert len(piece.encode()) <= MEBIBYTE
            texts.append(piece)
    return "".join(texts), facts


def in_order(text: str, *parts: str) -> None:
    """Each part is in the text, after the one before."""
    at = 0
    for part in parts:
        found = text.find(part, at)
        assert found >= 0, f"{part!r} is not after {text[max(at - 80, 0) : at]!r} in\n{text}"
        at = found + len(part)


def zipped(parts: dict[str, str | bytes]) -> bytes:
    """A ZIP file of these parts."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return packed.getvalue()


def changed(document: Path, changes: dict[str, str | bytes], *, without: Iterable[str] = ()) -> bytes:
    """A document that is a ZIP file, with other parts."""
    with ZipFile(document) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist() if name not in without}
    return zipped({**parts, **changes})


def _values(facts: Facts) -> tuple[str | None, str | None, int | None, str | None]:
    return facts.title, facts.author, facts.pages, facts.language
