"""The generateContent wire against aimock, a server of its own that knows nothing of us."""

import asyncio
import io
import itertools
import wave
from dataclasses import replace

import pytest
from tests.providers.turns import Turn, ask, hold
from tests.servers.aimock import KEY, Aimock

from mediary.errors import (
    BadAnswerError,
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.providers.base import Message, Text, TurnRequest
from mediary.providers.gemini.provider import Gemini

MODEL, SPEECH = "gemini-2.5-flash", "gemini-2.5-flash-preview-tts"
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
_numbers = itertools.count()


class Talk:
    """A provider at aimock with an id of its own, under which chaos and journal are kept."""

    def __init__(self, make, aimock: Aimock, chaos: dict[str, str], **settings: object) -> None:
        self.id = f"gemini-{next(_numbers)}"
        self.aimock = aimock
        headers = {"X-Test-Id": self.id, **{f"x-aimock-chaos-{kind}": rate for kind, rate in chaos.items()}}
        self.provider: Gemini = make(f"{aimock.url}/v1beta", **{"api_key": KEY, "headers": headers, **settings})

    async def hold(self, request: TurnRequest) -> Turn:
        return await hold(self.provider, request)

    def entries(self) -> list[dict]:
        return self.aimock.journal(self.id)


@pytest.fixture
def talk(make_gemini, aimock: Aimock):
    return lambda chaos=None, **settings: Talk(make_gemini, aimock, chaos or {}, **settings)


async def test_text(talk):
    talking = talk()
    turn = await talking.hold(ask("Tell me of the lake", model=MODEL))
    assert turn.text == "The lake is deep, and it is still — „wie ein Spiegel“. 🏞"
    assert turn.reason == "stop"
    assert turn.usage == {"prompt_tokens": 7, "completion_tokens": 12, "total_tokens": 19}
    (entry,) = talking.entries()
    assert entry["path"] == f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
    assert KEY not in entry["path"]


async def test_a_base_url_without_a_version(talk, make_gemini, aimock: Aimock):
    turn = await hold(make_gemini(aimock.url, api_key=KEY), ask("Tell me of the lake", model=MODEL))
    assert turn.reason == "stop"


async def test_reasoning(talk):
    turn = await talk().hold(ask("Ponder the lake", model="gemini-2.5-pro"))
    assert turn.reasoning == "First I look at it, then I say it."
    assert turn.text == "It is deep."


async def test_tools_there_and_back(talk):
    talking = talk()
    question = ask("What is the weather?", model=MODEL, options={"tools": [WEATHER]})
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


async def test_speech_becomes_a_file(talk):
    turn = await talk().hold(ask("Read out the lake", model=SPEECH))
    (sound,) = turn.media
    assert (sound.kind, sound.content_type, sound.transcript) == ("audio", "audio/wav", "Read out the lake")
    with wave.open(io.BytesIO(sound.data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        assert file.readframes(99) == bytes([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0])


async def test_an_answer_that_is_stopped(talk):
    turn = await talk().hold(ask("a lake that nobody may see", model=MODEL))
    assert (turn.text, turn.reason) == ("The lake", "content_filter")


async def test_a_wrong_key(talk):
    wrong = "AIza-wrong-key-0123456789"
    turn = await talk(api_key=wrong).hold(ask("Tell me of the lake", model=MODEL))
    assert type(turn.error) is MissingAuthError
    assert wrong not in str(turn.error)


async def test_the_key_of_the_request_goes_first(talk):
    turn = await talk(api_key="AIza-wrong-key-0123456789").hold(ask("Tell me of the lake", model=MODEL, api_key=KEY))
    assert turn.reason == "stop"


async def test_a_rate_limit_that_is_long(talk):
    talking = talk()
    turn = await talking.hold(ask("slow down", model=MODEL))
    assert isinstance(turn.error, RateLimitError)
    assert turn.error.retry_after == 30
    assert len(talking.entries()) == 1


async def test_a_broken_server(talk):
    turn = await talk().hold(ask("break", model=MODEL))
    assert type(turn.error) is ProviderUnavailableError
    assert "The server had an error" in str(turn.error)


async def test_an_unknown_question(talk):
    turn = await talk().hold(ask("nobody has an answer to this", model=MODEL))
    assert isinstance(turn.error, ProviderError) and not isinstance(turn.error, ModelNotFoundError)
    assert "No fixture matched" in str(turn.error)


async def test_a_cut_stream_keeps_what_came(talk):
    turn = await talk().hold(ask("cut this short", model=MODEL))
    assert type(turn.error) is StreamInterruptedError
    assert turn.text
    assert "This answer is long enough to be cut somewhere in its middle.".startswith(turn.text)


@pytest.mark.parametrize(
    ("chaos", "error"),
    [
        ("ratelimit", RateLimitError),
        ("drop", ProviderUnavailableError),
        ("disconnect", ProviderUnavailableError),
        ("malformed", BadAnswerError),
    ],
)
@pytest.mark.parametrize(("model", "text"), [(MODEL, "Tell me of the lake"), (SPEECH, "Read out the lake")])
async def test_chaos_ends_in_a_clear_error(talk, chaos: str, error: type, model: str, text: str):
    turn = await talk({chaos: "1"}).hold(ask(text, model=model))
    assert type(turn.error) is error
    assert str(turn.error).strip(". :")
    assert turn.events == []


async def test_half_the_connections_break_and_every_turn_ends(talk):
    talking = talk({"disconnect": "0.5"})
    turns = await asyncio.gather(*(talking.hold(ask("Tell me of the lake", model=MODEL)) for _ in range(20)))
    assert all((turn.error is None) == (turn.reason == "stop") for turn in turns)
    assert any(turn.reason == "stop" for turn in turns)
