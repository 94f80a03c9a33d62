"""Turns samples into a sound file, piece by piece: WAV with the standard library, all others with PyAV."""

import os
import struct
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, cast

from mediary.errors import NoSpaceError, TooLargeError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream

_FRONT = 64
"""Bytes in which the length of a file stands."""
_OPEN = 2**32 - 1  # what stands for a size that is not known yet
_WAV_LIMIT = 2**32 - 1024  # bytes; the sizes in a WAV file have 32 bits
_READ_SIZE = 256 * 1024
_AT_ONCE = 16 * 1024
"""Bytes of samples that FFmpeg is given at once: of each it makes several copies, some of them as long numbers."""


class Encoder(Protocol):
    """Encodes 16-bit mono samples into a file, piece by piece; a context manager that frees what it holds."""

    def encode(self, samples: bytes) -> bytes:
        """Add samples; the bytes that are ready, maybe none."""
        ...

    def finish(self) -> Iterator[bytes]:
        """The rest of the file."""
        ...

    @property
    def beginning(self) -> bytes:
        """What belongs into the first bytes instead, once the length is known: those were sent long before."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(slots=True, frozen=True)
class _Codec:
    """FFmpeg's container and encoder with its options; sample rates in Hz, the usual one first; bits a second.

    Without rates it takes any. `sized` if the length stands at the front of the file.
    """

    container: str
    encoder: str
    rates: tuple[int, ...]
    bit_rate: int | None
    options: dict[str, str]
    muxing: dict[str, str] = field(default_factory=dict)
    sized: bool = False

    def rate(self, given: int) -> int:
        """The rate for samples of that one."""
        return given if given in self.rates or not self.rates else self.rates[0]


# A voice gains nothing from a slow search: so MP3 takes half the time of the default, Opus a sixth.
_MP3 = _Codec("mp3", "libmp3lame", (22050, 16000, 24000, 32000, 44100, 48000), 64_000, {"compression_level": "7"})
_OPUS = _Codec(
    "ogg",
    "libopus",
    (24000, 48000, 16000),
    32_000,
    {"compression_level": "3", "frame_duration": "60"},
    {"page_duration": "240000"},  # microseconds: a page of the usual second is heard a second late
)
_AAC = _Codec("adts", "aac", (24000, 22050, 16000, 32000, 44100, 48000), 64_000, {})
_FLAC = _Codec("flac", "flac", (), None, {}, sized=True)


class _Sink:
    """A file object that FFmpeg writes to; `take` gives what was written since the last call."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


class _SizedSink(_Sink):
    """The same for a format whose front is written anew at the end: `front` are its first bytes as they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.front = bytearray()
        self._size = 0
        self._position = 0

    def write(self, data: bytes) -> int:
        if self._position < self._size:
            self.front[self._position : self._position + len(data)] = data
            self._position += len(data)
            return len(data)
        if len(self.front) < _FRONT:
            self.front += data[: _FRONT - len(self.front)]
        self._size += len(data)
        self._position = self._size
        return super().write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        return self._position


class _Compressed:
    """A container that needs no length at its front, so that it can be sent while it is made."""

    def __init__(self, codec: _Codec, rate: int) -> None:
        import av  # FFmpeg's libraries: 40 MB that only speech needs

        self._frame_class = av.AudioFrame
        self._sink = _SizedSink() if codec.sized else _Sink()
        self._rate = rate
        self._position = 0
        muxing = codec.muxing | {"fflags": "+bitexact"}
        self._container = av.open(self._sink, "w", format=codec.container, container_options=muxing)
        stream = self._container.add_stream(codec.encoder, rate=codec.rate(rate), layout="mono", options=codec.options)
        self._stream = cast("AudioStream", stream)
        if codec.bit_rate:
            self._stream.bit_rate = codec.bit_rate

    def encode(self, samples: bytes) -> bytes:
        """Add samples; the bytes that are ready, maybe none."""
        for start in range(0, len(samples), _AT_ONCE):
            self._container.mux(self._stream.encode(self._frame(samples[start : start + _AT_ONCE])))
        return self._sink.take()

    def _frame(self, samples: bytes) -> "AudioFrame":
        frame = self._frame_class(format="s16", layout="mono", samples=len(samples) // 2)
        frame.planes[0].update(samples)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._position
        self._position += frame.samples
        return frame

    def finish(self) -> Iterator[bytes]:
        """The rest of the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        yield self._sink.take()

    @property
    def beginning(self) -> bytes:
        """What belongs into the first bytes instead."""
        return bytes(self._sink.front) if isinstance(self._sink, _SizedSink) else b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()


class _Wav:
    """WAV says its length at the front, so the samples wait in a file without a name until all are there."""

    def __init__(self, rate: int) -> None:
        # Both live until the encoder's block ends.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115
        self._wave.setparams((1, 2, rate, 0, "NONE", ""))
        self._size = 0

    def encode(self, samples: bytes) -> bytes:
        """Add samples; nothing is ready before the end."""
        self._size += len(samples)
        if self._size > _WAV_LIMIT:
            raise TooLargeError("a WAV file ends at 4 GiB; ask for mp3 or opus")
        try:
            self._wave.writeframesraw(samples)
        except OSError as error:
            raise NoSpaceError("no space for the sound while it is made") from error
        return b""

    def finish(self) -> Iterator[bytes]:
        """The whole file."""
        self._wave.close()  # writes the sizes; the file stays open, for it was given open
        self._file.seek(0)
        while data := self._file.read(_READ_SIZE):
            yield data

    @property
    def beginning(self) -> bytes:
        """Nothing is to be mended: it was made as a whole."""
        return b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class _Plain:
    """Samples as they are, behind a front that says how many there are; or without any."""

    def __init__(self, rate: int, front: "Callable[[int, int], bytes] | None" = None) -> None:
        self._rate = rate
        self._front = front
        self._size = 0
        self._begun = front is None

    def encode(self, samples: bytes) -> bytes:
        """The samples, the first ones behind a front that leaves the size open."""
        self._size += len(samples)
        if self._front and self._size > _WAV_LIMIT:
            raise TooLargeError("a WAV file ends at 4 GiB; ask for mp3 or opus")
        if self._begun or self._front is None:
            return samples
        self._begun = True
        return self._front(self._rate, _OPEN) + samples

    def finish(self) -> Iterator[bytes]:
        """Nothing more."""
        yield from ()

    @property
    def beginning(self) -> bytes:
        """The front with the size in it."""
        return self._front(self._rate, self._size) if self._front else b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


def wav_front(rate: int, size: int) -> bytes:
    """The header of a WAV file with `size` bytes of mono 16-bit samples."""
    whole = size if size == _OPEN else size + 36
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size
    )


@dataclass(slots=True, frozen=True)
class SoundFormat:
    """A kind of sound file: `encoder` makes an encoder for samples of a rate in Hz.

    `streamed` makes one that keeps nobody waiting: where the length belongs to the front of the file it is left open
    there, and is told by `beginning` in the end.
    """

    media_type: str
    encoder: Callable[[int], Encoder]
    streamed: Callable[[int], Encoder]
    extension: str


def _compressed(media_type: str, codec: _Codec, extension: str) -> SoundFormat:
    encoder = partial(_Compressed, codec)
    return SoundFormat(media_type, encoder, encoder, extension)


FORMATS = {
    "mp3": _compressed("audio/mpeg", _MP3, ".mp3"),
    "opus": _compressed("audio/opus", _OPUS, ".ogg"),
    "wav": SoundFormat("audio/wav", _Wav, partial(_Plain, front=wav_front), ".wav"),
    "flac": _compressed("audio/flac", _FLAC, ".flac"),
    "aac": _compressed("audio/aac", _AAC, ".aac"),
}
SAMPLES = SoundFormat("audio/pcm", _Plain, _Plain, ".pcm")
"""The samples themselves."""
