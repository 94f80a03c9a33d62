"""The media library: the store of the bytes, and the catalog of what is known of them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote
from weakref import WeakValueDictionary

from mediary import plugins
from mediary.errors import ConflictError, DatabaseError, NotFoundError, SettingsError
from mediary.media.adding import Brought, add
from mediary.media.dedupe import share, with_facts_of
from mediary.media.directories import ensure_thumbnail_dir, ensure_trash_dir
from mediary.media.item import Found, ItemFilter, ItemPage, MediaItem, Order, SearchQuery
from mediary.media.receive import About
from mediary.media.sync import take_in_one
from mediary.media.trash import purge, restore, throw_away
from mediary.net.client import HttpClient
from mediary.storage.base import Staged, Store, StoredFile

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog
    from mediary.media.export import Exported
    from mediary.media.indexer import Indexer
    from mediary.media.thumbnails import Thumbnails

logger = logging.getLogger(__name__)


class Holders(Protocol):
    """Knows what else needs media items: shared chats, which show them."""

    async def holders(self, name: str) -> Sequence[str]:
        """The ids of those that need an item, or of some of them."""
        ...


class MediaLibrary:
    """The kept media: bytes in a store, and a row of the catalog for each of them.

    `catalog` is awaited when rows are needed; without one, nothing but the bytes is kept. `trash` is the store of what
    was deleted; without one, or with `keep_trash` false, it is gone at once. `thumbnails` makes the store of the
    thumbnails when the first of them comes, `thumbnailer` is who makes them; `indexer` reads what files say of
    themselves. `held_by` knows the shared chats that show items. `max_bytes` is the size of the largest item that is
    taken. `on_change` is told the name of each item that came or changed.
    """

    def __init__(
        self,
        store: Store,
        catalog: "Callable[[], Awaitable[Catalog]] | None",
        http: HttpClient,
        *,
        trash: Store | None = None,
        keep_trash: bool = True,
        thumbnails: Callable[[], Store] | None = None,
        thumbnailer: "Thumbnails | None" = None,
        indexer: "Indexer | None" = None,
        held_by: Callable[[], Awaitable[Holders]] | None = None,
        max_bytes: int | None = None,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.store = store
        self.trash = trash
        self.keep_trash = keep_trash
        self.http = http
        self.max_bytes = max_bytes
        self.on_change = on_change
        self._indexer = indexer
        self._held_by = held_by
        self._catalog = catalog
        self._make_thumbnails = thumbnails
        self._thumbnails: Store | None = None
        self._thumbnailer = thumbnailer
        self._arriving: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._moving: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    def local(
        cls,
        folder: Path,
        http: HttpClient,
        catalog: "Callable[[], Awaitable[Catalog]] | None" = None,
        *,
        max_bytes: int | None = None,
    ) -> "MediaLibrary":
        """A library in a folder that exists, for programs that use the package without its server.

        The server's library is put together by `services`, as all else; a program that only wants to keep a picture
        should not have to know how stores are found. This is the one place outside `services` that loads one.
        """
        make_store: Callable[[Path], Store] = plugins.load("storage", "local")
        return cls(
            make_store(folder),
            catalog,
            http,
            trash=make_store(ensure_trash_dir(folder)) if catalog else None,
            thumbnails=lambda: make_store(ensure_thumbnail_dir(folder)),
            max_bytes=max_bytes,
        )

    @property
    def max_download_bytes(self) -> int:
        """The size of the largest item that is fetched from somewhere else."""
        limit = self.http.net.max_bytes
        return limit if self.max_bytes is None else min(limit, self.max_bytes)

    @property
    def thumbnails(self) -> Store:
        """The store of the thumbnails."""
        if self._thumbnails is None:
            if self._make_thumbnails is None:
                raise SettingsError("this library has no store for thumbnails")
            self._thumbnails = self._make_thumbnails()
        return self._thumbnails

    async def catalog(self) -> "Catalog":
        """The rows; SettingsError if this library has none, or its database cannot be used."""
        if self._catalog is None:
            raise SettingsError("this library has no database: it knows nothing of its files but their bytes")
        return await self._catalog()

    async def get(self, name: str) -> MediaItem:
        """What is known of an item; NotFoundError if there is none."""
        if (item := await self.find(name)) is None:
            raise NotFoundError(f"there is no media item {name!r}")
        return item

    async def find(self, name: str) -> MediaItem | None:
        """What is known of an item. A file that nobody looked at yet, dropped in a moment ago, gets its row now."""
        catalog = await self.catalog()
        item = await catalog.find(name)
        if item is None and await take_in_one(self.store, catalog, name):
            self.on_change(name)
            item = await catalog.find(name)
        return item

    async def list(
        self, meant: ItemFilter | None = None, order: Order = "newest", cursor: str | None = None, limit: int = 50
    ) -> ItemPage:
        """A page of the items that are meant, all of them if that is not said."""
        return await (await self.catalog()).list(meant, order, cursor, limit)

    async def search(self, query: SearchQuery | str, count: bool = False) -> Found:
        """The items that match the query's tokens, or all words of a text; with `count`, how many there are in all."""
        if isinstance(query, str):
            query = SearchQuery(tokens=tuple(query.split()), limit=50)
        return await (await self.catalog()).search(query, count)

    async def similar(self, name: str, limit: int = 20) -> Sequence[tuple[MediaItem, int]]:
        """The pictures that look most like this one, nearest first, each with the number of bits that differ."""
        return await (await self.catalog()).similar(name, limit)

    async def has(self, sha256: str) -> bool:
        """Whether the catalog knows of an item with these bytes; DatabaseError if it cannot say."""
        return self._catalog is not None and await (await self._catalog()).has(sha256)

    async def add(
        self,
        source: Brought,
        *,
        alt: str = "",
        tags: Sequence[str] = (),
        prompt: str = "",
        parent: str | None = None,
        owner: str | None = None,
    ) -> MediaItem:
        """Take a file of this machine, a URL, a data URI, bytes or a stream of bytes into the library.

        A file is as old here as it is there, and one that has a name of a library keeps it. What it says itself of how
        it was made is kept, but for what the caller says. `parent` is the name of the item that it was made from.

        NotFoundError for a path where no file is, BadRequestError, UnsupportedTypeError for what is no media,
        AddressRefusedError, DownloadError, TooLargeError, StoreError, NoSpaceError.
        """
        about = About(prompt=prompt, alt=alt, tags=tuple(tags), parent=parent, owner=owner)
        return await add(self, source, about)

    async def export(self, name: str, target: Path, *, embed: bool = False, replace: bool = False) -> "Exported":
        """Copy an item to `target`: a folder, or the path of a file that is to be. What is here stays as it is.

        `embed` writes prompt, parameters and tags into the copy: PNG (text that A1111 reads, and XMP), JPEG and WebP
        (XMP). Its pixels stay as they are, too; a file that takes no words is copied without them. `replace` takes the
        place of a file that is there. The copy has the time of the item.

        NotFoundError if there is no such item, ConflictError if there is such a file, StoreError, NoSpaceError.
        """
        # imported here: it takes what writes XML, and a server exports nothing
        from mediary.media.export import export

        return await export(self, name, target, embed=embed, replace=replace)

    async def describe(self, name: str) -> MediaItem:
        """What is known of an item, with what its file says of itself, which is read now."""
        item = await self.get(name)
        if self._indexer is None:
            return item
        await self._indexer.read_now(await self.catalog(), item)
        return await self.get(name)

    async def tag(self, name: str, tags: Sequence[str]) -> MediaItem:
        """Put these tags in the place of an item's tags; NotFoundError if there is none."""
        await self.get(name)
        return await (await self.catalog()).update(name, {"tags": tuple(tags)})

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Delete an item: it goes to the trash, from which `restore` brings it back.

        NotFoundError if there is none; ConflictError if a shared chat shows it, unless that is `force`d.
        """
        await self.get(name)
        if self._held_by and not force and (holders := await (await self._held_by()).holders(name)):
            chats = ", ".join(holders)
            raise ConflictError(
                f"{name!r} is shown in what is shared as {chats}: with force it is deleted all the same"
            )
        trash = self.trash if self.keep_trash else None
        async with self._moving_lock(name):
            await throw_away(self.store, trash, await self.catalog(), name)

    async def restore(self, name: str) -> MediaItem:
        """Bring back what was deleted last under this name; NotFoundError if the trash does not have it.

        If the name was given to another file meanwhile, the item gets a numbered one.
        """
        if self.trash is None:
            raise NotFoundError("this library has no trash")
        async with self._moving_lock(name):
            item = await restore(self.store, self.trash, await self.catalog(), name)
        self.on_change(item.name)
        return item

    async def purge(self, name: str) -> None:
        """Let go for good of what was deleted last under this name; NotFoundError if the trash does not have it."""
        if self.trash is None:
            raise NotFoundError("this library has no trash")
        async with self._moving_lock(name):
            await purge(self.trash, await self.catalog(), name)

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of an item from `start` up to `end` (exclusive), in pieces; NotFoundError if there is none."""
        return self.store.read(name, start, end)

    async def thumbnail(self, name: str, width: int | None = None, *, webp: bool = True) -> StoredFile:
        """The small picture of an item, in the store of the thumbnails; made now if there is none yet."""
        if self._thumbnailer is None:
            raise SettingsError("this library makes no thumbnails")
        return await self._thumbnailer.get(name, width, webp=webp)

    async def commit(
        self, staged: Staged, name: str, sha256: str, make_item: Callable[[StoredFile], MediaItem]
    ) -> StoredFile:
        """Give bytes that arrived their name, and the row that is made of their file.

        Bytes that the library has already under another name are not kept twice: they get one name more, and the row
        takes over what they told before.
        """
        lock = self._arriving.setdefault(sha256, asyncio.Lock())
        async with lock:
            twin = await self._find_twin(sha256)
            stored = await share(self.store, twin, name) if twin else None
            if stored is None or twin is None:
                stored = await staged.commit(name, sha256)
                await self.record(lambda: make_item(stored))
            else:
                await self.record(lambda: with_facts_of(twin, make_item(stored)))
        return stored

    async def record(self, make_item: Callable[[], MediaItem]) -> None:
        """Write the row of a stored file. A database that fails costs the row and not the file: it is logged."""
        if self._catalog is None:
            return
        try:
            catalog = await self._catalog()
            item = make_item()
            await catalog.add(item)
            self.on_change(item.name)
        except (DatabaseError, SettingsError) as error:
            logger.warning("a media item is kept, but the database does not describe it: %s", error.message)

    def _moving_lock(self, name: str) -> asyncio.Lock:
        """Who deletes an item and who restores it take turns: else it comes back under a number beside itself."""
        return self._moving.setdefault(name, asyncio.Lock())

    async def _find_twin(self, sha256: str) -> MediaItem | None:
        """An item with these bytes, if the database says so now."""
        if self._catalog is None:
            return None
        try:
            return await (await self._catalog()).twin(sha256)
        except (DatabaseError, SettingsError):  # `record` will tell
            return None


def media_url(name: str, route: str = "media") -> str:
    """The path under which a media item is served, or its `thumbnail`."""
    return f"/{route}/{quote(name, safe='+,')}"
