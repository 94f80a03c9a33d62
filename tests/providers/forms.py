"""Answers in the form that each service gives them, and what must come of each.

Written by hand in the forms that the services document or are known for, with their quirks; no traffic was captured.
The bodies are in `forms/`.
"""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.providers.turns import Turn

from mediary.errors import MediaryError
from mediary.providers.http.answering import AnswerReader, read_answer
from mediary.providers.http.service import Answer

FOLDER = Path(__file__).parent / "forms"


@dataclass(frozen=True)
class Form:
    """A body, by the name of its file, and what must come of it; `usage` names the counts that are checked."""

    name: str
    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[int, str | None, str | None, str], ...] = ()
    reason: str = "stop"
    usage: dict[str, Any] | None = None

    @cached_property
    def body(self) -> str:
        return (FOLDER / self.name).read_text(encoding="utf-8")


def check(turn: Turn, form: Form) -> None:
    assert turn.error is None
    assert turn.text == form.text
    assert turn.reasoning == form.reasoning
    assert tuple(turn.calls) == form.calls
    assert turn.reason == form.reason
    assert (form.usage or {}).items() <= (turn.usage or {}).items()
    assert (turn.usage is None) == (form.usage is None)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """A body in pieces."""
    marks = sorted({0, *(place % len(body) for place in places), len(body)})
    return [body[start:end] for start, end in itertools.pairwise(marks)]


async def read_pieces(pieces: list[bytes], reader: AnswerReader[Any]) -> Turn:
    """What is read of an answer that comes in these pieces."""

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    turn = Turn()
    try:
        async for event in read_answer(Answer("", pieces[0], chunks()), reader):
            turn.events.append(event)
    except MediaryError as error:
        turn.error = error
    return turn


FORMS = (
    Form(
        "openai.sse",
        text="Grüße, 世界 🌍",
        usage={
            "prompt_tokens": 19,
            "completion_tokens": 10,
            "total_tokens": 29,
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    ),
    Form(
        "openai-tools.sse", calls=((0, "call_a", "find", '{"q":"é"}'), (1, "call_b", "look", "{}")), reason="tool_calls"
    ),
    Form("openai-refusal.sse", text="I'm sorry, I cannot."),
    Form("azure-filter-first.sse", text="Hi", reason="content_filter"),
    Form("ollama-thinking.sse", text="Four.", reasoning="Okay, so.", usage={"prompt_tokens": 12, "total_tokens": 20}),
    Form(
        "ollama-tools-all-number-0.sse",
        calls=((0, "call_x1", "add", '{"a":1}'), (1, "call_x2", "sub", '{"a":2}')),
        reason="tool_calls",
    ),
    Form(
        "vllm-new-id-in-every-piece.sse",
        reasoning="Hm",
        calls=((0, "chatcmpl-tool-11", "get", '{"k": 1}'),),
        reason="tool_calls",
        usage={"prompt_tokens": 30, "completion_tokens": 19, "total_tokens": 49},
    ),
    Form(
        "llama.cpp.sse",
        text="Hello",
        reason="length",
        usage={"completion_tokens": 1, "prompt_tokens": 14, "total_tokens": 15},
    ),
    Form("lm-studio.sse", text="One two"),
    Form(
        "openrouter-comments-details-cost.sse",
        text="Yes.",
        reasoning="I think hard",
        usage={"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10, "cost": 1.23e-05},
    ),
    Form(
        "groq-usage-in-x_groq.sse",
        text="Fast",
        usage={"prompt_tokens": 38, "completion_tokens": 2, "total_tokens": 40, "queue_time": 0.05},
    ),
    Form("deepseek.sse", text="Ja", reasoning="Überlegen", usage={"total_tokens": 14, "prompt_cache_miss_tokens": 9}),
    Form(
        "mistral-content-as-parts.sse",
        text="Voilà !",
        reasoning="D'abord ça",
        usage={"prompt_tokens": 10, "completion_tokens": 12, "total_tokens": 22},
    ),
    Form(
        "gemini-tools-without-number-no-done.sse",
        calls=((0, None, "one", '{"x":1}'), (1, None, "two", '{"x":2}')),
        reason="tool_calls",
    ),
    Form(
        "nulls-and-counts-in-quotes.sse",
        text="so",
        usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    ),
    Form(
        "not-streamed.json",
        text="All at once",
        reasoning="Slowly",
        calls=((0, "c1", "f", "{}"),),
        usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    ),
    Form("done-without-reason.sse", text="short"),
)
