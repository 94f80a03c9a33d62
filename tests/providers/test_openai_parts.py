"""Files in questions on the chat completions wire: the part of each kind, and what a provider says that it takes."""

import base64

import pytest
from tests.providers.conftest import Make
from tests.providers.turns import ask, hold
from tests.servers.scripted import Scripted, delta, events, streamed

from mediary.errors import TooLargeError, UnsupportedTypeError
from mediary.providers.base import Document, Message, Remote, Text, TurnRequest, Video

POINTER = {"type": "file", "file": {"file_id": "file-1"}}


@pytest.fixture(autouse=True)
def answers(service: Scripted) -> None:
    service.play(streamed(events(delta(content="yes"), delta("stop"))))


def uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


async def test_each_kind_has_its_part(make: Make, service: Scripted):
    parts = (
        Video("video/mp4", b"film" * 100_000),
        Document("application/pdf", b"%PDF", "größe.pdf"),
        Remote("application/pdf", POINTER, "lease.pdf"),
    )
    assert (await hold(make(service.base_url), ask("Look", *parts))).text == "yes"

    assert service.asked[0].json["messages"][0]["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "video_url", "video_url": {"url": uri("video/mp4", b"film" * 100_000)}},
        {"type": "file", "file": {"filename": "größe.pdf", "file_data": uri("application/pdf", b"%PDF")}},
        POINTER,
    ]


async def test_only_users_bring_files(make: Make, service: Scripted):
    remote = Remote("application/pdf", POINTER, "lease.pdf")
    messages = (Message("assistant", (Text("Here"), remote)), Message("user", (Text("Thanks"),)))
    await hold(make(service.base_url), TurnRequest("gpt-4o", messages))

    assert [message["content"] for message in service.asked[0].json["messages"]] == ["Here", "Thanks"]


async def test_headers_of_the_question_are_sent_and_never_in_place_of_the_operators(make: Make, service: Scripted):
    headers = {"X-Files": "enable", "Authorization": "Bearer another", "X-Team": "another"}
    await hold(make(service.base_url, api_key="sk-own", headers={"X-Team": "ours"}), ask("Hello", headers=headers))

    sent = service.asked[0].headers
    assert (sent["x-files"], sent["authorization"], sent["x-team"]) == ("enable", "Bearer sk-own", "ours")


async def test_what_it_takes(make: Make, service: Scripted):
    usual = make(service.base_url).takes("gpt-4o")
    usual.check("Up", "lease.pdf", "application/pdf", 50 * 1024**2)
    with pytest.raises(TooLargeError):
        usual.check("Up", "lease.pdf", "application/pdf", 50 * 1024**2 + 1)
    with pytest.raises(UnsupportedTypeError):
        usual.check("Up", "clip.mp4", "video/mp4", 1)

    told = make(service.base_url, takes=("video/*",), inline_bytes=1000).takes("gpt-4o")
    told.check("Up", "clip.mp4", "video/mp4", 1000)
    with pytest.raises(TooLargeError):
        told.check("Up", "sea.png", "image/png", 1001)


async def test_models_that_make_pictures_take_pictures(make: Make, service: Scripted):
    provider = make(service.base_url, image_models=("painter",))

    for model in ("painter", "dall-e-3"):
        with pytest.raises(UnsupportedTypeError):
            provider.takes(model).check("Up", "lease.pdf", "application/pdf", 1)
        provider.takes(model).check("Up", "sea.png", "image/png", 1)
