"""Videos of the OpenAI wire: what is asked for, how a job is followed, and what comes of every way it may end."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from email.parser import BytesParser
from email.policy import HTTP

import av
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.media.samples import picture
from tests.net.names import Names, client_with
from tests.providers.conftest import Make, _made
from tests.providers.turns import ask, hold
from tests.servers.openai_videos import KEY, VideosPeer, film, videos_peer
from tests.servers.scripted import Asked, Line, Scripted, refused, said, whole

from mediary.errors import (
    FieldError,
    MissingAuthError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.events import Media, Reasoning
from mediary.providers.base import Image, TurnRequest
from mediary.providers.http import fetching, jobs
from mediary.providers.http.models import kind_by_id
from mediary.providers.openai.provider import OpenAI
from mediary.providers.openai.video_jobs import _job

WIDE = picture(".png", 1280, 720)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services that do not say when to come back are asked without much delay."""
    monkeypatch.setattr(jobs, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(jobs, "LONGEST_WAIT", 0.02)
    monkeypatch.setattr(fetching, "PAUSE", 0.01)


@pytest.fixture
async def peer() -> AsyncIterator[VideosPeer]:
    async with videos_peer() as running:
        yield running


@pytest.fixture
def sora(make: Make, peer: VideosPeer) -> OpenAI:
    return make(peer.base_url, api_key=KEY)


def wish(text: str = "A boat at sea", *parts: Image, model: str = "sora-2", **options: object) -> TurnRequest:
    fields = {name: options.pop(name) for name in ("timeout", "stream_timeout") if name in options}
    return ask(text, *parts, model=model, options=options, **fields)


def states(events: list[object]) -> list[object]:
    return [event.status for event in events if isinstance(event, Reasoning) and event.label == "Video"]


def form(asked: Asked) -> dict[str, bytes]:
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    parts = BytesParser(policy=HTTP).parsebytes(head + asked.body).iter_parts()
    return {str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) for part in parts}


@pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
async def test_the_official_client_gets_a_video_from_the_peer(peer: VideosPeer):
    async with openai.AsyncOpenAI(api_key=KEY, base_url=peer.base_url, max_retries=0) as client:
        job = await client.videos.create_and_poll(
            prompt="A boat",
            model="sora-2",
            seconds="8",
            size="1280x720",
            input_reference=("sea.png", WIDE, "image/png"),
        )
        assert (job.status, job.progress, job.seconds, job.size) == ("completed", 100, "8", "1280x720")
        assert (await client.videos.download_content(job.id)).content == peer.data
        assert (await client.videos.delete(job.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.videos.retrieve(job.id)
        with pytest.raises(openai.BadRequestError, match="Supported values"):
            await client.videos.create(prompt="A boat", seconds="5")  # type: ignore[arg-type]


async def test_a_video_is_asked_for_followed_and_fetched(sora: OpenAI, peer: VideosPeer):
    turn = await hold(sora, wish(seconds=8, aspect_ratio="16:9"))
    assert turn.error is None
    assert states(turn.events) == ["queued", "37 %", "completed"]
    [media] = turn.media
    assert (media.kind, media.data, media.alt) == ("video", peer.data, "A boat at sea")
    assert turn.usage == {"seconds": 8.0}
    assert turn.reason == "stop"
    [job] = peer.jobs.values()
    assert job.asked == {"model": "sora-2", "prompt": "A boat at sea", "size": "1280x720", "seconds": "8"}


@pytest.mark.parametrize(
    ("model", "options", "size"),
    [
        ("sora-2", {"aspect_ratio": "9:16"}, "720x1280"),
        ("sora-2", {"aspect_ratio": "2:1"}, "1280x720"),
        ("sora-2-pro", {"aspect_ratio": "7:4"}, "1792x1024"),
        ("sora-2", {"width": 1280, "height": 720}, "1280x720"),
        ("sora-2", {"size": "720x1280", "aspect_ratio": "16:9"}, "720x1280"),
        ("sora-2", {}, None),
    ],
)
async def test_the_shape_of_a_video(sora: OpenAI, peer: VideosPeer, model: str, options: dict, size: str | None):
    assert (await hold(sora, wish(model=model, **options))).error is None
    [job] = peer.jobs.values()
    assert job.asked.get("size") == size


async def test_a_picture_is_what_the_video_begins_with(sora: OpenAI, peer: VideosPeer):
    turn = await hold(sora, wish("Let it move", Image("image/png", WIDE, "sea.png"), size="1280x720"))
    assert turn.error is None
    [job] = peer.jobs.values()
    assert job.picture == WIDE
    two = await hold(sora, wish("Let it move", Image("image/png", WIDE), Image("image/png", WIDE)))
    assert isinstance(two.error, FieldError)
    assert "one picture" in two.error.message


async def test_what_the_service_refuses_is_told_in_its_words(sora: OpenAI, make: Make, peer: VideosPeer):
    turn = await hold(sora, wish(seconds=5))
    assert "Supported values are: '4', '8', '12'" in str(turn.error)
    turn = await hold(sora, wish(seed=5))
    assert "Unknown parameter: 'seed'" in str(turn.error)
    turn = await hold(make(peer.base_url, api_key="sk-wrong-key-0123456789"), wish())
    assert isinstance(turn.error, MissingAuthError)
    assert peer.jobs == {}


async def test_a_job_that_fails(sora: OpenAI, peer: VideosPeer):
    peer.course = ["queued", 12, "failed"]
    peer.error = {"code": "moderation_blocked", "message": f"Your request was blocked. {KEY}"}
    turn = await hold(sora, wish())
    assert type(turn.error) is ProviderError
    assert turn.error.message == "Test: Your request was blocked. …"
    assert states(turn.events) == ["queued", "12 %", "failed"]
    assert not any("DELETE" in asked for asked in peer.asked)


async def test_a_job_that_fails_for_the_service_is_not_asked_for_again(sora: OpenAI, peer: VideosPeer):
    peer.course = ["queued", "failed"]
    peer.error = {"code": "server_error", "message": "The server had an error"}
    turn = await hold(sora, wish())
    assert isinstance(turn.error, ProviderUnavailableError)
    assert [asked.split()[0] for asked in peer.asked] == ["GET", "POST", "GET"]


async def test_failures_that_pass_do_not_cost_the_video(sora: OpenAI, peer: VideosPeer):
    peer.refusals = [500, 404, 429, 500]
    turn = await hold(sora, wish())
    assert turn.error is None
    assert turn.media[0].data == peer.data


async def test_a_service_that_stays_away_is_given_up_and_told(sora: OpenAI, peer: VideosPeer):
    peer.refusals = [500] * 50
    turn = await hold(sora, wish())
    assert isinstance(turn.error, ProviderUnavailableError)
    await peer.until("DELETE /v1/videos/video_")
    await sora.close()


async def test_a_slow_video_outlasts_the_time_between_two_pieces(sora: OpenAI, peer: VideosPeer):
    peer.course = ["queued", *[50] * 8, "completed"]
    turn = await hold(sora, wish(stream_timeout=0.05))
    assert turn.error is None
    assert states(turn.events) == ["queued", "50 %", "completed"]


async def test_the_time_of_the_turn_bounds_it(sora: OpenAI, peer: VideosPeer):
    peer.course = ["queued", 50]
    turn = await hold(sora, wish(timeout=0.3))
    assert isinstance(turn.error, ProviderTimeoutError)
    assert "50 %" in turn.error.message
    await peer.until("DELETE /v1/videos/video_")


async def test_who_leaves_has_the_job_let_go(sora: OpenAI, peer: VideosPeer):
    peer.course = ["queued", 50]
    async with aclosing(sora.converse(wish())) as happening:
        async for event in happening:
            if isinstance(event, Reasoning) and event.status == "50 %":
                break
    await peer.until("DELETE /v1/videos/video_")


async def test_a_turn_that_is_cancelled_has_the_job_let_go(sora: OpenAI, peer: VideosPeer):
    peer.course, peer.poll_headers = ["queued"], {"Retry-After": "30"}
    begun = asyncio.Event()

    async def follow() -> None:
        async for _ in sora.converse(wish()):
            begun.set()

    turn = asyncio.create_task(follow())
    await begun.wait()
    turn.cancel()
    await asyncio.wait([turn])
    await sora.close()
    assert peer.asked[-1].startswith("DELETE /v1/videos/video_")


async def test_a_turn_that_is_cancelled_before_it_knows_the_job(sora: OpenAI, peer: VideosPeer):
    peer.course, peer.slow = ["queued"], asyncio.Event()
    turn = asyncio.create_task(hold(sora, wish()))
    await peer.until("POST /v1/videos")
    turn.cancel()
    await asyncio.wait([turn])
    peer.slow.set()
    await sora.close()
    assert peer.asked[-1].startswith("DELETE /v1/videos/video_")


async def test_a_download_that_breaks_off_goes_on(sora: OpenAI, peer: VideosPeer):
    peer.data, peer.cuts = film(padding=300_000), [100_000, 200_000]
    turn = await hold(sora, wish())
    assert turn.error is None
    assert turn.media[0].data == peer.data
    assert sum("content" in asked for asked in peer.asked) == 3


async def test_a_download_that_breaks_off_for_good(sora: OpenAI, peer: VideosPeer):
    peer.data, peer.cuts = film(padding=300_000), [0, 100_000, 100_000]
    turn = await hold(sora, wish())
    assert isinstance(turn.error, StreamInterruptedError)
    assert turn.reason is None


async def test_a_download_that_gets_stuck_is_asked_for_again(sora: OpenAI, peer: VideosPeer):
    peer.data, peer.cuts, peer.stuck = film(padding=300_000), [100_000], True
    turn = await hold(sora, wish(stream_timeout=0.2))
    assert turn.error is None
    assert turn.media[0].data == peer.data


async def test_a_download_may_be_elsewhere_where_the_key_does_not_go(peer: VideosPeer):
    peer.redirected = True
    async with client_with(Names(localhost=[["127.0.0.1"]]), allow=["127.0.0.0/8"]) as http:
        sora = _made(http, OpenAI, "openai", peer.base_url, api_key=KEY)
        turn = await hold(sora, wish())
    assert turn.error is None
    assert turn.media[0].data == peer.data


async def test_who_leaves_in_the_middle_of_the_download(sora: OpenAI, peer: VideosPeer):
    peer.data = film(padding=3_000_000)
    async with aclosing(sora.converse(wish())) as happening:
        async for event in happening:
            if isinstance(event, Media):
                assert event.stream is not None
                assert await anext(aiter(event.stream))
                break
    assert not any("DELETE" in asked for asked in peer.asked)


# Other services, each in its own words.


async def test_a_service_that_takes_json_alone(make: Make, service: Scripted):
    made = said({"id": "v1", "status": "succeeded", "video": {"url": "https://videos.test/1.mp4", "duration": 5}})
    service.play(said({"detail": "Unsupported media type 'multipart/form-data'"}, 415), said({"id": "v1"}), made)
    provider = make(service.base_url, video_models=("m",))
    turn = await hold(provider, wish(model="m", seconds=5, width=640, height=360))
    assert turn.error is None
    assert [(asked.method, asked.path) for asked in service.asked] == [
        ("POST", "/v1/videos"),
        ("POST", "/v1/videos"),
        ("GET", "/v1/videos/v1"),
    ]
    assert service.asked[1].json == {"model": "m", "prompt": "A boat at sea", "size": "640x360", "seconds": "5"}
    assert (turn.media[0].url, turn.media[0].headers) == ("https://videos.test/1.mp4", {})
    assert turn.usage == {"seconds": 5.0}
    # What it took is remembered.
    service.play(made)
    await hold(provider, wish(model="m"))
    assert service.asked[0].headers["content-type"] == "application/json"


async def test_a_service_that_answers_at_once(make: Make, service: Scripted):
    service.play(
        said({"data": [{"url": "/made/1.mp4"}, {"b64_json": "AAAA"}]}), whole(film(), content_type="video/mp4")
    )
    turn = await hold(make(service.base_url, api_key=KEY, video_models=("m",)), wish(model="m"))
    assert turn.error is None
    assert [media.data for media in turn.media] == [film(), "data:video/mp4;base64,AAAA"]
    assert service.asked[1].path == "/made/1.mp4"
    assert service.asked[1].headers["authorization"] == f"Bearer {KEY}"


async def test_a_service_that_has_generations(make: Make, service: Scripted):
    missing = said({"error": "no such route"}, 404)
    pending = said({"status": "pending"}, 202, "Retry-After: 0")
    done = said({"status": "done", "video": {"url": "https://videos.test/x.mp4", "respect_moderation": True}})
    service.play(missing, said({"request_id": "r/1"}), pending, done)
    image = Image("image/png", WIDE)
    options = {"seconds": 6, "size": "720p", "aspect_ratio": "9:16"}
    turn = await hold(make(service.base_url, video_models=("m",)), wish("Go", image, model="m", **options))
    assert turn.error is None
    assert [asked.path for asked in service.asked] == [
        "/v1/videos", "/v1/videos/generations", "/v1/videos/r%2F1", "/v1/videos/r%2F1",
    ]  # fmt: skip
    body = service.asked[1].json
    assert body.pop("image")["url"].startswith("data:image/png;base64,")
    assert body == {"model": "m", "prompt": "Go", "duration": 6, "resolution": "720p", "aspect_ratio": "9:16"}
    assert turn.media[0].url == "https://videos.test/x.mp4"


async def test_a_model_that_is_not_there_is_looked_for_once(make: Make, service: Scripted):
    service.play(said({"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}, 404))
    turn = await hold(make(service.base_url, video_models=("m",)), wish(model="m"))
    assert (type(turn.error).__name__, len(service.asked)) == ("ModelNotFoundError", 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cannot be read"),
        (b"<title>Oops</title>", "Oops"),
        (b"[1]", "cannot be read"),
        (b"{}", "tells of no video"),
        (b'{"status": "completed"}', "tells of no video"),
        (b'{"id": "x", "status": "cancelled"}', "cancelled"),
        (b'{"id": "x", "status": "failed", "error": {"message": {"deep": ["er"]}}}', '{"deep":["er"]}'),
        (b'{"error": "out of credit"}', "out of credit"),
        (b'{"id": "x", "status": "done", "video": {"respect_moderation": false, "url": "https://x/"}}', "moderation"),
        (b'{"id": "x", "status": "done", "url": "http://[::1"}', "URL that cannot be read"),
        (b'{"data":' + b"[" * 100_000, "cannot be read"),
    ],
)
async def test_answers_without_a_video(make: Make, service: Scripted, body: bytes, words: str):
    service.play(whole(body))
    turn = await hold(make(service.base_url, video_models=("m",)), wish(model="m"))
    assert isinstance(turn.error, ProviderError)
    assert words in turn.error.message


async def test_a_service_that_dies_in_the_middle(make: Make, service: Scripted):
    service.play(said({"id": "v1", "status": "queued"}), refused)
    turn = await hold(make(service.base_url, video_models=("m",)), wish(model="m"))
    assert isinstance(turn.error, ProviderUnavailableError)


async def test_a_service_that_says_to_come_back_in_a_day(make: Make, service: Scripted, jump):
    asked = asyncio.Event()

    async def later(_: Asked, line: Line) -> None:
        await said({"error": {"message": "Slow down"}}, 429, "Retry-After: 86400")(_, line)
        asked.set()

    done = said({"id": "v1", "status": "completed", "url": "https://videos.test/1.mp4"})
    service.play(said({"id": "v1", "status": "queued"}, 200, "Retry-After: 0"), later, done)
    turn = asyncio.create_task(hold(make(service.base_url, video_models=("m",)), wish(model="m")))
    await asyncio.wait_for(asked.wait(), 10)
    while not turn.done():
        jump(jobs.LONGEST_SAID + 1)
        await asyncio.sleep(0.01)
    assert (await turn).error is None


async def test_too_often_is_told_as_such(make: Make, service: Scripted):
    service.play(said({"error": {"message": "Slow down"}}, 429, "Retry-After: 30"))
    turn = await hold(make(service.base_url, video_models=("m",)), wish(model="m"))
    assert isinstance(turn.error, RateLimitError)
    assert turn.error.retry_after == 30


async def named(service: Scripted, host: str, *request: object, path: str = "/api/v1", **options: object):
    """What is asked of a service that is known by its host."""
    names = Names(**{host.replace(".", "_"): [["127.0.0.1"]]})
    async with client_with(names, allow=["127.0.0.0/8"]) as http:
        url = f"http://{host}:{service.port}{path}"
        provider = _made(http, OpenAI, "openai", url, api_key=KEY, video_models=("m",))
        return await hold(provider, wish("Go", *request, model="m", **options))


async def test_openrouter(service: Scripted):
    made = {"id": "j", "status": "completed", "unsigned_urls": ["/api/v1/videos/j/content?index=0"]}
    service.play(
        said({"id": "j", "polling_url": "/api/v1/videos/j", "status": "pending"}, 202),
        said(made | {"usage": {"cost": 0.5, "is_byok": False}}),
        whole(film(), content_type="video/mp4"),
    )
    frames = [Image("image/png", WIDE), Image("image/png", WIDE)]
    turn = await named(service, "openrouter.ai", *frames, seconds=8, aspect_ratio="16:9", size="1080p")
    assert turn.error is None
    body = service.asked[0].json
    assert [frame["frame_type"] for frame in body.pop("frame_images")] == ["first_frame", "last_frame"]
    assert body == {"model": "m", "prompt": "Go", "duration": 8, "aspect_ratio": "16:9", "resolution": "1080p"}
    assert turn.media[0].data == film()
    assert turn.usage == {"cost": 0.5, "is_byok": False}
    assert {asked.headers["authorization"] for asked in service.asked} == {f"Bearer {KEY}"}


async def test_xai(service: Scripted):
    service.play(said({"request_id": "r"}), said({"status": "done", "video": {"url": "https://videos.test/1.mp4"}}))
    turn = await named(service, "api.x.ai", path="/v1", duration=2.5, width=1280, height=720)
    assert turn.error is None
    assert [asked.path for asked in service.asked] == ["/v1/videos/generations", "/v1/videos/r"]
    fields = {"model": "m", "prompt": "Go", "duration": 2.5, "aspect_ratio": "16:9", "resolution": "720p"}
    assert service.asked[0].json == fields


async def test_together(service: Scripted):
    service.play(
        said({"id": "t", "status": "in_progress"}),
        said({"id": "t", "status": "completed", "seconds": "5", "outputs": {"video_url": "https://videos.test/1.mp4"}}),
    )
    turn = await named(service, "api.together.xyz", Image("image/png", b"png"), path="/v1", seconds=5, size="1366x768")
    assert turn.error is None
    assert [asked.path for asked in service.asked] == ["/v2/videos", "/v2/videos/t"]
    assert service.asked[0].json == {
        "model": "m", "prompt": "Go", "seconds": "5", "width": 1366, "height": 768,
        "frame_images": [{"input_image": "cG5n", "frame": "first"}],
    }  # fmt: skip


# Names and shapes.


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("sora-2-pro", "video"),
        ("openai/sora-2", "video"),
        ("google/veo-3.1-fast", "video"),
        ("veo3-fast", "video"),
        ("grok-imagine-video", "video"),
        ("alibaba/wan-2.6", "video"),
        ("Wan-AI/Wan2.2-T2V-A14B", "video"),
        ("wan2.5-t2i-preview", "image"),
        ("kwaivgi/kling-2.1-master", "video"),
        ("bytedance/seedance-2.0", "video"),
        ("minimax/video-01", "video"),
        ("tencent/HunyuanVideo", "video"),
        ("zai-org/CogVideoX-5b", "video"),
        ("Lightricks/LTX-Video", "video"),
        ("LanguageBind/Video-LLaVA-7B", "chat"),
        ("DAMO-NLP-SG/VideoLLaMA3-7B", "chat"),
        ("SmolVLM2-2.2B-Video-Instruct", "chat"),
        ("gpt-4o", "chat"),
        ("wanderer-7b", "chat"),
        ("gpt-image-1", "image"),
    ],
)
def test_what_a_model_makes_by_its_name(model: str, kind: str):
    assert kind_by_id(model) == kind


async def test_video_models_are_listed_as_such(sora: OpenAI, make: Make, service: Scripted):
    assert {model.id: model.kind for model in await sora.models()} == {
        "gpt-4o": "chat", "sora-2": "video", "sora-2-pro": "video",
    }  # fmt: skip
    listed = [
        {"id": "a", "architecture": {"output_modalities": ["video"]}},
        {"id": "b", "type": "video"},
        {"id": "c", "architecture": {"output_modalities": ["text"]}},
    ]
    service.play(said({"data": listed}))
    models = await make(service.base_url, video_models=("c", "d")).models()
    assert [(model.id, model.kind) for model in models] == [(name, "video") for name in "abcd"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [
        "id",
        "request_id",
        "status",
        "progress",
        "error",
        "video",
        "url",
        "data",
        "outputs",
        "seconds",
        "usage",
        "message",
    ]
)


@given(st.dictionaries(names, json_values))
def test_whatever_a_service_tells_is_a_job_or_an_error(told: dict):
    with suppress(ProviderError):
        job = _job("Test", told, None)
        assert 0 < len(job.state) <= 40
        assert 0 <= job.progress <= 100
        assert all(link.startswith(("http://", "https://", "/", "data:")) for link in job.links)
        assert job.length is None or 0 < job.length < float("inf")


def test_the_film_is_one():
    with av.open(io.BytesIO(film(padding=1000))) as read:
        assert sum(1 for _ in read.decode(video=0)) == 12
