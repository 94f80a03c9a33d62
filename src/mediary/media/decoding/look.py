"""What the whole of a media file tells: its digest, and what it looks like in a few bytes. For child processes."""

import hashlib
import math
import os
from base64 import b64encode
from operator import mul
from typing import TYPE_CHECKING, Any

from mediary.errors import UnreadableError
from mediary.formats import SNIFF_BYTES, detect
from mediary.media.decoding.probe import PROBE_BYTES
from mediary.media.decoding.thumbhash import thumb_hash
from mediary.media.decoding.untrusted import open_file

if TYPE_CHECKING:
    import pyvips

BLOCK = 1024**2
_SMALL = 64
"""Pixels of the longer side that the looks are made of: a ThumbHash has no more than 7 waves."""
_SIDE = 32
_FREQUENCIES = 8


def look(path: str, max_pixels: int) -> dict[str, Any]:
    """Read a file whole: `sha256`, and of what can be seen `thumbhash` (base64), `colour` and `phash`.

    `problem` says why there is nothing to see where there should be. UnreadableError for what is no file.
    """
    with open_file(path) as descriptor:
        seen: dict[str, Any] = {"sha256": _digest(descriptor)}
        head = os.pread(descriptor, PROBE_BYTES, 0)
    found = detect(head[:SNIFF_BYTES])
    try:
        image = None if found is None or found.kind == "audio" else _small(path, head, found.kind, max_pixels)
    except UnreadableError as error:
        return seen | {"problem": error.message}
    return seen if image is None else seen | describe(image)


def digest(path: str) -> dict[str, Any]:
    """The `sha256` alone: for a file whose looks are more than a child can bear."""
    with open_file(path) as descriptor:
        return {"sha256": _digest(descriptor)}


def _digest(descriptor: int) -> str:
    sha256 = hashlib.sha256()
    position = 0
    while block := os.pread(descriptor, BLOCK, position):
        sha256.update(block)
        position += len(block)
    return sha256.hexdigest()


def _small(path: str, head: bytes, kind: str, max_pixels: int) -> "pyvips.Image | None":
    """The picture, or a frame of the video, in a few pixels; None for a file with sound alone."""
    # imported here, as all that libvips and FFmpeg: to hash a sound takes neither
    from mediary.media.decoding.pictures import Box, require_size, shrink

    box = Box(_SMALL, _SMALL)
    if kind == "image":
        require_size(head, max_pixels)
        return shrink(path, box, max_pixels)
    from mediary.media.decoding.frames import find_frame

    return find_frame(path, box, max_pixels)


def describe(image: "pyvips.Image") -> dict[str, Any]:
    """ThumbHash, average colour and perceptual hash of a picture of at most 100 by 100 pixels."""
    image = image.colourspace("srgb").cast("uchar")
    opaque = image if image.hasalpha() else image.bandjoin(255)
    return {
        "thumbhash": b64encode(thumb_hash(image.width, image.height, bytes(opaque.write_to_memory()))).decode(),
        "colour": _colour(opaque),
        "phash": perceptual_hash(_brightness(image)),
    }


def _colour(image: "pyvips.Image") -> str:
    """The average of what can be seen: a pixel counts as much as it covers."""
    alpha = image[3]
    covered = alpha.avg()
    if not covered:
        return "#000000"
    means = [(image[band] * alpha).avg() / covered for band in range(3)]
    return "#" + "".join(f"{min(255, round(mean)):02x}" for mean in means)


def _brightness(image: "pyvips.Image") -> list[float]:
    """A picture on grey as 32 rows of 32 levels."""
    flat = image.flatten(background=128) if image.hasalpha() else image
    grey = flat.colourspace("b-w").cast("float")
    square = grey.resize(_SIDE / grey.width, vscale=_SIDE / grey.height, kernel="linear")
    return [value for row in square.tolist() for value in row]


# The first cosines over 32 samples, those that a picture's coarse shapes are made of; the constant one is left out.
_WAVES = [
    [math.cos(math.pi * frequency * (2 * sample + 1) / (2 * _SIDE)) for sample in range(_SIDE)]
    for frequency in range(1, _FREQUENCIES + 1)
]


def perceptual_hash(levels: list[float]) -> int:
    """64 bits, signed, of 32 by 32 levels of brightness: which of the coarsest shapes are above their median.

    Copies that were scaled, encoded anew or cropped a little differ in a few bits; other pictures in some thirty.
    """
    rows = [levels[start : start + _SIDE] for start in range(0, _SIDE * _SIDE, _SIDE)]
    across = [[sum(map(mul, row, wave)) for wave in _WAVES] for row in rows]
    columns = list(zip(*across, strict=True))
    shapes = [sum(map(mul, column, wave)) for wave in _WAVES for column in columns]
    median = sorted(shapes)[len(shapes) // 2]
    bits = sum(1 << place for place, shape in enumerate(shapes) if shape > median)
    return bits - (1 << 64) if bits >> 63 else bits
