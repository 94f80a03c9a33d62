"""Recognising text in pictures with Tesseract, where it is installed with its data."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediary.errors import UnreadableError

if TYPE_CHECKING:
    from pyvips import Image

MISSING = "install tesserocr and Tesseract's language data (Debian: tesseract-ocr-eng)"

LARGEST_SIDE = 2500
"""Pictures are made this small, in pixels: a page of A4 has 210 dots per inch then, enough for small print."""

_GLANCE_SIDE = 1000
# How sure Tesseract must be of a line, in percent: on a page that surely is text, and on any other picture.
_SURE_OF_PAGE = 75
_SURE_IN_TEXT = 25
_SURE = 60

_SECONDS = 30
_TEXT_BLOCKS = {1, 2, 3, 4, 5, 6, 7, 8}
"""Flowing text, heading … caption, of Tesseract's kinds of blocks; the others are pictures, lines and noise."""

_FOLDERS = ("/usr/share", "/usr/local/share", "/opt/homebrew/share", "/opt/local/share")
_WITHIN = ("tesseract-ocr/*/tessdata", "tessdata", "tesseract/tessdata")

# ISO 639-1 (and script, where it tells) → the name of Tesseract's data.
_NAMES = dict(
    re.findall(
        r"(\S+):(\S+)",
        """
        af:afr am:amh ar:ara as:asm az:aze be:bel bg:bul bn:ben bo:bod br:bre bs:bos ca:cat cs:ces
        cy:cym da:dan de:deu dz:dzo el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas fi:fin fo:fao
        fr:fra fy:fry ga:gle gd:gla gl:glg gu:guj he:heb hi:hin hr:hrv ht:hat hu:hun hy:hye id:ind
        is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kk:kaz km:khm kn:kan ko:kor ku:kmr ky:kir la:lat
        lb:ltz lo:lao lt:lit lv:lav mi:mri mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya nb:nor
        ne:nep nl:nld nn:nor no:nor oc:oci or:ori pa:pan pl:pol ps:pus pt:por qu:que ro:ron ru:rus
        sa:san sd:snd si:sin sk:slk sl:slv sq:sqi sr:srp su:sun sv:swe sw:swa ta:tam te:tel tg:tgk
        th:tha ti:tir tl:fil to:ton tr:tur tt:tat ug:uig uk:ukr ur:urd uz:uzb vi:vie yi:yid yo:yor
        zh:chi_sim zh-hant:chi_tra zh-tw:chi_tra zh-hk:chi_tra zh-mo:chi_tra
        """,
    )
)


def available() -> bool:
    """Whether text in pictures can be recognised here; imports nothing."""
    return find_spec("tesserocr") is not None and _data_folder() is not None


def _data_folder() -> Path | None:
    for folder in _FOLDERS:
        for within in _WITHIN:
            for found in sorted(Path(folder).glob(within), reverse=True):
                if any(found.glob("*.traineddata")):
                    return found
    return None


def data_names(wanted: str | None, installed: set[str]) -> str:
    """Tesseract's name for what is wanted and installed (`deu+eng`); English, or any language, if nothing is."""
    found = []
    for tag in re.split(r"[+,;\s]+", wanted or ""):
        name = _name(tag, installed)
        if name and name not in found:
            found.append(name)
    if not found:
        found = ["eng"] if "eng" in installed else sorted(installed - {"osd", "equ"})[:1]
    return "+".join(found)


def _name(tag: str, installed: set[str]) -> str | None:
    if tag in installed:
        return tag
    parts = tag.lower().replace("_", "-").split("-")
    for key in ("-".join(parts[:2]), parts[0]):
        name: str = _NAMES.get(key, key)
        if name in installed:
            return name
    return None


class Recogniser:
    """Tesseract for one language or more; UnreadableError where it is not installed."""

    def __init__(self, language: str | None) -> None:
        folder = _data_folder()
        try:
            import tesserocr
        except ImportError as problem:
            raise UnreadableError(f"its text cannot be recognised: {MISSING}") from problem
        names = data_names(language, {path.stem for path in folder.glob("*.traineddata")}) if folder else ""
        if not names:
            raise UnreadableError(f"its text cannot be recognised: {MISSING}")
        self._kit: Any = tesserocr
        self._engine: Any = tesserocr.PyTessBaseAPI(
            path=str(folder), lang=names, psm=tesserocr.PSM.AUTO, oem=tesserocr.OEM.LSTM_ONLY
        )

    def close(self) -> None:
        """Free what Tesseract holds."""
        self._engine.End()

    def text(self, picture: "Image") -> str:
        """The text in a picture, paragraphs apart; empty where there is none, after a glance."""
        grey = _grey(picture)
        return self._read(_at_most(grey, LARGEST_SIDE)) if self._has_text(_at_most(grey, _GLANCE_SIDE)) else ""

    def _show(self, grey: "Image") -> None:
        pixels = bytes(grey.write_to_memory())
        self._engine.SetImageBytes(pixels, grey.width, grey.height, 1, grey.width)
        self._engine.SetSourceResolution(200)

    def _has_text(self, grey: "Image") -> bool:
        """Whether something on a small copy is laid out like text: photos are done with after a tenth of a second."""
        self._show(grey)
        blocks = self._engine.AnalyseLayout()
        if blocks is None:
            return False
        level = self._kit.RIL.BLOCK
        return any(block.BlockType() in _TEXT_BLOCKS for block in self._kit.iterate_level(blocks, level))

    def _read(self, grey: "Image") -> str:
        self._show(grey)
        if not self._engine.Recognize(_SECONDS * 1000):
            return ""
        found = self._engine.GetIterator()
        sure = _SURE_IN_TEXT if self._engine.MeanTextConf() >= _SURE_OF_PAGE else _SURE
        return "\n\n".join(self._paragraphs(found, sure)) if found is not None else ""

    def _paragraphs(self, found: Any, sure: int) -> Iterator[str]:
        levels = self._kit.RIL
        lines: list[str] = []
        for line in self._kit.iterate_level(found, levels.TEXTLINE):
            if line.IsAtBeginningOf(levels.PARA) and lines:
                yield _joined(lines)
                lines = []
            if line.Empty(levels.TEXTLINE) or line.Confidence(levels.TEXTLINE) < sure:
                continue
            text = " ".join(line.GetUTF8Text(levels.TEXTLINE).split())
            if sum(map(str.isalnum, text)) >= max(1, len(text) // 3):
                lines.append(text)
        if lines:
            yield _joined(lines)


def _joined(lines: list[str]) -> str:
    """Lines of a paragraph; a word that was parted at the end of a line is whole again."""
    text = "\n".join(lines)
    return re.sub(r"([^\W\d_])[-\u2010]\n([^\W\d_A-Z]\S*)", r"\1\2\n", text)


def _grey(picture: "Image") -> "Image":
    """The picture on white, one byte for a pixel."""
    if picture.hasalpha():
        picture = picture.flatten(background=[255])
    if picture.interpretation != "b-w" or picture.bands != 1:
        picture = picture.colourspace("b-w")[0]
    return picture.cast("uchar")


def _at_most(grey: "Image", side: int) -> "Image":
    return grey.thumbnail_image(side, height=side, size="down")
