"""Rewrites requests that a model refused for a field that other models take."""

import re
from typing import Any

from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import Words

BUDGETS = {"low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 16_384, "max": 16_384}
"""Tokens to think with, by the effort, for models that take none."""
LEAST_BUDGET = 1_024
SHORT = 4_096
"""Tokens that an answer of any model may have."""

_longest = re.compile(r"> (\d+), which is the maximum")


class Habits:
    """What models were found not to take, by their ids."""

    def __init__(self) -> None:
        self.max_tokens: dict[str, int] = {}
        self.budgeted: set[str] = set()
        self.always_thinking: set[str] = set()


class Mender:
    """Rewrites one request, each way once, and remembers what helped.

    `may_shorten` says that the length of the answer was ours to choose.
    """

    def __init__(self, payload: dict[str, Any], habits: Habits, *, may_shorten: bool) -> None:
        self.payload = payload
        self.habits = habits
        self.may_shorten = may_shorten
        self.changed: set[str] = set()
        self.longest: int | None = None
        model = payload["model"]
        if may_shorten and model in habits.max_tokens:
            payload["max_tokens"] = habits.max_tokens[model]
        if model in habits.budgeted:
            self._set_budget()
        if model in habits.always_thinking:
            self._stop_disabling()

    def mend(self, words: Words) -> bytes | None:
        """The body to ask with instead; None where the refusal is not about what can be written in another way."""
        thinking = self.payload.get("thinking", {}).get("type")
        effort = self.payload.get("output_config", {}).get("effort")
        if self.may_shorten and words.names("max_tokens") and self._is_new("max_tokens"):
            found = _longest.search(words.message)
            self.longest = int(found[1]) if found else None
            self.payload["max_tokens"] = self.longest or SHORT
        elif effort in BUDGETS and words.names("thinking", "effort") and self._is_new("budget"):
            self._set_budget()
        elif thinking == "disabled" and words.names("thinking") and self._is_new("disabled"):
            self._stop_disabling()
        else:
            return None
        return encode(self.payload)

    def learn(self) -> None:
        """Remember what was changed: the service took the request as it is now."""
        model = self.payload["model"]
        if self.longest:
            self.habits.max_tokens[model] = self.longest
        if "budget" in self.changed:
            self.habits.budgeted.add(model)
        if "disabled" in self.changed:
            self.habits.always_thinking.add(model)

    def _is_new(self, change: str) -> bool:
        """Whether that was not tried yet; from now on it was."""
        if change in self.changed:
            return False
        self.changed.add(change)
        return True

    def _set_budget(self) -> None:
        """Thinking as it was before there was an effort to set."""
        config = self.payload.get("output_config", {})
        if config.get("effort") not in BUDGETS:
            return
        budget = min(BUDGETS[config.pop("effort")], self.payload["max_tokens"] - LEAST_BUDGET)
        if not config:
            del self.payload["output_config"]
        # In the middle of calls of tools the earlier thoughts would have to be shown again, and nobody has them.
        if budget < LEAST_BUDGET or _answers_tools(self.payload["messages"]):
            self.payload.pop("thinking", None)
        else:
            self.payload["thinking"] = {"type": "enabled", "budget_tokens": budget}

    def _stop_disabling(self) -> None:
        """As little thinking as a model can do that always thinks."""
        if self.payload.get("thinking", {}).get("type") == "disabled":
            del self.payload["thinking"]
            self.payload.setdefault("output_config", {})["effort"] = "low"


def _answers_tools(messages: list[dict[str, Any]]) -> bool:
    return bool(messages) and any(block["type"] == "tool_result" for block in messages[-1]["content"])
