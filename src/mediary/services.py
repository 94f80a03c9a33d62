"""The composition root: Settings in, wired services out; the only place that builds implementations."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mediary.conversations.attachments import Attachments
from mediary.conversations.directory import CUSTOM, ProviderDirectory
from mediary.conversations.discovery import find_local_servers
from mediary.conversations.turn import Conversations
from mediary.media.library import Library, ensure_media_dir, ensure_thumbnail_dir
from mediary.net.client import HttpClient
from mediary.plugins import load
from mediary.providers.base import Provider
from mediary.settings import ProviderSettings, Settings
from mediary.storage.base import Store

if TYPE_CHECKING:
    from mediary.database.engine import Database
    from mediary.media.catalog import Catalog
    from mediary.usage.ledger import Ledger

T = TypeVar("T")


class Late(Generic[T]):
    """A part that takes long to make: made once, by whoever asks first; all others wait for that."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Wait until it is made, and hand it out."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._make())
        return await asyncio.shield(self._task)

    @property
    def made(self) -> bool:
        """Whether anybody asked yet."""
        return self._task is not None


class Services:
    """Everything that answers requests, wired. The database comes late: SQLAlchemy takes longest to import."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.http = HttpClient(settings.net)
        self.database = Late(self._open_database)
        self.catalog: Late[Catalog] = Late(lambda: self._feature("mediary.media.catalog", "Catalog"))
        self.ledger: Late[Ledger] = Late(lambda: self._feature("mediary.usage.ledger", "Ledger"))
        self.store, thumbnails = self._stores()
        self.library = Library(
            self.store, self.catalog, self.http, thumbnails=thumbnails, max_bytes=settings.media.max_bytes
        )
        self.conversations = Conversations(
            ProviderDirectory(
                {name: self._provider(name, table) for name, table in settings.providers.items()},
                custom=self._provider(CUSTOM, ProviderSettings(wire="openai")),
                discover=self._discover if settings.discover else None,
            ),
            Attachments(self.store, self.http, settings.conversation.max_attachment_bytes),
            self.library,
            self.ledger,
            settings.conversation,
            keep_attachments=settings.media.keep_attachments,
        )

    async def start(self) -> None:
        """Remove what a killed process left, open the database; SettingsError if it cannot be."""
        await self.store.recover()
        await asyncio.gather(self.catalog(), self.ledger())

    async def check(self) -> None:
        """Reach the database and the store; raises what fails."""
        await (await self.database()).check()
        await self.store.check()

    async def close(self) -> None:
        """Finish what is being written, then close everything."""
        await self.conversations.close()
        await self.http.close()
        if self.database.made:
            await (await self.database()).close()

    def _stores(self) -> tuple[Store, Callable[[], Store]]:
        """The store of the media, and what makes that of their thumbnails when one is first needed."""
        make_store: Callable[[Path], Store] = load("storage", self.settings.media.store)
        folder = ensure_media_dir(self.settings.data)
        return make_store(folder), lambda: make_store(ensure_thumbnail_dir(folder))

    def _provider(self, name: str, table: ProviderSettings) -> Provider:
        provider: Provider = load("providers", table.wire)(name, table, self.http)
        return provider

    async def _discover(self) -> Mapping[str, Provider]:
        server = self.settings.server
        taken = {f"http://{server.host}:{server.port}/v1"}
        taken |= {table.base_url.rstrip("/") for table in self.settings.providers.values() if table.base_url}
        return {
            found.name: self._provider(found.name, ProviderSettings(wire="openai", base_url=found.base_url))
            for found in await find_local_servers(self.http, taken)
            if found.name not in self.settings.providers
        }

    async def _open_database(self) -> "Database":
        url = self.settings.database.url
        engine = await asyncio.to_thread(import_module, "mediary.database.engine")
        database: Database = await engine.Database.open(
            url.get_secret_value() if url else self.settings.data / "mediary.db"
        )
        return database

    async def _feature(self, module: str, name: str) -> Any:
        """A feature on the database, whose module imports SQLAlchemy."""
        imported = await asyncio.to_thread(import_module, module)
        return getattr(imported, name)(await self.database())
