"""Each flow from end to end: `POST B/uploads` and `mediary upload` against services that answer as the real ones do."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import run
from tests.server.forms import form
from tests.servers.mediary import MediaryServer
from tests.servers.upload_peers import GUARD, Place, all_peers
from tests.uploads.pictures import png

PATH = "/backend-api/v2/uploads"
PICTURE = png(40, 30)
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
WEB = ("OpenAIWeb", "Qwen", "Yupp", "LMArena")
OFFICIAL = ("OpenAI", "Mistral", "Anthropic", "Gemini", "DashScope")


@pytest.fixture(scope="module")
async def peers() -> AsyncIterator[dict[str, Place]]:
    async with all_peers() as places:
        yield places


@pytest.fixture(scope="module")
async def server(peers: dict[str, Place], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MediaryServer]:
    settings = GUARD + "".join(place.table for place in peers.values())
    server = MediaryServer(tmp_path_factory.mktemp("uploads") / "data", settings=settings)
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


async def send(
    server: MediaryServer, provider: str, files: dict[str, bytes], **fields: str
) -> tuple[int, dict[str, Any]]:
    """Upload; the peers answer in this loop meanwhile."""
    body, content_type = form({"provider": provider, **fields}, files)

    def ask() -> tuple[int, dict[str, Any]]:
        with server.open(PATH, method="POST", raw=body, headers={"content-type": content_type}) as response:
            return response.status, json.load(response)

    return await asyncio.to_thread(ask)


async def ask(server: MediaryServer, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
    def open_() -> tuple[int, Any]:
        with server.open(path, body, **options) as response:
            return response.status, json.load(response)

    return await asyncio.to_thread(open_)


@pytest.mark.parametrize("name", [*WEB, *OFFICIAL])
async def test_a_picture_arrives_once(server: MediaryServer, peers: dict[str, Place], name: str):
    picture = PICTURE + name.encode()
    status, first = await send(server, name, {"Möwe am Meer.png": picture}, text="What is it?")
    assert status == 200, first
    [upload] = first["uploads"]
    assert (upload["provider"], upload["name"], upload["type"]) == (name, "Möwe am Meer.png", "image/png")
    assert (upload["size"], upload["cached"]) == (len(picture), False)
    assert await asyncio.to_thread(peers[name].read, upload["file"]) == picture
    assert "What is it?" in json.dumps(first["message"], ensure_ascii=False)
    status, again = await send(server, name, {"Möwe am Meer.png": picture})
    assert [each["cached"] for each in again["uploads"]] == [True]
    assert again["uploads"][0]["id"] == upload["id"]


@pytest.mark.parametrize("name", [*WEB, *OFFICIAL])
async def test_a_document_is_what_its_bytes_say(server: MediaryServer, peers: dict[str, Place], name: str):
    document = PDF + name.encode()
    status, answer = await send(server, name, {"report.txt": document})
    assert status == 200, answer
    [upload] = answer["uploads"]
    assert upload["type"] == "application/pdf"
    assert await asyncio.to_thread(peers[name].read, upload["file"]) == document


async def test_the_messages_of_the_four(server: MediaryServer):
    messages = {name: (await send(server, name, {"a.png": PICTURE + b"m"}, text="Look"))[1]["message"] for name in WEB}
    web = messages["OpenAIWeb"]
    pointer, text = web["content"]["parts"]
    assert (web["content"]["content_type"], text) == ("multimodal_text", "Look")
    assert (pointer["content_type"], pointer["width"], pointer["height"]) == ("image_asset_pointer", 40, 30)
    assert pointer["size_bytes"] == len(PICTURE) + 1
    [attachment] = web["metadata"]["attachments"]
    assert (attachment["mimeType"], attachment["name"], attachment["width"]) == ("image/png", "a.png", 40)
    [entry] = messages["Qwen"]["files"]
    assert (entry["type"], entry["showType"], entry["file_class"]) == ("image", "image", "vision")
    assert "a.png" in json.dumps(messages["Yupp"])
    [attached] = messages["LMArena"]["experimental_attachments"]
    assert attached["contentType"] == "image/png"


async def test_what_lies_where_is_listed_in_pages_and_can_be_forgotten(server: MediaryServer):
    uploads = [
        (await send(server, "OpenAI", {f"{number}.pdf": PDF + bytes([number])}))[1]["uploads"][0] for number in range(3)
    ]
    listed, cursor = [], ""
    while True:
        _, page = await ask(server, f"{PATH}?provider=openai&limit=1{cursor}")
        listed += [each["id"] for each in page["uploads"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert listed[:3] == [upload["id"] for upload in reversed(uploads)]
    assert await ask(server, f"{PATH}/{uploads[0]['id']}", method="DELETE") == (200, {"removed": True, "reason": None})
    status, answer = await ask(server, f"{PATH}/{uploads[0]['id']}", method="DELETE")
    assert status == 404, answer
    _, again = await send(server, "OpenAI", {"0.pdf": PDF + bytes([0])})
    assert [each["cached"] for each in again["uploads"]] == [False]


async def test_files_that_lie_here_are_named(server: MediaryServer, peers: dict[str, Place]):
    body, content_type = form({}, {"scan.pdf": PDF, "sea.png": PICTURE})

    def fill() -> list[str]:
        headers = {"content-type": content_type}
        with server.open("/backend-api/v2/files/desk", method="POST", raw=body, headers=headers) as response:
            taken = json.load(response)
        return [taken["files"][0], taken["media"][0]["name"]]

    document, picture = await asyncio.to_thread(fill)
    wanted = [{"bucket_id": "desk", "name": document}, f"/files/desk/media/{picture}"]
    status, answer = await ask(server, PATH, {"provider": "Qwen", "files": wanted, "text": "Compare"})
    assert status == 200, answer
    assert [each["type"] for each in answer["uploads"]] == ["application/pdf", "image/png"]
    assert answer["uploads"][0]["name"] == "scan.pdf"
    stored = [await asyncio.to_thread(peers["Qwen"].read, each["file"]) for each in answer["uploads"]]
    assert stored == [PDF, PICTURE]


@pytest.mark.parametrize(
    ("fields", "files", "status", "words"),
    [
        ({"provider": "Qwenn"}, {"a.png": PICTURE}, 404, "did you mean Qwen?"),
        ({}, {"a.png": PICTURE}, 422, "there are: "),
        ({"provider": "Qwen"}, {}, 422, "at least one file"),
        ({"provider": "Qwen", "cookies": "[]"}, {"a.png": PICTURE}, 422, "cookies"),
        ({"provider": "Qwen", "api_key": "wrong-key-0123456789"}, {"a.png": PICTURE}, 401, "Qwen"),
        ({"provider": "Anthropic"}, {"a.mp3": b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(64)}, 415, "it takes"),
    ],
)
async def test_what_is_wrong_is_said(
    server: MediaryServer, fields: dict[str, str], files: dict[str, bytes], status: int, words: str
):
    body, content_type = form(fields, files)
    headers = {"content-type": content_type}
    answered, answer = await ask(server, PATH, method="POST", raw=body, headers=headers)
    assert answered == status, answer
    assert words in answer["error"]["message"]
    assert "wrong-key" not in json.dumps(answer) + server.output()


async def test_cookies_that_were_handed_in_are_used(peers: dict[str, Place], tmp_path: Path):
    """LMArena knows people by cookies; without any it is said what to hand in."""
    table = "\n".join(line for line in peers["LMArena"].table.splitlines() if not line.startswith("cookies"))
    server = MediaryServer(tmp_path / "data", settings=GUARD + table)
    await asyncio.to_thread(server.start)
    try:
        status, answer = await send(server, "LMArena", {"a.png": PICTURE})
        assert (status, "cookies" in answer["error"]["message"]) == (401, True)
        body, content_type = form({}, {"127.0.0.1.json": json.dumps({"arena-auth": "ann"}).encode()}, "file")

        def hand_in() -> int:
            headers = {"content-type": content_type}
            path = "/backend-api/v2/upload_cookies"
            with server.open(path, method="POST", raw=body, headers=headers) as response:
                return response.status

        assert await asyncio.to_thread(hand_in) == 200
        status, answer = await send(server, "LMArena", {"a.png": PICTURE})
        assert status == 200, answer
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.parametrize("name", [*WEB, *OFFICIAL])
async def test_from_the_command_line(server: MediaryServer, peers: dict[str, Place], tmp_path: Path, name: str):
    picture = PICTURE + b"cli" + name.encode()
    (tmp_path / "harbour.png").write_bytes(picture)
    options = (str(tmp_path / "harbour.png"), "--to", name, "--json")
    first, again = [await asyncio.to_thread(run, server.data, "upload", *options) for _ in range(2)]
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    sent, found = json.loads(first.stdout), json.loads(again.stdout)
    assert (sent["cached"], found["cached"]) == (False, True)
    assert await asyncio.to_thread(peers[name].read, sent["file"]) == picture
    listed = await asyncio.to_thread(run, server.data, "upload", "--list", "--to", name)
    assert sent["id"] in listed.stdout
    # The server knows of it, too.
    _, answer = await send(server, name, {"harbour.png": picture})
    assert answer["uploads"][0]["cached"]


async def test_no_credential_and_no_signed_link_is_in_the_log(server: MediaryServer, peers: dict[str, Place]):
    assert await send(server, "Qwen", {"z.png": PICTURE + b"z"})
    for word in ("token-of-ann", "qwen-token", "session-of-ann", "sk-proj", "sk-ant", "AIza", "sig=", "Signature="):
        assert word not in server.output()
