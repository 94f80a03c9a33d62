"""Text in pictures: scans, photos of pages, screenshots."""

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO

from mediary.errors import UnreadableError
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.ocr import LARGEST_SIDE, Recogniser

if TYPE_CHECKING:
    from pyvips import Image

_MOST_PAGES = 1000
_LARGEST = 400_000_000
"""Pixels."""

# What libvips does not read, FFmpeg does.
_FOR_FFMPEG = {"image/bmp", "image/jp2", "image/x-portable-anymap"}


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text in a picture, a page at a time; none for a picture without text."""
    if not wanted.ocr:
        return
    with closing(Recogniser(wanted.language)) as recogniser:
        for number, picture in enumerate(_pictures(source, wanted.media_type)):
            if text := recogniser.text(picture):
                yield f"{text}\n\n"
            if number:
                yield Facts(pages=number + 1)


def _pictures(source: BinaryIO, media_type: str) -> Iterator["Image"]:
    """The pages of a picture, the right way up and small enough."""
    return _with_ffmpeg(source) if media_type in _FOR_FFMPEG else _with_vips(source)


def _with_vips(source: BinaryIO) -> Iterator["Image"]:
    import pyvips

    try:
        first = pyvips.Image.new_from_source(_reopened(source), "", access="sequential")
        _check(first.width, first.height)
        pages = first.get_n_pages() if first.get("vips-loader").startswith("tiff") else 1
        for page in range(min(pages, _MOST_PAGES)):
            options = f"[page={page}]" if pages > 1 else ""
            thumbnail = pyvips.Image.thumbnail_source(
                _reopened(source), LARGEST_SIDE, height=LARGEST_SIDE, size="down", option_string=options
            )
            yield thumbnail.copy_memory()
    except pyvips.Error as problem:
        raise UnreadableError("it is a damaged picture") from problem


def _reopened(source: BinaryIO) -> "Image":
    import pyvips

    source.seek(0)
    return pyvips.Source.new_from_descriptor(source.fileno())


def _with_ffmpeg(source: BinaryIO) -> Iterator["Image"]:
    import av
    import pyvips

    try:
        with av.open(source, "r") as container:
            stream = container.streams.video[0]
            _check(stream.width, stream.height)
            frame = next(container.decode(stream)).reformat(format="gray")
            plane = frame.planes[0]
            wide = pyvips.Image.new_from_memory(bytes(plane), plane.line_size, frame.height, 1, "uchar")
            yield wide.crop(0, 0, frame.width, frame.height)
    except (av.FFmpegError, IndexError, StopIteration) as problem:
        raise UnreadableError("it is a damaged picture") from problem


def _check(width: int, height: int) -> None:
    if width * height > _LARGEST:
        raise UnreadableError(f"it has {width} by {height} pixels, more than can be read")
