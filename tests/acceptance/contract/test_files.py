"""CONTRACT.md, "Media", "Buckets" and "Uploads to providers", row by row."""

import json
import re
from typing import Any

import pytest
import pyvips
from tests.media.samples import picture, sound
from tests.server.bucket_client import FILES, ask, events, post, read, shown, upload
from tests.server.forms import form
from tests.servers.mediary import MediaryServer, media_urls
from tests.uploads.pictures import png

B = "/backend-api/v2"
NAME = re.compile(r"[0-9]{10}_[^/]*_[0-9a-f]{16}\.png")


@pytest.fixture(scope="module")
def url(server: MediaryServer) -> str:
    """A picture of the library, 640 by 480."""
    [made] = media_urls(server.converse("A lighthouse", provider="Local", model="picture", width=640, height=480))
    return made


def header(answer: Any, *names: str) -> list[str | None]:
    return [answer.headers[name] for name in names]


# Media


def test_names(url: str) -> None:
    assert NAME.fullmatch(url.removeprefix("/media/"))
    assert "A_lighthouse" in url


@pytest.mark.parametrize("below", ["/media/", "/images/"])
def test_a_file(server: MediaryServer, url: str, below: str) -> None:
    answer = ask(server, url.replace("/media/", below))

    assert (answer.status, answer.body[:8]) == (200, b"\x89PNG\r\n\x1a\n")
    assert header(answer, "accept-ranges", "cache-control", "content-type", "x-content-type-options") == [
        "bytes", "public, max-age=31536000, immutable", "image/png", "nosniff",
    ]  # fmt: skip
    assert answer.headers["etag"]
    assert answer.headers["last-modified"]


def test_the_type_is_that_of_the_bytes(server: MediaryServer) -> None:
    body, kind = form({}, {"really.png": picture(".jpg")})

    [added] = post(server, f"{B}/media", body, kind).json["results"]

    assert ask(server, added["url"]).headers["content-type"] == "image/jpeg"


def test_ranges_of_a_file(server: MediaryServer, url: str) -> None:
    whole = ask(server, url)
    single, suffix = ask(server, url, range="bytes=0-3"), ask(server, url, range="bytes=-4")
    several = ask(server, url, range="bytes=0-3,8-11")

    assert (single.status, single.body) == (206, whole.body[:4])
    assert single.headers["content-range"] == f"bytes 0-3/{len(whole.body)}"
    assert (suffix.status, suffix.body) == (206, whole.body[-4:])
    assert several.status == 206
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert ask(server, url, range="bytes=0-3", if_range=whole.headers["etag"]).status == 206
    assert ask(server, url, range="bytes=0-3", if_range='"another"').status == 200
    refused = ask(server, url, range=f"bytes={len(whole.body)}-")
    assert (refused.status, refused.headers["content-range"]) == (416, f"bytes */{len(whole.body)}")


def test_a_file_that_the_client_has(server: MediaryServer, url: str) -> None:
    whole = ask(server, url)

    assert ask(server, url, if_none_match=whole.headers["etag"]).status == 304
    assert ask(server, url, if_modified_since=whole.headers["last-modified"]).status == 304
    head = ask(server, url, "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole.body)))


def test_a_file_that_is_missing(server: MediaryServer) -> None:
    assert ask(server, "/media/none.png").status == 404
    elsewhere = ask(server, "/media/none.png?url=https%3A%2F%2Fexample.org%2Fa.png")
    assert (elsewhere.status, elsewhere.headers["location"]) == (302, "https://example.org/a.png")
    assert ask(server, "/media/none.png?url=javascript:alert(1)").status == 404


def test_thumbnail(server: MediaryServer, url: str) -> None:
    answer = ask(server, url.replace("/media/", "/thumbnail/"))

    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    small = pyvips.Image.new_from_buffer(answer.body, "")
    assert (small.width, small.height) == (400, 300)
    assert "exif-data" not in small.get_fields()
    body, kind = form({}, {"a.wav": sound("wav", "pcm_s16le")})
    [added] = post(server, f"{B}/media", body, kind).json["results"]
    assert ask(server, added["thumbnail"]).headers["content-type"] == "image/jpeg"


def test_files_of_a_bucket(server: MediaryServer) -> None:
    upload(server, "pictures", {"hill.png": picture()})

    for kind in ("media", "thumbnail"):
        assert ask(server, f"/files/pictures/{kind}/hill.png").status == 200
        assert ask(server, f"/files/pictures/{kind}/none.png").status == 404
        assert ask(server, f"/files/pictures/{kind}/none.png?url=https://example.org/a.png").status == 302
    assert ask(server, "/files/pictures/documents/hill.png").status == 400


def test_search(server: MediaryServer, url: str) -> None:
    found = ask(server, "/search/image+lighthouse")
    listed = ask(server, "/search/IMAGE+LightHouse?limit=1", accept="application/json").json

    assert (found.status, found.headers["location"]) == (302, url)
    assert (listed["total"], [item["url"] for item in listed["items"]]) == (1, [url])
    assert ask(server, "/search/video+lighthouse").status == 404
    assert ask(server, "/search/lighthouse+nothing").status == 404
    assert ask(server, "/search/lighthouse+nothing?min=1").status == 302
    assert ask(server, "/search/lighthouse?skip=1").status == 404
    assert ask(server, "/search/image?random=true").status == 302
    seeded = [ask(server, "/search/image?random=7").headers["location"] for _ in range(5)]
    assert len(set(seeded)) == 1


# Buckets


def test_upload_into_a_bucket(server: MediaryServer) -> None:
    files = [("a.txt", b"Text"), ("hill.png", picture(width=64, height=48)), ("a.exe", b"MZ\x00\x01")]

    answer = upload(server, "mixed", files, x_recognition_language="de").json

    assert set(answer) == {"bucket_id", "files", "media", "rejected"}
    assert (answer["bucket_id"], answer["files"]) == ("mixed", ["a.txt.md"])
    [media] = answer["media"]
    assert {"name": media["name"], "width": media["width"], "height": media["height"]} == {
        "name": "hill.png", "width": 64, "height": 48,
    }  # fmt: skip
    [rejected] = answer["rejected"]
    assert (rejected["name"], set(rejected)) == ("a.exe", {"name", "reason"})


def test_the_text_of_a_bucket(server: MediaryServer) -> None:
    upload(server, "text", {"a.md": b"One", "b.md": b"Two"})

    answer = ask(server, f"{FILES}/text")

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == shown("a.md", "One") + shown("b.md", "Two")
    accepted = ask(server, f"{FILES}/text", accept="text/event-stream")
    assert accepted.headers["content-type"] == "text/event-stream"


def test_the_events_of_a_bucket(server: MediaryServer) -> None:
    upload(server, "told", {"a.md": b"One. Two.", "hill.png": picture()})

    told = events(server, f"{FILES}/told/stream?refine_chunks_with_spacy=true")

    sizes = {event["action"]: event.get("size") for event in told}
    assert {"action": "media", "filename": "hill.png"} in told
    assert {"action": "delete_files"} in told
    assert sizes["load"] == len(shown("a.md", "One. Two."))
    assert sizes["refine"] <= sizes["load"]
    assert told[-1] == {"action": "done", "size": sizes["refine"]}


def test_what_a_bucket_names_is_fetched(server: MediaryServer) -> None:
    upload(server, "here", {"a.md": b"The market is on Mondays."})
    listed = [{"url": f"{server.url}{FILES}/here"}]
    assert upload(server, "fetching", {"downloads.json": json.dumps(listed).encode()}).json["downloads"] == 1

    told = events(server, f"{FILES}/fetching/stream")

    assert {"action": "download", "count": 1} in told
    assert b"The market is on Mondays." in read(server, "fetching")
    assert (server.data / "har_and_cookies" / "buckets" / "fetching" / "downloads.json").is_file()


@pytest.mark.parametrize(("said", "stays"), [("", False), ("?delete_files=false", True), ("?delete_files=0", True)])
def test_reading_deletes_what_was_uploaded(server: MediaryServer, said: str, stays: bool) -> None:
    bucket = f"deleting{len(said)}"
    upload(server, bucket, {"page.html": b"<p>Hello</p>"})

    read(server, bucket, said)

    folder = server.data / "har_and_cookies" / "buckets" / bucket
    assert (folder / "source" / "page.html").exists() is stays
    assert (folder / "page.html.md").exists()


def test_delete_a_bucket(server: MediaryServer) -> None:
    upload(server, "short-lived", {"a.md": b"One"})

    assert ask(server, f"{FILES}/short-lived", "DELETE").json == {"message": "Bucket deleted successfully"}
    assert ask(server, f"{FILES}/short-lived", "DELETE").status == 404


def test_a_bucket_on_disk(server: MediaryServer) -> None:
    upload(server, "laid", {"a.txt": b"One.", "hill.png": picture()})
    read(server, "laid", "?refine_chunks_with_spacy=true")

    folder = server.data / "har_and_cookies" / "buckets" / "laid"
    assert (folder / "files.txt").read_text() == "a.txt.md\n"
    assert (folder / "media" / "hill.png").is_file()
    assert {"plain.cache", "plain_0001.cache", "spacy_0001.cache"} <= {path.name for path in folder.iterdir()}


# Uploads to providers


def test_upload_to_a_provider(server: MediaryServer) -> None:
    body, kind = form({"provider": "Files", "text": "What is it?"}, {"hill.png": png(8, 6)})

    answer = post(server, f"{B}/uploads", body, kind).json

    assert set(answer) == {"uploads", "message"}
    [sent] = answer["uploads"]
    assert set(sent) == {"id", "provider", "flow", "name", "type", "size", "file", "cached", "expires_at"}
    assert (sent["provider"], sent["flow"], sent["name"]) == ("Files", "openai_files", "hill.png")
    assert (sent["type"], sent["cached"]) == ("image/png", False)
    assert "What is it?" in json.dumps(answer["message"])


def test_upload_what_lies_here(server: MediaryServer, url: str) -> None:
    upload(server, "sent", {"a.md": b"# One"})
    asked = {"provider": "Files", "files": [url, {"bucket_id": "sent", "name": "a.md"}]}

    answer = post(server, f"{B}/uploads", json.dumps(asked).encode(), "application/json").json

    assert [sent["type"].partition(";")[0] for sent in answer["uploads"]] == ["image/png", "text/markdown"]


@pytest.mark.parametrize(
    ("provider", "status", "words"),
    [("Refused", 502, "Unsupported value"), ("Limited", 429, "Rate limit reached"), ("Unauthorised", 401, "API key")],
)
def test_a_provider_that_refuses(server: MediaryServer, provider: str, status: int, words: str) -> None:
    body, kind = form({"provider": provider}, {"hill.png": png(8, 6)})

    answer = post(server, f"{B}/uploads", body, kind)

    assert (answer.status, words in answer.error) == (status, True), answer


def test_what_lies_there_and_how_it_is_forgotten(server: MediaryServer) -> None:
    body, kind = form({"provider": "Files"}, {"short.png": png(9, 9)})
    [sent] = post(server, f"{B}/uploads", body, kind).json["uploads"]

    page = server.get_json(f"{B}/uploads?provider=Files&limit=1")

    assert [listed["id"] for listed in page["uploads"]] == [sent["id"]]
    assert set(page) == {"uploads", "next"}
    assert ask(server, f"{B}/uploads/{sent['id']}", "DELETE").json == {"removed": True, "reason": None}
    assert ask(server, f"{B}/uploads/{sent['id']}", "DELETE").status == 404
