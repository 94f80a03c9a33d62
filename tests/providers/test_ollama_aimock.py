"""Ollama's own wire against aimock, a server of its own that knows nothing of us."""

import asyncio
import itertools
import json
from dataclasses import replace

import pytest
from tests.providers.turns import Turn, ask, hold
from tests.servers.aimock import KEY, Aimock

from mediary.errors import (
    MissingAuthError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.providers.base import Image, Message, Text, TurnRequest
from mediary.providers.ollama.provider import Ollama

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
_numbers = itertools.count()


class Talk:
    """A provider at aimock with an id of its own, under which chaos and journal are kept."""

    def __init__(self, make, aimock: Aimock, chaos: dict[str, str], **settings: object) -> None:
        self.id = f"ollama-{next(_numbers)}"
        self.aimock = aimock
        headers = {"X-Test-Id": self.id, **{f"x-aimock-chaos-{kind}": rate for kind, rate in chaos.items()}}
        self.provider: Ollama = make(aimock.url, **{"api_key": KEY, "headers": headers, **settings})

    async def hold(self, request: TurnRequest) -> Turn:
        return await hold(self.provider, request)

    def entries(self) -> list[dict]:
        return self.aimock.journal(self.id)


@pytest.fixture
def talk(make_ollama, aimock: Aimock):
    return lambda chaos=None, **settings: Talk(make_ollama, aimock, chaos or {}, **settings)


async def test_text(talk):
    talking = talk()
    turn = await talking.hold(ask("Tell me of the sea"))
    assert turn.text == "The sea is wide, and it is blue — „wie der Himmel“. 🌊"
    assert turn.reason == "stop"
    assert [entry["path"] for entry in talking.entries()] == ["/api/chat"]


async def test_a_picture_goes_in(talk):
    talking = talk()
    turn = await talking.hold(ask("Tell me of the sea", Image("image/png", b"\x89PNG")))
    assert turn.reason == "stop"


async def test_tools_there_and_back(talk):
    talking = talk()
    question = ask("What is the weather?", options={"tools": [WEATHER]})
    turn = await talking.hold(question)
    ((number, call_id, name, arguments),) = turn.calls
    assert (number, name) == (0, "get_weather")
    assert json.loads(arguments) == {"city": "Kyōto", "unit": "celsius"}
    assert call_id
    assert turn.reason == "tool_calls"
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    said = Message("assistant", (), {"tool_calls": [call]})
    result = Message("tool", (Text("rain"),), {"tool_call_id": call_id})
    await talking.hold(replace(question, messages=(*question.messages, said, result)))
    _, entry = talking.entries()
    assert [message["role"] for message in entry["body"]["messages"]] == ["user", "assistant", "tool"]
    assert entry["body"]["messages"][1]["tool_calls"][0]["function"]["name"] == "get_weather"


async def test_a_wrong_key(talk):
    wrong = "ollama-wrong-key-0123456789"
    turn = await talk(api_key=wrong).hold(ask("Tell me of the sea"))
    assert type(turn.error) is MissingAuthError
    assert wrong not in str(turn.error)


async def test_the_key_of_the_request_goes_first(talk):
    turn = await talk(api_key="ollama-wrong-key-0123456789").hold(ask("Tell me of the sea", api_key=KEY))
    assert turn.reason == "stop"


async def test_a_rate_limit_that_is_long(talk):
    turn = await talk().hold(ask("slow down"))
    assert isinstance(turn.error, RateLimitError)
    assert turn.error.retry_after == 30


async def test_a_broken_server(talk):
    turn = await talk().hold(ask("break"))
    assert type(turn.error) is ProviderUnavailableError
    assert "The server had an error" in str(turn.error)


async def test_a_cut_stream_keeps_what_came(talk):
    turn = await talk().hold(ask("cut this short"))
    assert type(turn.error) is StreamInterruptedError
    assert turn.text
    assert "This answer is long enough to be cut somewhere in its middle.".startswith(turn.text)


@pytest.mark.parametrize(
    ("chaos", "error"),
    [
        ("ratelimit", RateLimitError),
        ("drop", ProviderUnavailableError),
        ("disconnect", ProviderUnavailableError),
        ("malformed", StreamInterruptedError),
    ],
)
async def test_chaos_ends_in_a_clear_error(talk, chaos: str, error: type):
    turn = await talk({chaos: "1"}).hold(ask("Tell me of the sea"))
    assert type(turn.error) is error
    assert str(turn.error).strip(". :")
    assert turn.events == []


async def test_half_the_connections_break_and_every_turn_ends(talk):
    talking = talk({"disconnect": "0.5"})
    turns = await asyncio.gather(*(talking.hold(ask("Tell me of the sea")) for _ in range(20)))
    assert all((turn.error is None) == (turn.reason == "stop") for turn in turns)
    assert any(turn.reason == "stop" for turn in turns)
