"""Speech on request over HTTP: what this machine says, and what a strict ElevenLabs does."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import aiohttp
import av
import pytest
from tests.servers.elevenlabs import GEORGE, KEY, RACHEL, ElevenLabsPeer, elevenlabs_peer
from tests.servers.mediary import MediaryServer

from mediary.server.routes.synthesize import accepted_format

PATH = "/backend-api/v2/synthesize/"
LONG = " ".join(f"This is sentence number {number} of a long text." for number in range(150))


@pytest.fixture(scope="module")
async def peer() -> AsyncIterator[ElevenLabsPeer]:
    async with elevenlabs_peer() as peer:
        yield peer


@pytest.fixture(scope="module")
async def server(peer: ElevenLabsPeer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MediaryServer]:
    server = MediaryServer(tmp_path_factory.mktemp("speech") / "data", settings=settings(peer))
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


@pytest.fixture(autouse=True)
def _mended(peer: ElevenLabsPeer) -> None:
    peer.cut = peer.stuck = None
    peer.refusals.clear()
    peer.said.clear()
    peer.credits = 1_000_000


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


def settings(peer: ElevenLabsPeer, more: str = "") -> str:
    return f'[providers.Eleven]\nwire = "elevenlabs"\nbase_url = "{peer.origin}"\napi_key = "{KEY}"\n{more}'


class Client:
    """Asks one server for speech."""

    def __init__(self, server: MediaryServer, http: aiohttp.ClientSession) -> None:
        self.server, self.http = server, http

    def open(self, who: str, *, method: str = "GET", headers: dict[str, str] | None = None, **query: str):
        return self.http.request(method, self.server.url + PATH + who, params=query, headers=headers)

    async def say(self, who: str = "Local", **query: str) -> bytes:
        async with self.open(who, **query) as answer:
            body = await answer.read()
            assert answer.status == 200, body
            return body

    async def refused(self, who: str = "Local", **query: str) -> tuple[int, str]:
        async with self.open(who, **query) as answer:
            return answer.status, (await answer.json())["error"]["message"]


@pytest.fixture
def client(server: MediaryServer, http: aiohttp.ClientSession) -> Client:
    return Client(server, http)


def seconds(sound: bytes) -> float:
    """How long it is when it is decoded to its end."""
    with av.open(BytesIO(sound)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


@pytest.mark.parametrize(
    ("kind", "media_type", "codec"),
    [
        ("mp3", "audio/mpeg", "mp3"),
        ("opus", "audio/ogg", "opus"),
        ("wav", "audio/wav", "pcm_s16le"),
        ("flac", "audio/flac", "flac"),
        ("aac", "audio/aac", "aac"),
    ],
)
async def test_long_text_is_one_file_in_each_format_while_it_is_made_and_after(
    client: Client, peer: ElevenLabsPeer, kind: str, media_type: str, codec: str
):
    async with client.open("Eleven", text=LONG, format=kind) as answer:
        live = await answer.read()
        assert answer.status == 200
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Cache-Control"] == "max-age=604800"
    said = " ".join(question["text"] for question in peer.said)
    assert said == LONG
    assert len(peer.said) > 3
    assert {question["output_format"] for question in peer.said} == {"pcm_24000"}
    questions = len(peer.said)
    kept = await client.say("Eleven", text=LONG, format=kind)
    assert (len(peer.said), len(kept)) == (questions, len(live))
    for sound in (live, kept):
        with av.open(BytesIO(sound)) as container:
            assert container.streams.audio[0].codec_context.name.removesuffix("float").removeprefix("lib") == codec
        assert seconds(sound) == pytest.approx(sum(len(each["text"]) for each in peer.said) * 0.02, abs=0.2)


@pytest.mark.skipif(shutil.which("sox") is None, reason="sox is not installed")
@pytest.mark.parametrize("kind", ["mp3", "wav", "flac"])
async def test_sox_knows_how_long_what_is_kept_is(client: Client, tmp_path: Path, kind: str):
    await client.say("Eleven", text=LONG, format=kind)
    path = tmp_path / f"kept.{kind}"
    path.write_bytes(await client.say("Eleven", text=LONG, format=kind))
    told = await asyncio.to_thread(subprocess.run, ["sox", "--info", "-D", path], capture_output=True, check=True)
    assert float(told.stdout) == pytest.approx(seconds(path.read_bytes()), abs=0.1)
    assert not told.stderr


async def test_the_first_sentence_is_heard_while_the_service_is_stuck_in_the_rest(client: Client, peer: ElevenLabsPeer):
    peer.stuck = 100_000
    async with client.open("Eleven", text=LONG, speed="0.9") as answer:
        assert await answer.content.readany()
        await peer.until_open(1)
    await peer.until_open(0)  # the client has left, and so has the connection to the service


async def test_who_waits_for_the_first_bytes_may_leave(client: Client, peer: ElevenLabsPeer):
    peer.stuck = 0
    waiting = asyncio.ensure_future(client.say("Eleven", text="Nobody hears this."))
    await peer.until_open(1)
    waiting.cancel()
    await peer.until_open(0)


async def test_what_was_said_is_a_file_with_ranges(client: Client):
    sound = await client.say(text="Ranges are for seeking.")
    async with client.open("Local", text="Ranges are for seeking.", headers={"Range": "bytes=10-19"}) as answer:
        assert (answer.status, await answer.read()) == (206, sound[10:20])
        assert answer.headers["Content-Type"] == "audio/mpeg"
        assert answer.headers["Content-Range"] == f"bytes 10-19/{len(sound)}"
        tag = answer.headers["ETag"]
    async with client.open("Local", text="Ranges are for seeking.", headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
    async with client.open("Local", text="Ranges are for seeking.", method="HEAD") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(sound)))


async def test_head_of_what_was_never_said_makes_nothing(client: Client, peer: ElevenLabsPeer):
    async with client.open("Eleven", text="Never said.", format="flac", method="HEAD") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/flac")
    assert not peer.said


async def test_twenty_at_once_are_one_question(client: Client, peer: ElevenLabsPeer):
    sounds = await asyncio.gather(*(client.say("Eleven", text="All of us want this.") for _ in range(20)))
    assert len(set(sounds)) == 1
    assert len(peer.said) == 1


async def test_one_of_two_who_listen_may_leave(client: Client, peer: ElevenLabsPeer):
    peer.stuck = 100_000
    async with client.open("Eleven", text=LONG, speed="1.1") as staying:
        first = await staying.content.readany()
        async with client.open("Eleven", text=LONG, speed="1.1") as leaving:
            assert (await leaving.content.readany())[:100] == first[:100]
        assert peer.open == 1
    await peer.until_open(0)


async def test_a_service_that_fails_before_the_first_bytes_is_an_error(client: Client, peer: ElevenLabsPeer):
    peer.refusals[:] = [500]
    status, message = await client.refused("Eleven", text="It fails.")
    assert status == 502
    assert "heavy traffic" in message
    peer.credits = 3
    status, message = await client.refused("Eleven", text="It costs too much.")
    assert status == 429
    assert "quota" in message
    assert KEY not in message


async def test_a_service_that_breaks_off_leaves_no_whole_file(client: Client, peer: ElevenLabsPeer):
    peer.cut = 100_000
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.say("Eleven", text=LONG, speed="0.8")
    peer.cut = None
    peer.said.clear()
    assert seconds(await client.say("Eleven", text=LONG, speed="0.8")) > 100
    assert len(peer.said) > 3


async def test_what_is_made_stands_in_the_ledger_once(client: Client):
    for _ in range(2):
        await client.say("Eleven", text="This is counted.", model="eleven_flash_v2_5")
    written = await asyncio.to_thread(client.server.await_output, "model=eleven_flash_v2_5 outcome=finished")
    assert written.count("model=eleven_flash_v2_5 outcome=finished") == 1


async def test_marks_are_not_said(client: Client, peer: ElevenLabsPeer):
    await client.say("Eleven", text="# Title\n\n**Bold** [link](https://example.com), `code`.")
    assert [question["text"] for question in peer.said] == ["Title\n\nBold link, code."]


async def test_voices_are_listed_and_found_by_name(client: Client, peer: ElevenLabsPeer):
    async with client.open("Eleven/voices") as answer:
        assert await answer.json() == [
            {"id": RACHEL, "label": "Rachel", "language": "en-US"},
            {"id": GEORGE, "label": "George - Warm Storyteller", "language": "en"},
        ]
    async with client.open("local/voices") as answer:
        assert {"id": "de", "label": "German", "language": "de"} in await answer.json()
    await client.say("Eleven", text="By name.", voice="george")
    assert peer.said[0]["voice"] == GEORGE


async def test_any_provider_is_the_first_that_speaks(client: Client, peer: ElevenLabsPeer):
    await client.say("AnyProvider", text="Who speaks?")
    assert len(peer.said) == 1
    await client.say("AnyProvider", text="Who speaks?", model="speech")
    assert len(peer.said) == 1
    await client.say("Gemini", text="The web client asks for this one where nobody told it another.")
    assert len(peer.said) == 2


@pytest.mark.parametrize(
    ("who", "query", "status", "hint"),
    [
        ("Local", {}, 422, "text"),
        ("Local", {"text": "***"}, 422, "nothing to say"),
        ("Local", {"text": "\0"}, 422, "nothing to say"),
        ("Local", {"text": "a", "voice": "germn"}, 422, "german"),
        ("Local", {"text": "a", "voice": "\0" + "x" * 20000}, 422, "voice"),
        ("Local", {"text": "a", "format": "mp4"}, 422, "mp3"),
        ("Local", {"text": "a", "speed": "fast"}, 400, "number"),
        ("Local", {"text": "a", "speed": "nan"}, 422, "0.25 to 4"),
        ("Local", {"text": "a", "speed": "1e999"}, 422, "0.25 to 4"),
        ("Local", {"text": "a", "model": "tts-1"}, 404, "speech"),
        ("Local", {"text": "a", "instructions": "cheerfully"}, 422, "instructions"),
        ("Eleven", {"text": "a", "voice": "Racel"}, 422, "Rachel"),
        ("Eleven", {"text": "a", "speed": "2"}, 422, "0.7 to 1.2"),
        ("Eleven", {"text": "a", "model": "eleven_v9"}, 404, "eleven_v9"),
        ("Nobody", {"text": "a"}, 404, "Nobody"),
        ("", {"text": "a"}, 404, "no provider"),
        ("a/b/voices", {}, 404, "no provider"),
        ("AnyProvider", {"text": "a", "model": "nothing"}, 404, "nothing"),
    ],
)
async def test_what_cannot_be_is_refused_and_says_why(
    client: Client, who: str, query: dict[str, str], status: int, hint: str
):
    found, message = await client.refused(who, **query)
    assert (found, hint in message) == (status, True), message


async def test_other_methods_are_refused(client: Client):
    async with client.open("Local", text="a", method="POST") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_the_format_may_be_accepted(client: Client):
    async with client.open("Local", text="Accept.", headers={"Accept": "audio/ogg, */*;q=0.1"}) as answer:
        assert answer.headers["Content-Type"] == "audio/ogg"
        assert (await answer.read()).startswith(b"OggS")
    async with client.open("Local", text="Accept.", format="WAV", headers={"Accept": "audio/ogg"}) as answer:
        assert (await answer.read()).startswith(b"RIFF")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "mp3"),
        ("*/*", "mp3"),
        ("text/html", "mp3"),
        ("audio/ogg, */*", "opus"),
        ("audio/webm,audio/ogg,audio/wav,audio/*;q=0.9,application/ogg;q=0.7,*/*;q=0.5", "opus"),
        ("audio/wav;q=0.5, audio/FLAC;q=0.9", "flac"),
        ("audio/mpeg;q=0, audio/aac;q=0.1, */*", "aac"),
        ("audio/wav;q=x", "mp3"),
        ("audio/wav; q = 0.5", "wav"),
    ],
)
def test_the_best_liked_format(accept: str, kind: str):
    assert accepted_format([(b"accept", accept.encode())]) == kind


async def test_the_server_ends_what_still_speaks(peer: ElevenLabsPeer, http: aiohttp.ClientSession, tmp_path: Path):
    server = MediaryServer(tmp_path / "data", settings=settings(peer, "[server]\ngrace_seconds = 0.2\n"))
    await asyncio.to_thread(server.start)
    peer.stuck = 100_000
    async with Client(server, http).open("Eleven", text=LONG) as answer:
        assert await answer.content.readany()
        assert await asyncio.to_thread(server.stop) == 0
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    await peer.until_open(0)


async def test_what_a_killed_server_left_goes_at_the_next_start(
    peer: ElevenLabsPeer, http: aiohttp.ClientSession, tmp_path: Path
):
    server = MediaryServer(tmp_path / "data", settings=settings(peer))
    await asyncio.to_thread(server.start)
    peer.stuck = 100_000
    async with Client(server, http).open("Eleven", text=LONG) as answer:
        assert await answer.content.readany()
        assert len(list((server.data / "speech" / ".incoming").iterdir())) == 1
        assert await asyncio.to_thread(server.kill) == -signal.SIGKILL
    peer.stuck = None
    await asyncio.to_thread(server.start)
    assert not list((server.data / "speech" / ".incoming").iterdir())
    assert seconds(await Client(server, http).say("Eleven", text=LONG)) > 100
    await asyncio.to_thread(server.stop)


async def test_no_more_is_kept_than_may_be(http: aiohttp.ClientSession, tmp_path: Path):
    server = MediaryServer(tmp_path / "data", settings="[speech]\ncache_bytes = 100_000\n")
    await asyncio.to_thread(server.start)
    client = Client(server, http)
    for word in ("one", "two", "three", "four", "five", "six"):
        await client.say(text=f"{word} " * 10, format="flac")
    sizes = [path.stat().st_size for path in (server.data / "speech").iterdir() if path.is_file()]
    assert 0 < sum(sizes) <= 100_000
    assert len(sizes) < 6
    await asyncio.to_thread(server.stop)
