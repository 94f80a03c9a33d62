"""Sounds by the names that the wire has for their formats, and bare samples as a WAV file."""

import struct

PCM_RATE = 24_000
"""Samples a second that services of the OpenAI kind send."""

SOUND_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def as_wav(samples: bytes, rate: int = PCM_RATE) -> bytes:
    """Mono 16-bit little-endian samples as a WAV file; a WAV file that was streamed gets its right sizes."""
    if samples[:4] == b"RIFF" and samples[8:12] == b"WAVE":
        return _resized(samples)
    size = len(samples)
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size
    )
    return header + samples


def _resized(wav: bytes) -> bytes:
    """The file with sizes that fit: who streams does not know them and writes 0 or the largest number."""
    fixed = bytearray(wav)
    struct.pack_into("<I", fixed, 4, len(wav) - 8)
    place = 12
    while place + 8 <= len(wav):
        name, size = struct.unpack_from("<4sI", wav, place)
        if name == b"data":
            left = len(wav) - place - 8
            if size > left or size == 0:
                struct.pack_into("<I", fixed, place + 4, left)
            break
        place += 8 + size + size % 2
    return bytes(fixed)
