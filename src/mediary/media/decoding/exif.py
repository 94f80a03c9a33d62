"""The few tags of Exif that say how a picture is turned and how it was made. For child processes."""

from collections.abc import Iterator
from struct import Struct

from mediary.media.decoding.untrusted import decode_text

_ORIENTATION, _USER_COMMENT, _EXIF_FOLDER = 0x0112, 0x9286, 0x8769
_TEXTS = {0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software", 0x927C: "MakerNote"}
_XP_TEXTS = {0x9C9B: "XPTitle", 0x9C9C: "XPComment", 0x9C9F: "XPSubject"}

MAX_TAGS = 500
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 13: 4}
"""Bytes of a value of each type that matters here."""
_TURNED = range(5, 9)
"""Orientations that swap width and height."""


def read_exif(data: bytes) -> tuple[dict[str, str], bool]:
    """The texts in Exif by their names, and whether width and height are swapped to show the picture."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(data[:4])
    if order is None:
        return {}, False
    big = order == "big"
    texts: dict[str, str] = {}
    turned = False
    for tag, value in _tags(data, big):
        if tag == _ORIENTATION:
            turned = int.from_bytes(value[:2], "big" if big else "little") in _TURNED
        elif tag == _USER_COMMENT:
            text = user_comment(value, big)
        elif tag in _XP_TEXTS:
            text = value.decode("utf-16-le", "replace")
        elif tag in _TEXTS:
            text = decode_text(value)
        if tag in _NAMES and (text := text.strip("\0 \r\n\t")):
            texts[_NAMES[tag]] = text
    return texts, turned


_NAMES = {**_TEXTS, **_XP_TEXTS, _USER_COMMENT: "UserComment"}


def _tags(data: bytes, big: bool) -> Iterator[tuple[int, bytes]]:
    """The tags of the first folder and of the Exif folder in it, with their values."""
    order = ">" if big else "<"
    count, entry, number = Struct(order + "H"), Struct(order + "HHI4s"), Struct(order + "I")
    folders = [data[4:8]]
    for pointer in folders:
        start = number.unpack(pointer)[0] if len(pointer) == 4 else len(data)
        if start + 2 > len(data):
            continue
        for index in range(min(count.unpack_from(data, start)[0], MAX_TAGS)):
            position = start + 2 + index * entry.size
            if position + entry.size > len(data):
                break
            tag, kind, length, value = entry.unpack_from(data, position)
            if tag == _EXIF_FOLDER and len(folders) == 1:
                folders.append(value)
            size = _WIDTHS.get(kind, 0) * length
            if size > 4:
                at = number.unpack(value)[0]
                yield tag, data[at : at + size]
            else:
                yield tag, value[:size]


def user_comment(value: bytes, big: bool) -> str:
    """The text of a UserComment, whose first 8 bytes name its encoding, not always rightly."""
    code, text = value[:8], value[8:]
    if code == b"UNICODE\0":
        return _decode_utf16(text, big)
    return decode_text(text if code in (b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8)) else value)


def _decode_utf16(text: bytes, big: bool) -> str:
    """UTF-16 of either order, whatever the order of the rest; or the UTF-8 that some write in its place."""
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return text.decode("utf-16", "replace")
    # One half of most letters is zero: the first where the order is big-endian.
    first, second = text[::2].count(0), text[1::2].count(0)
    if first == second == 0:
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            pass
    if first != second:
        big = first > second
    return text.decode("utf-16-be" if big else "utf-16-le", "replace")
