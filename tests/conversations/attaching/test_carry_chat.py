"""Files of questions on the wire of chat completions, through HTTP: within questions in its own forms, PDF by id."""

import base64
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
from tests.conversations.questions import PDF, ask, serving
from tests.media.samples import picture, sound, video
from tests.servers.aimock import KEY as AIMOCK_KEY
from tests.servers.aimock import running_aimock
from tests.servers.mediary import MediaryServer
from tests.servers.openai_files import KEY, OpenAIFilesService, openai_files
from tests.servers.scripted import Scripted, delta, events, said, scripted, streamed

YES = streamed(events(delta(content="yes"), delta("stop")))

_numbers = count()


@pytest.fixture(scope="module")
async def model() -> AsyncIterator[Scripted]:
    async with scripted() as running:
        yield running


@pytest.fixture(scope="module")
async def storage() -> AsyncIterator[OpenAIFilesService]:
    async with openai_files() as running:
        yield running


@pytest.fixture(scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, model: Scripted, storage: OpenAIFilesService
) -> AsyncIterator[MediaryServer]:
    table = f'wire = "openai"\nbase_url = "{model.base_url}"\napi_key = "{KEY}"\nmodels = ["large"]\n'
    settings = (
        f'[net]\nallow = ["127.0.0.0/8"]\n[providers.Inline]\n{table}takes = ["video/*"]\n'
        f'[providers.Stored]\n{table}uploads = {{flow = "openai_files", base_url = "{storage.base_url}"}}\n'
    )
    async with serving(tmp_path_factory.mktemp("chat"), settings) as running:
        yield running


@pytest.fixture
def service(model: Scripted) -> Scripted:
    """The model as if nobody had asked it anything yet."""
    model.play(YES)
    return model


@pytest.fixture
def files(storage: OpenAIFilesService) -> OpenAIFilesService:
    """The files as if nobody had sent any yet."""
    storage.files.clear()
    storage.asked.clear()
    return storage


@pytest.fixture
def lease() -> bytes:
    """A document that is in no other test."""
    return PDF + b"%% %d" % next(_numbers)


def content(service: Scripted) -> Any:
    return service.asked[-1].json["messages"][-1]["content"]


def uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


async def test_every_kind_goes_in_the_forms_of_the_wire(server, service):
    heard, watched = sound("mp3", "libmp3lame"), video("mp4", "mpeg4")
    files = {"sea.png": picture(), "hum.mp3": heard, "clip.mp4": watched, "lease.pdf": PDF, "notes.md": b"# Notes\n"}
    assert (await ask(server, files)).last["type"] == "finish"

    assert content(service) == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": uri("image/png", picture())}},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(heard).decode(), "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": uri("video/mp4", watched)}},
        {"type": "file", "file": {"filename": "lease.pdf", "file_data": uri("application/pdf", PDF)}},
        {"type": "text", "text": "<!-- File: notes.md -->\n# Notes\n\n<-- End -->\n"},
    ]


async def test_text_alone_stays_a_plain_string(server, service):
    await ask(server, {"größe.py": "print('ü')".encode()})

    assert content(service) == "What is it?\n<!-- File: größe.py -->\nprint('ü')\n<-- End -->\n"


async def test_text_that_is_not_in_utf8_is_refused(server, service):
    refused = await ask(server, {"old.txt": "Größe".encode("latin-1") * 50})

    assert (refused.status, refused.error["code"]) == (415, "unsupported_type")
    assert "UTF-8" in refused.error["message"]


async def test_files_of_earlier_messages_have_their_places(server, service):
    part = {"type": "image_url", "image_url": {"url": uri("image/png", picture())}}
    messages = [
        {"role": "user", "content": [part, {"text": "This?"}]},
        {"role": "assistant", "content": [{"text": "A sea."}, part]},
        {"role": "user", "content": "And now?"},
    ]
    await ask(server, {"a.pdf": PDF}, messages=messages)

    sent = service.asked[-1].json["messages"]
    assert [each["type"] for each in sent[0]["content"]] == ["image_url", "text"]
    assert sent[1] == {"role": "assistant", "content": "A sea."}
    assert [each["type"] for each in sent[2]["content"]] == ["text", "file"]


async def test_a_pdf_is_pointed_to_from_the_second_question_on(server, service, files, lease):
    brought = {"lease.pdf": lease, "sea.png": picture()}
    await ask(server, brought, provider="Stored")
    assert "file_data" in content(service)[1]["file"]
    for _ in range(2):
        await ask(server, brought, provider="Stored")
        [file_id] = files.files
        assert content(service)[1] == {"type": "file", "file": {"file_id": file_id}}
        assert content(service)[2]["type"] == "image_url"
    assert len(files.about("/files")) == 1


async def test_a_pdf_that_is_gone_is_sent_once_more(server, service, files, lease):
    for _ in range(2):
        await ask(server, {"lease.pdf": lease}, provider="Stored")
    [old] = files.files
    files.files.clear()
    service.play(said({"error": {"message": f"No such File object: {old}"}}, 404), YES)

    answer = await ask(server, {"lease.pdf": lease}, provider="Stored")

    [new] = files.files
    assert [asked.json["messages"][-1]["content"][1]["file"]["file_id"] for asked in service.asked] == [old, new]
    assert answer.last["type"] == "finish"


async def test_where_a_request_says_where_to_ask_there_are_no_uploads(server, service, files, lease):
    for _ in range(2):
        await ask(server, {"a.pdf": lease}, provider="Custom", model="m", base_url=service.base_url)
        assert "file_data" in content(service)[1]["file"]
    assert files.asked == []


async def test_aimock_takes_the_pdf_once_and_is_pointed_to_it(tmp_path, lease):
    with running_aimock() as aimock:
        settings = (
            f'[providers.OpenAI]\nwire = "openai"\nbase_url = "{aimock.base_url}"\napi_key = "{AIMOCK_KEY}"\n'
            'models = ["gpt-4o"]\nheaders = {X-Test-Id = "carry"}\nuploads = "openai_files"\n'
        )
        async with serving(tmp_path, settings) as server:
            answers = [await ask(server, {"lease.pdf": lease}, text="Tell me of the sea") for _ in range(3)]
        entries = aimock.journal("carry")

    assert [answer.last["type"] for answer in answers] == ["finish"] * 3
    assert [entry["path"] for entry in entries].count("/v1/files") == 1
    asked = [entry["body"]["messages"][-1]["content"] for entry in entries if entry["path"].endswith("/completions")]
    assert ["file_id" in parts[1]["file"] for parts in asked] == [False, True, True]
