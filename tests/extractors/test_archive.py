"""What comes out of archives, whatever went in: names that stay inside, bytes as they were, errors that have a name."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mediary.errors import MediaryError, TooLargeError, UnsupportedTypeError
from mediary.extractors.archive import PIECE_BYTES, members

ALLOWANCE: dict[str, int | str] = {"files": 100, "bytes": 2**24, "too_many": "many", "too_large": "large"}


def files(data: bytes, media_type: str, name: str = "x", **changes: int) -> list[tuple[str, bytes]]:
    """The files of an archive by their names."""
    found: list[tuple[str, bytearray]] = []
    for frame in members(io.BytesIO(data), media_type, name, ALLOWANCE | changes):
        assert sum(len(piece) for _, piece in frame) < 2 * PIECE_BYTES
        for path, piece in frame:
            if path is not None:
                found.append((path, bytearray()))
            found[-1][1].extend(piece)
    return [(path, bytes(content)) for path, content in found]


def zipped(contents: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return target.getvalue()


def tarred(contents: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


ways: list[tuple[str, Callable[[dict[str, bytes]], bytes]]] = [
    ("application/zip", zipped),
    ("application/x-tar", tarred),
    ("application/gzip", lambda contents: gzip.compress(tarred(contents), 1)),
    ("application/x-bzip2", lambda contents: bz2.compress(tarred(contents), 1)),
    ("application/x-xz", lambda contents: lzma.compress(tarred(contents), preset=0)),
]

plain_names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
paths = st.lists(plain_names, min_size=1, max_size=4).map("/".join)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
odd_names = st.lists(st.sampled_from(["..", ".", "", "a", "/", "\\", "C:", "\0", "é", "b.txt"]), min_size=1).map(
    "/".join
)


@pytest.mark.parametrize(("media_type", "make"), ways)
@given(contents=st.dictionaries(paths, st.binary(max_size=3000), min_size=1, max_size=8))
def test_what_went_in_comes_out(media_type: str, make: Callable[[dict[str, bytes]], bytes], contents: dict[str, bytes]):
    assert files(make(contents), media_type) == list(contents.items())


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("media_type", "make"), ways[:2])
@given(name=names | odd_names)
def test_no_name_leads_out(media_type: str, make: Callable[[dict[str, bytes]], bytes], name: str):
    assume(name.partition("\0")[0])  # the library writes no other
    try:
        found = files(make({"first.txt": b"1", name: b"2"}), media_type)
    except UnsupportedTypeError:
        return
    for path, _ in found:
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert "\0" not in path
        assert all(len(part.encode()) <= 255 for part in parts)


@pytest.mark.parametrize(("media_type", "make"), ways)
@given(data=st.data())
def test_damage_has_a_name(media_type: str, make: Callable[[dict[str, bytes]], bytes], data: st.DataObject):
    whole = bytearray(make({"a.txt": b"text" * 50, "docs/b.txt": bytes(range(256)) * 4}))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)) | st.just(len(whole)))
    try:
        found = files(bytes(whole[:cut]), media_type)
    except MediaryError:
        return
    assert sum(len(content) for _, content in found) <= 2**24


@pytest.mark.parametrize("media_type", [media_type for media_type, _ in ways])
@given(junk=st.binary(max_size=2000))
def test_junk_has_a_name(media_type: str, junk: bytes):
    with suppress(MediaryError):
        files(junk, media_type)


@pytest.mark.parametrize(("media_type", "make"), ways)
@given(count=st.integers(1, 12), size=st.integers(0, 400), most=st.integers(1, 12), bytes_most=st.integers(0, 4000))
def test_no_more_comes_out_than_may(
    media_type: str,
    make: Callable[[dict[str, bytes]], bytes],
    count: int,
    size: int,
    most: int,
    bytes_most: int,
):
    data = make({f"{number}.txt": b"x" * size for number in range(count)})
    broken = [words for words, is_so in (("many", count > most), ("large", count * size > bytes_most)) if is_so]
    if not broken:
        assert len(files(data, media_type, files=most, bytes=bytes_most)) == count
    else:
        with pytest.raises(TooLargeError, match="|".join(broken)):
            files(data, media_type, files=most, bytes=bytes_most)
