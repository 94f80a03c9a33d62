"""The OpenAI wire against aimock, a server of its own that knows nothing of us."""

import asyncio
import base64
import itertools
from dataclasses import replace

import pytest
from tests.providers.conftest import Make
from tests.providers.turns import Turn, ask, hold
from tests.servers.aimock import KEY, Aimock

from mediary.errors import (
    BadAnswerError,
    MissingAuthError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.events import Finish, Media
from mediary.providers.base import Image, Message, Text, TurnRequest
from mediary.providers.openai.provider import OpenAI

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
_numbers = itertools.count()


class Talk:
    """A provider at aimock with an id of its own, under which chaos and journal are kept."""

    def __init__(self, make: Make, aimock: Aimock, chaos: dict[str, str], **settings: object) -> None:
        self.id = f"test-{next(_numbers)}"
        self.aimock = aimock
        headers = {"X-Test-Id": self.id, **{f"x-aimock-chaos-{kind}": rate for kind, rate in chaos.items()}}
        self.provider: OpenAI = make(aimock.base_url, **{"api_key": KEY, "headers": headers, **settings})

    async def hold(self, request: TurnRequest) -> Turn:
        return await hold(self.provider, request)

    def statuses(self) -> list[int]:
        return [entry["response"]["status"] for entry in self.aimock.journal(self.id)]


@pytest.fixture
def talk(make: Make, aimock: Aimock):
    return lambda chaos=None, **settings: Talk(make, aimock, chaos or {}, **settings)


async def test_text(talk):
    turn = await talk().hold(ask("Tell me of the sea"))
    assert turn.text == "The sea is wide, and it is blue — „wie der Himmel“. 🌊"
    assert turn.reason == "stop"
    usage = turn.usage or {}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


async def test_reasoning(talk):
    turn = await talk().hold(ask("Think about it", model="deepseek-reasoner"))
    assert turn.reasoning == "First I weigh it, then I say it."
    assert turn.text == "It is so."


async def test_tools_there_and_back(talk):
    talking = talk()
    question = ask("What is the weather?", options={"tools": [WEATHER]})
    turn = await talking.hold(question)
    ((number, call_id, name, arguments),) = turn.calls
    assert (number, call_id, name) == (0, "call_1", "get_weather")
    assert arguments == '{"city":"Kyōto","unit":"celsius"}'
    assert turn.reason == "tool_calls"
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    said = Message("assistant", (), {"tool_calls": [call]})
    result = Message("tool", (Text("rain"),), {"tool_call_id": call_id})
    turn = await talking.hold(replace(question, messages=(*question.messages, said, result)))
    assert turn.text == "It is raining in Kyōto."


async def test_finish_reason_as_it_came(talk):
    assert (await talk().hold(ask("stop at once"))).reason == "length"


async def test_what_is_sent(talk):
    talking = talk()
    options = {"temperature": 0.5, "top_p": 0.9, "stop": ["."], "seed": 7, "max_tokens": 50, "width": 512, "unknown": 1}
    picture = Image("image/png", b"\x89PNG")
    await talking.hold(ask("Tell me of the sea", picture, options=options))
    (entry,) = talking.aimock.journal(talking.id)
    body = entry["body"]
    assert {name: body[name] for name in ("temperature", "top_p", "stop", "seed", "max_tokens")} == {
        name: options[name] for name in ("temperature", "top_p", "stop", "seed", "max_tokens")
    }
    assert not {"width", "unknown"} & body.keys()
    assert body["stream_options"] == {"include_usage": True}
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "Tell me of the sea"},
        {"type": "image_url", "image_url": {"url": url}},
    ]


async def test_models(talk):
    models = await talk(default_model="deepseek-reasoner").provider.models()
    assert models[0].id == "deepseek-reasoner"
    assert {model.id: model.kind for model in models} == {
        "deepseek-reasoner": "chat",
        "gpt-4o": "chat",
        "gpt-image-1": "image",
        "dall-e-3": "image",
        "tts-1": "speech",
    }
    assert {model.id for model in models if model.vision} == {"gpt-4o"}


async def test_a_picture(talk):
    turn = await talk().hold(ask("a picture of the sea", model="gpt-image-1"))
    (picture,) = turn.media
    assert isinstance(picture.data, str)
    assert base64.b64decode(picture.data).startswith(b"\x89PNG")
    assert picture.alt == "A wide blue sea"
    assert turn.reason == "stop"


async def test_pictures_by_url_and_as_bytes(talk):
    turn = await talk().hold(ask("two pictures", model="dall-e-3", options={"n": 2}))
    first, second = turn.media
    assert (first.url, first.headers, first.trusted_origin) == ("http://pictures.test/one.png", {}, None)
    assert second.data
    assert first.alt == "two pictures"


async def test_an_edited_picture(talk):
    talking = talk()
    turn = await talking.hold(ask("a picture of the sea", Image("image/png", b"\x89PNG"), model="gpt-image-1"))
    assert len(turn.media) == 1
    assert [entry["path"] for entry in talking.aimock.journal(talking.id)] == ["/v1/images/edits"]


async def test_a_refused_picture(talk):
    turn = await talk().hold(ask("not this", model="gpt-image-1"))
    assert type(turn.error) is ProviderError
    assert "rejected by the safety system" in str(turn.error)


async def test_speech(talk):
    turn = await talk().hold(ask("Hello", model="tts-1", options={"voice": "nova", "format": "wav"}))
    (sound,) = turn.media
    assert isinstance(sound.data, bytes) and sound.data.startswith(b"RIFF")
    assert (sound.kind, sound.content_type, sound.transcript) == ("audio", "audio/wav", "Hello")
    assert turn.reason == "stop"


async def test_speech_streams(talk):
    provider = talk().provider
    kinds = []
    async for event in provider.converse(ask("Hello", model="tts-1")):
        kinds.append(type(event))
        if isinstance(event, Media):
            assert event.stream is not None
            pieces = [piece async for piece in event.stream]
            assert b"".join(pieces).startswith(b"RIFF")
    assert kinds == [Media, Finish]


async def test_a_wrong_key(talk):
    wrong = "sk-wrong-key-0123456789"
    turn = await talk(api_key=wrong).hold(ask("Tell me of the sea"))
    assert type(turn.error) is MissingAuthError
    assert wrong not in str(turn.error)


async def test_the_key_of_the_request_goes_first(talk):
    turn = await talk(api_key="sk-wrong-key-0123456789").hold(ask("Tell me of the sea", api_key=KEY))
    assert turn.reason == "stop"


async def test_a_rate_limit_that_is_long(talk):
    talking = talk()
    turn = await talking.hold(ask("slow down"))
    assert isinstance(turn.error, RateLimitError)
    assert turn.error.retry_after == 30
    assert talking.statuses() == [429]


async def test_a_broken_server(talk):
    talking = talk()
    turn = await talking.hold(ask("break"))
    assert type(turn.error) is ProviderUnavailableError
    assert "The server had an error" in str(turn.error)


async def test_an_unknown_question(talk):
    turn = await talk().hold(ask("nobody has an answer to this"))
    assert type(turn.error) is ProviderError
    assert "No fixture matched" in str(turn.error)


async def test_a_cut_stream_keeps_what_came(talk):
    turn = await talk().hold(ask("cut this short"))
    assert type(turn.error) is StreamInterruptedError
    assert turn.text
    assert "This answer is long enough to be cut somewhere in its middle.".startswith(turn.text)


CHAT, PICTURE, SPEECH = ("gpt-4o", "Tell me of the sea"), ("gpt-image-1", "a picture of the sea"), ("tts-1", "Hello")


@pytest.mark.parametrize(
    ("chaos", "error", "question"),
    [
        ("ratelimit", RateLimitError, CHAT),
        *(("drop", ProviderUnavailableError, question) for question in (CHAT, PICTURE, SPEECH)),
        *(("disconnect", ProviderUnavailableError, question) for question in (CHAT, PICTURE, SPEECH)),
        ("malformed", BadAnswerError, CHAT),
        *(("malformed", ProviderError, question) for question in (PICTURE, SPEECH)),
    ],
)
async def test_chaos_ends_in_a_clear_error(talk, chaos, error, question):
    model, text = question
    turn = await talk({chaos: "1"}).hold(ask(text, model=model))
    assert type(turn.error) is error
    assert str(turn.error).strip(". :")
    assert turn.events == []


async def test_half_the_connections_break_and_every_turn_ends(talk):
    talking = talk({"disconnect": "0.5"})
    turns = await asyncio.gather(*(talking.hold(ask("Tell me of the sea")) for _ in range(20)))
    assert all((turn.error is None) == (turn.reason == "stop") for turn in turns)
    assert any(turn.reason == "stop" for turn in turns)
