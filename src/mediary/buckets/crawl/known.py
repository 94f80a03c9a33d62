"""What a crawl has seen: which URLs are being fetched by whom, what came of the others, which texts it has."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from mediary.buckets.crawl.frontier import Frontier, Row
from mediary.storage.files import in_thread

if TYPE_CHECKING:
    from mediary.buckets.bucket import Bucket

_MOST_MOVES = 8


class Known:
    """What one turn of a crawl of a bucket has seen, and what those before it have left."""

    def __init__(self, bucket: "Bucket", frontier: Frontier, turn: int) -> None:
        self._bucket = bucket
        self._frontier = frontier
        self._turn = turn
        # Each URL that a visit is bringing, with the end of that visit.
        self._busy: dict[str, asyncio.Event] = {}
        self._texts: dict[str, str] = {}

    @asynccontextmanager
    async def visiting(self, url: str) -> AsyncGenerator[None, None]:
        """Have a URL to oneself; who else comes to it, or to one that was claimed for it, waits."""
        while busy := self._busy.get(url):
            await busy.wait()
        ended = self._busy[url] = asyncio.Event()
        try:
            yield
        finally:
            self._busy = {url: end for url, end in self._busy.items() if end is not ended}
            ended.set()

    async def claim(self, url: str, by: str) -> bool:
        """Make a URL, to which a redirect leads, part of the visit of `by`; False if another has it, or had."""
        if url in self._busy:
            return self._busy[url] is self._busy[by]
        self._busy[url] = self._busy[by]
        return not self.is_of_this_turn(await self.find(url))

    async def find(self, url: str) -> Row | None:
        """What came of a URL, in this turn or before."""
        return await in_thread(partial(self._frontier.find, url))

    def is_of_this_turn(self, row: Row | None) -> bool:
        """Whether this turn has been there."""
        return row is not None and row.turn == self._turn

    async def kept(self, row: Row | None) -> Row | None:
        """What came of a URL before, at the end of its redirects, if the bucket still has what it brought."""
        for _ in range(_MOST_MOVES):
            if row is None or row.outcome != "moved":
                break
            row = await self.find(row.same_as or "")
        if row is None or row.name is None:
            return None
        is_document = await self._bucket.index.find(row.name) is not None
        return row if is_document or await in_thread((self._bucket.media_dir / row.name).is_file) else None

    async def links(self, row: Row) -> tuple[str, ...]:
        """The links of a page, wherever it was found first."""
        for _ in range(_MOST_MOVES):
            if row.links or row.same_as is None or (target := await self.find(row.same_as)) is None:
                break
            row = target
        return row.links

    async def same_text(self, digest: str, url: str) -> str | None:
        """Another URL that brought this text in this turn; from now on it is this one's, if there is none."""
        other = self._texts.setdefault(digest, url)
        if other != url:
            return other
        row = await in_thread(partial(self._frontier.find_text, digest, self._turn))
        return row.url if row and row.url != url else None
