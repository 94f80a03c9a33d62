"""Text read out by providers of other wires: samples, by whichever format the service takes."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.servers.aimock import KEY, Aimock
from tests.servers.scripted import Asked, Line, Play, Scripted, events, said, streamed, whole

from mediary.errors import FieldError, ModelNotFoundError, ProviderError
from mediary.net.client import HttpClient
from mediary.providers.base import Provider, Speaks, Utterance
from mediary.providers.gemini.provider import Gemini
from mediary.providers.local.provider import Local
from mediary.providers.openai.provider import OpenAI
from mediary.settings import ProviderSettings
from mediary.sounds import wav_front

WAV = wav_front(16000, 8) + b"\1\0\2\0\3\0\4\0"


async def say(provider: Speaks, text: str = "Hello", model: str | None = "tts-1", **how: Any) -> tuple[str, bytes]:
    async with provider.speak(Utterance(text, await provider.speaker(model, how.pop("voice", None)), **how)) as spoken:
        return spoken.media_type, b"".join([chunk async for chunk in spoken.chunks])


def service_of(speech: Play, voices: Any = None) -> Play:
    """A service with that speech, and voices where it lists any."""

    async def play(asked: Asked, line: Line) -> None:
        if asked.path.endswith("/audio/voices"):
            await (said(voices) if voices else said({"error": {"message": "not here"}}, 404))(asked, line)
        elif asked.path.endswith("/models"):
            await said({"data": [{"id": "gpt-4o"}, {"id": "tts-1-hd"}, {"id": "gpt-4o-mini-tts"}]})(asked, line)
        else:
            await speech(asked, line)

    return play


def questions(service: Scripted) -> list[Any]:
    return [asked.json for asked in service.asked if asked.body]


async def test_aimock_speaks(make: Callable[..., OpenAI], aimock: Aimock):
    provider: Provider = make(aimock.base_url, api_key=KEY)
    assert isinstance(provider, Speaks)
    media_type, sound = await say(provider)
    assert (media_type, sound[:4]) == ("audio/wav", b"RIFF")


async def test_a_service_says_bare_samples(make: Callable[..., OpenAI], service: Scripted):
    service.play(service_of(whole(b"\1\0\2\0", content_type="audio/pcm")))
    found = await say(make(service.base_url), "Hi", "gpt-4o-mini-tts", voice="nova", speed=1.5, manner="Whisper")
    assert found == ("audio/pcm;rate=24000", b"\1\0\2\0")
    assert questions(service) == [
        {
            "model": "gpt-4o-mini-tts",
            "input": "Hi",
            "voice": "nova",
            "response_format": "pcm",
            "speed": 1.5,
            "instructions": "Whisper",
        }
    ]


async def test_a_service_that_has_wav_alone_is_asked_for_that_from_then_on(
    make: Callable[..., OpenAI], service: Scripted
):
    async def speech(asked: Asked, line: Line) -> None:
        if asked.json["response_format"] == "wav":
            await whole(WAV, content_type="audio/wav")(asked, line)
        else:
            await said({"error": {"message": "response_format must be one of [wav]"}}, 400)(asked, line)

    service.play(service_of(speech))
    provider = make(service.base_url)
    assert await say(provider) == await say(provider) == ("audio/wav", WAV)
    assert [question["response_format"] for question in questions(service)] == ["pcm", "wav", "wav"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (whole(b"ID3...", content_type="audio/mpeg"), "sent audio/mpeg"),
        (whole(b"", content_type="audio/pcm"), "no sound"),
        (said({"error": {"message": "the voice is hoarse"}}), "hoarse"),
        (said({"error": {"message": "no such voice"}}, 400), "no such voice"),
    ],
)
async def test_what_is_no_sound_is_an_error(make: Callable[..., OpenAI], service: Scripted, answer: Play, words: str):
    service.play(service_of(answer))
    with pytest.raises(ProviderError, match=words):
        await say(make(service.base_url))


async def test_the_best_of_the_models_that_speak(make: Callable[..., OpenAI], service: Scripted):
    service.play(service_of(said({})))
    assert (await make(service.base_url).speaker(None, None)).model == "gpt-4o-mini-tts"
    assert (await make(service.base_url, speech_models=("mine",)).speaker(None, None)).model == "mine"
    with pytest.raises(ModelNotFoundError, match="name one"):
        await make(service.base_url, models=("gpt-4o",)).speaker(None, None)


@pytest.mark.parametrize(
    "listed", [{"voices": ["af_bella", "bm_lewis"]}, {"data": [{"id": "af_bella"}, {"voice_id": "bm_lewis"}, {}, 7]}]
)
async def test_voices_that_a_service_lists(make: Callable[..., OpenAI], service: Scripted, listed: Any):
    service.play(service_of(said({}), listed))
    provider = make(service.base_url)
    assert [voice.id for voice in await provider.voices()] == ["af_bella", "bm_lewis"]
    assert (await provider.speaker("kokoro", None)).voice == "af_bella"
    assert (await provider.speaker("kokoro", "BM_Lewis")).voice == "bm_lewis"
    with pytest.raises(FieldError, match="af_bella"):
        await provider.speaker("kokoro", "af_bela")


async def test_a_service_that_lists_none_is_taken_at_the_word_of_the_request(
    make: Callable[..., OpenAI], service: Scripted
):
    service.play(service_of(said({})))
    provider = make(service.base_url)
    assert await provider.voices() == ()
    assert (await provider.speaker("tts-1", None)).voice == "alloy"
    assert (await provider.speaker("tts-1", "whoever")).voice == "whoever"


async def test_openai_itself_lists_no_voices_and_has_them(http: HttpClient):
    table = ProviderSettings(wire="openai", base_url="https://api.openai.com/v1", models=("gpt-4o", "tts-1"))
    provider = OpenAI("OpenAI", table, http)
    assert [("nova" in model.tags) for model in await provider.models()] == [False, True]
    assert "marin" in [voice.id for voice in await provider.voices()]
    assert (await provider.speaker("tts-1", "voice_123")).voice == "voice_123"
    with pytest.raises(FieldError, match="alloy"):
        await provider.speaker("tts-1", "aloy")


async def test_speeds_are_from_a_quarter_to_four(make: Callable[..., OpenAI], service: Scripted):
    service.play(service_of(said({})))
    with pytest.raises(FieldError, match=r"0\.25 to 4"):
        await say(make(service.base_url), speed=5.0)


@pytest.fixture
def spoken_gemini(make_gemini: Callable[..., Gemini], service: Scripted) -> Gemini:
    sound = {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(b"\1\0\2\0").decode()}
    answer = {"candidates": [{"content": {"parts": [{"inlineData": sound}]}, "finishReason": "STOP"}]}
    service.play(streamed(events(answer, done=False)))
    return make_gemini(service.origin + "/v1beta", models=("gemini-3.8-flash-tts", "gemini-3.8-flash"))


async def test_gemini_reads_out(spoken_gemini: Gemini, service: Scripted):
    media_type, sound = await say(spoken_gemini, "Hello", None, voice="puck", manner="Say cheerfully")
    assert (media_type, sound[:4], sound[44:]) == ("audio/wav", b"RIFF", b"\1\0\2\0")
    (asked,) = questions(service)
    assert asked["contents"] == [{"role": "user", "parts": [{"text": "Say cheerfully:\nHello"}]}]
    assert json.dumps(asked["generationConfig"]).count("Puck") == 1
    assert "gemini-3.8-flash-tts:" in service.asked[0].path


async def test_gemini_has_thirty_voices_and_one_speed(spoken_gemini: Gemini):
    assert len(await spoken_gemini.voices()) == 30
    assert (await spoken_gemini.speaker(None, None)).voice == "Kore"
    with pytest.raises(FieldError, match="Zephyr"):
        await spoken_gemini.speaker(None, "Zefyr")
    with pytest.raises(FieldError, match="instructions"):
        await say(spoken_gemini, "Hello", None, speed=2.0)


async def test_this_machine_reads_out(http: HttpClient):
    local = Local("Local", ProviderSettings(wire="local", voice="de"), http)
    media_type, sound = await say(local, "Hallo", None)
    assert media_type == "audio/pcm;rate=22050"
    assert len(sound) > 10_000
    assert (await say(local, "Hallo", "speech", voice="en"))[1] != sound
    with pytest.raises(ModelNotFoundError):
        await local.speaker("passages", None)
    with pytest.raises(FieldError, match="instructions"):
        await say(local, "Hallo", None, manner="Softly")
