"""A document of a bucket, and what is known of it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["queued", "extracting", "ready", "failed"]


@dataclass(slots=True, frozen=True, kw_only=True)
class Document:
    """A line of the manifest.

    `name` is as in the manifest (`report.pdf.md`), `original` the name it was brought under (`Report.pdf`), `source`
    the file under `source/` that the text is made from (None: the text is the document itself, or the source was
    deleted after its text was safe). `size` and `sha256` are those of the bytes that were brought; `text_size` is in
    bytes. `asked_language` is what the uploader said, `language` what the document turned out to be in. `taken` is in
    Unix seconds, `position` counts from 1 in the order of the manifest, `url` is where a crawler found it. `text` is
    the file of the text where that is not `name`: beside a document that another system left in the folder itself.
    """

    name: str
    position: int
    state: State = "queued"
    error: str | None = None
    original: str = ""
    source: str | None = None
    text: str | None = None
    media_type: str = "text/markdown"
    extractor: str | None = None
    size: int = 0
    sha256: str | None = None
    text_size: int | None = None
    title: str | None = None
    author: str | None = None
    pages: int | None = None
    language: str | None = None
    asked_language: str | None = None
    taken: float = 0.0
    url: str | None = None

    @property
    def text_name(self) -> str:
        """The file of the text, in the bucket's folder."""
        return self.text or self.name
