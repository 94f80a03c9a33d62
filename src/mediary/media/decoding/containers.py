"""Opens sounds and videos for reading, by the format that their bytes have and no other. For child processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition

from mediary.errors import UnreadableError
from mediary.formats import FLAC, M4A, MKV, MP3, MP4, OGG, OPUS, SNIFF_BYTES, WAV, WEBM, require_format
from mediary.media.decoding.untrusted import open_bytes

# FFmpeg left to itself would find a playlist in some bytes, and fetch what that names.
_DEMUXERS = {
    WAV: "wav",
    MP3: "mp3",
    FLAC: "flac",
    OPUS: "ogg",
    OGG: "ogg",
    M4A: "mp4",
    MKV: "matroska",
    WEBM: "matroska",
    MP4: "mp4",
}
_LOCAL = {"protocol_whitelist": "file", "enable_drefs": "0"}


@contextmanager
def opened(path: str) -> Iterator[InputContainer]:
    """A sound or a video; UnreadableError if FFmpeg finds none, or fails in the block."""
    with open_bytes(path) as file:
        found = require_format(file.head[:SNIFF_BYTES])
    if found not in _DEMUXERS:
        raise UnreadableError("this is neither a sound nor a video")
    try:
        with av.open(path, format=_DEMUXERS[found], options=_LOCAL, metadata_errors="replace") as container:
            yield container
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise UnreadableError("this file cannot be played: its bytes are damaged or incomplete") from error


def is_cover(stream: av.VideoStream) -> bool:
    """Whether this is no video but a picture that comes with a sound."""
    return bool(stream.disposition & Disposition.attached_pic)


def square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size that a frame is shown in, whose pixels are `aspect` times as wide as high; no side gets shorter."""
    if not aspect or aspect < 0:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
