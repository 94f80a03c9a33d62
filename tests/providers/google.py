"""Short words for the tests of the generateContent wire: an answer, a tool call."""

from collections.abc import Callable
from typing import Any

from mediary.providers.gemini.provider import Gemini

Make = Callable[..., Gemini]
DONE = {"candidates": [{"content": {"parts": [{"text": "Yes."}]}, "finishReason": "STOP"}]}
MODEL = "gemini-2.5-flash"


def call(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    """A call of a function, as OpenAI writes it."""
    return {"id": f"c-{name}", "type": "function", "function": {"name": name, "arguments": arguments}, **more}
