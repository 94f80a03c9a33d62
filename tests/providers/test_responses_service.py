"""The Responses wire against a small and strict OpenAI: turns, tools, pictures, going on from an answer, refusals."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from openai import APIStatusError, AsyncOpenAI
from tests.providers.responses import NAME, good, logs, previews, say, state, talk, thoughts, work
from tests.providers.turns import hold
from tests.servers.openai_files import KEY, OTHER_KEY
from tests.servers.openai_responses import PAINTER, PIXEL, PLAIN, THINKING, Responses, small_openai
from tests.servers.scripted import Scripted, events, said, whole

from mediary.errors import (
    BadAnswerError,
    BadRequestError,
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    UnsupportedTypeError,
)
from mediary.events import Finish, Usage
from mediary.providers.base import Audio, Document, HasFlow, Image, Message, Remote, TakesFiles, Text, Video
from mediary.providers.openai_responses.provider import OpenAIResponses

Make = Callable[..., OpenAIResponses]

FIND = {"name": "find", "description": "Finds.", "parameters": {"type": "object", "properties": {"about": {}}}}
LOOK = {"name": "look"}
TOOLS = [{"type": "function", "function": FIND}, {"type": "function", "function": LOOK}]


@pytest.fixture
async def openai() -> AsyncIterator[Responses]:
    async with small_openai() as service:
        yield service


@pytest.fixture
def gpt(make_responses: Make, openai: Responses) -> OpenAIResponses:
    """A provider at the small OpenAI."""
    return make_responses(openai.base_url, api_key=KEY, default_model=PLAIN)


async def test_the_sdk_accepts_this_service(openai: Responses):
    async with AsyncOpenAI(base_url=openai.base_url, api_key=KEY, max_retries=0) as client:
        assert PLAIN in [model.id async for model in client.models.list()]
        file = await client.files.create(file=("a.txt", b"hello", "text/plain"), purpose="user_data")
        parts = [{"type": "input_file", "file_id": file.id}, {"type": "input_text", "text": "What is this?"}]
        asked = {"model": THINKING, "input": [{"role": "user", "content": parts}], "reasoning": {"summary": "auto"}}
        whole_answer = await client.responses.create(**asked)
        async with client.responses.stream(**asked) as stream:
            answer = await stream.get_final_response()
        assert whole_answer.output_text == answer.output_text
        assert answer.output_text == "You said: [user_data file of 5 bytes] What is this? (1)"
        later = await client.responses.create(model=PLAIN, input="And?", previous_response_id=answer.id)
        assert later.output_text == "You said: And? (4)"
        with pytest.raises(APIStatusError, match="not found"):
            await client.responses.create(model=PLAIN, input="And?", previous_response_id="resp_none")
        with pytest.raises(APIStatusError, match="Unknown parameter"):
            await client.responses.create(model=PLAIN, input="And?", extra_body={"stop": "."})
        await client.files.delete(file.id)
        with pytest.raises(APIStatusError, match="were not found"):
            await client.responses.create(**asked)


async def test_the_sdk_reads_tools_and_pictures_of_this_service(openai: Responses):
    async with AsyncOpenAI(base_url=openai.base_url, api_key=KEY, max_retries=0) as client:
        tool = {"type": "function", "strict": False, **FIND}
        async with client.responses.stream(model=PLAIN, input="Where?", tools=[tool]) as stream:
            kinds = [event.type async for event in stream]
            [call] = (await stream.get_final_response()).output
        assert (call.type, call.name, call.arguments) == ("function_call", "find", '{"about": "Where?"}')
        assert "response.function_call_arguments.delta" in kinds
        painting = {"type": "image_generation", "partial_images": 2}
        async with client.responses.stream(model=PLAIN, input="paint", tools=[painting]) as stream:
            kinds = [event.type async for event in stream]
            [picture] = (await stream.get_final_response()).output
        assert kinds.count("response.image_generation_call.partial_image") == 2
        assert picture.result == PIXEL


async def test_text_usage_and_end(gpt: OpenAIResponses, openai: Responses):
    turn = await good(gpt, say("Grüße, 世界 🌍"))
    assert turn.text == "You said: Grüße, 世界 🌍 (1)"
    assert turn.reason == "stop"
    assert turn.usage == {
        "input_tokens": 13,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 20,
        "prompt_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "completion_tokens": 7,
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert [type(event) for event in turn.events[-2:]] == [Usage, Finish]
    assert openai.questions == [
        {"model": PLAIN, "stream": True, "input": [{"role": "user", "content": "Grüße, 世界 🌍"}]}
    ]


async def test_thoughts_are_shown_of_models_that_think(gpt: OpenAIResponses, openai: Responses):
    turn = await good(gpt, say("Hello", model=THINKING))
    assert thoughts(turn) == "Let me see.\n\nI see."
    turn = await good(gpt, say("Hello", model=THINKING, options={"reasoning_effort": "low"}))
    assert openai.questions[-1]["reasoning"] == {"effort": "low", "summary": "auto"}
    await good(gpt, say("Hello", model=THINKING, options={"reasoning_effort": "none"}))
    assert openai.questions[-1]["reasoning"] == {"effort": "none"}
    assert thoughts(await good(gpt, say("Hello"))) == ""


async def test_thoughts_that_may_not_be_seen_are_not_asked_for_again(gpt: OpenAIResponses, openai: Responses):
    openai.verified = False
    for _ in range(2):
        turn = await good(gpt, say("Hello", model=THINKING, options={"reasoning_effort": "high"}))
        assert turn.text == "You said: Hello (1)"
        assert logs(turn) == []
    assert [question["reasoning"] for question in openai.questions] == [
        {"effort": "high", "summary": "auto"},
        {"effort": "high"},
        {"effort": "high"},
    ]


async def test_a_model_that_cannot_think_says_so(gpt: OpenAIResponses):
    turn = await hold(gpt, say("Hello", options={"reasoning_effort": "high"}))
    assert "'reasoning.effort' is not supported" in str(turn.error)


async def test_a_model_that_looks_like_one_that_thinks(make_responses: Make, service: Scripted):
    refusal = {"message": "Unsupported parameter: 'reasoning.summary' is not supported.", "param": "reasoning.summary"}
    service.play(said({"error": refusal}, 400), said(ANSWER))
    gpt = make_responses(service.base_url)
    assert (await good(gpt, say("Hello", model="gpt-9-nano"))).text == "Hi"
    assert (await good(gpt, say("Hello", model="gpt-9-nano"))).text == "Hi"
    assert [("reasoning" in asked.json) for asked in service.asked] == [True, False, False]


async def test_options(gpt: OpenAIResponses, openai: Responses):
    shape = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True}}
    options = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 99, "response_format": shape, "stop": ["."], "seed": 7}
    turn = await good(gpt, say("Hello", options=options))
    asked = openai.questions[-1]
    assert (asked["temperature"], asked["top_p"], asked["max_output_tokens"]) == (0.5, 0.9, 99)
    assert asked["text"] == {
        "format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    }
    assert logs(turn) == ["left out, since the Responses API has no such option: stop, seed"]
    nameless = {"type": "json_schema", "json_schema": {"schema": {}, "strict": None}}
    for shape in ({"type": "json_object"}, {"type": "text"}, nameless):
        await good(gpt, say("Hello", options={"response_format": shape}))
    assert openai.questions[-1]["text"]["format"] == {"type": "json_schema", "name": "answer", "schema": {}}


async def test_what_a_model_does_not_take_is_left_out_and_told(gpt: OpenAIResponses, openai: Responses):
    options = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 3}
    for _ in range(2):
        turn = await good(gpt, say("Hello", model=THINKING, options=options))
        assert logs(turn) == [f"left out, since {THINKING} does not take it: temperature, top_p"]
    assert openai.questions[-1]["max_output_tokens"] == 16
    assert len(openai.questions) == 6
    assert "not supported" not in str((await hold(gpt, say("Hi", options={"temperature": 3}))).error)
    assert "temperature" in openai.questions[-1]


async def test_the_end_for_its_length(gpt: OpenAIResponses):
    turn = await good(gpt, say("be cut"))
    assert (turn.text, turn.reason) == ("You said: be cut (1)", "length")
    assert turn.usage


async def test_a_refusal(gpt: OpenAIResponses):
    turn = await good(gpt, say("be refused"))
    assert (turn.text, turn.reason) == ("I will not.", "content_filter")


async def test_sources(gpt: OpenAIResponses):
    turn = await good(gpt, say("a source"))
    assert turn.text == "You said: a source (1)\n\n1. [A page](https://example.com/a_%28b%29%E3%80%80c)"


async def test_tools_over_several_turns(gpt: OpenAIResponses, openai: Responses):
    question = talk(("system", "Be brief."), ("user", "Wo ist Kyōto?"), options={"tools": TOOLS})
    turn = await good(gpt, question)
    assert turn.reason == "tool_calls"
    assert [(number, name, arguments) for number, _, name, arguments in turn.calls] == [
        (0, "find", '{"about": "Wo ist Kyōto?"}'),
        (1, "look", '{"about": "Wo ist Kyōto?"}'),
    ]
    assert openai.questions[-1]["tools"] == [
        {"type": "function", "strict": False, **FIND},
        {"type": "function", "name": "look", "strict": False, "parameters": {"type": "object", "properties": {}}},
    ]
    made = [
        {"index": number, "id": call, "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, call, name, arguments in turn.calls
    ]
    results = [Message("tool", (Text(f"in {call['index']}"),), {"tool_call_id": call["id"]}) for call in made]
    messages = (*question.messages, Message("assistant", (), {"tool_calls": made}), *results)
    for conversation in (None, state(turn)):
        later = await good(gpt, replace(question, messages=messages, conversation=conversation))
        first, second = (call["id"] for call in made)
        assert (
            later.text
            == f"You said: {'Wo ist Kyōto? ' if conversation is None else ''}[{first}: in 0] [{second}: in 1] (5)"
        )
        assert later.reason == "stop"
    assert "previous_response_id" not in openai.questions[1]
    assert [item["type"] for item in openai.questions[2]["input"]] == ["function_call_output"] * 2
    assert openai.questions[2]["instructions"] == "Be brief."


async def test_a_tool_may_show_a_picture(gpt: OpenAIResponses, openai: Responses):
    made = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    shown = Message("tool", (Text("There it is:"), Image("image/png", b"\x89PNG")), {"tool_call_id": "call_1"})
    turn = await good(gpt, talk(("user", "Look"), Message("assistant", (), {"tool_calls": [made]}), shown))
    assert turn.text == "You said: Look [call_1: There it is: [image/png of 4 bytes]] (3)"


@pytest.mark.parametrize(
    "call", [{}, {"function": "find"}, {"function": None, "id": 7}, {"function": {"arguments": []}}]
)
async def test_calls_that_are_none(make_responses: Make, service: Scripted, call: dict[str, object]):
    service.play(said(ANSWER))
    asked = talk(("user", "Where?"), Message("assistant", (), {"tool_calls": [call]}))
    assert (await good(make_responses(service.base_url), asked)).text == "Hi"
    assert service.asked[-1].json["input"][-1]["arguments"] == "{}"


async def test_calls_of_another_service(gpt: OpenAIResponses, openai: Responses):
    call = {"id": "c" * 99, "type": "function", "function": {"name": "find", "arguments": {"about": "é"}}}
    bare = {"function": {"name": "look"}}
    asked = talk(
        ("user", "Where?"),
        Message("assistant", (Text("Let me look."),), {"tool_calls": [call, bare]}),
        Message("tool", (Text("there"),), {"tool_call_id": "c" * 99}),
        Message("tool", (), {}),
        ("user", "And?"),
    )
    assert "And?" in (await good(gpt, asked)).text
    [_, _, first, second, *_] = openai.questions[-1]["input"]
    assert (first["arguments"], second["arguments"], second["call_id"]) == ('{"about":"é"}', "{}", "call")
    assert len(first["call_id"]) == 64


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("none", "none"),
        ({"type": "function", "function": {"name": "find"}}, {"type": "function", "name": "find"}),
        ({"type": "function", "name": "look"}, {"type": "function", "name": "look"}),
    ],
)
async def test_the_choice_of_tools(gpt: OpenAIResponses, openai: Responses, choice, sent):
    await good(gpt, say("Where?", options={"tools": TOOLS, "tool_choice": choice}))
    assert openai.questions[-1]["tool_choice"] == sent
    await good(gpt, say("Where?", options={"tool_choice": choice}))
    assert "tool_choice" not in openai.questions[-1]


async def test_a_picture_by_the_tool(gpt: OpenAIResponses, openai: Responses):
    options = {"tools": [{"type": "image_generation"}], "aspect_ratio": "16:9"}
    turn = await good(gpt, say("paint a boat", options=options))
    assert openai.questions[-1]["tools"] == [{"type": "image_generation", "partial_images": 2, "size": "1536x1024"}]
    assert previews(turn.events) == [f"data:image/png;base64,{PIXEL}"] * 2
    [media] = turn.media
    assert (media.kind, media.data, media.alt) == ("image", PIXEL, "In oil: paint a boat")
    assert media.content_type == "image/png"
    assert work(turn) == [("Image", "generating")]
    assert turn.reason == "stop"
    kinds = [type(event).__name__ for event in turn.events]
    assert kinds.index("Preview") < kinds.index("Media") < kinds.index("Usage")


async def test_the_client_has_the_last_word_on_the_tool(gpt: OpenAIResponses, openai: Responses):
    tool = {"type": "image_generation", "partial_images": 0, "size": "auto", "model": "gpt-image-9"}
    await good(gpt, say("paint", options={"tools": [tool], "width": 640, "height": 480}))
    assert openai.questions[-1]["tools"] == [tool]
    await good(gpt, say("paint", options={"tools": [{"type": "image_generation", "output_format": "gif"}]}))
    assert "partial_images" not in openai.questions[-1]["tools"][0]


async def test_a_model_that_makes_pictures_is_asked_through_the_default_model(
    gpt: OpenAIResponses, make_responses: Make, openai: Responses
):
    turn = await good(gpt, say("a boat", model=PAINTER, options={"width": 640, "height": 480}))
    assert len(turn.media) == 1
    asked = openai.questions[-1]
    assert (asked["model"], asked["tool_choice"]) == (PLAIN, {"type": "image_generation"})
    assert asked["tools"] == [{"type": "image_generation", "partial_images": 2, "model": PAINTER, "size": "640x480"}]
    nobody = make_responses(openai.base_url, api_key=KEY)
    assert isinstance((await hold(nobody, say("a boat", model=PAINTER))).error, BadRequestError)


async def test_a_model_of_the_settings_that_makes_pictures(make_responses: Make, openai: Responses):
    painter = make_responses(openai.base_url, api_key=KEY, image_models=(PLAIN,))
    assert len((await good(painter, say("a boat"))).media) == 1
    assert openai.questions[-1]["tools"] == [{"type": "image_generation", "partial_images": 2}]


async def test_a_picture_that_is_not_made(gpt: OpenAIResponses):
    turn = await hold(gpt, say("something awful", model=PAINTER))
    assert logs(turn) == ["Test made no picture: Not allowed."]
    assert type(turn.error) is ProviderError
    assert "Not allowed." in str(turn.error)


async def test_files_in_the_question(gpt: OpenAIResponses, openai: Responses):
    picture = Image("image/png", b"\x89PNG", "a.png")
    pdf = Document("application/pdf", b"%PDF-1", "ä.pdf")
    turn = await good(gpt, say("What is this?", picture, pdf))
    assert turn.text == "You said: What is this? [image/png of 4 bytes] [application/pdf of 6 bytes] (1)"
    turn = await hold(gpt, say("See", Video("video/mp4", b"x", "a.mp4")))
    assert isinstance(turn.error, UnsupportedTypeError)
    assert len(openai.questions) == 1


async def test_uploaded_files(gpt: OpenAIResponses, openai: Responses):
    async with AsyncOpenAI(base_url=openai.base_url, api_key=KEY, max_retries=0) as client:
        file = await client.files.create(file=("a.png", b"1234", "image/png"), purpose="vision")
    remote = Remote("image/png", {"type": "input_image", "file_id": file.id, "detail": "auto"}, "a.png")
    assert (await good(gpt, say("See", remote))).text == "You said: See [vision file of 4 bytes] (1)"


async def test_sounds_where_the_settings_say_so(make_responses: Make, service: Scripted):
    service.play(said(ANSWER))
    gpt = make_responses(service.base_url, takes=("audio/*",))
    assert gpt.takes("m").has("audio/mpeg")
    await good(gpt, say("Listen", Audio("audio/mpeg", b"abc"), Audio("audio/x-flac", b"abc")))
    [message] = service.asked[-1].json["input"]
    assert [part["input_audio"]["format"] for part in message["content"][1:]] == ["mp3", "flac"]


async def test_what_it_takes(gpt: OpenAIResponses, make_responses: Make):
    assert isinstance(gpt, TakesFiles) and not isinstance(gpt, HasFlow)
    takes = gpt.takes(PLAIN)
    assert takes.has("image/webp") and takes.has("application/pdf")
    assert not takes.has("audio/mpeg") and not takes.has("image/bmp")
    assert takes.limit("image/png") == takes.together == 50 * 1024**2
    assert make_responses("https://x.example.com/v1", inline_bytes=9).takes("m").limit("image/png") == 9
    for url in ("https://api.openai.com/v1", "https://eu.api.openai.com/v1"):
        own = make_responses(url)
        assert isinstance(own, HasFlow) and own.flow == "openai_files"


async def test_models(gpt: OpenAIResponses, make_responses: Make, openai: Responses):
    assert [(model.id, model.kind, model.vision) for model in await gpt.models()] == [
        (PLAIN, "chat", True),
        (THINKING, "chat", True),
        (PAINTER, "image", False),
    ]
    nobody = make_responses(openai.base_url, api_key=KEY)
    assert [model.id for model in await nobody.models()] == [PLAIN, THINKING]
    own = make_responses(openai.base_url, models=("a", "b"), image_models=("b",), vision_models=("a",))
    assert [(model.id, model.kind, model.vision) for model in await own.models()] == [
        ("a", "chat", True),
        ("b", "image", False),
    ]


async def test_many_at_once(gpt: OpenAIResponses):
    turns = await asyncio.gather(*(good(gpt, say(f"Number {number}")) for number in range(20)))
    assert [turn.text for turn in turns] == [f"You said: Number {number} (1)" for number in range(20)]


async def test_what_the_system_says(gpt: OpenAIResponses, openai: Responses):
    asked = talk(("system", "Be brief."), ("developer", "Be kind."), ("user", "Hi"), ("system", "Now!"), ("x", "Yes"))
    await good(gpt, asked)
    question = openai.questions[-1]
    assert question["instructions"] == "Be brief.\n\nBe kind."
    assert [item["role"] for item in question["input"]] == ["user", "system", "user"]
    await good(gpt, talk(("system", "Say something.")))
    assert openai.questions[-1]["input"] == [{"role": "system", "content": "Say something."}]


FIRST = (("system", "Be brief."), ("user", "One"))


async def test_it_goes_on_from_an_answer_that_is_kept(gpt: OpenAIResponses, openai: Responses):
    first = await good(gpt, talk(*FIRST))
    kept = state(first)
    assert kept and kept["response_id"] in openai.stored
    # A run's id stands beside it, and clients show what was said in their own way.
    later = talk(*FIRST, ("assistant", "shown as one likes"), ("user", "Two"), conversation={"run_id": "r", **kept})
    second = await good(gpt, later)
    assert second.text == "You said: Two (3)"
    question = openai.questions[-1]
    assert question["previous_response_id"] == kept["response_id"]
    assert question["input"] == [{"role": "user", "content": "Two"}]
    assert question["instructions"] == "Be brief."
    third = talk(*later.messages, ("assistant", "x"), ("user", "Three"), conversation=state(second))
    assert (await good(gpt, third)).text == "You said: Three (5)"


@pytest.mark.parametrize(
    "messages",
    [
        (*FIRST,),
        (("user", "Another"), ("assistant", "x"), ("user", "Two")),
        (*FIRST, ("assistant", "x"), ("user", "1"), ("assistant", "y"), ("user", "Two")),
        (("user", "Two"),),
        (*FIRST, ("assistant", "x")),
    ],
    ids=["asked again", "a changed question", "an answer of another", "a new conversation", "an answer to go on with"],
)
async def test_another_conversation_is_sent_whole(gpt: OpenAIResponses, openai: Responses, messages):
    kept = state(await good(gpt, talk(*FIRST)))
    await hold(gpt, talk(*messages, conversation=kept))
    assert "previous_response_id" not in openai.questions[-1]
    assert len(openai.questions[-1]["input"]) == len([role for role, _ in messages if role != "system"])


async def test_what_others_put_in_is_no_part_of_what_was_asked(gpt: OpenAIResponses, openai: Responses):
    found = Text("found on the web", source="1")
    question = Message("user", (found, Text("One")))
    kept = state(await good(gpt, talk(question)))
    await good(gpt, talk(("user", "One"), ("assistant", "x"), ("user", "Two"), conversation=kept))
    assert openai.questions[-1]["previous_response_id"] == kept["response_id"]


async def test_an_answer_that_is_forgotten_is_mended(gpt: OpenAIResponses, openai: Responses):
    kept = state(await good(gpt, talk(*FIRST)))
    openai.stored.clear()
    turn = await good(gpt, talk(*FIRST, ("assistant", "x"), ("user", "Two"), conversation=kept))
    assert turn.text == "You said: One Two (3)"
    assert logs(turn) == []
    assert ["previous_response_id" in question for question in openai.questions] == [False, True, False]
    again = await good(gpt, talk(*FIRST, ("assistant", "x"), ("user", "Two"), conversation=kept, api_key=OTHER_KEY))
    assert again.text == turn.text


@pytest.mark.parametrize(
    "refusal",
    [
        said({"error": {"message": "Response with id 'resp_1' not found."}}, 404),
        said({"error": {"message": "Previous response cannot be used: Zero Data Retention."}}, 400),
        said({"error": {"message": "No tool call found for function call output with call_id c."}}, 400),
        whole(
            events({"type": "error", "error": {"message": "Previous response with id 'x' not found."}}, done=False),
            content_type="text/event-stream",
        ),
    ],
)
async def test_other_words_for_a_forgotten_answer(make_responses: Make, service: Scripted, refusal):
    service.play(said({**ANSWER, "store": True}), refusal, said(ANSWER))
    gpt = make_responses(service.base_url)
    kept = state(await good(gpt, talk(*FIRST)))
    assert kept and kept["response_id"] == "resp_1"
    turn = await good(gpt, talk(*FIRST, ("assistant", "x"), ("user", "Two"), conversation=kept))
    assert turn.text == "Hi"
    assert state(turn) is None
    assert [len(asked.json["input"]) for asked in service.asked] == [1, 1, 3]


async def test_another_refusal_is_not_mended(make_responses: Make, service: Scripted):
    service.play(said({**ANSWER, "store": True}), said({"error": {"message": "No."}}, 400))
    gpt = make_responses(service.base_url)
    kept = state(await good(gpt, talk(*FIRST)))
    turn = await hold(gpt, talk(*FIRST, ("assistant", "x"), ("user", "Two"), conversation=kept))
    assert "No." in str(turn.error)
    assert len(service.asked) == 2


async def test_a_service_that_keeps_nothing_gives_nothing_to_go_on_from(gpt: OpenAIResponses, openai: Responses):
    openai.keeps = False
    assert state(await good(gpt, talk(*FIRST))) is None


@pytest.mark.parametrize(
    "conversation",
    [
        None,
        "resp_1",
        [],
        {},
        {"response_id": 7, "asked": "x"},
        {"response_id": "a\nb", "asked": "x"},
        {"response_id": "r" * 9999, "asked": "x"},
        {NAME: {"response_id": "resp_1", "asked": "x"}},
    ],
)
async def test_any_conversation_that_a_client_may_send(gpt: OpenAIResponses, openai: Responses, conversation):
    asked = talk(*FIRST, ("assistant", "x"), ("user", "Two"), conversation=conversation)
    assert (await good(gpt, asked)).text == "You said: One Two (3)"


async def test_a_wrong_key(make_responses: Make, openai: Responses):
    wrong = "sk-proj-wrong-0123456789"
    turn = await hold(make_responses(openai.base_url, api_key=wrong), say("Hello"))
    assert type(turn.error) is MissingAuthError
    assert wrong not in str(turn.error)


async def test_an_unknown_model(gpt: OpenAIResponses):
    assert type((await hold(gpt, say("Hello", model="gpt-none"))).error) is ModelNotFoundError


ANSWER = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [{"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Hi"}]}],
}


@pytest.mark.parametrize(
    ("answer", "error", "asked"),
    [
        (said({"error": {"message": "No", "type": "invalid_request_error"}}, 400), ProviderError, 1),
        (said({"error": {"message": "Slow"}}, 429, "retry-after: 30"), RateLimitError, 1),
        (said({"error": {"message": "Down"}}, 503), ProviderUnavailableError, 2),
        (said({**ANSWER, "error": {"code": "server_error", "message": "A"}}), ProviderUnavailableError, 1),
        (said({**ANSWER, "status": "failed"}), ProviderError, 1),
        (said({**ANSWER, "status": "queued"}), ProviderError, 1),
        (said({**ANSWER, "status": "cancelled"}), ProviderError, 1),
        (said({"error": {"code": "rate_limit_exceeded", "message": "A"}}), RateLimitError, 1),
        (said({"object": "error", "message": "A", "code": 503}), ProviderUnavailableError, 1),
        (said({"object": "chat.completion", "choices": []}), BadAnswerError, 1),
        (said([]), BadAnswerError, 1),
    ],
)  # fmt: skip
async def test_refusals(make_responses: Make, service: Scripted, answer, error, asked):
    service.play(answer)
    turn = await hold(make_responses(service.base_url), say("Hello"))
    assert type(turn.error) is error
    assert turn.events == []
    assert len(service.asked) == asked
