"""Thumbnails, made in a child process: it may run out of time or memory, or crash, and nothing else is harmed."""

from mediary.media.decoding.pictures import Box, encode, require_size, shrink
from mediary.media.decoding.untrusted import open_bytes

_DEFAULT = Box(400, 400)
_TALL = 4
"""How many times as high as wide a thumbnail of a given width may be."""


def thumbnail(path: str, kind: str, width: int | None, webp: bool, max_pixels: int) -> bytes:
    """A small picture of a file: of a picture itself, of a video a frame, of a sound its cover or its waveform.

    At most `width` pixels wide and four times as high, or within 400 by 400; never enlarged. WebP or JPEG, upright, in
    sRGB, without metadata. UnreadableError for what cannot be decoded, or has more than `max_pixels`.
    """
    box = Box(width, width * _TALL) if width else _DEFAULT
    if kind == "image":
        with open_bytes(path) as file:
            require_size(file.head, max_pixels)
        return encode(shrink(path, box, max_pixels), webp=webp)
    return _played(path, kind, box, webp, max_pixels)


def _played(path: str, kind: str, box: Box, webp: bool, max_pixels: int) -> bytes:
    # imported here: pictures, which most files are, do without FFmpeg
    from mediary.media.decoding.frames import find_frame
    from mediary.media.decoding.sound import cover, waveform

    image = find_frame(path, box, max_pixels) if kind == "video" else None
    if image is None:
        image = cover(path, box, max_pixels)
    if image is None:
        image = waveform(path, box)
    return encode(image, webp=webp)
