# ruff: noqa: RUF001 - pages in other scripts
"""A search from end to end: an engine that finds pages, pages of all kinds, and what comes of them."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.clock import Jump
from tests.servers.http import (
    Handler,
    RawServer,
    Received,
    chunked,
    raw_server,
    redirect,
    repeated,
    reset,
    response,
    silence,
)
from tests.servers.searxng import SearXNGService, searxng
from tests.websearch.rooms import room_of, settings

from mediary.errors import ProviderError, ShutdownError
from mediary.websearch.room import KEPT_CHARS, KEPT_SECONDS, Found, Source, WebSearch, _Kept

PAGES = Path(__file__).parents[1] / "extractors" / "web" / "pages"
PDF = (Path(__file__).parents[1] / "documents" / "pdf" / "article.pdf").read_bytes()
SCAN = (Path(__file__).parents[1] / "documents" / "pdf" / "scan.pdf").read_bytes()
HTML = "Content-Type: text/html"


@pytest.fixture
async def service() -> AsyncIterator[SearXNGService]:
    async with searxng() as service:
        yield service


@pytest.fixture
async def web(service: SearXNGService) -> AsyncIterator[RawServer]:
    """The web, with three saved pages that the engine finds."""
    async with raw_server() as web:
        for name in ("wiki", "news", "japanese"):
            web.answers[f"/{name}"] = response((PAGES / f"{name}.html").read_bytes(), HTML)
            service.found(f"{web.url}/{name}", name.title())
        yield web


@pytest.fixture
async def room(service: SearXNGService) -> AsyncIterator[WebSearch]:
    async with room_of(settings("searxng", url=service.url, results=10, seconds=20)) as room:
        yield room


def stalled(begun: asyncio.Event) -> Handler:
    """A page that tells when it is asked for, and never comes."""

    async def answer(_: Received, __: asyncio.StreamWriter) -> None:
        begun.set()
        await asyncio.Event().wait()

    return answer


@dataclass
class OnePage:
    """A room that has its child processes for many tests, and a web of one page."""

    room: WebSearch
    service: SearXNGService
    web: RawServer
    asked: int = 0

    async def read(self, answer: bytes | Handler) -> Source:
        """What becomes of a page that answers so."""
        self.asked += 1
        self.service.results.clear()
        self.service.found(f"{self.web.url}/page", "As the engine calls it")
        self.web.answers["/page"] = answer
        [source] = (await self.room.find(f"question {self.asked}")).sources
        return source


@pytest.fixture(scope="module")
async def page() -> AsyncIterator[OnePage]:
    async with (
        searxng() as service,
        raw_server() as web,
        room_of(settings("searxng", url=service.url, seconds=20)) as room,
    ):
        yield OnePage(room, service, web)


async def test_the_main_text_of_pages(room: WebSearch, web: RawServer):
    wiki, news, japanese = (await room.find("a question")).sources

    assert (wiki.url, wiki.title) == (f"{web.url}/wiki", "Heron lock")
    assert "| 1900 | 3,100 | 58,500 |" in wiki.text
    assert "the final bill is 83 million" in news.text
    assert "Subscribe" not in news.text
    assert "午前九時から" in japanese.text


async def test_pages_are_asked_for_as_who_we_are_and_without_cookies(room: WebSearch, web: RawServer):
    web.answers["/news"] = response(b"<p>A cookie</p>", HTML, "Set-Cookie: id=1; Path=/")
    await room.find("one")
    await room.find("two")

    assert len(web.received) == 6
    for request in web.received:
        assert request.headers["user-agent"].startswith("mediary/")
        assert "cookie" not in request.headers
        assert "referer" not in request.headers


@pytest.mark.parametrize(
    ("text", "encoding", "header", "meta"),
    [
        ("В среду в порту открылся склад.", "cp1251", "text/html; charset=utf-8", ""),
        ("В среду в порту открылся склад.", "cp1251", "text/html", '<meta charset="windows-1251">'),
        ("水曜日、図書館が開館した。", "shift_jis", "text/html; charset=Shift_JIS", ""),
        ("水曜日、図書館が開館した。", "utf-8", "text/html; charset=iso-8859-1", ""),
        ("Die Brücke ist größer", "cp1252", "text/html; charset=no-such-thing", ""),
        ("The bridge is larger", "utf-16", "text/html", ""),
    ],
)
async def test_whatever_characters_a_page_is_in(page: OnePage, text: str, encoding: str, header: str, meta: str):
    html = f"<!doctype html><html><head>{meta}<title>T</title></head><body><p>{text * 5}</p></body></html>"
    source = await page.read(response(html.encode(encoding), f"Content-Type: {header}"))

    assert text in source.text


@pytest.mark.parametrize("said", ["application/pdf", "application/octet-stream", "text/html"])
async def test_a_pdf_whatever_its_server_calls_it(page: OnePage, said: str):
    source = await page.read(response(PDF, f"Content-Type: {said}"))

    assert source.title == "Tidal mixing in shallow estuaries"
    assert "Institute of Marine Science" in source.text


async def test_plain_text(page: OnePage):
    source = await page.read(response("Grüße\x07 vom\u202e Hafen".encode(), "Content-Type: text/plain"))
    assert (source.title, source.text) == ("As the engine calls it", "Grüße  vom Hafen")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (response(b"gone", HTML, status=404), "answered 404"),
        (response(b"no", HTML, status=503), "answered 503"),
        (response(b"\x89PNG\r\n\x1a\n", "Content-Type: image/png"), "it is image/png"),
        (response(b"\0" * 100, "Content-Type: application/octet-stream"), "neither a page nor a text"),
        (response(b"MZ\0\1", "Content-Type: text/html"), "neither a page nor a text"),
        (response(b"%PDF-1.7 broken", "Content-Type: application/pdf"), "damaged PDF"),
        (response(SCAN, "Content-Type: application/pdf"), "it holds no text"),
        (response(b"", HTML), "it holds no text"),
        (response(b"<html><body><nav>Menu</nav></body></html>", HTML), "it holds no text"),
        (response(b"x", HTML, length=9_000_000), "sends 9000000 bytes"),
        (repeated(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"<p>x</p>" * 10_000), "more than the 2"),
        (response(gzip.compress(b"<p>x</p>" * 1_000_000), HTML, "Content-Encoding: gzip"), "more than the 2"),
        (response(b"<p>cut", HTML, length=100), "broke off"),
        (chunked([b"<p>cut"], HTML, whole=False), "broke off"),
        (reset(b"HTTP/1.1 200 OK\r\n"), "closed the connection without an answer"),
        (redirect("http://10.0.0.1/"), "it leads where requests may not go"),
        (redirect("http://169.254.169.254/latest/meta-data/"), "it leads where requests may not go"),
        (redirect("http://[::1]/"), "it leads where requests may not go"),
        (redirect("file:///etc/passwd"), "it leads where requests may not go"),
        (redirect("/page"), "is behind more than 5 redirects"),
    ],
)  # fmt: skip
async def test_a_page_that_cannot_be_read_keeps_what_the_engine_says(
    page: OnePage, answer: bytes | Handler, problem: str
):
    source = await page.read(answer)

    assert problem in (source.problem or "")
    assert (source.title, source.snippet, source.text) == ("As the engine calls it", "What it says.", "")


async def test_no_redirect_leads_to_this_machine(service: SearXNGService):
    async with raw_server() as web, raw_server("127.0.0.2") as secret:
        secret.answers["/"] = response(b"<p>secret</p>", HTML)
        table = settings("searxng", url=service.url)
        async with room_of(table, allow=("127.0.0.1/32",)) as room:
            source = await OnePage(room, service, web).read(redirect(f"{secret.url}/"))

    assert source.problem == "it leads where requests may not go"
    assert secret.connections == 0


async def test_a_deep_page_is_no_reason_to_die(page: OnePage):
    source = await page.read(response(b"<div>" * 200_000 + b"text", HTML))
    assert source.problem or source.text


async def test_a_slow_page_costs_no_other(service: SearXNGService, web: RawServer):
    web.answers["/slow"] = silence(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>")
    service.found(f"{web.url}/slow", "Slow")
    async with room_of(settings("searxng", url=service.url, seconds=60)) as room, asyncio.timeout(30):
        sources = (await room.find("a question")).sources

    assert [bool(source.text) for source in sources] == [True, True, True, False]
    assert sources[-1].problem == "it came too late"


async def test_slow_pages_alone_cost_no_more_than_they_may(service: SearXNGService, web: RawServer):
    service.results.clear()
    for number in range(5):
        web.answers[f"/{number}"] = silence()
        service.found(f"{web.url}/{number}", "Slow")
    async with room_of(settings("searxng", url=service.url, seconds=0.5)) as room, asyncio.timeout(30):
        sources = (await room.find("a question")).sources

    assert {source.problem for source in sources} <= {
        "it came too late",
        f"127.0.0.1:{web.port} did not answer in time",
    }
    assert len(sources) == 5


async def test_each_page_once_and_nothing_but_pages(service: SearXNGService, web: RawServer, room: WebSearch):
    for url in ("javascript:alert(1)", "ftp://example.com/", f"http://user:pass@127.0.0.1:{web.port}/x", "", "/wiki"):
        service.found(url)
    service.found(f"{web.url}/wiki#history", "Again")

    assert len((await room.find("a question")).sources) == 3


async def test_what_the_settings_want_alone_is_read(service: SearXNGService, web: RawServer):
    async with room_of(settings("searxng", url=service.url, results=2)) as room:
        assert len((await room.find("a question")).sources) == 2
    assert len(web.received) == 2

    async with room_of(settings("searxng", url=service.url, fetch=False)) as room:
        sources = (await room.find("a question")).sources
    assert len(web.received) == 2
    assert [(source.text, source.problem) for source in sources] == [("", None)] * 3


async def test_the_same_query_is_asked_once(service: SearXNGService, web: RawServer, room: WebSearch):
    found = await room.find("A question")

    assert await room.find("  a  QUESTION ") is found
    assert service.queries == ["A question"]
    assert len(web.received) == 3

    await room.find("another question")
    assert service.queries == ["A question", "another question"]


async def test_minutes_later_it_is_asked_again(service: SearXNGService, web: RawServer, room: WebSearch, jump: Jump):
    await room.find("a question")
    jump(KEPT_SECONDS - 1)
    await room.find("a question")
    assert len(service.queries) == 1

    jump(KEPT_SECONDS + 1)
    await room.find("a question")
    assert len(service.queries) == 2


async def test_twenty_who_ask_the_same_at_once(service: SearXNGService, web: RawServer, room: WebSearch):
    found = await asyncio.gather(*(room.find("a question") for _ in range(20)))

    assert len(set(map(id, found))) == 1
    assert service.queries == ["a question"]
    assert len(web.received) == 3


async def test_what_failed_is_asked_again(service: SearXNGService, web: RawServer, room: WebSearch):
    service.formats = {"html"}
    with pytest.raises(ProviderError):
        await room.find("a question")
    results, service.results, service.formats = service.results, [], {"json"}
    assert (await room.find("a question")).sources == ()
    service.results = results

    assert len((await room.find("a question")).sources) == 3


async def test_who_leaves_costs_nobody_else(service: SearXNGService, web: RawServer, room: WebSearch):
    begun = asyncio.Event()
    web.answers["/wiki"] = stalled(begun)
    leaving, staying = (asyncio.create_task(room.find("a question")) for _ in range(2))
    async with asyncio.timeout(30):
        await begun.wait()
        leaving.cancel()
        found = await staying

    assert len(found.sources) == 3
    assert service.queries == ["a question"]


async def test_the_end_of_the_server_ends_a_search(service: SearXNGService, web: RawServer):
    begun = asyncio.Event()
    web.answers["/wiki"] = web.answers["/news"] = stalled(begun)
    async with room_of(settings("searxng", url=service.url, seconds=60)) as room, asyncio.timeout(30):
        search = asyncio.create_task(room.find("a question"))
        await begun.wait()
        await room.close()
        with pytest.raises(ShutdownError):
            await search
        with pytest.raises(ShutdownError):
            await room.find("another")


async def test_no_more_is_kept_than_may_be():
    kept = _Kept()
    found = [Found("engine", (Source("u", "t", "", "x" * (KEPT_CHARS // 3)),)) for _ in range(5)]
    for number, each in enumerate(found):
        kept.keep(str(number), each)

    assert [number for number in range(5) if kept.find(str(number))] == [2, 3, 4]
    kept.keep("large", Found("engine", (Source("u", "t", "", "x" * (KEPT_CHARS + 1)),)))
    assert kept.find("large") is None
