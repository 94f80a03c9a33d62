"""Pictures to look at, out of pictures that anybody may have sent: small, upright, in sRGB. For child processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyvips

from mediary.errors import UnreadableError
from mediary.media.decoding.probe import dimensions, require_pixels

_LOADERS = ("Jpeg", "Png", "Nsgif", "Webp")
_WHITE = 255
_JPEG = {"Q": 82, "optimize_coding": True, "keep": "none"}
_WEBP = {"Q": 80, "effort": 4, "keep": "none"}

# The formats of the library and no other: bytes that are two things at once must not reach a parser of documents.
pyvips.operation_block_set("VipsForeignLoad", True)
for _loader in _LOADERS:
    pyvips.operation_block_set(f"VipsForeignLoad{_loader}", False)
# A child per core works at a time; more threads would only take turns. What was read once is not read again.
pyvips.concurrency_set(1)
pyvips.cache_set_max(0)


@dataclass(slots=True, frozen=True)
class Box:
    """What a picture must fit into, in pixels."""

    width: int
    height: int

    def fit(self, width: float, height: float) -> tuple[int, int]:
        """The size of a picture of that size within the box; it is never enlarged."""
        scale = min(self.width / width, self.height / height, 1.0)
        return max(1, round(width * scale)), max(1, round(height * scale))


def require_size(head: bytes, max_pixels: int) -> None:
    """UnreadableError for a picture whose first bytes claim more pixels than that; no decoder is asked."""
    if size := dimensions(head):
        require_pixels(*size, max_pixels)


def shrink(data: str | bytes, box: Box, max_pixels: int) -> pyvips.Image:
    """A picture, of a file by its path or of bytes, as it is meant to be seen and within the box.

    Of an animation that is its first frame. UnreadableError for what is no picture, or has more pixels than that.
    """
    source = _open(data)
    with decoding():
        header = pyvips.Image.new_from_source(source, "", access="sequential")
        require_pixels(header.width, header.height, max_pixels)
        small = pyvips.Image.thumbnail_source(source, box.width, height=box.height, size="down", output_profile="srgb")
        return small.copy_memory()  # while `source` lives: nothing else holds its bytes


def _open(data: str | bytes) -> pyvips.Source:
    # A source, for libvips reads options out of a name: `a[page=2].png`.
    return pyvips.Source.new_from_file(data) if isinstance(data, str) else pyvips.Source.new_from_memory(data)


def encode(image: pyvips.Image, *, webp: bool) -> bytes:
    """The picture as WebP, or as JPEG on white where it is transparent; without any metadata."""
    with decoding():
        image = image.colourspace("srgb")
        data: bytes
        if webp:
            data = image.webpsave_buffer(**_WEBP)
        else:
            flat = image.flatten(background=_WHITE) if image.hasalpha() else image
            data = flat.jpegsave_buffer(**_JPEG)
        return data


@contextmanager
def decoding() -> Iterator[None]:
    """What libvips cannot read is an UnreadableError, without a path of this machine."""
    try:
        yield
    except pyvips.Error as error:
        raise UnreadableError("this picture cannot be decoded: its bytes are damaged or incomplete") from error
