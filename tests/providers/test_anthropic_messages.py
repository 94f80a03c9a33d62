"""What is sent on the Messages wire: messages, files, tools and options, to a small and strict Anthropic."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.providers.claude import HAIKU, OPUS, SMALL, good, say, talk
from tests.providers.turns import hold
from tests.servers.anthropic import KEY, OTHER_KEY, Small

from mediary.errors import (
    ProviderError,
    UnsupportedTypeError,
)
from mediary.providers.anthropic.provider import Anthropic
from mediary.providers.base import (
    Audio,
    Document,
    Image,
    Message,
    Remote,
    Text,
    TurnRequest,
    Video,
)

MakeAnthropic = Callable[..., Anthropic]


async def test_system_messages_go_apart(claude: Anthropic, small: Small):
    request = talk(("system", "Be brief."), ("user", "One"), ("developer", "In German."), ("user", "Two"))
    turn = await good(claude, request)
    assert turn.text == "You said: One Two"
    assert small.questions[0]["system"] == "Be brief.\n\nIn German."
    assert [message["role"] for message in small.questions[0]["messages"]] == ["user"]


async def test_what_is_empty_is_left_out(claude: Anthropic, small: Small):
    request = talk(("user", "One"), ("assistant", " \n"), ("user", ""), ("user", "Two"), ("assistant", "Well "))
    messages = small.questions
    await good(claude, replace(request, messages=(*request.messages, Message("user", (Text("Three"),)))))
    assert messages[0]["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Well "}]},
        {"role": "user", "content": [{"type": "text", "text": "Three"}]},
    ]


async def test_an_answer_that_is_begun_does_not_end_with_a_space(claude: Anthropic, small: Small):
    await good(claude, talk(("user", "One"), ("assistant", "It is ")))
    assert small.questions[0]["messages"][-1]["content"] == [{"type": "text", "text": "It is"}]


async def test_files_within_the_question(claude: Anthropic):
    parts = (
        Image("image/png", b"\x89PNG"),
        Document("application/pdf", b"%PDF-1.7", "a.pdf"),
        Document("text/plain", "grün".encode(), "a.txt"),
        "What?",
    )
    turn = await good(claude, say(*parts))
    assert turn.text == "You said: [image/png of 4 bytes] [application/pdf of 8 bytes] [text/plain of 5 bytes] What?"


async def test_large_files_do_not_stop_the_loop(claude: Anthropic):
    turn = await good(claude, say(Document("application/pdf", bytes(22 * 1024**2), "a.pdf"), "What?"))
    assert "[application/pdf of 23068672 bytes]" in turn.text


async def test_a_file_that_lies_with_the_service(claude: Anthropic, small: Small):
    file_id = small.store(KEY, "a.pdf", "application/pdf", b"%PDF", None)["id"]
    block = {"type": "document", "source": {"type": "file", "file_id": file_id}}
    turn = await good(claude, say(Remote("application/pdf", block, "a.pdf"), "What?"))
    assert turn.text == "You said: [application/pdf of 4 bytes] What?"
    turn = await hold(claude, say(Remote("application/pdf", block, "a.pdf"), "What?", api_key=OTHER_KEY))
    assert type(turn.error) is ProviderError
    assert f"File not found: {file_id}" in str(turn.error)


@pytest.mark.parametrize("part", [Audio("audio/mpeg", b"a", "a.mp3"), Video("video/mp4", b"a")])
async def test_sounds_and_videos_are_refused_before_a_byte_is_sent(claude: Anthropic, small: Small, part):
    turn = await hold(claude, say(part, "What?"))
    assert isinstance(turn.error, UnsupportedTypeError)
    assert part.media_type in str(turn.error)
    assert small.asked == []


async def test_calls_of_tools_and_their_results(claude: Anthropic, small: Small):
    calls = [
        {"id": "functions.look:0", "type": "function", "function": {"name": "look", "arguments": '{"at": "é"}'}},
        {"id": "call_2", "type": "function", "function": {"name": "wait", "arguments": ""}},
        {"id": "call_3", "type": "function", "function": {"name": "cut", "arguments": '{"at": '}},
    ]
    picture = Image("image/png", b"\x89PNG")
    messages = (
        Message("user", (Text("Look."),)),
        Message("assistant", (Text("I look."),), {"tool_calls": calls}),
        Message("tool", (Text("a tree"), picture), {"tool_call_id": "functions.look:0"}),
        Message("tool", (), {"tool_call_id": "call_2"}),
        Message("user", (Text("And?"),)),
        Message("tool", (Text("no"),), {"tool_call_id": "call_3"}),
    )
    turn = await good(claude, TurnRequest(model=HAIKU, messages=messages))
    assert turn.text == "You said: a tree [image/png of 4 bytes]  no And?"
    used = small.questions[0]["messages"][1]["content"][1:]
    assert [block["input"] for block in used] == [{"at": "é"}, {}, {"arguments": '{"at": '}]
    assert [block["id"] for block in used] == ["functions_look_0", "call_2", "call_3"]


async def test_options_in_the_words_of_the_wire(claude: Anthropic, small: Small):
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    own = {"type": "web_search_20260209", "name": "web_search"}
    options = {
        "max_tokens": 50,
        "stop": "END",
        "seed": 7,
        "width": 512,
        "tools": [
            {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": schema}},
            {"type": "function", "function": {"name": "wait"}},
            own,
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}},
    }
    await good(claude, say("Hello", options=options))
    (body,) = small.questions
    del body["messages"]
    assert body == {
        "model": HAIKU,
        "stream": True,
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "tools": [
            {"name": "look", "description": "Looks.", "input_schema": schema},
            {"name": "wait", "input_schema": {"type": "object", "properties": {}}},
            own,
        ],
        "tool_choice": {"type": "tool", "name": "look"},
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "tool", "name": "a"}, {"type": "tool", "name": "a"}),
    ],
)
async def test_which_tool(claude: Anthropic, small: Small, choice, sent):
    tools = [{"type": "function", "function": {"name": "a"}}]
    await good(claude, say("Hello", options={"tools": tools, "tool_choice": choice, "stop": ["A", "B"]}))
    assert small.questions[0]["tool_choice"] == sent
    assert small.questions[0]["stop_sequences"] == ["A", "B"]


async def test_json_without_a_schema_is_asked_for_in_words(claude: Anthropic, small: Small):
    await good(claude, say("Hello", options={"response_format": {"type": "json_object"}}))
    assert "JSON" in small.questions[0]["system"]
    await good(claude, say("Hello", options={"response_format": {"type": "text"}}))
    assert "system" not in small.questions[1]


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"top_p": 0.5}])
async def test_sampling_goes_by_the_version_that_takes_it(claude: Anthropic, small: Small, options):
    await good(claude, say("Hello", options=options))
    assert small.headers[0]["anthropic-version"] == "2023-06-01"
    assert options.items() <= small.questions[0].items()


async def test_effort_of_a_model_that_takes_it(claude: Anthropic, small: Small):
    turn = await good(claude, say("Hello", model=OPUS, options={"reasoning_effort": "minimal"}))
    assert turn.reasoning == "Let me see."
    (body,) = small.questions
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "low"}


async def test_effort_of_an_older_model_is_a_budget_which_is_remembered(claude: Anthropic, small: Small):
    for _ in range(2):
        turn = await good(claude, say("Hello", options={"reasoning_effort": "xhigh"}))
        assert turn.reasoning == "Let me see."
    thinking = [body["thinking"]["type"] for body in small.questions]
    assert thinking == ["adaptive", "enabled", "enabled"]
    assert small.questions[-1]["thinking"]["budget_tokens"] == 16_384
    assert "output_config" not in small.questions[-1]


@pytest.mark.parametrize(("length", "budget"), [(5000, 3976), (2048, 1024), (2047, None)])
async def test_a_budget_leaves_room_for_the_answer(claude: Anthropic, small: Small, length, budget):
    await good(claude, say("Hello", options={"reasoning_effort": "high", "max_tokens": length}))
    assert small.questions[-1].get("thinking", {}).get("budget_tokens") == budget
    assert small.questions[-1]["max_tokens"] == length


async def test_no_budget_between_calls_of_tools(claude: Anthropic, small: Small):
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = (
        Message("user", (Text("Look."),)),
        Message("assistant", (), {"tool_calls": [call]}),
        Message("tool", (Text("a tree"),), {"tool_call_id": "call_1"}),
    )
    await good(claude, TurnRequest(model=HAIKU, messages=messages, options={"reasoning_effort": "low"}))
    assert "thinking" not in small.questions[-1]


async def test_no_thinking_and_a_model_that_always_thinks(claude: Anthropic, small: Small):
    await good(claude, say("Hello", options={"reasoning_effort": "none"}))
    assert small.questions[-1]["thinking"] == {"type": "disabled"}
    for _ in range(2):
        await good(claude, say("Hello", model=OPUS, options={"reasoning_effort": "none"}))
    assert "thinking" not in small.questions[-1]
    assert small.questions[-1]["output_config"] == {"effort": "low"}
    assert len(small.questions) == 4


async def test_the_length_of_an_answer(claude: Anthropic, small: Small):
    for _ in range(2):
        await good(claude, say("Hello", model=SMALL))
    assert [body["max_tokens"] for body in small.questions] == [32_000, 4_096, 4_096]
    turn = await hold(claude, say("Hello", model=SMALL, options={"max_tokens": 5000}))
    assert "which is the maximum" in str(turn.error)
    assert small.questions[-1]["max_tokens"] == 5000


async def test_a_long_question_leaves_less_for_its_answer_alone(claude: Anthropic, small: Small):
    await good(claude, say("word " * 150_000))
    await good(claude, say("Hello"))
    assert [body["max_tokens"] for body in small.questions] == [32_000, 4_096, 32_000]


async def test_an_effort_that_there_is_not(claude: Anthropic, small: Small):
    turn = await hold(claude, say("Hello", options={"reasoning_effort": "huge"}))
    assert "effort" in str(turn.error)
    assert [body["output_config"] for body in small.questions] == [{"effort": "huge"}]


async def test_the_length_that_the_service_tells(claude: Anthropic, small: Small):
    await claude.models()
    await good(claude, say("Hello", model=SMALL))
    assert [body["max_tokens"] for body in small.questions] == [4_096]


async def test_the_body_is_json_whatever_is_said(claude: Anthropic, small: Small):
    turn = await good(claude, say('"\\ \u2028 \x00 \U0001f30d'))
    assert turn.text == 'You said: "\\ \u2028 \x00 \U0001f30d'
    assert json.dumps(small.questions[0])


async def test_files_by_id_beside_a_temperature(claude: Anthropic, small: Small):
    stored = small.store(KEY, "a.png", "image/png", b"PNG", None)
    part = Remote("image/png", {"type": "image", "source": {"type": "file", "file_id": stored["id"]}}, "a.png")
    turn = await good(claude, say(part, "What?", options={"temperature": 0.5}))
    assert turn.text == "You said: [image/png of 3 bytes] What?"


@pytest.mark.parametrize(
    "arguments", ['{"a": "\\ud83d"}', '{"a": NaN}', '{"a": 123456789012345678901234567890}', "[", ""]
)
async def test_whatever_the_arguments_of_a_call_are(claude: Anthropic, small: Small, arguments: str):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    said = Message("assistant", (), {"tool_calls": [call]})
    result = Message("tool", (Text("1"),), {"tool_call_id": "c1"})
    await good(claude, TurnRequest(HAIKU, (Message("user", (Text("Hi"),)), said, result)))
    assert isinstance(small.questions[0]["messages"][1]["content"][0]["input"], dict)
