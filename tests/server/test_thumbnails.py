"""`/thumbnail/<name>` over a real socket: who gets which form, what is kept by whom, and what is refused."""

import asyncio
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.media.looks import RED, alike, centre, claiming_png, plain, size, sound, video
from tests.server.test_files import Peer, serve

from mediary.media.thumbnails import LADDER, Thumbnails
from mediary.sandbox.pool import Sandbox
from mediary.server.routes.thumbnails import ThumbnailFiles, accepts_webp
from mediary.storage.local import LocalStore

PICTURE: bytes = plain(RED, 1000, 500).write_to_buffer(".png")
NAMES = {
    "a.png": PICTURE,
    "Закат над морем.png": PICTURE,
    "a+b c.png": PICTURE,
    "film.mp4": video([plain(RED, 80, 80)] * 3),
    "tone.wav": sound([1.0], "wav", "pcm_s16le"),
    "broken.png": b"\x89PNG\r\n\x1a\nbroken",
    "bomb.png": claiming_png(50_000, 50_000),
    "page.html": b"<script>alert(1)</script>",
    "empty.png": b"",
}


@pytest.fixture(scope="module")
async def peer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    (folder / "thumbnails").mkdir()
    store, kept, sandbox = LocalStore(folder), LocalStore(folder / "thumbnails"), Sandbox(2)
    thumbnails = Thumbnails(store, kept, sandbox, 268_435_456)
    async for served in serve(ThumbnailFiles(thumbnails, kept), folder):
        for name, data in NAMES.items():
            served.put(name, data)
        yield served
    await thumbnails.close()
    await sandbox.close()


WEBP = "image/avif,image/webp,image/apng,*/*;q=0.8"


@pytest.mark.parametrize("accept", [WEBP, "*/*"])
async def test_it_comes_with_its_headers(peer: Peer, accept):
    for _ in range(3):  # made, opened, known
        answer = await peer.ask("/thumbnail/a.png", accept=accept)
        assert answer.status == 200
        assert size(answer.body) == (400, 200)
        assert alike(centre(answer.body), RED)
        assert answer.headers["content-type"] == ("image/webp" if accept == WEBP else "image/jpeg")
        assert answer.headers["content-length"] == str(len(answer.body))
        assert answer.headers["vary"] == "accept"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["etag"].startswith('"')
        assert "content-disposition" not in answer.headers


async def test_the_two_forms_have_each_their_etag(peer):
    one, other = [(await peer.ask("/thumbnail/a.png", accept=accept)).headers["etag"] for accept in (WEBP, "*/*")]
    assert one != other


async def test_what_the_client_has_is_not_sent_again(peer):
    etag = (await peer.ask("/thumbnail/a.png", accept=WEBP)).headers["etag"]
    answer = await peer.ask("/thumbnail/a.png", accept=WEBP, if_none_match=etag)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["vary"] == "accept"
    assert answer.headers["etag"] == etag
    assert (await peer.ask("/thumbnail/a.png", if_none_match=etag)).status == 200


async def test_head_is_get_without_the_body(peer):
    for name in ("a.png", "tone.wav"):
        head, get = await peer.ask(f"/thumbnail/{name}", "HEAD"), await peer.ask(f"/thumbnail/{name}")
        assert (head.status, head.body) == (200, b"")
        assert head.headers | {"date": ""} == get.headers | {"date": ""}


async def test_a_part_of_it(peer):
    whole = await peer.ask("/thumbnail/a.png")
    part = await peer.ask("/thumbnail/a.png", range="bytes=2-9")
    assert (part.status, part.body) == (206, whole.body[2:10])
    assert part.headers["vary"] == "accept"


@pytest.mark.parametrize("width", LADDER)
async def test_the_widths(peer, width):
    answer = await peer.ask(f"/thumbnail/a.png?w={width}")
    assert size(answer.body)[0] == min(width, 1000)


@pytest.mark.parametrize(
    "query", ["w=161", "w=0", "w=-160", "w=1e3", "w=160.0", "w=%00", "w=160,320", "w=" + "9" * 5000]
)
async def test_no_other_width(peer, query):
    answer = await peer.ask(f"/thumbnail/a.png?{query}")
    assert answer.status == 400
    assert "160, 320, 640, 1280" in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize("query", ["", "?", "?x=1", "?w=", "?url=https://example.org/a.png"])
async def test_without_a_width(peer, query):
    assert size((await peer.ask(f"/thumbnail/a.png{query}")).body) == (400, 200)


@pytest.mark.parametrize(
    "target",
    ["%D0%97%D0%B0%D0%BA%D0%B0%D1%82%20%D0%BD%D0%B0%D0%B4%20%D0%BC%D0%BE%D1%80%D0%B5%D0%BC.png", "a+b%20c.png"],
)
async def test_names_of_any_script(peer, target):
    assert (await peer.ask(f"/thumbnail/{target}")).status == 200


@pytest.mark.parametrize(("name", "meant"), [("film.mp4", (80, 80)), ("tone.wav", (400, 200))])
async def test_videos_and_sounds(peer, name, meant):
    assert size((await peer.ask(f"/thumbnail/{name}", accept=WEBP)).body) == meant


@pytest.mark.parametrize("name", ["broken.png", "bomb.png", "page.html", "empty.png"])
async def test_what_cannot_be_seen_is_415(peer, name):
    for _ in range(2):
        answer = await peer.ask(f"/thumbnail/{name}")
        assert answer.status == 415
        error = json.loads(answer.body)["error"]
        assert error["code"] in ("unreadable", "unsupported_type")
        assert str(peer.folder) not in error["message"]


@pytest.mark.parametrize(
    "target",
    ["none.png", "", ".", "..", "../a.png", "..%2Fa.png", "%2e%2e/a.png", ".hidden.png", "thumbnails", "x/a.png", "%00",
     "thumbnails%2Fa.png", "..%5ca.png", "%ff", "a.png%00", "a" * 300],
)  # fmt: skip
async def test_what_is_not_there_is_404(peer, target):
    peer.put(".hidden.png", PICTURE)
    answer = await peer.ask(f"/thumbnail/{target}")
    assert answer.status == 404
    assert str(peer.folder).encode() not in answer.body


async def test_a_missing_file_leads_to_its_source(peer):
    answer = await peer.ask("/thumbnail/none.png?w=160&url=https%3A%2F%2Fexample.org%2Fa.png%3Fx%3D1")
    assert (answer.status, answer.headers["location"]) == (302, "https://example.org/a.png?x=1")
    for url in ("javascript:alert(1)", "file:///etc/passwd", "/media/a.png", "https://user@example.org/"):
        assert (await peer.ask(f"/thumbnail/none.png?url={url}")).status == 404


async def test_a_thumbnail_that_somebody_put_there(peer):
    (peer.folder / "thumbnails" / "own.png").write_bytes(PICTURE)
    answer = await peer.ask("/thumbnail/own.png?w=160")
    assert (answer.status, answer.body) == (200, PICTURE)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods(peer, method):
    answer = await peer.ask("/thumbnail/a.png", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_deleted_file_has_none(peer):
    path = peer.put("gone.png", PICTURE)
    assert (await peer.ask("/thumbnail/gone.png")).status == 200
    path.unlink()
    assert (await peer.ask("/thumbnail/gone.png")).status == 404


async def test_a_new_file_of_the_name_has_its_own(peer):
    path = peer.put("new.png", PICTURE)
    assert size((await peer.ask("/thumbnail/new.png")).body) == (400, 200)
    path.unlink()
    peer.put("new.png", plain(RED, 30, 60).write_to_buffer(".png"))
    assert size((await peer.ask("/thumbnail/new.png")).body) == (30, 60)


async def test_many_who_ask_at_once_get_the_same(peer):
    peer.put("wanted.png", PICTURE + os.urandom(10))
    answers = await asyncio.gather(*(peer.ask("/thumbnail/wanted.png") for _ in range(30)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len({answer.body for answer in answers}) == 1


# Accept


@pytest.mark.parametrize(
    ("accept", "webp"),
    [
        (["image/webp"], True),
        (["image/avif,image/webp,*/*;q=0.8"], True),
        (["IMAGE/WEBP ; q=0.5"], True),
        (["image/webp;q=0.001"], True),
        (["text/html", "image/webp"], True),
        (["image/webp;v=1;q=1"], True),
        (["image/webp;q=0"], False),
        (["image/webp; Q=0.000, image/jpeg"], False),
        (["*/*"], False),
        (["image/*"], False),
        (["image/webpx, ximage/webp"], False),
        ([""], False),
        ([], False),
    ],
)
def test_webp_is_for_those_who_name_it(accept, webp):
    assert accepts_webp([(b"accept", value.encode()) for value in accept]) is webp


@given(st.binary(max_size=60))
def test_no_header_breaks_it(value):
    assert accepts_webp([(b"accept", value)]) in (True, False)
