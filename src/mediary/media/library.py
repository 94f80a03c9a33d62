"""The media library: the folder of the media, the store of their bytes, the catalog of what is known of them."""

import errno
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mediary import plugins
from mediary.errors import DatabaseError, SettingsError
from mediary.net.client import HttpClient
from mediary.ownership import current_user, owner, take_over
from mediary.storage.base import Store

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog, MediaItem

logger = logging.getLogger(__name__)


def get_media_dir(root: Path = Path()) -> Path:
    """The folder of the media below `root`: `generated_images` where it can be read, else `generated_media`."""
    older = root / "generated_images"
    return older if os.access(older, os.R_OK) else root / "generated_media"


def ensure_media_dir(root: Path = Path()) -> Path:
    """The folder of the media, made if need be and tried; SettingsError says whose it is, and how to mend it."""
    folder = get_media_dir(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise SettingsError(_explain(folder, error)) from error
    return folder


def ensure_thumbnail_dir(media: Path) -> Path:
    """The folder of the thumbnails below that of the media, made if need be; SettingsError if it cannot be."""
    folder = media / "thumbnails"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SettingsError(_explain(folder, error)) from error
    return folder


class Library:
    """The kept media: bytes in a store, and a row of the catalog for each of them.

    `catalog` is awaited when a row is written; without one, nothing but the bytes is kept. `thumbnails` makes the store
    of the thumbnails when the first of them comes. `max_bytes` is the size of the largest item that is taken.
    """

    def __init__(
        self,
        store: Store,
        catalog: "Callable[[], Awaitable[Catalog]] | None",
        http: HttpClient,
        *,
        thumbnails: Callable[[], Store] | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.store = store
        self.http = http
        self.max_bytes = max_bytes
        self._catalog = catalog
        self._make_thumbnails = thumbnails
        self._thumbnails: Store | None = None

    @classmethod
    def local(
        cls,
        folder: Path,
        http: HttpClient,
        catalog: "Callable[[], Awaitable[Catalog]] | None" = None,
        *,
        max_bytes: int | None = None,
    ) -> "Library":
        """A library in a folder that exists, for programs that use the package without its server.

        The server's library is put together by `services`, as all else; a program that only wants to keep a picture
        should not have to know how stores are found. This is the one place outside `services` that loads one.
        """
        make_store: Callable[[Path], Store] = plugins.load("storage", "local")
        return cls(
            make_store(folder),
            catalog,
            http,
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

    async def has(self, sha256: str) -> bool:
        """Whether the catalog knows of an item with these bytes; DatabaseError if it cannot say."""
        return self._catalog is not None and await (await self._catalog()).has(sha256)

    async def record(self, make_item: "Callable[[], MediaItem]") -> None:
        """Write the row of a stored file. A database that fails costs the row and not the file: it is logged."""
        if self._catalog is None:
            return
        try:
            catalog = await self._catalog()
            await catalog.add(make_item())
        except (DatabaseError, SettingsError) as error:
            logger.warning("a media item is kept, but the database does not describe it: %s", error.message)


def media_url(name: str, route: str = "media") -> str:
    """The path under which a media item is served, or its `thumbnail`."""
    return f"/{route}/{quote(name, safe='+,')}"


def _explain(folder: Path, error: OSError) -> str:
    """Why a folder cannot be used, whose it is, and what helps."""
    folder = folder.absolute()
    start = f"the media folder {folder} cannot be written: {os.strerror(error.errno or errno.EIO).lower()}."
    if error.errno not in (errno.EACCES, errno.EPERM):
        return f"{start} {_REMEDIES.get(error.errno or 0, 'Choose another data folder with --data')}."
    there = next(place for place in (folder, *folder.parents) if place.exists())
    status = there.stat()
    return (
        f"{start} {there} belongs to {owner(there)} (mode {status.st_mode & 0o7777:03o}), "
        f"this program runs as {current_user()}. Make it yours: {take_over(there)}"
    )


_REMEDIES = {
    errno.ENOSPC: "Make room on the disk",
    errno.EDQUOT: "Make room: the quota is used up",
    errno.EROFS: "Its file system is mounted read-only: mount it for writing, or choose another folder with --data",
    errno.EEXIST: "A file is in the way: move it",
    errno.ENOTDIR: "A file is in the way: move it",
}
