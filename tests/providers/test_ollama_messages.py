"""What Ollama is sent: messages, pictures, tools, options, and what it refuses mended."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.providers.turns import ask, hold
from tests.servers.ollama import OllamaPeer, png
from tests.servers.scripted import Scripted, said

from mediary.errors import FieldError, ProviderError, UnsupportedTypeError
from mediary.events import Log
from mediary.providers.base import Audio, Document, Image, Message, Remote, Text, TurnRequest, Video
from mediary.providers.ollama.provider import Ollama

MakeOllama = Callable[..., Ollama]
PICTURE = Image("image/png", png(2, 2), "red.png")


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


async def sent(make: MakeOllama, peer: OllamaPeer, request: TurnRequest, **settings: Any) -> dict[str, Any]:
    """The body that a question becomes, which the peer has taken."""
    turn = await hold(make(peer.url, **settings), request)
    assert turn.error is None, turn.error
    return peer.questions[-1]


async def test_roles(make_ollama: MakeOllama, ollama: OllamaPeer):
    messages = (
        Message("system", (Text("Be short."),)),
        Message("developer", (Text("In French."),)),
        Message("user", (Text("Hi"), Text("there"))),
        Message("assistant", (Text("Hello."), PICTURE)),
        Message("user", (Text("Look"), PICTURE, Document("text/plain", "né".encode(), "a.txt"))),
    )
    body = await sent(make_ollama, ollama, TurnRequest("gemma3:4b", messages))
    assert body["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "system", "content": "In French."},
        {"role": "user", "content": "Hi\nthere"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Look\nné", "images": [base64.b64encode(PICTURE.data).decode()]},
    ]
    assert (body["model"], body["stream"], body["truncate"]) == ("gemma3:4b", True, False)
    assert not {"options", "think", "format", "tools"} & set(body)


@pytest.mark.parametrize(
    "part",
    [
        Audio("audio/wav", b"RIFF", "a.wav"),
        Video("video/mp4", b"", "a.mp4"),
        Document("application/pdf", b"%PDF", "a.pdf"),
        Remote("image/png", {}, "a.png"),
    ],
)
async def test_what_it_does_not_take(make_ollama: MakeOllama, ollama: OllamaPeer, part: Any):
    turn = await hold(make_ollama(ollama.url), ask("Look", part, model="gemma3:4b"))
    assert isinstance(turn.error, UnsupportedTypeError)
    assert part.name in str(turn.error)
    assert ollama.questions == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"temperature": 0.5, "top_p": 0.9, "seed": 7, "max_tokens": 100, "stop": "END", "n": 2},
            {"options": {"temperature": 0.5, "top_p": 0.9, "seed": 7, "num_predict": 100, "stop": ["END"]}},
        ),
        ({"stop": ["a", "b"]}, {"options": {"stop": ["a", "b"]}}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}}, {"format": {"a": 1}}),
        ({"response_format": {"type": "json_schema", "schema": {"a": 1}}}, {"format": {"a": 1}}),
        ({"response_format": {"type": "json_schema", "json_schema": None}}, {}),
        ({"tools": [tool("f"), tool("g")]}, {"tools": [tool("f"), tool("g")]}),
        ({"tools": [tool("f")], "tool_choice": "none"}, {}),
        ({"tools": [tool("f")], "tool_choice": "required"}, {"tools": [tool("f")]}),
        (
            {"tools": [tool("f"), tool("g")], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            {"tools": [tool("g")]},
        ),
    ],
)
async def test_options(make_ollama: MakeOllama, ollama: OllamaPeer, options: dict[str, Any], expected: dict[str, Any]):
    body = await sent(make_ollama, ollama, ask("Hello", model="llama3.2", options=options))
    fields = ("options", "format", "tools", "think")
    assert {name: body[name] for name in fields if name in body} == expected


async def test_an_answer_in_a_shape(make_ollama: MakeOllama, ollama: OllamaPeer):
    shape = {"type": "json_schema", "json_schema": {"schema": {"properties": {"name": {"type": "string"}}}}}
    turn = await hold(make_ollama(ollama.url), ask("Who?", model="llama3.2", options={"response_format": shape}))
    assert json.loads(turn.text) == {"name": "yes"}


async def test_tools_there_and_back(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url)
    options = {"tools": [tool("weather"), tool("time")]}
    turn = await hold(provider, ask("What is it like?", model="llama3.2", options=options))
    assert turn.reason == "tool_calls"
    assert [(number, name, arguments) for number, _, name, arguments in turn.calls] == [
        (0, "weather", "{}"),
        (1, "time", "{}"),
    ]
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": '{"city":"Kyōto"}'}}
        for _, call_id, name, _ in turn.calls
    ]
    messages = (
        Message("user", (Text("What is it like?"),)),
        Message("assistant", (), {"tool_calls": calls}),
        Message("tool", (Text("rain"),), {"tool_call_id": calls[0]["id"]}),
        Message("tool", (Text("noon"),), {"tool_call_id": calls[1]["id"]}),
    )
    answer = await hold(provider, TurnRequest("llama3.2", messages, options))
    assert answer.text == "time gave: noon "
    _, said, rain, noon = ollama.questions[-1]["messages"]
    assert said["tool_calls"][0] == {
        "id": calls[0]["id"],
        "function": {"name": "weather", "arguments": {"city": "Kyōto"}},
    }
    assert rain == {
        "role": "tool",
        "content": "rain",
        "tool_name": "weather",
        "tool_call_id": calls[0]["id"],
    }
    assert noon["tool_name"] == "time"


async def test_calls_without_ids_get_some(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.is_old = True
    turn = await hold(make_ollama(ollama.url), ask("Go", model="llama3.2", options={"tools": [tool("f"), tool("g")]}))
    ids = {call_id for _, call_id, _, _ in turn.calls}
    assert len(ids) == 2
    assert all(ids)


@pytest.mark.parametrize("arguments", ['["no object"]', "{cut", None, '"text"'])
async def test_arguments_that_are_no_object(make_ollama: MakeOllama, ollama: OllamaPeer, arguments: str | None):
    call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    messages = (Message("assistant", (), {"tool_calls": [call]}), Message("tool", (Text("x"),), {"tool_call_id": "c"}))
    body = await sent(make_ollama, ollama, TurnRequest("llama3.2", messages))
    assert isinstance(body["messages"][0]["tool_calls"][0]["function"]["arguments"], dict)


async def test_a_model_without_tools_says_so(make_ollama: MakeOllama, ollama: OllamaPeer):
    turn = await hold(make_ollama(ollama.url), ask("Go", model="tiny", options={"tools": [tool("f")]}))
    assert type(turn.error) is ProviderError
    assert "does not support tools" in str(turn.error)


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("none", False),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "high"),
    ],
)
async def test_how_much_to_think(make_ollama: MakeOllama, ollama: OllamaPeer, effort: str, think: bool | str):
    body = await sent(make_ollama, ollama, ask("Why?", model="qwen3:8b", options={"reasoning_effort": effort}))
    assert body["think"] == think


async def test_thoughts_are_asked_for_where_they_are_known_of(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url)
    await provider.models()
    turn = await hold(provider, ask("Why?", model="qwen3:8b"))
    assert turn.reasoning == "Hm, True."
    await hold(provider, ask("Why?", model="llama3.2"))
    assert [question.get("think") for question in ollama.questions] == [True, None]


async def test_a_model_that_cannot_think_answers_all_the_same(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url)
    request = ask("Why?", model="llama3.2", options={"reasoning_effort": "high"})
    turns = [await hold(provider, request) for _ in range(2)]
    assert [turn.text for turn in turns] == ["You said: Why? "] * 2
    assert [question.get("think") for question in ollama.questions] == ["high", None, None]


async def test_levels_that_are_not_known(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.is_old = True
    provider = make_ollama(ollama.url)
    request = ask("Why?", model="qwen3:8b", options={"reasoning_effort": "high"})
    turns = [await hold(provider, request) for _ in range(2)]
    assert [turn.reasoning for turn in turns] == ["Hm, True."] * 2
    assert [question.get("think") for question in ollama.questions] == ["high", True, True]


async def test_an_unheard_of_level(make_ollama: MakeOllama, ollama: OllamaPeer):
    turn = await hold(
        make_ollama(ollama.url), ask("Why?", model="qwen3:8b", options={"reasoning_effort": "like a horse"})
    )
    assert turn.reasoning == "Hm, True."


def long(tokens: int) -> str:
    return "word " * (tokens * 4 // 5)


async def test_a_long_question_gets_the_window_that_it_needs(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url)
    turn = await hold(provider, ask(long(9_000), model="llama3.2"))
    assert turn.usage and turn.usage["prompt_tokens"] == 9_000
    await hold(provider, ask("And now a short one", model="llama3.2"))
    await hold(provider, ask("Another model", model="qwen3:8b"))
    windows = [question.get("options", {}).get("num_ctx") for question in ollama.questions]
    # The model is not loaded anew for the short one.
    assert windows == [None, 16_384, 16_384, None]


async def test_the_oldest_messages_go_where_the_window_cannot_grow(make_ollama: MakeOllama, ollama: OllamaPeer):
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    messages = (
        Message("system", (Text("Be short."),)),
        Message("user", (Text("First"),)),
        Message("assistant", (Text(long(20_000)),), {"tool_calls": [call]}),
        Message("tool", (Text("x"),), {"tool_call_id": "c"}),
        Message("assistant", (Text(f"Second {long(20_000)}"),)),
        Message("user", (Text("Third"),)),
    )
    turn = await hold(make_ollama(ollama.url), TurnRequest("llama3.2", messages))
    assert turn.text == "You said: Third "
    assert [message["content"][:6] for message in ollama.questions[-1]["messages"]] == ["Be sho", "Second", "Third"]
    (log,) = (event for event in turn.events if isinstance(event, Log))
    assert "the 3 oldest messages were left out" in log.log
    assert "`context_tokens`" in log.log


async def test_a_question_that_is_too_long_for_itself_is_refused(make_ollama: MakeOllama, ollama: OllamaPeer):
    turn = await hold(make_ollama(ollama.url), ask(long(40_000), model="llama3.2"))
    assert type(turn.error) is ProviderError
    assert str(turn.error) == (
        "Test: request (40000 tokens) exceeds the available context size (32768 tokens), try increasing it"
    )


async def test_a_server_that_says_the_same_of_every_window_is_not_asked_for_ever(
    make_ollama: MakeOllama, service: Scripted
):
    words = "request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it"
    service.play(said({"error": words}, 400))
    provider = make_ollama(service.origin)
    for _ in range(2):
        assert type((await hold(provider, ask("Hello", model="llama3.2", timeout=5))).error) is ProviderError
    assert len(service.asked) == 2 + 2


@pytest.mark.parametrize("there", ["4096", "9" * 5000])
async def test_numbers_that_are_none_in_a_refusal(make_ollama: MakeOllama, service: Scripted, there: str):
    words = f"request ({'9' * 5000} tokens) exceeds the available context size ({there} tokens)"
    service.play(said({"error": words}, 400))
    turn = await hold(make_ollama(service.origin), ask("Hello", model="llama3.2", timeout=5))
    assert type(turn.error) is ProviderError


async def test_the_window_of_the_settings_is_sent_and_never_changed(make_ollama: MakeOllama, ollama: OllamaPeer):
    provider = make_ollama(ollama.url, context_tokens=60_000)
    turn = await hold(provider, ask(long(40_000), model="llama3.2"))
    assert turn.usage and turn.usage["prompt_tokens"] == 40_000
    assert isinstance((await hold(provider, ask(long(70_000), model="llama3.2"))).error, ProviderError)
    assert [question["options"]["num_ctx"] for question in ollama.questions] == [60_000, 60_000]


async def test_an_old_server_cuts_as_it_always_did(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.is_old = True
    turn = await hold(make_ollama(ollama.url), ask(long(9_000), model="llama3.2"))
    assert turn.usage and turn.usage["prompt_tokens"] == 2_048


async def test_a_picture_is_made(make_ollama: MakeOllama, ollama: OllamaPeer):
    options = {"width": 640, "aspect_ratio": "4:3", "seed": 5, "steps": 4}
    request = ask("A boat", PICTURE, model="x/z-image-turbo", options=options)
    turn = await hold(make_ollama(ollama.url), request)
    (picture,) = turn.media
    assert (picture.kind, picture.alt) == ("image", "A boat")
    assert base64.b64decode(picture.data).startswith(b"\x89PNG")
    steps = [event.status for event in turn.events if getattr(event, "label", None) == "Image"]
    assert steps == ["25 %", "50 %", "75 %", "100 %"]
    assert turn.reason == "stop"
    assert ollama.questions == [
        {
            "model": "x/z-image-turbo",
            "prompt": "A boat",
            "stream": True,
            "width": 640,
            "height": 480,
            "steps": 4,
            "options": {"seed": 5},
            "images": [base64.b64encode(PICTURE.data).decode()],
        }
    ]


async def test_a_picture_by_a_model_of_any_name(make_ollama: MakeOllama, ollama: OllamaPeer):
    ollama.models["painter:latest"] = ollama.models["x/z-image-turbo:latest"]
    configured = make_ollama(ollama.url, image_models=("painter",))
    assert len((await hold(configured, ask("A boat", model="painter:latest"))).media) == 1
    told = make_ollama(ollama.url)
    await told.models()
    assert len((await hold(told, ask("A boat", model="painter"))).media) == 1


@pytest.mark.parametrize(("options", "error"), [({"width": 5000}, ProviderError), ({"height": 10**400}, FieldError)])
async def test_a_picture_that_is_too_large(
    make_ollama: MakeOllama, ollama: OllamaPeer, options: dict[str, int], error: type
):
    turn = await hold(make_ollama(ollama.url), ask("A boat", model="x/z-image-turbo", options=options))
    assert type(turn.error) is error
