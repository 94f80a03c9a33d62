import asyncio
import json
import shutil
import subprocess
import sys
import wave
from array import array
from io import BytesIO
from pathlib import Path

import av
import espeakng_loader
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.turns import Turn, ask, hold

from mediary.errors import FieldError
from mediary.formats import detect
from mediary.net.client import HttpClient
from mediary.providers.local.espeak import _LONGEST_DATA_PATH, engine, on_speech_thread
from mediary.providers.local.provider import Local
from mediary.providers.local.speech import Speech
from mediary.settings import ProviderSettings
from mediary.sounds import FORMATS
from mediary.spoken import speakable

SENTENCE = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def local(http: HttpClient) -> Local:
    return Local("Local", ProviderSettings(wire="local"), http)


async def say(local: Local, text: str = SENTENCE, **options: object) -> bytes:
    turn = await hold(local, ask(text, model="speech", options=options))
    if turn.error is not None:
        raise turn.error
    return sound_of(turn)


def sound_of(turn: Turn) -> bytes:
    (sound,) = turn.media
    assert isinstance(sound.data, bytes)
    return sound.data


def samples(sound: bytes) -> tuple[float, float]:
    """Seconds of a sound, and its loudness from 0 to 1."""
    with av.open(BytesIO(sound)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16000)
        frames = [resampled for frame in container.decode(audio=0) for resampled in resampler.resample(frame)]
    values = array("h", b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames))
    return len(values) / 16000, (sum(value * value for value in values) / len(values)) ** 0.5 / 32768


@pytest.mark.parametrize(
    ("name", "media_type", "codec"),
    [("mp3", "audio/mpeg", "mp3"), ("opus", "audio/opus", "opus"), ("wav", "audio/wav", "pcm_s16le")],
)
async def test_each_format_is_what_it_says_and_can_be_heard(local: Local, name: str, media_type: str, codec: str):
    turn = await hold(local, ask(SENTENCE, model="speech", options={"format": name}))
    sound = sound_of(turn)
    found = detect(sound[:4096])
    assert turn.media[0].content_type == media_type
    assert found is not None
    assert found.media_type == media_type
    with av.open(BytesIO(sound)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name.removesuffix("float").removeprefix("lib"), stream.channels) == (codec, 1)
        assert container.duration is not None
        announced = container.duration / av.time_base
    seconds, loudness = samples(sound)
    assert 1.5 < seconds < 6
    assert announced == pytest.approx(seconds, abs=0.15)
    assert 0.02 < loudness < 0.5


@pytest.mark.skipif(shutil.which("sox") is None, reason="sox is not installed")
@pytest.mark.parametrize("name", ["mp3", "wav"])
async def test_sox_reads_it(local: Local, tmp_path: Path, name: str):
    path = tmp_path / f"sound.{name}"
    path.write_bytes(await say(local, format=name))
    told = await asyncio.to_thread(subprocess.run, ["sox", "--info", "-D", path], capture_output=True, check=True)
    assert 1.5 < float(told.stdout) < 6
    assert not told.stderr


async def test_the_sizes_in_a_wav_are_right(local: Local):
    sound = await say(local, format="wav")
    assert int.from_bytes(sound[4:8], "little") == len(sound) - 8
    assert int.from_bytes(sound[40:44], "little") == len(sound) - 44
    with wave.open(BytesIO(sound)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22050, 1, 2)


async def test_mp3_is_the_usual_format(local: Local):
    assert detect((await say(local))[:4096]) == detect((await say(local, format="MP3"))[:4096])


async def test_options_may_stand_within_audio(local: Local):
    assert (await say(local, audio={"format": "wav", "voice": "de"})).startswith(b"RIFF")


async def test_a_voice_sounds_different(local: Local):
    lengths = {voice: len(await say(local, "Jahr 1999", format="wav", voice=voice)) for voice in ("en", "de", "fr")}
    assert len(set(lengths.values())) == 3


async def test_the_settings_name_the_usual_voice(http: HttpClient):
    german = Local("Local", ProviderSettings(wire="local", voice="de"), http)
    english = Local("Local", ProviderSettings(wire="local"), http)
    long, short = [len(await say(local, "1999 " * 5, format="wav")) for local in (german, english)]
    assert abs(long - short) > 5000


async def test_speed_makes_it_shorter(local: Local):
    slow, usual, fast = [samples(await say(local, format="wav", speed=speed))[0] for speed in (0.5, 1, 2)]
    assert slow > usual * 1.3
    assert usual > fast * 1.3


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("en", "gmw/en"),
        ("EN-us", "gmw/en-US"),
        ("en_US", "gmw/en-US"),
        ("zh", "sit/cmn"),
        ("German", "gmw/de"),
        ("en+F3", "gmw/en+f3"),
        ("en-gb", "gmw/en"),
    ],
)
async def test_a_voice_is_found_by_any_of_its_names(wanted: str, found: str):
    assert await on_speech_thread(lambda: engine().find(wanted)) == found


@pytest.mark.parametrize(
    ("options", "field", "hint"),
    [
        ({"voice": "alloy"}, "voice", "en-us"),
        ({"voice": "germn"}, "voice", "german"),
        ({"voice": "en+nobody"}, "voice", "f3"),
        ({"voice": "../../etc/passwd"}, "voice", "some there are"),
        ({"voice": 3}, "voice", "text"),
        ({"format": "midi"}, "format", "opus"),
        ({"speed": 9}, "speed", "0.25 to 4"),
        ({"speed": "fast"}, "speed", "number"),
        ({"speed": True}, "speed", "number"),
        ({"speed": float("nan")}, "speed", "number"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(local: Local, options: dict[str, object], field: str, hint: str):
    turn = await hold(local, ask(SENTENCE, model="speech", options=options))
    assert isinstance(turn.error, FieldError)
    assert turn.error.field == field
    assert hint in turn.error.message
    assert not turn.events


async def test_a_long_text_comes_in_pieces_while_it_is_made():
    speech = Speech(f"{SENTENCE} " * 100, "gmw/en", 4.0, FORMATS["opus"])
    pieces = [len(piece) async for piece in speech.sound()]
    assert len(pieces) > 10
    assert max(pieces) < sum(pieces) / 5


async def test_many_speak_at_once_and_each_says_its_own(local: Local):
    texts = [f"{'word ' * count}" for count in (1, 5, 10, 20, 40)]
    sounds = await asyncio.gather(*(say(local, text, format="wav") for text in texts * 3))
    lengths = [len(sound) for sound in sounds]
    for round_ in (lengths[:5], lengths[5:10], lengths[10:]):
        assert round_ == sorted(round_)
    assert lengths[0] * 8 < lengths[4]


async def test_the_rest_is_not_made_when_nobody_listens():
    sound = Speech("Never ending. " * 100_000, "gmw/en", 1.0, FORMATS["mp3"]).sound()
    task = asyncio.ensure_future(anext(sound))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):  # all of it would take many minutes
        await sound.aclose()
        assert await on_speech_thread(lambda: 1) == 1


def test_a_long_path_to_the_data_is_no_hindrance(tmp_path: Path):
    """The library fails, silently, where the path of its data is longer than its buffer."""
    deep = tmp_path / ("d" * 80) / ("e" * 80)
    deep.mkdir(parents=True)
    data = deep / "espeak-ng-data"
    data.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
    assert len(str(data)) > _LONGEST_DATA_PATH
    code = (
        "import json, sys, espeakng_loader; espeakng_loader.get_data_path = lambda: sys.argv[1];"
        "from mediary.providers.local.espeak import engine;"
        "print(json.dumps([engine().rate, len(engine().speak('Hello', engine().find('en'), 175))]))"
    )
    output = subprocess.run([sys.executable, "-c", code, str(data)], capture_output=True, check=True).stdout
    rate, length = json.loads(output)
    assert rate == 22050
    assert length > 5000


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("# Title\n\n**bold** and _soft_ `code`", "Title\n\nbold and soft code"),
        ("[a link](https://example.com/x) [![a cat](/media/c.png)](/media/c.png)", "a link a cat"),
        ("- one\n* two\n> said", "one\ntwo\nsaid"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b\n\n1, 2"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("2 * 3 = 6, snake_case, a < b > c", "2 * 3 = 6, snake_case, a < b > c"),
        ("<b>fat</b> ~~gone~~", "fat gone"),
        ("- **nested** *marks*", "nested marks"),
    ],
)
def test_marks_are_not_said(text: str, spoken: str):
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    "mark", ["[", "*", "`", "<a", "|", "_", "![](", "> ", "- ", "~~", "```\n", "![a", "[a](", "- \n"]
)
@pytest.mark.timeout(30)
def test_a_text_of_nothing_but_marks_takes_linear_time(mark: str):
    """A second or two; where the time grew with the square of the length, it would be minutes."""
    assert speakable(mark * 500_000 + "\n\nspoken").endswith("spoken")


@given(st.text(max_size=300))
def test_any_text_can_be_made_speakable(text: str):
    assert len(speakable(text)) <= len(text) + text.count("|")


@given(st.text(max_size=40))
def test_any_text_can_be_spoken(text: str):
    sound = asyncio.run(on_speech_thread(lambda: engine().speak(text, "gmw/en", 400)))
    assert len(sound) % 2 == 0
