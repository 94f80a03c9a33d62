"""Reads the options of speech and pictures; FieldError for a value that is not possible, other options are ignored."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediary.errors import FieldError
from mediary.sounds import FORMATS, SoundFormat

_SMALLEST, _LARGEST = 16, 2048  # pixels
_USUAL = 1024
_MOST_PICTURES = 4
_LARGEST_SEED = 2**63
_STEEPEST = 8.0  # the long side of a picture over its short one


@dataclass(slots=True, frozen=True)
class SpeechOptions:
    """How to speak: `voice` as the request has it, `speed` as a factor."""

    voice: str
    speed: float
    format: SoundFormat


@dataclass(slots=True, frozen=True)
class PictureOptions:
    """What to draw: lengths in pixels; without a seed the prompt is the seed."""

    width: int
    height: int
    seed: int | None
    count: int


def speech_options(options: Mapping[str, Any], usual_voice: str) -> SpeechOptions:
    """`voice` and `format`, also within `audio`, and `speed` from 0.25 to 4 as OpenAI's API has it."""
    audio = options.get("audio")
    asked = {**audio, **options} if isinstance(audio, Mapping) else options
    name = _word(asked, "format", "mp3").lower()
    if name not in FORMATS:
        raise FieldError("format", f"no sound format {name[:50]!r}; there are: {', '.join(FORMATS)}")
    return SpeechOptions(_word(asked, "voice", usual_voice), _number(asked, "speed", 1.0, 0.25, 4.0), FORMATS[name])


def picture_options(options: Mapping[str, Any]) -> PictureOptions:
    """`width` and `height`, else `size` as `512x512`, else `aspect_ratio` as `16:9`; `seed` and `n`."""
    width, height = _usual_size(options)
    if "width" in options or "height" in options:
        width, height = _sides(options, width / height)
    for name, length in (("width", width), ("height", height)):
        if not _SMALLEST <= length <= _LARGEST:
            raise FieldError(name, f"{length} pixels; a picture has from {_SMALLEST} to {_LARGEST} of them a side")
    seed = _whole(options, "seed", -_LARGEST_SEED, _LARGEST_SEED) if "seed" in options else None
    return PictureOptions(width, height, seed, _whole(options, "n", 1, _MOST_PICTURES) if "n" in options else 1)


def _usual_size(options: Mapping[str, Any]) -> tuple[int, int]:
    """What `size` or `aspect_ratio` say, as whole pixels; `auto` is a square."""
    size = _word(options, "size", "auto").lower()
    if size != "auto":
        match = re.fullmatch(r"\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*", size)  # noqa: RUF001
        if match is None or not int(match[1]) * int(match[2]):
            raise FieldError("size", f"{size[:50]!r} is no size; write it as 512x512")
        return int(match[1]), int(match[2])
    shape = _word(options, "aspect_ratio", "auto").lower()
    if shape == "auto":
        return _USUAL, _USUAL
    match = re.fullmatch(r"\s*(\d{1,4}(?:\.\d{1,4})?)\s*[:/]\s*(\d{1,4}(?:\.\d{1,4})?)\s*", shape)
    ratio = float(match[1]) / float(match[2]) if match and float(match[2]) else 0.0
    if not 1 / _STEEPEST <= ratio <= _STEEPEST:
        raise FieldError("aspect_ratio", f"{shape[:50]!r} is no shape from 1:8 to 8:1; write it as 16:9")
    return _fitted(ratio)


def _fitted(ratio: float) -> tuple[int, int]:
    """The sides of a picture of about the usual area, in steps of 8 pixels and within what is drawn."""
    width = min(_LARGEST, _USUAL * math.sqrt(ratio), _LARGEST * ratio)
    return max(8, round(width / 8) * 8), max(8, round(width / ratio / 8) * 8)


def _sides(options: Mapping[str, Any], ratio: float) -> tuple[int, int]:
    """Both sides where one or both are asked for."""
    if "height" not in options:
        width = _whole(options, "width", _SMALLEST, _LARGEST)
        return width, round(width / ratio)
    height = _whole(options, "height", _SMALLEST, _LARGEST)
    if "width" not in options:
        return round(height * ratio), height
    return _whole(options, "width", _SMALLEST, _LARGEST), height


def _word(options: Mapping[str, Any], name: str, usual: str) -> str:
    value = options.get(name, usual)
    if not isinstance(value, str):
        raise FieldError(name, "must be text")
    return value.strip() or usual


def _number(options: Mapping[str, Any], name: str, usual: float, lowest: float, highest: float) -> float:
    value = options.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise FieldError(name, f"must be a number from {lowest:g} to {highest:g}")
    return float(value)


def _whole(options: Mapping[str, Any], name: str, lowest: int, highest: int) -> int:
    value = options[name]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise FieldError(name, f"must be a whole number from {lowest} to {highest}")
    return value
