"""Answers in the forms that Ollama gives them, and what must come of each.

Written by hand after its documentation, its source and its client; no traffic was captured. The bodies are in `forms/`.
"""

from tests.providers.forms import Form

_COUNTS = {"prompt_tokens": 26, "completion_tokens": 298, "total_tokens": 324, "eval_duration": 4_799_921_000}

FORMS = (
    Form("ollama/thinking.ndjson", text="Grüße, 世界 🌍", reasoning="Erst überlegen.", usage=_COUNTS),
    Form(
        "ollama/tools-all-number-0.ndjson",
        reasoning="Two cities.",
        calls=(
            (0, "call_k3x9qa1z", "get_weather", '{"city":"Kyōto"}'),
            (1, "call_77d0pq2m", "get_weather", '{"city":"Bern"}'),
            (2, "call_0000zzzz", "get_time", "{}"),
        ),
        reason="tool_calls",
        usage=_COUNTS,
    ),
    Form("ollama/longest.ndjson", text="One two", reason="length", usage=_COUNTS),
    Form("ollama/everything-in-the-last-line.ndjson", text="All", reasoning="Quickly", usage=_COUNTS),
    Form(
        "ollama/not-streamed.json",
        text="All at once",
        reasoning="Slowly",
        calls=((0, "call_1", "f", "{}"),),
        reason="tool_calls",
        usage=_COUNTS,
    ),
    Form(
        "ollama/question-was-cached.ndjson",
        text="Again",
        usage={"prompt_tokens": 0, "completion_tokens": 2, "total_tokens": 2},
    ),
    Form("ollama/of-2023-without-reason-and-counts.ndjson", text="Old"),
    Form("ollama/half-characters.ndjson", text="so 🌍 is!"),
    Form("ollama/nulls-and-counts-in-quotes.ndjson", text="so", usage={"prompt_tokens": 3, "total_tokens": 7}),
    Form("ollama/cloud.ndjson", text="From afar", usage=_COUNTS),
)
