"""A visit to one URL: its redirects, and what its server says before it sends anything."""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from mediary.buckets.crawl import urls
from mediary.buckets.crawl.answer import Answers
from mediary.buckets.crawl.frontier import Row
from mediary.buckets.crawl.hosts import MAX_DELAY, Hosts
from mediary.buckets.crawl.plan import Download
from mediary.errors import BadRequestError, DownloadError, TooLargeError, UnsupportedTypeError
from mediary.net.client import HttpClient, server_of
from mediary.net.download import Download as Answer
from mediary.net.download import open_download
from mediary.net.urls import normalise

_ATTEMPTS = 3
_ACCEPT = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"

# What is wrong with one URL; all else is wrong with this machine, and ends the crawl.
_THEIRS = (BadRequestError, DownloadError, TooLargeError, UnsupportedTypeError)


class _SeenError(Exception):
    """A redirect leads to what another visit brings."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class _LaterError(Exception):
    """The server asks to come again in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _OtherError(Exception):
    """What the server says is unchanged is not what was asked about."""


@dataclass(slots=True, frozen=True)
class Scope:
    """An entry of the list, and the sites that it stays in unless it may leave them."""

    entry: Download
    sites: frozenset[str]

    def holds(self, url: str) -> bool:
        """Whether a link to a URL is followed."""
        return not self.entry.same_site or urls.site(url) in self.sites

    def within(self, links: Iterable[str]) -> list[str]:
        """Those of the links that are followed."""
        return [link for link in links if self.holds(link)]


@dataclass(slots=True, frozen=True)
class Visitor:
    """Fetches the URLs of an entry of the list.

    `claim` says whether a URL, to which a redirect leads, is still nobody's, and makes it part of the visit that began
    with the second.
    """

    http: HttpClient
    hosts: Hosts
    answers: Answers
    scope: Scope
    claim: Callable[[str, str], Awaitable[bool]]

    async def visit(self, url: str, known: Row | None, *, is_start: bool) -> list[Row]:
        """Fetch a URL: what came of it, and the URLs from which redirects led there.

        `known` is what it brought before, if the bucket still has that.
        """
        for _ in range(_ATTEMPTS):
            one = _Visit(self, url, known, is_start)
            try:
                return await one.rows()
            except _LaterError as later:
                self.hosts.turns.hold(urls.host(one.hops[-1]), later.seconds)
            except _OtherError:
                known = None
        return [Row(url=url, outcome="failed", reason=f"{server_of(url)} asks to come again later")]


class _Visit:
    """One attempt."""

    def __init__(self, visitor: Visitor, url: str, known: Row | None, is_start: bool) -> None:
        self.hops = [url]
        self._by = visitor
        self._known = known
        self._is_start = is_start

    async def rows(self) -> list[Row]:
        """What came of it; _LaterError or _OtherError if it has to be asked for once more."""
        first = self.hops[0]
        try:
            await self._by.hosts.admit(first, self._by.scope.entry)
            row = await self._fetch()
        except _SeenError as seen:
            return [Row(url=first, outcome="same", same_as=seen.url)]
        except _THEIRS as error:
            return [Row(url=first, outcome="failed", reason=error.message)]
        before = dict.fromkeys(hop for hop in self.hops if hop != row.url)
        return [row, *(Row(url=hop, outcome="moved", same_as=row.url) for hop in before)]

    async def _fetch(self) -> Row:
        entry = self._by.scope.entry
        answer = open_download(
            self._by.http,
            self.hops[0],
            headers={"Accept": _ACCEPT, **self._conditions()},
            proxy=entry.proxy,
            timeout=entry.timeout,
            max_bytes=self._by.answers.max_bytes,
            on_redirect=self._follow,
            any_status=True,
        )
        async with answer as download:
            return await self._take(download)

    async def _take(self, download: Answer) -> Row:
        final, known = self.hops[-1], self._known
        if download.status == 304 and known is not None:
            if known.url != final:
                raise _OtherError
            return replace(known, outcome="unchanged", reason=None)
        if download.status in (429, 503) and (seconds := _retry_after(download)) is not None:
            raise _LaterError(seconds)
        if not 200 <= download.status < 300:
            raise DownloadError(f"{server_of(final)} answered {download.status}")
        row = await self._by.answers.take(download, final, known if known and known.url == final else None)
        return row if self._by.scope.holds(final) else replace(row, links=())

    async def _follow(self, target: str) -> None:
        """A redirect, before it is followed."""
        url = normalise(target)
        if url is None:
            raise DownloadError(f"{server_of(self.hops[-1])} redirects to what is not fetched")
        if not self._is_start and not self._by.scope.holds(url):
            raise DownloadError(f"it leads to another site, {server_of(url)}")
        if url not in self.hops and not await self._by.claim(url, self.hops[0]):
            raise _SeenError(url)
        self.hops.append(url)
        await self._by.hosts.admit(url, self._by.scope.entry)

    def _conditions(self) -> dict[str, str]:
        known = self._known
        if known is None:
            return {}
        if known.etag:
            return {"If-None-Match": known.etag}
        return {"If-Modified-Since": known.modified} if known.modified else {}


def _retry_after(download: Answer) -> float | None:
    """The seconds after which a server wants to be asked again; None if it does not say, or means another day."""
    said = download.headers.get("retry-after", "").strip()
    try:
        seconds = float(said) if said.isdigit() else parsedate_to_datetime(said).timestamp() - time.time()
    except (ValueError, TypeError, IndexError, OverflowError):  # the parser raises each of them on some garbage
        return None
    return max(seconds, 0.0) if seconds <= MAX_DELAY else None
