"""What the generateContent wire is sent: messages, files, tools, options."""

import asyncio
import base64
import json
from ipaddress import IPv4Network
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.providers.google import DONE, MODEL, Make, call
from tests.providers.turns import ask, hold
from tests.servers.gemini import KEY, gemini_peer
from tests.servers.scripted import Asked, Line, Scripted, said

from mediary.errors import BadRequestError, FieldError, SettingsError
from mediary.net.client import HttpClient
from mediary.providers.base import Audio, Document, Image, Message, Remote, Text, TurnRequest, Video
from mediary.providers.gemini.messages import _shape, payload_of
from mediary.providers.gemini.provider import Gemini
from mediary.providers.http.encoding import as_object
from mediary.settings import NetSettings, ProviderSettings


async def sent(make: Make, service: Scripted, request: TurnRequest, **settings: Any) -> dict[str, Any]:
    """The body that a question becomes."""
    service.play(said(DONE))
    turn = await hold(make(service.base_url, **settings), request)
    assert turn.error is None
    return service.asked[0].json


async def test_roles(make_gemini: Make, service: Scripted):
    messages = (
        Message("system", (Text("Be short."),)),
        Message("user", (Text("Hi"), Text("there"))),
        Message("assistant", (Text("Hello."),)),
        Message("developer", (Text("In French."),)),
        Message("assistant", ()),
        Message("user", (Text(""), Text("And?"))),
    )
    body = await sent(make_gemini, service, TurnRequest(MODEL, messages))
    assert body["systemInstruction"] == {"parts": [{"text": "Be short."}, {"text": "In French."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}, {"text": "there"}]},
        {"role": "model", "parts": [{"text": "Hello."}]},
        {"role": "user", "parts": [{"text": "And?"}]},
    ]


async def test_nothing_but_an_instruction_is_a_question(make_gemini: Make, service: Scripted):
    body = await sent(make_gemini, service, TurnRequest(MODEL, (Message("system", (Text("Say hello."),)),)))
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Say hello."}]}]
    assert "systemInstruction" not in body


@pytest.mark.parametrize(
    "part",
    [
        Image("image/png", b"\x89PNG"),
        Audio("audio/mpeg", b"ID3"),
        Video("video/mp4", b"ftyp"),
        Document("application/pdf", b"%PDF", "a.pdf"),
        Document("text/csv", b"a,b", "a.csv"),
        Image("image/png", bytes(600_000)),
    ],
    ids=lambda part: f"{part.media_type}-{len(part.data)}",
)
async def test_files_within_the_question(make_gemini: Make, part: Any):
    async with gemini_peer() as peer:
        turn = await hold(make_gemini(peer.base_url, api_key=KEY), ask("Look", part, model=MODEL))
    assert turn.text == f"Look; {part.media_type} of {len(part.data)} bytes"


async def test_files_that_lie_with_the_service(make_gemini: Make, service: Scripted):
    pointer = {"fileData": {"mimeType": "video/mp4", "fileUri": "https://g/v1beta/files/a"}}
    request = ask("Look", Remote("video/mp4", pointer, "a.mp4"), model=MODEL, headers={"X-More": "yes"})
    body = await sent(make_gemini, service, request)
    assert body["contents"][0]["parts"] == [{"text": "Look"}, pointer]
    assert service.asked[0].headers["x-more"] == "yes"


async def test_a_file_that_is_gone_is_told_in_googles_words(make_gemini: Make):
    pointer = {"fileData": {"mimeType": "video/mp4", "fileUri": "x/files/abc"}}
    async with gemini_peer() as peer:
        request = ask("Look", Remote("video/mp4", pointer, "a.mp4"), model=MODEL)
        turn = await hold(make_gemini(peer.base_url, api_key=KEY), request)
    assert "permission to access the File" in str(turn.error)


async def test_the_key_is_in_a_header_alone(make_gemini: Make, service: Scripted):
    await sent(make_gemini, service, ask("Hi", model=MODEL), api_key="AIza-0123456789")
    (asked,) = service.asked
    assert asked.headers["x-goog-api-key"] == "AIza-0123456789"
    assert "authorization" not in asked.headers
    assert asked.path == f"/v1/models/{MODEL}:streamGenerateContent?alt=sse"


async def test_a_request_brings_its_own_place_and_key(service: Scripted):
    service.play(said(DONE))
    client = HttpClient(NetSettings(allow=(IPv4Network("127.0.0.0/8"),)))
    headers = {"X-Secret-Token": SecretStr("hidden")}
    settings = ProviderSettings(wire="gemini", api_key=SecretStr("AIza-of-the-operator"), headers=headers)
    provider = Gemini("Custom", settings, client)
    turn = await hold(provider, ask("Hi", model=MODEL, api_key="AIza-of-a-person", base_url=service.origin))
    await client.close()
    assert turn.text == "Yes."
    (asked,) = service.asked
    assert asked.path.startswith("/v1beta/models/")
    assert asked.headers["x-goog-api-key"] == "AIza-of-a-person"
    assert "x-secret-token" not in asked.headers


async def test_a_place_is_needed(make_gemini: Make):
    turn = await hold(make_gemini(None), ask("Hi", model=MODEL))
    assert "needs a base_url" in str(turn.error)


async def test_the_key_of_a_request_stands_for_all_of_the_operators(make_gemini: Make, service: Scripted):
    headers = {"X-Goog-Api-Key": "AIza-of-the-operator", "Authorization": "Bearer it", "X-Gate": "1"}
    await sent(make_gemini, service, ask("Hi", model=MODEL, api_key="AIza-of-a-person"), headers=headers)
    (asked,) = service.asked
    assert (asked.headers["x-goog-api-key"], asked.headers["x-gate"]) == ("AIza-of-a-person", "1")
    assert "authorization" not in asked.headers


@pytest.mark.parametrize("settings", [{"api_key": "a\nb"}, {"headers": {"X": "a\r\nb"}}, {"headers": {"a b": "c"}}])
async def test_what_no_header_can_bear(make_gemini: Make, settings: dict[str, Any]):
    with pytest.raises(SettingsError) as caught:
        make_gemini("https://g.test", **settings)
    assert "\n" not in caught.value.message
    turn = await hold(make_gemini("https://g.test"), ask("Hi", api_key="a\nb"))
    assert type(turn.error) is FieldError


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("../files", "models/..%2Ffiles"),
        ("a?key=1#b", "models/a%3Fkey%3D1%23b"),
        ("models/../x", "models/models%2F..%2Fx"),
    ],
)
async def test_where_a_model_is(make_gemini: Make, service: Scripted, model: str, path: str):
    await sent(make_gemini, service, ask("Hi", model=model))
    assert service.asked[0].path == f"/v1/{path}:streamGenerateContent?alt=sse"


async def test_tools(make_gemini: Make, service: Scripted):
    schema = {"type": "object", "properties": {"q": {"type": ["string", "null"]}}, "additionalProperties": False}
    tools = [
        {
            "type": "function",
            "function": {"name": "find", "description": "Finds", "parameters": schema, "strict": True},
        },
        {"type": "function", "function": {"name": "now"}},
        {"googleSearch": {}},
    ]
    body = await sent(make_gemini, service, ask("Hi", model=MODEL, options={"tools": tools, "tool_choice": "required"}))
    declared = [{"name": "find", "description": "Finds", "parametersJsonSchema": schema}, {"name": "now"}]
    assert body["tools"] == [{"functionDeclarations": declared}, {"googleSearch": {}}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        ({"mode": "VALIDATED"}, {"mode": "VALIDATED"}),
    ],
)
async def test_the_choice_of_a_tool(make_gemini: Make, service: Scripted, choice: Any, config: Any):
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = await sent(make_gemini, service, ask("Hi", model=MODEL, options={"tools": tools, "tool_choice": choice}))
    assert body["toolConfig"] == {"functionCallingConfig": config}


async def test_calls_and_their_results(make_gemini: Make, service: Scripted):
    signed = call("find", '{"q": "é"}', extra_content={"google": {"thought_signature": "c2ln"}})
    messages = (
        Message("user", (Text("Hi"),)),
        Message("assistant", (Text("Well"),), {"tool_calls": [signed, call("look", "")]}),
        Message("tool", (Text('{"found": 1}'),), {"tool_call_id": "c-find"}),
        Message("tool", (Text("rain"),), {"tool_call_id": "c-look"}),
        Message("user", (Text("So?"),)),
        Message("tool", (Text("[1]"),), {"tool_call_id": "c-gone", "name": "gone"}),
    )
    body = await sent(make_gemini, service, TurnRequest(MODEL, messages))
    find = {"functionCall": {"name": "find", "args": {"q": "é"}, "id": "c-find"}, "thoughtSignature": "c2ln"}
    look = {"functionCall": {"name": "look", "args": {}, "id": "c-look"}}
    assert body["contents"][1] == {"role": "model", "parts": [{"text": "Well"}, find, look]}
    results = [
        {"functionResponse": {"name": "find", "response": {"found": 1}, "id": "c-find"}},
        {"functionResponse": {"name": "look", "response": {"output": "rain"}, "id": "c-look"}},
    ]
    assert body["contents"][2] == {"role": "user", "parts": results}
    gone = {"functionResponse": {"name": "gone", "response": {"output": [1]}, "id": "c-gone"}}
    assert body["contents"][4] == {"role": "user", "parts": [gone]}


async def test_files_that_tools_gave_stand_behind_their_words(make_gemini: Make, service: Scripted):
    messages = (
        Message("user", (Text("Hi"),)),
        Message("assistant", (), {"tool_calls": [call("f", "{}"), call("g", "{}")]}),
        Message("tool", (Text("seen"), Image("image/png", b"PNG")), {"tool_call_id": "c-f"}),
        Message("tool", (Text("1"),), {"tool_call_id": "c-g"}),
    )
    body = await sent(make_gemini, service, TurnRequest(MODEL, messages))
    parts = body["contents"][2]["parts"]
    assert [list(part) for part in parts] == [["functionResponse"], ["functionResponse"], ["inlineData"]]
    assert parts[1]["functionResponse"]["response"] == {"output": 1}


@given(st.text() | st.none() | st.dictionaries(st.text(), st.integers()) | st.integers())
def test_any_arguments_become_an_object(given_arguments: Any):
    given = as_object(given_arguments, "output")
    assert isinstance(given, dict)
    assert msgspec.json.encode(given)


@pytest.mark.parametrize("text", ['{"a": "\\ud83d"}', '{"a": NaN}', "[" * 2000, "[1]"])
def test_arguments_that_are_no_object(text: str):
    given = as_object(text, "output")
    assert list(given) == ["output"]
    assert msgspec.json.encode(given)


async def test_options(make_gemini: Make, service: Scripted):
    options = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 50, "seed": 7, "stop": ".", "width": 512, "unknown": 1}
    body = await sent(make_gemini, service, ask("Hi", model="gemini-2.0-flash", options=options))
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 50,
        "seed": 7,
        "stopSequences": ["."],
    }


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("wanted", "config"),
    [
        ({"type": "json_object"}, {"responseMimeType": "application/json"}),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        ),
        ({"type": "text"}, {}),
    ],
)
async def test_the_shape_of_the_answer(make_gemini: Make, service: Scripted, wanted: Any, config: Any):
    body = await sent(make_gemini, service, ask("Hi", model="gemini-2.0-flash", options={"response_format": wanted}))
    assert body.get("generationConfig", {}) == config


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.0-flash", None, None),
        ("gemini-2.5-flash", None, {"includeThoughts": True}),
        ("gemini-3.8-flash", None, {"includeThoughts": True}),
        ("gemini-flash-latest", None, {"includeThoughts": True}),
        ("gemini-10-pro", None, {"includeThoughts": True}),
        ("gemma-3-27b-it", None, None),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "xhigh", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3.8-flash", "max", {"thinkingLevel": "XHIGH", "includeThoughts": True}),
        ("gemini-3-pro", "high", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.8-flash", "none", {"thinkingLevel": "MINIMAL"}),
    ],
)
async def test_thinking(make_gemini: Make, service: Scripted, model: str, effort: str | None, config: Any):
    options = {"reasoning_effort": effort} if effort else {}
    body = await sent(make_gemini, service, ask("Hi", model=model, options=options))
    assert body.get("generationConfig", {}).get("thinkingConfig") == config


@pytest.mark.parametrize(
    ("options", "config"),
    [
        ({}, {}),
        ({"aspect_ratio": "16:9"}, {"aspectRatio": "16:9"}),
        ({"width": 1920, "height": 1080}, {"aspectRatio": "16:9"}),
        ({"width": 1000, "height": 1010}, {"aspectRatio": "1:1"}),
        ({"size": "768x1024"}, {"aspectRatio": "3:4"}),
        ({"size": "2k", "aspect_ratio": "21:9"}, {"aspectRatio": "21:9", "imageSize": "2K"}),
        ({"width": 512}, {}),
    ],
)
def test_the_shape_of_a_picture(options: dict[str, Any], config: dict[str, str]):
    assert _shape(options) == config


@given(st.integers(1, 99999), st.integers(1, 99999), st.text(max_size=12))
def test_any_size(width: int, height: int, size: str):
    assert _shape({"width": width, "height": height, "size": size})["aspectRatio"]
    _shape({"size": size})


async def test_a_picture(make_gemini: Make, service: Scripted):
    blob = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
    draft = {"thought": True, "inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    service.play(said({"candidates": [{"content": {"parts": [draft, {"inlineData": blob}]}, "finishReason": "STOP"}]}))
    request = ask("A boat", model="gemini-2.5-flash-image", options={"aspect_ratio": "3:2"})
    turn = await hold(make_gemini(service.base_url), request)
    (picture,) = turn.media
    assert (picture.kind, picture.data, picture.content_type) == ("image", blob["data"], "image/png")
    assert (picture.alt, turn.reason) == ("A boat", "stop")
    config = {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "3:2"}}
    assert service.asked[0].json["generationConfig"] == config


async def test_a_large_picture_is_decoded_off_the_loop(make_gemini: Make, service: Scripted):
    data = base64.b64encode(bytes(3_000_000)).decode()
    blob = {"mimeType": "image/jpeg", "data": data}
    service.play(said({"candidates": [{"content": {"parts": [{"inlineData": blob}]}, "finishReason": "STOP"}]}))
    turn = await hold(make_gemini(service.base_url), ask("A boat", model="gemini-2.5-flash-image"))
    assert turn.media[0].data == data


async def test_speech(make_gemini: Make, service: Scripted):
    messages = (Message("system", (Text("Whisper."),)), Message("user", (Text("Hello"),)))
    body = await sent(make_gemini, service, TurnRequest("gemini-2.5-pro-preview-tts", messages), voice="Puck")
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hello"}]}]
    assert "systemInstruction" not in body
    speaker = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}}
    assert body["generationConfig"] == {"responseModalities": ["AUDIO"], "speechConfig": speaker}


async def test_speech_at_a_rate_of_nothing(make_gemini: Make, service: Scripted):
    blob = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=0000", "data": "AAAA"}}
    service.play(said({"candidates": [{"content": {"parts": [blob]}, "finishReason": "STOP"}]}))
    turn = await hold(make_gemini(service.base_url), ask("Hi", model="gemini-2.5-flash-preview-tts"))
    assert (turn.error, [media.content_type for media in turn.media]) == (None, ["audio/wav"])


@pytest.mark.parametrize("options", [{"voice": "Zephyr"}, {"audio": {"voice": "Zephyr"}}])
async def test_the_voice_of_the_request(options: dict[str, Any]):
    payload = await payload_of(ask("Hi", options=options), "speech", "Puck", thinks=False)
    assert '"Zephyr"' in str(payload).replace("'", '"')


@pytest.mark.parametrize(("kind", "own"), [("video/mp4", True), ("image/png", False), ("text/csv", False)])
async def test_files_by_uri_in_an_answer(make_gemini: Make, service: Scripted, kind: str, own: bool):
    uri = f"{service.base_url}/files/a:download" if own else "https://elsewhere.test/a"
    part = {"fileData": {"mimeType": kind, "fileUri": uri}}
    service.play(said({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}))
    turn = await hold(make_gemini(service.base_url, api_key="AIza-0123456789"), ask("Hi", model=MODEL))
    if kind == "text/csv":
        assert turn.text == uri
        return
    (media,) = turn.media
    assert (media.url, media.kind) == (uri, kind.partition("/")[0])
    assert media.headers == ({"x-goog-api-key": "AIza-0123456789"} if own else {})
    assert media.trusted_origin == (service.origin if own else None)


async def test_sound_that_is_no_base64(make_gemini: Make, service: Scripted):
    blob = {"mimeType": "audio/L16;rate=24000", "data": "é"}
    service.play(said({"candidates": [{"content": {"parts": [{"inlineData": blob}]}, "finishReason": "STOP"}]}))
    turn = await hold(make_gemini(service.base_url), ask("Hi", model="gemini-tts"))
    assert str(turn.error) == "Test: sent sound that is no base64"


async def test_a_stream_that_says_done_and_stays_open(make_gemini: Make, service: Scripted):
    async def answer(asked: Asked, line: Line) -> None:
        await line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = f"data: {json.dumps(DONE)}\n\ndata: [DONE]\n\n".encode()
        await line.send(b"%x\r\n%b\r\n" % (len(body), body))

    service.play(answer)
    async with asyncio.timeout(10):
        turn = await hold(make_gemini(service.base_url), ask("Hi", model=MODEL))
    assert (turn.error, turn.text, turn.reason) == (None, "Yes.", "stop")


async def test_half_a_character_in_a_question(make_gemini: Make, service: Scripted):
    turn = await hold(make_gemini(service.base_url), ask("Hi \ud83d", model=MODEL))
    assert isinstance(turn.error, BadRequestError)
    assert service.asked == []
