"""Libraries in a folder and in an object store, with a few items in them: for those who read, collect and move all."""

import hashlib
from pathlib import Path

from mediary.database.engine import Database
from mediary.database.names import StoredNames
from mediary.media.catalog import Catalog
from mediary.media.item import MediaItem
from mediary.media.library import MediaLibrary
from mediary.net.client import HttpClient
from mediary.storage.base import Store
from mediary.storage.cloud import ObjectStore
from mediary.storage.local import LocalStore
from mediary.storage.overlay import lay_over


class Places:
    """The places of one installation: a folder `media`, object stores in folders beside it, one database for all.

    Another `node` has a folder of its own.
    """

    def __init__(self, root: Path, database: Database, http: HttpClient, node: str = "") -> None:
        self.root = root
        self.media = root / node / "media"
        self.database = database
        self.catalog = Catalog(database)
        self._http = http
        for folder in (self.media, self.media / ".trash", self.media / "thumbnails"):
            folder.mkdir(parents=True, exist_ok=True)

    def local(self) -> MediaLibrary:
        """The library in the folder."""
        return self._library(LocalStore(self.media), LocalStore(self.media / ".trash"))

    def objects(self, name: str = "objects") -> MediaLibrary:
        """The library in an object store, with the folder as its waiting room."""
        return self._library(*(self._overlay(name, *side) for side in (("media", ""), ("trash", ".trash"))))

    def blobs(self, name: str = "objects") -> list[Path]:
        """The files in which an object store keeps its objects."""
        return sorted(path for path in (self.root / name).rglob("*") if path.is_file())

    def _overlay(self, name: str, space: str, folder: str) -> Store:
        url = (self.root / name).as_uri()

        async def names() -> StoredNames:
            return StoredNames(self.database, url, space)

        return lay_over(ObjectStore(url, names, self.media / folder), LocalStore(self.media / folder))

    def _library(self, store: Store, trash: Store) -> MediaLibrary:
        async def catalog() -> Catalog:
            return self.catalog

        return MediaLibrary(
            store, catalog, self._http, trash=trash, thumbnails=lambda: LocalStore(self.media / "thumbnails")
        )


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def keep(library: MediaLibrary, name: str, data: bytes, *, known: bool = True) -> MediaItem:
    """Put an item into a library; `known` tells whether its row has the digest."""
    async with library.store.stage() as staged:
        await staged.write(data)
        stored = await staged.commit(name, digest(data))
    item = MediaItem(
        name=stored.name, size=stored.size, media_type="image/png", kind="image", modified=stored.modified,
        sha256=digest(data) if known else None,
    )  # fmt: skip
    await (await library.catalog()).add(item)
    return item


async def content(store: Store, name: str) -> bytes:
    """All bytes of a file."""
    return b"".join([piece async for piece in store.read(name)])


async def contents(store: Store) -> dict[str, bytes]:
    """All files of a store."""
    return {file.name: await content(store, file.name) for file in (await store.list()).files}
