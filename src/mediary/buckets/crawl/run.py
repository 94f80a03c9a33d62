"""One crawl from its beginning, or from where it stopped, to its end; for who holds its lock."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from mediary.buckets.crawl import urls
from mediary.buckets.crawl.answer import Answers
from mediary.buckets.crawl.base import Kind, Progress
from mediary.buckets.crawl.frontier import Frontier, Row, Visit
from mediary.buckets.crawl.hosts import Hosts
from mediary.buckets.crawl.known import Known
from mediary.buckets.crawl.listing import Listing, Mark, mark_of, read_list
from mediary.buckets.crawl.plan import Download
from mediary.buckets.crawl.visit import Scope, Visitor
from mediary.buckets.naming import DOWNLOADS
from mediary.net.client import HttpClient
from mediary.net.urls import normalise
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings
from mediary.storage.files import in_thread

if TYPE_CHECKING:
    from mediary.buckets.bucket import Bucket
    from mediary.buckets.intake.upload import Intake

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
"""How often it is looked whether the list is still the same."""
_AHEAD = 64
"""Visits among which the one is chosen whose host is free first."""
_URLS_PER_PAGE = 10
"""How many URLs a crawl knows at most, for each page that it may bring in."""


@dataclass(slots=True, frozen=True)
class Tools:
    """What all crawls work with."""

    http: HttpClient
    intake: "Intake"
    sandbox: Sandbox
    settings: BucketSettings


class _LimitError(Exception):
    """The crawl has used up what it may."""


class _ListChangedError(Exception):
    """The list is another one now, or gone."""


class Crawl:
    """The crawl of a bucket; `tell` hears of each step."""

    def __init__(self, bucket: "Bucket", frontier: Frontier, tools: Tools, tell: Callable[[Progress], None]) -> None:
        self._bucket = bucket
        self._frontier = frontier
        self._tools = tools
        self._tell = tell
        self._settings = tools.settings
        self._hosts = Hosts(tools.http)
        self._mark: Mark | None = None
        self._turn = self._count = self._total = self._bytes = 0
        self._began = 0.0  # on the event loop's clock, less the seconds before a restart

    async def run(self, again: Callable[[Download], bool]) -> None:
        """Fetch all that the list names; when it is replaced meanwhile, what it names then.

        If that was done, those entries are asked for once more that `again` says.
        """
        while listing := await in_thread(partial(read_list, self._bucket.folder)):
            try:
                if await self._begin(listing, again):
                    await self._fetch(listing)
                return
            except _ListChangedError:
                continue
        self._say("stopped", reason=f"{DOWNLOADS} was removed")

    async def _begin(self, listing: Listing, again: Callable[[Download], bool]) -> bool:
        """Begin, or go on where a crawl of this list stopped; False if there is nothing to do."""
        starts = [(number, url) for number, entry in enumerate(listing.plan) for url in _starts(entry)]
        entries = {number for number, entry in enumerate(listing.plan) if again(entry)}
        standing = await in_thread(partial(self._frontier.begin, listing.id, starts, entries))
        self._mark, self._turn = listing.mark, standing.turn
        self._count, self._total, self._bytes = standing.count, standing.total, standing.bytes
        self._began = asyncio.get_running_loop().time() - standing.seconds
        return not standing.finished

    async def _fetch(self, listing: Listing) -> None:
        """Fetch until nothing is left, or a limit is reached."""
        known = Known(self._bucket, self._frontier, self._turn)
        limit = None
        try:
            async with asyncio.timeout_at(self._began + self._settings.crawl_seconds) as clock:
                for number, entry in enumerate(listing.plan):
                    await self.download_urls(number, entry, known)
        except TimeoutError:
            if not clock.expired():
                raise
            limit = f"it took more than {self._settings.crawl_seconds:g} s"
        except _LimitError as reached:
            limit = str(reached)
        await in_thread(partial(self._frontier.finish, limit, self._used()))
        if limit:
            logger.warning("the crawl of bucket %s ended early: %s", self._bucket.id, limit)
            self._say("limit", reason=limit)

    async def download_urls(self, number: int, entry: Download, known: Known) -> None:
        """Fetch the URLs of an entry of the list, and what they link to as deep as it says."""
        scope = Scope(entry, frozenset(urls.site(url) for url in _starts(entry)))
        tools = self._tools
        answers = Answers(self._bucket, tools.intake, tools.sandbox, tools.settings, self._spend, known.same_text)
        visitor = Visitor(tools.http, self._hosts, answers, scope, known.claim)
        running: dict[asyncio.Task[None], Visit] = {}
        try:
            while True:
                while len(running) < entry.group_size and (visit := await self._next(number, running.values())):
                    running[asyncio.create_task(self._visit(number, visit, visitor, known))] = visit
                if not running:
                    return
                ended, _ = await asyncio.wait(running, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    del running[task]
                    task.result()
                if mark_of(self._bucket.folder) != self._mark:
                    raise _ListChangedError
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _next(self, number: int, running: Collection[Visit]) -> Visit | None:
        """A visit that may begin now; those of one depth come before all deeper ones."""
        waiting = await in_thread(partial(self._frontier.waiting, number, _AHEAD + len(running)))
        free = [visit for visit in waiting if visit not in running]
        depth = min((visit.depth for visit in (*running, *free)), default=0)
        level = [visit for visit in free if visit.depth == depth]
        if level and self._count + len(running) >= self._settings.crawl_pages:
            if running:  # some of them may fail
                return None
            raise _LimitError(f"it has brought {self._count} pages and files, which is the most")
        return min(level, key=lambda visit: self._hosts.turns.due(urls.host(visit.url)), default=None)

    async def _visit(self, number: int, visit: Visit, visitor: Visitor, known: Known) -> None:
        """Fetch a URL, unless another entry has done so, and write down what came of it and where it leads."""
        async with known.visiting(visit.url):
            found = await known.find(visit.url)
            rows: list[Row] = []
            if found is None or not known.is_of_this_turn(found):
                rows = await visitor.visit(visit.url, await known.kept(found), is_start=visit.depth == 0)
                found = rows[0]
            deeper = visit.depth < visitor.scope.entry.max_depth
            links = await in_thread(partial(visitor.scope.within, await known.links(found))) if deeper else []
            await self._record(number, visit, rows, links)

    async def _record(self, number: int, visit: Visit, rows: list[Row], links: list[str]) -> None:
        new = [replace(row, turn=self._turn) for row in rows]
        most = self._settings.crawl_pages * _URLS_PER_PAGE
        count, total = await in_thread(partial(self._frontier.record, number, visit, new, links, self._used(), most))
        # Threads need not end in the order of what they have written.
        self._count, self._total = max(self._count, count), max(self._total, total)
        if rows and rows[0].outcome != "moved":
            self._say(rows[0].outcome, url=rows[0].url, name=rows[0].name, reason=rows[0].reason)

    def _spend(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._settings.crawl_bytes:
            raise _LimitError(f"it has fetched {self._settings.crawl_bytes} bytes, which is the most")

    def _used(self) -> tuple[int, float]:
        """The bytes and seconds of this crawl so far."""
        return self._bytes, asyncio.get_running_loop().time() - self._began

    def _say(self, kind: Kind, *, url: str | None = None, name: str | None = None, reason: str | None = None) -> None:
        self._tell(Progress(kind=kind, count=self._count, total=self._total, url=url, name=name, reason=reason))


def _starts(entry: Download) -> list[str]:
    """The URLs of an entry as a crawl writes them."""
    return [url for start in entry.starts if (url := normalise(start))]
