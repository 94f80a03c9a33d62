"""Answers on the Messages wire, in the forms that Anthropic documents and others are known for, and what must come.

Written by hand; no traffic was captured. The bodies are in `forms/`.
"""

from tests.providers.forms import Form

FORMS = (
    Form(
        "anthropic-thinking-and-tools.sse",
        text="Ich sehe nach 🌍.",
        reasoning="Erst überlegen.",
        calls=((0, "toolu_01A", "get_weather", '{"city": "Kyōto"}'), (1, "toolu_01B", "get_time", "{}")),
        reason="tool_calls",
        usage={
            "prompt_tokens": 329,
            "completion_tokens": 89,
            "total_tokens": 418,
            "cache_read_input_tokens": 300,
            "output_tokens_details": {"thinking_tokens": 30},
        },
    ),
    Form(
        "anthropic-server-tools-and-unknown.sse",
        text="It is so.",
        usage={"prompt_tokens": 10682, "total_tokens": 11192, "server_tool_use": {"web_search_requests": 1}},
    ),
    Form(
        "anthropic-refusal.sse",
        text="I cannot help with that.",
        reason="content_filter",
        usage={"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
    ),
    Form("anthropic-refusal-in-the-middle.sse", text="First, ", reason="content_filter", usage={"total_tokens": 16}),
    Form("anthropic-nothing-to-say.sse", usage={"total_tokens": 14}),
    Form("anthropic-longest.sse", text="One two", reason="length", usage={"total_tokens": 14}),
    Form(
        "ollama-messages-input-at-once.sse",
        text="So",
        calls=((0, "toolu_x", "add", '{"a":1}'),),
        reason="tool_calls",
        usage={"total_tokens": 8},
    ),
    Form(
        "messages-without-a-stop-of-block-and-message.sse",
        calls=((0, "toolu_x", "add", "{}"),),
        reason="tool_calls",
        usage={"total_tokens": 8},
    ),
    Form(
        "messages-without-places-and-done.sse",
        calls=((0, "toolu_x", "add", '{"a":1}'), (1, "toolu_y", "sub", "{}")),
        reason="tool_calls",
        usage={"total_tokens": 8},
    ),
    Form(
        "messages-nulls-and-counts-in-quotes.sse",
        text="so",
        usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    ),
    Form("messages-half-characters.sse", text="a🌍 b\ufffd"),
    Form(
        "anthropic-not-streamed.json",
        text="Voilà.",
        reasoning="Hm.",
        calls=((0, "toolu_01", "look", '{"q":"é"}'), (1, "toolu_02", "wait", "{}")),
        reason="tool_calls",
        usage={"prompt_tokens": 15, "completion_tokens": 20, "total_tokens": 35},
    ),
)
