"""The counts of tokens in a provider's usage, whichever of the usual names it has for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PROMPT = ("prompt_tokens_details", "input_tokens_details")
_COMPLETION = ("completion_tokens_details", "output_tokens_details")


@dataclass(slots=True, frozen=True)
class Tokens:
    """Tokens of a turn; those of the second half are among those of the first. None where nobody told.

    `saved` came out of the provider's cache, `written` went into it, `written_long` of these for longer than usual.
    """

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None

    saved: int | None = None
    written: int | None = None
    written_long: int | None = None
    reasoning: int | None = None
    heard: int | None = None
    spoken: int | None = None
    seen: int | None = None
    drawn: int | None = None


def read_tokens(usage: Mapping[str, Any]) -> Tokens:
    """The tokens that a usage tells of; what is no count is not told."""
    asked, answered = _details(usage, _PROMPT), _details(usage, _COMPLETION)
    kept = usage.get("cache_creation")
    return Tokens(
        prompt=_count(usage, "prompt_tokens"),
        completion=_count(usage, "completion_tokens"),
        total=_count(usage, "total_tokens"),
        saved=_first(
            _count(asked, "cached_tokens"), _count(usage, "cache_read_input_tokens", "prompt_cache_hit_tokens")
        ),
        written=_first(_count(usage, "cache_creation_input_tokens"), _count(asked, "cache_write_tokens")),
        written_long=_count(kept, "ephemeral_1h_input_tokens") if isinstance(kept, Mapping) else None,
        reasoning=_count(answered, "reasoning_tokens"),
        heard=_count(asked, "audio_tokens"),
        spoken=_count(answered, "audio_tokens"),
        seen=_count(asked, "image_tokens"),
        drawn=_count(answered, "image_tokens"),
    )


def _details(usage: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    return next((found for name in names if isinstance(found := usage.get(name), Mapping)), {})


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    """The first of these that is a count."""
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)
