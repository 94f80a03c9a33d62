"""Videos against aimock, a server of its own that knows nothing of us: OpenAI's, xAI's, OpenRouter's and Google's."""

import itertools
from collections.abc import Callable

import pytest
from tests.net.names import Names, client_with
from tests.providers.conftest import _made
from tests.providers.turns import Turn, ask, hold
from tests.servers.aimock import KEY, Aimock
from tests.servers.openai_videos import film

from mediary.errors import ProviderError
from mediary.events import Reasoning
from mediary.providers.base import Image
from mediary.providers.gemini.provider import Gemini
from mediary.providers.http import jobs
from mediary.providers.openai.provider import OpenAI

BOAT = "A boat in the film"
URL = "http://videos.test/boat.mp4"
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(jobs, "LONGEST_WAIT", 0.02)


class Studio:
    """A provider at aimock under the name of a service; `asked` is what came there."""

    def __init__(self, aimock: Aimock, kind: type, wire: str, host: str, path: str, model: str) -> None:
        self.aimock, self.kind, self.wire, self.host, self.model = aimock, kind, wire, host, model
        self.url = f"http://{host}:{aimock.url.rpartition(':')[2]}{path}"
        self.id = f"video-{next(_numbers)}"

    async def hold(self, prompt: str, *parts: Image, **options: object) -> Turn:
        names = Names(**{self.host.replace(".", "_"): [["127.0.0.1"]]})
        async with client_with(names) as http:
            headers = {"X-Test-Id": self.id}
            provider = _made(
                http, self.kind, self.wire, self.url, api_key=KEY, headers=headers, video_models=(self.model,)
            )
            turn = await hold(provider, ask(prompt, *parts, model=self.model, options=options))
            await provider.close()
            return turn

    @property
    def asked(self) -> list[tuple[str, str, int]]:
        entries = self.aimock.journal(self.id)
        return [(entry["method"], entry["path"].partition("?")[0], entry["response"]["status"]) for entry in entries]


STUDIOS = {
    "openai": (OpenAI, "openai", "videos.example.test", "/v1", "sora-2"),
    "xai": (OpenAI, "openai", "api.x.ai", "/v1", "grok-imagine-video"),
    "openrouter": (OpenAI, "openai", "openrouter.ai", "/api/v1", "bytedance/seedance-2.0"),
    "gemini": (Gemini, "gemini", "generativelanguage.googleapis.com", "/v1beta", "veo-3.1-generate-preview"),
}


@pytest.fixture
def studio(aimock: Aimock) -> Callable[[str], Studio]:
    return lambda name: Studio(aimock, *STUDIOS[name])


@pytest.mark.parametrize("name", STUDIOS)
async def test_a_video(studio: Callable[[str], Studio], name: str):
    place = studio(name)
    turn = await place.hold(BOAT, seconds=5, aspect_ratio="16:9")
    assert turn.error is None
    assert turn.reason == "stop"
    [media] = turn.media
    assert (media.kind, media.alt) == ("video", BOAT)
    if name == "openrouter":
        assert media.data == film(2)
        assert turn.usage == {"cost": 0.5}
    else:
        assert (media.url, media.headers) == (URL, {})
    assert {status for _, path, status in place.asked if "models" not in path} == {200}


@pytest.mark.parametrize("name", STUDIOS)
async def test_a_video_that_is_not_made(studio: Callable[[str], Studio], name: str):
    turn = await studio(name).hold("A film that fails")
    assert type(turn.error) is ProviderError
    assert "not made" in turn.error.message
    assert turn.media == []


@pytest.mark.parametrize("name", ["xai", "openrouter", "gemini"])
async def test_how_far_it_is(studio: Callable[[str], Studio], name: str):
    turn = await studio(name).hold(BOAT, Image("image/png", b"\x89PNG\r\n\x1a\n picture"))
    said = [event for event in turn.events if isinstance(event, Reasoning)]
    assert said
    assert {event.label for event in said} == {"Video"}


async def test_where_a_service_is_asked(studio: Callable[[str], Studio]):
    place = studio("xai")
    await place.hold(BOAT)
    assert ("POST", "/v1/videos/generations", 200) in place.asked
