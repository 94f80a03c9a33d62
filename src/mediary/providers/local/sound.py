"""Turns samples into a sound file, piece by piece: MP3 and Ogg/Opus with PyAV, WAV with the standard library."""

import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, cast

from mediary.errors import NoSpaceError, TooLargeError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream

_WAV_LIMIT = 2**32 - 1024  # bytes; the sizes in a WAV file have 32 bits
_READ_SIZE = 256 * 1024


class Encoder(Protocol):
    """Encodes 16-bit mono samples into a file, piece by piece; a context manager that frees what it holds."""

    def encode(self, samples: bytes) -> bytes:
        """Add samples; the bytes that are ready, maybe none."""
        ...

    def finish(self) -> Iterator[bytes]:
        """The rest of the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(slots=True, frozen=True)
class _Codec:
    """FFmpeg's container and encoder with its options, sample rate in Hz, bits a second."""

    container: str
    encoder: str
    rate: int
    bit_rate: int
    options: dict[str, str]


# A robot's voice gains nothing from a slow search: so MP3 takes half the time of the default, Opus a sixth.
_MP3 = _Codec("mp3", "libmp3lame", 22050, 64_000, {"compression_level": "7"})
_OPUS = _Codec("ogg", "libopus", 24000, 32_000, {"compression_level": "3", "frame_duration": "60"})


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


class _Compressed:
    """A container that needs no length at its front, so that it can be sent while it is made."""

    def __init__(self, codec: _Codec, rate: int) -> None:
        import av  # FFmpeg's libraries: 40 MB that only speech needs

        self._frame_class = av.AudioFrame
        self._sink = _Sink()
        self._rate = rate
        self._position = 0
        self._container = av.open(self._sink, "w", format=codec.container, container_options={"fflags": "+bitexact"})
        stream = self._container.add_stream(codec.encoder, rate=codec.rate, layout="mono", options=codec.options)
        self._stream = cast("AudioStream", stream)
        self._stream.bit_rate = codec.bit_rate

    def encode(self, samples: bytes) -> bytes:
        """Add samples; the bytes that are ready, maybe none."""
        if samples:
            self._container.mux(self._stream.encode(self._frame(samples)))
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


@dataclass(slots=True, frozen=True)
class SoundFormat:
    """A kind of sound file; `encoder` makes an encoder for samples of a rate in Hz."""

    media_type: str
    encoder: Callable[[int], Encoder]


FORMATS = {
    "mp3": SoundFormat("audio/mpeg", partial(_Compressed, _MP3)),
    "opus": SoundFormat("audio/opus", partial(_Compressed, _OPUS)),
    "wav": SoundFormat("audio/wav", _Wav),
}
