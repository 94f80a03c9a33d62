"""Speech that comes as bare samples, in pieces: gathered, and made a WAV file."""

import base64
import binascii
import re
import wave
from io import BytesIO

from mediary.errors import ProviderError

MAX_SOUND = 256 * 1024 * 1024
"""Bytes of speech in one answer."""
RATE = 24_000
"""Samples a second, where the type does not say."""

_rate = re.compile(r"rate=([1-9]\d{3,5})")


def is_samples(media_type: str) -> bool:
    """Whether a type is that of bare samples, such as `audio/L16;codec=pcm;rate=24000`."""
    return media_type.casefold().startswith(("audio/l16", "audio/pcm", "audio/raw"))


class Samples:
    """Mono 16-bit samples of one answer; little-endian, whatever the type says."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._rate = RATE

    def __bool__(self) -> bool:
        return bool(self._data)

    def add(self, provider: str, media_type: str, coded: str) -> None:
        """The next piece, in base64."""
        try:
            self._data += base64.b64decode(coded, validate=True)
        except (binascii.Error, ValueError):
            raise ProviderError(f"{provider}: sent sound that is no base64") from None
        if len(self._data) > MAX_SOUND:
            raise ProviderError(f"{provider}: sent more than {MAX_SOUND} bytes of sound in one answer")
        if found := _rate.search(media_type):
            self._rate = int(found[1])

    def as_wav(self) -> bytes:
        """All of it as a file."""
        file = BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(self._rate)
            writer.writeframes(self._data)
        return file.getvalue()
