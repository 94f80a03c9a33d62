"""Which version of Mediary is the latest: looked up at most once a day, when somebody asks, and never waited for."""

import asyncio
import logging
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from mediary.errors import MediaryError
from mediary.net.client import HttpClient
from mediary.net.download import open_download

AGE_SECONDS = 86_400.0
TIMEOUT = 15.0
MAX_ANSWER = 8 * 1024 * 1024
LONGEST = 64
FILE = "latest_version.json"

logger = logging.getLogger(__name__)


class _Version(Struct):
    version: str | None = None


class _Listed(Struct, rename="camel"):
    version_key: _Version
    is_default: bool = False


class _Told(Struct):
    """What is said of a package: its newest release, or all of them, the newest marked."""

    info: _Version | None = None
    versions: list[_Listed] = []

    @property
    def newest(self) -> str | None:
        """The version that one gets by default."""
        marked = (each.version_key for each in self.versions if each.is_default)
        return (self.info or next(marked, _Version())).version


class _Known(Struct):
    """What was looked up last, and when, in Unix seconds."""

    version: str
    looked: float

    @property
    def is_fresh(self) -> bool:
        """Whether that was within a day. A time to come was a clock that went wrong."""
        return 0 <= time.time() - self.looked < AGE_SECONDS


class LatestVersion:
    """The latest version known. What was looked up is kept in the data folder, for the next start.

    Without a `url` nothing is looked up.
    """

    def __init__(self, http: HttpClient, data: Path, url: str | None) -> None:
        self._http = http
        self._file = data / FILE
        self._url = url
        self._known: _Known | None = None
        self._looking: asyncio.Task[None] | None = None

    async def get(self) -> str:
        """The latest version known now; if that is a day old, it is looked up again behind this answer."""
        if self._url is None:
            return version("mediary")
        if self._known is None:
            self._known = await asyncio.to_thread(self._read)
        if not self._known.is_fresh and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look(self._url), name="latest version")
        return self._known.version

    async def close(self) -> None:
        """Give up looking."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _look(self, url: str) -> None:
        known = await asyncio.to_thread(self._read)  # another process may have looked
        if not known.is_fresh:
            known = _Known(await self._newest(url) or known.version, time.time())
            await asyncio.to_thread(self._write, known)
        self._known = known

    async def _newest(self, url: str) -> str | None:
        """What is said to be the newest; None where that cannot be learnt.

        One that failed is looked up tomorrow, too: nobody is to be asked more than once a day.
        """
        try:
            async with open_download(
                self._http, url, timeout=TIMEOUT, max_bytes=MAX_ANSWER, trusted_origin=url
            ) as answer:
                body = b"".join([chunk async for chunk in answer.chunks])
            newest = msgspec.json.decode(body, type=_Told).newest
        except (MediaryError, msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.info("the latest version cannot be looked up", extra={"cause": str(error)})
            return None
        return newest[:LONGEST] if newest else None

    def _read(self) -> _Known:
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.decode(self._file.read_bytes(), type=_Known)
        return _Known(version("mediary"), 0.0)

    def _write(self, known: _Known) -> None:
        with suppress(OSError):  # then it is looked up again after the next start
            part = self._file.with_suffix(".part")
            part.write_bytes(msgspec.json.encode(known))
            part.replace(self._file)
