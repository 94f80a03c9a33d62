"""Files of questions on their way to providers, through HTTP: which way they go, and what is not sent again."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from itertools import count, islice
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from tests.conversations.questions import PDF, Answer, answer, ask, drop, open_large, piecemeal, question, send, serving
from tests.media.samples import picture, video
from tests.server.bucket_client import upload
from tests.server.forms import form
from tests.servers.gemini import KEY, OTHER_KEY, GeminiPeer, gemini_peer
from tests.servers.mediary import MediaryServer

MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
ASKED = "POST /v1beta/models/gemini-flash:streamGenerateContent"
MIB = 1024**2


def gemini(peer: GeminiPeer, more: str = "", policy: str = "") -> str:
    return (
        f'{more}\n[providers.Gemini]\nwire = "gemini"\nbase_url = "{peer.base_url}"\napi_key = "{KEY}"\n'
        f'label = "Google"\ndefault_model = "gemini-flash"\nmodels = ["gemini-flash"]\n{policy}'
    )


@pytest.fixture(scope="module")
async def google() -> AsyncIterator[GeminiPeer]:
    async with gemini_peer() as running:
        yield running


@pytest.fixture
def peer(google: GeminiPeer) -> GeminiPeer:
    """The service as if nobody had asked it anything yet."""
    for what in (google.uploads, google.files, google.asked, google.questions, google.refusals):
        what.clear()
    google.received = 0
    return google


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, google: GeminiPeer) -> AsyncIterator[MediaryServer]:
    async with serving(tmp_path_factory.mktemp("carry"), gemini(google)) as running:
        yield running


@pytest.fixture
async def own_server(tmp_path: Path, peer: GeminiPeer) -> AsyncIterator[MediaryServer]:
    """One that may be stopped."""
    async with serving(tmp_path, gemini(peer)) as running:
        yield running


_numbers = count()


@pytest.fixture
def clip() -> bytes:
    """The beginning of a video that is in no other test."""
    return MP4 + b"%08d" % next(_numbers)


@pytest.fixture
def sea() -> bytes:
    """A picture that is in no other test."""
    return picture(width=next(_numbers) + 100)


def letter() -> bytes:
    """A Word document, as far as its beginning and its list of contents go."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types><Override PartName="/w.xml" ContentType="{kind}"/></Types>')
        archive.writestr("w.xml", "<w/>")
    return file.getvalue()


def seen(peer: GeminiPeer) -> list[str]:
    """By which fields the parts of the last question came, texts aside."""
    parts = [part for content in peer.questions[-1]["contents"] for part in content["parts"]]
    return [next(iter(part)) for part in parts if "text" not in part]


def left_over(server: MediaryServer) -> list[Path]:
    return list((server.data / "generated_media" / ".incoming").iterdir())


async def send_large(server: MediaryServer, head: bytes, size: int, name: str = "clip.mp4", **fields: Any) -> Answer:
    """A video that is never whole in memory here, in a form whose JSON comes last."""
    length, pieces = piecemeal(question(**fields), name, head, size)

    def talk() -> tuple[int, bytes]:
        connection = open_large(server, length, pieces)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    return answer(*await asyncio.to_thread(talk))


async def test_a_small_file_goes_within_the_question_and_is_uploaded_when_it_comes_again(server, peer, sea):
    first = await ask(server, {"sea.png": sea})
    assert (seen(peer), first.logs) == (["inlineData"], [])

    second = await ask(server, {"sea.png": sea})
    assert seen(peer) == ["fileData"]
    [begin, end] = second.logs
    assert (begin.partition(":")[0], end) == ("uploading sea.png to Google", "sea.png is with Google")
    assert second.last["type"] == "finish"

    third = await ask(server, {"sea.png": sea})
    assert (seen(peer), third.logs) == (["fileData"], ["sea.png is with Google already"])
    assert len(peer.files) == 1


async def test_a_large_video_is_uploaded_at_once_and_ten_questions_more_send_nothing(server, peer, clip):
    first = await send_large(server, clip, 20 * MIB)
    assert first.text == f"What is it?; video/mp4 of {20 * MIB} bytes"
    assert first.logs[0] == "uploading clip.mp4 to Google: 0 of 21 MB"
    assert first.logs[-1] == "clip.mp4 is with Google"

    peer.asked.clear()
    for _ in range(10):
        answer = await send_large(server, clip, 20 * MIB)
        assert (answer.text, answer.logs) == (first.text, ["clip.mp4 is with Google already"])
    assert peer.asked == [ASKED] * 10


async def test_a_file_of_the_library_is_uploaded_from_there_once(server, peer, clip):
    body, content_type = form({}, {"clip.mp4": clip + bytes(11 * MIB - len(clip))})

    def keep() -> dict[str, Any]:
        headers = {"content-type": content_type}
        with server.open("/backend-api/v2/media", method="POST", raw=body, headers=headers) as response:
            return json.load(response)["results"][0]

    item = await asyncio.to_thread(keep)
    kept = {"type": "image_url", "image_url": {"url": item["url"]}}
    await ask(server, {}, kept)
    peer.asked.clear()

    answer = await ask(server, {}, kept)

    assert answer.text == f"What is it?; video/mp4 of {11 * MIB} bytes"
    assert answer.logs == [f"{item['name']} is with Google already"]
    assert peer.asked == [ASKED]


async def test_two_that_ask_at_once_upload_it_once(server, peer, clip):
    answers = await asyncio.gather(*(send_large(server, clip, 12 * MIB) for _ in range(6)))

    assert {answer.text for answer in answers} == {f"What is it?; video/mp4 of {12 * MIB} bytes"}
    assert peer.received == 12 * MIB


async def test_a_file_that_the_provider_has_forgotten_is_sent_once_more_within_the_turn(server, peer, clip):
    await send_large(server, clip, 9 * MIB)
    peer.files.clear()

    answer = await send_large(server, clip, 9 * MIB)

    assert answer.text == f"What is it?; video/mp4 of {9 * MIB} bytes"
    assert answer.logs == [
        "clip.mp4 is with Google already",
        "Google does not know clip.mp4 any more",
        "uploading clip.mp4 to Google: 0.0 of 9.4 MB",
        "clip.mp4 is with Google",
    ]
    assert peer.received == 2 * 9 * MIB


async def test_of_two_files_that_were_forgotten_both_are_sent_once_more(server, peer, sea):
    files = {"one.png": sea, "two.png": sea + b" too"}
    for _ in range(2):
        await ask(server, files)
    peer.files.clear()

    answer = await ask(server, files)

    assert (answer.last["type"], seen(peer)) == ("finish", ["fileData", "fileData"])


async def test_a_provider_that_never_knows_the_file_is_asked_twice(server, peer, monkeypatch, clip):
    await send_large(server, clip, 2 * MIB)
    peer.files.clear()
    store = peer._store
    monkeypatch.setattr(peer, "_store", lambda upload: (store(upload), peer.files.clear())[0])
    peer.asked.clear()

    answer = await send_large(server, clip, 2 * MIB)

    assert answer.last["type"] == "auth"  # what Google says of it is also what it says of a key
    assert [each for each in peer.asked if "streamGenerateContent" in each] == [ASKED] * 2


async def test_the_key_of_a_request_uploads_for_itself_alone(server, peer, clip):
    await send_large(server, clip, 3 * MIB, api_key=OTHER_KEY)
    assert [stored.owner for stored in peer.files.values()] == [OTHER_KEY]

    answer = await send_large(server, clip, 3 * MIB)

    assert answer.text.endswith("bytes")
    assert [stored.owner for stored in peer.files.values()] == [OTHER_KEY, KEY]
    assert OTHER_KEY not in server.output() and KEY not in server.output()


async def test_without_the_cache_files_go_within_questions_as_long_as_they_can(tmp_path, peer, clip, sea):
    policy = 'uploads = {flow = "gemini_files", image_cache = false}\n'
    async with serving(tmp_path, gemini(peer, policy=policy)) as server:
        for _ in range(3):
            await ask(server, {"sea.png": sea})
            assert seen(peer) == ["inlineData"]
        await send_large(server, clip, 2 * MIB)
        await send_large(server, clip, 2 * MIB)
    assert len(peer.files) == 2


async def test_a_client_that_leaves_stops_the_upload_and_nothing_is_remembered(own_server, peer, monkeypatch, clip):
    arrived, going_on = asyncio.Event(), asyncio.Event()
    chunk = peer._chunk

    async def held_up(*args: Any, **named: Any) -> Any:
        arrived.set()
        await going_on.wait()
        return await chunk(*args, **named)

    monkeypatch.setattr(peer, "_chunk", held_up)
    length, pieces = piecemeal(question(), "clip.mp4", clip, 20 * MIB)
    connection = await asyncio.to_thread(open_large, own_server, length, pieces)
    async with asyncio.timeout(30):
        await arrived.wait()
    drop(connection)
    await asyncio.to_thread(own_server.await_output, "outcome=cancelled")
    going_on.set()

    assert [upload.state for upload in peer.uploads.values()] == ["cancelled"]
    monkeypatch.undo()
    assert (await send_large(own_server, clip, 20 * MIB)).text.endswith(f"of {20 * MIB} bytes")
    assert len(peer.files) == 1
    await asyncio.to_thread(own_server.stop)
    assert left_over(own_server) == []


async def test_what_a_killed_server_held_is_gone_when_it_is_back(own_server, peer, monkeypatch, clip):
    arrived, going_on = asyncio.Event(), asyncio.Event()

    async def held_up(*_: Any, **__: Any) -> Any:
        arrived.set()
        await going_on.wait()

    monkeypatch.setattr(peer, "_chunk", held_up)
    length, pieces = piecemeal(question(), "clip.mp4", clip, 4 * MIB)
    connection = await asyncio.to_thread(open_large, own_server, length, pieces)
    async with asyncio.timeout(30):
        await arrived.wait()
    assert len(left_over(own_server)) >= 1

    await asyncio.to_thread(own_server.kill)
    connection.close()
    going_on.set()
    await asyncio.to_thread(own_server.start)

    assert left_over(own_server) == []


async def test_nothing_is_left_behind_however_a_turn_ends(own_server, peer, clip):
    await send_large(own_server, clip, 2 * MIB)
    refused = await send_large(own_server, clip, 2 * MIB, provider="Nobody")
    assert refused.status == 404
    peer.refusals[:] = [500] * 10
    failed = await send_large(own_server, clip, 15 * MIB, name="other.mp4")
    assert failed.last["type"] == "error"
    length, pieces = piecemeal(question(), "clip.mp4", clip, 9 * MIB)
    drop(await asyncio.to_thread(open_large, own_server, length, islice(pieces, 5)))
    await asyncio.to_thread(own_server.await_output, "status=400")
    await asyncio.to_thread(own_server.stop)

    assert left_over(own_server) == []


async def test_an_upload_that_fails_costs_nothing_where_the_file_can_go_within_the_question(server, peer, sea):
    await ask(server, {"sea.png": sea})
    peer.refusals[:] = [500] * 10

    answer = await ask(server, {"sea.png": sea})

    assert (seen(peer), answer.last["type"]) == (["inlineData"], "finish")
    assert "sea.png goes within the question" in answer.logs[-1]


@pytest.mark.parametrize(
    ("name", "data", "status", "words"),
    [
        ("a.exe", b"MZ\0\1\2" * 100, 415, ["a.exe", "video/*", "application/pdf", "by upload"]),
        ("a.gif", picture(".gif"), 415, ["a.gif", "image/gif", "within a question image/jpeg", "image/webp"]),
        ("a.rtf", b"{\\rtf1 Hello}", 415, ["application/rtf", "bucket"]),
        ("letter.docx", letter(), 415, ["letter.docx (application/vnd.openxmlformats-", "bucket"]),
        ("a.zip", b"PK\x05\x06" + bytes(18), 415, ["a.zip", "application/zip"]),
        ("a.txt", b"", 415, ["a.txt is empty"]),
    ],
)
async def test_what_is_not_taken_is_refused_before_the_provider_hears_of_it(
    server, peer, name, data, status, words, sea
):
    refused = await ask(server, {"sea.png": sea, name: data})

    assert refused.status == status
    assert all(word in refused.error["message"] for word in words), refused.error
    assert peer.asked == []


async def test_a_type_is_told_by_the_bytes_whatever_the_name_says(server, peer):
    answer = await ask(server, {"holiday.mp4": PDF})

    assert answer.text == f"What is it?; application/pdf of {len(PDF)} bytes"


async def test_limits_are_named(tmp_path, peer, clip):
    more = "[conversation]\nmax_upload_bytes = 300000\nmax_attachment_bytes = 1000\n"
    async with serving(tmp_path, gemini(peer, more, policy='uploads = "inline"\n')) as server:
        form_too_large = await send_large(server, clip, 400_000)
        assert (form_too_large.status, form_too_large.error["code"]) == (413, "too_large")
        assert "conversation.max_upload_bytes" in form_too_large.error["message"]

        file_too_large = await send_large(server, clip, 200_000)
        assert file_too_large.status == 413
        assert (
            "1000 bytes of it within a question (conversation.max_attachment_bytes)" in file_too_large.error["message"]
        )

        together = await ask(server, {"one.txt": b"word " * 120, "two.txt": b"word " * 121})
        assert together.status == 413
        assert "conversation.max_attachment_bytes" in together.error["message"]
    assert peer.asked == []


async def test_the_json_of_a_form_has_its_own_limit(tmp_path, peer, sea):
    async with serving(tmp_path, gemini(peer, "[server]\nmax_request_bytes = 5000\n")) as server:
        refused = await ask(server, {"sea.png": sea}, {"type": "text", "text": "x" * 6000})
        assert (refused.status, refused.error["code"]) == (413, "too_large")
        assert "server.max_request_bytes" in refused.error["message"]

        assert (await ask(server, {"clip.mp4": MP4 + bytes(100_000)})).last["type"] == "finish"


async def test_bytes_of_a_bucket_and_of_the_library_are_read_where_they_lie(server, peer):
    await asyncio.to_thread(upload, server, "box", {"clip.mp4": video("mp4", "mpeg4")})
    by_path = {"type": "image_url", "image_url": {"url": "/files/box/media/clip.mp4"}}

    answer = await ask(server, {}, by_path, {"bucket_id": "box", "name": "clip.mp4"})

    size = len(video("mp4", "mpeg4"))
    assert answer.text == f"What is it?; video/mp4 of {size} bytes; video/mp4 of {size} bytes"
    assert size not in [item["size"] for item in server.get_json("/backend-api/v2/media?tag=attachment")["items"]]


async def test_a_remote_file_is_fetched_and_uploaded(tmp_path, peer, clip):
    clip = MP4 + bytes(3 * MIB)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(clip) + clip)
        await writer.drain()
        writer.close()

    remote = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{remote.sockets[0].getsockname()[1]}/films/holiday.mp4?x=1"
    async with remote, serving(tmp_path, gemini(peer, '[net]\nallow = ["127.0.0.0/8"]\n')) as server:
        answer = await send(server, *form({"media_url": url, "json": json.dumps(question())}, {}))

        assert answer.text == f"What is it?; video/mp4 of {len(clip)} bytes"
        assert answer.logs[-1] == "holiday.mp4 is with Google"


async def test_a_large_file_costs_no_memory(own_server, peer, clip):
    await send_large(own_server, clip, 9 * MIB)
    before = peak(own_server)

    answer = await send_large(own_server, clip, 128 * MIB, name="film.mp4")

    assert answer.text.endswith(f"of {128 * MIB} bytes")
    assert peak(own_server) - before < 40 * MIB


def peak(server: MediaryServer) -> int:
    """The most memory that the server's processes had, in bytes; its helpers for documents and pictures aside."""
    most = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            command = (status.parent / "cmdline").read_bytes()
            told = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(server.data).encode() in command and "VmHWM" in told:
            most = max(most, int(told["VmHWM"].split()[0]) * 1024)
    assert most, "the server's process was not found"
    return most
