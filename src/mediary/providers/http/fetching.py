"""Hands out what a service made: from its own origin with its credentials, in pieces; from elsewhere as a URL."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

from yarl import URL

from mediary.errors import (
    DownloadError,
    DownloadTimeoutError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    StreamInterruptedError,
)
from mediary.events import Media
from mediary.net.download import Download, open_download
from mediary.providers.base import TurnRequest
from mediary.providers.http.redaction import scrub
from mediary.providers.http.refusals import error_for, read_words, retry_after
from mediary.providers.http.service import MAX_REFUSAL, Service

TRIES = 3
"""How often a file is asked for that breaks off, or that the service cannot hand out at once."""
PAUSE = 0.5
"""Seconds in between."""


@dataclass(slots=True, frozen=True)
class Wait:
    """How long something may take: until `deadline`, in the loop's time, and `between` two pieces, in seconds."""

    deadline: float
    between: float

    @classmethod
    def of(cls, request: TurnRequest) -> "Wait":
        """As long as a turn may take that begins now."""
        return cls(asyncio.get_running_loop().time() + request.timeout, request.stream_timeout)

    @property
    def left(self) -> float:
        """The seconds until the deadline."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


async def media_behind(service: Service, link: str, kind: str, alt: str, wait: Wait) -> AsyncGenerator[Media, None]:
    """The media behind a link: a data URI, a URL, or a path of the service. ProviderError for what is none of these."""
    if link.startswith("data:"):
        yield Media(kind=kind, data=link, alt=alt)
        return
    try:
        url = urljoin(service.base_url.rstrip("/") + "/", link)
    except ValueError:
        raise ProviderError(f"{service.name}: sent a URL that cannot be read") from None
    if not service.is_own(url):
        # Clients may see it: then rather one that leads nowhere than one with our key.
        yield Media(kind=kind, url=scrub(url, service.credentials, "hidden"), alt=alt)
        return
    async with aclosing(fetch_made(service, url, wait)) as stream:
        yield Media(kind=kind, stream=stream, alt=alt)


async def fetch_made(service: Service, url: str, wait: Wait) -> AsyncGenerator[bytes, None]:
    """The bytes of a file of the service's own; what goes wrong with the service is a ProviderError.

    What took minutes to make, and is paid for, is not lost with a connection: the file is asked for again, and goes on
    where it broke off. Redirects are followed; the credentials go to the service's own origin alone.
    """
    fetching = _Fetching(service, url, wait)
    for further in reversed(range(TRIES)):
        try:
            async with aclosing(fetching.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
            return
        except (ProviderUnavailableError, StreamInterruptedError):
            if not further or not fetching.can_go_on:
                raise
        await asyncio.sleep(PAUSE)


class _Fetching:
    """A file on its way."""

    def __init__(self, service: Service, url: str, wait: Wait) -> None:
        self._service = service
        self._url = url
        self._wait = wait
        self._received = 0
        self._length: int | None = None

    @property
    def can_go_on(self) -> bool:
        """Whether another answer could be told to be the same file: nothing has come of it yet, or its length."""
        return not self._received or self._length is not None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """What has not come yet."""
        async with self._open() as download:
            if self._received and download.length != self._length:
                raise StreamInterruptedError(f"{self._service.name}: the file broke off, and is another one by now")
            self._length = download.length
            known = self._received
            async with aclosing(self._each(download)) as chunks:
                async for chunk in chunks:
                    fresh = chunk[known:]
                    known -= min(known, len(chunk))
                    if fresh:
                        self._received += len(fresh)
                        yield fresh

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Download]:
        service = self._service
        try:
            async with open_download(
                service.http,
                self._url,
                headers=_credentials(service),
                timeout=self._wait.left,
                trusted_origin=service.origin if service.trusted else None,
                any_status=True,
            ) as download:
                if not 200 <= download.status < 300:
                    raise await self._refusal(download)
                yield download
        except DownloadTimeoutError as error:
            raise ProviderTimeoutError(f"{service.name}: {error.message}") from None
        except DownloadError as error:
            raise StreamInterruptedError(f"{service.name}: {error.message}") from None

    async def _each(self, download: Download) -> AsyncGenerator[bytes, None]:
        chunks = aiter(download.chunks)
        while True:
            try:
                async with asyncio.timeout(self._wait.between):
                    chunk = await anext(chunks, b"")
            except TimeoutError:
                name = self._service.name
                raise StreamInterruptedError(f"{name}: nothing more of the file came in time") from None
            if not chunk:
                return
            yield chunk

    async def _refusal(self, download: Download) -> ProviderError:
        """The error for an answer that is no file, with the service's words."""
        body = b""
        async for chunk in download.chunks:
            body += chunk
            if len(body) >= MAX_REFUSAL:
                break
        error = error_for(self._service.name, read_words(body), download.status, retry_after(download.headers))
        error.answered = download.status
        return self._service.hiding(error)


def _credentials(service: Service) -> Mapping[str, str]:
    """The service's headers; where its base URL has a user, a download takes it from there."""
    url, headers = URL(service.base_url), service.headers
    if url.user is None or any(name.casefold() == "authorization" for name in headers):
        return headers
    pair = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    return {**headers, "Authorization": f"Basic {pair}"}
