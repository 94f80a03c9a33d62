"""Videos of the generateContent wire: what is asked of Veo, and what comes of every way its operation may end."""

import base64
from collections.abc import Callable

import pytest
from tests.providers.turns import ask, hold
from tests.servers.openai_videos import film
from tests.servers.scripted import Scripted, refused, said, whole

from mediary.errors import (
    FieldError,
    MissingAuthError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from mediary.events import Reasoning
from mediary.providers.base import Image
from mediary.providers.gemini.provider import Gemini
from mediary.providers.http import jobs

VEO = "veo-3.1-generate-preview"
KEY = "AIza-key-of-the-operator-0123456789"
OPERATION = f"models/{VEO}/operations/abc123"
PICTURE = Image("image/png", b"\x89PNG\r\n\x1a\n picture")
Make = Callable[..., Gemini]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(jobs, "LONGEST_WAIT", 0.02)


@pytest.fixture
def veo(make_gemini: Make, service: Scripted) -> Gemini:
    return make_gemini(f"{service.origin}/v1beta", api_key=KEY)


def over(*uris: str, **fields: object) -> dict[str, object]:
    samples = [{"video": {"uri": uri}} for uri in uris]
    return {
        "name": OPERATION,
        "done": True,
        "response": {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse",
            "generateVideoResponse": {"generatedSamples": samples, **fields},
        },
    }


async def test_a_video_is_asked_for_followed_and_fetched(veo: Gemini, service: Scripted):
    uri = f"{service.origin}/v1beta/files/xyz:download?alt=media"
    service.play(
        said({"name": OPERATION}),
        said({"name": OPERATION, "metadata": {"@type": "x"}}),
        said({"name": OPERATION, "done": False}),
        said(over(uri)),
        whole(film(), content_type="video/mp4"),
    )
    options = {"seconds": 8, "size": "1920x1080", "negative_prompt": "people", "seed": 5, "n": 1}
    turn = await hold(veo, ask("A boat", PICTURE, PICTURE, model=VEO, options=options))
    assert turn.error is None
    assert [(asked.method, asked.path) for asked in service.asked] == [
        ("POST", f"/v1beta/models/{VEO}:predictLongRunning"),
        *[("GET", f"/v1beta/{OPERATION}")] * 3,
        ("GET", "/v1beta/files/xyz:download?alt=media"),
    ]
    coded = {"bytesBase64Encoded": base64.b64encode(PICTURE.data).decode(), "mimeType": "image/png"}
    assert service.asked[0].json == {
        "instances": [{"prompt": "A boat", "image": coded, "lastFrame": coded}],
        "parameters": {
            "aspectRatio": "16:9", "resolution": "1080p", "durationSeconds": 8, "negativePrompt": "people", "seed": 5,
            "sampleCount": 1,
        },
    }  # fmt: skip
    assert {asked.headers["x-goog-api-key"] for asked in service.asked} == {KEY}
    assert [(media.kind, media.data, media.alt) for media in turn.media] == [("video", film(), "A boat")]
    assert [event.status for event in turn.events if isinstance(event, Reasoning)] == ["in progress"]
    assert turn.reason == "stop"


async def test_nothing_is_said_that_nobody_asked_for(veo: Gemini, service: Scripted):
    service.play(said({"name": OPERATION}), said(over("https://videos.test/1.mp4", "https://videos.test/2.mp4")))
    turn = await hold(veo, ask("A boat", model=f"models/{VEO}"))
    assert service.asked[0].json == {"instances": [{"prompt": "A boat"}]}
    assert [(media.url, media.headers) for media in turn.media] == [
        ("https://videos.test/1.mp4", {}),
        ("https://videos.test/2.mp4", {}),
    ]


async def test_a_video_within_the_answer(veo: Gemini, service: Scripted):
    coded = base64.b64encode(film()).decode()
    service.play(
        said({"name": OPERATION}),
        said({"done": True, "response": {"videos": [{"bytesBase64Encoded": coded, "mimeType": "video/mp4"}]}}),
    )
    turn = await hold(veo, ask("A boat", model=VEO))
    assert [media.data for media in turn.media] == [coded]


async def test_more_pictures_than_there_are_frames(veo: Gemini, service: Scripted):
    turn = await hold(veo, ask("A boat", PICTURE, PICTURE, PICTURE, model=VEO))
    assert isinstance(turn.error, FieldError)
    assert service.asked == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (over(raiMediaFilteredCount=1, raiMediaFilteredReasons=["It shows a person."]), "It shows a person."),
        (over(), "made no video"),
        ({"done": True}, "made no video"),
        ({"done": True, "error": {"code": 3, "message": f"Not with {KEY}"}}, "Test: Not with …"),
        ({"done": True, "response": {"generateVideoResponse": []}}, "cannot be read"),
        (over("http://[::1"), "URL that cannot be read"),
    ],
)
async def test_an_operation_without_a_video(veo: Gemini, service: Scripted, answer: object, words: str):
    service.play(said({"name": OPERATION}), said(answer))
    turn = await hold(veo, ask("A boat", model=VEO))
    assert isinstance(turn.error, ProviderError)
    assert words in turn.error.message
    assert KEY not in turn.error.message


async def test_refusals(veo: Gemini, service: Scripted):
    for answer, kind in (
        (said({"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}, 429), RateLimitError),
        (said({"error": {"code": 403, "message": "No", "status": "PERMISSION_DENIED"}}, 403), MissingAuthError),
        (said({}), ProviderError),
    ):
        service.play(answer)
        assert type((await hold(veo, ask("A boat", model=VEO))).error) is kind


async def test_a_service_that_dies(veo: Gemini, service: Scripted):
    service.play(said({"name": OPERATION}), refused)
    assert isinstance((await hold(veo, ask("A boat", model=VEO))).error, ProviderUnavailableError)


async def test_the_time_of_the_turn_bounds_it(veo: Gemini, service: Scripted):
    service.play(said({"name": OPERATION}))
    turn = await hold(veo, ask("A boat", model=VEO, timeout=0.2))
    assert isinstance(turn.error, ProviderTimeoutError)


async def test_what_is_listed_and_taken(veo: Gemini, make_gemini: Make, service: Scripted):
    listed = [
        {"name": f"models/{VEO}", "supportedGenerationMethods": ["predictLongRunning"]},
        {"name": "models/veo-2.0-old", "supportedGenerationMethods": ["predict"]},
        {"name": "models/gemini-3.8-flash", "supportedGenerationMethods": ["generateContent"]},
    ]
    service.play(said({"models": listed}))
    assert [(model.id, model.kind) for model in await veo.models()] == [(VEO, "video"), ("gemini-3.8-flash", "chat")]
    takes = veo.takes(VEO)
    assert (takes.types, takes.inline_only) == (("image/*",), True)
    other = make_gemini(f"{service.origin}/v1beta", models=("m",), video_models=("models/m",))
    assert [(model.id, model.kind) for model in await other.models()] == [("m", "video")]
