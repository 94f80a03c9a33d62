"""An object store (S3, Azure, Google Cloud, a folder of objects): bytes under keys there, names in the database."""

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from mediary.errors import MediaryError, NoSpaceError, NotFoundError, SettingsError, StoreError
from mediary.formats import SNIFF_BYTES, detect
from mediary.storage.base import (
    Entry,
    Names,
    Page,
    Store,
    StoredFile,
    StoredObject,
    checked_name,
)
from mediary.storage.files import in_thread
from mediary.storage.spool import PIECE, Spool, StagedSpool, closing, leftovers, recover
from mediary.tasks import to_the_end

logger = logging.getLogger(__name__)

_OBJECTS = "blobs"
_PART = 8 * 1024 * 1024  # what is sent in one request; S3 wants at least 5 MiB
_PARTS_AT_ONCE = 4
_MOST_PARTS = 9_000  # S3 takes 10,000

# A store that is down is given up within some seconds. A large part may take longer, on a thin line. While a client is
# slow to take what it reads, no time counts.
_CLIENT = {"connect_timeout": "4s", "timeout": "1day"}
_QUICK = {"read_timeout": "8s"}
_PATIENT = {"read_timeout": "60s"}
_QUICKLY_SENT = 1024 * 1024
_RETRIES: Any = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=8),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}

# The options that are the HTTP client's; obstore takes them apart from those of the store.
_CLIENT_OPTIONS = {
    "allow_http", "allow_invalid_certificates", "connect_timeout", "http1_only", "http2_only", "pool_idle_timeout",
    "pool_max_idle_per_host", "proxy_ca_certificate", "proxy_excludes", "proxy_url", "randomize_addresses",
    "read_timeout", "root_certificate", "timeout", "user_agent",
}  # fmt: skip

_ENDPOINT = re.compile(r"https?://[\w.:\[\]-]+(/[!-~]*)?", re.ASCII)
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist")
_FULL = re.compile(r"QuotaExceeded|StorageFull|InsufficientStorage|InsufficientCapacity|No space left|status code: 507")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")


class ObjectStore:
    """Files of an object store.

    A key holds the digest of the bytes and something random: what is deleted and what comes in at the same moment with
    the same bytes never meet. Bytes are spooled in `folder`, so that they have a key before they are sent, and can be
    sent again; `names` opens the database when it is first needed. SettingsError if the URL or an option is not right.
    """

    def __init__(
        self,
        url: str,
        names: Callable[[], Awaitable[Names]],
        folder: Path,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.names = names
        self._folder = folder
        self._quick = _connect(url, options or {}, _QUICK)
        self._patient = _connect(url, options or {}, _PATIENT)
        # A folder has no place for attributes.
        self._attributes = urlsplit(url).scheme != "file"

    def stage(self) -> AbstractAsyncContextManager["CloudStaged"]:
        """Begin a file; leaving the block without `commit` leaves nothing behind."""
        return closing(CloudStaged(self, self._folder))

    async def get(self, name: str) -> StoredFile:
        """What is known of a file; NotFoundError if there is none."""
        return _stored_file(await self._entry(name))

    async def digest(self, name: str) -> str:
        """The SHA-256 that a file's bytes had when they came in; NotFoundError if there is no such file."""
        return (await self._entry(name)).sha256

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces; NotFoundError if there is no such file."""
        entry = await self._entry(name)
        end = entry.size if end is None else min(end, entry.size)
        if start >= end:
            return
        with _translated(name):
            result = await obstore.get_async(self._quick, entry.key, options={"range": (start, end)})
            async for piece in result.stream(PIECE):
                start += len(piece)
                yield piece
        if start < end:
            raise StoreError("The object store sent less of a file than there is")

    async def list(self, after: str | None = None, limit: int = 1000) -> Page:
        """Files in the order of their names, from a cursor on."""
        found = await (await self.names()).list(after or "", limit + 1)
        files = tuple(_stored_file(entry) for entry in found[:limit])
        return Page(files, files[-1].name if len(found) > limit else None)

    async def adopt(
        self, other: Store, name: str, new: str, taken: Callable[[str], bool] = lambda _: False
    ) -> StoredFile:
        """Give a file of another space of this object store one more name here; a taken one gets `-2`, `-3` …"""
        if not isinstance(other, ObjectStore):
            raise StoreError("An object store takes over its own files alone")
        names, others = await self.names(), await other.names()
        return _stored_file(await names.adopt(others, checked_name(name), checked_name(new), taken))

    async def delete(self, name: str) -> None:
        """Remove a name, and the object with its last one; NotFoundError if there is no such file."""
        key = await (await self.names()).release(checked_name(name))
        if key is not None:
            await self._discard(key)

    async def recover(self) -> int:
        """Remove what a killed process left half-spooled; the number of such files."""
        return await in_thread(partial(recover, self._folder))

    async def leftovers(self) -> tuple[StoredFile, ...]:
        """What `recover` would remove now."""
        return await in_thread(partial(leftovers, self._folder))

    async def check(self) -> None:
        """Raise StoreError if the object store cannot be reached, or refuses."""
        with _translated():
            # A listing of what is not there costs nothing, and tells of a wrong key and of a missing bucket.
            await obstore.list(self._quick, f"{_OBJECTS}/check").collect_async()

    async def objects(self) -> AsyncGenerator[StoredObject, None]:
        """Every object, and whether a name leads to it."""
        names = await self.names()
        with _translated():
            async for found in obstore.list(self._quick, _OBJECTS, chunk_size=1000):
                named = await names.keys([meta["path"] for meta in found])
                for meta in found:
                    key = meta["path"]
                    yield StoredObject(key, meta["size"], meta["last_modified"].timestamp(), key in named)

    async def remove_object(self, key: str) -> None:
        """Remove an object, unless a name leads to it; gone already is as good."""
        if not await (await self.names()).keys([key]):
            await self._remove(key)

    async def upload(
        self, spool: Spool, name: str, sha256: str | None = None, taken: Callable[[str], bool] = lambda _: False
    ) -> StoredFile:
        """Store what was spooled under a name; when this fails or is cancelled nothing is left, and the spool is whole.

        `taken` says which names are in use elsewhere.
        """
        given_up = asyncio.Event()
        uploading = asyncio.ensure_future(self._upload(spool, checked_name(name), sha256, taken, given_up))
        try:
            return await to_the_end(uploading, given_up.set)
        except asyncio.CancelledError:
            if not uploading.cancelled() and uploading.exception() is None:  # nobody was told of the name
                await to_the_end(asyncio.ensure_future(self.delete(uploading.result().name)))
            raise

    async def _upload(
        self, spool: Spool, name: str, sha256: str | None, taken: Callable[[str], bool], given_up: asyncio.Event
    ) -> StoredFile:
        digest = sha256 or await spool.sha256()
        key = f"{_OBJECTS}/{digest[:2]}/{digest}.{secrets.token_hex(4)}"
        try:
            await self._put(key, spool, given_up)
            entry = await (await self.names()).claim(name, key, digest, spool.size, taken)
        except MediaryError:
            # The name may have been written and the answer lost; and the object, too.
            with suppress(MediaryError):
                await self.remove_object(key)
            raise
        if entry.key != key:
            await self._share(entry, spool, given_up)
            await self._discard(key)
        return _stored_file(entry)

    async def _share(self, entry: Entry, spool: Spool, given_up: asyncio.Event) -> None:
        """See that the object which a name shares with others is there; if somebody took it away, it comes back."""
        try:
            if not await self._is_whole(entry):
                logger.warning("the object %s was not there any more, and is stored anew", entry.key)
                await self._put(entry.key, spool, given_up)
        except MediaryError:
            await (await self.names()).release(entry.name)
            raise

    async def _is_whole(self, entry: Entry) -> bool:
        with suppress(NotFoundError), _translated(entry.name):
            return (await obstore.head_async(self._quick, entry.key))["size"] == entry.size
        return False

    async def _put(self, key: str, spool: Spool, given_up: asyncio.Event) -> None:
        attributes: Any = None
        if self._attributes:
            detected = detect(await spool.read(0, SNIFF_BYTES))
            attributes = {"Content-Type": detected.media_type if detected else "application/octet-stream"}
        if spool.size <= _PART:
            whole = await spool.read(0, spool.size)
            client = self._quick if spool.size <= _QUICKLY_SENT else self._patient
            with _translated():
                await obstore.put_async(client, key, whole, attributes=attributes, use_multipart=False)
            return
        part = max(_PART, spool.size // _MOST_PARTS)
        pieces = _pieces(spool, given_up)
        with _translated():
            await obstore.put_async(
                self._patient, key, pieces, attributes=attributes, chunk_size=part, max_concurrency=_PARTS_AT_ONCE
            )

    async def _discard(self, key: str) -> None:
        """Remove an object that has no name any more. If that fails, so be it: `gc` finds it."""
        try:
            await self._remove(key)
        except StoreError as error:
            logger.warning("an object without a name stays in the object store: %s", error)

    async def _remove(self, key: str) -> None:
        with suppress(NotFoundError), _translated(key):
            await obstore.delete_async(self._quick, key)

    async def _entry(self, name: str) -> Entry:
        entry = await (await self.names()).find(checked_name(name))
        if entry is None:
            raise NotFoundError(f"There is no file {name!r}")
        return entry


class CloudStore(ObjectStore):
    """An object store that can sign links: S3, Azure, Google Cloud."""

    async def sign(self, name: str, seconds: int) -> str:
        """A link to a file, good for that many seconds."""
        entry = await self._entry(name)
        bucket: Any = self._quick  # none of those that cannot sign
        with _translated(name):
            return await obstore.sign_async(bucket, "GET", entry.key, timedelta(seconds=seconds))


class CloudStaged(StagedSpool):
    """Bytes on their way into an object store."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        super().__init__(folder)
        self._store = store

    async def commit(self, name: str, sha256: str | None = None) -> StoredFile:
        """Send the bytes and give them a name; one that is taken gets `-2`, `-3` …"""
        self.require_unfinished()
        stored = await self._store.upload(self, name, sha256)
        await self.close()
        return stored


class _GivenUpError(StoreError):
    """Makes obstore abort an upload: if it were cancelled, the parts that were sent would stay."""


async def _pieces(spool: Spool, given_up: asyncio.Event) -> AsyncGenerator[bytes, None]:
    start = 0
    while start < spool.size:
        if given_up.is_set():
            raise _GivenUpError("The upload was given up")
        piece = await spool.read(start, start + PIECE)
        start += len(piece)
        yield piece


def _stored_file(entry: Entry) -> StoredFile:
    return StoredFile(entry.name, entry.size, entry.stored, entry.sha256)


def _connect(url: str, options: Mapping[str, str], timeouts: Mapping[str, str]) -> Any:
    """The client for a store's URL; what the options leave open, obstore takes from the environment."""
    try:
        if urlsplit(url).scheme == "file":
            return LocalStore(_folder(url, options), mkdir=True)
        _check(url, options)
        client: Any = {**_CLIENT, **timeouts}
        client["allow_http"] = not any(value.startswith("https:") for value in options.values())
        client |= {name: value for name, value in options.items() if name in _CLIENT_OPTIONS}
        config: Any = {name: value for name, value in options.items() if name not in _CLIENT_OPTIONS}
        if url.startswith("s3:"):
            # One object is deleted at a time, and not all that calls itself S3 knows how to delete many.
            config = {"disable_bulk_delete": "true", **config}
        return from_url(url.rstrip("/"), config=config, client_options=client, retry_config=_RETRIES)
    except (BaseError, ValueError, OSError) as error:
        raise SettingsError(f"[media] store: {_without(options, str(error).splitlines()[0])}") from None


def _check(url: str, options: Mapping[str, str]) -> None:
    """ValueError for what would be taken, and never work."""
    place = urlsplit(url)
    if "@" in place.netloc:  # whatever is in the URL is shown, and written down with each name
        raise ValueError("keys do not belong into the URL, but into store_options")
    if not place.netloc:
        raise ValueError("after :// the name of the bucket is missing")
    for name, value in options.items():
        # The client library panics over what is no URL.
        if "endpoint" in name and not _ENDPOINT.fullmatch(value):
            raise ValueError(f"the option {name} is not an http(s) URL")


def _folder(url: str, options: Mapping[str, str]) -> Path:
    path = unquote(urlsplit(url).path)
    if options or urlsplit(url).netloc or not path.startswith("/"):
        raise ValueError("a folder is written as file:///path, without options")
    return Path(path)


def _without(options: Mapping[str, str], text: str) -> str:
    """The text without the values of options, any of which may be secret."""
    for value in filter(None, options.values()):
        text = text.replace(value, "…")
    return text


@contextmanager
def _translated(name: str | None = None) -> Iterator[None]:
    """Errors of obstore as errors of the store; `name` is the file that may be missing.

    The texts that came with them are left out: they hold URLs, which may be signed, and what the store echoed.
    """
    try:
        yield
    except (BaseError, OSError) as error:
        said = str(error)
        if isinstance(error, FileNotFoundError) and name is not None and not _NO_BUCKET.search(said):
            raise NotFoundError(f"There is no file {name!r}") from None
        if _FULL.search(said):
            raise NoSpaceError("The object store is full") from None
        raise StoreError(_reason(said)) from None


def _reason(said: str) -> str:
    if status := _STATUS.search(said):
        code = _CODE.search(said)
        return f"The object store answered {status[1]}" + (f" ({code[1]})" if code else "")
    if "redirect" in said:
        return "The object store is another one: check region and endpoint"
    if "kind: Timeout" in said:
        return "The object store did not answer in time"
    return "The object store cannot be reached" if "kind: Connect" in said else "The object store failed"
