"""Fetches the pages that a search found, through the guard, and reads their main text in a child process."""

import asyncio
import os
from collections.abc import Mapping

from msgspec import convert

from mediary.errors import DownloadTimeoutError, UnreadableError, UnsupportedTypeError
from mediary.extractors.web.answer import HEAD, is_page
from mediary.extractors.web.base import Page
from mediary.net.client import HttpClient, server_of
from mediary.net.download import Download, open_download
from mediary.net.urls import charset, media_type
from mediary.plugins import registered
from mediary.sandbox.pool import Sandbox

MAX_BYTES = 2 * 1024**2
"""Of one page."""
MAX_TEXT = 200_000
"""Characters of one page that are looked at."""

_READ = "mediary.extractors.web.reading:read"
_NICE = 5  # somebody waits for it, but files and streams go first
_IDLE_SECONDS = 30.0
_PROCESSES = 4
_PDF = "application/pdf"
# What is worth reading to its end; what servers do not know they send as bytes of any kind.
_TAKEN = ("", "application/octet-stream", "application/xhtml+xml", "application/xml", _PDF)
_ACCEPT = "text/html, application/xhtml+xml, application/pdf;q=0.9, text/*;q=0.8"


class Pages:
    """Reads pages, each in a child process of its own, which can read no file and reach no network."""

    def __init__(self, http: HttpClient, language: str | None = None) -> None:
        self._http = http
        self._headers = {"Accept": _ACCEPT} | ({"Accept-Language": language} if language else {})
        self._sandbox = Sandbox(
            min(_PROCESSES, os.cpu_count() or 1), nice=_NICE, readable=[], idle_seconds=_IDLE_SECONDS
        )

    async def read(self, url: str, seconds: float) -> Page:
        """The main text of a page, a PDF or a text, within so many seconds.

        MediaryError says why there is none: the guard refused it, its server did, it is too large or something else.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        async with open_download(
            self._http, url, headers=self._headers, timeout=seconds, max_bytes=MAX_BYTES
        ) as answer:
            data = await _body(answer)
        kind = _kind(answer.headers, data)
        point = registered("extractors")["pdf"].value
        arguments = (data, answer.url, kind, charset(answer.headers), point, MAX_TEXT)
        left = until - loop.time()
        if left <= 0:
            raise DownloadTimeoutError(f"{server_of(url)} did not answer in time")
        page = convert(await self._sandbox.run(_READ, *arguments, seconds=left), Page)
        if not page.text.strip():
            raise UnreadableError("it holds no text")
        return page

    async def close(self) -> None:
        """End the child processes."""
        await self._sandbox.close()


async def _body(answer: Download) -> bytes:
    """The whole body, if its type is worth it."""
    stated = media_type(answer.headers)
    if stated not in _TAKEN and not stated.startswith("text/"):
        raise UnsupportedTypeError(f"it is {stated[:80]}")
    data = bytearray()
    async for chunk in answer.chunks:
        data += chunk
    return bytes(data)


def _kind(headers: Mapping[str, str], data: bytes) -> str:
    """What it is by its bytes; a server often does not know."""
    if is_page(headers, data[:HEAD]):
        return "page"
    if data.startswith(b"%PDF-"):
        return "pdf"
    if media_type(headers).startswith("text/") and b"\0" not in data[:HEAD]:
        return "text"
    raise UnsupportedTypeError("it is neither a page nor a text")
