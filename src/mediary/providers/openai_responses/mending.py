"""Rewrites requests that a model refused for an option that other models take."""

from typing import Any

from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import Words

LEAST_TOKENS = 16
"""The shortest answer that OpenAI takes as a limit."""


class Habits:
    """Fields that models were found not to take, by their ids."""

    def __init__(self) -> None:
        self.untaken: dict[str, set[str]] = {}


class Mender:
    """Rewrites one request, each way once, and remembers what helped.

    `wanted` are the options of the request itself: what of them is left out is told.
    """

    def __init__(self, payload: dict[str, Any], habits: Habits, wanted: dict[str, Any]) -> None:
        self.payload = payload
        self.habits = habits
        self.wanted = wanted
        self.changes: set[str] = set()
        for name in habits.untaken.get(payload["model"], ()):
            self._leave_out(name)

    @property
    def lost(self) -> list[str]:
        """The options that were asked for and are left out."""
        return sorted(self.changes & self.wanted.keys())

    def mend(self, words: Words) -> bytes | None:
        """The body to ask with instead; None where the refusal is not about what can be written in another way."""
        if words.names("max_output_tokens") and words.names("minimum", f">= {LEAST_TOKENS}"):
            if self.payload.get("max_output_tokens", LEAST_TOKENS) >= LEAST_TOKENS:
                return None
            self.payload["max_output_tokens"] = LEAST_TOKENS
            return encode(self.payload)
        # A value that is out of range is for who sent it to mend.
        if not words.names("nsupported", "not support", "be verified", "nrecognized", "nknown parameter"):
            return None
        for name in ("summary", "reasoning", "temperature", "top_p"):
            if words.names(name) and self._leave_out(name):
                return encode(self.payload)
        return None

    def learn(self) -> None:
        """Remember what was changed: the service took the request as it is now."""
        if self.changes:
            self.habits.untaken.setdefault(self.payload["model"], set()).update(self.changes)

    def _leave_out(self, name: str) -> bool:
        """Whether the field was there."""
        reasoning = self.payload.get("reasoning", {})
        if name == "summary":
            found = reasoning.pop("summary", None)
            if not reasoning:
                self.payload.pop("reasoning", None)
        elif name == "reasoning" and "effort" in reasoning:
            # It was asked for: that the model cannot think is an answer.
            return False
        else:
            found = self.payload.pop(name, None)
        if found is not None:
            self.changes.add(name)
        return found is not None
