"""Crawls of buckets: one at a time for each, whoever asks for it, in this process or another."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from mediary.buckets.crawl.base import CrawlState, Progress
from mediary.buckets.crawl.frontier import Frontier
from mediary.buckets.crawl.listing import Listing, mark_of, read_list, remove_list
from mediary.buckets.crawl.plan import Download
from mediary.buckets.crawl.run import Crawl, Tools
from mediary.buckets.locks import Claim
from mediary.buckets.naming import CRAWL_LOCK, DOWNLOADS
from mediary.errors import BadRequestError, FieldError, MediaryError, NotFoundError, ShutdownError, TooLargeError
from mediary.net.client import HttpClient
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings
from mediary.storage.files import in_thread

if TYPE_CHECKING:
    from mediary.buckets.bucket import Bucket
    from mediary.buckets.intake.upload import Intake

_LIST_IS_WRONG = (BadRequestError, FieldError, TooLargeError)
_LOOK_SECONDS = 0.2
"""How often it is looked how far somebody else's crawl is."""


class Crawler:
    """Fetches what the `downloads.json` of a bucket names; `sandbox` is where pages are read."""

    def __init__(self, http: HttpClient, intake: "Intake", sandbox: Sandbox, settings: BucketSettings) -> None:
        self._tools = Tools(http, intake, sandbox, settings)
        self._runs: dict[str, _Run] = {}
        self._closed = False

    async def run(self, bucket: "Bucket", *, refresh: bool = False) -> AsyncGenerator[Progress, None]:
        """Fetch what is still to be fetched, or wait for whoever is at it; the steps as they are done.

        It ends when nothing is left; at once where there is no list. The crawl stops when the last one leaves who waits
        for it, and goes on where it was with the next one. If all was fetched, `refresh` asks whether it has changed.
        """
        if mark_of(bucket.folder) is None:
            return
        async with aclosing(self._join(bucket, refresh)) as steps:
            async for step in steps:
                yield step

    async def progress(self, bucket: "Bucket") -> CrawlState:
        """How far the crawl of a bucket is; NotFoundError if it has no list, FieldError … if that is wrong."""
        listing = await in_thread(partial(read_list, bucket.folder))
        if listing is None:
            raise NotFoundError(f"The bucket has no {DOWNLOADS}")
        return await in_thread(partial(_state, bucket, listing))

    async def forget(self, bucket: "Bucket") -> None:
        """Take away the list of a bucket, which stops its crawl wherever it runs; NotFoundError if it has none."""
        await in_thread(partial(remove_list, bucket.folder))
        if run := self._runs.get(bucket.id):
            await run.stop()

    async def stop(self, bucket_id: str) -> None:
        """End the crawl of a bucket that is being deleted; whoever waits for it gets NotFoundError."""
        if run := self._runs.pop(bucket_id, None):
            await run.end(NotFoundError("The bucket was deleted"))

    async def close(self) -> None:
        """End all crawls; they go on where they were when they are asked for again."""
        self._closed = True
        runs, self._runs = list(self._runs.values()), {}
        await asyncio.gather(*(run.end(ShutdownError("the server is stopping")) for run in runs))

    async def _join(self, bucket: "Bucket", refresh: bool) -> AsyncGenerator[Progress, None]:
        run = self._runs.get(bucket.id)
        if run is None:
            if self._closed:
                raise ShutdownError("the server is stopping")
            run = self._runs[bucket.id] = _Run(bucket, self._tools, refresh)
            run.task.add_done_callback(lambda _: self._drop(bucket.id, run))
        steps = run.join()
        try:
            while (step := await steps.get()) is not None:
                yield step
            run.check()
        finally:
            run.leave(steps)
            if not run.is_awaited:
                # Whoever comes now begins anew, when this one has let go of the lock.
                self._drop(bucket.id, run)
                await run.end()

    def _drop(self, bucket_id: str, run: "_Run") -> None:
        if self._runs.get(bucket_id) is run:
            del self._runs[bucket_id]


class _Run:
    """A crawl in this process, and those who wait for it."""

    def __init__(self, bucket: "Bucket", tools: Tools, refresh: bool) -> None:
        self._bucket = bucket
        self._tools = tools
        self._refresh = refresh
        self._waiting: set[asyncio.Queue[Progress | None]] = set()
        self._last: Progress | None = None
        self._reason: MediaryError | None = None
        self._claim = Claim(bucket.hidden / CRAWL_LOCK)
        self.task = asyncio.create_task(self._work(), name=f"crawl of {bucket.id}")
        self.task.add_done_callback(self._tell_end)

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for it."""
        return bool(self._waiting)

    def join(self) -> asyncio.Queue[Progress | None]:
        """The steps from now on, behind the last one before; None when there are no more."""
        steps: asyncio.Queue[Progress | None] = asyncio.Queue()
        if self._last:
            steps.put_nowait(self._last)
        if self.task.done():
            steps.put_nowait(None)
        self._waiting.add(steps)
        return steps

    def leave(self, steps: asyncio.Queue[Progress | None]) -> None:
        """Wait no longer."""
        self._waiting.discard(steps)

    def check(self) -> None:
        """Raise what ended it, if that was not its end."""
        if self._reason:
            raise self._reason
        if not self.task.cancelled():
            self.task.result()

    async def stop(self) -> None:
        """End it for good; that is its last step."""
        count, total = (self._last.count, self._last.total) if self._last else (0, 0)
        self._tell(Progress(kind="stopped", count=count, total=total, reason=f"{DOWNLOADS} was removed"))
        await self.end()

    async def end(self, reason: MediaryError | None = None) -> None:
        """End it, and see it end; `reason` is what those get who wait for it."""
        if not self.task.done():
            self._reason = reason
        self.task.cancel()
        await asyncio.wait([self.task])

    def _tell(self, step: Progress) -> None:
        self._last = step
        for steps in self._waiting:
            steps.put_nowait(step)

    def _tell_end(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            task.exception()  # each of those who wait raises it
        for steps in self._waiting:
            steps.put_nowait(None)

    async def _work(self) -> None:
        frontier = _frontier(self._bucket)
        try:
            listing = await in_thread(partial(read_list, self._bucket.folder))
            if listing is None:
                return
            is_wanted = any(self._is_wanted_again(entry) for entry in listing.plan)
            if not is_wanted and await in_thread(partial(_is_done, frontier, listing)):
                return
            waited = await self._wait_for_lock(frontier, listing)
            # Whoever had the lock has asked again for what is to be asked again.
            again = (lambda _: False) if waited else self._is_wanted_again
            await Crawl(self._bucket, frontier, self._tools, self._tell).run(again)
        except _LIST_IS_WRONG as error:  # the bucket is read without it
            self._tell(Progress(kind="failed", count=0, total=0, reason=error.message))
        finally:
            self._claim.release()
            await in_thread(frontier.close)

    def _is_wanted_again(self, entry: Download) -> bool:
        return self._refresh or entry.refresh

    async def _wait_for_lock(self, frontier: Frontier, listing: Listing) -> bool:
        """Get the lock of the bucket's crawl; whether somebody else had it, whose steps are told meanwhile."""
        waited = False
        while not await in_thread(self._claim.take):
            waited = True
            standing = await in_thread(partial(frontier.standing, listing.id))
            if standing and (self._last is None or self._last.count != standing.count):
                self._tell(Progress(kind="waiting", count=standing.count, total=standing.total))
            await asyncio.sleep(_LOOK_SECONDS)
        return waited


def _frontier(bucket: "Bucket") -> Frontier:
    return Frontier(bucket.hidden / "crawl.db")


def _is_done(frontier: Frontier, listing: Listing) -> bool:
    """Whether all was fetched."""
    standing = frontier.standing(listing.id)
    return standing is not None and standing.finished


def _state(bucket: "Bucket", listing: Listing) -> CrawlState:
    """How far a crawl is, by its file."""
    frontier = _frontier(bucket)
    state = frontier.state(listing.id)
    frontier.close()
    claim = Claim(bucket.hidden / CRAWL_LOCK)
    if state.state == "running" and claim.take():
        claim.release()
        return structs.replace(state, state="stopped")
    return state
