"""What requests say of the shape of pictures, as numbers."""

import re
from math import sqrt
from typing import Any

from mediary.errors import FieldError
from mediary.providers.base import Image, TurnRequest

MAX_SIDE = 65_536
"""Pixels that a side may have at most: more is no picture."""


_SIZES = {
    "dall-e-2": ((1024, 1024),),
    "dall-e-3": ((1024, 1024), (1792, 1024), (1024, 1792)),
    "gpt-image": ((1024, 1024), (1536, 1024), (1024, 1536)),
}


def originals(request: TurnRequest) -> list[Image]:
    """The pictures of the user's last message: what a new picture or video is made from."""
    last = next((message for message in reversed(request.messages) if message.role == "user"), None)
    return [part for part in last.parts if isinstance(part, Image)] if last else []


def picture_size(model: str, options: dict[str, Any]) -> str | None:
    """`size` for a picture out of `width`, `height`, `size` and `aspect_ratio`; None leaves it to the service.

    Width and height are taken at their word, and so is a size. An aspect ratio becomes the nearest size that the model
    is known to make, else about a megapixel in steps of 16.
    """
    size, ratio = options.get("size"), ratio_of(options.get("aspect_ratio"))
    if not (options.get("width") or options.get("height")):
        if size:
            return str(size)
        for known, sizes in _SIZES.items() if ratio else ():
            if known in model:
                width, height = min(sizes, key=lambda sides: abs(sides[0] / sides[1] - (ratio or 1.0)))
                return f"{width}x{height}"
    found = sides(options)
    return f"{found[0]}x{found[1]}" if found else None


def sides(options: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height out of `width`, `height`, `size` and `aspect_ratio`; None where nothing is said.

    Width and height are taken at their word, and so is a size. An aspect ratio alone becomes about a megapixel, in
    steps of 16. FieldError for a side that is too long.
    """
    width, height = (_side(options, name) for name in ("width", "height"))
    named = _sides_of(options.get("size"))
    ratio = named[0] / named[1] if named else ratio_of(options.get("aspect_ratio"))
    if width:
        return width, height or round(width / (ratio or 1.0))
    if height:
        return round(height * (ratio or 1.0)), height
    if named or ratio is None:
        return named
    return _step(1024 * sqrt(ratio)), _step(1024 / sqrt(ratio))


def ratio_of_size(size: str | None) -> float | None:
    """The aspect ratio of a size that is written as `1024x768`."""
    found = _sides_of(size)
    return ratio_of(f"{found[0]}:{found[1]}") if found else None


def ratio_of(said: Any) -> float | None:
    """`16:9` (or `16/9`, `1.78`) as a number; None for what is no ratio."""
    try:
        width, _, height = str(said).replace("/", ":").partition(":")
        ratio = float(width) / float(height or 1)
    except (ValueError, ZeroDivisionError):
        return None
    return ratio if 0.05 <= ratio <= 20 else None


def _side(options: dict[str, Any], name: str) -> int | None:
    side: int | None = options.get(name)
    if side and side > MAX_SIDE:
        raise FieldError(name, f"must be {MAX_SIDE} at most")
    return side


def _sides_of(size: str | None) -> tuple[int, int] | None:
    found = re.fullmatch(r"\s*([1-9]\d{0,4})\s*x\s*([1-9]\d{0,4})\s*", size or "", re.IGNORECASE)
    return (int(found[1]), int(found[2])) if found else None


def _step(length: float) -> int:
    return max(16, round(length / 16) * 16)
