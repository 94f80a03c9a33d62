"""Crawls of a real site on loopback: what is fetched, how often, how gently, and what comes of it."""

import asyncio
import io
import json
import zipfile

import pytest
from tests.buckets.crawl.rooms import crawl, failures, texts, write_list
from tests.buckets.crawl.site import Site, html, site
from tests.servers.http import Received, proxy_to, redirect, response

from mediary.buckets.bucket import Bucket
from mediary.buckets.room import BucketRoom
from mediary.errors import FieldError, NotFoundError


def kinds(steps) -> list[str]:
    return [step.kind for step in steps]


async def test_one_page(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/docs/intro.html", "The ferry leaves at nine.", ["/other"])
    [step] = await crawl(room, bucket, {"url": f"{web.url}/docs/intro.html#part"})
    assert (step.kind, step.count, step.total, step.url) == ("page", 1, 1, f"{web.url}/docs/intro.html")
    [(name, text)] = (await texts(bucket)).items()
    assert step.name == name == f"127.0.0.1_{web.server.port}_docs_intro.md"
    assert text.startswith(f"Source: {web.url}/docs/intro.html\n\n# The ferry leaves at nine.\n")
    [document] = await bucket.index.documents()
    assert (document.url, document.title) == (f"{web.url}/docs/intro.html", "The ferry leaves at nine.")
    assert web.server.received[-1].headers["user-agent"].startswith("mediary/")


async def test_nothing_to_do(web: Site, room: BucketRoom, bucket: Bucket):
    assert await crawl(room, bucket) == []
    with pytest.raises(NotFoundError):
        await room.crawler.progress(bucket)
    web.page("/")
    assert len(await crawl(room, bucket, {"url": web.url})) == 1
    assert await crawl(room, bucket) == []
    assert web.asked == ["/"]


async def test_depth(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/", "Home", ["/a", "/b"])
    web.page("/a", "A", ["/", "/a/a", "/b"])
    web.page("/b", "B", ["/a", "#top", "/a/a#x"])
    web.page("/a/a", "Deep", ["/a/a/a"])
    steps = await crawl(room, bucket, {"url": web.url, "max_depth": 2})
    assert sorted(web.asked) == ["/", "/a", "/a/a", "/b"]
    assert kinds(steps) == ["page"] * 4
    assert [step.count for step in steps] == [1, 2, 3, 4]
    assert len(await texts(bucket)) == 4


async def test_each_url_once_also_for_two_entries(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/", "Home", ["/a"])
    web.page("/a", "A", ["/b"])
    web.page("/b", "B")
    await crawl(room, bucket, {"url": web.url}, {"urls": [f"{web.url}/", f"{web.url}/#x"], "max_depth": 2})
    assert web.asked == ["/", "/a", "/b"]


async def test_the_same_site(web: Site, room: BucketRoom, bucket: Bucket):
    async with site() as other:
        other.page("/", "Other", [f"{web.url}/back"])
        web.page("/", "Home", [other.url, "/a"])
        web.page("/a", "A")
        web.page("/back", "Back")
        await crawl(room, bucket, {"url": web.url, "max_depth": 2})
        assert sorted(web.asked) == ["/", "/a"]
        assert other.asked == []
        await crawl(room, bucket, {"url": web.url, "max_depth": 2, "same_site": False})
        assert other.asked == ["/"]
        assert "/back" in web.asked


async def test_redirects(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/", "Home", ["/old", "/new", "/older", "/round", "/nowhere", "/ftp"])
    web.put("/old", redirect("/new"))
    web.put("/older", redirect("/old"))
    web.page("/new", "New")
    web.put("/round", redirect("/round"))
    web.put("/nowhere", redirect(""))
    web.put("/ftp", redirect("ftp://example.com/"))
    await crawl(room, bucket, {"url": web.url, "max_depth": 1, "group_size": 16})
    assert web.counts["/new"] == 1
    assert len(await texts(bucket)) == 2
    reasons = {url.removeprefix(web.url): reason for url, reason in (await failures(room, bucket)).items()}
    assert reasons.keys() == {"/round", "/nowhere", "/ftp"}
    assert "redirects" in reasons["/round"]


async def test_redirects_that_leave_the_site(web: Site, room: BucketRoom, bucket: Bucket):
    async with site() as other:
        other.page("/", "Other", ["/more", f"{web.url}/a"])
        web.put("/", redirect(f"{other.url}/"))
        web.put("/out", redirect(f"{other.url}/linked"))
        web.page("/in", "In", ["/out"])
        await crawl(room, bucket, {"urls": [web.url, f"{web.url}/in"], "max_depth": 1})
        assert other.asked == ["/"]  # it was asked for; what is linked there was not, nor what redirects there
        assert (await failures(room, bucket)) == {f"{web.url}/out": f"it leads to another site, {other.url[7:]}"}


async def test_robots(web: Site, room: BucketRoom, bucket: Bucket):
    web.put("/robots.txt", response(b"User-agent: *\nDisallow: /private\n\nUser-agent: mediary\nDisallow: /*.pdf$"))
    web.page("/", "Home", ["/private", "/a.pdf", "/moved"])
    web.page("/private", "Allowed for us")
    web.put("/moved", redirect("/b.pdf"))
    await crawl(room, bucket, {"url": web.url, "max_depth": 1})
    assert sorted(web.asked) == ["/", "/moved", "/private"]
    assert len(web.server.received) - len(web.asked) == 1
    assert set((await failures(room, bucket)).values()) == {f"the robots.txt of {web.url[7:]} does not allow it"}


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        (response(b"", status=404), True),
        (response(b"", status=403), True),
        (response(b"", status=429), False),
        (response(b"", status=503), False),
        (b"", False),
        (redirect("/robots.txt"), False),
        (redirect("http://10.0.0.1/robots.txt"), False),
        (response(b"User-agent: *\nAllow: /\n" + b"# padding\n" * 100_000), True),
        (response(b"\xff\xfe\x00" * 100), True),
    ],
)
async def test_what_robots_says_by_its_status(
    web: Site, room: BucketRoom, bucket: Bucket, answer: bytes, allowed: bool
):
    web.put("/robots.txt", answer)
    web.page("/")
    await crawl(room, bucket, {"url": web.url})
    assert bool(web.asked) is allowed
    assert bool(await failures(room, bucket)) is not allowed


async def test_links_that_are_not_to_be_followed(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/", "Home", ["/meta", "/header", "/other"])
    web.page("/meta", "Meta", ["/x"], head='<meta name="robots" content="nofollow">')
    web.page("/header", "Header", ["/x"], "X-Robots-Tag: noindex, nofollow")
    web.page("/other", "Other", ["/y"], "X-Robots-Tag: otherbot: nofollow")
    await crawl(room, bucket, {"url": web.url, "max_depth": 2})
    assert "/x" not in web.asked
    assert "/y" in web.asked
    assert len(await texts(bucket)) == 4


@pytest.mark.parametrize("group_size", [1, 3])
async def test_as_many_at_once_as_it_says(web: Site, room: BucketRoom, bucket: Bucket, group_size: int):
    paths = [f"/{number}" for number in range(9)]
    for path in paths:
        web.slow(path, html(f"Page {path}"))
    await crawl(room, bucket, {"urls": [web.url + path for path in paths], "group_size": group_size})
    assert len(web.asked) == 9
    assert web.busiest == group_size


async def test_a_busy_server_is_asked_again(web: Site, room: BucketRoom, bucket: Bucket):
    answers = [response(b"", "Retry-After: 0", status=429), response(html("Here I am."), "Content-Type: text/html")]

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    web.put("/", answer)
    assert kinds(await crawl(room, bucket, {"url": web.url})) == ["page"]
    assert web.asked == ["/", "/"]


async def test_but_not_for_ever(web: Site, room: BucketRoom, bucket: Bucket):
    web.put("/", response(b"", "Retry-After: 0", status=503))
    [step] = await crawl(room, bucket, {"url": web.url})
    assert (step.kind, step.reason) == ("failed", f"{web.url[7:]} asks to come again later")
    assert 1 < len(web.asked) < 5


@pytest.mark.parametrize("said", ["Retry-After: 3600", "Retry-After: soon", "X-None: 1"])
async def test_one_that_is_busy_for_long_is_not(web: Site, room: BucketRoom, bucket: Bucket, said: str):
    web.put("/", response(b"", said, status=503))
    assert kinds(await crawl(room, bucket, {"url": web.url})) == ["failed"]
    assert web.asked == ["/"]


async def test_files_and_media_are_taken_like_uploads(web: Site, room: BucketRoom, bucket: Bucket):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside/notes.txt", "packed notes")
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
        "0000000d49444154789c636000000000050001a5f645400000000049454e44ae426082"
    )
    web.page(
        "/", "Home", ["/notes.txt", "/get?id=1", "/a.zip", "/picture", "/empty", "/program.exe", "/downloads.json"]
    )
    web.put("/notes.txt", response(b"Plain notes.", "Content-Type: text/plain"))
    web.put(
        "/get", response(b"a,b\n1,2\n", "Content-Type: text/csv", 'Content-Disposition: attachment; filename="t.csv"')
    )
    web.put("/a.zip", response(packed.getvalue(), "Content-Type: application/zip"))
    web.put("/picture", response(png, "Content-Type: image/png"))
    web.put("/empty", response(b"", status=204))
    web.put("/program.exe", response(b"MZ\x90\x00" + bytes(200), "Content-Type: application/octet-stream"))
    web.put(
        "/downloads.json", response(json.dumps([{"url": f"{web.url}/trap"}]).encode(), "Content-Type: application/json")
    )
    steps = await crawl(room, bucket, {"url": web.url, "max_depth": 1})
    names = {document.name for document in await bucket.index.documents()}
    assert {"notes.txt.md", "t.csv.md", "a.zip_inside_notes.txt.md", "127.0.0.1_downloads.json.md"} <= {
        name.replace(f"_{web.server.port}", "") for name in names
    }
    assert [path.name for path in bucket.media_dir.iterdir()] == ["picture.png"]
    assert kinds(steps).count("file") == 5
    reasons = {url.removeprefix(web.url): reason for url, reason in (await failures(room, bucket)).items()}
    assert reasons.keys() == {"/empty", "/program.exe"}
    assert "/trap" not in web.asked
    assert (await bucket.index.get("notes.txt.md")).url == f"{web.url}/notes.txt"


async def test_html_that_its_server_does_not_know(web: Site, room: BucketRoom, bucket: Bucket):
    web.put("/a", response(b"\n\n" + html("First")))
    web.put("/b", response(html("Second"), "Content-Type: text/plain"))
    web.put("/c", response("<html><body><p>Größe</p></body></html>".encode("utf-16"), "Content-Type: text/html"))
    web.put("/d", response(b"%PDF-1.4 is no page", "Content-Type: text/html"))
    steps = await crawl(room, bucket, {"urls": [f"{web.url}/{letter}" for letter in "abcd"]})
    assert sorted(kinds(steps)) == ["file", "page", "page", "page"]
    assert any("Größe" in text for text in (await texts(bucket)).values())


async def test_the_same_text_under_two_urls(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/", "Home", ["/index.html", "/?utm_source=x"])
    web.page("/index.html", "Home", ["/index.html", "/?utm_source=x"])
    steps = await crawl(room, bucket, {"url": web.url, "max_depth": 1})
    assert kinds(steps).count("same") == 2
    assert len(await texts(bucket)) == 1


async def test_a_list_that_is_wrong(room: BucketRoom, bucket: Bucket):
    (bucket.folder / "downloads.json").write_text('[{"url": "ftp://a/"}]')
    [step] = await crawl(room, bucket)
    assert step.kind == "failed" and "is no http(s) URL" in (step.reason or "")
    with pytest.raises(FieldError):
        await room.crawler.progress(bucket)


async def test_a_proxy(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/")
    async with proxy_to(web.server) as proxy:
        assert kinds(await crawl(room, bucket, {"url": web.url, "proxy": proxy.url})) == ["page"]
        assert {request.target for request in proxy.received} == {f"{web.url}/", f"{web.url}/robots.txt"}


async def test_progress(web: Site, room: BucketRoom, bucket: Bucket):
    web.page("/", "Home", ["/missing"])
    write_list(bucket, {"url": web.url, "max_depth": 1})
    assert (await room.crawler.progress(bucket)).state == "waiting"
    await crawl(room, bucket)
    state = await room.crawler.progress(bucket)
    assert (state.state, state.count, state.total, state.limit) == ("finished", 1, 2, None)
    assert state.bytes > 0
    [failure] = state.failures
    assert (failure.url, failure.reason) == (f"{web.url}/missing", f"{web.url[7:]} answered 404")
