"""The wire of ElevenLabs against a strict peer: models, voices, speech in a turn and on request, the subscription."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

import pytest
from pydantic import SecretStr
from tests.providers.turns import ask, hold
from tests.servers.elevenlabs import (
    FROM_LIBRARY,
    GEORGE,
    KEY,
    RACHEL,
    SPEECH_ONLY_KEY,
    ElevenLabsPeer,
    elevenlabs_peer,
    samples,
)

from mediary.errors import (
    FieldError,
    MediaryError,
    MissingAuthError,
    ModelNotFoundError,
    ProviderError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.events import Media, Usage
from mediary.net.client import HttpClient
from mediary.providers.base import Provider, Speaker, Speaks, TellsQuota, Utterance
from mediary.providers.elevenlabs.provider import ElevenLabs
from mediary.settings import ProviderSettings, load_settings

Make = Callable[..., ElevenLabs]


@pytest.fixture
async def peer() -> AsyncIterator[ElevenLabsPeer]:
    async with elevenlabs_peer() as peer:
        yield peer


@pytest.fixture
def make(http: HttpClient, peer: ElevenLabsPeer) -> Make:
    return partial(made, http, peer.origin)


def made(http: HttpClient, base_url: str, key: str = KEY, **fields: object) -> ElevenLabs:
    settings = ProviderSettings(wire="elevenlabs", base_url=base_url, api_key=SecretStr(key), **fields)
    return ElevenLabs("Eleven", settings, http)


async def said(provider: ElevenLabs, text: str = "Hello", **how: object) -> bytes:
    utterance = Utterance(text, await provider.speaker(None, None), **how)
    async with provider.speak(utterance) as spoken:
        assert spoken.media_type == "audio/pcm;rate=24000"
        return b"".join([chunk async for chunk in spoken.chunks])


async def test_its_models_speak_and_have_the_voices_as_tags(make: Make):
    models = await make(default_model="eleven_v3").models()
    assert [model.id for model in models] == ["eleven_v3", "eleven_multilingual_v2", "eleven_flash_v2_5"]
    assert {model.kind for model in models} == {"speech"}
    assert {model.tags for model in models} == {(RACHEL, GEORGE)}


def test_it_can_what_it_says(make: Make):
    provider: Provider = make()
    assert isinstance(provider, Speaks)
    assert isinstance(provider, TellsQuota)


async def test_a_turn_is_speech(make: Make, peer: ElevenLabsPeer):
    turn = await hold(make(), ask("Hello", model="eleven_v3", options={"voice": "Rachel", "speed": 1.1}))
    (sound,) = turn.media
    assert isinstance(sound.data, bytes)
    assert (sound.kind, sound.content_type, sound.transcript, turn.reason) == ("audio", "audio/mpeg", "Hello", "stop")
    assert turn.usage == {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5, "unit": "characters"}
    assert peer.said == [
        {
            "text": "Hello",
            "model_id": "eleven_v3",
            "voice_settings": {"speed": 1.1},
            "voice": RACHEL,
            "output_format": "mp3_44100_128",
        }
    ]


@pytest.mark.parametrize(
    ("wanted", "media_type", "begin"),
    [("opus", "audio/ogg", b"OggS"), ("wav", "audio/wav", b"RIFF"), ("pcm", "audio/wav", b"RIFF")],
)
async def test_a_turn_in_another_format(make: Make, wanted: str, media_type: str, begin: bytes):
    turn = await hold(make(), ask("Hello", model="eleven_v3", options={"audio": {"format": wanted}}))
    (sound,) = turn.media
    assert isinstance(sound.data, bytes)
    assert (sound.content_type, sound.data[:4]) == (media_type, begin)
    assert [type(event) for event in turn.events][:2] == [Media, Usage]


async def test_on_request_it_says_samples(make: Make, peer: ElevenLabsPeer):
    assert await said(make(), "Hello there", speed=0.8, before="Well.") == samples(11, 24_000)
    assert peer.said[0]["previous_text"] == "Well."
    assert peer.said[0]["voice_settings"] == {"speed": 0.8}
    assert (peer.said[0]["voice"], peer.said[0]["model_id"]) == (RACHEL, "eleven_multilingual_v2")


async def test_a_model_that_does_not_go_on_from_what_was_said(make: Make, peer: ElevenLabsPeer):
    assert await said(make(default_model="eleven_v3"), before="Well.")
    assert "previous_text" not in peer.said[0]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("rachel", RACHEL), (RACHEL, RACHEL), ("George - Warm Storyteller", GEORGE), ("George", GEORGE), (None, RACHEL),
     (FROM_LIBRARY, FROM_LIBRARY)],
)  # fmt: skip
async def test_a_voice_by_name_or_id(make: Make, wanted: str | None, found: str):
    assert (await make().speaker("eleven_v3", wanted)).voice == found


async def test_the_settings_name_the_usual_voice(make: Make):
    assert (await make(voice="george").speaker(None, None)).voice == GEORGE


async def test_an_unknown_voice_is_refused_with_one_that_is_like_it(make: Make):
    for wanted in ("Rachael", "../models", "x" * 20):
        with pytest.raises(FieldError, match="Rachel"):
            await make().speaker(None, wanted)


async def test_what_models_take_is_known(make: Make):
    provider = make()
    await provider.models()
    assert (await provider.speaker("eleven_v3", None)).longest == 5000
    assert (await provider.speaker("of_tomorrow", None)).longest == 2500


async def test_the_subscription_is_the_quota(make: Make):
    quota = await make().quota()
    assert quota is not None
    assert (quota["character_count"], quota["character_limit"]) == (17, 10_000)
    with pytest.raises(MissingAuthError):
        await make().quota("another key")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"credits": 2}, RateLimitError),
        ({"refusals": [429]}, RateLimitError),
        ({"refusals": [503, 503]}, ProviderError),
        ({"cut": 0}, StreamInterruptedError),
    ],
)
async def test_what_fails_is_told_without_the_key(
    make: Make, peer: ElevenLabsPeer, fault: dict[str, object], error: type[MediaryError]
):
    provider = make()
    await provider.speaker(None, None)
    vars(peer).update(fault)
    with pytest.raises(error) as caught:
        await said(provider)
    assert KEY not in str(caught.value)


async def test_a_wrong_key_and_an_unknown_model(make: Make):
    with pytest.raises(MissingAuthError, match="Invalid API key"):
        await said(make("wrong"))
    with pytest.raises(ModelNotFoundError):
        async with make().speak(Utterance("Hello", Speaker("nothing", RACHEL, 100))):
            pass


async def test_a_key_that_may_speak_alone(make: Make):
    provider = make(SPEECH_ONLY_KEY, models=("eleven_v3",))
    assert [model.tags for model in await provider.models()] == [()]
    async with provider.speak(Utterance("Hello", Speaker("eleven_v3", RACHEL, 100))) as spoken:
        assert [chunk async for chunk in spoken.chunks]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"format": "midi"}, "format"),
        ({"speed": 3}, "speed"),
        ({"speed": True}, "speed"),
        ({"voice": "Nobody"}, "voice"),
        ({"audio": {"voice": 5}}, "voice"),
        ({"audio": {"voice": {"id": "Rachel"}}}, "voice"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(make: Make, options: dict[str, object], field: str):
    turn = await hold(make(), ask("Hello", model="eleven_v3", options=options))
    assert isinstance(turn.error, FieldError)
    assert turn.error.field == field


async def test_leaving_closes_the_connection(make: Make, peer: ElevenLabsPeer):
    provider = make()
    peer.stuck = 4000
    speaker = await provider.speaker(None, None)
    async with provider.speak(Utterance("Hello " * 100, speaker)) as spoken:
        assert await anext(aiter(spoken.chunks))
        assert peer.open == 1
    await peer.until_open(0)
    async with aclosing(provider.converse(ask("Hello " * 100, model="eleven_v3"))) as events:
        assert isinstance(await anext(events), Media)
    await peer.until_open(0)


async def test_many_ask_for_the_voices_at_once(make: Make, peer: ElevenLabsPeer):
    provider = make()
    await asyncio.gather(*(provider.voices() for _ in range(10)))
    assert peer.asked == ["GET /v1/voices"]


def test_its_key_in_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("ELEVENLABS_API_KEY", "sk_1")
    table = load_settings(data=tmp_path).providers["ElevenLabs"]
    assert (table.wire, table.base_url) == ("elevenlabs", "https://api.elevenlabs.io/v1")
