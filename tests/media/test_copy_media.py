"""`copy_media`: every parameter of the table does what the table says, over real sockets."""

import asyncio
import base64
import logging
import re
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.media.samples import picture, sound
from tests.servers.http import (
    RawServer,
    Received,
    chunked,
    proxy_to,
    raw_server,
    redirect,
    response,
    silence,
    unvouched_tls,
)

from mediary.errors import BadRequestError
from mediary.media.catalog import Catalog
from mediary.media.intake import PARALLEL, copy_media
from mediary.media.library import MediaLibrary
from mediary.net.client import HttpClient
from mediary.settings import NetSettings
from mediary.storage.local import LocalStaged, LocalStore

DATA_URI = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"


@pytest.fixture
def url(server: RawServer) -> str:
    """Where a picture is."""
    server.answers["/a.png"] = response(picture(), "Last-Modified: Mon, 01 Jan 2024 15:37:36 GMT")
    return f"{server.url}/a.png"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_a_picture_is_copied_with_its_source(library: MediaLibrary, folder: Path, catalog: Catalog, url: str):
    [copied] = await copy_media([url], alt="a cat", tags=["flux"], library=library, provider="OpenAI", model="m")
    path, _, query = copied.partition("?")
    assert re.fullmatch(r"/media/1704123456_flux\+a_cat_[0-9a-f]{16}\.png", path)
    assert query == f"url={quote(url, safe='')}"
    [name] = files(folder)
    assert path == f"/media/{name}"
    item = await catalog.get(name)
    assert (item.source_url, item.provider, item.model, item.prompt, item.tags) == (
        url,
        "OpenAI",
        "m",
        "a cat",
        ("flux",),
    )


async def test_many_at_once_keep_their_order(library: MediaLibrary, folder: Path, server: RawServer):
    running = most = 0
    everybody = asyncio.Event()

    def answer(width: int):
        async def write(_: Received, writer: asyncio.StreamWriter) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == PARALLEL:
                everybody.set()
            await everybody.wait()
            running -= 1
            writer.write(response(picture(".png", width, 1)))

        return write

    server.answers = {f"/{width}": answer(width) for width in range(1, 3 * PARALLEL + 1)}
    copied = await copy_media(
        [f"{server.url}/{width}" for width in range(1, 3 * PARALLEL + 1)], return_target=True, library=library
    )
    assert [path.read_bytes() for _, path in copied if path] == [
        picture(".png", width, 1) for width in range(1, 3 * PARALLEL + 1)
    ]
    assert most == PARALLEL


@pytest.mark.parametrize(
    "answer",
    [
        response(b"gone", status=404),
        response(b""),
        response(b"<html>no picture</html>", "Content-Type: image/png"),
        response(picture(), length=len(picture()) + 1),
        chunked([picture()], whole=False),
        redirect("http://10.0.0.1/a.png"),
    ],
    ids=["404", "empty", "page", "cut", "cut chunks", "redirect to a private network"],
)
async def test_a_failure_gives_the_url_back_and_leaves_the_others(
    library: MediaLibrary, folder: Path, server: RawServer, url: str, answer: bytes, caplog: pytest.LogCaptureFixture
):
    server.answers["/bad"] = answer
    bad = f"{server.url}/bad?key=s3cret"
    with caplog.at_level(logging.WARNING, "mediary"):
        copied = await copy_media([bad, url, "javascript:alert(1)", "data:image/png;base64,?"], library=library)
    assert copied[0] == bad
    assert copied[1].startswith("/media/1704123456_")
    assert copied[2:] == ["javascript:alert(1)", "data:image/png;base64,?"]
    assert len(files(folder)) == 1
    assert len(caplog.records) == 3 and "127.0.0.1" in caplog.text and "s3cret" not in caplog.text


async def test_what_is_here_already_stays(library: MediaLibrary, folder: Path):
    here = [
        "/media/a.png",
        "/media/a.png?url=https%3A%2F%2Fexample.com",
        "/files/b/media/c.png",
        "/thumbnail/a%20b.png",
    ]
    assert await copy_media(here, library=library) == here
    assert await copy_media(here[:1], return_target=True, library=library) == [(here[0], folder / "a.png")]


async def test_a_data_uri(library: MediaLibrary, folder: Path):
    [copied] = await copy_media([DATA_URI], alt="a cat", library=library)
    assert re.fullmatch(r"/media/\d{10}_a_cat_[0-9a-f]{16}\.png", copied)
    assert (folder / copied.removeprefix("/media/")).read_bytes() == picture()


async def test_cookies_and_headers_are_sent_and_the_source_is_not_shown(
    library: MediaLibrary, server: RawServer, url: str, catalog: Catalog
):
    [copied] = await copy_media(
        [url], cookies={"session": "1"}, headers={"Referer": "https://example.com/"}, library=library
    )
    assert "?" not in copied
    [received] = server.received
    assert (received.headers["cookie"], received.headers["referer"]) == ("session=1", "https://example.com/")
    for options in ({"cookies": {"a": "b"}}, {"headers": {"X-A": "b"}}):
        [copied] = await copy_media([url], add_url="https://example.com/page", library=library, **options)
        assert "?" not in copied


async def test_cookies_do_not_follow_to_another_origin(library: MediaLibrary, server: RawServer, url: str):
    async with raw_server() as other:
        other.answers["/go"] = redirect(url)
        await copy_media([f"{other.url}/go"], cookies={"session": "1"}, headers={"X-Key": "k"}, library=library)
        assert other.received[0].headers["cookie"] == "session=1"
    assert not {"cookie", "x-key"} & set(server.received[0].headers)


async def test_add_url(library: MediaLibrary, url: str):
    shown = {
        add_url: (await copy_media([url], add_url=add_url, library=library))[0].partition("?")[2]
        for add_url in (True, False, "", "https://example.com/a b?c=d")
    }
    assert list(shown.values()) == [
        f"url={quote(url, safe='')}", "", "", "url=https%3A%2F%2Fexample.com%2Fa%20b%3Fc%3Dd",
    ]  # fmt: skip
    [copied] = await copy_media([DATA_URI], add_url="https://example.com/", library=library)
    assert copied.endswith("?url=https%3A%2F%2Fexample.com%2F")


async def test_a_proxy(library: MediaLibrary, server: RawServer, url: str):
    async with proxy_to(server) as proxy:
        [copied] = await copy_media([url], proxy=proxy.url, library=library)
        assert copied.startswith("/media/")
        assert proxy.received[0].target == url


async def test_ssl(library: MediaLibrary):
    async with raw_server(tls=unvouched_tls()) as secure:
        secure.answers["/a.png"] = response(picture())
        url = f"{secure.url}/a.png"
        assert await copy_media([url], library=library) == [url]
        assert await copy_media([url], ssl=True, library=library) == [url]
        [copied] = await copy_media([url], ssl=False, library=library)
        assert copied.startswith("/media/")


async def test_a_timeout(library: MediaLibrary, folder: Path, server: RawServer):
    server.answers["/slow"] = silence(response(picture()[:100], length=len(picture())))
    url = f"{server.url}/slow"
    assert await asyncio.wait_for(copy_media([url], timeout=0.2, library=library), 20) == [url]
    assert files(folder) == []


async def test_return_target(library: MediaLibrary, folder: Path, server: RawServer, url: str):
    [(copied, path), failed] = await copy_media([url, f"{server.url}/404"], return_target=True, library=library)
    assert path is not None and path.parent == folder and path.read_bytes() == picture()
    assert copied.startswith(f"/media/{path.name}?url=")
    assert failed == (f"{server.url}/404", None)


async def test_a_thumbnail_lies_apart(library: MediaLibrary, folder: Path, catalog: Catalog, url: str):
    [(copied, path)] = await copy_media([url], thumbnail=True, add_url=False, return_target=True, library=library)
    assert path is not None and path.parent == folder / "thumbnails" and path.read_bytes() == picture()
    assert copied == f"/thumbnail/{path.name}"
    assert await catalog.find(path.name) is None


class TestTarget:
    async def test_a_path_of_the_callers(self, library: MediaLibrary, folder: Path, tmp_path: Path, url: str):
        target = tmp_path / "elsewhere" / "my picture.bin"
        target.parent.mkdir()
        [(copied, path)] = await copy_media([url], target=target, add_url=False, return_target=True, library=library)
        assert (copied, path) == (target.as_uri(), target)
        assert target.read_bytes() == picture()
        assert files(target.parent) == ["my picture.bin"]
        assert files(folder) == []

    async def test_in_the_media_folder_it_is_an_item(
        self, library: MediaLibrary, folder: Path, catalog: Catalog, url: str
    ):
        assert await copy_media([url], target=str(folder / "a.png"), add_url=False, library=library) == ["/media/a.png"]
        assert (await catalog.get("a.png")).size == len(picture())

    async def test_what_was_there_is_replaced_by_a_whole_file_alone(
        self, library: MediaLibrary, server: RawServer, tmp_path: Path, url: str
    ):
        target = tmp_path / "a.png"
        target.write_bytes(b"old")
        server.answers["/cut"] = response(picture(), length=len(picture()) + 1)
        await copy_media([f"{server.url}/cut"], target=target, library=library)
        assert target.read_bytes() == b"old"
        await copy_media([url], target=target, library=library)
        assert target.read_bytes() == picture()
        assert sorted(path.name for path in tmp_path.glob("*.p*")) == ["a.png"]

    async def test_a_copy_that_is_given_up_leaves_nothing_behind(
        self, library: MediaLibrary, server: RawServer, tmp_path: Path
    ):
        target = tmp_path / "elsewhere" / "a.png"
        target.parent.mkdir()
        large = picture(".png", 900, 900)
        begun = asyncio.Event()

        async def stuck(_: Received, writer: asyncio.StreamWriter) -> None:
            writer.write(response(large, length=len(large) + 1))
            await writer.drain()
            begun.set()
            await asyncio.Event().wait()

        server.answers["/stuck"] = stuck
        task = asyncio.create_task(copy_media([f"{server.url}/stuck"], target=target, library=library))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files(target.parent) == []

    async def test_in_the_media_folder_a_killed_process_leaves_nothing_that_is_not_swept_up(
        self, library: MediaLibrary, server: RawServer, folder: Path
    ):
        large = picture(".png", 900, 900)
        begun = asyncio.Event()

        async def stuck(_: Received, writer: asyncio.StreamWriter) -> None:
            writer.write(response(large, length=len(large) + 1))
            await writer.drain()
            begun.set()
            await asyncio.Event().wait()

        server.answers["/stuck"] = stuck
        task = asyncio.create_task(copy_media([f"{server.url}/stuck"], target=folder / "a.png", library=library))
        await begun.wait()
        while not (written := files(folder)):  # noqa: ASYNC110 - a file tells nobody of itself
            await asyncio.sleep(0)
        assert [Path(name).parent.name for name in written] == [".incoming"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files(folder) == []

    async def test_in_the_media_folder_what_was_there_is_replaced(self, library: MediaLibrary, folder: Path, url: str):
        (folder / "a.png").write_bytes(b"old")
        assert await copy_media([url], target=folder / "a.png", add_url=False, library=library) == ["/media/a.png"]
        assert files(folder) == ["a.png"]
        assert (folder / "a.png").read_bytes() == picture()

    async def test_a_folder_that_is_not_there(self, library: MediaLibrary, tmp_path: Path, url: str):
        assert await copy_media([url], target=tmp_path / "missing" / "a.png", library=library) == [url]

    async def test_one_target_is_for_one_image(self, library: MediaLibrary, tmp_path: Path, url: str):
        with pytest.raises(BadRequestError):
            await copy_media([url, url], target=tmp_path / "a.png", library=library)


async def test_a_file_in_the_way_of_the_thumbnails(library: MediaLibrary, folder: Path, url: str):
    (folder / "thumbnails").touch()
    assert await copy_media([url], thumbnail=True, library=library) == [url]


async def test_without_a_library_private_addresses_are_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
):
    monkeypatch.chdir(tmp_path)
    copied = await copy_media([url, DATA_URI])
    assert copied[0] == url
    assert (tmp_path / "generated_media" / copied[1].removeprefix("/media/")).read_bytes() == picture()


async def test_an_origin_of_the_operators_needs_no_leave(folder: Path, url: str, server: RawServer):
    http = HttpClient(NetSettings())
    library = MediaLibrary.local(folder, http)
    assert await copy_media([url], library=library) == [url]
    [copied] = await copy_media([url], trusted_origin=f"{server.url}/v1", library=library)
    assert copied.startswith("/media/")
    await http.close()


@pytest.mark.parametrize("end", ["cancelled", "defect"])
async def test_when_the_call_is_over_no_copy_runs_on(folder: Path, http: HttpClient, end: str):
    running, everybody, released = set(), asyncio.Event(), asyncio.Event()

    class Lingering(LocalStore):
        """One whose files take a while to be let go of, and whose first one fails."""

        @asynccontextmanager
        async def stage(self) -> AsyncIterator[LocalStaged]:
            me = len(running)
            running.add(me)
            if len(running) == 3:
                everybody.set()
            try:
                await everybody.wait()
                if end == "defect" and me == 0:
                    raise ZeroDivisionError
                await released.wait()
                async with super().stage() as staged:
                    yield staged
            finally:
                for _ in range(me * 3):
                    with suppress(asyncio.CancelledError):
                        await asyncio.sleep(0)
                running.discard(me)

    task = asyncio.create_task(copy_media([DATA_URI] * 3, library=MediaLibrary(Lingering(folder), None, http)))
    await everybody.wait()
    if end == "cancelled":
        task.cancel()
    else:
        asyncio.get_running_loop().call_later(0.05, released.set)
    with pytest.raises(asyncio.CancelledError if end == "cancelled" else ZeroDivisionError):
        await task
    assert running == set()


async def test_an_item_beyond_the_limit_is_left(folder: Path, http: HttpClient, server: RawServer, url: str):
    server.answers["/b.wav"] = response(sound("wav", "pcm_s16le"))
    library = MediaLibrary.local(folder, http, max_bytes=len(picture()))
    copied = await copy_media([url, f"{server.url}/b.wav"], library=library)
    assert copied[0].startswith("/media/") and copied[1] == f"{server.url}/b.wav"


async def test_memory_stays_small_however_large_the_file(folder: Path, http: HttpClient, server: RawServer):
    size = 200 * 1024**2

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"\x89PNG\r\n\x1a\n", length=size + 8))
        piece = bytes(256 * 1024)
        for _ in range(size // len(piece)):
            writer.write(piece)
            await writer.drain()

    server.answers["/large.png"] = answer
    library = MediaLibrary.local(folder, http)
    tracemalloc.start()
    try:
        [(_, path)] = await copy_media([f"{server.url}/large.png"], return_target=True, library=library)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path is not None and path.stat().st_size == size + 8
    assert peak < 16 * 1024**2
