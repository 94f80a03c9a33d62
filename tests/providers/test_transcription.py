"""Speech to text on the OpenAI wire: what is sent, what comes of it, and who is asked."""

import asyncio
import email.parser
import email.policy
import tracemalloc
from pathlib import Path

import pytest
from tests.media.samples import sound
from tests.providers.conftest import Make
from tests.servers.aimock import KEY, Aimock
from tests.servers.scripted import Asked, Scripted, said, whole

from mediary.conversations.choice.directory import ProviderDirectory
from mediary.conversations.speech import transcriber
from mediary.errors import MissingAuthError, NotFoundError, ProviderError, SettingsError, TooLargeError
from mediary.formats import detect
from mediary.net.client import HttpClient
from mediary.plugins import load
from mediary.providers.base import Transcribes
from mediary.providers.openai.transcription import MAX_FILE
from mediary.settings import ProviderSettings


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / 'a "quiet" song.mp3'
    path.write_bytes(sound("mp3", "libmp3lame"))
    return path


def form_of(asked: Asked) -> dict[str, tuple[str | None, str, bytes]]:
    """The fields of a form: file name, type and bytes of each."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + asked.body)
    return {
        str(part.get_param("name", header="content-disposition")): (
            part.get_filename(), part.get_content_type(), part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    }  # fmt: skip


async def test_what_a_service_of_its_own_hears(make: Make, aimock: Aimock, song: Path):
    provider = make(aimock.base_url, api_key=KEY)

    assert await provider.transcribe(song, "audio/mpeg") == "The harbour is quiet today."


async def test_what_is_sent(make: Make, service: Scripted, song: Path):
    service.play(said({"text": " Hello. "}))

    heard = await make(service.base_url).transcribe(song, "audio/mpeg", language="de-AT", model="whisper-2")

    assert heard == "Hello."
    [asked] = service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/audio/transcriptions")
    form = form_of(asked)
    assert form["file"] == ("a %22quiet%22 song.mp3", "audio/mpeg", song.read_bytes())
    sent = {name: value for name, (_, _, value) in form.items() if name != "file"}
    assert sent == {"model": b"whisper-2", "response_format": b"json", "language": b"de"}


async def test_a_service_that_fails_at_first_gets_the_whole_file_again(make: Make, service: Scripted, song: Path):
    service.play(said({"error": "busy"}, 503), said({"text": "Hello."}))

    assert await make(service.base_url).transcribe(song, "audio/mpeg", model="m") == "Hello."
    assert [form_of(asked)["file"][2] for asked in service.asked] == [song.read_bytes()] * 2


async def test_without_a_model_the_one_that_the_service_lists_is_taken(make: Make, service: Scripted, song: Path):
    service.play(said({"data": [{"id": "llama-3"}, {"id": "whisper-large-v3"}]}), said({"text": "Hello."}))

    await make(service.base_url).transcribe(song, "audio/mpeg")

    assert form_of(service.asked[-1])["model"][2] == b"whisper-large-v3"


async def test_plain_text_is_a_transcript(make: Make, service: Scripted, song: Path):
    service.play(whole("Grüße\n".encode(), content_type="text/plain; charset=utf-8"))

    assert await make(service.base_url).transcribe(song, "audio/mpeg", model="m") == "Grüße"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (said({"error": {"message": "bad key"}}, 401), MissingAuthError, "bad key"),
        (said({"error": {"message": "no such thing"}}), ProviderError, "no such thing"),
        (whole(b"<html>"), ProviderError, "Test"),
    ],
)
async def test_what_goes_wrong_is_said(
    make: Make, service: Scripted, song: Path, answer: object, error: type[ProviderError], words: str
):
    service.play(answer)  # type: ignore[arg-type]

    with pytest.raises(error, match=words):
        await make(service.base_url).transcribe(song, "audio/mpeg", model="m")


async def test_a_file_that_the_services_do_not_take_is_not_sent(make: Make, service: Scripted, tmp_path: Path):
    service.play(said({"text": "Hello."}))
    large = tmp_path / "large.mp3"
    with large.open("wb") as file:
        file.truncate(MAX_FILE + 1)

    with pytest.raises(TooLargeError, match="25 MB"):
        await make(service.base_url).transcribe(large, "audio/mpeg", model="m")
    with pytest.raises(NotFoundError):
        await make(service.base_url).transcribe(tmp_path / "none.mp3", "audio/mpeg", model="m")
    assert not service.asked


async def test_the_largest_file_is_never_whole_in_memory(make: Make, tmp_path: Path):
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(MAX_FILE)
    came = 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length:")[1].split()[0])
        while came < size:
            came += len(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nHello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tracemalloc.start()
        try:
            heard = await make(f"http://127.0.0.1:{port}/v1").transcribe(large, "audio/wav", model="m")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert heard == "Hello"
    assert came > MAX_FILE
    assert peak < MAX_FILE // 4


async def test_the_setting_names_who_is_asked(make: Make, service: Scripted, song: Path, http: HttpClient):
    local = load("providers", "local")("Local", ProviderSettings(wire="local"), http)
    providers = ProviderDirectory({"Whisper": make(service.base_url), "Local": local}, custom=make(None))
    service.play(said({"text": "Hello."}))
    kind = detect(song.read_bytes())
    assert kind

    ask = transcriber(providers, "whisper/large")
    assert ask
    assert await ask(song, kind, "en") == "Hello."
    assert form_of(service.asked[-1])["model"][2] == b"large"
    assert transcriber(providers, None) is None

    for setting, words in {"Wisper": "did you mean Whisper", "Local": "Local cannot turn speech into text"}.items():
        with pytest.raises(SettingsError, match=f"setting buckets.transcriber: .*{words}"):
            transcriber(providers, setting)
    assert isinstance(make(None), Transcribes)
    assert not isinstance(local, Transcribes)
