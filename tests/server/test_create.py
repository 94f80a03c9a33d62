"""`GET B/create` through HTTP: words, code, JSON, media, speech, what is kept, and what fails."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import av
import pytest
from tests.conversations.questions import serving
from tests.media.samples import picture
from tests.servers.browser import chromium
from tests.servers.mediary import MediaryServer
from tests.servers.narrator import narrator
from tests.servers.scripted import Hanging, Play, Scripted, delta, events, said, scripted, streamed
from tests.servers.searxng import searxng

PATH = "/backend-api/v2/create"
SETTINGS = """
[net]
allow = ["127.0.0.0/8"]
[providers.Peer]
wire = "openai"
base_url = "{url}"
models = ["m"]
default_model = "m"
api_key = "key-of-peer"
"""


class Client:
    """Asks one server."""

    def __init__(self, server: MediaryServer, http: aiohttp.ClientSession) -> None:
        self.server, self.http = server, http

    def open(
        self, prompt: str | None = "Hello", *, method: str = "GET", headers: dict[str, str] | None = None, **query: str
    ):
        asked = query if prompt is None else {"prompt": prompt, **query}
        return self.http.request(method, self.server.url + PATH, params=asked, headers=headers, allow_redirects=False)

    async def get(self, prompt: str = "Hello", *, headers: dict[str, str] | None = None, **query: str) -> str:
        """The text that must come."""
        async with self.open(prompt, headers=headers, **query) as answer:
            body = await answer.text()
            assert answer.status == 200, body
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            return body

    async def item(
        self, prompt: str = "Hello", *, headers: dict[str, str] | None = None, **query: str
    ) -> tuple[str, bytes]:
        """The one media item that must come, which is in the library as well: its type and its bytes."""
        async with self.open(prompt, headers=headers, **query) as answer:
            body = await answer.read()
            assert answer.status == 200, body
            url, kind = answer.headers["Content-Location"], answer.headers["Content-Type"]
        async with self.http.get(self.server.url + url) as kept:
            assert (await kept.read(), kept.headers["Content-Type"]) == (body, kind)
        return kind, body

    async def refused(self, prompt: str | None = "Hello", **query: Any) -> tuple[int, str]:
        async with self.open(prompt, **query) as answer:
            return answer.status, (await answer.json())["error"]["message"]


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture(scope="module")
async def peer() -> AsyncIterator[Scripted]:
    async with scripted() as peer:
        yield peer


@pytest.fixture(scope="module")
async def server(peer: Scripted, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MediaryServer]:
    settings = SETTINGS.format(url=peer.base_url)
    server = MediaryServer(tmp_path_factory.mktemp("create") / "data", settings=settings, debug=True)
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)
    assert server.slow_steps() == []


@pytest.fixture
def client(server: MediaryServer, http: aiohttp.ClientSession, peer: Scripted) -> Client:
    peer.play(says("Hello."))
    return Client(server, http)


def says(*words: str, reason: str = "stop") -> Play:
    return streamed(events(*(delta(content=word) for word in words), delta(reason)))


def paints(words: str, *pictures: bytes) -> Play:
    """An answer of words and pictures, as OpenRouter's are."""
    uris = ["data:image/png;base64," + base64.b64encode(each).decode() for each in pictures]
    images = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
    return streamed(events(delta(content=words, images=images), delta("stop")))


def png(size: int) -> bytes:
    return picture(".png", size, size)


# What is asked


async def test_the_question_goes_out_with_its_options(client: Client, peer: Scripted):
    assert (
        await client.get("Tell me.", provider="Peer", temperature="0.5", seed="7", max_tokens="9", unknown="x")
        == "Hello."
    )
    [asked] = peer.asked
    assert asked.headers["authorization"] == "Bearer key-of-peer"
    assert asked.json["messages"] == [{"role": "user", "content": "Tell me."}]
    assert {name: asked.json[name] for name in ("temperature", "seed")} == {"temperature": 0.5, "seed": 7}


async def test_the_key_and_the_user_come_in_headers(client: Client, peer: Scripted):
    headers = {"x_api_key": "a-key-of-mine", "x_user": "ann"}
    async with client.open(provider="Peer", headers=headers) as answer:
        run = answer.headers["X-Run-Id"]
    assert peer.asked[0].headers["authorization"] == "Bearer a-key-of-mine"
    async with client.http.get(f"{client.server.url}/backend-api/v2/runs/{run}") as found:
        assert (await found.json())["user"] == "ann"
    await client.get(provider="Peer", headers={"x_api_key": "null"})
    assert peer.asked[1].headers["authorization"] == "Bearer key-of-peer"


@pytest.mark.parametrize(
    ("query", "status", "names"),
    [
        ({"prompt": None}, 422, "prompt"),
        ({"prompt": " "}, 422, "prompt"),
        ({"n": "many"}, 400, "n is a whole number"),
        ({"temperature": "nan"}, 400, "temperature"),
        ({"json": "perhaps"}, 400, "json"),
        ({"stream": "x"}, 400, "stream"),
        ({"timeout": "-1"}, 422, "timeout"),
        ({"memory": "true"}, 422, "memory"),
        ({"provider": "Nobody"}, 404, "Nobody"),
        ({"model": "\0"}, 404, "model"),
        ({"audio": "true", "audio_provider": "Peer"}, 404, "speak"),
        ({"audio": "true", "format": "aac"}, 422, "format"),
        ({"audio": "no-such-voice"}, 422, "voice"),
        ({"provider": "CachedSearch"}, 404, "web search"),
        ({"method": "HEAD"}, 405, None),
        ({"method": "POST"}, 405, "GET"),
    ],
)
async def test_what_is_wrong_is_told_before_anybody_is_asked(
    client: Client, peer: Scripted, query: dict[str, Any], status: int, names: str | None
):
    async with client.open(**{"prompt": "Hello"} | query) as answer:
        assert answer.status == status, await answer.text()
        assert names is None or names in (await answer.json())["error"]["message"]
    assert not [asked for asked in peer.asked if asked.path.endswith("completions")]


async def test_strange_questions_are_answered(client: Client):
    for prompt in ("a\0b", "\U0001f40c" * 3000, "%", "\ud7ff", "+&=;"):
        assert await client.get(prompt, provider="Peer") == "Hello."


# Words


async def test_reasoning_is_left_out_and_sources_are_not(client: Client, peer: Scripted):
    peer.play(streamed(events(delta(reasoning_content="Hmm"), delta(content="Yes."), delta("stop"))))
    assert await client.get(provider="Peer") == "Yes."


async def test_of_an_answer_its_code_or_its_json(client: Client, peer: Scripted):
    peer.play(says("See:\n\n```py", 'thon\nprint(1)\n```\n\n```json\n{"a": ', "[1]}\n```\n"))
    assert await client.get(provider="Peer", filter_markdown="true") == "print(1)\n"
    assert await client.get(provider="Peer", filter_markdown="Python") == "print(1)\n"
    for query in ({"filter_markdown": "json"}, {"json": "true"}, {"json": "1", "stream": "true"}):
        assert await client.get(provider="Peer", **query) == '{"a": [1]}'
    status, message = await client.refused(provider="Peer", filter_markdown="rust")
    assert (status, message) == (502, "the answer of Peer holds no code in 'rust'")
    peer.play(says("No code."))
    assert await client.get(provider="Peer", filter_markdown="true") == "No code."
    assert (await client.refused(provider="Peer", json="true"))[0] == 502


async def test_large_answers_are_searched_beside_the_loop(client: Client, peer: Scripted):
    peer.play(says("* a\n" * 40_000 + "```\ncode\n```"))
    assert await client.get(provider="Peer", filter_markdown="true") == "code\n"


async def test_nothing_at_all_is_a_failure(client: Client, peer: Scripted):
    peer.play(says(reason="content_filter"))
    for query in ({}, {"stream": "true"}):
        status, message = await client.refused(provider="Peer", **query)
        assert status == 502
        assert "Peer" in message


async def test_words_are_streamed_as_they_come(tmp_path: Path, http: aiohttp.ClientSession):
    with narrator() as tale:
        async with serving(tmp_path, tale.settings) as server:
            tale.say("Once ")
            async with Client(server, http).open(provider="Narrator", model="tale", stream="true") as answer:
                assert await answer.content.readexactly(5) == b"Once "
                assert answer.headers["Transfer-Encoding"] == "chunked"
                tale.say("upon ")
                assert await answer.content.readexactly(5) == b"upon "
                tale.end()
                assert await answer.read() == b""


@pytest.mark.parametrize("query", [{}, {"stream": "true"}, {"cache": "left"}])
async def test_who_leaves_ends_the_turn(tmp_path: Path, http: aiohttp.ClientSession, query: dict[str, str]):
    with narrator() as tale:
        async with serving(tmp_path, tale.settings) as server:
            asking = asyncio.create_task(Client(server, http).get(provider="Narrator", model="tale", **query))
            assert await asyncio.to_thread(tale.asked.wait, 10)
            tale.say("Once ")
            asking.cancel()
            assert await asyncio.to_thread(tale.left.wait, 10)
            await asyncio.to_thread(server.await_output, "cancelled")
            runs = json.loads(await asyncio.to_thread(server.get, "/backend-api/v2/runs"))
            assert runs["runs"][0]["state"] == "cancelled"


# What fails


@pytest.mark.parametrize("query", [{}, {"stream": "true"}, {"cache": "failing"}, {"json": "true"}])
@pytest.mark.parametrize(
    ("upstream", "status", "words"),
    [
        (said({"error": {"message": "the model is on fire"}}, 500), 502, "the model is on fire"),
        (said({"error": {"message": "no such key"}}, 401), 401, "no such key"),
        (said({"error": {"message": "slower please"}}, 429, "Retry-After: 17"), 429, "slower please"),
    ],
)
async def test_failures_have_their_statuses(
    client: Client, peer: Scripted, query: dict[str, str], upstream: Play, status: int, words: str
):
    peer.play(upstream)
    if "cache" in query:
        query = {"cache": f"failing {status}"}
    async with client.open(provider="Peer", headers={"x-api-key": "mine"}, **query) as answer:
        assert answer.status == status
        assert words in (await answer.json())["error"]["message"]
        assert answer.headers.get("Retry-After") == ("17" if status == 429 else None)
    peer.play(says("Better."))
    assert await client.get(provider="Peer", headers={"x-api-key": "mine"}, **query | {"json": "false"}) == "Better."


async def test_a_stream_that_fails_later_breaks_off(client: Client, peer: Scripted):
    peer.play(streamed(events(delta(content="Once upon "), done=False), end=False))
    async with client.open(provider="Peer", stream="true") as answer:
        assert answer.status == 200
        assert await answer.content.readexactly(10) == b"Once upon "
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    peer.play(streamed(events(delta(content="Once upon "), done=False), end=False))
    assert (await client.refused(provider="Peer"))[0] == 502


async def test_what_takes_too_long_is_given_up(client: Client, peer: Scripted):
    peer.play(Hanging())
    assert (await client.refused(provider="Peer", timeout="0.1"))[0] == 504
    await peer.until_open(0)


async def test_a_run_can_be_ended_by_its_id(client: Client, peer: Scripted):
    peer.play(Hanging(events(delta(content="Once"), done=False)))
    async with client.open(provider="Peer", stream="true") as answer:
        assert await answer.content.readexactly(4) == b"Once"
        run = answer.headers["X-Run-Id"]
        async with client.http.post(f"{client.server.url}/backend-api/v2/runs/{run}/cancel") as ended:
            assert (await ended.json())["state"] == "cancelled"
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    await peer.until_open(0)


# Media


async def test_one_item_is_its_bytes(client: Client):
    kind, body = await client.item("the sea", provider="Local", model="picture", width="64", height="32", stream="true")
    assert (kind, body[:4]) == ("image/png", b"\x89PNG")
    kind, body = await client.item("Good morning.", provider="Local", model="speech", format="wav")
    assert (kind, body[:4]) == ("audio/wav", b"RIFF")


async def test_several_are_their_urls(client: Client):
    text = await client.get("the sea", provider="Local", model="picture", width="32", height="32", n="3")
    urls = text.splitlines()
    assert len(set(urls)) == 3
    for url in urls:
        async with client.http.get(client.server.url + url) as kept:
            assert kept.status == 200


async def test_with_words_they_are_markdown_unless_the_client_shows_no_words(client: Client, peer: Scripted):
    peer.play(paints("Here it is: ", png(3)))
    text = await client.get(provider="Peer")
    assert text.startswith("Here it is: [![")
    assert await client.get(provider="Peer", headers={"accept": "text/html,image/png,*/*"}) != ""
    kind, body = await client.item(provider="Peer", headers={"accept": "image/avif,image/*,*/*;q=0.8"})
    assert (kind, body) == ("image/png", png(3))
    assert (await client.get(provider="Peer", stream="true")).startswith("Here it is: [![")


async def test_what_is_not_to_be_kept_is_where_the_provider_says(client: Client, peer: Scripted):
    url = "https://example.com/a.png"
    peer.play(streamed(events(delta(images=[{"type": "image_url", "image_url": {"url": url}}]), delta("stop"))))
    async with client.open(provider="Peer", download_media="false", cache="x") as answer:
        assert (answer.status, answer.headers["Location"]) == (302, url)
    peer.play(says("new"))
    assert await client.get(provider="Peer", download_media="false", cache="x") == "new"


async def test_the_answer_is_read_out(client: Client, peer: Scripted):
    peer.play(says("**Good** morning, everybody."))
    made = {}
    for query in (
        {"audio": "true"},
        {"audio": "de"},
        {"audio_provider": "Local", "voice": "de"},
        {"audio": "1", "format": "opus"},
    ):
        kind, made[str(query)] = await client.item(provider="Peer", **query)
        assert kind == ("audio/opus" if "format" in query else "audio/mpeg")
        with av.open(BytesIO(made[str(query)])) as container:
            assert sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0)) > 1
    default, german, voiced, _ = made.values()
    assert default != german == voiced
    assert await client.get(provider="Peer", audio="false", audio_provider="Local") == "**Good** morning, everybody."


async def test_an_answer_without_words_cannot_be_read_out(client: Client, peer: Scripted):
    peer.play(says("```\n```"))
    status, message = await client.refused(provider="Peer", audio="true")
    assert (status, "read out" in message) == (502, True)


async def test_a_browser_shows_and_plays_it(client: Client):
    page_of = f"{client.server.url}{PATH}?provider=Local&prompt=the+sea&"
    async with chromium() as browser:
        page = await browser.new_page()
        shown = await page.goto(page_of + "model=picture&width=64&height=32")
        assert shown
        assert shown.headers["content-type"] == "image/png"
        assert await page.evaluate("document.images[0].naturalWidth") == 64
        await page.goto(f"{client.server.url}/docs")
        assert await page.evaluate(
            "url => new Promise(done => { const it = new Image(); it.onload = () => done(it.width); it.src = url })",
            page_of + "model=picture&width=48&height=32",
        ) == 48  # fmt: skip
        assert await page.evaluate(
            "url => new Promise((done, fail) => {"
            " const it = new Audio(url); it.onended = () => done(it.duration); it.onerror = () => fail(it.error);"
            " it.playbackRate = 16; it.play() })",
            page_of + "model=speech",
        ) > 0.2  # fmt: skip


# What is kept


async def test_the_same_question_with_the_same_id_is_answered_from_the_cache(client: Client, peer: Scripted):
    asked = {"provider": "Peer", "cache": "kept", "temperature": "0.5"}
    peer.play(says("first"), says("second"))
    assert await client.get("One?", **asked) == "first"
    assert await client.get("One?", stream="true", **asked) == "first"
    assert await client.get("One?", **asked | {"cache": "other"}) == "second"
    assert len(peer.asked) == 2
    peer.play(says("another"))
    others = (
        {"temperature": "0.6"},
        {"filter_markdown": "true"},
        {"audio": "true"},
        {"max_tokens": "3"},
        {"cache": "false"},
    )
    for other in others:
        async with client.open("One?", **asked | other) as answer:
            assert await answer.read() != b"first"
    async with client.open("One?", headers={"x-api-key": "mine"}, **asked) as answer:
        assert await answer.read() == b"another"
    assert await client.get("Two?", **asked) == "another"
    assert len(peer.asked) == len(others) + 2
    async with client.open("One?", **asked) as answer:
        assert int(answer.headers["Age"]) >= 0


async def test_twenty_at_once_are_one_question(client: Client, peer: Scripted):
    peer.play(says("once"), says("twice"))
    asked = {"provider": "Peer", "cache": "twenty"}
    answers = await asyncio.gather(*(client.get("Now?", **asked) for _ in range(20)))
    assert set(answers) == {"once"}
    assert len(peer.asked) == 1


async def test_neither_half_an_answer_nor_a_failure_is_kept(client: Client, peer: Scripted):
    asked = {"provider": "Peer", "cache": "whole"}
    peer.play(says("cut sho", reason="length"), says("no json"), says("whole"))
    assert await client.get("Four?", **asked) == "cut sho"
    assert (await client.refused("Four?", json="true", **asked))[0] == 502
    assert await client.get("Four?", **asked) == "whole"
    peer.play(says("[1]"))
    assert await client.get("Four?", json="true", **asked) == "[1]"
    assert await client.get("Four?", **asked) == "whole"


async def test_a_kept_picture_is_that_of_the_library_for_as_long_as_it_is_there(client: Client):
    asked = {"provider": "Local", "model": "picture", "width": "32", "height": "32", "cache": "picture"}
    first, again = [await client.item("hills", **asked) for _ in range(2)]
    assert first == again
    async with client.open("hills", **asked) as answer:
        url = answer.headers["Content-Location"]
    name = unquote(url.rpartition("/")[2])
    async with client.http.delete(f"{client.server.url}/backend-api/v2/media/{name}") as gone:
        assert gone.status < 300, await gone.text()
    async with client.open("hills", **asked) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Location"] != url


async def test_answers_outlive_a_restart_and_a_kill_leaves_none_that_is_half(
    tmp_path: Path, http: aiohttp.ClientSession
):
    with narrator() as tale:
        server = MediaryServer(tmp_path / "data", settings=tale.settings)
        client = Client(await asyncio.to_thread(server.start), http)
        asked = {"provider": "Narrator", "model": "tale", "cache": "tale"}
        tale.say("The ", "end.")
        tale.end()
        assert await client.get("Kept?", **asked) == "The end."
        tale.asked.clear()
        tale.say("Once ")
        lost = asyncio.create_task(client.get("Lost?", **asked))
        assert await asyncio.to_thread(tale.asked.wait, 10)
        await asyncio.to_thread(server.kill)
        with pytest.raises(aiohttp.ClientError):
            await lost
        await asyncio.to_thread(server.start)
        assert await client.get("Kept?", **asked) == "The end."
        while not tale.words.empty():
            tale.words.get()
        tale.say("All.")
        tale.end()
        assert await client.get("Lost?", **asked) == "All."
        await asyncio.to_thread(server.stop)


async def test_with_no_room_nothing_is_kept(tmp_path: Path, http: aiohttp.ClientSession, peer: Scripted):
    settings = SETTINGS.format(url=peer.base_url) + "[create]\ncache_bytes = 0\n"
    async with serving(tmp_path, settings) as server:
        peer.play(says("first"), says("second"))
        for words in ("first", "second"):
            assert await Client(server, http).get(provider="Peer", cache="x") == words


# The web


async def test_the_web_is_searched(tmp_path: Path, http: aiohttp.ClientSession, peer: Scripted):
    async with searxng() as service:
        service.found("http://127.0.0.1:9/ferry", "The ferry", "The last ferry leaves at half past eleven.")
        table = f'[websearch]\nengine = "searxng"\nurl = "{service.url}"\nfetch = false\n'
        async with serving(tmp_path, SETTINGS.format(url=peer.base_url) + table) as server:
            client = Client(server, http)
            peer.play(says("At 23:30 [1]. ```json\n[2]"), says("At 23:30. \n```json\n{}"))
            text = await client.get("When is the last ferry?", provider="Peer", web_search="true")
            assert "[The ferry](http://127.0.0.1:9/ferry)" in text
            assert service.queries == ["When is the last ferry?"]
            assert (
                await client.get("When?", provider="Peer", web_search="the last ferry", filter_markdown="json") == "{}"
            )
            assert service.queries[-1] == "the last ferry"
            found = await client.get("the last ferry", provider="CachedSearch")
            assert "half past eleven" in found
            assert "[The ferry](http://127.0.0.1:9/ferry)" in found
            service.results.clear()
            assert await client.get("no ferry at all", provider="CachedSearch") == ""
