"""What a conversation writes down of the media that it makes and that it was brought, through HTTP."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.media.samples import picture, sound
from tests.servers.mediary import MediaryServer, media_urls
from tests.servers.scripted import said, scripted, whole

MEDIA = "/backend-api/v2/media"
DRAW = {"provider": "Local", "model": "picture", "width": 16, "height": 16}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path_factory.mktemp("keep") / "data") as running:
        yield running


def shown(data: bytes) -> dict[str, Any]:
    """A picture as a part of a message."""
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}}


def linked(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def heard(data: bytes) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": "mp3"}}


def asked(text: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


def make(server: MediaryServer, *messages: dict[str, Any], user: str | None = None, **fields: Any) -> dict[str, Any]:
    """The item that one turn makes."""
    headers = {"x-user": user} if user else {}
    [url] = media_urls(server.converse(messages=list(messages), headers=headers, **DRAW | fields))
    item: dict[str, Any] = server.get_json(MEDIA + url.removeprefix("/media"))
    return item


def attachments(server: MediaryServer) -> list[dict[str, Any]]:
    """What people brought, newest first."""
    items: list[dict[str, Any]] = server.get_json(f"{MEDIA}?tag=attachment")["items"]
    return items


def test_all_that_was_asked_for_is_written_down(server: MediaryServer) -> None:
    prompt = "A hill " + "and another one " * 30

    item = make(server, asked(prompt), user="anna", seed=7, steps=20, negative_prompt="clouds")

    assert item["prompt"] == prompt
    assert prompt.startswith(item["alt"].rstrip("…"))
    assert (item["negative_prompt"], item["seed"], item["steps"]) == ("clouds", "7", 20)
    assert (item["provider"], item["model"], item["tags"]) == ("Local", "picture", ["picture"])
    assert (item["owner"], item["parent"]) == ("anna", None)
    assert (item["kind"], item["width"], item["height"]) == ("image", 16, 16)


def test_what_was_not_asked_for_is_not(server: MediaryServer) -> None:
    item = make(server, asked("A hill"))

    assert (item["negative_prompt"], item["seed"], item["steps"], item["owner"], item["parent"]) == (
        "", None, None, None, None,
    )  # fmt: skip


def test_a_seed_of_nought_is_a_seed(server: MediaryServer) -> None:
    assert make(server, asked("A hill"), seed=0)["seed"] == "0"


def test_speech_is_written_down_too(server: MediaryServer) -> None:
    [url] = media_urls(server.converse("Good morning", provider="Local", model="speech", headers={"x_user": "anna"}))

    item = server.get_json(MEDIA + url.removeprefix("/media"))
    assert (item["kind"], item["prompt"], item["model"], item["owner"]) == ("audio", "Good morning", "speech", "anna")


def test_a_picture_of_the_library_is_the_parent(server: MediaryServer) -> None:
    parent = make(server, asked("A hill"))

    assert make(server, asked("Bluer", linked(parent["url"])))["parent"] == parent["name"]
    assert make(server, asked("Bluer", linked(parent["url"] + "?url=x")))["parent"] == parent["name"]
    assert make(server, asked("Bluer", linked("/images" + parent["url"].removeprefix("/media"))))["parent"]


def test_a_name_of_any_script_can_be_the_parent(server: MediaryServer) -> None:
    name = "1700100000_тихое+море_eeeeeeeeeeeeeeee.png"
    (server.data / "generated_media" / name).write_bytes(picture())

    assert make(server, asked("Bluer", linked(f"/media/{quote(name)}")))["parent"] == name


def test_what_was_brought_is_kept_and_is_the_parent(server: MediaryServer) -> None:
    brought = picture(width=21)

    first = make(server, asked("Bluer", shown(brought)), user="berta")
    again = make(server, asked("Redder", shown(brought)), user="carl")

    [kept] = [item for item in attachments(server) if item["width"] == 21]
    assert first["parent"] == again["parent"] == kept["name"]
    assert (kept["prompt"], kept["owner"], kept["tags"]) == ("", "berta", ["attachment"])
    assert server.get(kept["url"]) == brought


def test_the_first_picture_of_the_question_is_the_parent(server: MediaryServer) -> None:
    older = asked("Look", shown(picture(width=22)))
    answer = {"role": "assistant", "content": "A fine picture"}
    question = asked("Mix", heard(sound("mp3", "libmp3lame")), shown(picture(width=23)), shown(picture(width=24)))

    item = make(server, older, answer, question)

    [first] = [kept for kept in attachments(server) if kept["width"] == 23]
    assert item["parent"] == first["name"]
    assert {kept["width"] for kept in attachments(server)} >= {22, 23, 24}
    assert "audio" in {kept["kind"] for kept in attachments(server)}


def test_a_picture_of_an_earlier_question_is_not_the_parent(server: MediaryServer) -> None:
    older = asked("Look", shown(picture(width=25)))

    assert make(server, older, {"role": "assistant", "content": "Fine"}, asked("Another hill"))["parent"] is None


def test_what_is_not_kept_is_no_parent(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", settings="[media]\nkeep_attachments = false\n") as server:
        assert make(server, asked("Bluer", shown(picture(width=26))))["parent"] is None
        assert attachments(server) == []

        first = make(server, asked("A hill"))
        assert make(server, asked("Bluer", linked(first["url"])))["parent"] == first["name"]


async def test_what_a_service_made_is_written_down_with_its_own_words(
    tmp_path: Path,
) -> None:
    made = picture(width=27)
    answer = {"data": [{"url": "/made.png", "revised_prompt": "A large red hill"}]}
    async with scripted() as service:
        service.play(said(answer), whole(made, content_type="image/png"))
        models = 'models = ["draw"]\nimage_models = ["draw"]\n'
        table = f'[providers.Up]\nwire = "openai"\nbase_url = "{service.base_url}"\n{models}'
        server = MediaryServer(tmp_path / "data", settings=table)
        await asyncio.to_thread(server.start)
        fields = {"provider": "Up", "model": "draw", "steps": 9, "negative_prompt": "snow", "seed": 3}
        item = await asyncio.to_thread(make, server, asked("A red hill"), width=None, height=None, **fields)
        await asyncio.to_thread(server.stop)

        sent = service.asked[0].json
        assert (sent["steps"], sent["negative_prompt"], sent["seed"]) == (9, "snow", 3)
        assert (item["prompt"], item["alt"]) == ("A red hill", "A large red hill")
        assert (item["steps"], item["negative_prompt"], item["seed"]) == (9, "snow", "3")
        assert item["source_url"] == f"{service.origin}/made.png"
