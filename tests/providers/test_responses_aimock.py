"""The Responses wire against aimock, a server of its own that knows nothing of us."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.providers.responses import state
from tests.providers.turns import Turn, ask, hold
from tests.servers.aimock import KEY, Aimock

from mediary.errors import (
    BadAnswerError,
    MissingAuthError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.providers.base import Document, Image, Message, Text, TurnRequest
from mediary.providers.openai_responses.provider import OpenAIResponses

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
_numbers = itertools.count()


class Talk:
    """A provider at aimock with an id of its own, under which chaos and journal are kept."""

    def __init__(self, make: Callable[..., OpenAIResponses], aimock: Aimock, chaos: dict[str, str], **settings: object):
        self.id = f"responses-{next(_numbers)}"
        self.aimock = aimock
        headers = {"X-Test-Id": self.id, **{f"x-aimock-chaos-{kind}": rate for kind, rate in chaos.items()}}
        self.provider = make(aimock.base_url, **{"api_key": KEY, "headers": headers, **settings})

    async def hold(self, request: TurnRequest) -> Turn:
        return await hold(self.provider, request)

    def statuses(self) -> list[int]:
        return [entry["response"]["status"] for entry in self.aimock.journal(self.id)]


@pytest.fixture
def talk(make_responses: Callable[..., OpenAIResponses], aimock: Aimock):
    return lambda chaos=None, **settings: Talk(make_responses, aimock, chaos or {}, **settings)


async def test_text(talk):
    turn = await talk().hold(ask("Tell me of the sea"))
    assert turn.text == "The sea is wide, and it is blue — „wie der Himmel“. 🌊"
    assert turn.reason == "stop"
    usage = turn.usage or {}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert state(turn) is None


async def test_thinking(talk):
    turn = await talk().hold(ask("Think about it", model="deepseek-reasoner"))
    assert turn.reasoning == "First I weigh it, then I say it."
    assert turn.text == "It is so."


async def test_tools_there_and_back(talk):
    talking = talk()
    question = ask("What is the weather?", options={"tools": [WEATHER], "reasoning_effort": "high"})
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


async def test_the_reason_of_the_end(talk):
    assert (await talk().hold(ask("stop at once"))).reason == "length"


async def test_what_is_sent(talk):
    talking = talk()
    picture = Image("image/png", b"\x89PNG")
    await talking.hold(ask("Tell me of the sea", picture, Document("application/pdf", b"%PDF", "a.pdf")))
    (entry,) = talking.aimock.journal(talking.id)
    assert entry["path"] == "/v1/responses"
    assert entry["body"]["messages"] == [{"role": "user", "content": "Tell me of the sea"}]


async def test_models(talk):
    models = await talk(default_model="gpt-4o").provider.models()
    assert models[0].id == "gpt-4o"
    assert len(models) > 1


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
    turn = await talk().hold(ask("break"))
    assert type(turn.error) is ProviderUnavailableError
    assert "The server had an error" in str(turn.error)


async def test_a_cut_stream_keeps_what_came(talk):
    turn = await talk().hold(ask("cut this short"))
    assert type(turn.error) is StreamInterruptedError
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
async def test_chaos_ends_in_a_clear_error(talk, chaos, error):
    turn = await talk({chaos: "1"}).hold(ask("Tell me of the sea"))
    assert type(turn.error) is error
    assert str(turn.error).strip(". :")
    assert turn.events == []


async def test_half_the_connections_break_and_every_turn_ends(talk):
    talking = talk({"disconnect": "0.5"})
    turns = await asyncio.gather(*(talking.hold(ask("Tell me of the sea")) for _ in range(20)))
    assert all((turn.error is None) == (turn.reason == "stop") for turn in turns)
    assert any(turn.reason == "stop" for turn in turns)
