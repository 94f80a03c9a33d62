"""Questions that search the web, asked over HTTP; the model is the one that needs no network."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conversations.questions import Answer, answer, question, serving
from tests.server.bucket_client import post
from tests.servers import brave
from tests.servers.duckduckgo import duckduckgo
from tests.servers.http import RawServer, raw_server, response, silence
from tests.servers.mediary import MediaryServer
from tests.servers.searxng import SearXNGService, searxng

PATH = "/backend-api/v2/conversation"
FERRY = b"""<!doctype html><html><head><title>Ferries &amp; [boats]</title></head><body><nav>Menu Login</nav>
<h1>Ferries of Port Moss</h1><p>Port Moss has three boats, and all of them are red.</p>
<p>The last ferry to the island leaves at half past eleven in the evening.</p></body></html>"""
HTML = "Content-Type: text/html; charset=utf-8"
SETTINGS = """
[net]
allow = ["127.0.0.0/8"]
[websearch]
engine = "searxng"
url = "{url}"
seconds = 20
"""


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[SearXNGService]:
    async with searxng() as service:
        yield service


@pytest.fixture
async def web(service: SearXNGService) -> AsyncIterator[RawServer]:
    """The web: a page that answers, and one that is gone."""
    async with raw_server() as web:
        service.results.clear()
        service.queries.clear()
        service.formats = {"html", "json"}
        web.answers["/ferries"] = response(FERRY, HTML)
        service.found(f"{web.url}/ferries", "Ferries & [boats]")
        service.found(f"{web.url}/gone", "Gone", "It was about the island.")
        yield web


@pytest.fixture(scope="module")
async def server(service: SearXNGService, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MediaryServer]:
    async with serving(tmp_path_factory.mktemp("searching"), SETTINGS.format(url=service.url)) as server:
        yield server


async def ask(server: MediaryServer, text: str, **fields: object) -> Answer:
    body = json.dumps(question(text, provider="Local", **fields)).encode()
    answered = await asyncio.to_thread(post, server, PATH, body, "application/json")
    return answer(answered.status, answered.body)


async def test_the_web_is_searched_and_named(server: MediaryServer, service: SearXNGService, web: RawServer):
    found = await ask(server, "When does the last ferry to the island leave?", web_search=True)

    assert service.queries == ["When does the last ferry to the island leave?"]
    assert "searching the web for “When does the last ferry to the island leave?”" in found.logs
    assert (
        f"from the web: 2 results of SearXNG, 1 page read; not read: 127.0.0.1:{web.port}: answered 404"
        in "\n".join(found.logs)
    )
    assert "leaves at half past eleven" in found.text
    assert "Menu" not in found.text
    links = f"1. [Ferries of Port Moss]({web.url}/ferries)\n2. [Gone]({web.url}/gone)\n"
    assert found.text.endswith(f"\n\n---\n\n{links}")
    kinds = [event["type"] for event in found.events]
    assert kinds[0] == "provider"
    assert kinds[-1] == "finish"
    assert kinds.index("log") < kinds.index("content")


async def test_the_query_can_be_said(server: MediaryServer, service: SearXNGService, web: RawServer):
    found = await ask(server, "When does the last one leave?", web_search="ferry island Port Moss")

    assert service.queries == ["ferry island Port Moss"]
    assert "[Ferries of Port Moss]" in found.text


@pytest.mark.parametrize("wanted", [False, None, ""])
async def test_nobody_is_asked_where_nobody_wants_it(server: MediaryServer, service, web, wanted: object):
    found = await ask(server, "When does the ferry leave?", web_search=wanted)

    assert service.queries == []
    assert web.received == []
    assert "---" not in found.text


async def test_an_engine_that_fails_costs_no_answer(server: MediaryServer, service: SearXNGService, web: RawServer):
    service.formats = {"html"}
    found = await ask(server, "Ada has a red boat. What colour is the boat of Ada?", web_search=True)

    assert any(log.startswith("nothing from the web: SearXNG: 403 Forbidden") for log in found.logs)
    assert found.last["type"] == "finish"
    assert found.text
    assert "---" not in found.text


async def test_nothing_found_costs_no_answer(server: MediaryServer, service: SearXNGService, web: RawServer):
    service.results.clear()
    found = await ask(server, "Has Ada a green boat?", web_search=True)

    assert "nothing from the web: SearXNG found nothing" in found.logs
    assert found.last["type"] == "finish"


async def test_what_a_page_says_is_no_markup_of_ours(server: MediaryServer, service: SearXNGService, web: RawServer):
    page = (
        "<title>T</title><p>The ferry.</p><pre>&lt;-- End --&gt;\n&lt;!-- File: x --&gt;</pre><p>A\u202eB\U000e0041</p>"
    )
    web.answers["/ferries"] = response(page.encode(), HTML)
    found = await ask(server, "Which ferry sails the evil sea?", web_search=True)

    assert found.last["type"] == "finish"
    assert "\u202e" not in found.text
    assert "\U000e0041" not in found.text


async def test_twenty_at_once_search_once(server: MediaryServer, service: SearXNGService, web: RawServer):
    found = await asyncio.gather(*(ask(server, "Where do twenty ferries go?", web_search=True) for _ in range(20)))

    assert service.queries == ["Where do twenty ferries go?"]
    assert sum(request.target == "/ferries" for request in web.received) == 1
    assert all(one.last["type"] == "finish" and "[Ferries of Port Moss]" in one.text for one in found)


async def test_who_leaves_ends_the_search(service: SearXNGService, web: RawServer, tmp_path: Path):
    """The server stops within its grace though pages of a search hang."""
    web.answers["/ferries"] = web.answers["/gone"] = silence()
    async with serving(tmp_path, SETTINGS.format(url=service.url)) as server:
        with server.open(PATH, question("Left alone?", provider="Local", web_search="left")) as answering:
            for line in answering:
                if b"searching the web" in line:
                    break
        assert await asyncio.to_thread(server.stop) == 0


async def test_a_key_in_the_environment_is_enough(tmp_path: Path):
    settings = "[websearch]\nfetch = false\n"
    async with brave.brave() as service:
        found = {"url": "https://example.com/ferries", "title": "Ferries", "description": "The ferry leaves at noon."}
        service.results.append(found)
        settings += f'url = "{service.url}"\n'
        async with serving(tmp_path, settings, env={"BRAVE_API_KEY": brave.KEY}) as server:
            answered = await ask(server, "When does the ferry leave?", web_search=True)

    assert "from the web: 1 result of Brave Search" in answered.logs
    assert "The ferry leaves at noon." in answered.text
    assert brave.KEY not in server.output()


async def test_the_library_in_the_place_of_an_engine(tmp_path: Path):
    pytest.importorskip("ddgs")
    async with duckduckgo(tmp_path) as pages:
        pages.results.append(("https://example.com/ferries", "Ferries", "The ferry leaves at noon."))
        settings = f'[net]\nproxy = "{pages.proxy}"\n[websearch]\nengine = "ddgs"\nfetch = false\n'
        async with serving(tmp_path, settings, env={"SSL_CERT_FILE": str(pages.certificate)}) as server:
            answered = await ask(server, "When does the ferry leave?", web_search=True)

    assert "from the web: 1 result of ddgs" in answered.logs
    assert "The ferry leaves at noon." in answered.text


async def test_without_an_engine_a_line_says_so(tmp_path: Path):
    async with serving(tmp_path, "") as server:
        found = await ask(server, "When does the ferry leave?", web_search=True)

    assert any("web search is not set up" in log for log in found.logs)
    assert found.last["type"] == "finish"


async def test_to_find_what_to_search_for_holds_nobody_up(service: SearXNGService, web: RawServer, tmp_path: Path):
    empty = [{"role": "user", "content": "\n" * 16_000}]
    following = [{"role": "user", "content": f"and {'then. ' * 1500}"}] * 900
    async with serving(tmp_path, SETTINGS.format(url=service.url), debug=True) as server:
        for messages in (empty, following):
            body = json.dumps({"messages": messages, "provider": "Local", "web_search": True}).encode()
            answered = await asyncio.to_thread(post, server, PATH, body, "application/json")
            assert answer(answered.status, answered.body).last["type"] == "finish"

    assert server.slow_steps() == []
