"""aimock as a provider: text, pictures and speech; and with its chaos on, every turn ends with a clear event."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.servers.aimock import KEY, Aimock, running_aimock
from tests.servers.mediary import MediaryServer, media_urls


@pytest.fixture(scope="module")
def aimock() -> Iterator[Aimock]:
    with running_aimock() as running:
        yield running


def table(aimock: Aimock, name: str, **headers: str) -> str:
    sent = ", ".join(f'{header.replace("_", "-")} = "{value}"' for header, value in headers.items())
    return (
        f'[providers.{name}]\nwire = "openai"\nbase_url = "{aimock.base_url}"\napi_key = "{KEY}"\n'
        f'default_model = "gpt-4o"\nheaders = {{ {sent} }}\n'
    )


def start(aimock: Aimock, folder: Path, **headers: str) -> MediaryServer:
    return MediaryServer(folder / "data", settings=table(aimock, "Aimock", **headers))


@pytest.fixture(scope="module")
def server(aimock: Aimock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    with start(aimock, tmp_path_factory.mktemp("aimock")) as running:
        yield running


def test_text_streams_and_its_use_is_told(server: MediaryServer) -> None:
    events = server.converse("Tell me of the sea", provider="Aimock")

    text = "".join(event["content"] for event in events if event["type"] == "content")
    assert text == "The sea is wide, and it is blue — „wie der Himmel“. 🌊"
    [usage] = [event for event in events if event["type"] == "usage"]
    assert usage["usage"]["total_tokens"] > 0
    assert (usage["model"], usage["provider"]) == ("gpt-4o", "Aimock")
    assert events[-1]["finish"] == {"reason": "stop"}


def test_reasoning_and_tool_calls_are_events_of_their_own(server: MediaryServer) -> None:
    thought = server.converse("Think about it", provider="Aimock", model="deepseek-reasoner")
    called = server.converse(
        "What is the weather?",
        provider="Aimock",
        tools=[{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}],
    )

    assert "".join(event["token"] for event in thought if event["type"] == "reasoning").startswith("First I weigh it")
    calls = [call for event in called if event["type"] == "tool_calls" for call in event["tool_calls"]]
    assert calls[0]["function"]["name"] == "get_weather"
    assert called[-1]["finish"] == {"reason": "tool_calls"}


def test_a_picture_is_kept_and_served(server: MediaryServer) -> None:
    events = server.converse("a picture of the sea", provider="Aimock", model="gpt-image-1")

    [url] = media_urls(events)
    assert url.startswith("/media/")
    assert server.get(url).startswith(b"\x89PNG")
    [content] = [event for event in events if event["type"] == "content"]
    assert (content["width"], content["height"]) == (2, 2)


def test_a_picture_whose_url_leads_nowhere_keeps_its_url(server: MediaryServer) -> None:
    events = server.converse("two pictures", provider="Aimock", model="dall-e-3", n=2)

    first, second = media_urls(events)
    assert first == "http://pictures.test/one.png"
    assert server.get(second).startswith(b"\x89PNG")
    assert "log" in [event["type"] for event in events]


def test_a_url_is_passed_through_where_no_copy_is_wanted(server: MediaryServer) -> None:
    events = server.converse("two pictures", provider="Aimock", model="dall-e-3", n=2, download_media=False)

    assert media_urls(events)[0] == "http://pictures.test/one.png"
    assert "log" not in [event["type"] for event in events]


def test_speech_is_kept_and_served(server: MediaryServer) -> None:
    events = server.converse("Hello", provider="Aimock", model="tts-1")

    [url] = media_urls(events)
    with server.open(url) as response:
        assert response.headers["content-type"].startswith("audio/")
        assert response.read()


def test_its_models_are_listed(server: MediaryServer) -> None:
    assert server.get_json("/backend-api/v2/models")["Aimock"]


def test_a_cut_stream_keeps_what_came_and_says_so(server: MediaryServer) -> None:
    events = server.converse("cut this short", provider="Aimock")

    assert "content" in [event["type"] for event in events]
    assert (events[-1]["type"], events[-1]["error"]) == ("error", "StreamInterruptedError")


ENDS = {
    "ratelimit": "RateLimitError",
    "drop": "ProviderUnavailableError",
    "disconnect": "ProviderUnavailableError",
    "malformed": "BadAnswerError",
}


@pytest.mark.parametrize(("chaos", "error"), ENDS.items())
def test_chaos_ends_in_a_clear_event(aimock: Aimock, tmp_path: Path, chaos: str, error: str) -> None:
    headers = {f"x_aimock_chaos_{chaos}": "1", "x_test_id": f"acceptance-{chaos}"}
    with start(aimock, tmp_path, **headers) as server:
        events = server.converse("Tell me of the sea", provider="Aimock")

        assert (events[-1]["type"], events[-1]["error"]) == ("error", error)
        assert KEY not in server.output()


def test_with_chaos_of_every_kind_no_turn_hangs_or_ends_without_a_word(aimock: Aimock, tmp_path: Path) -> None:
    headers = {f"x_aimock_chaos_{chaos}": "0.2" for chaos in ENDS} | {"x_test_id": "acceptance-all"}

    def turn(number: int) -> dict[str, Any]:
        text, model = [("Tell me of the sea", "gpt-4o"), ("a picture of the sea", "gpt-image-1")][number % 2]
        return server.converse(text, provider="Aimock", model=model)[-1]

    with start(aimock, tmp_path, **headers) as server:
        with ThreadPoolExecutor(20) as pool:
            ends = list(pool.map(turn, range(60)))
        server.stop()

    kinds = {end["type"] for end in ends}
    assert kinds == {"finish", "error"}
    assert server.output().count("outcome=") == 60
    assert "Traceback" not in server.output()
