"""Text in pictures."""

from pathlib import Path

import pytest
import pyvips
from tests.extractors.samples import SCANS, markdown

from mediary.errors import UnreadableError
from mediary.extractors import ocr
from mediary.extractors.base import Facts, Wanted
from mediary.extractors.scan import extract
from mediary.testing.extractors import ExtractorContract

pytestmark = pytest.mark.skipif(not ocr.available(), reason="needs Tesseract's data")


class TestContract(ExtractorContract):
    @pytest.fixture
    def extractor(self):
        return "mediary.extractors.scan:extract"

    @pytest.fixture
    def document(self):
        return SCANS / "letter.tif"

    @pytest.fixture
    def media_type(self):
        return "image/tiff"

    @pytest.fixture
    def words(self):
        return ("Damen und Herren", "4711-08", "127,45")


class TestContractOfBitmaps(TestContract):
    @pytest.fixture
    def document(self):
        return SCANS / "letter.pbm"

    @pytest.fixture
    def media_type(self):
        return "image/x-portable-anymap"


def test_a_page_has_its_paragraphs():
    text = markdown(extract, SCANS / "contract.png", "image/png")
    assert text.startswith("Service Agreement\n\nThis agreement (“Agreement”) is entered into on 12 March 2024 between")
    assert "payable in three instalments of €49,583.33 each.\n\n" in text


@pytest.mark.parametrize("language", ["de-DE", "deu+eng"])
def test_the_language_is_heeded(language: str):
    text = markdown(extract, SCANS / "letter.tif", "image/tiff", language)
    assert "hiermit kündige ich meinen Vertrag Nr. 4711-08 fristgemäß zum 30. September 2024." in text


def test_a_language_that_is_not_installed_is_no_error():
    assert "Damen und Herren" in markdown(extract, SCANS / "letter.tif", "image/tiff", "tlh")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".avif", ".tif"])
def test_every_format_is_read(suffix: str, tmp_path: Path):
    path = tmp_path / f"page{suffix}"
    pyvips.Image.new_from_file(str(SCANS / "letter.tif")).write_to_file(str(path))
    assert "Damen und Herren" in markdown(extract, path, f"image/{suffix[1:]}")


def test_a_page_on_its_side_is_read(tmp_path: Path):
    path = tmp_path / "turned.png"
    pyvips.Image.new_from_file(str(SCANS / "letter.tif")).rot90().write_to_file(str(path))
    assert "Damen und Herren" in markdown(extract, path, "image/png")


def test_each_page_of_a_tiff_is_read(tmp_path: Path):
    path = tmp_path / "pages.tif"
    page = pyvips.Image.new_from_file(str(SCANS / "letter.tif"))
    page.join(page, "vertical").write_to_file(str(path), page_height=page.height)
    with path.open("rb") as source:
        pieces = list(extract(source, Wanted(path.name, "image/tiff")))
    assert pieces.count(pieces[0]) == 2
    assert pieces[-1] == Facts(pages=2)


@pytest.mark.parametrize(
    "picture",
    [
        pyvips.Image.black(1600, 1200),
        pyvips.Image.gaussnoise(1600, 1200, mean=128, sigma=60).cast("uchar"),
        pyvips.Image.perlin(1600, 1200, cell_size=24).linear(100, 128).cast("uchar"),
        pyvips.Image.worley(1600, 1200, cell_size=90).linear(3, 0).cast("uchar"),
        pyvips.Image.black(1, 1),
        pyvips.Image.black(5000, 1),
        pyvips.Image.black(64, 64).bandjoin([0, 0, 0]).copy(interpretation="srgb").cast("uchar"),
    ],
    ids=["black", "noise", "clouds", "cells", "one pixel", "a line", "clear"],
)
def test_what_is_no_text_has_none(picture: pyvips.Image, tmp_path: Path):
    path = tmp_path / "photo.png"
    picture.write_to_file(str(path))
    assert markdown(extract, path, "image/png") == ""


def test_a_sign_in_a_photo_is_read(tmp_path: Path):
    path = tmp_path / "photo.jpg"
    sign = pyvips.Image.text("NO PARKING", dpi=500, font="sans bold 20").linear(-1, 255).cast("uchar")
    wall = pyvips.Image.perlin(4000, 3000, cell_size=400).linear(60, 120).cast("uchar")
    board = sign.embed(100, 100, sign.width + 200, sign.height + 200, background=255, extend="background")
    wall.insert(board, 800, 900).write_to_file(str(path))
    assert markdown(extract, path, "image/jpeg").strip() == "NO PARKING"


def test_a_damaged_picture_has_a_reason(tmp_path: Path):
    for media_type in ("image/tiff", "image/bmp", "image/png"):
        path = tmp_path / "x"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
        with pytest.raises(UnreadableError, match="damaged"):
            markdown(extract, path, media_type)


def test_nothing_is_recognised_if_that_is_switched_off():
    with (SCANS / "letter.tif").open("rb") as source:
        assert list(extract(source, Wanted("letter.tif", "image/tiff", ocr=False))) == []


@pytest.mark.parametrize(
    ("wanted", "installed", "found"),
    [
        (None, {"eng", "deu"}, "eng"),
        ("de-AT", {"eng", "deu"}, "deu"),
        ("de_AT", {"eng", "deu"}, "deu"),
        ("eng+deu", {"eng", "deu", "fra"}, "eng+deu"),
        ("zh-TW", {"chi_sim", "chi_tra"}, "chi_tra"),
        ("zh", {"chi_sim", "chi_tra"}, "chi_sim"),
        ("sv", {"eng", "deu"}, "eng"),
        ("sv", {"deu", "osd"}, "deu"),
        ("../../etc/passwd", {"eng"}, "eng"),
        ("en", set(), ""),
    ],
)
def test_languages_have_tesseracts_names(wanted: str | None, installed: set[str], found: str):
    assert ocr.data_names(wanted, installed) == found
