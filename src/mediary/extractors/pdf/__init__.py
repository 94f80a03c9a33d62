"""PDF, read by PDFium page by page: text where a page has some, else what is recognised in its picture."""

import ctypes
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from time import monotonic
from typing import Any, BinaryIO

import pypdfium2
import pypdfium2.raw as pdfium

from mediary.errors import UnreadableError
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.ocr import LARGEST_SIDE, Recogniser
from mediary.extractors.pdf.furniture import Furniture
from mediary.extractors.pdf.layout import Block, Looks, blocks_of, gap, looks
from mediary.extractors.pdf.links import Link, links, with_links
from mediary.extractors.pdf.rows import Row, join, rows_of
from mediary.extractors.pdf.words import Page

_SAMPLE = 10
"""From so many pages the looks of the document are learned."""

_PIECE = 16_384
_MOST_NOTES = 2000
_PIECE_SECONDS = 0.2
_FEW_LETTERS = 12
"""A page with fewer, and with a picture, may be a scan with a stamp."""


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of a PDF, a page at a time."""
    with closing(_open(source)) as document, closing(_Reader(document, wanted)) as reader:
        yield _facts(document)
        yield from _gathered(reader, len(document))
        if not reader.found:
            raise UnreadableError(f"it holds no text{reader.reason}")


def _gathered(reader: "_Reader", pages: int) -> Iterator[str]:
    """The text of all pages, in pieces that come often enough to be seen growing."""
    text, began = "", monotonic()
    for number in range(pages):
        text += "".join(reader.page(number))
        if len(text) > _PIECE or monotonic() - began > _PIECE_SECONDS:
            yield text
            text, began = "", monotonic()
    yield text + reader.rest()


def _open(source: BinaryIO) -> Any:
    try:
        document = pypdfium2.PdfDocument(source)
    except pypdfium2.PdfiumError as problem:
        locked = problem.err_code == pdfium.FPDF_ERR_PASSWORD
        raise UnreadableError("it is locked with a password" if locked else "it is a damaged PDF") from problem
    if len(document):
        return document
    document.close()
    raise UnreadableError("it is a PDF without pages")


def _facts(document: Any) -> Facts:
    told = {key: " ".join(text.split()) or None for key, text in document.get_metadata_dict().items()}
    buffer = (ctypes.c_ushort * 32)()
    size = pdfium.FPDFCatalog_GetLanguage(document.raw, buffer, 64)
    language = bytes(buffer)[: size - 2].decode("utf-16-le", "replace").strip() if 2 < size <= 64 else None
    return Facts(told.get("Title"), told.get("Author"), len(document), language or None)


class _Reader:
    """Reads the pages of a document one after the other; `found` is whether any had text."""

    def __init__(self, document: Any, wanted: Wanted) -> None:
        self.found = False
        self.reason = ""
        self._document = document
        self._wanted = wanted
        self._recogniser: Recogniser | None = None
        self._last: Block | None = None
        self._whole: set[str] = set()
        sample = {number: self._rows(number) for number in _sample(len(document))}
        self._looks: Looks = looks(sample.values())
        self._furniture = Furniture(sample)

    def close(self) -> None:
        """Free what recognising text took."""
        if self._recogniser:
            self._recogniser.close()

    def page(self, number: int) -> Iterator[str]:
        """What a page adds to the text. Its last block waits for the next page, which may go on with it."""
        for at, block in enumerate(self._blocks(number)):
            self.found = True
            if self._last is None:
                self._last = block
            elif at == 0 and self._last.goes_on_with(block):
                self._last.text = join(self._last.text, block.text, self._whole)
            else:
                yield self._last.markdown() + gap(self._last, block)
                self._last = block

    def rest(self) -> str:
        """What the last page kept back."""
        return f"{self._last.markdown()}\n" if self._last else ""

    def _blocks(self, number: int) -> list[Block]:
        with self._opened(number) as (page, text, found):
            if page is None or text is None:
                return []
            words = text.words()
            if sum(len(word.text) for word in words) - text.unknown < _FEW_LETTERS and _has_picture(page):
                return self._recognised(page)
            rows = self._furniture.removed(rows_of(with_links(words, found)), number)
            return blocks_of(rows, page, self._looks, self._whole)

    def _rows(self, number: int) -> list[Row]:
        with self._opened(number) as (_, text, _):
            return rows_of(text.words()) if text else []

    @contextmanager
    def _opened(self, number: int) -> Iterator[tuple[Any, Page | None, list[Link]]]:
        """A page, its text and its links; None if it is damaged: the others may be whole."""
        with ExitStack() as stack:
            try:
                page = stack.enter_context(closing(self._document[number]))
                found = links(self._document, page)
                if _has_fields(page) and pdfium.FPDFPage_Flatten(page.raw, pdfium.FLAT_NORMALDISPLAY):
                    page = stack.enter_context(closing(self._document[number]))
                text = stack.enter_context(closing(Page(page)))
            except pypdfium2.PdfiumError:
                self.reason = ": its pages are damaged"
                page, text, found = None, None, []
            yield page, text, found

    def _recognised(self, page: Any) -> list[Block]:
        """The text in the picture of a page."""
        if not self._wanted.ocr:
            self.reason = " (a scan), and recognising it is switched off"
            return []
        try:
            self._recogniser = self._recogniser or Recogniser(self._wanted.language)
        except UnreadableError as problem:
            self.reason = f" (a scan), and {problem.message}"
            return []
        try:
            text = self._recogniser.text(_picture(page))
        except pypdfium2.PdfiumError:
            text = ""
        self.reason = " that can be recognised"
        return [Block("text", paragraph) for paragraph in text.split("\n\n") if paragraph]


def _sample(pages: int) -> list[int]:
    """Some pages, in pairs: what left and right pages have in common is found then."""
    step = max(2 * pages // _SAMPLE, 1)
    return sorted({near for number in range(0, pages, step) for near in (number, min(number + 1, pages - 1))})


def _has_fields(page: Any) -> bool:
    """Whether somebody filled in fields of a form, or wrote on the page: these lie above its text."""
    for at in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), _MOST_NOTES)):
        note = pdfium.FPDFPage_GetAnnot(page.raw, at)
        kind = pdfium.FPDFAnnot_GetSubtype(note)
        pdfium.FPDFPage_CloseAnnot(note)
        if kind in (pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT):
            return True
    return False


def _has_picture(page: Any) -> bool:
    return any(True for _ in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3))


def _picture(page: Any) -> Any:
    """A page in grey, as large as recognising it needs."""
    import pyvips

    scale = LARGEST_SIDE / max(*page.get_size(), 1.0)
    bitmap = page.render(scale=min(scale, 300 / 72), grayscale=True, may_draw_forms=False)
    wide = pyvips.Image.new_from_memory(bytes(bitmap.buffer), bitmap.stride, bitmap.height, 1, "uchar")
    return wide.crop(0, 0, bitmap.width, bitmap.height)
