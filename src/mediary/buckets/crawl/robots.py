"""What robots.txt allows (RFC 9309): the rules for us, the longest that fits decides.

Patterns are matched step by step. As regular expressions, which is how libraries match them, a few asterisks in a
hostile file would hold up the server for minutes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

MAX_BYTES = 500 * 1024
"""What is read of a robots.txt; RFC 9309 asks for that much."""

_MAX_RULES = 5000
_AGENT = re.compile(r"[a-z_-]*")
_UNRESERVED = "!$&'()*+,;=:@/?-._~"


@dataclass(slots=True, frozen=True)
class Robots:
    """The rules for one agent: (pattern, allowed), and the seconds between two requests that it asks for, if any."""

    rules: tuple[tuple[str, bool], ...] = ()
    delay: float | None = None

    def allows(self, target: str) -> bool:
        """Whether a path with its query may be fetched."""
        path = _plain(target or "/")
        best, allowed = -1, True
        for pattern, allow in self.rules:
            longer = len(pattern) > best or (len(pattern) == best and allow)
            if longer and fits(pattern, path):
                best, allowed = len(pattern), allow
        return allowed


ALL = Robots()
NOTHING = Robots(rules=(("/", False),))


def parse_robots(data: bytes, agent: str) -> Robots:
    """The rules of a robots.txt for an agent by its name, `mediary`; those for `*` if it is not named."""
    own: list[tuple[str, str]] = []
    common: list[tuple[str, str]] = []
    found = False
    for agents, lines in _groups(data[:MAX_BYTES].decode("utf-8-sig", errors="replace")):
        if agent in agents:
            found = True
            own += lines
        elif "*" in agents:
            common += lines
    chosen = own if found else common
    rules = [(_plain(value), key == "allow") for key, value in chosen if key != "crawl-delay" and value]
    delays = [seconds for key, value in chosen if key == "crawl-delay" and (seconds := _seconds(value)) is not None]
    return Robots(tuple(rules[:_MAX_RULES]), max(delays, default=None))


def fits(pattern: str, path: str) -> bool:
    """Whether a pattern fits the beginning of a path: `*` is anything, `$` at its end is the path's end."""
    whole = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    last = others.pop() if others and whole else None
    for part in others:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    if last is not None:
        return len(path) - len(last) >= at and path.endswith(last)
    return at == len(path) or not whole


def _groups(text: str) -> Iterator[tuple[set[str], list[tuple[str, str]]]]:
    """Each group: the agents that it is for, and its rules."""
    agents: set[str] = set()
    rules: list[tuple[str, str]] = []
    for line in re.split(r"[\r\n]+", text):
        key, _, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if key == "user-agent":
            if rules:
                yield agents, rules
                agents, rules = set(), []
            agents.add("*" if value == "*" else _AGENT.match(value.lower())[0])  # type: ignore[index]
        elif key in ("allow", "disallow", "crawl-delay"):
            rules.append((key, value))
    yield agents, rules


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _plain(path: str) -> str:
    """A path or pattern as all are compared: what need not be quoted is not, what must be is."""
    parts = re.split(r"(%2[Ff]|%3[Ff]|%2[Aa]|%24)", path)  # these mean themselves only when quoted
    return "".join(
        part.upper() if at % 2 else quote(unquote_to_bytes(part), safe=_UNRESERVED) for at, part in enumerate(parts)
    )
