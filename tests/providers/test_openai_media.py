"""Pictures and sound of the OpenAI wire: what is asked for, and what comes of every form of answer."""

import asyncio
import base64
import gc
import io
import itertools
import wave
from contextlib import aclosing
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.conftest import Make
from tests.providers.turns import ask, hold
from tests.servers.scripted import STREAM, Asked, Hanging, Line, Scripted, chunk, delta, events, said, streamed, whole

from mediary.errors import ProviderError, ProviderUnavailableError, StreamInterruptedError
from mediary.events import Media
from mediary.providers.base import Audio, Image, Message, Text, TurnRequest
from mediary.providers.http.pictures import picture_size
from mediary.providers.openai.chat import SpokenAnswer
from mediary.providers.openai.wav import as_wav
from mediary.providers.openai.wire import Sound

PNG = b"\x89PNG\r\n\x1a\n picture"
PNG_TEXT = base64.b64encode(PNG).decode()
SAMPLES = bytes(range(256)) * 20
KEY = "sk-key-of-the-operator"


def frames(wav: bytes | str | None) -> tuple[bytes, tuple[int, int, int]]:
    assert isinstance(wav, bytes)
    with wave.open(io.BytesIO(wav)) as file:
        return file.readframes(file.getnframes()), (file.getnchannels(), file.getsampwidth(), file.getframerate())


def form(asked: Asked) -> list[tuple[str, str | None, str, bytes]]:
    """The parts of a multipart body: name, file name, media type, bytes."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    parts = BytesParser(policy=HTTP).parsebytes(head + asked.body).iter_parts()
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in parts
    ]


async def test_what_is_asked_of_the_picture_endpoint(make: Make, service: Scripted):
    service.play(said({"data": [{"b64_json": PNG_TEXT}]}))
    options = {"n": 2, "seed": 5, "width": 640, "height": 480, "temperature": 1}
    await hold(make(service.base_url, image_models=("m",)), ask("A boat", model="m", options=options))
    assert [asked.path for asked in service.asked] == ["/v1/images/generations"]
    assert service.asked[0].json == {"model": "m", "prompt": "A boat", "n": 2, "seed": 5, "size": "640x480"}


async def test_links_of_the_service_itself_carry_its_credentials(make: Make, service: Scripted):
    own, other = f"{service.origin}/made/1.png", "https://pictures.test/1.png"
    service.play(
        said({"data": [{"url": own}, {"url": "/made/2.png"}, {"url": other}, {"url": "data:image/png;base64,eA=="}]})
    )
    provider = make(service.base_url, api_key=KEY, headers={"X-Gateway": "g"}, image_models=("m",))
    first, second, third, fourth = (await hold(provider, ask("A boat", model="m"))).media
    credentials = {"Authorization": f"Bearer {KEY}", "X-Gateway": "g"}
    assert (first.url, first.headers, first.trusted_origin) == (own, credentials, service.origin)
    assert (second.url, second.trusted_origin) == (f"{service.origin}/made/2.png", service.origin)
    assert (third.url, third.headers, third.trusted_origin) == (other, {}, None)
    assert (fourth.url, fourth.data) == (None, "data:image/png;base64,eA==")
    assert KEY not in repr(first)


@pytest.mark.parametrize("url", ["http://[::1", "//["])
async def test_a_url_that_is_none(make: Make, service: Scripted, url: str):
    for play, model in (
        (said({"data": [{"url": url}]}), "m"),
        (streamed(events(delta(images=[{"image_url": {"url": url}}]), delta("stop"))), "chat"),
    ):
        service.play(play)
        turn = await hold(make(service.base_url, image_models=("m",), models=("chat",)), ask("A boat", model=model))
        assert type(turn.error) is ProviderError
        assert "URL cannot be read" in turn.error.message


async def test_no_url_shows_our_key(make: Make, service: Scripted):
    links = [f"{service.origin}/1.png?key={KEY}", f"https://pictures.test/{KEY}/2.png", "/boats/3.png"]
    service.play(said({"data": [{"url": link} for link in links]}))
    provider = make(service.base_url, api_key=KEY, headers={"X-Title": "boats"}, image_models=("m",))
    turn = await hold(provider, ask("A boat", model="m"))
    assert [media.url for media in turn.media] == [
        f"{service.origin}/1.png?key=hidden",
        "https://pictures.test/hidden/2.png",
        f"{service.origin}/boats/3.png",
    ]


async def test_a_picture_that_is_no_base64_takes_no_other_with_it(make: Make, service: Scripted):
    service.play(said({"data": [{"b64_json": "@@"}, {"b64_json": PNG_TEXT}]}))
    turn = await hold(make(service.base_url, image_models=("m",)), ask("A boat", model="m"))
    assert [media.data for media in turn.media] == ["@@", PNG_TEXT]
    assert turn.reason == "stop"


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"data":' + b"[" * 100_000])
async def test_pictures_nested_too_deep(make: Make, service: Scripted, body: bytes):
    service.play(whole(body))
    turn = await hold(make(service.base_url, image_models=("m",)), ask("A boat", model="m"))
    assert type(turn.error) is ProviderError
    assert "cannot be read" in turn.error.message


async def test_usage_of_pictures(make: Make, service: Scripted):
    usage = {"input_tokens": 50, "output_tokens": 4160, "input_tokens_details": {"text_tokens": 50}}
    service.play(said({"data": [{"b64_json": PNG_TEXT}], "usage": usage}))
    turn = await hold(make(service.base_url, image_models=("m",)), ask("A boat", model="m"))
    counts = {"prompt_tokens": 50, "completion_tokens": 4160, "total_tokens": 4210}
    assert turn.usage == usage | counts


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"data": []}', "no picture"),
        (b'{"data": [{"revised_prompt": "x"}]}', "no picture"),
        (b"{}", "no picture"),
        (b"", "cannot be read"),
        (b"<title>Oops</title>", "Oops"),
        (b'{"error": {"message": "not allowed"}}', "not allowed"),
    ],
)
async def test_answers_without_a_picture(make: Make, service: Scripted, body: bytes, words: str):
    service.play(whole(body))
    turn = await hold(make(service.base_url, image_models=("m",)), ask("A boat", model="m"))
    assert type(turn.error) is ProviderError
    assert words in str(turn.error)


@pytest.mark.parametrize("parts", [(), (Image("image/png", PNG),)])
async def test_a_size_reaches_the_picture_endpoints(make: Make, service: Scripted, parts: tuple[Image, ...]):
    service.play(said({"data": [{"b64_json": PNG_TEXT}]}))
    options = {"size": "512x768", "n": 2, "seed": 5}
    await hold(make(service.base_url, image_models=("m",)), ask("A boat", *parts, model="m", options=options))
    (asked,) = service.asked
    sent = {name: data.decode() for name, file, _, data in form(asked) if file is None} if parts else asked.json
    assert {name: str(value) for name, value in sent.items()} == {
        "model": "m", "prompt": "A boat", "size": "512x768", "n": "2", "seed": "5"
    }  # fmt: skip


async def test_pictures_to_edit_go_as_a_form(make: Make, service: Scripted):
    service.play(said({"data": [{"b64_json": PNG_TEXT}]}))
    parts = (Image("image/png", PNG, name='a "quoted"\r\nname.png'), Image("image/jpeg", b"jpeg"))
    request = ask("Größer, please", *parts, model="gpt-image-1", options={"n": 1, "aspect_ratio": "3:2"})
    turn = await hold(make(service.base_url, models=("gpt-image-1",)), request)
    assert len(turn.media) == 1
    assert [asked.path for asked in service.asked] == ["/v1/images/edits"]
    fields = [(name, data.decode()) for name, file, _, data in form(service.asked[0]) if file is None]
    assert fields == [("model", "gpt-image-1"), ("prompt", "Größer, please"), ("n", "1"), ("size", "1536x1024")]
    files = [part for part in form(service.asked[0]) if part[1] is not None]
    assert files == [
        ("image[]", "a %22quoted%22%0D%0Aname.png", "image/png", PNG),
        ("image[]", "image-2.jpeg", "image/jpeg", b"jpeg"),
    ]


async def test_an_earlier_picture_is_not_edited(make: Make, service: Scripted):
    service.play(said({"data": [{"b64_json": PNG_TEXT}]}))
    messages = (
        Message("user", (Text("Look"), Image("image/png", PNG))),
        Message("assistant", (Text("Nice"),)),
        Message("user", (Text("Now a boat"),)),
    )
    await hold(make(service.base_url, image_models=("m",)), TurnRequest("m", messages))
    assert service.asked[0].path == "/v1/images/generations"
    assert service.asked[0].json["prompt"] == "Now a boat"


@pytest.mark.parametrize(
    ("model", "options", "size"),
    [
        ("m", {}, None),
        ("m", {"width": 640, "height": 480}, "640x480"),
        ("m", {"width": 512}, "512x512"),
        ("m", {"width": 1600, "aspect_ratio": "16:9"}, "1600x900"),
        ("m", {"height": 900, "aspect_ratio": "16:9"}, "1600x900"),
        ("m", {"size": "512x768"}, "512x768"),
        ("m", {"size": "auto", "aspect_ratio": "16:9"}, "auto"),
        ("m", {"size": "512x768", "width": 640, "height": 480}, "640x480"),
        ("m", {"size": "512x768", "width": 256}, "256x384"),
        ("m", {"size": "512x768", "height": 384, "aspect_ratio": "1:1"}, "256x384"),
        ("m", {"size": "auto", "width": 256}, "256x256"),
        ("m", {"aspect_ratio": "1:1"}, "1024x1024"),
        ("m", {"aspect_ratio": "16:9"}, "1360x768"),
        ("m", {"aspect_ratio": "nonsense"}, None),
        ("m", {"aspect_ratio": "1:0"}, None),
        ("dall-e-3", {"aspect_ratio": "16:9"}, "1792x1024"),
        ("dall-e-3", {"aspect_ratio": "9:16"}, "1024x1792"),
        ("openai/gpt-image-1", {"aspect_ratio": "2/3"}, "1024x1536"),
        ("gpt-image-1", {"aspect_ratio": "1:1"}, "1024x1024"),
    ],
)
def test_sizes(model: str, options: dict[str, object], size: str | None):
    assert picture_size(model, options) == size


async def test_what_is_asked_of_the_speech_endpoint(make: Make, service: Scripted):
    service.play(whole(b"ID3 sound", content_type="audio/mpeg"))
    provider = make(service.base_url, speech_models=("m",), voice="nova")
    (sound,) = (await hold(provider, ask("Hello", model="m"))).media
    assert (sound.data, sound.content_type, sound.transcript) == (b"ID3 sound", "audio/mpeg", "Hello")
    await hold(provider, ask("Hello", model="m", options={"voice": "onyx", "format": "opus"}))
    assert [asked.path for asked in service.asked] == ["/v1/audio/speech"] * 2
    assert service.asked[0].json == {"model": "m", "input": "Hello", "voice": "nova"}
    assert service.asked[1].json == {"model": "m", "input": "Hello", "voice": "onyx", "response_format": "opus"}


async def test_every_option_of_speech_reaches_its_endpoint(make: Make, service: Scripted):
    service.play(whole(b"OggS sound", content_type="application/octet-stream"))
    provider = make(service.base_url, speech_models=("m",))
    for options in (
        {"voice": "onyx", "format": "opus", "speed": 1.5},
        {"audio": {"voice": "onyx", "format": "opus"}, "speed": 1.5},
        {"audio": {"voice": "ash", "format": "wav"}, "voice": "onyx", "format": "opus", "speed": 1.5},
    ):
        (sound,) = (await hold(provider, ask("Hello", model="m", options=options))).media
        assert sound.content_type == "audio/ogg"
    wanted = {"model": "m", "input": "Hello", "voice": "onyx", "response_format": "opus", "speed": 1.5}
    assert [asked.json for asked in service.asked] == [wanted] * 3


@pytest.mark.parametrize(("content_type", "rate"), [("audio/pcm", 24000), ("audio/L16;rate=16000", 16000)])
async def test_bare_samples_become_a_wav(make: Make, service: Scripted, content_type: str, rate: int):
    service.play(whole(SAMPLES, content_type=content_type))
    (sound,) = (await hold(make(service.base_url, speech_models=("m",)), ask("Hello", model="m"))).media
    assert sound.content_type == "audio/wav"
    assert frames(sound.data) == (SAMPLES, (1, 2, rate))


async def test_speech_that_is_cut(make: Make, service: Scripted):
    async def play(_: Asked, line: Line) -> None:
        await line.send(STREAM.replace(b"text/event-stream", b"audio/mpeg") + chunk(b"ID3 half"))
        line.writer.close()

    service.play(play)
    turn = await hold(make(service.base_url, speech_models=("m",)), ask("Hello", model="m"))
    assert type(turn.error) is StreamInterruptedError


async def test_speech_that_is_none(make: Make, service: Scripted):
    provider = make(service.base_url, speech_models=("m",))
    service.play(said({"error": {"message": "No voice", "code": 503}}))
    turn = await hold(provider, ask("Hello", model="m"))
    assert type(turn.error) is ProviderUnavailableError
    assert "No voice" in str(turn.error)
    service.play(whole(b"", content_type="audio/mpeg"))
    assert type((await hold(provider, ask("Hello", model="m"))).error) is StreamInterruptedError


@pytest.mark.parametrize("waiting", [False, True])
async def test_speech_that_is_left_in_its_middle_lets_go(
    make: Make, service: Scripted, waiting: bool, caplog: pytest.LogCaptureFixture
):
    """The client leaves: whoever reads the sound is stopped, between two pieces or while it waits for one."""

    class Half(Hanging):
        async def __call__(self, _: Asked, line: Line) -> None:
            await line.send(STREAM.replace(b"text/event-stream", b"audio/mpeg") + chunk(b"ID3 half"))

    service.play(Half())
    async with aclosing(make(service.base_url, speech_models=("m",)).converse(ask("Hi", model="m"))) as turn:
        sound = await anext(turn)
        assert isinstance(sound, Media) and sound.stream is not None
        pieces = aiter(sound.stream)
        assert await anext(pieces) == b"ID3 half"
        await service.until_open(1)
        if waiting:
            reading = asyncio.ensure_future(anext(pieces))
            asyncio.get_running_loop().call_soon(reading.cancel)  # when it waits
            with pytest.raises(asyncio.CancelledError):
                await reading
    await service.until_open(0)
    gc.collect()
    assert not [record for record in caplog.records if record.name.startswith(("asyncio", "aiohttp", "mediary"))]


async def test_speech_that_is_closed_while_it_is_read(make: Make, service: Scripted):
    """Who reads has been cancelled and does not know yet."""

    class Half(Hanging):
        async def __call__(self, _: Asked, line: Line) -> None:
            await line.send(STREAM.replace(b"text/event-stream", b"audio/mpeg") + chunk(b"ID3 half"))

    service.play(Half())
    turn = make(service.base_url, speech_models=("m",)).converse(ask("Hi", model="m"))
    sound = await anext(turn)
    assert isinstance(sound, Media) and sound.stream is not None
    pieces = aiter(sound.stream)
    assert await anext(pieces) == b"ID3 half"
    reading = asyncio.ensure_future(anext(pieces))
    started = asyncio.Event()
    asyncio.get_running_loop().call_soon(started.set)  # it waits by then
    await started.wait()
    reading.cancel()
    await turn.aclose()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await service.until_open(0)


async def test_speech_that_nobody_reads_lets_go(make: Make, service: Scripted):
    async def play(_: Asked, line: Line) -> None:
        await line.send(STREAM.replace(b"text/event-stream", b"audio/mpeg") + chunk(b"ID3 half"))

    service.play(play)
    kinds = [type(event) async for event in make(service.base_url, speech_models=("m",)).converse(ask("Hi", model="m"))]
    assert kinds[0] is Media
    await service.until_open(0)


def spoken(*pieces: str) -> list[object]:
    return [delta(audio={"data": piece}) for piece in pieces]


async def test_a_spoken_answer(make: Make, service: Scripted):
    first, second = base64.b64encode(SAMPLES[:1001]).decode(), base64.b64encode(SAMPLES[1001:]).decode()
    service.play(
        streamed(
            events(
                delta(role="assistant", audio={"id": "audio_1", "transcript": "Good "}),
                *spoken(first),
                delta(audio={"transcript": "day"}),
                *spoken(second[:5], second[5:]),
                delta(audio={"expires_at": 1}),
                delta("stop"),
            )
        )
    )
    request = ask("Hello", Audio("audio/mpeg", b"mp3"), model="gpt-4o-audio-preview", options={"voice": "ash"})
    turn = await hold(make(service.base_url), request)
    (sound,) = turn.media
    assert frames(sound.data) == (SAMPLES, (1, 2, 24000))
    assert (sound.content_type, sound.transcript, turn.reason) == ("audio/wav", "Good day", "stop")
    sent = service.asked[0].json
    assert (sent["modalities"], sent["audio"]) == (["text", "audio"], {"voice": "ash", "format": "pcm16"})
    heard = {"data": base64.b64encode(b"mp3").decode(), "format": "mp3"}
    assert sent["messages"][0]["content"][1] == {"type": "input_audio", "input_audio": heard}


async def test_the_voice_of_a_spoken_answer_may_stand_within_audio(make: Make, service: Scripted):
    service.play(streamed(events(*spoken(base64.b64encode(SAMPLES).decode()), delta("stop"))))
    provider = make(service.base_url, voice="nova")
    for options in ({"audio": {"voice": "ash", "format": "wav"}}, {"audio": {"voice": "verse"}, "voice": "ash"}, {}):
        turn = await hold(provider, ask("Hello", model="gpt-audio", options=options))
        assert frames(turn.media[0].data)[0] == SAMPLES
    assert [asked.json["audio"] for asked in service.asked] == [
        {"voice": "ash", "format": "pcm16"}, {"voice": "ash", "format": "pcm16"}, {"voice": "nova", "format": "pcm16"}
    ]  # fmt: skip


async def test_a_spoken_answer_in_a_format_comes_whole(make: Make, service: Scripted):
    """Services stream bare samples and nothing else."""
    sound = {"data": base64.b64encode(b"ID3 sound").decode(), "transcript": "Good day"}
    answer = {"message": {"content": None, "audio": sound}, "finish_reason": "stop"}
    service.play(said({"choices": [answer]}))
    options = {"format": "mp3", "voice": "ash"}
    (made,) = (await hold(make(service.base_url), ask("Hello", model="gpt-audio", options=options))).media
    assert (made.data, made.content_type, made.transcript) == (b"ID3 sound", "audio/mpeg", "Good day")
    sent = service.asked[0].json
    assert (sent["audio"], sent["stream"]) == ({"voice": "ash", "format": "mp3"}, False)
    assert "stream_options" not in sent


async def test_audio_asks_any_chat_model_for_speech(make: Make, service: Scripted):
    service.play(streamed(events(*spoken(base64.b64encode(SAMPLES).decode()), delta("stop"))))
    provider = make(service.base_url)
    turn = await hold(provider, ask("Hello", model="qwen-omni", options={"audio": {"voice": "ash"}}))
    assert frames(turn.media[0].data)[0] == SAMPLES
    assert service.asked[0].json["modalities"] == ["text", "audio"]
    service.play(said({"error": {"message": "Audio output is not supported", "param": "modalities"}}, 400))
    turn = await hold(provider, ask("Hello", model="qwen-omni", options={"audio": {"voice": "ash"}}))
    assert "Audio output is not supported" in str(turn.error)


async def test_a_spoken_answer_that_is_cut_is_kept(make: Make, service: Scripted):
    piece = base64.b64encode(SAMPLES).decode()
    service.play(streamed(events(*spoken(piece), done=False), end=False))
    turn = await hold(make(service.base_url), ask("Hello", model="gpt-audio"))
    assert frames(turn.media[0].data)[0] == SAMPLES
    assert type(turn.error) is StreamInterruptedError


async def test_a_model_that_only_listens(make: Make, service: Scripted):
    no = said({"error": {"message": "Audio output modalities are not supported", "param": "modalities"}}, 400)
    service.play(no, streamed(events(delta(content="I hear you"), delta("stop"))))
    turn = await hold(make(service.base_url), ask("Hello", model="qwen2-audio"))
    assert turn.text == "I hear you"
    assert "modalities" not in service.asked[1].json


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=10))
def test_sound_cut_anywhere_in_its_base64(samples: bytes, places: list[int]):
    coded = base64.b64encode(samples).decode()
    marks = sorted({0, *(min(place, len(coded)) for place in places), len(coded)})
    answer = SpokenAnswer()
    for start, end in itertools.pairwise(marks):
        answer.add("Test", Sound(data=coded[start:end]))
    assert bytes(answer.sound) == samples


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_sound_whose_pieces_are_padded_each(pieces: list[bytes]):
    answer = SpokenAnswer()
    for piece in pieces:
        answer.add("Test", Sound(data=base64.b64encode(piece).decode()))
    assert bytes(answer.sound) == b"".join(pieces)


@pytest.mark.parametrize("data", ["?", "QQ==QQ==", "é"])
def test_sound_that_is_no_base64(data: str):
    with pytest.raises(ProviderError, match=r"^Test: the sound is no base64"):
        SpokenAnswer().add("Test", Sound(data="AAA" + data))


def test_a_streamed_wav_gets_its_sizes():
    wav = bytearray(as_wav(SAMPLES, 8000))
    wav[4:8] = wav[40:44] = b"\xff\xff\xff\xff"
    assert as_wav(bytes(wav)) == as_wav(SAMPLES, 8000)
    assert frames(as_wav(bytes(wav)))[1] == (1, 2, 8000)


@given(st.binary(max_size=100))
def test_any_riff_is_left_in_one_piece(rest: bytes):
    wav = b"RIFF\0\0\0\0WAVE" + rest
    assert len(as_wav(wav)) == len(wav)


async def test_pictures_in_a_chat_answer(make: Make, service: Scripted):
    data = f"data:image/png;base64,{PNG_TEXT}"
    images = [
        {"type": "image_url", "image_url": {"url": data}},
        {"image_url": "https://x.test/1.png"},
        {"image_url": {}},
    ]
    service.play(
        streamed(events(delta(content="Here:"), delta(images=images), delta("stop"))),
        said({"choices": [{"message": {"content": "Here:", "images": images}, "finish_reason": "stop"}]}),
        streamed(events(delta(content=[{"type": "image_url", "image_url": image["image_url"]} for image in images]))),
    )
    provider = make(service.base_url)
    for _ in range(3):
        turn = await hold(provider, ask("A boat", model="google/gemini-2.5-flash-image"))
        assert [(picture.data, picture.url) for picture in turn.media] == [(data, None), (None, "https://x.test/1.png")]
        assert turn.reason == "stop"


@pytest.mark.parametrize(
    ("options", "config"),
    [
        ({}, None),
        ({"aspect_ratio": "21:9"}, {"aspect_ratio": "21:9"}),
        ({"width": 1600, "height": 900}, {"aspect_ratio": "16:9"}),
        ({"width": 800}, None),
        ({"width": 800, "aspect_ratio": "4:3"}, {"aspect_ratio": "4:3"}),
        ({"size": "1000x1500"}, {"aspect_ratio": "2:3"}),
        ({"size": "2K", "aspect_ratio": "3:2"}, {"aspect_ratio": "3:2", "image_size": "2K"}),
        ({"size": "auto"}, None),
        ({"width": -4, "height": 3}, None),
    ],
)
async def test_the_shape_of_a_picture_by_chat(
    make: Make, service: Scripted, options: dict[str, object], config: object
):
    architecture = {"output_modalities": ["image", "text"]}
    listed = said({"data": [{"id": "some/gemini-image", "architecture": architecture}, {"id": "some/gemini"}]})
    service.play(listed, streamed(events(delta(content="Here"), delta("stop"))))
    provider = make(service.base_url)
    await provider.models()
    for model in ("some/gemini-image", "some/gemini"):
        await hold(provider, ask("A boat", model=model, options={**options, "seed": 5}))
    _, made, only_said = service.asked
    assert (made.json["modalities"], made.json["seed"], made.json.get("image_config")) == (["image", "text"], 5, config)
    assert "image_config" not in only_said.json


async def test_messages_as_they_are_sent(make: Make, service: Scripted):
    service.play(streamed(events(delta(content="ok"), delta("stop"))))
    messages = (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("One"), Text("Two"))),
        Message("assistant", (), {"tool_calls": [{"id": "1"}]}),
        Message("tool", (Text("result"),), {"tool_call_id": "1"}),
        Message("assistant", (Text("A boat"), Image("image/png", PNG))),
        Message("user", (Image("image/png", PNG), Audio("audio/x-wav", b"w")), {"name": "Eve"}),
    )
    await hold(make(service.base_url), TurnRequest("m", messages))
    sound = {"data": base64.b64encode(b"w").decode(), "format": "wav"}
    assert service.asked[0].json["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One\nTwo"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "result", "tool_call_id": "1"},
        {"role": "assistant", "content": "A boat"},
        {
            "role": "user",
            "name": "Eve",
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_TEXT}"}},
                {"type": "input_audio", "input_audio": sound},
            ],
        },
    ]


async def test_a_large_picture(make: Make, service: Scripted):
    service.play(streamed(events(delta(content="ok"), delta("stop"))))
    large = bytes(8 * 1024 * 1024)
    await hold(make(service.base_url), ask("Look", Image("image/png", large)))
    url = service.asked[0].json["messages"][0]["content"][1]["image_url"]["url"]
    assert base64.b64decode(url.partition(",")[2]) == large
