"""What is due to a host before it is asked for anything: the leave of its robots.txt, and a turn."""

import asyncio
from functools import partial
from urllib.parse import urlsplit

from mediary.buckets.crawl.plan import Download
from mediary.buckets.crawl.robots import ALL, MAX_BYTES, NOTHING, Robots, parse_robots
from mediary.buckets.crawl.turns import Turns
from mediary.buckets.crawl.urls import host, origin
from mediary.errors import DownloadError, TooLargeError
from mediary.net.client import HttpClient, server_of
from mediary.net.download import open_download
from mediary.storage.files import in_thread

AGENT = "mediary"
MAX_DELAY = 60.0
"""Seconds; a host that asks for longer pauses than these gets these."""


class Hosts:
    """Gives leave to fetch URLs; one robots.txt is read of each origin, and kept for as long as this object."""

    def __init__(self, http: HttpClient) -> None:
        self.turns = Turns()
        self._http = http
        self._robots: dict[str, Robots | str] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    async def admit(self, url: str, entry: Download) -> None:
        """Wait until a URL may be fetched; DownloadError or AddressRefusedError if it may not."""
        robots = await self._robots_of(origin(url), entry)
        if isinstance(robots, str):
            raise DownloadError(robots)
        parsed = urlsplit(url)
        if not robots.allows(f"{parsed.path}?{parsed.query}" if parsed.query else parsed.path):
            raise DownloadError(f"the robots.txt of {server_of(url)} does not allow it")
        asked = min(robots.delay or 0.0, MAX_DELAY)
        await self.turns.take(host(url), max(entry.delay, asked))

    async def _robots_of(self, where: str, entry: Download) -> Robots | str:
        """The rules of an origin, or why it gives no leave to anything now."""
        async with self._reading.setdefault(where, asyncio.Lock()):
            if where not in self._robots:
                self._robots[where] = await self._read(where, entry)
        return self._robots[where]

    async def _read(self, where: str, entry: Download) -> Robots | str:
        async def on_redirect(url: str) -> None:
            await self.turns.take(host(url), entry.delay)

        await self.turns.take(host(where), entry.delay)
        answer = open_download(
            self._http,
            f"{where}/robots.txt",
            proxy=entry.proxy,
            timeout=entry.timeout,
            on_redirect=on_redirect,
            any_status=True,
        )
        try:
            async with answer as download:
                status = download.status
                if 400 <= status < 500 and status != 429:
                    return ALL
                if not 200 <= status < 300:
                    return f"{server_of(where)} answered {status} for its robots.txt: nothing of it is fetched now"
                data = bytearray()
                async for chunk in download.chunks:
                    data += chunk
                    if len(data) >= MAX_BYTES:
                        break
        except DownloadError as error:
            return error.message
        except TooLargeError:
            return NOTHING
        return await in_thread(partial(parse_robots, bytes(data), AGENT))
