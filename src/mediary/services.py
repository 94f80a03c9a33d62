"""The composition root: Settings in, wired services out; the only place that builds implementations."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediary.buckets.room import BucketRoom, ensure_bucket_dir
from mediary.conversations.attaching.attachments import Attachments
from mediary.conversations.attaching.bucket_parts import BucketParts
from mediary.conversations.attaching.carry import Carrier
from mediary.conversations.choice.directory import CUSTOM, ProviderDirectory
from mediary.conversations.choice.discovery import LOCAL_SERVERS, find_local_servers
from mediary.conversations.contexts.remembering import Remembering, placer
from mediary.conversations.creating.create import Creating
from mediary.conversations.creating.created import AnswerCache
from mediary.conversations.creating.read_out import Narrator
from mediary.conversations.keeping.made import Made
from mediary.conversations.recording.interrupted import BROKEN_OFF, Interruptions
from mediary.conversations.recording.recorder import Recorder
from mediary.conversations.speaking import recorded
from mediary.conversations.speech import transcriber
from mediary.conversations.turn import Conversations
from mediary.errors import SettingsError
from mediary.media.directories import ensure_media_dir, ensure_thumbnail_dir, ensure_trash_dir
from mediary.media.folder_media import FolderMedia
from mediary.media.indexer import Indexer
from mediary.media.library import MediaLibrary
from mediary.media.looking import Looker
from mediary.media.reader import Reader
from mediary.media.thumbnails import Thumbnails
from mediary.net.client import HttpClient
from mediary.net.latest_version import LatestVersion
from mediary.plugins import load
from mediary.providers.base import HasFlow, Provider
from mediary.runs.room import Runs
from mediary.sandbox.pool import Sandbox
from mediary.sealing import Sealer
from mediary.settings import ProviderSettings, Settings, UploadPolicy, UploadSettings
from mediary.speech.room import SpeechRoom
from mediary.storage.base import Names, Store
from mediary.storage.overlay import lay_over
from mediary.tasks import Late
from mediary.uploads.base import Credentials, Flow
from mediary.uploads.delivery.uploader import Uploader
from mediary.uploads.files import Files
from mediary.uploads.room import UploadRoom
from mediary.usage.counters import Counters
from mediary.usage.room import UsageRoom, open_traces

if TYPE_CHECKING:
    from mediary.conversations.contexts.searching import Searching
    from mediary.cookies.jar import Jar
    from mediary.database.engine import Database
    from mediary.extractors.base import Recognised
    from mediary.media.catalog import Catalog
    from mediary.memory.room import Memory
    from mediary.runs.store import RunStore
    from mediary.shares.shares import Shares
    from mediary.uploads.records.cache import UploadCache
    from mediary.uploads.records.digests import Digests

INLINE = "inline"
"""The word of settings for a provider that takes files within its questions alone."""

logger = logging.getLogger(__name__)


class Services:
    """Everything that answers requests, wired. The database comes late: SQLAlchemy takes longest to import."""

    def __init__(self, settings: Settings, counters: Counters | None = None) -> None:
        self.settings = settings
        self.http = HttpClient(settings.net)
        url = settings.version_url if settings.check_version else None
        self.latest_version = LatestVersion(self.http, settings.data, url)
        self.database = Late(self._open_database)
        self.catalog: Late[Catalog] = Late(lambda: self._feature("mediary.media.catalog", "Catalog"))
        local = [name for name, table in settings.providers.items() if table.wire == "local"]
        self.usage = UsageRoom(self.database, settings.usage, local, counters)
        self.ledger = self.usage.ledger
        self.traces = open_traces(settings.usage.trace)
        self.sealer = Late(self._make_sealer)
        self.jar: Late[Jar] = Late(self._open_jar)
        self.shares: Late[Shares] = Late(self._open_shares)
        self.media_dir = ensure_media_dir(settings.data)
        self.store = self._store(self.media_dir, "media")
        self.trash = self._store(ensure_trash_dir(self.media_dir), "trash")
        # Thumbnails can be made again: each node keeps its own.
        self.thumbnail_store = load("storage", "local")(ensure_thumbnail_dir(self.media_dir))
        self.bucket_dir = ensure_bucket_dir(settings.bucket_dir)
        # Somebody waits for a thumbnail, nobody for the rest; /media goes before both.
        self.sandbox = Sandbox(nice=15, readable=[self.media_dir, self.bucket_dir])
        self.background_sandbox = Sandbox(2, nice=19, readable=[self.media_dir])
        self.thumbnails = Thumbnails(self.store, self.thumbnail_store, self.sandbox, settings.media.max_pixels)
        reader = Reader(self.background_sandbox, settings.media.max_pixels)
        self.indexer = Indexer(self.store, reader, self.media_dir)
        self.library = self._make_library()
        self._keeping: list[asyncio.Task[None]] = []
        configured = {name: self._provider(name, table) for name, table in settings.providers.items()}
        providers = self._make_directory(configured)
        self.bucket_media = FolderMedia(load("storage", "local"), self.sandbox, settings.media.max_pixels)
        self.buckets = BucketRoom(
            self.bucket_dir,
            settings.buckets,
            self.http,
            self.bucket_media,
            transcriber(providers, settings.buckets.transcriber),
        )
        self.uploads = self._make_uploads(configured)
        self._placer = placer(configured, settings.memory.embeddings)
        self.memory: Late[Memory] = Late(self._open_memory)
        made = Made(self.library, self.indexer)
        recorder = Recorder(self.ledger, prices=self.usage.prices, made=made, counters=self.usage.counters)
        sounds = load("storage", "local")(settings.data / "speech")
        self.speech = SpeechRoom(sounds, settings.speech.cache_bytes, recorded(recorder, providers))
        self._run_store: Late[RunStore] = Late(lambda: self._feature("mediary.runs.store", "RunStore"))
        self.runs = Runs(self._run_store, settings.runs.keep_hours, BROKEN_OFF, Interruptions(recorder).record)
        self.searching = self._make_searching()
        parts = BucketParts(self.buckets)
        self.attachments = self._make_attachments(parts)
        self.conversations = self._make_conversations(providers, recorder, parts)
        self.creating = self._make_creating(providers)

    async def start(self) -> None:
        """Remove what a killed process left, open the database; SettingsError if it cannot be."""
        stores = (self.store, self.trash, self.thumbnail_store)
        await asyncio.gather(*(store.recover() for store in stores), self.buckets.start(), self.speech.start())
        await self.creating.start()
        await asyncio.gather(self.catalog(), self.ledger())

    async def begin_upkeep(self) -> None:
        """Begin what is done in the background until `close`; one process of a server does it for all.

        It returns when the media folder is watched: in a folder of a million files, to begin that stops the whole
        process for 70 ms, which no answer should meet.
        """
        # Imported behind the start: no answer needs it.
        from mediary.media.upkeep import Upkeep

        media = self.settings.media
        upkeep = Upkeep(
            self.library,
            self.indexer,
            self.media_dir,
            setting=media.store,
            trash_days=media.trash_days,
            watch=media.watch,
        )
        self._keep(upkeep.run(), "the upkeep of the media library")
        if self.runs.keeps:
            self._keep(self.runs.keep(), "the upkeep of runs")
        self.usage.begin_upkeep()
        if self._placer:  # vectors may be missing since the last time
            await self.memory()
        await upkeep.begun.wait()

    def _keep(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Have something done in the background until `close`."""
        task = asyncio.create_task(work, name=what)
        task.add_done_callback(_tell)
        self._keeping.append(task)

    async def check(self) -> None:
        """Reach the database and the store; raises what fails."""
        await (await self.database()).check()
        await self.store.check()

    async def close(self) -> None:
        """Finish what is being written, then close everything."""
        for task in self._keeping:
            task.cancel()
        if self._keeping:
            await asyncio.wait(self._keeping)
        await self.runs.close()
        await self.creating.close()
        await self.speech.close()
        await self.conversations.close()
        await self.usage.close()
        if self.searching:
            await self.searching.close()
        if self.memory.made:
            await (await self.memory()).close()
        await self.uploads.uploader.close()
        await self.buckets.close()
        await asyncio.gather(self.thumbnails.close(), self.bucket_media.close())
        await asyncio.gather(self.sandbox.close(), self.background_sandbox.close())
        await self.latest_version.close()
        await self.http.close()
        if self.traces:
            await asyncio.to_thread(self.traces.close)
        if self.database.made:
            await (await self.database()).close()

    def _make_library(self) -> MediaLibrary:
        media = self.settings.media
        return MediaLibrary(
            self.store,
            self.catalog,
            self.http,
            trash=self.trash,
            keep_trash=media.trash_days > 0,
            thumbnails=lambda: self.thumbnail_store,
            thumbnailer=self.thumbnails,
            indexer=self.indexer,
            held_by=self.shares,
            max_bytes=media.max_bytes,
        )

    def _make_directory(self, configured: Mapping[str, Provider]) -> ProviderDirectory:
        settings = self.settings
        return ProviderDirectory(
            configured,
            custom=self._provider(CUSTOM, ProviderSettings(wire="openai")),
            discover=self._discover if settings.discover else None,
            groups=settings.models,
            findable=[server.name for server in LOCAL_SERVERS] if settings.discover else (),
        )

    def _make_attachments(self, parts: BucketParts) -> Attachments:
        most = self.settings.conversation.max_upload_bytes
        return Attachments(self.store, self.http, self.media_dir, most, files=self.uploads.files, buckets=parts)

    def _make_conversations(
        self, providers: ProviderDirectory, recorder: Recorder, parts: BucketParts
    ) -> Conversations:
        settings = self.settings
        return Conversations(
            providers,
            self.attachments,
            self.library,
            recorder,
            settings.conversation,
            carrier=Carrier(settings.conversation, self.uploads.uploader),
            keep_attachments=settings.media.keep_attachments,
            buckets=parts,
            remembering=Remembering(self.memory, settings.memory.results),
            searching=self.searching,
        )

    def _make_creating(self, providers: ProviderDirectory) -> Creating:
        table = self.settings.create
        folder = load("storage", "local")(self.settings.data / "answers")
        cache = AnswerCache(folder, self.store, table.cache_bytes, table.cache_days)
        narrator = Narrator(self.speech, providers, self.library)
        return Creating(self.conversations, self.runs, narrator, cache, self.searching)

    def _make_searching(self) -> "Searching | None":
        table = self.settings.websearch
        if table.engine is None:
            return None
        # Most servers never need them.
        from mediary.conversations.contexts.searching import Searching
        from mediary.websearch.room import WebSearch

        return Searching(WebSearch(load("websearch", table.engine)(table, self.http), self.http, table))

    def _make_uploads(self, providers: Mapping[str, Provider]) -> UploadRoom:
        looker = Looker(self.sandbox, self._recognise, self.settings.media.max_pixels)
        digests: Late[Digests] = Late(lambda: self._feature("mediary.uploads.records.digests", "Digests"))
        cache: Late[UploadCache] = Late(lambda: self._feature("mediary.uploads.records.cache", "UploadCache"))
        flows = dict(self._flows(providers))
        return UploadRoom(Uploader(flows, cache, jar=self._from_jar, sealer=self.sealer), Files(digests, looker.look))

    def _store(self, folder: Path, space: str) -> Store:
        """The store of a space: a folder, or an object store with the folder as its waiting room."""
        local = load("storage", "local")(folder)
        url = self.settings.media.store
        if url == "local":
            return local  # type: ignore[no-any-return]
        options = {name: value.get_secret_value() for name, value in self.settings.media.store_options.items()}
        names = Late(lambda: self._names(space))
        return lay_over(load("storage", url.partition("://")[0])(url, names, folder, options), local)

    async def _names(self, space: str) -> Names:
        imported = await asyncio.to_thread(import_module, "mediary.database.names")
        names: Names = imported.StoredNames(await self.database(), self.settings.media.store, space)
        return names

    def _provider(self, name: str, table: ProviderSettings) -> Provider:
        provider: Provider = load("providers", table.wire)(name, table, self.http)
        return provider

    def _flows(self, providers: Mapping[str, Provider]) -> "Iterator[tuple[str, Flow[Any]]]":
        """The upload flows: those of the providers, as tables or wires say, and those with tables of their own."""
        for name, provider in providers.items():
            table = self.settings.providers[name]
            policy = table.uploads or (UploadPolicy(flow=provider.flow) if isinstance(provider, HasFlow) else None)
            if policy is None or policy.flow == INLINE:
                continue
            if name in self.settings.uploads:
                raise SettingsError(f"there is a provider {name} and a table [uploads.{name}]: rename one of them")
            shared = {
                key: value for key in ("label", "base_url", "api_key", "headers") if (value := getattr(table, key))
            }
            yield name, self._flow(name, UploadSettings(**{**shared, **policy.model_dump(exclude_unset=True)}))
        for name, place in self.settings.uploads.items():
            yield name, self._flow(name, place)

    def _flow(self, name: str, table: UploadSettings) -> "Flow[Any]":
        flow: Flow[Any] = load("uploads", table.flow)(name, table, self.http)
        return flow

    async def _from_jar(self, url: str) -> Credentials:
        return await (await self.jar()).credentials(url)

    async def _recognise(self, path: Path, head: bytes, name: str) -> "Recognised":
        return await self.buckets.extractors.recognise(path, head, name)

    async def _discover(self) -> Mapping[str, Provider]:
        server = self.settings.server
        taken = {f"http://{server.host}:{server.port}/v1"}
        taken |= {table.base_url.rstrip("/") for table in self.settings.providers.values() if table.base_url}
        return {
            found.name: self._provider(found.name, ProviderSettings(wire=found.wire, base_url=found.base_url))
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

    async def _make_sealer(self) -> Sealer:
        secret = self.settings.server.seal_key
        if secret is None:
            return await asyncio.to_thread(Sealer.of_folder, self.settings.data)
        return await asyncio.to_thread(Sealer.of_secret, secret.get_secret_value())

    async def _open_jar(self) -> "Jar":
        imported = await asyncio.to_thread(import_module, "mediary.cookies.jar")
        jar: Jar = imported.Jar(await self.database(), await self.sealer())
        return jar

    async def _open_memory(self) -> "Memory":
        imported = await asyncio.to_thread(import_module, "mediary.memory.room")
        memory: Memory = imported.Memory(await self.database(), self.settings.memory, self._placer)
        await memory.begin()
        return memory

    async def _open_shares(self) -> "Shares":
        imported = await asyncio.to_thread(import_module, "mediary.shares.shares")
        shares: Shares = imported.Shares(
            await self.database(), await self.sealer(), self.bucket_dir, self.settings.shares.max_bytes
        )
        return shares

    async def _feature(self, module: str, name: str) -> Any:
        """A feature on the database, whose module imports SQLAlchemy."""
        imported = await asyncio.to_thread(import_module, module)
        return getattr(imported, name)(await self.database())


def _tell(upkeep: asyncio.Task[None]) -> None:
    """What ends an upkeep does not end the server, but must be known."""
    if not upkeep.cancelled() and (error := upkeep.exception()):
        logger.error(f"{upkeep.get_name()} has ended; a restart begins it anew", exc_info=error)  # noqa: G004
