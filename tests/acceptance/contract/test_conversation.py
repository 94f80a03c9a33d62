"""CONTRACT.md, "Conversation": each field of the question, then each event of the answer."""

import base64
import json
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.media.samples import picture, sound
from tests.server.bucket_client import upload
from tests.server.forms import form
from tests.servers.aimock import KEY
from tests.servers.contract_peers import Peers
from tests.servers.mediary import MediaryServer, media_urls
from tests.servers.refusing import RETRY_AFTER

PATH = "/backend-api/v2/conversation"
SEA = "The sea is wide, and it is blue — „wie der Himmel“. 🌊"
Event = dict[str, Any]


def of_type(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def text(events: list[Event]) -> str:
    return "".join(event["content"] for event in of_type(events, "content"))


def look(server: MediaryServer, *parts: Event, text: str = "When does the harbour open?", **fields: Any) -> list[Event]:
    """A turn whose question is in parts."""
    content = [{"type": "text", "text": text}, *parts]
    return server.converse(messages=[{"role": "user", "content": content}], **fields)


# The fields of the question


@pytest.mark.parametrize(
    ("fields", "name", "model"),
    [
        ({}, "Aimock", "gpt-4o"),
        ({"provider": "Local"}, "Local", "passages"),
        ({"model": "picture", "width": 16, "height": 16}, "Local", "picture"),
        ({"provider": "Aimock", "model": "gpt-4o-mini"}, "Aimock", "gpt-4o-mini"),
    ],
)
def test_model_and_provider(server: MediaryServer, fields: Event, name: str, model: str) -> None:
    chosen = server.converse("Tell me of the sea", **fields)[0]["provider"]

    assert (chosen["name"], chosen["model"]) == (name, model)


@pytest.mark.parametrize("url", ["data", "/media/", "/files/", "http"])
def test_messages_with_a_picture_by_url(server: MediaryServer, url: str) -> None:
    if url == "data":
        url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    elif url == "/files/":
        upload(server, "pictures", {"hill.png": picture()})
        url = "/files/pictures/media/hill.png"
    else:
        [kept] = media_urls(server.converse("A hill", provider="Local", model="picture", width=16, height=16))
        url = kept if url == "/media/" else server.url + kept

    events = look(server, {"type": "image_url", "image_url": {"url": url}}, provider="Local")

    assert events[-1]["type"] == "finish"


def test_messages_with_a_sound(server: MediaryServer) -> None:
    data = base64.b64encode(sound("wav", "pcm_s16le")).decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}

    events = look(server, part, text="Tell me of the sea", provider="Aimock")

    assert text(events) == SEA


def test_messages_with_a_file_of_a_bucket_and_with_its_text(server: MediaryServer) -> None:
    upload(server, "notes", {"harbour.txt": b"The harbour opens at six."})

    by_name = look(server, {"bucket_id": "notes", "name": "harbour.txt.md"}, provider="Local")
    whole = look(server, {"bucket_id": "notes"}, provider="Local")

    assert "The harbour opens at six." in text(by_name)
    assert "The harbour opens at six." in text(whole)


def test_messages_with_a_part_of_bare_text(server: MediaryServer) -> None:
    assert "The harbour opens at six." in text(look(server, {"text": "The harbour opens at six."}, provider="Local"))


def test_a_form_with_files_and_media_urls(server: MediaryServer) -> None:
    [url] = media_urls(server.converse("A hill", provider="Local", model="picture", width=16, height=16))
    question = {"provider": "Local", "messages": [{"role": "user", "content": "When does the harbour open?"}]}
    body, kind = form({"json": json.dumps(question), "media_url": url}, {"a.txt": b"The harbour opens at six."})

    with server.open(PATH, raw=body, method="POST", headers={"content-type": kind}) as answer:
        assert answer.status == 200
        assert "The harbour opens at six." in answer.read().decode()


def test_conversation_goes_on(server: MediaryServer) -> None:
    [given] = of_type(server.converse("Hello", provider="Local"), "conversation")

    again = server.converse("Go on", provider="Local", conversation=given["conversation"])

    assert again[-1]["type"] == "finish"


def test_download_media(server: MediaryServer) -> None:
    fields = {"provider": "Aimock", "model": "dall-e-3", "n": 2}

    passed_on = server.converse("two pictures", download_media=False, **fields)
    fetched = server.converse("two pictures", **fields)

    assert "http://pictures.test/one.png" in media_urls(passed_on)
    assert not of_type(passed_on, "log")
    assert "could not be fetched" in of_type(fetched, "log")[0]["log"]


@pytest.mark.parametrize("wanted", [True, "opening hours of the harbour"])
def test_web_search(server: MediaryServer, wanted: bool | str) -> None:
    events = server.converse("Hello", provider="Local", web_search=wanted)

    assert of_type(events, "log")  # no search engine is set up here, which is said
    assert events[-1]["type"] == "finish"


def test_api_key(server: MediaryServer) -> None:
    assert server.converse("Tell me of the sea", provider="Aimock", api_key="wrong")[-1]["type"] == "auth"


def test_base_url_is_for_custom_alone(server: MediaryServer, peers: Peers) -> None:
    fields = {"model": "gpt-4o", "base_url": peers.aimock, "api_key": KEY}

    assert text(server.converse("Tell me of the sea", provider="Custom", **fields)) == SEA
    with server.open(PATH, {"messages": [{"content": "Hello"}], "provider": "Local", **fields}) as refused:
        assert (refused.status, json.load(refused)["error"]["code"]) == (422, "invalid_field")


def test_base_url_passes_the_guard(locked: MediaryServer) -> None:
    question = {"messages": [{"content": "Hello"}], "provider": "Custom", "model": "m"}
    headers = {"authorization": "Bearer hunter2-hunter2"}

    with locked.open(PATH, question | {"base_url": "http://169.254.169.254/"}, headers=headers) as refused:
        assert (refused.status, json.load(refused)["error"]["code"]) == (400, "address_refused")


def test_action_continue(server: MediaryServer) -> None:
    assert server.converse("Hello", provider="Local", action="continue")[-1]["type"] == "finish"


def test_options_are_passed_on(server: MediaryServer) -> None:
    options = {
        "temperature": 0.5, "max_tokens": 9, "top_p": 0.9, "stop": ["x"], "seed": 7, "reasoning_effort": "low",
        "response_format": {"type": "text"}, "tool_choice": "auto", "aspect_ratio": "1:1", "width": 16, "height": 16,
        "n": 1, "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    }  # fmt: skip

    [sent] = of_type(server.converse("Tell me of the sea", provider="Aimock", **options), "parameters")

    assert sent["parameters"] == {"model": "gpt-4o", **options}


@pytest.mark.parametrize("name", ["timeout", "stream_timeout"])
def test_timeouts(server: MediaryServer, name: str) -> None:
    events = server.converse("Hello", provider="Silent", **{name: 0.2})

    assert (events[-1]["type"], events[-1]["error"]) == ("error", "ProviderTimeoutError")


def test_other_fields_and_nulls_are_ignored(server: MediaryServer) -> None:
    ignored = {"id": "1", "conversation_id": "2", "prompt": "x", "ignored": [], "debug_mode": True, "action": "next"}

    assert server.converse("Hello", provider="Local", temperature=None, **ignored)[-1]["type"] == "finish"


# The answer, event by event


def test_the_stream(server: MediaryServer) -> None:
    with server.open(PATH, {"messages": [{"role": "user", "content": "Hello"}], "provider": "Local"}) as answer:
        body = answer.read().decode()

    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-cache", "no")
    for block in body.removesuffix("\n\n").split("\n\n"):
        kind, data = block.split("\n")
        assert kind == f"event: {json.loads(data.removeprefix('data: '))['type']}"


def test_provider_parameters_conversation_usage_and_finish(server: MediaryServer, peers: Peers) -> None:
    events = server.converse("Tell me of the sea", provider="Aimock", temperature=0.5)

    assert [event["type"] for event in events[:3]] == ["provider", "parameters", "conversation"]
    assert events[0] == {
        "type": "provider",
        "provider": {"name": "Aimock", "label": "Aimock", "url": events[0]["provider"]["url"], "model": "gpt-4o"},
    }
    assert events[1] == {"type": "parameters", "parameters": {"model": "gpt-4o", "temperature": 0.5}}
    assert set(events[2]["conversation"]) == {"Aimock"}
    usage = events[-2]
    assert set(usage) == {"type", "usage", "model", "provider"}
    assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= set(usage["usage"])
    assert events[-1] == {"type": "finish", "finish": {"reason": "stop"}}


def test_provider_again_if_a_fallback_takes_over(server: MediaryServer) -> None:
    events = server.converse("Hello", model="shaky")

    assert [event["provider"]["name"] for event in of_type(events, "provider")] == ["Says500", "Local"]
    assert "Says500" in of_type(events, "log")[0]["log"]


def test_preview(server: MediaryServer) -> None:
    events = server.converse("A boat", provider="Studio", model="gpt-image-2")

    preview = of_type(events, "preview")[0]
    assert set(preview) <= {"type", "preview", "urls", "alt"}
    assert isinstance(preview["preview"], str)


def test_reasoning(server: MediaryServer) -> None:
    events = server.converse("Think about it", provider="Aimock", model="deepseek-reasoner")

    assert "".join(event["token"] for event in of_type(events, "reasoning")) == "First I weigh it, then I say it."
    assert text(events) == "It is so."


def test_content_of_text(server: MediaryServer) -> None:
    contents = of_type(server.converse("Tell me of the sea", provider="Aimock"), "content")

    assert len(contents) > 1
    assert all(set(event) == {"type", "content"} for event in contents)
    assert "".join(event["content"] for event in contents) == SEA


def test_content_of_a_picture(server: MediaryServer) -> None:
    events = server.converse("a picture of the sea", provider="Aimock", model="gpt-image-1")

    [content] = of_type(events, "content")
    [url], alt = content["urls"], content["alt"]
    assert url.startswith("/media/")
    assert content == {
        "type": "content", "content": f"[![{alt}]({url})]({url})", "urls": [url], "alt": alt, "width": 2, "height": 2,
    }  # fmt: skip
    assert server.get(url).startswith(b"\x89PNG")


def test_content_of_a_sound(server: MediaryServer) -> None:
    [content] = of_type(server.converse("Hello", provider="Local", model="speech"), "content")

    [url] = media_urls([content])
    assert content["content"] == f'<audio controls src="{url}"></audio>'
    assert "data" not in content


def test_content_of_a_video(server: MediaryServer) -> None:
    events = server.converse("A boat", provider="Films", model="sora-2")

    states = [event["status"] for event in of_type(events, "reasoning") if event["label"] == "Video"]
    assert "37 %" in states
    [content] = of_type(events, "content")
    [url] = media_urls([content])
    assert content["content"] == f'<video src="{url}"></video>'
    assert server.get(url)[4:8] == b"ftyp"


def test_tool_calls(server: MediaryServer) -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}

    events = server.converse("What is the weather?", provider="Aimock", tools=[tool])

    calls = [call for event in of_type(events, "tool_calls") for call in event["tool_calls"]]
    assert {"index", "id", "type", "function"} <= set(calls[0])
    assert (calls[0]["type"], calls[0]["function"]["name"]) == ("function", "get_weather")
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(arguments) == {"city": "Kyōto", "unit": "celsius"}
    assert events[-1]["finish"] == {"reason": "tool_calls"}


def test_auth(server: MediaryServer) -> None:
    last = server.converse("Hello", provider="Says401")[-1]

    assert (last["type"], last["auth"]) == ("auth", "MissingAuthError")
    assert set(last) == {"type", "auth", "message"}


def test_error(server: MediaryServer) -> None:
    last = server.converse("Hello", provider="Says429")[-1]

    assert set(last) == {"type", "error", "message", "retry_after"}
    assert (last["type"], last["error"], last["retry_after"]) == ("error", "RateLimitError", RETRY_AFTER)


def test_who_leaves_ends_the_turn_and_what_came_is_in_the_ledger(server: MediaryServer, peers: Peers) -> None:
    question = {"messages": [{"role": "user", "content": "Tell"}], "provider": "Narrator", "model": "tale"}
    peers.narrator.say("Once")
    address = urlsplit(server.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
    headers = {"content-type": "application/json", "x-user": "leaver"}
    connection.request("POST", PATH, json.dumps(question), headers)
    answer = connection.getresponse()
    while b"Once" not in answer.readline():
        pass
    connection.close()
    answer.close()

    assert peers.narrator.left.wait(30)
    told: list[Event] = []
    while not told:  # it is written right behind
        told = [line for line in map(json.loads, lines(server)) if line["user"] == "leaver"]
    assert [(line["outcome"], line["characters"]) for line in told] == [("cancelled", 4)]


def lines(server: MediaryServer) -> list[bytes]:
    """What turns used today."""
    return server.get(f"/backend-api/v2/usage/{datetime.now(UTC).date().isoformat()}").splitlines()
