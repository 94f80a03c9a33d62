"""The frame of a video that stands for it: neither black nor blank, upright. For child processes."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
import pyvips
from av.container import InputContainer
from av.video.reformatter import Colorspace

from mediary.media.decoding.containers import is_cover, opened, square
from mediary.media.decoding.pictures import Box
from mediary.media.decoding.probe import require_pixels

_PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where to look first, in parts of the whole length: a title is over by then."""
_STEP = 5
_MOST_FRAMES = 600
_MOST_SECONDS = 4.0
# How much the brightness of a frame must deviate, of 255: to show anything, and to be taken as soon as it is seen.
_VISIBLE, _ENOUGH = 10.0, 30.0
_MORE = 1.1
"""How many times that of the best frame it must be to go on looking: so a fade is followed to its end."""
_SMALL = (64, 36)
_HIGH_DEFINITION = 720  # lines from which on videos that name no colours have those of BT.709
_UNSPECIFIED = 2


def find_frame(path: str, box: Box, max_pixels: int) -> pyvips.Image | None:
    """A frame of a video within the box, the one with most to see of those looked at; None if there is no picture."""
    with opened(path) as container:
        # A codec that FFmpeg does not know has no context.
        streams = [stream for stream in container.streams.video if stream.codec_context and not is_cover(stream)]
        if not streams:
            return None
        stream = streams[0]
        require_pixels(stream.codec_context.width, stream.codec_context.height, max_pixels)
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        best = _best(_key_frames(container, stream))
        if best is None or best.detail < _VISIBLE:
            # Some videos have one key frame alone, and it is black.
            best = _best(_first_frames(container, stream), best)
        return None if best is None else _picture(best.frame, stream.sample_aspect_ratio, box)


@dataclass(slots=True, frozen=True)
class _Seen:
    """A frame, and how much its brightness differs within it: next to nothing where it is black, white or plain."""

    frame: av.VideoFrame
    detail: float


def _best(frames: Iterator[av.VideoFrame], best: _Seen | None = None) -> _Seen | None:
    """The frame with most to see, or the first that will do."""
    for frame in frames:
        seen = _Seen(frame, _detail(frame))
        if best and best.detail >= _ENOUGH and seen.detail < best.detail * _MORE:
            break
        if best is None or seen.detail > best.detail:
            best = seen
    return best


def _key_frames(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """The key frames at several places."""
    deadline = time.monotonic() + _MOST_SECONDS
    known: set[int | None] = set()
    for place in _PLACES if container.duration else ():
        with suppress(av.FFmpegError):  # a file that is cut short, or has no index
            container.seek(int((container.start_time or 0) + (container.duration or 0) * place))
            frame = next(container.decode(stream), None)
            if frame and frame.pts not in known:
                known.add(frame.pts)
                yield frame
        if time.monotonic() > deadline:
            return


def _first_frames(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Every few frames from the start."""
    deadline = time.monotonic() + _MOST_SECONDS
    with suppress(av.FFmpegError):
        container.seek(container.start_time or 0)
        for number, frame in enumerate(container.decode(stream)):
            if number % _STEP == 0:
                yield frame
            if number >= _MOST_FRAMES or time.monotonic() > deadline:
                return


def _detail(frame: av.VideoFrame) -> float:
    small = frame.reformat(*_SMALL, format="gray")
    return float(_image(small, 1).deviate())


def _picture(frame: av.VideoFrame, aspect: Fraction | None, box: Box) -> pyvips.Image:
    """The frame within the box, with square pixels, turned as its container says."""
    turned = frame.rotation % 360
    if turned in (90, 270):
        box = Box(box.height, box.width)
    width, height = box.fit(*square(frame.width, frame.height, aspect))
    colours = Colorspace.ITU709 if frame.colorspace == _UNSPECIFIED and frame.height >= _HIGH_DEFINITION else None
    shown = frame.reformat(width, height, format="rgba", src_colorspace=colours)
    image = _image(shown, 4).extract_band(0, n=3).copy(interpretation="srgb")
    return image.rot(f"d{(360 - turned) % 360}") if turned in (90, 180, 270) else image


def _image(frame: av.VideoFrame, bands: int) -> pyvips.Image:
    """A frame as a picture; its rows are padded in memory."""
    plane = frame.planes[0]
    padded = pyvips.Image.new_from_memory(bytes(plane), plane.line_size // bands, frame.height, bands, "uchar")
    return padded.crop(0, 0, frame.width, frame.height)
