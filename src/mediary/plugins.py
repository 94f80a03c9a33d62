"""Finds implementations by entry-point group and name; nothing else imports one."""

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mediary.errors import SettingsError


@cache
def registered(group: str) -> dict[str, EntryPoint]:
    """The implementations of a group (`providers`, `storage` …) by name, without loading any."""
    return {point.name: point for point in entry_points(group=f"mediary.{group}")}


def load(group: str, name: str) -> Any:
    """The implementation that is registered under a name; SettingsError names the nearest if there is none."""
    points = registered(group)
    if name not in points:
        near = get_close_matches(name, points, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(points))}"
        raise SettingsError(f"no {name!r} among mediary.{group}; {hint}")
    return points[name].load()
