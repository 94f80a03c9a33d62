"""Videos from end to end: asked for, followed, kept, served with ranges and a frame; and every way it breaks off."""

import asyncio
import base64
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pyvips
from tests.media.samples import picture
from tests.servers.mediary import MediaryServer, media_urls
from tests.servers.openai_videos import KEY, VideosPeer, film, videos_peer

B = "/backend-api/v2"
ASKED = {"provider": "Films", "model": "sora-2"}


@pytest.fixture(scope="module")
async def films() -> AsyncIterator[VideosPeer]:
    async with videos_peer() as running:
        yield running


@pytest.fixture
def peer(films: VideosPeer, server: MediaryServer) -> VideosPeer:
    """The service as it is at the beginning; nothing has been made yet."""
    fresh = VideosPeer()
    for name in ("course", "error", "data", "cuts"):
        setattr(films, name, getattr(fresh, name))
    films.jobs.clear()
    films.asked.clear()
    for file in kept(server):
        file.unlink()
    return films


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, films: VideosPeer) -> AsyncIterator[MediaryServer]:
    provider = f'[providers.Films]\nwire = "openai"\nbase_url = "{films.base_url}"\napi_key = "{KEY}"\n'
    settings = f"[server]\ngrace_seconds = 0.5\n{provider}"
    running = MediaryServer(tmp_path_factory.mktemp("videos") / "data", settings=settings)
    await asyncio.to_thread(running.start)
    yield running
    await asyncio.to_thread(running.stop)


async def converse(server: MediaryServer, text: str = "A boat at sea", **fields: Any) -> list[dict[str, Any]]:
    return await asyncio.to_thread(server.converse, text, **(ASKED | fields))


def kept(server: MediaryServer) -> list[Path]:
    return sorted((server.data / "generated_media").glob("*.mp4"))


def probe(file: Path) -> Any:
    """What ffprobe reads in it."""
    fields = "stream=codec_name,width,height,nb_read_frames"
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", fields, "-of", "json", str(file)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]


async def test_a_video_is_made_kept_and_served(server: MediaryServer, peer: VideosPeer) -> None:
    events = await converse(server, seconds=8, aspect_ratio="16:9")

    assert [event["status"] for event in events if event.get("label") == "Video"] == ["queued", "37 %", "completed"]
    [content] = [event for event in events if event["type"] == "content"]
    [url] = content["urls"]
    assert content["content"] == f'<video src="{url}"></video>'
    assert [event["type"] for event in events[-3:]] == ["content", "usage", "finish"]
    assert events[-2]["usage"] == {"seconds": 8.0}
    [job] = peer.jobs.values()
    assert (job.asked["size"], job.asked["seconds"]) == ("1280x720", "8")

    [file] = kept(server)
    assert file.read_bytes() == peer.data
    [stream] = await asyncio.to_thread(probe, file)
    assert stream == {"codec_name": "h264", "width": 128, "height": 72, "nb_read_frames": "12"}

    async with aiohttp.ClientSession(server.url) as http:
        async with http.get(url, headers={"Range": "bytes=100-199"}) as part:
            assert (part.status, await part.read()) == (206, peer.data[100:200])
            assert part.headers["Content-Type"] == "video/mp4"
        async with http.get(url.replace("/media/", "/thumbnail/")) as thumbnail:
            frame = pyvips.Image.new_from_buffer(await thumbnail.read(), "")
            assert (thumbnail.status, frame.width, frame.height) == (200, 128, 72)


async def test_a_picture_of_the_library_begins_to_move(server: MediaryServer, peer: VideosPeer) -> None:
    data = picture(".png", 1280, 720)
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    parts = [{"type": "text", "text": "Let it move"}, {"type": "image_url", "image_url": {"url": uri}}]
    events = await converse(server, messages=[{"role": "user", "content": parts}], width=1280, height=720)
    assert events[-1]["type"] == "finish"
    [job] = peer.jobs.values()
    assert job.picture == data
    assert job.asked["prompt"] == "Let it move"


async def test_a_video_by_a_url(server: MediaryServer, peer: VideosPeer) -> None:
    query = "provider=Films&model=sora-2&prompt=A+boat&size=1280x720"
    async with aiohttp.ClientSession(server.url) as http, http.get(f"{B}/create?{query}") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "video/mp4")
        assert await answer.read() == peer.data
    [job] = peer.jobs.values()
    assert job.asked["size"] == "1280x720"


async def test_videos_are_counted(server: MediaryServer, peer: VideosPeer) -> None:
    models = {model["id"]: model for model in await asyncio.to_thread(server.get_json, f"{B}/models/Films")}
    assert [models[name]["video"] for name in ("sora-2", "sora-2-pro", "gpt-4o")] == [True, True, False]
    providers = await asyncio.to_thread(server.get_json, f"{B}/providers")
    assert next(each["video"] for each in providers if each["name"] == "Films") == 2


async def test_what_a_video_used_is_written_down(server: MediaryServer, peer: VideosPeer) -> None:
    await converse(server)
    await asyncio.to_thread(server.restart)  # it is written behind the answer
    days = (await asyncio.to_thread(server.get_json, f"{B}/stats"))["days"]
    day = next(each["date"] for each in days if each["requests"])
    records = map(json.loads, (await asyncio.to_thread(server.get, f"{B}/usage/{day}")).splitlines())
    record = max(records, key=lambda each: each["created"])
    assert (record["kind"], record["outcome"], record["media"]) == ("video", "finished", 1)
    assert record["media_bytes"] == len(peer.data)
    assert record["media_seconds"] == 1.0


async def test_a_job_that_fails_leaves_nothing(server: MediaryServer, peer: VideosPeer) -> None:
    peer.course, peer.error = ["queued", "failed"], {"code": "moderation_blocked", "message": "Not this one"}
    events = await converse(server)
    assert (events[-1]["type"], events[-1]["error"]) == ("error", "ProviderError")
    assert "Not this one" in events[-1]["message"]
    assert kept(server) == []


async def test_a_download_that_breaks_for_good_leaves_nothing(server: MediaryServer, peer: VideosPeer) -> None:
    peer.data, peer.cuts = film(padding=300_000), [100_000] * 3
    before = sorted((server.data / "generated_media").rglob("*"))
    events = await converse(server)
    assert (events[-1]["type"], events[-1]["error"]) == ("error", "StreamInterruptedError")
    assert sorted((server.data / "generated_media").rglob("*")) == before


async def test_a_download_that_is_no_video(server: MediaryServer, peer: VideosPeer) -> None:
    peer.data = b'{"error": "not now"}'
    events = await converse(server)
    assert events[-1]["type"] == "error"
    assert "cannot be kept" in events[-1]["message"]


async def test_its_own_urls_are_not_passed_through(server: MediaryServer, peer: VideosPeer) -> None:
    [url] = media_urls(await converse(server, download_media=False))
    assert url.startswith("/media/")


async def test_who_leaves_ends_the_job(server: MediaryServer, peer: VideosPeer) -> None:
    peer.course = ["queued", 50]
    async with aiohttp.ClientSession(server.url) as http:
        question = ASKED | {"messages": [{"role": "user", "content": "A boat"}]}
        async with http.post(f"{B}/conversation", json=question) as answer:
            async for line in answer.content:
                if b"50 %" in line:
                    break
    await peer.until("DELETE /v1/videos/video_")


async def test_a_detached_turn_outlasts_its_client_and_can_be_cancelled(
    server: MediaryServer, peer: VideosPeer
) -> None:
    peer.course = ["queued", 50]
    async with aiohttp.ClientSession(server.url) as http:
        question = ASKED | {"messages": [{"role": "user", "content": "A boat"}], "detach": True}
        async with http.post(f"{B}/conversation", json=question) as answer:
            run = answer.headers["X-Run-Id"]
            async for line in answer.content:
                if b"50 %" in line:
                    break
        assert not any("DELETE" in asked for asked in peer.asked)
        async with http.post(f"{B}/runs/{run}/cancel") as cancelled:
            assert cancelled.status == 200
    await peer.until("DELETE /v1/videos/video_")


async def test_a_server_that_is_stopped_lets_the_job_go(server: MediaryServer, peer: VideosPeer) -> None:
    peer.course = ["queued", 50]
    async with aiohttp.ClientSession(server.url) as http:
        question = ASKED | {"messages": [{"role": "user", "content": "A boat"}]}
        async with http.post(f"{B}/conversation", json=question) as answer:
            async for line in answer.content:
                if b"50 %" in line:
                    break
            await asyncio.gather(asyncio.to_thread(server.restart), peer.until("DELETE /v1/videos/video_"))


async def test_twenty_at_once(server: MediaryServer, peer: VideosPeer) -> None:
    turns = await asyncio.gather(*(converse(server, f"Boat {number}") for number in range(20)))
    assert [turn[-1]["type"] for turn in turns] == ["finish"] * 20
    assert len(kept(server)) == 20


@pytest.mark.parametrize("value", ["long", -1, 0, 3601, 1e999, [4]])
async def test_a_length_that_is_none(server: MediaryServer, peer: VideosPeer, value: Any) -> None:
    text = json.dumps(ASKED | {"messages": [{"role": "user", "content": "x"}], "seconds": value}).encode()
    raw = re.sub(rb"Infinity", b"1e999", text)
    headers = {"content-type": "application/json"}
    answer = await asyncio.to_thread(server.open, f"{B}/conversation", raw=raw, headers=headers)
    with answer:
        assert answer.status in (400, 422)
    assert peer.jobs == {}
