import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.providers.turns import ask, hold

from mediary.errors import FieldError, ModelNotFoundError, ProviderTimeoutError, TooLargeError
from mediary.events import Content, Finish, Media, Usage
from mediary.net.client import HttpClient
from mediary.providers.base import Image, Message, Text, TurnRequest
from mediary.providers.local.provider import MAX_TEXT, NOTHING_FOUND, Local
from mediary.settings import ProviderSettings
from mediary.testing.providers import WORDS, ProviderContract


@pytest.fixture
def local(http: HttpClient) -> Local:
    return Local("Local", ProviderSettings(wire="local"), http)


async def test_its_models_are_three(local: Local):
    models = {model.id: model for model in await local.models()}
    assert [(model.id, model.kind) for model in models.values()] == [
        ("passages", "chat"),
        ("speech", "speech"),
        ("picture", "image"),
    ]
    assert {"en-us", "en", "de", "fr", "cmn"} <= set(models["speech"].tags)


async def test_the_default_is_listed_first(http: HttpClient):
    local = Local("Box", ProviderSettings(wire="local", label="My box", default_model="speech"), http)
    assert (local.name, local.label, local.default_model) == ("Box", "My box", "speech")
    assert [model.id for model in await local.models()] == ["speech", "passages", "picture"]


async def test_voices_have_a_name_and_a_language(local: Local):
    voices = {voice.id: voice for voice in await local.voices()}
    assert len(voices) > 100
    assert (voices["de"].label, voices["de"].language) == ("German", "de")
    assert voices["en"].language == "en-gb"


async def test_passages_are_quoted_piece_by_piece(local: Local):
    notes = Text("The meeting is on Monday. Bring the minutes of the last meeting. It rains.", "notes\n1.md")
    turn = await hold(local, ask("When is the meeting?", notes, model="passages"))
    pieces = [event.content for event in turn.events if isinstance(event, Content)]
    assert len(pieces) == 2
    assert turn.text == (
        "> The meeting is on Monday. — notes 1.md\n\n> Bring the minutes of the last meeting. — notes 1.md"
    )
    assert turn.reason == "stop"


async def test_a_passage_of_the_conversation_is_named_so(local: Local):
    turn = await hold(local, ask("The meeting is on Monday. When is the meeting?", model="passages"))
    assert turn.text == "> The meeting is on Monday. — this conversation"


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (Message("user", (Text("What is the weather?"),)),),
        (Message("user", (Image("image/png", b"\x89PNG"),)),),
        (Message("system", (Text("Be brief."),)), Message("user", (Text("😀🦊"),))),
    ],
)
async def test_where_nothing_is_found_it_says_how_to_set_up_a_model(local: Local, messages: tuple[Message, ...]):
    turn = await hold(local, TurnRequest("passages", messages))
    assert turn.text == NOTHING_FOUND
    first, second = turn.text.splitlines()
    assert "no language model is set up" in first
    assert all(way in second for way in ("OPENAI_API_KEY", "mediary.toml", "Ollama"))
    assert turn.reason == "stop"


async def test_usage_says_what_it_counts(local: Local):
    document = Text("Monday is free.", "a.md")
    quoted = await hold(local, ask("Which day is free?", document, model="passages"))
    assert quoted.usage == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "unit": "words"}
    spoken = await hold(local, ask("Hello", model="speech"))
    assert spoken.usage == {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5, "unit": "characters"}
    drawn = await hold(local, ask("two hills", model="picture", options={"size": "16x16"}))
    assert drawn.usage == {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2, "unit": "words"}
    usage, finish = drawn.events[-2:]
    assert isinstance(usage, Usage)
    assert (usage.model, usage.provider) == ("picture", "Local")
    assert isinstance(finish, Finish)


async def test_an_unknown_model_is_answered_with_those_there_are(local: Local):
    turn = await hold(local, ask("Hello", model="gpt-4o"))
    assert isinstance(turn.error, ModelNotFoundError)
    assert all(model in turn.error.message for model in ("gpt-4o", "passages", "speech", "picture"))


async def test_options_of_others_are_ignored(local: Local):
    options = {"temperature": 0.5, "tools": [], "n": 99, "voice": 3, "width": "wide", "response_format": {"type": "x"}}
    assert (await hold(local, ask("Hello", model="passages", options=options))).error is None


async def test_speech_is_a_sound_with_its_words(local: Local):
    turn = await hold(local, ask("# Hello, *world*!", model="speech"))
    (sound,) = turn.media
    assert (sound.kind, sound.content_type) == ("audio", "audio/mpeg")
    assert (sound.alt, sound.transcript) == ("Hello, world!", "Hello, world!")
    assert isinstance(sound.data, bytes)
    assert len(sound.data) > 2000


@pytest.mark.parametrize("text", ["", "   \n", "***", "!!!", "```\n```", "\0"])
async def test_without_words_there_is_no_speech(local: Local, text: str):
    turn = await hold(local, ask(text, model="speech"))
    assert isinstance(turn.error, FieldError)
    assert not turn.media


async def test_pictures_are_as_many_as_asked(local: Local):
    turn = await hold(local, ask("two\nhills", model="picture", options={"n": 3, "width": 64, "height": 32}))
    assert [(picture.kind, picture.content_type, picture.alt) for picture in turn.media] == [
        ("image", "image/png", "two hills")
    ] * 3
    assert len({picture.data for picture in turn.media}) == 3


async def test_a_turn_can_be_left_at_any_event(local: Local):
    for model in ("passages", "speech", "picture"):
        turn = local.converse(ask("Hello there. " * 500, model=model, options={"size": "32x32"}))
        await anext(turn)
        await turn.aclose()  # type: ignore[attr-defined]


HUGE = "Notes about nothing.\n" * 700_000


@pytest.mark.parametrize("model", ["passages", "speech", "picture"])
async def test_too_much_text_is_refused(local: Local, model: str):
    turn = await hold(local, ask("a" * (MAX_TEXT + 1), model=model))
    assert type(turn.error) is TooLargeError
    assert f"{MAX_TEXT} at most" in turn.error.message


@pytest.mark.parametrize("model", ["passages", "speech", "picture"])
async def test_a_turn_that_takes_too_long(local: Local, model: str):
    turn = await hold(local, ask(HUGE, model=model, timeout=0.001))
    assert type(turn.error) is ProviderTimeoutError
    assert "0.001 s" in turn.error.message


async def test_speech_ends_in_time_while_it_is_read(local: Local, jump: Callable[[float], None]):
    turn = local.converse(ask("Hello there. " * 5000, model="speech", timeout=60))
    sound = await anext(turn)
    assert isinstance(sound, Media) and sound.stream is not None
    jump(61)
    with pytest.raises(ProviderTimeoutError, match="60 s"):
        async for _ in sound.stream:
            pass
    await turn.aclose()


def test_a_process_ends_soon_after_its_turns_were_cancelled():
    """Python waits for its threads: all of this text would take them a minute."""
    code = """
import asyncio
from mediary.errors import ProviderTimeoutError
from mediary.providers.base import Message, Text, TurnRequest
from mediary.providers.local.provider import Local
from mediary.settings import ProviderSettings

async def main():
    local = Local("Local", ProviderSettings(wire="local"), None)
    texts = ["".join(f"{at} notes.\\n" for at in range(1_000_000)), "- \\n" * 5_000_000, "a. " * 5_000_000]
    messages = [Message("user", (Text(text),)) for text in texts]
    turns = [
        asyncio.ensure_future(anext(local.converse(TurnRequest(model, (message,), timeout=time))))
        for message, time in zip(messages, (0.5, 60, 60))
        for model in ("passages", "speech")
    ]
    _, running = await asyncio.wait(turns, return_when=asyncio.FIRST_COMPLETED)
    for turn in running:
        turn.cancel()
    for how in await asyncio.gather(*turns, return_exceptions=True):
        assert isinstance(how, ProviderTimeoutError | asyncio.CancelledError), how

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


async def test_speech_that_is_closed_while_it_is_read(local: Local):
    """Who reads has been cancelled and does not know yet."""
    turn = local.converse(ask("Hello there. " * 5000, model="speech"))
    sound = await anext(turn)
    assert isinstance(sound, Media) and sound.stream is not None
    pieces = aiter(sound.stream)
    await anext(pieces)
    reading = asyncio.ensure_future(anext(pieces))
    started = asyncio.Event()
    asyncio.get_running_loop().call_soon(started.set)  # it waits by then
    await started.wait()
    reading.cancel()
    await turn.aclose()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)


def test_only_who_needs_a_library_loads_it():
    code = (
        "import json, sys; from mediary.providers.local.provider import Local;"
        "from mediary.settings import ProviderSettings;"
        "Local('Local', ProviderSettings(wire='local'), None); print(json.dumps(list(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path.cwd()).stdout
    assert not {"av", "pyvips", "espeakng_loader"} & set(json.loads(output))


@pytest.mark.parametrize(
    "breaking",
    [
        "sys.modules['espeakng_loader'] = None",
        "import espeakng_loader; espeakng_loader.get_library_path = lambda: '/nowhere.so'",
        "import espeakng_loader; espeakng_loader.get_library_path = lambda: None",
        "import espeakng_loader; espeakng_loader.get_data_path = lambda: exec('raise RuntimeError')",
    ],
    ids=["no wheel", "no library", "another library", "no data"],
)
def test_without_espeak_all_else_is_there(breaking: str):
    code = f"""
import asyncio, json, sys
{breaking}
from mediary.providers.base import Message, Text, TurnRequest
from mediary.providers.local.provider import Local
from mediary.settings import ProviderSettings

async def main():
    local = Local("Local", ProviderSettings(wire="local"), None)
    models = [model.id for model in await local.models()]
    try:
        await anext(local.converse(TurnRequest("speech", (Message("user", (Text("Hello"),)),))))
    except Exception as error:
        return models, type(error).__name__, str(error)

print(json.dumps(asyncio.run(main())))
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    models, error, words = json.loads(output)
    assert models == ["passages", "picture"]
    assert error == "ProviderUnavailableError"
    assert "install" in words
    assert "espeakng-loader" in words


class TestContract(ProviderContract):
    @pytest.fixture
    def provider(self, local: Local) -> Local:
        return local

    @pytest.fixture
    def echo_request(self) -> Callable[[str], TurnRequest]:
        document = Text("\n".join(f"- Drawer {at} holds {word}." for at, word in enumerate(WORDS)), "drawers.md")
        return lambda word: ask(f"Where is the {word}?", document, model="passages")

    @pytest.fixture
    def long_request(self) -> TurnRequest:
        return ask("Hello there. " * 500, model="speech")

    @pytest.fixture(params=["speech", "picture"])
    def media_request(self, request: pytest.FixtureRequest) -> TurnRequest:
        return ask("Hello", model=request.param, options={"size": "64x64"})
