"""Buckets in messages, through HTTP: what a provider gets of them, and what the log says."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.media.samples import picture, sound
from tests.server.bucket_client import upload
from tests.servers.mediary import MediaryServer
from tests.servers.scripted import Scripted, delta, events, said, scripted, streamed

LEASE = "# Lease\n\nThe notice period is three months to the end of a quarter.\n"
FILLER = "\n\n".join(f"## Part {at}\n\n" + "Words about the house and its many rooms. " * 20 for at in range(100))
TOKENS = 3000
CHARACTERS = TOKENS // 2 * 4


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Scripted]:
    async with scripted() as running:
        running.listing = said({"data": [{"id": "tiny", "context_length": TOKENS}]})
        yield running


@contextmanager
def serving(folder: Path, service: Scripted, more: str = "") -> Iterator[MediaryServer]:
    provider = f'wire = "openai"\nbase_url = "{service.base_url}"\n'
    settings = (
        f'{more}\n[providers.Model]\n{provider}models = ["large"]\nvision_models = ["large"]\n'
        f'[providers.Small]\n{provider}models = ["small"]\ncontext_tokens = {TOKENS}\n'
        f"[providers.Listing]\n{provider}"
    )
    with MediaryServer(folder / "data", settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, service: Scripted) -> AsyncIterator[MediaryServer]:
    running = serving(tmp_path_factory.mktemp("conversations"), service)
    yield await asyncio.to_thread(running.__enter__)
    await asyncio.to_thread(running.__exit__, None, None, None)


@pytest.fixture(autouse=True)
def answers(service: Scripted) -> None:
    service.play(streamed(events(delta(content="yes"), delta("stop"))))


async def put(server: MediaryServer, bucket: str, **files: str | bytes) -> dict[str, Any]:
    contents = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
    taken = await asyncio.to_thread(upload, server, bucket, contents)
    assert taken.status == 200, taken.body
    return taken.json  # type: ignore[no-any-return]


async def turn(
    server: MediaryServer, *parts: dict[str, Any], question: str = "How long is the notice period?", **fields: Any
) -> list[dict[str, Any]]:
    content = [*parts, {"type": "text", "text": question}]
    asked = {"provider": "Model", "model": "large", "messages": [{"role": "user", "content": content}]} | fields
    return await asyncio.to_thread(lambda: server.converse(**asked))


async def status(server: MediaryServer, *parts: dict[str, Any]) -> tuple[int, str]:
    """How a request is answered that is wrong."""
    body = {"provider": "Model", "model": "large", "messages": [{"role": "user", "content": list(parts)}]}

    def ask() -> tuple[int, str]:
        with server.open("/backend-api/v2/conversation", body) as response:
            return response.status, json.loads(response.read())["error"]["message"]

    return await asyncio.to_thread(ask)


def sent(service: Scripted) -> Any:
    """The content of the last message that the provider got."""
    return service.asked[-1].json["messages"][-1]["content"]


def logs(happened: list[dict[str, Any]]) -> list[str]:
    return [event["log"] for event in happened if event["type"] == "log"]


async def test_a_bucket_that_fits_comes_whole(server: MediaryServer, service: Scripted):
    await put(server, "whole", **{"lease.md": LEASE, "notes.txt": "A garden."})

    happened = await turn(server, {"bucket_id": "whole"})

    assert sent(service) == (
        f"<!-- File: lease.md -->\n{LEASE}\n<-- End -->\n\n<!-- File: notes.txt.md -->\nA garden.\n<-- End -->\n"
        "\nHow long is the notice period?"
    )
    assert logs(happened) == ["from the bucket whole: the whole text of lease.md, notes.txt.md"]
    assert [event["type"] for event in happened[:3]] == ["provider", "parameters", "conversation"]
    assert happened[-1]["type"] == "finish"


async def test_of_a_bucket_that_does_not_fit_come_the_passages_that_bear_on_the_question(
    server: MediaryServer, service: Scripted
):
    await put(server, "long", **{"house.md": FILLER, "lease.md": LEASE})

    happened = await turn(server, {"bucket_id": "long"}, provider="Small", model="small")

    text = sent(service)
    assert "<!-- File: lease.md -->" in text
    assert "three months to the end of a quarter" in text
    assert len(text) < CHARACTERS
    [told] = logs(happened)
    assert told.startswith("from the bucket long: 1 passage of lease.md")


async def test_where_nothing_bears_on_the_question_comes_how_documents_begin(server: MediaryServer, service: Scripted):
    await put(server, "vague", **{"house.md": FILLER, "lease.md": LEASE})

    happened = await turn(server, {"bucket_id": "vague"}, provider="Small", model="small", question="What is this?")

    assert "<!-- File: house.md -->\n## Part 0" in sent(service)
    assert LEASE.strip() in sent(service)
    [told] = logs(happened)
    assert told.startswith("nothing in the bucket vague bears on the question")


async def test_several_buckets_share_the_window(server: MediaryServer, service: Scripted):
    for bucket in ("one", "two"):
        await put(server, bucket, **{f"{bucket}.md": FILLER.replace("house", f"notice in {bucket}")})

    happened = await turn(server, {"bucket_id": "one"}, {"bucket_id": "two"}, provider="Small", model="small")

    assert sent(service).count("File: one.md") >= 1
    assert sent(service).count("File: two.md") >= 1
    assert len(sent(service)) < CHARACTERS
    assert len(logs(happened)) == 2


async def test_a_bucket_that_is_in_several_messages_comes_once(server: MediaryServer, service: Scripted):
    await put(server, "again", **{"lease.md": LEASE})
    bucket = {"bucket_id": "again"}
    messages = [
        {"role": "user", "content": [bucket, {"type": "text", "text": "first"}]},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": [{"type": "text", "text": "second"}, bucket]},
    ]

    happened = await turn(server, messages=messages)

    first, _, last = (message["content"] for message in service.asked[-1].json["messages"])
    assert first == "first"
    assert last.startswith("second\n<!-- File: lease.md -->")
    assert len(logs(happened)) == 1


async def test_the_window_that_a_provider_lists_counts(server: MediaryServer, service: Scripted):
    await put(server, "listed", **{"house.md": FILLER, "lease.md": LEASE})

    await turn(server, {"bucket_id": "listed"}, provider="Listing", model="tiny")

    assert len(sent(service)) < CHARACTERS


async def test_a_document_is_waited_for(server: MediaryServer, service: Scripted):
    table = io.StringIO()
    csv.writer(table).writerows([["Name", "Amount"], *(["Anna", at] for at in range(20))])
    await put(server, "wait", **{"table.csv": table.getvalue()})

    happened = await turn(server, {"bucket_id": "wait"}, question="What of Anna?")

    assert "| Anna | 7 |" in sent(service)
    assert logs(happened)[-1] == "from the bucket wait: the whole text of table.csv.md"


async def test_what_cannot_be_read_is_said(server: MediaryServer, service: Scripted):
    await put(server, "broken", **{"lease.md": LEASE, "broken.pdf": b"%PDF-1.7\nnothing of the kind\n%%EOF\n"})

    happened = await turn(server, {"bucket_id": "broken"})

    assert LEASE in sent(service)
    assert "could not be read: broken.pdf.md (" in logs(happened)[-1]

    happened = await turn(server, {"bucket_id": "broken", "name": "broken.pdf"})
    assert (happened[-1]["type"], happened[-1]["error"]) == ("error", "UnreadableError")
    assert "broken.pdf.md of the bucket broken cannot be read" in happened[-1]["message"]


@pytest.mark.parametrize("name", ["lease.md", "Notes 1.txt", "Notes_1.txt.md"])
async def test_a_document_comes_by_its_name_or_the_one_it_was_brought_under(
    server: MediaryServer, service: Scripted, name: str
):
    await put(server, "named", **{"lease.md": LEASE, "Notes 1.txt": "A garden."})

    happened = await turn(server, {"bucket_id": "named", "name": name})

    assert ("A garden." in sent(service)) == name.startswith("Notes")
    assert (LEASE in sent(service)) == (name == "lease.md")
    assert logs(happened)[0].endswith("of the bucket named: the whole text")


async def test_a_picture_comes_as_a_picture_and_stays_where_it_is(server: MediaryServer, service: Scripted):
    await put(server, "pictures", **{"cat.png": picture()})
    url = {"type": "image_url", "image_url": {"url": "/files/pictures/media/cat.png"}}

    for part in ({"bucket_id": "pictures", "name": "cat.png"}, url):
        await turn(server, part)
        [shown, _] = sent(service)
        assert shown["type"] == "image_url"
        assert shown["image_url"]["url"].startswith("data:image/png;base64,")
    assert (await asyncio.to_thread(server.get_json, "/backend-api/v2/media"))["items"] == []


async def test_a_sound_comes_as_a_sound(server: MediaryServer, service: Scripted):
    await put(server, "sounds", **{"song.mp3": sound("mp3", "libmp3lame")})

    await turn(server, {"bucket_id": "sounds", "name": "song.mp3"})

    assert sent(service)[0]["type"] == "input_audio"


@pytest.mark.parametrize(
    ("part", "expected", "words"),
    [
        ({"bucket_id": "nowhere"}, 404, "nowhere"),
        ({"bucket_id": "there", "name": "nothing.txt"}, 404, "'nothing.txt' in the bucket 'there'"),
        ({"bucket_id": "there", "name": "../../mediary.toml"}, 404, "mediary.toml"),
        ({"bucket_id": "there", "name": ""}, 404, "''"),
        ({"bucket_id": ".."}, 400, "letters or digits"),
        ({"bucket_id": "a/b"}, 400, "slashes"),
        ({"type": "image_url", "image_url": {"url": "/files/there/media/none.png"}}, 404, "none.png"),
        ({"type": "image_url", "image_url": {"url": "/files/there/media/..%2f..%2ffiles.txt"}}, 404, "files.txt"),
        ({"type": "image_url", "image_url": {"url": "/files/nowhere/media/x.png"}}, 404, "nowhere"),
        ({"type": "image_url", "image_url": {"url": "/files/there/thumbnail/x.png"}}, 422, "/files/<bucket>/media/"),
        ({"bucket_id": "there", "name": 5}, 422, "`bucket_id` and `name`"),
        ({"bucket_id": 5}, 422, "`bucket_id` and `name`"),
    ],
)
async def test_what_is_not_there_is_named(server: MediaryServer, part: dict[str, Any], expected: int, words: str):
    await put(server, "there", **{"lease.md": LEASE})

    answered, message = await status(server, part)

    assert answered == expected
    assert words in message


async def test_local_quotes_with_the_name_of_the_document(server: MediaryServer):
    await put(server, "quoted", **{"lease.md": LEASE, "house.md": FILLER})

    happened = await turn(server, {"bucket_id": "quoted"}, provider="Local", model="passages")

    answer = "".join(event["content"] for event in happened if event["type"] == "content")
    assert answer == "> The notice period is three months to the end of a quarter. — lease.md"


async def test_the_texts_of_a_bucket_count_among_the_attachments(tmp_path: Path, service: Scripted):
    limit = "[conversation]\nmax_attachment_bytes = 2000\n"
    running = serving(tmp_path, service, limit)
    server = await asyncio.to_thread(running.__enter__)
    try:
        await put(server, "long", **{"house.md": FILLER, "lease.md": LEASE})
        await turn(server, {"bucket_id": "long"})
        assert "three months" in sent(service)
        assert len(sent(service)) < 2100
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def test_speech_becomes_text_that_can_be_asked_about(tmp_path: Path, service: Scripted):
    running = serving(tmp_path, service, '[buckets]\ntranscriber = "Model/whisper"\n')
    server = await asyncio.to_thread(running.__enter__)
    try:
        service.play(said({"text": "The harbour is quiet."}))
        taken = await put(server, "talk", **{"talk.mp3": sound("mp3", "libmp3lame")})
        assert taken["media"][0]["text"] == "The harbour is quiet."
        assert service.asked[0].path == "/v1/audio/transcriptions"

        happened = await turn(
            server, {"bucket_id": "talk"}, provider="Local", model="passages", question="The harbour?"
        )
        answer = "".join(event["content"] for event in happened if event["type"] == "content")
        assert answer == "> The harbour is quiet. — talk.mp3.md"

        service.play(said({"error": {"message": "out of order"}}, 400))
        taken = await put(server, "talk", **{"more.mp3": sound("mp3", "libmp3lame", rate=44_100)})
        assert "text" not in taken["media"][0], "the sound is taken all the same"
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def test_a_transcriber_that_is_none_stops_the_start(tmp_path: Path):
    server = MediaryServer(tmp_path / "data", settings='[buckets]\ntranscriber = "Local"\n')
    with pytest.raises(AssertionError, match=r"setting buckets\.transcriber: Local cannot turn speech into text"):
        server.start()
