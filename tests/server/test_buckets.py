"""`/backend-api/v2/files` through HTTP: every row of the contract's table, forms of all shapes, many at once."""

import json
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from tests.media.samples import picture, sound
from tests.server.bucket_client import FILES, ask, bare, bare_status, events, post, read, shown, upload
from tests.server.forms import form
from tests.servers.mediary import MediaryServer

HTML = b"<html><head><title>A garden</title></head><body><h1>Apples</h1><p>They ripen in autumn.</p></body></html>"
IDS = (
    ".",
    "..",
    "_",
    "%2e%2e",
    "%252e%252e",
    "%00",
    "a%00b",
    "a%2Fb",
    "..%2F..%2Fetc",
    "%5C",
    "%F0%9F%98%80",
    "x" * 300,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaryServer]:
    settings = "[buckets]\nmax_file_bytes = 3000000\nmax_upload_bytes = 8000000\n"
    with MediaryServer(tmp_path_factory.mktemp("buckets") / "data", settings=settings) as running:
        yield running


def folder(server: MediaryServer, bucket: str) -> Path:
    return server.data / "har_and_cookies" / "buckets" / bucket


def manifest(server: MediaryServer, bucket: str, query: str = "") -> dict[str, object]:
    return dict(server.get_json(f"{FILES}/{bucket}/manifest{query}"))


def names(server: MediaryServer, bucket: str) -> list[str]:
    return folder(server, bucket).joinpath("files.txt").read_text("utf-8").splitlines()


# Uploading


def test_documents_media_and_what_is_neither_are_told_apart(server: MediaryServer) -> None:
    answer = upload(
        server,
        "sorts",
        {
            "notes.txt": b"Once upon",
            "garden.html": HTML,
            "sea.png": picture(width=60, height=40),
            "x.bin": b"\0\1\2\3" * 9,
        },
    )

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    said = answer.json
    assert said["bucket_id"] == "sorts"
    assert said["files"] == ["notes.txt.md", "garden.html.md"] == names(server, "sorts")
    assert [(media["name"], media["width"], media["height"]) for media in said["media"]] == [("sea.png", 60, 40)]
    assert [rejected["name"] for rejected in said["rejected"]] == ["x.bin"]
    assert said["rejected"][0]["reason"]
    assert "downloads" not in said


def test_the_answer_names_the_checked_id(server: MediaryServer) -> None:
    answer = upload(server, quote("Meine Akten"), {"a.md": b"A"})

    assert answer.json["bucket_id"] == "Meine_Akten"
    assert read(server, "Meine_Akten") == shown("a.md", "A").encode()
    assert read(server, quote("Meine Akten")) == shown("a.md", "A").encode()


def test_files_are_taken_from_whatever_field_they_are_in(server: MediaryServer) -> None:
    body = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{field}.md"\r\n\r\n{field}\r\n'.encode()
        for field in ("files", "file", "anything")
    )

    answer = post(server, f"{FILES}/fields", body + b"--b--\r\n", "multipart/form-data; boundary=b")

    assert answer.json["files"] == ["files.md", "file.md", "anything.md"]


def test_fields_that_are_no_files_are_passed_over(server: MediaryServer) -> None:
    assert post(server, f"{FILES}/more", *form({"json": "{}", "x": "y"}, {"a.md": b"A"})).json["files"] == ["a.md"]


@pytest.mark.parametrize("files", [{}, {"": b""}], ids=["no file", "an input left empty"])
def test_a_form_without_a_file_names_the_field_and_makes_no_bucket(
    server: MediaryServer, files: dict[str, bytes]
) -> None:
    answer = post(server, f"{FILES}/nobody", *form({"json": "{}"}, files))

    assert answer.status == 422
    assert answer.error.startswith("files:")
    assert ask(server, f"{FILES}/nobody").status == 404


def test_a_file_without_a_name_is_taken(server: MediaryServer) -> None:
    assert upload(server, "nameless", {"": b"Here I am"}).json["files"] == ["file.md"]


def test_where_all_are_rejected_the_answer_says_why(server: MediaryServer) -> None:
    answer = upload(server, "rejects", {"a.bin": b"\0\1\2\3" * 9, "large.txt": b"x" * 3_000_001})

    assert answer.status == 200
    assert answer.json["files"] == []
    assert [rejected["name"] for rejected in answer.json["rejected"]] == ["a.bin", "large.txt"]
    assert "3000000" in answer.json["rejected"][1]["reason"].replace(",", "")


def test_the_same_again_is_one_document_and_another_gets_a_number(server: MediaryServer) -> None:
    first = upload(server, "twice", {"a.txt": b"One"}).json["files"]
    again = upload(server, "twice", {"a.txt": b"One"}).json["files"]
    other = upload(server, "twice", [("a.txt", b"Two"), ("a.txt", b"One"), ("a.txt", b"Two")]).json["files"]

    assert first == again == ["a.txt.md"]
    assert other == ["a-2.txt.md", "a.txt.md"]
    assert names(server, "twice") == ["a.txt.md", "a-2.txt.md"]


def test_large_files_are_told_apart_too(server: MediaryServer) -> None:
    """They are not hashed when they come, only when another has their size or their source goes."""
    one, two = ("Gr\u00fc\u00dfe\n" * 300_000).encode("latin-1"), ("Gr\u00f6\u00dfe\n" * 300_000).encode("latin-1")
    assert upload(server, "large", {"a.txt": one}).json["files"] == ["a.txt.md"]
    assert upload(server, "large", [("a.txt", two), ("a.txt", one)]).json["files"] == ["a-2.txt.md", "a.txt.md"]
    assert read(server, "large", "?delete_files=true")
    assert list(folder(server, "large").joinpath("source").iterdir()) == []
    assert upload(server, "large", [("a.txt", two), ("a.txt", one)]).json["files"] == ["a-2.txt.md", "a.txt.md"]
    assert names(server, "large") == ["a.txt.md", "a-2.txt.md"]


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"", "multipart/form-data; boundary=b", "ends before"),
        (b"hello", "multipart/form-data; boundary=b", "cannot be read"),
        (b"--b--\r\n", "multipart/form-data", "boundary"),
        (b"{}", "application/json", "must be a form"),
        (b"--b\r\nContent-Type: x\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", "no name"),
    ],
)
def test_a_broken_form_is_refused_with_a_sentence(
    server: MediaryServer, body: bytes, content_type: str, said: str
) -> None:
    answer = post(server, f"{FILES}/broken", body, content_type)

    assert answer.status == 400
    assert said in answer.error
    assert "oundary character" not in server.output()  # a parser's own words are none for the log


def test_too_much_is_refused_before_it_comes(server: MediaryServer) -> None:
    answer = bare(
        server,
        f"POST {FILES}/much HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 8000001\r\n"
        "content-type: multipart/form-data; boundary=b\r\n\r\n".encode(),
    )

    assert answer.split()[1] == b"413"
    assert b"buckets.max_upload_bytes" in answer


def test_what_came_whole_stays_when_the_form_breaks_off(server: MediaryServer) -> None:
    body, content_type = form({}, {"whole.md": b"Whole", "half.md": b"Half of it"})
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        head = f"POST {FILES}/off HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n"
        connection.sendall(f"{head}content-type: {content_type}\r\n\r\n".encode() + body[:-50])

    server.await_output(f"path={FILES}/off")
    assert read(server, "off") == shown("whole.md", "Whole").encode()


@pytest.mark.parametrize(("language", "status"), [("de", 200), ("en-GB", 200), ("", 200), ("not a language", 400)])
def test_the_language_is_a_language(server: MediaryServer, language: str, status: int) -> None:
    for header in ("x_recognition_language", "x-recognition-language"):
        body, content_type = form({}, {"a.md": b"A"})
        answer = post(server, f"{FILES}/spoken", body, content_type, **{header: language})

        assert answer.status == status, answer


@pytest.mark.parametrize("bucket", IDS)
@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("POST", ""),
        ("GET", ""),
        ("HEAD", ""),
        ("DELETE", ""),
        ("GET", "/stream"),
        ("GET", "/manifest"),
        ("GET", "/downloads"),
    ],
)
def test_what_can_be_no_bucket_is_refused(server: MediaryServer, bucket: str, method: str, below: str) -> None:
    assert bare_status(server, f"{FILES}/{bucket}{below}", method) == 400


@pytest.mark.parametrize("workers", [1, 2])
def test_twenty_uploads_at_once_all_stay(tmp_path: Path, workers: int) -> None:
    with MediaryServer(tmp_path / "data", settings=f"[server]\nworkers = {workers}\n") as server:
        upload_twenty_at_once(server)


def upload_twenty_at_once(server: MediaryServer) -> None:
    def send(number: int) -> list[str]:
        files = {"same.md": b"Same", f"{number}.md": str(number).encode(), "other.txt": f"Other {number}".encode()}
        return list(upload(server, "twenty", files).json["files"])

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(send, range(20)))

    taken = names(server, "twenty")
    assert len(taken) == len(set(taken)) == 1 + 20 + 20
    assert set(taken) == {name for answer in answers for name in answer}
    text = read(server, "twenty").decode()
    assert all(f"\nOther {number}\n" in text for number in range(20))


# Reading


def test_the_text_is_what_came_in_that_order(server: MediaryServer) -> None:
    upload(server, "text", {"a.md": "# Ä\n".encode()})
    upload(server, "text", {"garden.html": HTML, "b.txt": b"Last"})

    answer = ask(server, f"{FILES}/text")

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    text = answer.body.decode()
    assert text.startswith(shown("a.md", "# Ä\n") + "<!-- File: garden.html.md -->\n")
    assert "# Apples\n\nThey ripen in autumn." in text
    assert text.endswith(shown("b.txt.md", "Last"))
    assert folder(server, "text").joinpath("plain.cache").read_bytes() == answer.body
    assert read(server, "text") == answer.body


@pytest.mark.parametrize("workers", [1, 2])
def test_eight_first_readers_get_the_same(tmp_path: Path, workers: int) -> None:
    with MediaryServer(tmp_path / "data", settings=f"[server]\nworkers = {workers}\n") as server:
        read_eight_times_at_once(server)


def read_eight_times_at_once(server: MediaryServer) -> None:
    upload(server, "eight", {f"{number}.html": HTML.replace(b"Apples", b"Apples %d" % number) for number in range(12)})

    with ThreadPoolExecutor(8) as threads:
        texts = set(threads.map(lambda _: read(server, "eight"), range(8)))

    [text] = texts
    assert text.count(b"<-- End -->") == 12


def test_head_says_that_there_is_a_bucket_and_reads_nothing(server: MediaryServer) -> None:
    upload(server, "head", {"garden.html": HTML})

    answer = ask(server, f"{FILES}/head", "HEAD")

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert ask(server, f"{FILES}/head/stream", "HEAD").headers["content-type"] == "text/event-stream"
    assert ask(server, f"{FILES}/nobodys", "HEAD").status == 404
    assert (folder(server, "head") / "source" / "garden.html").exists()


def test_events_tell_how_it_goes(server: MediaryServer) -> None:
    upload(server, "events", {"a.md": b"A", "b.md": b"B", "sea.png": picture()})

    told = events(server, f"{FILES}/events/stream")

    size = len(read(server, "events"))
    assert [event for event in told if event["action"] == "media"] == [{"action": "media", "filename": "sea.png"}]
    assert {"action": "load", "size": size} in told
    assert told[-1] == {"action": "done", "size": size}
    assert {"action": "delete_files"} in told
    again = events(server, f"{FILES}/events?delete_files=false", accept="text/event-stream")
    assert {"action": "delete_files"} not in again
    assert again[-1] == {"action": "done", "size": size}


def test_a_document_that_cannot_be_read_is_left_out_and_told(server: MediaryServer) -> None:
    upload(server, "failed", {"a.md": b"A", "broken.pdf": b"%PDF-1.7\n" + b"garbage" * 100, "b.md": b"B"})

    told = events(server, f"{FILES}/failed/stream")

    [failed] = [event for event in told if event["action"] == "failed"]
    assert failed["filename"] == "broken.pdf.md"
    assert failed["message"]
    assert read(server, "failed") == (shown("a.md", "A") + shown("b.md", "B")).encode()
    [entry] = manifest(server, "failed", "?state=failed")["documents"]  # type: ignore[misc]
    assert (entry["name"], entry["error"]) == ("broken.pdf.md", failed["message"])


@pytest.mark.parametrize("parameter", ["delete_files", "refine_chunks_with_spacy"])
@pytest.mark.parametrize("below", ["", "/stream"])
@pytest.mark.parametrize("value", ["2", "maybe", "tru", "null", "-1"])
def test_what_is_no_boolean_is_refused(server: MediaryServer, parameter: str, below: str, value: str) -> None:
    assert ask(server, f"{FILES}/any{below}?{parameter}={value}").status == 400


@pytest.mark.parametrize(
    ("value", "deleted"),
    [
        (None, True), ("true", True), ("1", True), ("YES", True), ("on", True),
        ("false", False), ("0", False), ("No", False), ("off", False), ("", False),
    ],
)  # fmt: skip
def test_sources_are_deleted_unless_the_query_says_no(server: MediaryServer, value: str | None, deleted: bool) -> None:
    bucket = f"deleting-{'unsaid' if value is None else value or 'empty'}"
    upload(server, bucket, {"garden.html": HTML})
    source = folder(server, bucket) / "source" / "garden.html"
    assert source.exists()

    text = read(server, bucket, "" if value is None else f"?delete_files={value}")

    assert source.exists() is not deleted
    assert read(server, bucket, "?delete_files=false") == text


@pytest.mark.parametrize("below", ["", "/stream", "/manifest", "/downloads"])
def test_a_bucket_that_is_not_there_is_not_found(server: MediaryServer, below: str) -> None:
    assert ask(server, f"{FILES}/nobodys{below}").status == 404


# Listing and deleting


def test_buckets_are_listed_in_pages(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data") as server:
        assert server.get_json(FILES) == {"buckets": [], "next": None}
        for name in "abc":
            upload(server, name, {"x.md": name.encode(), "y.png": picture()})

        found, cursor, pages = [], "", 0
        while cursor is not None:
            page = server.get_json(f"{FILES}?limit=2&cursor={cursor}")
            found += page["buckets"]
            cursor, pages = page["next"], pages + 1

        assert pages == 2
        assert [(bucket["bucket_id"], bucket["documents"], bucket["media"]) for bucket in found] == [
            (name, 1, 1) for name in "abc"
        ]
        assert all(bucket["size"] > len(picture()) and bucket["modified"].endswith("Z") for bucket in found)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=100000"])
def test_a_page_has_limits(server: MediaryServer, query: str) -> None:
    upload(server, "paged", {"a.md": b"A"})

    assert ask(server, f"{FILES}?{query}").status == 400
    assert ask(server, f"{FILES}/paged/manifest?{query}").status == 400


def test_the_manifest_tells_of_documents_and_media_in_pages(server: MediaryServer) -> None:
    files = {f"{number}.md": b"x" * number for number in range(1, 6)}
    upload(server, "pages", {**files, "a b.png": picture(), "b.mp3": sound("mp3", "libmp3lame")})
    documents, media, cursor = [], [], ""
    while cursor is not None:
        page = manifest(server, "pages", f"?limit=3&cursor={cursor}")
        assert len(page["documents"]) + len(page["media"]) <= 3  # type: ignore[arg-type]
        documents += page["documents"]  # type: ignore[operator]
        media += page["media"]  # type: ignore[operator]
        cursor = page["next"]  # type: ignore[assignment]

    assert [document["name"] for document in documents] == list(files)
    assert [(document["state"], document["size"], document["text_size"]) for document in documents] == [
        ("ready", number, number) for number in range(1, 6)
    ]
    assert documents[0]["original"] == "1.md"
    assert [entry["name"] for entry in media] == ["a_b.png", "b.mp3"]
    assert server.get(media[0]["url"]) == picture()
    assert server.get(media[0]["thumbnail"])


def test_to_look_at_the_manifest_begins_the_reading(server: MediaryServer) -> None:
    legacy = folder(server, "legacy")
    legacy.mkdir(parents=True)
    (legacy / "garden.html").write_bytes(HTML)
    (legacy / "files.txt").write_text("garden.html\n", "utf-8")
    manifest(server, "legacy")

    while (document := manifest(server, "legacy")["documents"][0])["state"] != "ready":  # type: ignore[index]
        assert document["state"] in ("queued", "extracting")

    assert document["title"] == "A garden"
    assert (legacy / "garden.html.md").exists()


@pytest.mark.parametrize("query", ["state=done", "cursor=x1", "cursor=dx", "cursor=d-1"])
def test_a_wrong_question_on_the_manifest_is_refused(server: MediaryServer, query: str) -> None:
    upload(server, "asked", {"a.md": b"A"})

    assert ask(server, f"{FILES}/asked/manifest?{query}").status == 400


def test_a_bucket_is_deleted_with_all_that_is_in_it(server: MediaryServer) -> None:
    upload(server, "gone", {"a.md": b"A", "sea.png": picture()})
    assert ask(server, "/files/gone/media/sea.png").status == 200

    answer = ask(server, f"{FILES}/gone", "DELETE")

    assert (answer.status, answer.json) == (200, {"message": "Bucket deleted successfully"})
    assert not folder(server, "gone").exists()
    for path in (
        f"{FILES}/gone",
        f"{FILES}/gone/manifest",
        "/files/gone/media/sea.png",
        "/files/gone/thumbnail/sea.png",
    ):
        assert ask(server, path).status == 404
    assert ask(server, f"{FILES}/gone", "DELETE").status == 404


def test_a_deleted_bucket_can_be_made_again(server: MediaryServer) -> None:
    for text in (b"Before", b"After"):
        upload(server, "again", {"a.md": text, "sea.png": picture()})
        assert read(server, "again") == shown("a.md", text.decode()).encode()
        assert ask(server, "/files/again/thumbnail/sea.png").headers["content-type"] == "image/jpeg"
        assert ask(server, f"{FILES}/again", "DELETE").status == 200


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        (f"{FILES}/x", "PUT", "DELETE, GET, HEAD, POST"),
        (f"{FILES}/x/stream", "POST", "GET, HEAD"),
        (f"{FILES}/x/manifest", "POST", "GET, HEAD"),
        (f"{FILES}/x/downloads", "POST", "DELETE, GET, HEAD"),
        (FILES, "DELETE", "GET, HEAD"),
        ("/files/x/media/y.png", "DELETE", "GET, HEAD"),
        ("/files/x/thumbnail/y.png", "POST", "GET, HEAD"),
    ],
)
def test_another_method_is_refused(server: MediaryServer, path: str, method: str, allowed: str) -> None:
    answer = ask(server, path, method)

    assert (answer.status, answer.headers["allow"]) == (405, allowed)


# Downloads


def test_a_bucket_that_is_out_of_order_spoils_no_other_and_can_be_deleted(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data") as server:
        upload(server, "good", {"a.md": b"A"})
        (server.data / "har_and_cookies" / "buckets" / "odd" / "files.txt").mkdir(parents=True)

        assert ask(server, f"{FILES}/odd").status == 503
        entries = ask(server, FILES).json["buckets"]
        assert [(entry["bucket_id"], entry["documents"]) for entry in entries] == [("good", 1), ("odd", 0)]
        assert ask(server, f"{FILES}/odd", "DELETE").status == 200
        assert ask(server, f"{FILES}/odd", "DELETE").status == 404
        assert upload(server, "odd", {"a.md": b"A"}).status == 200
        server.stop()


def test_where_the_folder_of_media_should_be_may_be_a_file(server: MediaryServer) -> None:
    upload(server, "nomedia", {"a.md": b"A"})
    (server.data / "har_and_cookies" / "buckets" / "nomedia" / "media").write_bytes(b"")

    assert [event["action"] for event in events(server, f"{FILES}/nomedia/stream")][-1] == "done"
    assert ask(server, f"{FILES}/nomedia/manifest").json["media"] == []


def test_downloads_are_set_told_and_stopped(server: MediaryServer) -> None:
    wanted = json.dumps([{"url": "http://127.0.0.1:9/a"}, {"urls": ["http://127.0.0.1:9/b"]}]).encode()

    answer = upload(server, "crawl", {"downloads.json": wanted})

    assert answer.json["downloads"] == 2
    assert answer.json["files"] == []
    assert server.get_json(f"{FILES}/crawl/downloads")["state"] == "waiting"
    assert ask(server, f"{FILES}/crawl/downloads", "DELETE").status == 200
    assert not folder(server, "crawl").joinpath("downloads.json").exists()
    assert ask(server, f"{FILES}/crawl/downloads").status == 404


def test_downloads_that_make_no_sense_are_rejected(server: MediaryServer) -> None:
    answer = upload(server, "nonsense", {"downloads.json": b'{"url": 1}'})

    assert [rejected["name"] for rejected in answer.json["rejected"]] == ["downloads.json"]
    assert "downloads" not in answer.json


# A full disk, a key, the document


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_told_and_the_server_goes_on(tmp_path: Path, small_disk: Path) -> None:
    with MediaryServer(tmp_path / "data", settings=f'[buckets]\nfolder = "{small_disk}"\n') as server:
        answer = upload(server, "full", {"small.md": b"Small", "large.txt": b"x" * 4_000_000})

        assert answer.status == 507
        assert str(small_disk) not in answer.error
        assert read(server, "full") == shown("small.md", "Small").encode()
        assert upload(server, "full", {"more.md": b"More"}).json["files"] == ["more.md"]
        assert ask(server, f"{FILES}/full", "DELETE").status == 200
        server.stop()


def test_buckets_need_the_key_like_everything_else(tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", settings='[server]\nkey = "sesame"\n') as server:
        for path in (FILES, f"{FILES}/a", f"{FILES}/a/stream", f"{FILES}/a/manifest", "/files/a/media/b.png"):
            assert ask(server, path).status == 401
            assert ask(server, path, authorization="Bearer sesame").status in (200, 404)
        assert upload(server, "a", {"a.md": b"A"}).status == 401
        assert upload(server, "a", {"a.md": b"A"}, authorization="Bearer sesame").status == 200


def test_the_openapi_document_has_all_of_it(server: MediaryServer) -> None:
    paths = server.get_json("/openapi.json")["paths"]

    assert {path: set(methods) for path, methods in paths.items() if "/files" in path} == {
        FILES: {"get"},
        f"{FILES}/{{bucket}}": {"delete", "get", "head", "post"},
        f"{FILES}/{{bucket}}/stream": {"get", "head"},
        f"{FILES}/{{bucket}}/manifest": {"get"},
        f"{FILES}/{{bucket}}/downloads": {"get", "delete"},
        "/files/{bucket}/media/{name}": {"get", "head"},
        "/files/{bucket}/thumbnail/{name}": {"get", "head"},
    }
