"""Answers on the Responses wire, in the forms that OpenAI documents and others are known for, and what must come.

Written by hand; no traffic was captured. The bodies are in `forms/responses/`.
"""

from tests.providers.forms import Form

CALL = (0, "call_a", "find", '{"q":"é"}')

FORMS = (
    Form(
        "responses/openai.sse",
        text="Grüße, 世界 🌍",
        usage={
            "prompt_tokens": 19,
            "completion_tokens": 10,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    ),
    Form(
        "responses/openai-thinking-and-tools.sse",
        text="Ich sehe nach.",
        reasoning="**Erst** überlegen.\n\nDann fragen.",
        calls=(CALL, (1, "call_b", "look", "{}")),
        reason="tool_calls",
        usage={"total_tokens": 70, "output_tokens_details": {"reasoning_tokens": 12}},
    ),
    Form("responses/openai-thinking-without-a-word.sse", text="So.", usage={"total_tokens": 7}),
    Form(
        "responses/openai-web-search.sse",
        text="It is so ([Example](https://example.com/?utm_source=openai)).\n\n1. [Other](https://other.example.com/)",
        usage={
            "total_tokens": 320,
            "tool_usage": {
                "image_gen": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
                "web_search": {"num_requests": 1},
            },
        },
    ),
    Form("responses/openai-picture.sse", text="There.", usage={"total_tokens": 2050}),
    Form(
        "responses/openai-refusal.sse",
        text="I'm sorry, I cannot.",
        reason="content_filter",
        usage={"total_tokens": 15},
    ),
    Form("responses/openai-longest.sse", text="One two", reason="length", usage={"total_tokens": 23}),
    Form("responses/openai-filtered.sse", text="First, ", reason="content_filter", usage={"total_tokens": 10}),
    Form("responses/openai-two-messages.sse", text="Let me see.\n\nIt is so.", usage={"total_tokens": 16}),
    Form(
        "responses/openai-not-streamed.json",
        text="All at once",
        reasoning="Slowly",
        calls=(CALL,),
        reason="tool_calls",
        usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    ),
    Form("responses/vllm-raw-thoughts.sse", text="Four.", reasoning="Hm, so.", usage={"total_tokens": 20}),
    Form(
        "responses/ollama-tools.sse",
        reasoning="Okay.",
        calls=((0, "call_x", "add", '{"a":1}'),),
        reason="tool_calls",
        usage={"total_tokens": 8},
    ),
    Form("responses/copilot-new-ids-in-every-piece.sse", text="One two", usage={"total_tokens": 5}),
    Form(
        "responses/all-at-the-end.sse",
        text="All at once",
        reasoning="Slowly",
        calls=(CALL,),
        reason="tool_calls",
        usage={"total_tokens": 3},
    ),
    Form(
        "responses/whole-items.sse",
        text="One\n\nTwo",
        calls=(CALL,),
        reason="tool_calls",
        usage={"total_tokens": 3},
    ),
    Form(
        "responses/nulls-and-counts-in-quotes.sse",
        text="so",
        calls=((0, "c1", "add", '{"a":1}'), (1, "c2", "sub", "{}")),
        reason="tool_calls",
        usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    ),
    Form("responses/unknown-events.sse", text="It is so.", usage={"total_tokens": 8}),
    Form("responses/half-characters.sse", text="a🌍 b\ufffd"),
)
