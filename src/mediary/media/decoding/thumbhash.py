"""ThumbHash: what a picture looks like in some 25 bytes, for a page to show before the picture is there.

The format is Evan Wallace's; `thumbhash` on PyPI writes it too, but for a picture with transparency it fails.
"""

import math
from collections.abc import Iterable, Sequence
from operator import mul

Channel = Sequence[float]
Shapes = tuple[float, list[float], float]
"""A channel as its average, its cosines between 0 and 1, and what these are to be scaled by."""


def thumb_hash(width: int, height: int, rgba: bytes) -> bytes:
    """The hash of a picture of at most 100 by 100 pixels, whose alpha is not premultiplied."""
    red, green, blue, alpha = ([value / 255 for value in rgba[band::4]] for band in range(4))
    covered = sum(alpha)
    transparent = covered < width * height
    if transparent:  # on its own average colour
        red, green, blue = (_flatten(channel, alpha, covered) for channel in (red, green, blue))
    bright = [(r + g + b) / 3 for r, g, b in zip(red, green, blue, strict=True)]
    yellow = [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)]
    reddish = [r - g for r, g in zip(red, green, strict=True)]

    most = 5 if transparent else 7
    columns = max(1, round(most * width / max(width, height)))
    rows = max(1, round(most * height / max(width, height)))
    light = _shapes(bright, width, max(3, columns), max(3, rows))
    colours = [_shapes(channel, width, 3, 3) for channel in (yellow, reddish)]
    (p_mean, p, p_scale), (q_mean, q, q_scale) = colours
    landscape = width > height
    first = (
        round(63 * light[0])
        | round(31.5 + 31.5 * p_mean) << 6
        | round(31.5 + 31.5 * q_mean) << 12
        | round(31 * light[2]) << 18
        | transparent << 23
    )
    second = (rows if landscape else columns) | round(63 * p_scale) << 3 | round(63 * q_scale) << 9 | landscape << 15
    head = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    cosines = [*light[1], *p, *q]
    if transparent:
        mean, a, scale = _shapes(alpha, width, 5, 5)
        head += bytes([round(15 * mean) | round(15 * scale) << 4])
        cosines += a
    return head + _nibbles(round(15 * value) for value in cosines)


def _flatten(channel: Channel, alpha: Channel, covered: float) -> list[float]:
    mean = sum(map(mul, channel, alpha)) / covered if covered else 0.0
    return [mean * (1 - cover) + value * cover for value, cover in zip(channel, alpha, strict=True)]


def _shapes(channel: Channel, width: int, columns: int, rows: int) -> Shapes:
    """The coarsest shapes of a channel: cosines in both directions, the finest corner left out."""
    height = len(channel) // width
    across = _cosines(width, columns)
    down = _cosines(height, rows)
    lines = [channel[start : start + width] for start in range(0, len(channel), width)]
    sums = [[sum(map(mul, line, wave)) for line in lines] for wave in across]
    values = [
        sum(map(mul, sums[column], down[row])) / len(channel)
        for row in range(rows)
        for column in range(columns)
        if column * rows < columns * (rows - row)
    ]
    mean, *others = values
    scale = max(map(abs, others), default=0.0)
    return mean, [0.5 + 0.5 / scale * value if scale else value for value in others], scale


def _cosines(samples: int, count: int) -> list[list[float]]:
    return [[math.cos(math.pi / samples * n * (at + 0.5)) for at in range(samples)] for n in range(count)]


def _nibbles(values: Iterable[int]) -> bytes:
    """Two numbers of four bits in each byte, the first in the low ones."""
    numbers = list(values)
    numbers += [0] * (len(numbers) % 2)
    return bytes(low | high << 4 for low, high in zip(numbers[::2], numbers[1::2], strict=True))
