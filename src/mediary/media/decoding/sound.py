"""What a sound looks like: the cover that comes with it, or its waveform. For child processes."""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

import av
import pyvips
from av.container import InputContainer

from mediary.errors import UnreadableError
from mediary.media.decoding.containers import is_cover, opened
from mediary.media.decoding.pictures import Box, require_size, shrink

_RATE = 8000  # samples a second are enough to see
_BARS = 48
_MOST_SECONDS = 600  # of sound that is read as a whole; a longer one is looked at in places
_MOST_PATIENCE = 8.0
_PLACE_BYTES = _RATE  # half a second
_MOST_FRAMES = 256
_BYTES = 2  # of a sample

_GROUND = (24, 28, 44)
_LEFT, _RIGHT = (94, 234, 212), (129, 140, 248)
_MARGIN = 2  # bars' breadth, left and right
_NO_BAR = -1e6


def cover(path: str, box: Box, max_pixels: int) -> pyvips.Image | None:
    """The cover that comes with a sound, within the box; None if there is none that can be read."""
    with opened(path) as container:
        pictures = [stream for stream in container.streams.video if is_cover(stream)]
        if not pictures:
            return None
        data = bytes(next(container.demux(pictures[:1])))
    try:
        require_size(data, max_pixels)
        return shrink(data, box, max_pixels)
    except UnreadableError:
        return None


def waveform(path: str, box: Box) -> pyvips.Image:
    """A sound as a row of bars, twice as wide as high."""
    with opened(path) as container:
        if not container.streams.audio or not container.streams.audio[0].codec_context:
            raise UnreadableError("no picture and no sound of this file can be read")
        return _draw(_levels(container), box.width)


def _levels(container: InputContainer) -> list[float]:
    """How loud each part of a sound is, from 0 to 1 for the loudest."""
    stream = container.streams.audio[0]
    stream.codec_context.thread_count = 1
    seconds = (container.duration or 0) / av.time_base
    samples = _read_places(container, stream, seconds) if seconds > _MOST_SECONDS else _read(container, stream)
    each = len(samples) // _BYTES // _BARS
    if not each:
        return [0.0] * _BARS
    rows = pyvips.Image.new_from_memory(samples[: each * _BARS * _BYTES], each, _BARS, 1, "short")
    squares = (rows.cast("float") ** 2).project()[1]
    loud = [(squares(0, row)[0] / each) ** 0.5 for row in range(_BARS)]
    loudest = max(loud)
    return [level / loudest if loudest > 1 else 0.0 for level in loud]


def _read(container: InputContainer, stream: av.AudioStream) -> bytes:
    """The samples of a whole sound."""
    samples = bytearray()
    deadline = time.monotonic() + _MOST_PATIENCE
    with suppress(av.FFmpegError):  # cut short: what there is
        for piece in _samples(container, stream):
            samples += piece
            if len(samples) > _MOST_SECONDS * _RATE * _BYTES or time.monotonic() > deadline:
                break
    return bytes(samples)


def _read_places(container: InputContainer, stream: av.AudioStream, seconds: float) -> bytes:
    """Half a second of the sound for each bar; what cannot be read is silent."""
    samples = bytearray()
    deadline = time.monotonic() + _MOST_PATIENCE
    for bar in range(_BARS):
        piece = bytearray()
        if time.monotonic() < deadline:
            with suppress(av.FFmpegError):
                container.seek(int((container.start_time or 0) + seconds * (bar + 0.5) / _BARS * av.time_base))
                for some in islice(_samples(container, stream), _MOST_FRAMES):
                    piece += some
                    if len(piece) >= 2 * _PLACE_BYTES:
                        break
        # The first half is left out: an MP3 is silent until a decoder has what later frames refer to.
        samples += piece[_PLACE_BYTES : 2 * _PLACE_BYTES].ljust(_PLACE_BYTES, b"\0")
    return bytes(samples)


def _samples(container: InputContainer, stream: av.AudioStream) -> Iterator[bytes]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    for frame in container.decode(stream):
        for resampled in resampler.resample(frame):
            yield bytes(resampled.planes[0])[: resampled.samples * _BYTES]


def _draw(levels: list[float], width: int) -> pyvips.Image:
    """Bars with round ends, mirrored on a line, from one colour on the left to another on the right."""
    height = width // 2
    pitch = width / (_BARS + 2 * _MARGIN)
    radius = pitch * 0.3
    reach = height * 0.4 - radius
    halves = [_NO_BAR] * _MARGIN + [reach * level for level in levels] + [_NO_BAR] * _MARGIN
    place = pyvips.Image.xyz(width, height) + 0.5
    column = (place[0] / pitch).floor()
    across = place[0] - (column + 0.5) * pitch
    beyond = (place[1] - height / 2).abs() - column.cast("uchar").maplut(pyvips.Image.new_from_array([halves]))
    beyond = (beyond > 0).ifthenelse(beyond, 0)
    # How far each pixel is from the edge of its bar, so that the edge is smooth.
    bars = (radius + 0.5 - (across**2 + beyond**2) ** 0.5).clamp(min=0, max=1)
    slope = [right - left for left, right in zip(_LEFT, _RIGHT, strict=True)]
    colours = place[0] / width * slope + list(_LEFT)
    return (bars * colours + (1 - bars) * list(_GROUND)).rint().cast("uchar").copy(interpretation="srgb")
