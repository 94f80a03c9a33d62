"""What requests say of a video: how long it is, and its shape."""

import re
from math import log
from typing import Any

from mediary.providers.http.pictures import ratio_of, sides

_NAMED = re.compile(r"\d{3,4}p|\d{1,2}k", re.IGNORECASE)
_USUAL_SIDE = 720
_RESOLUTIONS = {480: "480p", 720: "720p", 1080: "1080p", 2160: "4k"}


def length_of(options: dict[str, Any]) -> str | None:
    """`seconds`, or `duration` as some clients say, as a number is written; None leaves it to the service."""
    said = options.get("seconds") or options.get("duration")
    return f"{said:g}" if said else None


def pixels_of(options: dict[str, Any], sizes: tuple[tuple[int, int], ...] = ()) -> str | None:
    """`1280x720` out of `width`, `height`, `size` and `aspect_ratio`; None leaves it to the service.

    An aspect ratio becomes the nearest of the `sizes` that there are; where they are not known, its shorter side is as
    long as most services have it. A size with a name such as `720p` is said as it is.
    """
    size, ratio = options.get("size"), ratio_of(options.get("aspect_ratio"))
    if size and _NAMED.fullmatch(size):
        return str(size)
    if not size and ratio and not (options.get("width") or options.get("height")):
        if sizes:
            width, height = min(sizes, key=lambda sides: abs(log(sides[0] / sides[1] / ratio)))
            return f"{width}x{height}"
        return f"{_even(max(1.0, ratio))}x{_even(max(1.0, 1 / ratio))}"
    found = sides(options)
    return f"{found[0]}x{found[1]}" if found else (str(size) if size else None)


def shape_of(options: dict[str, Any], shapes: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The aspect ratio and the resolution (`720p`), for services that want both by name; None where nothing is said.

    Sides in pixels become the nearest of the `shapes` and of the usual resolutions; names are taken at their word.
    """
    ratio, size = options.get("aspect_ratio"), options.get("size")
    if size and _NAMED.fullmatch(size):
        return ratio, size.lower()
    found = sides({name: value for name, value in options.items() if name != "aspect_ratio" or _one_side(options)})
    if found is None:
        return ratio, None
    width, height = found
    nearest = min(shapes, key=lambda shape: abs(log((ratio_of(shape) or 1.0) * height / width)))
    return nearest, _RESOLUTIONS[min(_RESOLUTIONS, key=lambda side: abs(log(side / min(found))))]


def _one_side(options: dict[str, Any]) -> bool:
    return bool(options.get("width")) != bool(options.get("height"))


def _even(factor: float) -> int:
    return round(_USUAL_SIDE * factor / 16) * 16
