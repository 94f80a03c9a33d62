"""What one turn used: a plain value, known to those who measure and to the ledger."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

Outcome = Literal["finished", "failed", "cancelled", "interrupted"]
Kind = Literal["chat", "image", "speech", "video"]

NANO = 1_000_000_000
"""Parts of a dollar that costs are counted in, so that sums are exact."""


def dollars(nanos: int | None) -> Decimal | None:
    """A cost as people read it."""
    return None if nanos is None else (Decimal(nanos) / NANO).normalize()


@dataclass(slots=True, frozen=True)
class Cost:
    """What something cost, in billionths of a US dollar, by the prices of a day."""

    nanos: int
    priced: date


@dataclass(slots=True, frozen=True, kw_only=True)
class UsageRecord:
    """What one turn used. What nobody told is None.

    `created` is in Unix seconds, `error` is the error's class, `usage` holds the provider's own counts,
    `characters`, `pictures`, `media`, `media_seconds` and `media_bytes` are what arrived, `saved_tokens` those of the
    prompt that came out of the provider's cache. `cost` is in billionths of a US dollar, by the prices of the day
    `priced`. `user_label` is what the client called its user, and no identity.
    """

    turn: str
    created: float
    provider: str
    model: str
    outcome: Outcome
    kind: str = "chat"
    user_label: str | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    saved_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    characters: int = 0
    media: int = 0
    pictures: int = 0
    media_seconds: float | None = None
    media_bytes: int | None = None
    cost: int | None = None
    priced: date | None = None
    first_token_ms: float | None = None
    duration_ms: float | None = None
