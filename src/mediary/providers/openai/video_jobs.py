"""What services tell of a video in the making, in the words that any of them has for it."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import msgspec

from mediary.errors import ProviderError
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.refusals import error_for, read_words
from mediary.providers.http.service import Answer

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of an answer; a video may stand in it."""

_HEAVY = 1024 * 1024  # bytes from which decoding an answer is worth a thread
_DEEPEST = 4
_DONE = frozenset({"completed", "complete", "succeeded", "success", "done", "finished", "ready"})
_FAILED = frozenset({"failed", "failure", "fail", "error", "cancelled", "canceled", "expired", "rejected", "blocked"})
_IDS = ("id", "request_id", "task_id", "video_id")
_STATES = ("status", "state", "task_status")
_ERRORS = ("error", "fail_reason", "message")
# Where a service puts the video; the first that holds a link counts.
_PLACES = ("video", "videos", "outputs", "output", "unsigned_urls", "url", "video_url", "urls", "data", "result")
_LINKS = ("url", "video_url", "video", "videos", "b64_json")

_word = re.compile(r"[\w -]{1,40}")
_answers = msgspec.json.Decoder(dict[str, Any])


@dataclass(slots=True, frozen=True)
class VideoJob:
    """A video in the making; `links` are URLs and data URIs, `length` is in seconds, `progress` in percent.

    `failure` says why there will be none; a secret may stand in it.
    """

    id: str | None
    status: str
    is_over: bool
    progress: int = 0
    links: tuple[str, ...] = ()
    length: float | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    failure: ProviderError | None = None

    @property
    def state(self) -> str:
        """How far it is, to be read by people."""
        if self.progress and not self.is_over:
            return f"{self.progress} %"
        status = self.status.replace("_", " ")
        return status if _word.fullmatch(status) else "in progress"


async def read_job(name: str, answer: Answer, known: str | None = None) -> VideoJob:
    """The job in an answer; `known` is its id. ProviderError if there is none."""
    body = await answer.read(MAX_ANSWER)
    try:
        decoding = asyncio.to_thread(decode, _answers, body) if len(body) > _HEAVY else None
        told: dict[str, Any] = await decoding if decoding else decode(_answers, body)
    except UnreadableError:
        raise ProviderError(f"{name}: its answer cannot be read: {read_words(body).message}") from None
    inner = told.get("data")
    if isinstance(inner, dict) and not _text(told, _STATES):
        told = inner
    return _job(name, told, known)


def _job(name: str, told: dict[str, Any], known: str | None) -> VideoJob:
    status = (_text(told, _STATES) or "").casefold()
    job_id = known or _text(told, _IDS)
    if status in _FAILED or told.get("error"):
        return VideoJob(job_id, status or "failed", is_over=True, failure=_failure(name, told, status))
    video = told.get("video")
    if isinstance(video, dict) and video.get("respect_moderation") is False:
        held = ProviderError(f"{name}: the video is held back by its moderation")
        return VideoJob(job_id, "failed", is_over=True, failure=held)
    links = next((found for place in _PLACES if (found := tuple(_links(told.get(place))))), ())
    is_over = status in _DONE or (not status and bool(links))
    if not job_id and not (is_over and links):
        raise ProviderError(f"{name}: its answer tells of no video")
    return VideoJob(
        id=job_id,
        status=status or ("completed" if links else "queued"),
        is_over=is_over,
        progress=_progress(told.get("progress")),
        links=links,
        length=_seconds(told) or (_seconds(video) if isinstance(video, dict) else None),
        usage=usage if isinstance(usage := told.get("usage"), dict) else {},
    )


def _failure(name: str, told: dict[str, Any], status: str) -> ProviderError:
    """The error for a job that failed, with the service's words where it has any."""
    said = next((found for place in _ERRORS if (found := told.get(place))), None)
    words = read_words(msgspec.json.encode({"error": said} if isinstance(said, str | dict) else {}))
    if not words.message or words.message == "{}":
        return ProviderError(f"{name}: the video was not made: {status or 'no reason is told'}")
    return error_for(name, words)


def _links(found: Any, depth: int = _DEEPEST) -> Iterator[str]:
    """The links to videos in a place of an answer."""
    match found:
        case str() if found.startswith(("http://", "https://", "/", "data:")):
            yield found
        case list() if depth:
            for each in found:
                yield from _links(each, depth - 1)
        case {"b64_json": str(data)} if data:
            yield f"data:video/mp4;base64,{data}"
        case dict() if depth:
            for name in _LINKS:
                yield from _links(found.get(name), depth - 1)


def _text(told: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these that is there, as text."""
    values = (told.get(name) for name in names)
    return next((str(value) for value in values if isinstance(value, str | int) and value != ""), None)


def _progress(said: Any) -> int:
    """How far it is, in percent; 0 where nobody tells."""
    number = _number(said.rstrip(" %") if isinstance(said, str) else said) or 0.0
    percent = number * 100 if 0 < number < 1 else number
    return round(percent) if 0 < percent <= 100 else 0


def _seconds(told: dict[str, Any]) -> float | None:
    return _number(told.get("seconds")) or _number(told.get("duration"))


def _number(said: Any) -> float | None:
    try:
        number = float(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and isfinite(number) and number > 0 else None
