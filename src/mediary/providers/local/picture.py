"""Draws a landscape that a prompt and a seed determine: a stand-in where no picture model is set up.

It shows nothing of what the prompt says; the same prompt and seed give the same picture.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from random import Random
from typing import cast

Colour = tuple[float, float, float]  # hue in degrees, saturation and lightness in percent


@dataclass(slots=True, frozen=True)
class Palette:
    """The colours of an hour: the sky from top to bottom, its light, the land far away and near, and water."""

    top: Colour
    middle: Colour
    bottom: Colour
    light: Colour
    far: Colour
    near: Colour
    water: Colour
    stars: bool = field(default=False, kw_only=True)

    def turned(self, degrees: float) -> "Palette":
        """The same hour with every hue moved round the circle."""
        colours = (self.top, self.middle, self.bottom, self.light, self.far, self.near, self.water)
        return Palette(*(_turned(colour, degrees) for colour in colours), stars=self.stars)


# fmt: off
PALETTES = (
    # sunset, morning, night, dusk, mist, dawn, desert
    Palette((214, 62, 40), (30, 78, 68), (14, 88, 62), (46, 100, 84), (350, 34, 56), (262, 42, 15), (236, 30, 40)),
    Palette((206, 76, 56), (199, 74, 74), (40, 72, 90), (50, 100, 92), (196, 36, 66), (152, 46, 20), (204, 64, 46)),
    Palette((234, 56, 11), (242, 48, 22), (264, 42, 36), (48, 60, 90), (248, 34, 30), (240, 50, 7), (240, 46, 20),
            stars=True),
    Palette((278, 44, 32), (326, 58, 58), (24, 92, 74), (40, 100, 88), (300, 30, 52), (276, 50, 14), (284, 40, 38)),
    Palette((186, 48, 46), (172, 42, 72), (58, 60, 88), (54, 92, 94), (180, 28, 62), (198, 56, 16), (186, 44, 42)),
    Palette((222, 50, 24), (196, 52, 42), (150, 40, 60), (120, 60, 88), (190, 36, 38), (220, 56, 9), (202, 54, 28),
            stars=True),
    Palette((24, 66, 58), (34, 84, 72), (46, 90, 84), (52, 100, 94), (16, 48, 58), (8, 52, 20), (190, 36, 46)),
)
# fmt: on


def draw(prompt: str, seed: int | None, width: int, height: int, number: int = 0) -> bytes:
    """The picture as PNG; `number` tells apart the pictures of one request."""
    import pyvips  # libvips with librsvg: 30 MB that only who draws pays for

    pyvips.cache_set_max(0)  # no two drawings share a step: libvips's cache would only hold memory

    picture = pyvips.Image.svgload_buffer(scene(prompt, seed, width, height, number).encode(), access="sequential")
    return cast(bytes, picture.flatten().pngsave_buffer(compression=6, keep="none"))


def scene(prompt: str, seed: int | None, width: int, height: int, number: int = 0) -> str:
    """The same as SVG. Picture `number` of a seed is picture 0 of the seed that much higher."""
    key = f"{prompt}\0{number}" if seed is None else f"{prompt}\0{seed + number}\0seed"
    random = Random(sha256(key.encode("utf-8", "replace")).digest())  # noqa: S311 - a drawing, no secret
    return _Scene(random, width, height).svg()


def _css(colour: Colour) -> str:
    hue, saturation, lightness = colour
    return f"hsl({hue % 360:.1f},{min(100, max(0, saturation)):.1f}%,{min(100, max(0, lightness)):.1f}%)"


def _turned(colour: Colour, degrees: float) -> Colour:
    hue, saturation, lightness = colour
    return (hue + degrees, saturation, lightness)


def _between(one: Colour, other: Colour, part: float) -> Colour:
    """A colour on the way from one to another, the short way round the circle of hues."""
    turn = (other[0] - one[0] + 180) % 360 - 180
    return (one[0] + turn * part, one[1] + (other[1] - one[1]) * part, one[2] + (other[2] - one[2]) * part)


class _Scene:
    """One drawing. Lengths are in pixels of the picture; `unit` is its shorter side."""

    def __init__(self, random: Random, width: int, height: int) -> None:
        self.random = random
        self.width = width
        self.height = height
        self.unit = min(width, height)
        self.palette = random.choice(PALETTES).turned(random.uniform(-14, 14))
        self.horizon = height * random.uniform(0.5, 0.66)
        self.sun = (width * random.uniform(0.18, 0.82), self.horizon - height * random.uniform(0.08, 0.36))
        self.sun_size = self.unit * random.uniform(0.055, 0.12)

    def svg(self) -> str:
        """The whole drawing, back to front."""
        ground = self.random.choice((self._hills, self._mountains, self._sea, self._dunes))
        layers = (*self._sky(), *self._stars(), *self._light(), *self._clouds(), *ground(), *self._birds())
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}">{"".join(layers)}</svg>'
        )

    def _fade(self, name: str, *stops: tuple[float, Colour, float]) -> str:
        """A gradient from top to bottom: places from 0 to 1, colours, opacities."""
        marks = "".join(
            f'<stop offset="{place:.3f}" stop-color="{_css(colour)}" stop-opacity="{opacity:.3f}"/>'
            for place, colour, opacity in stops
        )
        return f'<linearGradient id="{name}" x1="0" y1="0" x2="0" y2="1">{marks}</linearGradient>'

    def _sky(self) -> Iterator[str]:
        colours = self.palette
        reach = self.horizon / self.height
        yield self._fade("sky", (0, colours.top, 1), (reach * 0.6, colours.middle, 1), (reach, colours.bottom, 1))
        yield f'<rect width="{self.width}" height="{self.height}" fill="url(#sky)"/>'

    def _stars(self) -> Iterator[str]:
        if not self.palette.stars:
            return
        for _ in range(170):
            x, y = self.random.uniform(0, self.width), self.horizon * self.random.random() ** 1.4
            size = self.unit * 0.0022 * (0.4 + self.random.random() ** 4 * 1.6)
            opacity = self.random.uniform(0.35, 1) * (1 - 0.75 * y / self.horizon)
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.2f}" fill="#fff" fill-opacity="{opacity:.2f}"/>'

    def _light(self) -> Iterator[str]:
        """The sun or the moon, and its glow."""
        x, y = self.sun
        glow = _css(self.palette.light)
        reach = self.sun_size * (5 if self.palette.stars else 8)
        yield (
            f'<radialGradient id="glow"><stop offset="0" stop-color="{glow}" stop-opacity=".75"/>'
            f'<stop offset=".22" stop-color="{glow}" stop-opacity=".32"/>'
            f'<stop offset="1" stop-color="{glow}" stop-opacity="0"/></radialGradient>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{reach:.1f}" fill="url(#glow)"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{self.sun_size:.1f}" fill="{glow}"/>'
        )

    def _clouds(self) -> Iterator[str]:
        """Long thin clouds, each a stack of bars with round ends."""
        colour = _css(_between(self.palette.middle, self.palette.light, 0.75))
        opacity = 0.16 if self.palette.stars else 0.5
        for _ in range(self.random.randint(2, 5)):
            x, y = self.random.uniform(-0.1, 0.9) * self.width, self.horizon * self.random.uniform(0.12, 0.78)
            length, thick = self.width * self.random.uniform(0.14, 0.34), self.unit * self.random.uniform(0.010, 0.020)
            bars = "".join(
                f'<rect x="{x + length * self.random.uniform(-0.18, 0.3):.1f}" y="{y + row * thick * 0.92:.1f}" '
                f'width="{length * self.random.uniform(0.45, 1):.1f}" height="{thick:.1f}" rx="{thick / 2:.1f}"/>'
                for row in range(self.random.randint(2, 4))
            )
            yield f'<g fill="{colour}" opacity="{opacity}">{bars}</g>'

    def _ridge(
        self, name: str, colour: Colour, base: float, profile: Callable[[float], float], lit: float = 0.22
    ) -> str:
        """Land up to a line: `profile` gives its height in pixels over `base` at a place from 0 to 1."""
        steps = 160
        line = " ".join(
            f"{step / steps * self.width:.1f},{base - profile(step / steps):.1f}" for step in range(steps + 1)
        )
        edge = _between(colour, self.palette.bottom, lit)
        return (
            self._fade(name, (0, edge, 1), (0.5, colour, 1), (1, _between(colour, self.palette.near, 0.5), 1))
            + f'<polygon points="0,{self.height} {line} {self.width},{self.height}" fill="url(#{name})"/>'
        )

    def _waves(self, height: float, pace: float, octaves: int) -> Callable[[float], float]:
        """A soft line: sines, each shorter and lower than the one before."""
        parts = [
            (height / 1.9**octave, pace * 2.1**octave * self.random.uniform(0.8, 1.2), self.random.uniform(0, math.tau))
            for octave in range(octaves)
        ]
        return lambda place: sum(high * math.sin(math.tau * often * place + phase) for high, often, phase in parts)

    def _peaks(self, height: float, rough: float) -> Callable[[float], float]:
        """A jagged line: the middle of each stretch is moved, again and again."""
        points = [self.random.uniform(0.1, 0.9) * height for _ in range(5)]
        move = height * 0.5
        while len(points) < 160:
            between = [(a + b) / 2 + self.random.uniform(-move, move) for a, b in pairwise(points)]
            points = [point for pair in zip(points, between, strict=False) for point in pair] + points[-1:]
            move *= rough

        def profile(place: float) -> float:
            at = place * (len(points) - 1)
            index = min(int(at), len(points) - 2)
            return points[index] + (points[index + 1] - points[index]) * (at - index)

        return profile

    def _layers(self, count: int) -> Iterator[tuple[int, float, Colour, float]]:
        """Layers of land from far to near: number, part of the way, colour, base line."""
        for number in range(count):
            part = number / (count - 1)
            base = self.horizon + (self.height - self.horizon) * (0.04 + 0.72 * part**1.25)
            yield number, part, _between(self.palette.far, self.palette.near, part**0.85), base

    def _hills(self) -> Iterator[str]:
        for number, part, colour, base in self._layers(5):
            profile = self._waves(self.height * (0.035 + 0.03 * part), self.random.uniform(0.7, 1.5), 3)
            yield self._ridge(f"hill{number}", colour, base, profile)
            if number >= 3:
                yield from self._trees(colour, base, profile, part)

    def _trees(self, colour: Colour, base: float, profile: Callable[[float], float], part: float) -> Iterator[str]:
        """Firs in a few groups along a line."""
        dark = _css(_between(colour, self.palette.near, 0.8))
        for _ in range(self.random.randint(2, 4)):
            middle = self.random.random()
            for _ in range(self.random.randint(4, 11)):
                place = middle + self.random.gauss(0, 0.05)
                tall = self.unit * self.random.uniform(0.03, 0.062) * (0.5 + part)
                x, y = place * self.width, base - profile(place) + tall * 0.12
                tiers = "".join(
                    f"M{x - tall * wide:.1f},{y - tall * low:.1f}L{x:.1f},{y - tall * high:.1f}"
                    f"L{x + tall * wide:.1f},{y - tall * low:.1f}Z"
                    for low, high, wide in ((0.1, 0.62, 0.23), (0.34, 0.82, 0.18), (0.58, 1.0, 0.12))
                )
                trunk = f"M{x - tall * 0.03:.1f},{y:.1f}h{tall * 0.06:.1f}v{-tall * 0.2:.1f}h{-tall * 0.06:.1f}Z"
                yield f'<path d="{tiers}{trunk}" fill="{dark}"/>'

    def _mountains(self) -> Iterator[str]:
        for number, part, colour, base in self._layers(4):
            profile = self._peaks(self.height * (0.30 - 0.16 * part), 0.50)
            yield self._ridge(f"peak{number}", colour, base, profile)
        base, profile = self.height * 0.93, self._waves(self.height * 0.02, 1.0, 3)
        hue, saturation, lightness = self.palette.near
        shore = (hue, saturation, lightness * 0.6)
        yield self._ridge("shore", shore, base, profile, lit=0.04)
        yield from self._trees(shore, base, profile, 1.0)

    def _dunes(self) -> Iterator[str]:
        for number, part, colour, base in self._layers(6):
            yield self._ridge(f"dune{number}", colour, base, self._waves(self.height * 0.05, 0.35 + 0.3 * part, 2))

    def _sea(self) -> Iterator[str]:
        """Islands, water that mirrors the sky, and the light's path on it."""
        for number in range(2):
            colour = _between(self.palette.far, self.palette.near, 0.15 + 0.25 * number)
            profile = self._peaks(self.height * (0.14 - 0.05 * number), 0.48)
            drop, place = self.height * 0.05, self.random.random()
            yield self._ridge(f"isle{number}", colour, self.horizon, _island(profile, place, drop))
        hue, saturation, lightness = self.palette.water
        far, near = (hue, saturation, lightness * 1.35), (hue, saturation, lightness * 0.45)
        yield self._fade("water", (0, far, 1), (1, near, 1))
        deep = self.height - self.horizon
        yield f'<rect y="{self.horizon:.1f}" width="{self.width}" height="{deep:.1f}" fill="url(#water)"/>'
        light = _css(self.palette.light)
        for row in range(46):
            part = (row + self.random.random()) / 46
            y = self.horizon + deep * part**1.5
            reach = self.sun_size * (0.5 + 2.6 * part) * self.random.uniform(0.25, 1)
            x = self.sun[0] + self.sun_size * self.random.gauss(0, 0.35 + 1.1 * part)
            thick = self.unit * (0.0016 + 0.0065 * part)
            yield (
                f'<rect x="{x - reach / 2:.1f}" y="{y:.1f}" width="{reach:.1f}" height="{thick:.2f}" '
                f'rx="{thick / 2:.2f}" fill="{light}" fill-opacity="{0.75 - 0.55 * part:.2f}"/>'
            )

    def _birds(self) -> Iterator[str]:
        """A few birds by day."""
        if self.palette.stars:
            return
        x, y = self.width * self.random.uniform(0.15, 0.8), self.horizon * self.random.uniform(0.25, 0.6)
        for _ in range(self.random.randint(0, 7)):
            left, top = x + self.unit * self.random.gauss(0, 0.07), y + self.unit * self.random.gauss(0, 0.035)
            wing = self.unit * self.random.uniform(0.008, 0.016)
            yield (
                f'<path d="M{left - wing:.1f},{top - wing * 0.5:.1f}q{wing * 0.6:.1f},{-wing * 0.15:.1f} {wing:.1f},'
                f'{wing * 0.5:.1f}q{wing * 0.4:.1f},{-wing * 0.65:.1f} {wing:.1f},{-wing * 0.5:.1f}" fill="none" '
                f'stroke="{_css(self.palette.near)}" stroke-width="{self.unit * 0.0022:.2f}" stroke-linecap="round"/>'
            )


def _island(profile: Callable[[float], float], place: float, drop: float) -> Callable[[float], float]:
    """A line that rises out of the water around a place and stays under it elsewhere."""
    return lambda at: profile(at) * math.exp(-(((at - place) / 0.2) ** 2)) - drop * min(1.0, abs(at - place) * 2.5)
