"""Reads what a service says when it refuses, and makes the error for it."""

import html
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from msgspec import Struct

from mediary.errors import (
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from mediary.providers.http.decoding import UnreadableError, decode

MAX_WORDS = 600
"""Characters of a service's own words that an error carries."""
LONGEST_WAIT = 86_400.0
"""Seconds that an error may ask to wait; a service that says more is wrong."""
_MAX_RAW = 64 * 1024
_DEEPEST = 8

# What stands for a status where an error comes without one, in the middle of a stream.
_STATUS_OF = {
    "api_error": 500,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "api_key_invalid": 401,
    "permission_denied": 403,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "rate_limited": 429,
    "resource_exhausted": 429,
    "requests": 429,
    "tokens": 429,
    "internal_server_error": 500,
    "overloaded_error": 503,
    "server_error": 503,
    "service_unavailable": 503,
    "unauthenticated": 401,
    "unavailable": 503,
    "timeout": 504,
    "timeout_error": 504,
}


class ErrorDetail(Struct, gc=False):
    """The `error` object of an answer."""

    message: Any = None
    detail: Any = None
    type: str | int | None = None
    code: str | int | float | None = None
    param: Any = None
    metadata: Any = None
    status: Any = None
    details: Any = None


class ErrorBody(Struct):
    """An answer that is an error, in any of the shapes services use."""

    error: ErrorDetail | str | None = None
    message: Any = None
    detail: Any = None
    type: str | int | None = None
    code: str | int | float | None = None
    param: Any = None


class Words(Struct):
    """What a service said: its message, its error codes and types as `marks`, and the whole body.

    `wait` is how many seconds it asks to wait, where its words say so.
    """

    message: str = ""
    marks: tuple[str, ...] = ()
    body: bytes = b""
    wait: float | None = None

    def names(self, *names: str) -> bool:
        """Whether the body contains any of the names."""
        return any(name.encode() in self.body for name in names)


_bodies = msgspec.json.Decoder(ErrorBody | list[ErrorBody], strict=False)


def read_words(body: bytes) -> Words:
    """The words of an error body: JSON in many shapes, a web page, plain text, or nothing."""
    try:
        decoded = decode(_bodies, body)
    except UnreadableError:
        return Words(_plain(body), body=body)
    if isinstance(decoded, list):
        decoded = decoded[0] if decoded else ErrorBody()
    words = words_of(decoded.error or decoded)
    return Words(words.message or _plain(body), words.marks, body, words.wait)


def words_of(error: ErrorDetail | ErrorBody | str) -> Words:
    """The words of an error that was decoded already."""
    if isinstance(error, str):
        # Ollama passes on what the program behind it said, which is JSON in turn.
        return read_words(error.encode()) if error.startswith("{") else Words(_one_line(error), body=error.encode())
    said = error.message or error.detail
    if (
        isinstance(error, ErrorDetail)
        and isinstance(error.metadata, dict)
        and isinstance(raw := error.metadata.get("raw"), str)
    ):
        # OpenRouter's own message is "Provider returned error"; what the provider said is here.
        said = f"{said}: {read_words(raw.encode()).message}"
    further = list(_further_marks(error) if isinstance(error, ErrorDetail) else _marks_in(error.detail))
    marks = tuple(str(mark).casefold() for mark in (error.code, error.type, *further) if mark is not None)
    message = _sentence(said)
    body = " ".join((message, *marks, str(error.param or ""))).encode()
    return Words(_one_line(message), marks, body, _wait_of(error) if isinstance(error, ErrorDetail) else None)


def _further_marks(error: ErrorDetail) -> Iterator[str]:
    """Google's names for an error: its `status`, and the reasons among its `details`."""
    for said in (error.status, *(detail.get("reason") for detail in _details(error))):
        if isinstance(said, str):
            yield said


def _marks_in(detail: Any) -> Iterator[str]:
    """ElevenLabs' names for an error, which stand in its `detail`."""
    said = (detail.get("status"), detail.get("code")) if isinstance(detail, dict) else ()
    yield from (mark for mark in said if isinstance(mark, str))


def _wait_of(error: ErrorDetail) -> float | None:
    """Seconds to wait, as Google writes them: `retryDelay` among the `details`."""
    delays = (detail.get("retryDelay") for detail in _details(error))
    said = next((delay for delay in delays if isinstance(delay, str)), None)
    seconds = _number(said.removesuffix("s")) if said else None
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def _details(error: ErrorDetail) -> list[dict[str, Any]]:
    return [one for one in error.details if isinstance(one, dict)] if isinstance(error.details, list) else []


def _sentence(said: Any, depth: int = _DEEPEST) -> str:
    """Words out of whatever stood where a message should, some levels deep."""
    if not depth:
        return ""
    match said:
        case None:
            return ""
        case str():
            return said
        case {"msg": str(message), "loc": list(place)}:
            return f"{'.'.join(map(str, place))}: {message}"
        case {"message": inner} | {"detail": inner} | {"error": inner}:
            return _sentence(inner, depth - 1)
        case list():
            return "; ".join(filter(None, (_sentence(one, depth - 1) for one in said)))
        case _:
            return msgspec.json.encode(said).decode()


def _plain(body: bytes) -> str:
    """The text of a body that is no JSON; of a web page its title."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = html.unescape(title[1]) if title else re.sub(r"<[^>]*>", " ", text)
    return _one_line(text)


def _one_line(text: str) -> str:
    """The words on one line, at a length that can be searched for secrets; `shorten` comes after that."""
    return " ".join(text.split())[:_MAX_RAW]


def shorten(text: str) -> str:
    """The text, cut to what an error carries; secrets are taken out before, or half of one would be left."""
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"


def error_for(name: str, words: Words, status: int | None = None, wait: float | None = None) -> ProviderError:
    """The error for a refusal: `status` as the service answered, `wait` in seconds where it says."""
    status = status or next((found for mark in words.marks if (found := _status(mark))), None)
    said = words.message or (f"answered {status} without a word" if status else "reported an error without a word")
    message = f"{name}: {said}"
    match status:
        case 401 if "quota_exceeded" in words.marks:
            return RateLimitError(message, wait)
        case 401 | 403:
            return MissingAuthError(message)
        case 400 if "api_key_invalid" in words.marks:
            return MissingAuthError(message)
        case 429:
            return RateLimitError(message, words.wait if wait is None else wait)
        case 408:
            return ProviderTimeoutError(message)
        case _ if _is_about_model(words, status):
            return ModelNotFoundError(message)
        case int() if status >= 500:
            return ProviderUnavailableError(message)
        case _:
            return ProviderError(message)


def _status(mark: str) -> int | None:
    if mark.isdecimal() and 400 <= int(mark) <= 599:
        return int(mark)
    return _STATUS_OF.get(mark)


def _is_about_model(words: Words, status: int | None) -> bool:
    if "model_not_found" in words.marks or "invalid_model" in words.marks:
        return True
    # OpenRouter knows the model and has nobody who serves it: "No endpoints found for …".
    return status == 404 and bool(re.search(r"\bmodel|no endpoints", words.message, re.IGNORECASE))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds the service asks to wait, from `retry-after-ms` or `Retry-After` (seconds or a date)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST_WAIT)
    said = headers.get("Retry-After")
    seconds = _number(said)
    if said is None or seconds is not None:
        return None if seconds is None else min(seconds, LONGEST_WAIT)
    try:
        return min(max(0.0, parsedate_to_datetime(said).timestamp() - time.time()), LONGEST_WAIT)
    except (ValueError, OverflowError):
        return None


def _number(said: str | None) -> float | None:
    """A length of time; a negative one, infinity and what is no number are none."""
    try:
        number = float(said or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
