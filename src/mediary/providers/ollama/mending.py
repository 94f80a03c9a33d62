"""Rewrites requests that a model refused: for a longer window, without its oldest messages, without thinking."""

import re
from typing import Any

from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import Words

MOST_TOKENS = 32_768
"""The largest window that is asked for where nobody said how large: a larger one may need more memory than there is."""
LEAST_TOKENS = 8_192
ROOM = 2_048
"""Tokens of the window that are for the answer, where nobody said how long it may be."""

_IMAGE_WEIGHT = 3_000
"""What a picture counts for, in bytes of text."""
_BYTES_PER_TOKEN = 3
_needed = re.compile(rb"request \((\d{1,12}) tokens\)|n_prompt_tokens\D{1,5}(\d{1,12})\b")
_there = re.compile(rb"context size \((\d{1,12}) tokens\)|n_ctx\D{1,5}(\d{1,12})\b")
_TOO_LONG = ("exceed_context_size", "exceeds the available context", "exceeds the context length", "exceeds maximum")


class Habits:
    """What models were found to want, by their ids: `windows` are tokens to load them with."""

    def __init__(self) -> None:
        self.thoughtless: set[str] = set()
        self.unlevelled: set[str] = set()
        self.windows: dict[str, int] = {}


class Mender:
    """Rewrites one request, each way once, and remembers what helped.

    `most` is how large the window may be made, None if it is as the operator said. `left_out` tells how many messages
    were.
    """

    def __init__(self, payload: dict[str, Any], habits: Habits, most: int | None) -> None:
        self.payload = payload
        self.habits = habits
        self.most = most
        self.left_out = 0
        self._thoughtless = self._unlevelled = False
        self._window: int | None = None
        model = payload["model"]
        if model in habits.thoughtless:
            payload.pop("think", None)
        elif model in habits.unlevelled and "think" in payload:
            payload["think"] = bool(payload["think"])
        if most and model in habits.windows:
            self._grow(habits.windows[model])

    def mend(self, words: Words) -> bytes | None:
        """The body to ask with instead; None where the refusal is not about what can be written in another way."""
        payload = self.payload
        if words.names(*_TOO_LONG):
            if not (self._make_longer(words) or self._leave_out(words)):
                return None
        elif "think" in payload and words.names("not support thinking"):
            del payload["think"]
            self._thoughtless = True
        elif isinstance(payload.get("think"), str) and words.names("think"):
            # It knows no levels, or not this one.
            payload["think"] = True
            self._unlevelled = True
        else:
            return None
        return encode(payload)

    def learn(self) -> None:
        """Remember what was changed: the service took the request as it is now."""
        model = self.payload["model"]
        if self._thoughtless:
            self.habits.thoughtless.add(model)
        if self._unlevelled:
            self.habits.unlevelled.add(model)
        if self._window:
            # Each other size would have the model loaded anew.
            self.habits.windows[model] = max(self._window, self.habits.windows.get(model, 0))

    def _make_longer(self, words: Words) -> bool:
        """Ask for a window in which all of it has room; whether that is larger than what there was."""
        if self.most is None:
            return False
        # Some have less than they are asked for, whatever that is.
        there = max(_number(_there, words) or 0, self.payload.get("options", {}).get("num_ctx", 0))
        window = LEAST_TOKENS
        while window < (_number(_needed, words) or self._guess()) + self._room():
            window *= 2
        window = min(window, self.most)
        if window <= there:
            return False
        self._window = window
        self._grow(window)
        return True

    def _grow(self, window: int) -> None:
        self.payload.setdefault("options", {})["num_ctx"] = window

    def _leave_out(self, words: Words) -> bool:
        """Leave out the oldest messages, so that the others have room; whether there were any to leave out.

        What the system says stays, and the last thing that the user said with all that follows.
        """
        needed, there = _number(_needed, words), _number(_there, words)
        messages = self.payload.get("messages", [])
        weights = [_weight(message) for message in messages]
        total = sum(weights)
        may_have = total * 2 // 3
        if needed and there:
            may_have = total * max(there - self._room(), there // 2) // needed
        last = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=0)
        oldest = [at for at, message in enumerate(messages[:last]) if message["role"] != "system"]
        gone: set[int] = set()
        for at in oldest:
            # What a tool said goes with the call that asked for it.
            if total <= may_have and messages[at]["role"] != "tool":
                break
            gone.add(at)
            total -= weights[at]
        self.payload["messages"] = [message for at, message in enumerate(messages) if at not in gone]
        self.left_out += len(gone)
        return bool(gone)

    def _room(self) -> int:
        asked: int = self.payload.get("options", {}).get("num_predict", ROOM)
        return max(asked, 0)

    def _guess(self) -> int:
        return sum(map(_weight, self.payload.get("messages", []))) // _BYTES_PER_TOKEN


def _weight(message: dict[str, Any]) -> int:
    """How much of a window a message takes, in bytes of text."""
    calls = len(encode(message["tool_calls"])) if "tool_calls" in message else 0
    return len(message["content"].encode("utf-8", "replace")) + calls + _IMAGE_WEIGHT * len(message.get("images", ()))


def _number(pattern: re.Pattern[bytes], words: Words) -> int | None:
    found = pattern.search(words.body)
    return int(found[1] or found[2]) if found else None
