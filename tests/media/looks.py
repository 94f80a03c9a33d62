"""Pictures, videos and sounds that are hard to show right, and what is seen in a thumbnail of them."""

import io
import struct
import zlib
from collections.abc import Iterable
from fractions import Fraction

import av
import pyvips

RED, GREEN, BLUE, WHITE, BLACK, GREY = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (128, 128, 128),
)
Colour = tuple[float, ...]


def plain(colour: Colour, width: int = 64, height: int = 48) -> pyvips.Image:
    """One colour."""
    return (pyvips.Image.black(width, height) + list(colour)).cast("uchar").copy(interpretation="srgb")


def quarters(width: int = 80, height: int = 40) -> pyvips.Image:
    """Red and green above blue and white."""
    four = [plain(colour, width // 2, height // 2) for colour in (RED, GREEN, BLUE, WHITE)]
    return pyvips.Image.arrayjoin(four, across=2)


def corners(data: bytes) -> list[Colour]:
    """The colours in the four quarters of a picture: above from left to right, then below."""
    image = pyvips.Image.new_from_buffer(data, "")
    return [tuple(image(image.width * x // 4, image.height * y // 4)) for y in (1, 3) for x in (1, 3)]


def centre(data: bytes) -> Colour:
    """The colour in the middle of a picture."""
    image = pyvips.Image.new_from_buffer(data, "")
    return tuple(image(image.width // 2, image.height // 2))


def size(data: bytes) -> tuple[int, int]:
    """Width and height of a picture."""
    image = pyvips.Image.new_from_buffer(data, "")
    return image.width, image.height


def alike(seen: Iterable[float], meant: Iterable[float], tolerance: float = 12) -> bool:
    """Whether two colours are the same to the eye."""
    return all(abs(one - other) <= tolerance for one, other in zip(seen, meant, strict=True))


def with_profile(image: pyvips.Image, profile: bytes) -> pyvips.Image:
    """The picture, whose numbers mean what this ICC profile says."""
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def adobe_rgb() -> bytes:
    """The ICC profile of Adobe RGB (1998), written out: three colorants as seen under D50, and one gamma."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    gamma = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(2.19921875 * 256), 0)
    text = b"text\0\0\0\0made for a test\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", 10) + b"Adobe RGB\0" + bytes(78 + 2)
    tags = {
        b"desc": described,
        b"cprt": text,
        b"wtpt": xyz(0.95045, 1.0, 1.08905),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma),
    }
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += padded
    whole = struct.pack(">I", len(tags)) + table + body
    header = struct.pack(">I4xI4s4s4s", 128 + len(whole), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + whole


# Claims of size


def claiming_png(width: int, height: int) -> bytes:
    """A PNG of this size, with a few of its rows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def claiming_gif(width: int, height: int) -> bytes:
    """A GIF of this size with one frame, which ends at once."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff\xff\xff"
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\0;"


def claiming_webp(width: int, height: int) -> bytes:
    """A WebP whose canvas has this size, with nothing on it."""
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    canvas += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas


def claiming_jpeg(width: int, height: int) -> bytes:
    """A JPEG of this size, whose scan ends early."""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    return b"\xff\xd8" + frame + b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0" + bytes(100) + b"\xff\xd9"


# Videos and sounds


def video(
    frames: Iterable[pyvips.Image],
    container: str = "mp4",
    codec: str = "libx264",
    *,
    key_every: int = 12,
    aspect: int = 1,
) -> bytes:
    """A video of these pictures, 24 a second; `aspect` is how many times as wide as high their pixels are."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=24, options={"g": str(key_every)})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        for image in frames:
            if not stream.codec_context.is_open:
                stream.width, stream.height = image.width, image.height
            data = bytes(image.bandjoin(255).write_to_memory())
            frame = av.VideoFrame.from_bytes(data, image.width, image.height, format="rgba")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def turned(mp4: bytes) -> bytes:
    """The MP4 with the word in its track that it is to be shown turned by 90 degrees, clockwise."""
    at = mp4.index(b"tkhd") + 4 + 40
    matrix = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    return mp4[:at] + matrix + mp4[at + len(matrix) :]


def sound(loudness: Iterable[float], container: str = "mp3", codec: str = "libmp3lame", second: int = 44_100) -> bytes:
    """A tone that for a second each is so loud, from 0 to 1."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=second, layout="mono")
        fifo = av.AudioFifo()
        for loud in loudness:
            wave = (pyvips.Image.identity(ushort=True, size=second) * 360 * 441 / second).sin() * (32_000 * loud)
            samples = av.AudioFrame(format="s16", layout="mono", samples=second)
            samples.planes[0].update(
                bytes(wave.cast("short").write_to_memory()).ljust(samples.planes[0].buffer_size, b"\0")
            )
            samples.sample_rate = second
            fifo.write(samples)
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=second)
        while piece := fifo.read(stream.frame_size or 1024, partial=True):
            piece.pts = None
            for frame in resampler.resample(piece):
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def with_cover(mp3: bytes, cover: bytes) -> bytes:
    """The MP3 behind an ID3 tag with this picture."""
    frame = b"\0image/png\0\x03\0" + cover
    tag = b"APIC" + struct.pack(">I", len(frame)) + b"\0\0" + frame
    count = len(tag)
    safe = bytes((count >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + safe + tag + mp3
