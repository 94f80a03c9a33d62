"""Rewrites requests that a model refused for what other models take."""

from typing import Any

from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import Words

ANY_SIGNATURE = "skip_thought_signature_validator"
"""What Google takes for the signature of a call that another model made, or whose signature is lost."""


class Habits:
    """What models were found not to take, by their ids."""

    def __init__(self) -> None:
        self.thoughtless: set[str] = set()
        self.uninstructed: set[str] = set()


class Mender:
    """Rewrites one request, each way once, and remembers what helped.

    `may_hide` says that showing the thoughts was our idea.
    """

    def __init__(self, model: str, payload: dict[str, Any], habits: Habits, *, may_hide: bool) -> None:
        self.model = model
        self.payload = payload
        self.habits = habits
        self.may_hide = may_hide
        self.signed = False
        self.hidden = False
        self.moved = False
        if may_hide and model in habits.thoughtless:
            self._config().pop("thinkingConfig", None)
        if model in habits.uninstructed:
            self._move_instruction()

    def mend(self, words: Words) -> bytes | None:
        """The body to ask with instead; None where the refusal is not about what can be written in another way."""
        if words.names("thought_signature", "thoughtSignature", "thought signature"):
            if self.signed or not self._sign(keep=words.names("missing")):
                return None
            self.signed = True
        elif self.may_hide and words.names("think", "Think", "Thought") and "thinkingConfig" in self._config():
            del self._config()["thinkingConfig"]
            self.hidden = True
        elif words.names("eveloper instruction", "ystem instruction", "systemInstruction", "system_instruction"):
            if not self._move_instruction():
                return None
            self.moved = True
        else:
            return None
        return encode(self.payload)

    def learn(self) -> None:
        """Remember what was changed: the service took the request as it is now."""
        if self.hidden:
            self.habits.thoughtless.add(self.model)
        if self.moved:
            self.habits.uninstructed.add(self.model)

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.payload.get("generationConfig", {})
        return config

    def _sign(self, *, keep: bool) -> bool:
        """Sign what has no signature, or everything where those that are there are refused."""
        changed = False
        for content in self.payload["contents"]:
            for part in _signable(content):
                if not (keep and "thoughtSignature" in part):
                    part["thoughtSignature"] = ANY_SIGNATURE
                    changed = True
        return changed

    def _move_instruction(self) -> bool:
        """Let the user say what the system would."""
        told = self.payload.pop("systemInstruction", None)
        if told is None:
            return False
        self.payload["contents"].insert(0, {"role": "user", "parts": told["parts"]})
        return True


def _signable(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What the model said that bears signatures: its files, the first of the calls that it made together, and others
    that bear one already.
    """
    if content["role"] != "model":
        return []
    calls = [part for part in content["parts"] if "functionCall" in part]
    return [
        part
        for part in content["parts"]
        if "thoughtSignature" in part or ("functionCall" in part and part is calls[0]) or "inlineData" in part
    ]
