"""Real media files, made by libvips and FFmpeg's libraries."""

import io
from functools import cache

import av
import pyvips


@cache
def picture(suffix: str = ".png", width: int = 64, height: int = 48, **options: object) -> bytes:
    """A picture with some noise in it."""
    noise = pyvips.Image.gaussnoise(width, height, mean=128, sigma=40).cast("uchar")
    return noise.bandjoin([noise, noise]).copy(interpretation="srgb").write_to_buffer(suffix, **options)


@cache
def sound(container: str, codec: str, rate: int = 48_000) -> bytes:
    """A tenth of a second of silence."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo", options={"strict": "experimental"})
        frame = av.AudioFrame(format=stream.format.name, layout="stereo", samples=4800)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate = rate
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@cache
def video(container: str, codec: str) -> bytes:
    """Three black frames."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
