"""What FFmpeg's libraries read in the headers of sounds and videos. For child processes."""

from contextlib import suppress
from dataclasses import dataclass

import av
from av.container import InputContainer

from mediary.media.decoding.chunks import MAX_TEXT, MAX_TEXTS
from mediary.media.decoding.containers import is_cover, opened, square

MAX_SIDE = 2**31
"""Pixels from which on a width or height is none."""


@dataclass(slots=True, frozen=True)
class Played:
    """Seconds, pixels as they are shown, whether there is nothing to see, and the texts by their keywords."""

    duration: float | None
    size: tuple[int, int] | None
    only_sound: bool
    texts: dict[str, str]


def read_played(path: str, max_pixels: int) -> Played:
    """What the headers of a sound or a video tell; UnreadableError if FFmpeg finds neither in it."""
    with opened(path) as container:
        length = container.duration
        return Played(
            length / av.time_base if length and length > 0 else None,
            _size(container, max_pixels),
            all(map(is_cover, container.streams.video)),
            _texts(container),
        )


def _texts(container: InputContainer) -> dict[str, str]:
    """The texts of the file and of its streams: Ogg keeps them with the stream."""
    found: dict[str, str] = {}
    left = MAX_TEXTS
    for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
        for keyword, text in metadata.items():
            if len(text) <= min(MAX_TEXT, left):
                found.setdefault(keyword.lower(), text)
                left -= len(text)
    return found


def _size(container: InputContainer, max_pixels: int) -> tuple[int, int] | None:
    """Width and height of a video with square pixels and upright; None if there is no picture but a cover."""
    stream = next((stream for stream in container.streams.video if not is_cover(stream)), None)
    if stream is None or not stream.codec_context:  # a codec that FFmpeg does not know
        return None
    width, height = square(stream.codec_context.width, stream.codec_context.height, stream.sample_aspect_ratio)
    if width * height <= max_pixels and _turned(container, stream):
        width, height = height, width
    return (width, height) if 0 < max(width, height) < MAX_SIDE else None


def _turned(container: InputContainer, stream: av.VideoStream) -> bool:
    """Whether the first frame is to be turned by a quarter: no header that PyAV shows tells it."""
    stream.codec_context.thread_count = 1
    with suppress(av.FFmpegError):
        frame = next(container.decode(stream), None)
        return frame is not None and frame.rotation % 180 == 90
    return False
