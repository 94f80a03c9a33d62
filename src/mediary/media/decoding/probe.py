"""Width and height of a picture from its first bytes, read by hand: no decoder sees bytes that nobody checked."""

from struct import Struct

from mediary.errors import UnreadableError

Size = tuple[int, int]

PROBE_BYTES = 64 * 1024
"""How many first bytes `dimensions` wants to see; a JPEG's size may stand behind its metadata."""

_PNG = Struct(">4sII")
_GIF = Struct("<HH")
_JPEG = Struct(">HBHH")
_WEBP_LOSSY = Struct("<HH")

# The markers of JPEG frames; C4, C8 and CC among them are tables.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def dimensions(head: bytes) -> Size | None:
    """The width and height that a picture's header tells, in pixels as they are stored; None if it is not in view."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _png(head)
    elif head.startswith((b"GIF87a", b"GIF89a")):
        size = _GIF.unpack_from(head, 6) if len(head) >= 10 else None
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg(head)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        size = _webp(head)
    else:
        return None
    return size if size and all(size) else None


def require_pixels(width: int, height: int, max_pixels: int) -> None:
    """UnreadableError for more pixels than that."""
    if width * height > max_pixels:
        raise UnreadableError(
            f"this picture claims {width:,} by {height:,} pixels; {max_pixels:,} are the most that are read"
        )


def _png(head: bytes) -> Size | None:
    if len(head) < 24:
        return None
    name, width, height = _PNG.unpack_from(head, 12)
    # More than this is no PNG: its numbers have 31 bits.
    return (width, height) if name == b"IHDR" and max(width, height) < 2**31 else None


def _jpeg(head: bytes) -> Size | None:
    position = 2
    while position + 9 <= len(head) and head[position] == 0xFF:
        marker = head[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        length, _, height, width = _JPEG.unpack_from(head, position + 2)
        if marker in JPEG_FRAMES:
            return width, height
        if length < 2:
            return None
        position += 2 + length
    return None


def _webp(head: bytes) -> Size | None:
    if len(head) < 30:
        return None
    match head[12:16]:
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = _WEBP_LOSSY.unpack_from(head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L" if head[20] == 0x2F:
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None
