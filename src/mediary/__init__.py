"""Mediary: a self-hosted backend between people and AI providers that keeps the media."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.buckets.library import BucketLibrary
from mediary.errors import MediaryError
from mediary.formats import get_media_extension, is_accepted_format, is_allowed_extension
from mediary.media.directories import ensure_media_dir, get_media_dir
from mediary.media.intake import copy_media, save_response_media
from mediary.media.item import Found, ItemFilter, ItemPage, MediaItem, SearchQuery
from mediary.media.library import MediaLibrary
from mediary.media.responses import AudioResponse, ImageResponse, MediaResponse, VideoResponse
from mediary.memory.item import MemoryItem, MemoryPage, NewItem
from mediary.names import get_filename, get_source_url, secure_filename
from mediary.uploads.records.entry import Upload
from mediary.uploads.room import UploadRoom
from mediary.uploads.senders.aliyun_oss import get_oss_headers

if TYPE_CHECKING:
    from mediary.memory.room import Memory
    from mediary.services import Services

__version__ = version("mediary")

__all__ = [
    "AudioResponse",
    "BucketLibrary",
    "Found",
    "ImageResponse",
    "ItemFilter",
    "ItemPage",
    "MediaItem",
    "MediaLibrary",
    "MediaResponse",
    "MediaryError",
    "MemoryItem",
    "MemoryPage",
    "NewItem",
    "SearchQuery",
    "Upload",
    "UploadRoom",
    "VideoResponse",
    "__version__",
    "copy_media",
    "ensure_media_dir",
    "get_filename",
    "get_media_dir",
    "get_media_extension",
    "get_oss_headers",
    "get_source_url",
    "is_accepted_format",
    "is_allowed_extension",
    "open_buckets",
    "open_library",
    "open_memory",
    "open_uploads",
    "save_response_media",
    "secure_filename",
    "upload",
]


@asynccontextmanager
async def open_library(data: str | Path | None = None, config: str | Path | None = None) -> AsyncIterator[MediaLibrary]:
    """The media library of a data folder, by default the current one, as its `mediary.toml` or `config` says.

    A server may run beside it. SettingsError if the settings, the folder or the database cannot be used.

    ```py
    from pathlib import Path

    from mediary import open_library

    async with open_library("data") as library:
        item = await library.add(Path("cat.png"), tags=["cat"])
        found = await library.search("cat")
        assert item in found.items
    ```
    """
    services = await _services(data, config)
    try:
        yield services.library
    finally:
        await services.close()


@asynccontextmanager
async def open_buckets(
    data: str | Path | None = None, config: str | Path | None = None
) -> AsyncIterator[BucketLibrary]:
    """The buckets of a data folder, by default the current one, as its `mediary.toml` or `config` says.

    A server may run beside it. SettingsError if the settings or the folder cannot be used.

    ```py
    from pathlib import Path

    from mediary import open_buckets

    Path("lease.md").write_text("# Lease\\n\\nThe notice period is three months.")
    async with open_buckets("data") as buckets:
        await buckets.add("contracts", Path("lease.md"))
        for passage in await buckets.ask("contracts", "How long is the notice period?"):
            print(passage.document, passage.text)
        async for text in buckets.read("contracts"):
            print(text, end="")
    ```
    """
    services = await _services(data, config)
    try:
        yield BucketLibrary(services.buckets)
    finally:
        await services.close()


@asynccontextmanager
async def open_memory(data: str | Path | None = None, config: str | Path | None = None) -> "AsyncIterator[Memory]":
    """The memory of a data folder, by default the current one, as its `mediary.toml` or `config` says.

    A server may run beside it. SettingsError if the settings, the folder or the database cannot be used.

    ```py
    from mediary import NewItem, open_memory

    async with open_memory("data") as memory:
        await memory.add("ann", ["I take my tea without milk", NewItem("My cat is grey", metadata={"pet": True})])
        found = await memory.search("ann", "How does she drink her tea?")
        assert found.items[0].text == "I take my tea without milk"
        assert (await memory.list("ann", {"pet": True})).total == 1
        await memory.delete("ann")
    ```
    """
    services = await _services(data, config)
    try:
        yield await services.memory()
    finally:
        await services.close()


@asynccontextmanager
async def open_uploads(data: str | Path | None = None, config: str | Path | None = None) -> AsyncIterator[UploadRoom]:
    """The uploads of a data folder, by default the current one, as its `mediary.toml` or `config` says.

    A server may run beside it. SettingsError if the settings, the folder or the database cannot be used.

    ```py
    from pathlib import Path

    from mediary import open_uploads

    async with open_uploads("data") as uploads:
        first = await uploads.upload(Path("report.pdf"), "Example")
        again = await uploads.upload(Path("report.pdf"), "Example")
        assert again.cached and again.file.id == first.file.id
        print(uploads.message([first], "What does it say?"))
    ```
    """
    services = await _services(data, config)
    try:
        yield services.uploads
    finally:
        await services.close()


async def upload(
    file: Path | str | bytes,
    provider: str,
    *,
    name: str | None = None,
    model: str | None = None,
    api_key: str | None = None,
    cookies: Mapping[str, str] | None = None,
    progress: Callable[[int], None] = lambda _: None,
    data: str | Path | None = None,
    config: str | Path | None = None,
) -> Upload:
    """Carry one file to a provider by its own protocol, unless it lies there already: `UploadRoom.upload`.

    `data` and `config` are as in `open_uploads`, which is what to use for several.
    """
    async with open_uploads(data, config) as uploads:
        return await uploads.upload(
            file, provider, name=name, model=model, api_key=api_key, cookies=cookies, progress=progress
        )


async def _services(data: str | Path | None, config: str | Path | None) -> "Services":
    # imported here: whoever wants a name of this module should not wait for the whole house
    house = await asyncio.to_thread(import_module, "mediary.services")
    from mediary.settings import load_settings

    services: Services = house.Services(load_settings(Path(config) if config else None, Path(data) if data else None))
    return services
