import xml.etree.ElementTree as ET
from typing import Any

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from mediary.errors import FieldError
from mediary.providers.local.options import PictureOptions, picture_options
from mediary.providers.local.picture import draw, scene


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (1024, 1024)),
        ({"size": "512x256"}, (512, 256)),
        ({"size": "auto"}, (1024, 1024)),
        ({"width": 300, "height": 200}, (300, 200)),
        ({"width": 300}, (300, 300)),
        ({"height": 90, "aspect_ratio": "16:9"}, (160, 90)),
        ({"width": 100, "size": "512x256"}, (100, 50)),
        ({"aspect_ratio": "1:1"}, (1024, 1024)),
        ({"aspect_ratio": "16:9"}, (1368, 768)),
        ({"aspect_ratio": "9/16"}, (768, 1368)),
        ({"aspect_ratio": "8:1"}, (2048, 256)),
        ({"aspect_ratio": "1:8"}, (256, 2048)),
        ({"width": 16.0, "height": 2048}, (16, 2048)),
    ],
)
def test_the_size_is_the_one_asked_for(options: dict[str, Any], size: tuple[int, int]):
    found = picture_options(options)
    assert (found.width, found.height) == size


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"width": 15}, "width"),
        ({"width": 2049}, "width"),
        ({"height": -1}, "height"),
        ({"height": "100"}, "height"),
        ({"width": True}, "width"),
        ({"width": 99.5}, "width"),
        ({"size": "4096x64"}, "width"),
        ({"size": "64x8"}, "height"),
        ({"size": "big"}, "size"),
        ({"size": "0x0"}, "size"),
        ({"size": "00x10", "width": 20}, "size"),
        ({"size": 512}, "size"),
        ({"aspect_ratio": "9:1"}, "aspect_ratio"),
        ({"aspect_ratio": "1:0"}, "aspect_ratio"),
        ({"aspect_ratio": "wide"}, "aspect_ratio"),
        ({"width": 2048, "aspect_ratio": "1:2"}, "height"),
        ({"n": 0}, "n"),
        ({"n": 5}, "n"),
        ({"n": "2"}, "n"),
        ({"seed": "x"}, "seed"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(options: dict[str, Any], field: str):
    with pytest.raises(FieldError) as refused:
        picture_options(options)
    assert refused.value.field == field


def test_seed_and_count_are_read():
    assert picture_options({"seed": -3, "n": 4, "size": "16x16"}) == PictureOptions(16, 16, -3, 4)
    assert picture_options({"size": "16x16"}) == PictureOptions(16, 16, None, 1)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (200, 100), (33, 77)])
def test_the_picture_is_a_png_of_that_size(width: int, height: int):
    picture = pyvips.Image.pngload_buffer(draw("hills", None, width, height))
    assert (picture.width, picture.height, picture.bands) == (width, height, 3)
    assert picture.deviate() > 5  # not one flat colour
    assert not [name for name in picture.get_fields() if "exif" in name or "comment" in name]


def test_prompt_and_seed_decide():
    drawn = draw("a fox", 7, 64, 64)
    assert drawn == draw("a fox", 7, 64, 64)
    others = {draw("a fox", None, 64, 64), draw("a fox", 8, 64, 64), draw("a dog", 7, 64, 64)}
    assert len(others | {drawn}) == 4


def test_pictures_of_one_request_differ_and_follow_the_seed():
    assert draw("a fox", 7, 64, 64, number=1) == draw("a fox", 8, 64, 64)
    assert len({draw("a fox", None, 64, 64, number) for number in range(4)}) == 4


@given(st.text(max_size=50), st.none() | st.integers(), st.integers(16, 2048), st.integers(16, 2048))
@settings(max_examples=60)
def test_any_prompt_gives_a_sound_drawing(prompt: str, seed: int | None, width: int, height: int):
    drawn = scene(prompt, seed, width, height)
    root = ET.fromstring(drawn)
    assert (root.get("width"), root.get("height")) == (str(width), str(height))
    assert "nan" not in drawn
    assert "inf" not in drawn
