"""Brave Search, by its API."""

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from mediary.errors import RateLimitError
from mediary.net.client import HttpClient
from mediary.settings import WebSearchSettings
from mediary.websearch.base import MOST_RESULTS, Result
from mediary.websearch.http import get, need_key, result, service

URL = "https://api.search.brave.com"
_PATH = "/res/v1/web/search"
_LIMIT_SECONDS = 1.1
"""Its smaller plans take one question a second, and say so without saying when to come again."""

# Where it has its own names for languages.
_LANGUAGES = {"ja": "jp", "no": "nb", "pt": "pt-pt", "zh": "zh-hans"}
_LANGUAGES_OF_REGIONS = {"en-GB": "en-gb", "pt-BR": "pt-br", "zh-TW": "zh-hant", "zh-HK": "zh-hant"}


class _Found(Struct):
    url: Any = None
    title: Any = None
    description: Any = None


class _Web(Struct):
    results: list[_Found] = []


class _Answer(Struct):
    web: _Web | None = None


_answer = msgspec.json.Decoder(_Answer)


class Brave:
    """The service of brave.com, or what speaks like it at `url`."""

    label = "Brave Search"

    def __init__(self, settings: WebSearchSettings, http: HttpClient) -> None:
        need_key(settings, "BRAVE_API_KEY")
        self._service = service(self.label, settings, http, settings.url or URL, key_header="X-Subscription-Token")
        self._language, self._country = _language(settings.language)

    async def search(self, query: str, *, results: int, seconds: float) -> list[Result]:
        """What it found; asked a second time where another question came too shortly before."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            return await self._search(query, results, seconds)
        except RateLimitError as error:
            if error.retry_after is not None or until - loop.time() < 2 * _LIMIT_SECONDS:
                raise
        await asyncio.sleep(_LIMIT_SECONDS)
        return await self._search(query, results, until - loop.time())

    async def _search(self, query: str, results: int, seconds: float) -> list[Result]:
        answer = await get(
            self._service,
            _PATH,
            _answer,
            seconds=seconds,
            q=query,
            count=min(results, MOST_RESULTS),
            text_decorations="false",
            result_filter="web",
            search_lang=self._language,
            country=self._country,
        )
        found = answer.web.results if answer.web else []
        return [one for each in found for one in result(each.url, each.title, each.description)][:results]

    async def close(self) -> None:
        """Nothing is its own."""


def _language(setting: str | None) -> tuple[str | None, str | None]:
    """Language and country, as it has them, of `de` or `de-AT`."""
    if setting is None:
        return None, None
    language, _, region = setting.partition("-")
    return _LANGUAGES_OF_REGIONS.get(setting) or _LANGUAGES.get(language, language), region or None
