"""One provider after the other, through HTTP: who is asked, who is passed over, and that no turn hangs or is lost."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.conversations.questions import PATH, Answer, ask, question, serving
from tests.conversations.questions import answer as answer_of
from tests.media.samples import picture
from tests.server.bucket_client import post
from tests.servers.mediary import MediaryServer
from tests.servers.scripted import (
    Asked,
    Hanging,
    Line,
    Play,
    chunk,
    delta,
    events,
    refused,
    said,
    scripted,
    streamed,
    whole,
)

CROWD = ThreadPoolExecutor(24)
"""Clients that ask at once."""
ALLOWED = '[net]\nallow = ["127.0.0.0/8"]\n'


def says(words: str) -> Play:
    return streamed(events(delta(content=words), delta("stop")))


def cut(words: str) -> Play:
    """An answer that breaks off in its middle."""
    return streamed(events(delta(content=words), done=False), end=False)


OVERLOADED = said({"error": {"message": "overloaded"}}, 503)
LIMITED = said({"error": {"message": "too many requests"}}, 429)


@asynccontextmanager
async def two(folder: Path, more: str = "", first: str = "", second: str = "") -> AsyncIterator[tuple[Any, ...]]:
    """A server with two providers that have the model `m`."""
    async with scripted() as one, scripted() as other:
        tables = (
            f'[providers.{name}]\nwire = "openai"\nbase_url = "{peer.base_url}"\ndefault_model = "m"\n'
            f'models = ["m"]\nuploads = "inline"\napi_key = "key-of-{name}"\n{own}\n'
            for name, peer, own in (("First", one, first), ("Second", other, second))
        )
        async with serving(folder, f"{more}\n{ALLOWED}" + "".join(tables)) as server:
            other.play(says("second"))
            yield server, one, other


async def converse(server: MediaryServer, **fields: Any) -> Answer:
    """A turn in JSON, beside as many others as there may be."""
    body = json.dumps(question(**fields)).encode()
    posting = asyncio.get_running_loop().run_in_executor(CROWD, post, server, PATH, body, "application/json")
    answered = await posting
    return answer_of(answered.status, answered.body)


async def recorded(server: MediaryServer) -> list[dict[str, Any]]:
    """The use of all turns that are over."""
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    lines = await asyncio.to_thread(server.get, f"/backend-api/v2/usage/{datetime.now(UTC):%Y-%m-%d}")
    return [json.loads(line) for line in lines.splitlines()]


def chosen(answer: Answer) -> list[str]:
    return [event["provider"]["name"] for event in answer.events if event["type"] == "provider"]


def kinds(answer: Answer) -> list[str]:
    return [event["type"] for event in answer.events]


@pytest.mark.parametrize(
    ("play", "why"),
    [
        (refused, "closed the connection"),
        (OVERLOADED, "overloaded"),
        (LIMITED, "too many requests"),
        (said({"error": {"message": "no such key"}}, 401), "no such key"),
        (said({"error": {"message": "no model m", "code": "model_not_found"}}, 404), "no model m"),
        (streamed(), "answered with nothing"),
        (streamed(end=False), "broke off"),
        (streamed(events(delta(role="assistant"), done=False), end=False), "broke off"),
        (whole(b"<html><title>Log in to this network</title></html>"), "Log in to this network"),
        (whole(b"{"), "cannot be read"),
        (streamed(b"data: {\n\n"), "cannot be read"),
    ],
)
async def test_who_fails_before_the_answer_is_followed_by_the_next(tmp_path: Path, play: Play, why: str):
    async with two(tmp_path) as (server, first, second):
        first.play(play)

        answer = await converse(server, model="m", temperature=0.5)

        begin = ["provider", "parameters", "conversation"]
        assert kinds(answer)[:8] == [*begin, "log", *begin, "content"]
        assert chosen(answer) == ["First", "Second"]
        [told] = answer.logs
        assert told.startswith("First: ")
        assert why in told
        assert told.endswith("; Second is asked")
        assert (answer.text, answer.last["type"]) == ("second", "finish")
        assert second.asked[0].json["temperature"] == 0.5
        assert second.asked[0].headers["authorization"] == "Bearer key-of-Second"
        [record] = await recorded(server)
        assert (record["provider"], record["outcome"]) == ("Second", "finished")
        assert why in server.output()


async def test_who_is_silent_is_followed_by_the_next(tmp_path: Path):
    async with two(tmp_path) as (server, first, _):
        first.play(Hanging())
        assert chosen(await converse(server, model="m", stream_timeout=0.3)) == ["First", "Second"]


async def test_who_hangs_leaves_time_for_the_next(tmp_path: Path):
    async with two(tmp_path) as (server, first, _):
        first.play(Hanging())
        answer = await converse(server, model="m", timeout=2)
        assert (chosen(answer), answer.text) == (["First", "Second"], "second")
        assert re.fullmatch(r"First: no answer within [0-9.]+ seconds; Second is asked", answer.logs[0])
        for _ in range(2):
            assert chosen(await converse(server, model="m", timeout=1)) == ["First", "Second"]
        first.play(says("first"))
        assert chosen(await converse(server, model="m")) == ["First"], "nobody rests for a client in a hurry"


async def test_the_last_one_has_all_the_time_that_is_left(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(OVERLOADED)
        second.play(Hanging())
        answer = await converse(server, model="m", timeout=1)
        assert answer.last["error"] == "ProviderTimeoutError"
        assert "no answer within" not in answer.last["message"]


async def test_what_is_refused_is_asked_of_nobody_else(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(said({"error": {"message": "too hot"}}, 400))

        answer = await converse(server, model="m", temperature=9)

        assert (answer.last["type"], answer.last["error"]) == ("error", "ProviderError")
        assert "too hot" in answer.last["message"]
        assert second.asked == []


async def test_an_answer_that_has_begun_is_nobody_elses(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(cut("half"))

        answer = await converse(server, model="m")

        assert (answer.text, answer.last["error"]) == ("half", "StreamInterruptedError")
        assert (chosen(answer), second.asked) == (["First"], [])
        [record] = await recorded(server)
        assert (record["provider"], record["outcome"]) == ("First", "failed")


async def test_when_all_fail_all_are_named(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(said({"error": {"message": "slow down"}}, 429, "Retry-After: 7"))
        second.play(said({"error": {"message": "wrong key"}}, 401))

        answer = await converse(server, model="m")

        assert (answer.last["type"], answer.last["error"], answer.last["retry_after"]) == ("error", "RateLimitError", 7)
        assert answer.last["message"] == "none of 2 providers could answer: First: slow down; Second: wrong key"
        assert len(await recorded(server)) == 1


async def test_a_provider_that_is_named_is_the_only_one(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(OVERLOADED)
        answer = await converse(server, model="m", provider="first")
        assert answer.last["error"] == "ProviderUnavailableError"
        assert answer.last["message"] == "First: overloaded"
        assert second.asked == []


async def test_without_a_model_the_defaults_are_asked_and_never_the_stand_in(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(OVERLOADED)
        assert (await converse(server)).text == "second"
        second.play(OVERLOADED)
        answer = await converse(server, provider="AnyProvider")
        assert (answer.last["error"], chosen(answer)) == ("ProviderUnavailableError", ["First", "Second"])


async def test_a_group_is_asked_member_by_member(tmp_path: Path):
    group = 'models = { fast = ["second/m-2", "First/m"] }'
    async with two(tmp_path, group) as (server, first, second):
        first.play(says("first"))
        second.play(OVERLOADED)

        answer = await converse(server, model="fast", provider="AnyProvider")

        assert (chosen(answer), answer.text) == (["Second", "First"], "first")
        assert (second.asked[0].json["model"], first.asked[0].json["model"]) == ("m-2", "m")
        listed = await asyncio.to_thread(server.get_json, "/backend-api/v2/models/AnyProvider")
        assert [model["id"] for model in listed if model["tags"] == ["group"]] == ["fast"]
        alone = await converse(server, model="fast", provider="First")
        assert (alone.status, alone.error["code"]) == (422, "invalid_field")
        assert "'fast' is a group" in alone.error["message"]


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ('["Frist/m"]', "setting models.fast: there is no provider 'Frist'; did you mean First/m?"),
        ('["m"]', "setting models.fast: 'm' is not of the form PROVIDER/model"),
        ("[]", "setting models.fast: a group needs a model"),
    ],
)
async def test_a_group_that_cannot_be_meant_stops_the_start(tmp_path: Path, group: str, words: str):
    with pytest.raises(AssertionError) as failed:
        async with two(tmp_path, f"models = {{ fast = {group} }}"):
            pass
    assert words in str(failed.value)


async def test_who_does_not_take_the_files_is_passed_over(tmp_path: Path):
    async with two(tmp_path, first="inline_bytes = 10\n") as (server, first, _):
        answer = await ask(server, {"hill.png": picture()}, model="m")

        assert (chosen(answer), answer.text, first.asked) == (["Second"], "second", [])
        assert kinds(answer)[:4] == ["provider", "parameters", "conversation", "log"]
        assert "hill.png" in answer.logs[0]
        assert answer.logs[0].startswith("First: ")


async def test_files_go_to_the_next_one_as_that_takes_them(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(OVERLOADED)
        assert (await ask(server, {"hill.png": picture()}, model="m")).text == "second"
        [shown] = [part for part in second.asked[0].json["messages"][-1]["content"] if part["type"] == "image_url"]
        assert shown["image_url"]["url"].startswith("data:image/png;base64,")


async def test_files_that_nobody_takes_are_refused_at_once(tmp_path: Path):
    async with two(tmp_path, first="inline_bytes = 10\n", second="inline_bytes = 20\n") as (server, first, second):
        answer = await ask(server, {"hill.png": picture()}, model="m")
        assert (answer.status, answer.error["code"]) == (413, "too_large")
        assert "First: " in answer.error["message"]
        assert "Second: " in answer.error["message"]
        assert first.asked == second.asked == []


async def test_a_key_of_a_request_is_shown_to_one_provider(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(OVERLOADED)
        answer = await converse(server, model="m", api_key="key-of-mine")
        assert (answer.last["error"], second.asked) == ("ProviderUnavailableError", [])
        assert first.asked[0].headers["authorization"] == "Bearer key-of-mine"


async def test_keys_by_name_go_each_to_its_own(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(OVERLOADED)
        keys = {"first": "key-1", "Second": "key-2", "Third": "key-3", "Fourth": None}
        assert (await converse(server, model="m", api_key=keys)).text == "second"
        assert first.asked[0].headers["authorization"] == "Bearer key-1"
        assert second.asked[0].headers["authorization"] == "Bearer key-2"


async def test_who_keeps_failing_is_asked_last(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(OVERLOADED)
        for _ in range(3):
            assert chosen(await converse(server, model="m")) == ["First", "Second"]
        providers = await asyncio.to_thread(server.get_json, "/backend-api/v2/providers")
        assert {each["name"]: each["live"] for each in providers} == {"First": False, "Second": True, "Local": True}
        first.asked.clear()
        assert chosen(await converse(server, model="m")) == ["Second"]
        assert first.asked == []

        second.play(OVERLOADED)
        first.play(says("first"))
        answer = await converse(server, model="m")
        assert (chosen(answer), answer.text) == (["Second", "First"], "first")
        assert chosen(await converse(server, model="m")) == ["First"], "it has answered"


async def test_clients_in_a_hurry_and_with_keys_of_their_own_send_nobody_to_rest(tmp_path: Path):
    async with two(tmp_path) as (server, first, _):
        first.play(Hanging())
        for _ in range(4):
            assert chosen(await converse(server, model="m", stream_timeout=0.1)) == ["First", "Second"]
        first.play(OVERLOADED)
        for _ in range(4):
            assert chosen(await converse(server, model="m", api_key="wrong")) == ["First"]
        first.play(says("first"))
        assert chosen(await converse(server, model="m")) == ["First"]


async def test_the_time_of_a_turn_is_that_of_all_attempts(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(Hanging())
        second.play(Hanging())
        answer = await converse(server, model="m", timeout=0.5)
        assert (answer.last["type"], answer.last["error"]) == ("error", "ProviderTimeoutError")
        assert len(second.asked) == 1
        assert len(await recorded(server)) == 1


async def test_the_state_of_a_conversation_names_the_run(tmp_path: Path):
    async with two(tmp_path) as (server, first, _):
        first.play(OVERLOADED)
        answer = await converse(server, model="m")
        states = [event["conversation"] for event in answer.events if event["type"] == "conversation"]
        assert [list(state) for state in states] == [["First"], ["Second"]]
        assert states[0]["First"] == states[1]["Second"]
        assert len(states[0]["First"]["run_id"]) == 32
        again = await converse(server, model="m", conversation=states[1])
        assert again.last["type"] == "finish"


async def test_memories_are_brought_once_whoever_is_asked(tmp_path: Path):
    async with two(tmp_path) as (server, first, second):
        first.play(OVERLOADED)
        kept = {"items": [{"role": "user", "content": "The harbour opens at six."}]}
        with server.open("/backend-api/v2/memory/anna", kept) as response:
            assert response.status == 200, response.read()

        answer = await converse(server, text="When does the harbour open?", model="m", memory="anna")

        assert answer.text == "second"
        assert len(answer.logs) == 2
        for peer in (first, second):
            said = json.dumps(peer.asked[-1].json["messages"][-1]["content"])
            assert said.count("opens at six") == 1
            assert said.index("opens at six") < said.index("When does")


async def test_a_memory_is_somebodys(tmp_path: Path):
    async with two(tmp_path) as (server, _, second):
        answer = await converse(server, model="m", memory=True)
        assert (answer.status, answer.error["code"]) == (422, "invalid_field")
        assert "memory" in answer.error["message"]
        assert second.asked == []


async def test_whose_models_do_not_come_keeps_nobody_waiting(tmp_path: Path):
    async with scripted() as silent:
        silent.play(Hanging())
        table = f'[providers.Silent]\nwire = "openai"\nbase_url = "{silent.base_url}"\n'
        async with two(tmp_path, second="") as (_, first, _):
            first.play(says("first"))
            settings = f'{table}[providers.First]\nwire = "openai"\nbase_url = "{first.base_url}"\nmodels = ["m"]\n'
            async with serving(tmp_path / "other", settings) as server:
                answer = await converse(server, model="m")
                assert (answer.text, len(silent.asked)) == ("first", 1)
                models = await asyncio.to_thread(server.get_json, "/backend-api/v2/models")
                assert (models["Silent"], models["First"]) == ([], ["m"])
                missed = await converse(server, model="no-such-model")
                assert (missed.status, missed.error["code"]) == (404, "model_not_found")
                assert "Silent could not tell" in missed.error["message"]


class Dying:
    """Answers, or dies in one of many ways, as chance has it; a turn's words are those of one provider."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = random.Random(seed)

    async def __call__(self, asked: Asked, line: Line) -> None:
        whole = events(*(delta(content=f"{self.name} ") for _ in range(5)), delta("stop"))
        begin = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        match self.random.randrange(8):
            case 0 | 1 | 2:
                await streamed(whole)(asked, line)
            case 3:
                line.reset()
            case 4:
                await OVERLOADED(asked, line)
            case 5:
                # anywhere in its answer, heads and half characters included
                sent = begin + chunk(whole)
                await line.send(sent[: self.random.randrange(len(sent))])
                line.reset()
            case 6:
                await LIMITED(asked, line)
            case 7:
                await line.send(begin + chunk(whole[: self.random.randrange(len(whole))]))
                await asyncio.Event().wait()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_however_providers_die_no_turn_hangs_and_none_is_lost(tmp_path: Path, seed: int):
    async with two(tmp_path) as (server, first, second):
        first.play(Dying("First", seed))
        second.play(Dying("Second", -seed))

        answers = await asyncio.gather(*(converse(server, model="m", stream_timeout=1) for _ in range(24)))

        ends = [answer.last["type"] for answer in answers]
        assert set(ends) <= {"finish", "error", "auth"}
        for answer in answers:
            assert [kind for kind in kinds(answer) if kind in ("finish", "error", "auth")] == [answer.last["type"]]
            assert set(answer.text.split()) <= {chosen(answer)[-1]}, "no words of who was given up"
            assert len(answer.text.split()) == 5 or answer.last["type"] == "error"
        records = await recorded(server)
        assert len(records) == len(answers)
        assert sorted(record["outcome"] for record in records) == sorted(
            "finished" if end == "finish" else "failed" for end in ends
        )


async def test_a_provider_that_dies_while_all_ask_it_fails_no_turn(tmp_path: Path):
    """Its process is gone in the middle of the crowd: what had not begun goes on elsewhere."""
    async with two(tmp_path) as (server, first, second):
        waiting: list[Line] = []
        all_there = asyncio.Event()

        async def hold(_: Asked, line: Line) -> None:
            waiting.append(line)
            if len(waiting) == 20:
                all_there.set()

        first.play(hold)
        asking = [asyncio.create_task(converse(server, model="m")) for _ in range(20)]
        await asyncio.wait_for(all_there.wait(), 30)
        first.play(refused)
        for line in waiting:
            line.reset()
        answers = await asyncio.gather(*asking)

        assert {answer.text for answer in answers} == {"second"}
        assert {tuple(chosen(answer)) for answer in answers} == {("First", "Second")}
        assert len(second.asked) == 20
        assert len(await recorded(server)) == 20
