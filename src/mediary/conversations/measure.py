"""What a turn used: counted from its events as they pass."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mediary.events import Auth, Content, Event, Failure, Finish, Log, Parameters, ProviderChosen, Usage

if TYPE_CHECKING:
    from mediary.usage.ledger import UsageRecord


@dataclass(slots=True)
class Measure:
    """Counts of one turn; times are monotonic seconds, `created` is Unix seconds."""

    started: float = field(default_factory=time.monotonic)
    created: float = field(default_factory=time.time)
    first: float | None = None
    seconds: float = 0.0
    characters: int = 0
    media: int = 0
    usage: dict[str, Any] = field(default_factory=dict)
    outcome: Literal["finished", "failed", "cancelled"] = "failed"
    error: str | None = None

    def see(self, event: Event) -> None:
        """Count an event on its way to the client."""
        if self.first is None and not isinstance(event, ProviderChosen | Parameters | Log):
            self.first = time.monotonic()
        if isinstance(event, Content):
            self.characters += len(event.content)
            self.media += len(event.urls or ())
        elif isinstance(event, Usage):
            self.usage = event.usage
        elif isinstance(event, Finish):
            self.outcome = "finished"
        elif isinstance(event, Failure):
            self.outcome, self.error = "failed", event.error
        elif isinstance(event, Auth):
            self.outcome, self.error = "failed", event.auth

    def end(self) -> None:
        """The turn is over."""
        self.seconds = time.monotonic() - self.started

    def leave(self) -> None:
        """The client left, or the server stopped, before the end."""
        if self.outcome != "finished":
            self.outcome = "cancelled"

    def record(self, turn: str, provider: str, model: str, user: str | None) -> "UsageRecord":
        """The counts for the ledger."""
        # imported here: it brings SQLAlchemy, for which no answer waits
        from mediary.usage.ledger import UsageRecord

        return UsageRecord(
            turn=turn,
            created=self.created,
            provider=provider,
            model=model,
            user_label=user,
            outcome=self.outcome,
            error=self.error,
            usage=self.usage,
            characters=self.characters,
            media=self.media,
            first_token_ms=None if self.first is None else (self.first - self.started) * 1000,
            duration_ms=self.seconds * 1000,
            prompt_tokens=_count(self.usage.get("prompt_tokens")),
            completion_tokens=_count(self.usage.get("completion_tokens")),
            total_tokens=_count(self.usage.get("total_tokens")),
        )

    def summary(self, provider: str, model: str) -> dict[str, Any]:
        """The counts for the log: no text, no key."""
        return {
            "provider": provider,
            "model": model,
            "outcome": self.outcome,
            "error": self.error,
            "characters": self.characters,
            "media": self.media,
            "seconds": round(self.seconds, 3),
        }


def _count(value: Any) -> int | None:
    """A count of the provider, or None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
