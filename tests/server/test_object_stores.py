"""Files that lie in an object store, as a client gets them from a whole server: pieces, links, and an outage."""

from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from tempfile import mkdtemp
from urllib.request import ProxyHandler, build_opener

import pytest
from tests.servers import azurite, swift
from tests.servers.buckets import Bucket
from tests.servers.mediary import MediaryServer, media_urls
from tests.servers.swift import Swift

SETTINGS = """
[media]
store = "{url}"
redirect = {redirect}
redirect_seconds = 100

[media.store_options]
{options}
"""


def settings(bucket: Bucket, *, redirect: bool = False) -> str:
    options = "\n".join(f'{name} = "{value}"' for name, value in bucket.options.items())
    return SETTINGS.format(url=bucket.url, redirect=str(redirect).lower(), options=options)


@pytest.fixture(params=["swift", "azurite"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return swift.server().new_bucket() if request.param == "swift" else azurite.new_bucket()


@pytest.fixture
def server(bucket: Bucket, tmp_path: Path) -> Iterator[MediaryServer]:
    with MediaryServer(tmp_path / "data", settings=settings(bucket)) as server:
        yield server


def make_speech(server: MediaryServer) -> str:
    """The URL of a sound that a turn made."""
    events = server.converse("Say this", provider="Local", model="speech")
    assert events[-1]["type"] == "finish", events[-1]
    (url,) = media_urls(events)
    return url


def read(answer: HTTPResponse) -> bytes:
    with answer:
        return answer.read()


def test_a_file_is_served_in_all_its_parts(server: MediaryServer, bucket: Bucket) -> None:
    url = make_speech(server)
    assert len(bucket.list_keys()) == 1
    assert [path for path in (server.data / "generated_media").iterdir() if path.is_file()] == []
    whole = server.open(url)
    headers, data = whole.headers, read(whole)
    etag = headers["etag"]
    assert (whole.status, headers["content-type"], headers["accept-ranges"]) == (200, "audio/mpeg", "bytes")
    assert etag.startswith('"')
    assert int(headers["content-length"]) == len(data)
    cases = {"bytes=0-3": data[:4], "bytes=-5": data[-5:], "bytes=100-": data[100:], f"bytes=7-{len(data)}": data[7:]}
    for wanted, expected in cases.items():
        part = server.open(url, headers={"range": wanted, "if-range": etag})
        assert (part.status, read(part)) == (206, expected)
    both = server.open(url, headers={"range": "bytes=0-1,4-5"})
    assert both.headers["content-type"].startswith("multipart/byteranges")
    assert data[4:6] in read(both)
    assert read(server.open(url, headers={"range": "bytes=0-3", "if-range": '"another"'})) == data
    assert server.open(url, headers={"if-none-match": etag}).status == 304
    assert server.open(url, headers={"range": f"bytes={len(data)}-"}).status == 416
    head = server.open(url, method="HEAD")
    assert (head.status, head.headers["content-length"], read(head)) == (200, str(len(data)), b"")
    assert "attachment" in server.open(f"{url}?download=1").headers["content-disposition"]
    assert server.open("/media/absent.png").status == 404


def test_a_plain_get_leads_to_the_object_store(bucket: Bucket, tmp_path: Path) -> None:
    with MediaryServer(tmp_path / "data", settings=settings(bucket, redirect=True)) as server:
        url = make_speech(server)
        answer = server.open(url)
        assert (answer.status, read(answer)) == (302, b"")
        assert answer.headers["cache-control"] == "private, max-age=50"
        with build_opener(ProxyHandler({})).open(answer.headers["location"], timeout=30) as followed:
            assert followed.headers["content-type"] == "audio/mpeg"
            data = followed.read()
        for path, headers in ((url, {"range": "bytes=0-"}), (url, {"if-none-match": '"x"'}), (f"{url}?download=1", {})):
            direct = server.open(path, headers=headers)
            assert (direct.status in (200, 206), read(direct)) == (True, data)
        assert server.open(url, method="HEAD").status == 200
        (server.data / "generated_media" / "waits.txt").write_bytes(b"waits")
        assert read(server.open("/media/waits.txt")) == b"waits"
        assert server.open("/media/absent.png").status == 404
        away = server.open("/media/absent.png?url=https%3A%2F%2Fexample.com%2Fa.png")
        assert (away.status, away.headers["location"]) == (302, "https://example.com/a.png")


def test_a_conversation_outlives_the_object_store(tmp_path: Path) -> None:
    store = Swift(Path(mkdtemp(prefix="mediary-swift-")))
    with MediaryServer(tmp_path / "data", settings=settings(store.new_bucket())) as server:
        before = make_speech(server)
        store.proxy.stop()
        during = make_speech(server)
        answer = server.open(before)
        assert (answer.status, b"store_failed" in read(answer)) == (503, True)
        assert len(server.get(during)) > 1000
        assert server.open(during, headers={"range": "bytes=0-9"}).status == 206
        assert server.open("/readyz").status == 503
        store.proxy.start()
        assert len(server.get(before)) > 1000
        assert len(server.get(during)) > 1000
    assert "testing" not in server.output()  # the secret
