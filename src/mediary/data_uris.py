"""Data URIs and base64 as clients and providers write them: the one place that decodes either."""

import binascii
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from mediary.errors import BadRequestError

SLICE = 256 * 1024
"""Characters that are decoded in one go where a text is decoded piece by piece."""

_LONGEST_HEAD = 1024
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_WHITE_SPACE = b" \t\r\n\f\v"


def is_data_uri(text: str) -> bool:
    """Whether a text is a data URI."""
    return text[:5].lower() == "data:"


def decode_base64(text: str | bytes, what: str = "the data") -> bytes:
    """The bytes of a base64 text; BadRequestError, which names `what`, if it is none.

    The alphabet may be the URL-safe one, padding may lack, white space is skipped.
    """
    decoder = Base64Decoder(what)
    return decoder.feed(text) + decoder.finish()


def parse_data_uri(uri: str, what: str = "the data URI") -> tuple[str | None, bytes]:
    """The media type of a data URI, None if it names none, and its bytes; BadRequestError for garbage."""
    media_type, pieces = open_data_uri(uri, what, len(uri) or 1)
    return media_type, b"".join(pieces)


def open_data_uri(uri: str, what: str = "the data URI", size: int = SLICE) -> tuple[str | None, Iterator[bytes]]:
    """The same with the bytes piece by piece: a large URI costs no second copy of itself.

    The head is checked at once; the pieces raise BadRequestError where the data turn out to be broken.
    """
    # A comma may stand in a parameter in quotes, but nobody writes that.
    comma = uri.find(",", 0, _LONGEST_HEAD)
    if not is_data_uri(uri) or comma < 0:
        raise BadRequestError(f"{what} is no data URI: data:<type>;base64,<data>")
    media_type, *parameters = (part.strip() for part in uri[5:comma].split(";"))
    pieces = _encoded(uri, comma + 1, size, what)
    if uri.find("%", comma) >= 0:
        pieces = _unquoted(pieces)
    if "base64" in map(str.lower, parameters):
        pieces = decode_base64_pieces(pieces, what)
    return media_type or None, pieces


def open_base64(text: str, what: str = "the data", size: int = SLICE) -> Iterator[bytes]:
    """The bytes of a base64 text, piece by piece."""
    return decode_base64_pieces(_encoded(text, 0, size, what), what)


def decode_base64_pieces(pieces: Iterable[str | bytes], what: str = "the data") -> Iterator[bytes]:
    """The bytes of a base64 text that is cut into pieces anywhere."""
    decoder = Base64Decoder(what)
    for piece in pieces:
        yield decoder.feed(piece)
    yield decoder.finish()


class Base64Decoder:
    """Decodes one base64 text whose pieces come one after the other, cut anywhere."""

    def __init__(self, what: str = "the data") -> None:
        self._what = what
        self._rest = b""
        self._padded = False

    def feed(self, piece: str | bytes) -> bytes:
        """The bytes that are whole with this piece."""
        if isinstance(piece, str):
            # What is not ASCII is refused below, with all else that is no base64.
            piece = piece.encode("utf-8", "replace")
        text = self._rest + piece.translate(_FROM_URL_SAFE, _WHITE_SPACE)
        if self._padded and text.strip(b"="):
            raise BadRequestError(f"{self._what} is no base64: it goes on behind its end")
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        self._padded = self._padded or text.endswith(b"=", 0, whole)
        return self._decode(text[:whole])

    def finish(self) -> bytes:
        """The last bytes, which lack their padding; after this there is no other piece."""
        rest = self._rest.rstrip(b"=")
        if len(rest) == 1:
            raise BadRequestError(f"{self._what} is no base64: it is cut off")
        return self._decode(rest.ljust(4, b"=")) if rest else b""

    def _decode(self, text: bytes) -> bytes:
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as error:
            raise BadRequestError(f"{self._what} is no base64: {str(error).lower()}") from None


def _encoded(text: str, start: int, size: int, what: str) -> Iterator[bytes]:
    for at in range(start, len(text), size):
        try:
            yield text[at : at + size].encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
            raise BadRequestError(f"{what} holds half a character") from None


def _unquoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Percent escapes decoded, also where one lies across two pieces."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        cut = text.rfind(b"%", -2)
        rest = b"" if cut < 0 else text[cut:]
        yield unquote_to_bytes(text if cut < 0 else text[:cut])
    yield unquote_to_bytes(rest)
