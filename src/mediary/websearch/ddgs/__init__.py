"""DuckDuckGo and others by the library `ddgs`, which reads their pages for people: an extra, and a choice to make."""

import asyncio
import math
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct

from mediary.errors import ProviderError, ProviderTimeoutError, SettingsError
from mediary.net.client import HttpClient
from mediary.providers.http.redaction import forms_of, scrub
from mediary.providers.http.refusals import shorten
from mediary.settings import WebSearchSettings
from mediary.websearch.base import Result

_PROGRAM = Path(__file__).with_name("child.py")
_AT_ONCE = 4
# Countries where a language is at home, as far as they are not written as it is.
_HOMES = {
    "ar": "xa", "cs": "cz", "da": "dk", "el": "gr", "en": "us", "et": "ee", "he": "il", "hi": "in", "ja": "jp",
    "ko": "kr", "sl": "si", "sv": "se", "uk": "ua", "vi": "vn", "zh": "cn",
}  # fmt: skip


class _Answer(Struct):
    """What the child says: URL, title and snippet of each result, or why there are none."""

    found: list[tuple[str, str, str]] = []
    error: str | None = None
    late: bool = False


_answer = msgspec.json.Decoder(_Answer)


class Ddgs:
    """The library, in a process of its own for each search: it cannot be stopped in any other way, and takes memory."""

    label = "ddgs"

    def __init__(self, settings: WebSearchSettings, http: HttpClient) -> None:
        if find_spec("ddgs") is None:
            raise SettingsError("web search by ddgs takes an extra: pip install 'mediary[ddgs]'")
        for name in ("url", "api_key"):
            if getattr(settings, name) is not None:
                raise SettingsError(f"setting websearch.{name}: ddgs has none")
        self._region = _region(settings.language)
        self._proxy = http.net.proxy
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def search(self, query: str, *, results: int, seconds: float) -> list[Result]:
        """What the first of its search engines found that answered well."""
        proxy = self._proxy.get_secret_value() if self._proxy else None
        asked = {
            "query": query,
            "region": self._region,
            "results": results,
            # It tries one engine after the other, and each of them has that long.
            "timeout": max(1, math.ceil(seconds / 2)),
            "proxy": proxy,
        }
        try:
            async with asyncio.timeout(seconds), self._free:
                answer = await _ask(msgspec.json.encode(asked))
        except TimeoutError:
            raise ProviderTimeoutError(f"{self.label}: no search engine answered in time") from None
        if answer.error is not None:
            failure = ProviderTimeoutError if answer.late else ProviderError
            raise failure(shorten(f"{self.label}: {scrub(answer.error, forms_of([proxy or '']))}"))
        return [Result(*texts) for texts in answer.found if texts[0]]

    async def close(self) -> None:
        """Nothing runs but for who waits for it."""


async def _ask(asked: bytes) -> _Answer:
    """Have a child search; it ends with this, whatever happens."""
    # -I: what lies beside the program is not to be taken for libraries.
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(_PROGRAM), stdin=pipe, stdout=pipe, stderr=nowhere
    )
    try:
        said, _ = await child.communicate(asked)
        return _answer.decode(said)
    except msgspec.DecodeError:
        return _Answer(error="the library has broken down")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _region(setting: str | None) -> str:
    """`at-de` for `de-AT`: the country first."""
    if setting is None:
        return "us-en"
    language, _, region = setting.partition("-")
    return f"{(region or _HOMES.get(language, language)).lower()}-{language}"
