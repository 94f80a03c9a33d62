"""`/files/<bucket>/media/<name>` and `…/thumbnail/<name>` through HTTP: as the library's media, and their edges."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyvips import Image
from tests.media.samples import picture, sound, video
from tests.server.bucket_client import FILES, ask, bare_status, upload
from tests.servers.mediary import MediaryServer

SEA = picture(width=600, height=500)
SOURCE = "?url=https%3A%2F%2Fexample.org%2Fsea.png"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path_factory.mktemp("files") / "data") as running:
        files = {"sea.png": SEA, "wave.mp3": sound("mp3", "libmp3lame"), "film.mp4": video("mp4", "mpeg4")}
        assert upload(running, "b", files).json["rejected"] == []
        yield running


def media(server: MediaryServer, bucket: str = "b") -> Path:
    return server.data / "har_and_cookies" / "buckets" / bucket / "media"


def test_a_file_is_served_as_the_librarys_are(server: MediaryServer) -> None:
    answer = ask(server, "/files/b/media/sea.png")

    assert (answer.status, answer.body) == (200, SEA)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == 'inline; filename="sea.png"'
    assert ask(server, "/files/b/media/sea.png", if_none_match=answer.headers["etag"]).status == 304
    head = ask(server, "/files/b/media/sea.png", "HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(SEA)), b"")
    saved = ask(server, "/files/b/media/sea.png?download=true")
    assert saved.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("wanted", "start", "end"), [("0-9", 0, 10), ("100-", 100, len(SEA)), ("-5", len(SEA) - 5, len(SEA))]
)
def test_ranges(server: MediaryServer, wanted: str, start: int, end: int) -> None:
    answer = ask(server, "/files/b/media/sea.png", range=f"bytes={wanted}")

    assert (answer.status, answer.body) == (206, SEA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(SEA)}"
    assert ask(server, "/files/b/media/sea.png", range=f"bytes={len(SEA)}-").status == 416


@pytest.mark.parametrize(("name", "size"), [("sea.png", (400, 333)), ("film.mp4", (64, 48))])
def test_a_thumbnail_is_small(server: MediaryServer, name: str, size: tuple[int, int]) -> None:
    answer = ask(server, f"/files/b/thumbnail/{name}")

    assert answer.headers["content-type"] == "image/jpeg"
    shown = Image.new_from_buffer(answer.body, "")
    assert (shown.width, shown.height) == size
    assert ask(server, f"/files/b/thumbnail/{name}").body == answer.body


def test_a_thumbnail_comes_as_it_is_wanted(server: MediaryServer) -> None:
    answer = ask(server, "/files/b/thumbnail/sea.png?w=160", accept="image/webp,*/*")

    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["vary"] == "accept"
    assert Image.new_from_buffer(answer.body, "").width == 160
    assert ask(server, "/files/b/thumbnail/sea.png?w=161").status == 400
    assert ask(server, "/files/b/thumbnail/wave.mp3").headers["content-type"] == "image/jpeg"


def test_where_nothing_can_be_seen_the_file_itself_is_given(server: MediaryServer) -> None:
    broken = SEA[:100]
    (media(server) / "broken.png").write_bytes(broken)

    answer = ask(server, "/files/b/thumbnail/broken.png")

    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, broken, "image/png")


@pytest.mark.parametrize("kind", ["media", "thumbnail"])
@pytest.mark.parametrize("bucket", ["b", "nobodys"])
def test_what_is_missing_leads_to_its_source(server: MediaryServer, kind: str, bucket: str) -> None:
    answer = ask(server, f"/files/{bucket}/{kind}/none.png{SOURCE}")

    assert (answer.status, answer.headers["location"]) == (302, "https://example.org/sea.png")
    for source in ("", "?url=", "?url=javascript:x", "?url=file:///etc/passwd", "?url=https://a@example.org/"):
        assert ask(server, f"/files/{bucket}/{kind}/none.png{source}").status == 404
    assert not media(server, "nobodys").parent.exists()


def test_what_is_there_is_given_whatever_its_source(server: MediaryServer) -> None:
    assert ask(server, f"/files/b/media/sea.png{SOURCE}").body == SEA


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/files/b/source/a.pdf", 400),
        ("/files/b/.mediary/bucket.db", 400),
        ("/files/b/files.txt", 400),
        ("/files/b", 400),
        ("/files/", 400),
        ("/files/../media/sea.png", 400),
        ("/files/%2e%2e/media/sea.png", 400),
        ("/files/%00/media/sea.png", 400),
        ("/files/_/media/sea.png", 400),
        (f"/files/{'x' * 300}/media/sea.png", 400),
        ("/files/b/media/", 404),
        ("/files/b/media/..%2Ffiles.txt", 404),
        ("/files/b/media/../files.txt", 404),
        ("/files/b/media/%2e%2e/files.txt", 404),
        ("/files/b/media/sea.png/x", 404),
        ("/files/b/media/.incoming", 404),
        ("/files/b/media/%00", 404),
        (f"/files/b/media/{'x' * 300}", 404),
        ("/files/b/media/%F0%9F%98%80", 404),
        ("/files/b/media/%FF", 404),
    ],
)
def test_nothing_else_is_given(server: MediaryServer, path: str, status: int) -> None:
    assert bare_status(server, path) == status


def test_a_link_is_not_followed(server: MediaryServer, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(SEA)
    (media(server) / "link.png").symlink_to(tmp_path / "secret.png")

    assert ask(server, "/files/b/media/link.png").status == 404
    assert ask(server, "/files/b/thumbnail/link.png").status == 404


def test_a_bucket_that_is_a_link_is_none(server: MediaryServer, tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "sea.png").write_bytes(SEA)
    (media(server).parents[1] / "linked").symlink_to(tmp_path)

    assert ask(server, "/files/linked/media/sea.png").status == 404
    assert ask(server, "/files/linked/thumbnail/sea.png").status == 404
    assert not (tmp_path / "thumbnail").exists()


def test_what_is_no_media_format_is_saved_and_cannot_run(server: MediaryServer) -> None:
    (media(server) / "page.png").write_bytes(b"<script>alert(1)</script>")

    answer = ask(server, "/files/b/media/page.png")

    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"] == "sandbox"


def test_another_buckets_file_of_that_name_is_another_file(server: MediaryServer) -> None:
    other = picture(width=30, height=20)
    upload(server, "c", {"sea.png": other})

    for _ in range(2):
        assert ask(server, "/files/b/media/sea.png").body == SEA
        assert ask(server, "/files/c/media/sea.png").body == other


def test_what_was_deleted_is_not_served_from_memory(server: MediaryServer) -> None:
    upload(server, "d", {"sea.png": SEA})
    for kind in ("media", "thumbnail"):
        assert ask(server, f"/files/d/{kind}/sea.png").status == 200
        assert ask(server, f"/files/d/{kind}/sea.png").status == 200

    ask(server, f"{FILES}/d", "DELETE")

    for kind in ("media", "thumbnail"):
        assert ask(server, f"/files/d/{kind}/sea.png").status == 404


def test_a_bucket_of_the_former_system_is_served_as_it_is(server: MediaryServer) -> None:
    folder = media(server, "former")
    folder.mkdir(parents=True)
    (folder / "sea.png").write_bytes(SEA)
    (folder.parent / "thumbnail").mkdir()
    (folder.parent / "thumbnail" / "lost.png").write_bytes(picture())

    assert ask(server, "/files/former/media/sea.png").body == SEA
    assert ask(server, "/files/former/thumbnail/sea.png").headers["content-type"] == "image/jpeg"
    assert ask(server, "/files/former/thumbnail/lost.png").body == picture()
