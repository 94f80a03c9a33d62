"""Where crawls end, what they are kept from, and what hostile sites get."""

import asyncio
import gzip
from pathlib import Path

import pytest
from tests.buckets.crawl.rooms import crawl, failures, room_in, texts
from tests.buckets.crawl.site import Site, html, site
from tests.net.names import Names
from tests.servers.http import Received, chunked, redirect, repeated, reset, response, silence

from mediary.buckets.bucket import Bucket
from mediary.buckets.crawl.answer import MAX_PAGE_BYTES
from mediary.buckets.room import BucketRoom


def calendar(web: Site) -> None:
    """A site that never ends: each page links to two that were never seen."""

    async def answer(request: Received, writer: asyncio.StreamWriter) -> None:
        day = int(request.target.partition("=")[2] or 0)
        links = [f"/calendar?day={2 * day + 1}", f"/calendar?day={2 * day + 2}"]
        writer.write(response(html(f"Day number {day} has no appointments.", links), "Content-Type: text/html"))

    web.put("/calendar", answer)


async def test_an_endless_site_ends_at_the_limit_of_pages(web: Site, tmp_path: Path):
    calendar(web)
    async with room_in(tmp_path, crawl_pages=20) as room:
        bucket = await room.buckets.open("b")
        steps = await crawl(room, bucket, {"url": f"{web.url}/calendar", "max_depth": 16})
        assert steps[-1].kind == "limit" and "20 pages" in (steps[-1].reason or "")
        assert len(web.asked) == 20
        assert len(await texts(bucket)) == 20
        state = await room.crawler.progress(bucket)
        assert (state.state, state.count, state.limit) == ("finished", 20, steps[-1].reason)
        assert state.total <= 200
        assert await crawl(room, bucket) == []


async def test_one_that_brings_nothing_ends_too(web: Site, tmp_path: Path):
    async with room_in(tmp_path, crawl_pages=3) as room:
        bucket = await room.buckets.open("b")
        web.page("/", "Home", [f"/missing/{number}" for number in range(500)])
        await crawl(room, bucket, {"url": web.url, "max_depth": 3, "group_size": 16})
        assert len(web.asked) == 30


async def test_the_limit_of_bytes(web: Site, tmp_path: Path):
    web.page("/", "Home", ["/a.txt", "/b.txt", "/c.txt"])
    for letter in "abc":
        web.put(f"/{letter}.txt", response(letter.encode() * 40_000, "Content-Type: text/plain"))
    async with room_in(tmp_path, crawl_bytes=100_000) as room:
        bucket = await room.buckets.open("b")
        steps = await crawl(room, bucket, {"url": web.url, "max_depth": 1, "group_size": 1})
        assert [step.kind for step in steps] == ["page", "file", "file", "limit"]
        assert "100000 bytes" in (steps[-1].reason or "")
        assert len(await texts(bucket)) == 3
        assert not [path for path in bucket.hidden.rglob("*") if path.is_file() and path.stat().st_size > 90_000]


async def test_the_limit_of_time(web: Site, tmp_path: Path):
    web.put("/", silence())
    async with room_in(tmp_path, crawl_seconds=0.5) as room:
        bucket = await room.buckets.open("b")
        [step] = await crawl(room, bucket, {"url": web.url})
        assert (step.kind, step.reason) == ("limit", "it took more than 0.5 s")


HOSTILE = {
    "/huge": repeated(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"<p>more</p>" * 10_000),
    "/bomb": response(
        gzip.compress(b"<p>so little " * 8 * 1024**2), "Content-Type: text/html", "Content-Encoding: gzip"
    ),
    "/slow": silence(),
    "/stalled": silence(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\n<p>"),
    "/cut": response(b"<p>cut", "Content-Type: text/html", length=1000),
    "/reset": reset(b"HTTP/1.1 200 OK\r\n"),
    "/damaged": response(b"no gzip", "Content-Type: text/html", "Content-Encoding: gzip"),
    "/smtp": b"220 hello\r\n",
    "/500": response(b"", status=500),
    "/401": response(b"", status=401),
    "/206": response(b"part", "Content-Range: bytes 0-3/9", status=206),
    "/304": response(b"", status=304),
    "/empty": response(b"", "Content-Type: text/html"),
    "/scripts": response(b"<html><script>document.write('x')</script><div id=root></div>", "Content-Type: text/html"),
    "/nul": response(bytes(5000), "Content-Type: text/html"),
    "/noise": response(bytes(range(256)) * 50, "Content-Type: application/octet-stream"),
    "/to-ftp": redirect("ftp://a/"),
    "/to-password": redirect("http://me:secret@127.0.0.1/"),
}


async def test_hostile_answers_cost_nobody_but_themselves(web: Site, room: BucketRoom, bucket: Bucket):
    for path, answer in HOSTILE.items():
        web.put(path, answer)
    web.page("/", "Home", [*HOSTILE, "/good"])
    web.page("/good", "Good")
    await crawl(room, bucket, {"url": web.url, "max_depth": 1, "group_size": 16, "timeout": 2})
    assert len(await texts(bucket)) == 2
    reasons = {url.removeprefix(web.url): reason for url, reason in (await failures(room, bucket)).items()}
    assert reasons.keys() == HOSTILE.keys()
    assert "in time" in reasons["/slow"] and "in time" in reasons["/stalled"]
    assert f"{MAX_PAGE_BYTES // 1024**2} MiB" in reasons["/huge"] and "MiB" in reasons["/bomb"]
    assert "holds no text" in reasons["/scripts"]
    assert "secret" not in str(reasons)


@pytest.mark.parametrize(
    "nested", [b"<div>" * 200_000, b"<table><tr><td>" * 30_000, b"<ul><li>" * 50_000, b"<b>" * 300_000]
)
async def test_deep_pages_do_not_harm(web: Site, room: BucketRoom, bucket: Bucket, nested: bytes):
    web.put("/deep", response(b"<html><p>Shallow.</p>" + nested + b"Deep.", "Content-Type: text/html"))
    web.page("/good", "Good")
    steps = await crawl(room, bucket, {"urls": [f"{web.url}/deep", f"{web.url}/good"]})
    assert {step.kind for step in steps} <= {"page", "failed"}
    assert any("Good" in text for text in (await texts(bucket)).values())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://127.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://inner.example:{port}/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
async def test_the_loopback_is_not_reached(web: Site, tmp_path: Path, url: str):
    web.page("/", "Inner")
    names = Names(inner_example=[["127.0.0.1"]], localhost=[["127.0.0.1"]])
    async with room_in(tmp_path, names=names, net={}) as room:
        bucket = await room.buckets.open("b")
        [step] = await crawl(room, bucket, {"url": url.format(port=web.server.port)})
        assert step.kind == "failed"
        assert "may not be reached" in (step.reason or "") or "unusual way to write" in (step.reason or "")
        assert await texts(bucket) == {}
    assert web.server.received == []
    assert web.server.connections == 0


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1:{port}/", "http://inner.example:{port}/", "http://[::1]:{port}/", "http://192.168.0.1/"]
)
@pytest.mark.parametrize("how", ["page", "robots", "link", "refresh"])
async def test_nor_by_a_redirect_nor_by_a_link(tmp_path: Path, to: str, how: str):
    """The open site is on 127.0.0.2, which may be reached here; what is on 127.0.0.1 may not."""
    async with site() as inner, site("127.0.0.2") as web:
        inner.page("/", "Secret")
        to = to.format(port=inner.server.port)
        web.page(
            "/",
            "Home",
            ["/next", *([to] if how == "link" else [])],
            head=f'<meta http-equiv="refresh" content="0; url={to}">' if how == "refresh" else "",
        )
        web.put("/next", redirect(to) if how == "page" else response(html("Next"), "Content-Type: text/html"))
        if how == "robots":
            web.put("/robots.txt", redirect(to))
        names = Names(inner_example=[["127.0.0.1"]])
        async with room_in(tmp_path, names=names, net={"allow": ["127.0.0.2/32"]}) as room:
            bucket = await room.buckets.open("b")
            await crawl(room, bucket, {"url": web.url, "max_depth": 1, "same_site": False})
            reasons = await failures(room, bucket)
            assert any("may not be reached" in reason for reason in reasons.values())
            assert "Secret" not in str(await texts(bucket))
        assert inner.server.connections == 0


async def test_a_file_that_is_cut(web: Site, room: BucketRoom, bucket: Bucket):
    web.put("/a.txt", chunked([b"one ", b"two"], "Content-Type: text/plain", whole=False))
    [step] = await crawl(room, bucket, {"url": f"{web.url}/a.txt"})
    assert step.kind == "failed" and "broke off" in (step.reason or "")
    assert await bucket.index.documents() == []
