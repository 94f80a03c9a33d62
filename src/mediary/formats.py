"""The media formats: extension, MIME type, kind, and the signature that tells each by its first bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from mediary.data_uris import is_data_uri
from mediary.errors import UnsupportedTypeError

Kind = Literal["image", "audio", "video"]


@dataclass(slots=True, frozen=True)
class Format:
    """A media format: its extension with the dot, its MIME type, its kind."""

    extension: str
    media_type: str
    kind: Kind


JPEG = Format(".jpg", "image/jpeg", "image")
PNG = Format(".png", "image/png", "image")
GIF = Format(".gif", "image/gif", "image")
WEBP = Format(".webp", "image/webp", "image")
WAV = Format(".wav", "audio/wav", "audio")
MP3 = Format(".mp3", "audio/mpeg", "audio")
FLAC = Format(".flac", "audio/flac", "audio")
OPUS = Format(".opus", "audio/opus", "audio")
OGG = Format(".ogg", "audio/ogg", "audio")
M4A = Format(".m4a", "audio/m4a", "audio")
MKV = Format(".mkv", "video/x-matroska", "video")
WEBM = Format(".webm", "video/webm", "video")
MP4 = Format(".mp4", "video/mp4", "video")

FORMATS = (JPEG, Format(".jpeg", "image/jpeg", "image"), PNG, GIF, WEBP, WAV, MP3, FLAC, OPUS, OGG, M4A, MKV, WEBM, MP4)

# Two MP3 frames, the first pages of an Ogg file and any header of the others fit in this.
SNIFF_BYTES = 4096

_BY_EXTENSION = {known.extension: known for known in FORMATS}
_BY_MEDIA_TYPE = {known.media_type: known for known in reversed(FORMATS)} | {
    "image/jpg": JPEG,
    "image/pjpeg": JPEG,
    "image/x-png": PNG,
    "image/apng": PNG,
    "audio/wave": WAV,
    "audio/x-wav": WAV,
    "audio/x-pn-wav": WAV,
    "audio/vnd.wave": WAV,
    "audio/mp3": MP3,
    "audio/mpeg3": MP3,
    "audio/x-mp3": MP3,
    "audio/x-mpeg": MP3,
    "audio/x-mpeg-3": MP3,
    "audio/x-flac": FLAC,
    "audio/x-opus": OPUS,
    "audio/x-opus+ogg": OPUS,
    "audio/x-ogg": OGG,
    "audio/x-vorbis+ogg": OGG,
    "application/ogg": OGG,
    "audio/mp4": M4A,
    "audio/x-m4a": M4A,
    "audio/x-m4b": M4A,
    "audio/x-matroska": MKV,
    "video/matroska": MKV,
    "audio/matroska": MKV,
    "audio/webm": WEBM,
    "video/x-m4v": MP4,
    "application/mp4": MP4,
}


def detect(head: bytes) -> Format | None:
    """The format of a file by its signature; `head` is its first `SNIFF_BYTES` bytes, or all of them."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head.startswith((b"RIFF", b"RF64")):
        return {b"WEBP": WEBP, b"WAVE": WAV}.get(head[8:12])
    if head.startswith(b"fLaC"):
        return FLAC
    if head.startswith(b"OggS"):
        return _detect_ogg(head)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return {b"webm": WEBM, b"matroska": MKV}.get(_document_type(head))
    if head[4:8] == b"ftyp":
        return _detect_brand(head)
    if head.startswith(b"ID3"):
        return _detect_behind_id3(head)
    return MP3 if _has_mp3_frames(head) else None


def require_format(head: bytes) -> Format:
    """The format of a file by its signature; UnsupportedTypeError if it is none of the table."""
    found = detect(head)
    if found is None:
        known = ", ".join(sorted(known.extension[1:] for known in FORMATS))
        raise UnsupportedTypeError(f"These bytes are none of the media formats that are taken here: {known}")
    return found


def is_accepted_format(data: bytes) -> str:
    """The MIME type of a file by its signature; UnsupportedTypeError if it is none of the table."""
    return require_format(data).media_type


def is_allowed_extension(name: str) -> Format | None:
    """The format that a file name's extension claims, None if it is not of the table."""
    _, dot, extension = name.rpartition(".")
    return _BY_EXTENSION.get(dot + extension.lower())


def by_media_type(media_type: str) -> Format | None:
    """The format of a `Content-Type`, with its parameters or without, also under the names that are only in use."""
    essence, _, parameters = media_type.lower().partition(";")
    found = _BY_MEDIA_TYPE.get(essence.strip())
    return OPUS if found is OGG and "opus" in parameters else found


def get_media_extension(media: str) -> str:
    """The extension that a URL's path or a file name ends in (`.png`), empty if it is not of the table."""
    if is_data_uri(media):
        return ""
    try:
        url = urlsplit(media)
    except ValueError:  # `http://[` and the like
        return ""
    found = is_allowed_extension(unquote(url.path))
    if found is None and not url.scheme and not media.startswith("/"):
        found = is_allowed_extension(media)  # a file name may hold `?` and `#`
    return found.extension if found else ""


def _document_type(head: bytes) -> bytes:
    """The DocType of an EBML header, empty if it is not in view."""
    size, position = _variable_int(head, 4)
    end = min(position + size, len(head))
    while position < end:
        identifier_size = _variable_size(head[position])
        identifier = head[position : position + identifier_size]
        size, position = _variable_int(head, position + identifier_size)
        if identifier == b"\x42\x82":
            return head[position : position + size].rstrip(b"\0")
        position += size
    return b""


def _variable_size(first: int) -> int:
    """The length in bytes of an EBML integer: one more than its first byte's leading zero bits."""
    return 9 - first.bit_length()


def _variable_int(head: bytes, position: int) -> tuple[int, int]:
    """An EBML integer and where it ends; one that is out of view is 0."""
    if position >= len(head):
        return 0, len(head)
    size = _variable_size(head[position])
    value = int.from_bytes(head[position : position + size], "big")
    return value & ((1 << 7 * size) - 1), position + size


_VIDEO_IN_OGG = (b"\x80theora", b"\x80daala", b"BBCD\0", b"OVP80", b"\x01video")
_AUDIO_IN_OGG = (b"\x01vorbis", b"\x7fFLAC", b"Speex   ")


def _detect_ogg(head: bytes) -> Format | None:
    """Opus or another sound in Ogg; None if a stream of the file is a video."""
    found = None
    for packet in _ogg_first_packets(head):
        if packet.startswith(_VIDEO_IN_OGG):
            return None
        if found is None and packet.startswith(b"OpusHead"):
            found = OPUS
        elif found is None and packet.startswith(_AUDIO_IN_OGG):
            found = OGG
    return found


def _ogg_first_packets(head: bytes) -> Iterator[bytes]:
    """The start of the first packet of each stream: their pages come before all others, marked as beginnings."""
    position = 0
    while head[position : position + 4] == b"OggS" and len(head) > position + 26 and head[position + 5] & 2:
        body = position + 27 + head[position + 26]
        yield head[body : body + 16]
        position = body + sum(head[position + 27 : body])


_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "}
_VIDEO_BRANDS = {b"M4V ", b"M4VH", b"M4VP", b"F4V ", b"avc1", b"hvc1", b"hev1", b"av01", b"MSNV", b"XAVC"}
# These share the box with MP4 and are other formats: HEIF and AVIF pictures, Canon raw, JPEG 2000 and XL.
_IMAGE_BRANDS = {
    *(b"mif1", b"mif2", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"avif", b"avis"),
    *(b"crx ", b"jp2 ", b"jpx ", b"jpm ", b"mjp2", b"jxl "),
}


def _detect_brand(head: bytes) -> Format | None:
    """MP4 or M4A by the brands of the `ftyp` box; None for QuickTime, 3GPP, HEIF and the like."""
    size = int.from_bytes(head[:4], "big")
    if not 16 <= size <= len(head):  # a brand that is out of view may be the one that decides
        return None
    major, *others = (head[at : at + 4] for at in (8, *range(16, size, 4)))
    if major in _AUDIO_BRANDS:
        return M4A
    brands = {major, *others}
    if major == b"qt  " or major.startswith(b"3g") or brands & _IMAGE_BRANDS:
        return None
    if brands & _VIDEO_BRANDS:
        return MP4
    if not any(brand.startswith((b"iso", b"mp4", b"dash", b"cmf")) for brand in brands):
        return None
    return M4A if brands & _AUDIO_BRANDS else MP4


def _detect_behind_id3(head: bytes) -> Format | None:
    """MP3 or FLAC behind an ID3v2 tag; MP3 if the tag, with its cover picture, fills the view (FLAC rarely has one)."""
    position = 0
    while head[position : position + 3] == b"ID3":
        header = head[position : position + 10]
        if len(header) < 10 or header[3] not in (2, 3, 4) or any(byte & 0x80 for byte in header[6:]):
            return None
        size = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
        has_footer = header[3] == 4 and header[5] & 0x10
        position += 10 + size + (10 if has_footer else 0)
    behind = head[position:].lstrip(b"\0")
    if behind.startswith(b"fLaC"):
        return FLAC
    return MP3 if len(behind) < 4 or _has_mp3_frames(behind) else None


# Layer III, bitrates in kbit/s by index and samples per second of MPEG 1; MPEG 2 has half of the rates, 2.5 a quarter.
_BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_SAMPLE_RATES = (44100, 48000, 32000, 0)


def _has_mp3_frames(head: bytes) -> bool:
    """Whether an MPEG layer III frame is first and, if its end is in view, another such behind it."""
    size = _mp3_frame_size(head[:4])
    if not size:
        return False
    behind = head[size : size + 4]
    if len(behind) < 4:
        return True
    same_stream = (head[1] ^ behind[1]) & 0xFE == 0 and (head[2] ^ behind[2]) & 0x0C == 0
    return same_stream and _mp3_frame_size(behind) > 0


def _mp3_frame_size(header: bytes) -> int:
    """The bytes of a frame by its header; 0 if it is no MPEG layer III frame (AAC and a UTF-16 mark are not)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2 or header[3] & 3 == 2:
        return 0
    version = header[1] >> 3 & 3  # 0 is MPEG 2.5, 1 reserved, 2 MPEG 2, 3 MPEG 1
    bitrate = (_BITRATES_1 if version == 3 else _BITRATES_2)[header[2] >> 4] * 1000
    sample_rate = _SAMPLE_RATES[header[2] >> 2 & 3] >> {0: 2, 2: 1, 3: 0}.get(version, 16)
    if not bitrate or not sample_rate:
        return 0
    return (144 if version == 3 else 72) * bitrate // sample_rate + (header[2] >> 1 & 1)
