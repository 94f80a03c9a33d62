"""What an object store says that fails or refuses, and what settings make of one."""

import asyncio
import re
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from tests.servers import azurite, moto, swift
from tests.servers.buckets import Bucket
from tests.servers.http import Serve, listening, parse_head, response
from tests.servers.processes import free_port
from tests.storage.conftest import OpenStore

from mediary import plugins
from mediary.database.engine import Database
from mediary.errors import MediaryError, NoSpaceError, SettingsError, StoreError
from mediary.testing.stores import fetch, names, noise, put


async def test_a_wrong_secret_is_told_without_it(open_store: OpenStore) -> None:
    bucket = swift.server().new_bucket()
    await put(open_store(bucket), "a.png", b"bytes")
    store = open_store(bucket, secret_access_key="a wrong secret")
    for size in (1, 2_000_000, 9_000_000):
        with pytest.raises(StoreError, match=r"answered 403 \(SignatureDoesNotMatch\)$"):
            await put(store, "b.png", noise(size))
    for work in (store.check, partial(fetch, store, "a.png")):
        with pytest.raises(StoreError, match=r"answered 403 \(SignatureDoesNotMatch\)$|answered 403$"):
            await work()
    assert await names(store) == ["a.png"]


async def test_a_missing_bucket_is_no_missing_file(bucket: Bucket, open_store: OpenStore) -> None:
    store = open_store(bucket)
    await put(store, "a.png", b"bytes")
    bucket.url = bucket.url.replace("//", "//no-such-")
    missing = open_store(bucket)
    missing.names = store.names
    for work in (missing.check, partial(fetch, missing, "a.png"), partial(put, missing, "b.png", b"x")):
        with pytest.raises(StoreError, match="answered 404"):
            await work()
    await missing.delete("a.png")  # the name goes; what became of its bytes `gc` looks after
    assert await names(store) == []


def saying(answer: bytes | None) -> Serve:
    """Answers every request alike; None says nothing at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = parse_head(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(int(head.headers.get("content-length", 0)))
            if answer is None:
                await asyncio.Event().wait()
            writer.write(answer or b"")
            await writer.drain()

    return serve


def refusal(status: int, body: bytes = b"") -> bytes:
    return response(body, status=status).replace(b"Connection: close\r\n", b"")


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (refusal(503, b"<Error><Code>SlowDown</Code><Key>a-secret</Key></Error>"), StoreError, "503 (SlowDown)"),
        (refusal(500), StoreError, "answered 500"),
        (refusal(401), StoreError, "answered 401"),
        (refusal(507), NoSpaceError, "full"),
        (refusal(403, b"<Error><Code>QuotaExceeded</Code></Error>"), NoSpaceError, "full"),
        (refusal(301), StoreError, "check region and endpoint"),
        (None, StoreError, "did not answer in time"),
        (b"\x16\x03\x01\0\0", StoreError, "failed"),
        (refusal(200, b"<html>Welcome to our network</html>"), StoreError, "failed"),
    ],
)  # fmt: skip
async def test_a_store_that_fails_is_told_in_a_few_words(
    answer: bytes | None, error: type[MediaryError], message: str, open_store: OpenStore
) -> None:
    bucket = moto.new_bucket()
    await put(open_store(bucket), "a.png", b"bytes")
    async with listening(saying(answer)) as port, asyncio.timeout(30):
        store = open_store(
            bucket, endpoint=f"http://127.0.0.1:{port}", secret_access_key="a-secret", read_timeout="300ms"
        )
        with pytest.raises(error, match=re.escape(message)) as raised:
            await fetch(store, "a.png")
        assert raised.value.__cause__ is None
        assert "secret" not in str(raised.value)
        with pytest.raises(error):
            await put(store, "b.png", b"bytes")
    assert await names(open_store(bucket)) == ["a.png"]


async def test_a_file_that_comes_in_part_is_no_file(open_store: OpenStore) -> None:
    bucket = moto.new_bucket()
    await put(open_store(bucket), "a.png", b"bytes")
    head = ["Last-Modified: Fri, 20 Nov 2026 11:31:57 GMT", "ETag: x", "Content-Range: bytes 0-4/5"]
    async with listening(saying(response(b"by", *head, status=206, length=5))) as port:
        store = open_store(bucket, endpoint=f"http://127.0.0.1:{port}", read_timeout="300ms")
        with pytest.raises(StoreError, match="did not answer in time"):
            await fetch(store, "a.png")


async def test_a_store_that_is_away_is_given_up_soon(open_store: OpenStore) -> None:
    bucket = moto.new_bucket()
    await put(open_store(bucket), "a.png", b"bytes")
    store = open_store(bucket, endpoint=f"http://127.0.0.1:{free_port()}")
    async with asyncio.timeout(30):
        for work in (store.check, partial(fetch, store, "a.png"), partial(put, store, "b.png", b"x")):
            with pytest.raises(StoreError, match="cannot be reached"):
                await work()
        assert (await store.get("a.png")).size == 5  # names need no object store
    assert await names(store) == ["a.png"]


# Settings


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("s3://bucket", {"nonsense": "a secret value"}, "nonsense"),
        ("s3://bucket", {"virtual_hosted_style_request": "a secret value"}, "…"),
        ("s3://bucket", {"read_timeout": "a secret value"}, "…"),
        ("s3://", {}, "the bucket is missing"),
        ("s3://key:a secret value@bucket", {}, "do not belong into the URL"),
        ("s3://bucket", {"endpoint": "a secret value"}, "endpoint is not an http(s) URL"),
        ("s3://bucket", {"endpoint": "http://a secret value"}, "endpoint is not an http(s) URL"),
        ("az://container", {"account_name": "a", "account_key": "no base64!"}, "store"),
        ("az://container", {"access_key_id": "a secret value"}, "access_key_id"),
        ("gs://bucket", {"service_account_key": "a secret value"}, "store"),
        ("file://host/folder", {}, "file:///path"),
        ("file:///folder", {"region": "a secret value"}, "without options"),
        ("file:///dev/null/objects", {}, "store"),
    ],
)
def test_what_cannot_be_a_store_is_told_at_the_start(
    url: str, options: dict[str, str], message: str, spool: Path, one_database: Database
) -> None:
    async def none() -> NoReturn:
        raise AssertionError

    with pytest.raises(SettingsError) as raised:
        plugins.load("storage", url.partition("://")[0])(url, none, spool, options)
    assert message in str(raised.value)
    assert "secret value" not in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_what_no_option_says_comes_from_the_environment(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bucket, prefix in ((moto.new_bucket(), "AWS_"), (azurite.new_bucket(), "AZURE_STORAGE_")):
        for name, value in bucket.options.items():
            monkeypatch.setenv(prefix + name.upper(), value)
        bucket.options = {}
        store = open_store(bucket)
        await put(store, "a.png", b"bytes")
        assert await fetch(store, "a.png") == b"bytes"
        assert len(bucket.list_keys()) == 1
