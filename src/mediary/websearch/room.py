"""Web search: an engine is asked, the pages that it found are read, and what came of it is kept for a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from mediary.errors import AddressRefusedError, MediaryError, ProviderTimeoutError
from mediary.net.client import HttpClient
from mediary.settings import WebSearchSettings
from mediary.shared_work import Shared, Work
from mediary.websearch.base import Engine, Result
from mediary.websearch.cleaning import MAX_TITLE, cleaned, line, visible
from mediary.websearch.pages import Pages

KEPT_SECONDS = 300.0
"""How long the same query is answered with what was found."""
LATE_SECONDS = 2.0
"""How long pages are waited for at least when half of them are there."""
KEPT_CHARS = 4_000_000
"""Characters of pages that are kept for that at most, of all queries together."""


@dataclass(slots=True, frozen=True)
class Source:
    """A page that was found: its main text, or in `problem` why it was not read; neither if nobody tried."""

    url: str
    title: str
    snippet: str
    text: str = ""
    problem: str | None = None


@dataclass(slots=True, frozen=True)
class Found:
    """What a search came to, the best source first; `engine` is its name for people."""

    engine: str
    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Characters of what the pages say."""
        return sum(len(source.text) + len(source.snippet) for source in self.sources)


class WebSearch:
    """Searches the web with an engine, as the settings say.

    The same query is searched for once however many ask at the same time, and not again for some minutes.
    """

    def __init__(self, engine: Engine, http: HttpClient, settings: WebSearchSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._pages = Pages(http, settings.language)
        self._works: Shared[str, Found] = Shared()
        self._kept = _Kept()

    async def find(self, query: str) -> Found:
        """The sources for a query; ProviderError where the engine fails, ShutdownError when the room is closed."""
        key = " ".join(query.split()).casefold()
        if found := self._kept.find(key):
            return found
        async with self._works.joined(key, lambda: Work(partial(self._find, key, query), "web search")) as work:
            return await work.result()

    async def close(self) -> None:
        """End the searches that are under way."""
        await self._works.close()
        await self._engine.close()
        await self._pages.close()

    async def _find(self, key: str, query: str, _: Work[Found]) -> Found:
        until = _now() + self._settings.seconds
        results = await self._search(query)
        sources = await self._read(results, until) if self._settings.fetch else [_unread(each) for each in results]
        found = Found(self._engine.label, tuple(sources))
        if any(source.text for source in sources) or (sources and not self._settings.fetch):
            self._kept.keep(key, found)
        return found

    async def _search(self, query: str) -> list[Result]:
        wanted, seconds = self._settings.results, self._settings.seconds
        try:
            async with asyncio.timeout(seconds):
                found = await self._engine.search(query, results=wanted, seconds=seconds)
        except TimeoutError:
            raise ProviderTimeoutError(f"{self._engine.label} did not answer in time") from None
        return cleaned(found)[:wanted]

    async def _read(self, results: list[Result], until: float) -> list[Source]:
        """The pages of the results, side by side; what is late is left."""
        tasks = [asyncio.create_task(self._source(result, until), name="web page") for result in results]
        try:
            await _settled(tasks, until)
        finally:
            late = [task for task in tasks if not task.done()]
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        return [
            _unread(result, "it came too late") if task.cancelled() else task.result()
            for result, task in zip(results, tasks, strict=True)
        ]

    async def _source(self, result: Result, until: float) -> Source:
        try:
            page = await self._pages.read(result.url, max(0.0, until - _now()))
        except AddressRefusedError:
            # Its words are for operators, and name addresses.
            return _unread(result, "it leads where requests may not go")
        except MediaryError as error:
            return _unread(result, error.message)
        title = line(page.title or "", MAX_TITLE) or result.title
        text = await asyncio.to_thread(visible, page.text)
        return Source(result.url, title, result.snippet, text)


class _Kept:
    """What was found of late, by query; the oldest goes first."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, tuple[float, Found]] = OrderedDict()
        self._size = 0

    def find(self, key: str) -> Found | None:
        self._drop_old()
        kept = self._found.get(key)
        return kept[1] if kept else None

    def keep(self, key: str, found: Found) -> None:
        self._drop_old()
        self._found[key] = (_now() + KEPT_SECONDS, found)
        self._size += found.size
        while self._size > KEPT_CHARS:
            self._drop()

    def _drop_old(self) -> None:
        while self._found and next(iter(self._found.values()))[0] < _now():
            self._drop()

    def _drop(self) -> None:
        _, (_, found) = self._found.popitem(last=False)
        self._size -= found.size


async def _settled(tasks: "Sequence[asyncio.Task[Source]]", until: float) -> None:
    """Wait for pages. Once half of them were read, the others have as long again: one slow site costs little."""
    began, pending, read = _now(), set(tasks), 0
    while pending and (left := until - _now()) > 0:
        done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        enough = 2 * read >= len(tasks)
        read += sum(bool(task.result().text) for task in done)
        if 2 * read >= len(tasks) and not enough:
            until = min(until, _now() + max(LATE_SECONDS, _now() - began))


def _unread(result: Result, problem: str | None = None) -> Source:
    return Source(result.url, result.title, result.snippet, problem=problem)


def _now() -> float:
    return asyncio.get_running_loop().time()
