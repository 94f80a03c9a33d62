"""The query of a URL, as the contract reads it: what is no boolean, number or time where one belongs is a 400."""

import math
import re
from datetime import UTC, date, datetime
from typing import TypeVar
from urllib.parse import parse_qsl

from mediary.errors import BadRequestError

Default = TypeVar("Default", int, None)

DAY = 86400.0
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off", ""), False),
}
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})")
_SECONDS = re.compile(r"-?[0-9]{1,11}(\.[0-9]{1,9})?")
# A `+` that was not escaped arrives as a space.
_LOST_PLUS = re.compile(r" (?=[0-9]{2}:?[0-9]{2}$)")


class Query:
    """The parameters of a query string; of one that is given twice, the last."""

    def __init__(self, query_string: bytes) -> None:
        self._values = dict(parse_qsl(query_string.decode("utf-8", "replace"), keep_blank_values=True))

    def text(self, name: str) -> str:
        """A text, empty where it is missing."""
        return self._values.get(name, "")

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """A boolean, the default where it is missing; an empty one is false."""
        return read_boolean(name, self.text(name)) if name in self._values else default

    def whole(self, name: str, default: Default, least: int, most: int) -> int | Default:
        """A whole number from `least` to `most`; the default where it is missing or empty."""
        text = self.text(name)
        return read_whole(name, text, least, most) if text else default

    def number(self, name: str) -> float | None:
        """A number, None where it is missing or empty."""
        text = self.text(name)
        return read_number(name, text) if text else None


def read_boolean(name: str, text: str) -> bool:
    """`true 1 yes on` and `false 0 no off` and nothing, in any case."""
    found = _BOOLEANS.get(text.lower())
    if found is None:
        raise BadRequestError(f"{name} is true or false, not {_shown(text)}")
    return found


def read_whole(name: str, text: str, least: int, most: int) -> int:
    """A whole number within limits."""
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise BadRequestError(f"{name} is a whole number from {least} to {most}, not {_shown(text)}")
    return int(text)


def read_number(name: str, text: str) -> float:
    """A number such as `0.7`."""
    if not _NUMBER.fullmatch(text):
        raise BadRequestError(f"{name} is a number, not {_shown(text)}")
    return float(text)


def read_time(name: str, text: str, *, last: bool = False) -> float:
    """Unix seconds of a time: such seconds, or an ISO 8601 date or time, in UTC where it names no zone.

    Of a day it is the first moment, or the `last`.
    """
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).timestamp()
        return math.nextafter(day + DAY, day) if last else day
    except ValueError:
        pass
    for written in (text, _LOST_PLUS.sub("+", text)):
        try:
            moment = datetime.fromisoformat(written)
        except ValueError:
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise BadRequestError(
        f"{name} is a date (2026-11-20), a time (2026-11-20T09:30:00Z) or Unix seconds, not {_shown(text)}"
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
