"""The packed RTF of Outlook messages (MS-OXRTFCP)."""

from struct import unpack_from

from mediary.errors import UnreadableError

_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
_MOST_BYTES = 64 * 1024**2
# What the window has at the beginning: words that every such text has.
_WINDOW = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20"
    b"\\b\\i\\u\\tab\\tx"
)
_SIZE = 4096


def decompressed(packed: bytes) -> bytes:
    """The RTF."""
    if len(packed) < 16 or packed[8:12] not in (_COMPRESSED, _PLAIN):
        raise UnreadableError("it is damaged: its text cannot be unpacked")
    size = min(unpack_from("<I", packed, 4)[0], _MOST_BYTES)
    if packed[8:12] == _PLAIN:
        return packed[16 : 16 + size]
    window = bytearray(_WINDOW.ljust(_SIZE, b"\0"))
    end, at, text = len(_WINDOW), 16, bytearray()
    while at < len(packed) and len(text) < size:
        flags = packed[at]
        at += 1
        for bit in range(8):
            if at >= len(packed):
                break
            if flags >> bit & 1:
                if at + 1 >= len(packed):
                    return bytes(text)
                reference = packed[at] << 8 | packed[at + 1]
                at += 2
                start, length = reference >> 4, (reference & 15) + 2
                if start == end:
                    return bytes(text)
                piece = bytearray()
                for step in range(length):
                    byte = window[(start + step) % _SIZE]
                    piece.append(byte)
                    window[end] = byte
                    end = (end + 1) % _SIZE
                text += piece
            else:
                text.append(packed[at])
                window[end] = packed[at]
                end = (end + 1) % _SIZE
                at += 1
    return bytes(text)
