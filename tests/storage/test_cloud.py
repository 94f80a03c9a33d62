"""The contract of all stores on object stores of every kind, and what is theirs alone."""

import asyncio
import hashlib
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.servers import azurite, moto, swift
from tests.servers.buckets import Bucket, Folder
from tests.storage.conftest import OpenStore

from mediary import plugins
from mediary.database.engine import Database
from mediary.database.names import StoredNames
from mediary.errors import DatabaseError, NotFoundError, StoreError
from mediary.storage.base import SignsLinks, Store
from mediary.storage.cloud import ObjectStore
from mediary.testing.stores import StoreContract, fetch, names, noise, put

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class ObjectStoreContract(StoreContract):
    """The contract, and that nothing is left in the bucket but what has a name."""

    @pytest.fixture
    async def store(self, bucket: Bucket, open_store: OpenStore, spool: Path) -> AsyncIterator[Store]:
        store = open_store(bucket)
        yield store
        assert set(bucket.list_keys()) == {bucket.prefix + held.key async for held in store.objects() if held.named}
        assert bucket.unfinished() == []
        assert [path for path in spool.rglob("*") if path.is_file()] == []

    @pytest.fixture
    def sibling(self, store: Store, bucket: Bucket, open_store: OpenStore) -> Store:
        return open_store(bucket, "trash")


class TestSwift(ObjectStoreContract):
    """OpenStack Swift's S3, which checks signatures."""

    @pytest.fixture
    def bucket(self) -> Bucket:
        return swift.server().new_bucket()


class TestMoto(ObjectStoreContract):
    """moto's S3, with the names in PostgreSQL."""

    @pytest.fixture
    def bucket(self) -> Bucket:
        return moto.new_bucket()

    @pytest.fixture
    def names_database(self, one_postgresql: Database) -> Database:
        return one_postgresql


class TestAzurite(ObjectStoreContract):
    """Azure Blob Storage, by Microsoft's emulator."""

    @pytest.fixture
    def bucket(self) -> Bucket:
        return azurite.new_bucket()


class TestFolder(ObjectStoreContract):
    """A folder of objects, as `file://`."""

    @pytest.fixture
    def bucket(self, tmp_path: Path) -> Bucket:
        return Folder(tmp_path / "objects")


def below(bucket: Bucket) -> list[str]:
    """The keys in a bucket as the store knows them."""
    return [key.removeprefix(bucket.prefix) for key in bucket.list_keys()]


# Uploads


async def test_a_large_file_goes_in_parts_and_keeps_its_type(bucket: Bucket, open_store: OpenStore) -> None:
    store = open_store(bucket)
    data = PNG_SIGNATURE + noise(21_000_000)
    await put(store, "large.png", data)
    await put(store, "small.mp3", b"ID3\x04\0\0\0\0\0\0" + bytes(500))
    await put(store, "page.png", b"<script>alert(1)</script>")
    types = [bucket.media_type(key) for key in sorted(bucket.list_keys(), key=lambda key: key.rpartition("/")[2])]
    assert sorted(types) == ["application/octet-stream", "audio/mpeg", "image/png"]
    assert hashlib.sha256(await fetch(store, "large.png")).digest() == hashlib.sha256(data).digest()
    assert await fetch(store, "large.png", 20_999_000) == data[20_999_000:]


async def test_keys_are_ascii_and_tell_the_digest(bucket: Bucket, open_store: OpenStore) -> None:
    await put(open_store(bucket), "日本語.png", b"bytes")
    digest = hashlib.sha256(b"bytes").hexdigest()
    (key,) = below(bucket)
    assert re.fullmatch(rf"blobs/{digest[:2]}/{digest}\.[0-9a-f]{{8}}", key)


async def test_an_upload_that_is_cancelled_leaves_nothing(bucket: Bucket, open_store: OpenStore) -> None:
    store = open_store(bucket)
    async with store.stage() as staged:
        for _ in range(24):
            await staged.write(noise(1_000_000))
        read, some_parts_are_sent = staged.read, asyncio.Event()

        async def watched(start: int, end: int) -> bytes:
            if start > 18_000_000:
                some_parts_are_sent.set()
            return await read(start, end)

        staged.read = watched
        task = asyncio.create_task(staged.commit("a.bin"))
        await some_parts_are_sent.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert (bucket.list_keys(), bucket.unfinished()) == ([], [])
    assert await names(store) == []


async def test_bytes_whose_name_cannot_be_written_do_not_stay(
    bucket: Bucket, spool: Path, one_database: Database
) -> None:
    class Refusing(StoredNames):
        async def claim(self, *_: Any) -> NoReturn:
            raise DatabaseError("the database failed")

    async def refusing() -> StoredNames:
        return Refusing(one_database, bucket.url, "media")

    store = ObjectStore(bucket.url, refusing, spool, bucket.options)
    for size in (5, 9_000_000):
        with pytest.raises(DatabaseError):
            await put(store, "a.bin", noise(size))
    assert (bucket.list_keys(), bucket.unfinished(), list(spool.rglob("*/*"))) == ([], [], [])


async def test_an_upload_takes_the_memory_of_some_parts(open_store: OpenStore) -> None:
    store = open_store(moto_bucket := moto.new_bucket())
    await put(store, "first.bin", noise(20_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    piece = noise(1_000_000)
    async with store.stage() as staged:
        for _ in range(100):
            await staged.write(piece)
        await staged.commit("large.bin")
    async with aclosing(store.read("large.bin")) as pieces:
        assert sum([len(read) async for read in pieces]) == 100_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB, of 100 MB
    assert moto_bucket.unfinished() == []


# Same bytes


async def test_the_object_goes_with_its_last_name(bucket: Bucket, open_store: OpenStore) -> None:
    store, trash = open_store(bucket), open_store(bucket, "trash")
    await put(store, "a.png", b"bytes")
    await put(store, "b.png", b"bytes")
    await trash.adopt(store, "a.png", "7.png")
    for holder, name in ((store, "a.png"), (store, "b.png"), (trash, "7.png")):
        assert len(below(bucket)) == 1
        assert await fetch(holder, name) == b"bytes"
        await holder.delete(name)
    assert below(bucket) == []


async def test_two_stores_in_one_database_know_nothing_of_each_other(open_store: OpenStore) -> None:
    buckets = [moto.new_bucket(), moto.new_bucket()]
    stores = [open_store(bucket) for bucket in buckets]
    for store in stores:
        assert (await put(store, "a.png", b"bytes")).name == "a.png"
    with pytest.raises(StoreError):
        await stores[0].adopt(stores[1], "a.png", "b.png")
    await stores[0].delete("a.png")
    assert [len(below(bucket)) for bucket in buckets] == [0, 1]
    assert await fetch(stores[1], "a.png") == b"bytes"


async def test_what_lies_there_without_a_name_is_told_and_can_go(bucket: Bucket, open_store: OpenStore) -> None:
    store = open_store(bucket)
    await put(store, "a.png", b"bytes")
    other = open_store(bucket, "of nobody")
    other.names = open_store(moto.new_bucket()).names
    await put(other, "a.png", b"lost")
    found = {held.size: held async for held in store.objects()}
    assert {size: held.named for size, held in found.items()} == {5: True, 4: False}
    assert abs(found[4].modified - time.time()) < 3600
    for held in found.values():
        await store.remove_object(held.key)
        await store.remove_object(held.key)
    assert [held.size async for held in store.objects()] == [5]
    assert await fetch(store, "a.png") == b"bytes"


async def test_an_object_that_somebody_removed_is_not_found(bucket: Bucket, open_store: OpenStore) -> None:
    store = open_store(bucket)
    await put(store, "a.png", b"bytes")
    names_of_all = store.names
    store.names = open_store(moto.new_bucket()).names  # in which the key bears no name
    await store.remove_object(below(bucket)[0])
    store.names = names_of_all
    with pytest.raises(NotFoundError):
        await fetch(store, "a.png")
    await put(store, "b.png", b"bytes")  # the same bytes once more mend it
    assert await fetch(store, "a.png") == await fetch(store, "b.png") == b"bytes"
    assert len(below(bucket)) == 1
    await store.delete("a.png")
    await store.delete("b.png")
    assert below(bucket) == []


# Links


async def test_a_link_is_for_one_file_and_holds_no_secret(bucket: Bucket, open_store: OpenStore) -> None:
    store = open_store(bucket)
    assert isinstance(store, SignsLinks)
    await put(store, "a.png", b"bytes")
    link = await store.sign("a.png", 60)
    assert not any(secret in link for name, secret in bucket.options.items() if "key" in name and "id" not in name)
    with pytest.raises(NotFoundError):
        await store.sign("absent.png", 60)


async def test_a_link_that_was_changed_opens_nothing(open_store: OpenStore) -> None:
    store = open_store(swift.server().new_bucket())
    await put(store, "a.png", b"bytes")
    link = await store.sign("a.png", 60)
    for changed in (link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"), link.partition("?")[0]):
        with pytest.raises(HTTPError, match=r"40[03]"):
            await asyncio.to_thread(build_opener(ProxyHandler({})).open, changed, timeout=30)


async def test_google_signs_with_the_key_of_a_service_account(spool: Path, one_database: Database) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"client_email": "a@example.com", "client_id": "1", "private_key": pem, "private_key_id": "2"}
    names = StoredNames(one_database, "gs://bucket/prefix", "media")
    await names.claim("a.png", "blobs/aa/key", "aa" * 32, 5)

    async def opened() -> StoredNames:
        return names

    make = plugins.load("storage", "gs")
    store = make("gs://bucket/prefix", opened, spool, {"service_account_key": json.dumps(account)})
    link = await store.sign("a.png", 60)
    assert link.startswith("https://storage.googleapis.com/bucket/prefix/blobs/aa/key?")
    assert "X-Goog-Expires=60" in link


async def test_a_folder_of_objects_signs_nothing(tmp_path: Path, open_store: OpenStore) -> None:
    assert not isinstance(open_store(Folder(tmp_path / "objects")), SignsLinks)


def test_a_server_without_object_store_imports_none_of_this() -> None:
    code = "import sys, mediary.services, mediary.storage.overlay; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
