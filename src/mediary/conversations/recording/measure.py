"""What a turn used: counted from its events as they pass."""

import time
from dataclasses import dataclass, field
from typing import Any

from mediary.events import (
    Auth,
    Content,
    Event,
    Failure,
    Finish,
    Preview,
    ProviderChosen,
    Reasoning,
    ToolCalls,
    Usage,
)
from mediary.usage.record import Kind, Outcome, UsageRecord
from mediary.usage.tokens import read_tokens

UNTOLD = "_OTHER"
"""The class of an error that is not told apart."""

_KINDS: dict[str, Kind] = {"<audio": "speech", "<video": "video"}


@dataclass(slots=True)
class Attempt:
    """One provider being asked: when that began and ended, in monotonic seconds, and the class of what went wrong."""

    provider: str
    model: str
    url: str | None
    began: float
    ended: float | None = None
    error: str | None = None


@dataclass(slots=True)
class Measure:
    """Counts of one turn, and who answered; times are monotonic seconds, `created` is Unix seconds.

    `url` is where the service that answers is, `asked` how many characters the question had, None where it does not
    matter. `made` are the URLs of what was made, by its kind.
    """

    provider: str
    model: str
    asked: int | None = None
    started: float = field(default_factory=time.monotonic)
    created: float = field(default_factory=time.time)
    url: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    first: float | None = None
    seconds: float | None = None
    characters: int = 0
    made: list[tuple[Kind, str]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = "failed"
    error: str | None = None
    reason: str | None = None
    running: bool = False

    def see(self, event: Event) -> None:
        """Count an event on its way to the client."""
        if self.first is None and _is_answer(event):
            self.first = time.monotonic()
        if isinstance(event, Content):
            if event.urls:
                kind = _KINDS.get(event.content[:6], "image")
                self.made += [(kind, url) for url in event.urls]
            else:
                self.characters += len(event.content)
        elif isinstance(event, ProviderChosen):
            self._attempt(event)
        elif isinstance(event, Usage):
            self.usage = event.usage
        elif isinstance(event, Finish):
            self.outcome, self.reason = "finished", event.finish.reason
        elif isinstance(event, Failure):
            self._fail(event.error)
        elif isinstance(event, Auth):
            self._fail(event.auth)

    def end(self) -> None:
        """The turn is over."""
        now = time.monotonic()
        self.seconds = now - self.started
        self._end_attempt(now, self.error)

    def leave(self) -> None:
        """The client left, or the server stopped, before the end."""
        if self.outcome != "finished":
            self.outcome = "cancelled"

    def interrupt(self) -> None:
        """The process broke off; when, nobody knows."""
        self.outcome, self.first, self.seconds = "interrupted", None, None

    def record(self, turn: str, user: str | None, looks: "Looks | None" = None) -> UsageRecord:
        """The counts for the ledger, with how large and long what was made is."""
        tokens = read_tokens(self.usage)
        kinds = [kind for kind, _ in self.made]
        return UsageRecord(
            turn=turn,
            created=self.created,
            provider=self.provider,
            model=self.model,
            user_label=user,
            kind="chat" if self.characters or not kinds else kinds[0],
            outcome=self.outcome,
            error=self.error,
            usage=self.usage,
            characters=self.characters,
            media=len(kinds),
            pictures=kinds.count("image"),
            media_seconds=looks.seconds if looks else None,
            media_bytes=looks.size if looks else None,
            first_token_ms=None if self.first is None else (self.first - self.started) * 1000,
            duration_ms=None if self.seconds is None else self.seconds * 1000,
            prompt_tokens=tokens.prompt,
            completion_tokens=tokens.completion,
            total_tokens=tokens.total,
            saved_tokens=tokens.saved,
            reasoning_tokens=tokens.reasoning,
        )

    def summary(self) -> dict[str, Any]:
        """The counts for the log: no text, no key."""
        return {
            "provider": self.provider,
            "model": self.model,
            "outcome": self.outcome,
            "error": self.error,
            "characters": self.characters,
            "media": len(self.made),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }

    def _attempt(self, event: ProviderChosen) -> None:
        """Somebody is asked, the next one after another failed."""
        now, chosen = time.monotonic(), event.provider
        self._end_attempt(now, UNTOLD)
        self.provider, self.model, self.url = chosen.name, chosen.model, chosen.url
        self.usage = {}  # what the one before told is not what this one takes
        self.attempts.append(Attempt(chosen.name, chosen.model, chosen.url, now))

    def _end_attempt(self, now: float, error: str | None) -> None:
        if self.attempts and self.attempts[-1].ended is None:
            self.attempts[-1].ended, self.attempts[-1].error = now, error

    def _fail(self, error: str) -> None:
        self.outcome, self.error = "failed", error


@dataclass(slots=True, frozen=True)
class Looks:
    """What was made: its bytes, and the seconds that sounds and videos take; None where that is not known."""

    size: int | None = None
    seconds: float | None = None


def _is_answer(event: Event) -> bool:
    """Whether it is a piece of the answer, rather than word of what goes on."""
    if isinstance(event, Reasoning):
        return bool(event.token)
    return isinstance(event, Content | ToolCalls | Preview)
