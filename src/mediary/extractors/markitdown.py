"""What only MarkItDown reads, where `mediary[markitdown]` is installed.

Its converters are called one by one: the class that holds them all loads a model to guess types with, has a session for
the network, and converters that use it.
"""

import mimetypes
from collections.abc import Iterator
from typing import BinaryIO
from zipfile import BadZipFile

from mediary.errors import UnreadableError
from mediary.extractors import markdown
from mediary.extractors.base import Facts, Piece, Wanted

_CONVERTERS = (
    "DocxConverter",
    "XlsxConverter",
    "XlsConverter",
    "PptxConverter",
    "OutlookMsgConverter",
    "EpubConverter",
    "RssConverter",
    "IpynbConverter",
    "PdfConverter",
)


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text by the first converter that takes the document."""
    return markdown.pieces(_converted(source, wanted))


def _converted(source: BinaryIO, wanted: Wanted) -> Iterator[str | Facts]:
    mimetypes.knownfiles.clear()  # tables in /etc, which cannot be read here
    try:
        from markitdown import MarkItDownException, StreamInfo, converters
    except ImportError as error:
        raise UnreadableError("only MarkItDown may read it: install `mediary[markitdown]`") from error
    extension = wanted.name.rpartition(".")[2].lower()
    info = StreamInfo(mimetype=wanted.media_type, extension=f".{extension}", filename=wanted.name)
    for name in _CONVERTERS:
        converter = getattr(converters, name)()
        if not converter.accepts(source, info):
            continue
        try:
            result = converter.convert(source, info)
        except (MarkItDownException, ValueError, KeyError, TypeError, AttributeError, OSError, BadZipFile) as error:
            raise UnreadableError("it is damaged, or of an unknown kind") from error
        yield Facts(title=result.title or None)
        yield result.markdown
        return
    raise UnreadableError("it is of a kind that is not known")
