"""Width and height from the first bytes of real pictures, and nothing worse than None for anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.media.samples import picture

from mediary.media.decoding.probe import PROBE_BYTES, dimensions

ENCODINGS = [
    (".png", {}),
    (".png", {"interlace": True}),
    (".jpg", {}),
    (".jpg", {"interlace": True}),
    (".gif", {}),
    (".webp", {}),
    (".webp", {"lossless": True}),
    (".webp", {"profile": "srgb"}),
]


@pytest.mark.parametrize(("suffix", "options"), ENCODINGS)
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (301, 7), (7, 1025)])
def test_a_real_picture(suffix: str, options: dict[str, object], size: tuple[int, int]):
    assert dimensions(picture(suffix, *size, **options)[:PROBE_BYTES]) == size


@pytest.mark.parametrize(("suffix", "options"), ENCODINGS)
def test_a_picture_that_is_cut(suffix: str, options: dict[str, object]):
    whole = picture(suffix, **options)
    assert {dimensions(whole[:end]) for end in range(min(len(whole), 2000))} <= {None, (64, 48)}


starts = st.sampled_from(
    [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8 ", b"RIFF\0\0\0\0WEBPVP8L"]
)


@given(starts, st.binary(max_size=200))
def test_any_bytes(start: bytes, rest: bytes):
    found = dimensions(start + rest)
    assert found is None or all(0 < side < 2**31 for side in found)


def test_a_picture_without_an_extent_has_none():
    assert dimensions(b"GIF89a" + bytes(10)) is None
