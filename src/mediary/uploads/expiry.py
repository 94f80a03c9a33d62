"""When what lies with a provider ends: as a presigned link tells it, or words."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl

LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999. What is said to be later is no time in seconds."""

_MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,12}")


def expires_at(url: str) -> float | None:
    """The Unix seconds at which a link ends; None if it does not say, or says something that cannot be understood.

    Known are Amazon's, Google's and Alibaba's signatures (a date, and seconds from then on), Azure's `se`, and
    `Expires`. Where several are there, the earliest counts.
    """
    fields: dict[str, set[str]] = {}
    for name, value in parse_qsl(url.partition("#")[0].partition("?")[2], keep_blank_values=True):
        fields.setdefault(name.lower(), set()).add(value)
    said = [read(fields) for names, read in _WAYS if any(name in fields for name in names)]
    moments = [moment for moment in said if moment is not None and 0 < moment <= LAST_MOMENT]
    return min(moments) if moments and len(moments) == len(said) else None


def read_moment(text: str | None) -> float | None:
    """The Unix seconds of a time in ISO 8601, in UTC where it names no zone; None if it is none."""
    try:
        moment = datetime.fromisoformat(text or "")
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds <= LAST_MOMENT else None


Fields = dict[str, set[str]]
"""What a query says, by names in lower case: one that is there twice may say two things."""


def _after_a_date(date: str, seconds: str) -> Callable[[Fields], float | None]:
    def read(fields: Fields) -> float | None:
        began, lasts = _moment(_only(fields, date)), _number(_only(fields, seconds))
        return None if began is None or lasts is None else began + lasts

    return read


def _only(fields: Fields, name: str) -> str:
    """The one value of a field; empty if there is none, or more."""
    values = fields.get(name, ())
    return next(iter(values)) if len(values) == 1 else ""


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _moment(text: str) -> float | None:
    """The basic form of ISO 8601, in UTC."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _azure(fields: Fields) -> float | None:
    """A day, or a time with its zone, in the extended form of ISO 8601."""
    text = _only(fields, "se").replace(" ", "+")  # a zone's plus sign that nobody escaped
    try:
        moment = datetime.fromisoformat(f"{text}T00:00Z" if _DAY.fullmatch(text) else text)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


_WAYS: tuple[tuple[tuple[str, ...], Callable[[Fields], float | None]], ...] = (
    *(
        ((f"{prefix}-date", f"{prefix}-expires"), _after_a_date(f"{prefix}-date", f"{prefix}-expires"))
        for prefix in ("x-amz", "x-goog", "x-oss")
    ),
    (("se",), _azure),
    (("expires",), lambda fields: _number(_only(fields, "expires"))),
)
"""The fields of each way to say it, and how they are read."""
