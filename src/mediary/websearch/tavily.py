"""Tavily, by its API."""

from typing import Any

import msgspec
from msgspec import Struct

from mediary.errors import SettingsError
from mediary.net.client import HttpClient
from mediary.settings import WebSearchSettings
from mediary.websearch.base import MOST_RESULTS, Result
from mediary.websearch.http import need_key, post, result, service

URL = "https://api.tavily.com"


class _Found(Struct):
    url: Any = None
    title: Any = None
    content: Any = None


class _Answer(Struct):
    results: list[_Found]


_answer = msgspec.json.Decoder(_Answer)


class Tavily:
    """The service of tavily.com, or what speaks like it at `url`."""

    label = "Tavily"

    def __init__(self, settings: WebSearchSettings, http: HttpClient) -> None:
        need_key(settings, "TAVILY_API_KEY")
        if settings.language is not None:
            raise SettingsError("setting websearch.language: tavily goes by the language of the question alone")
        self._service = service(self.label, settings, http, settings.url or URL)

    async def search(self, query: str, *, results: int, seconds: float) -> list[Result]:
        """What it found, with its summaries of the pages."""
        body = {"query": query, "max_results": min(results, MOST_RESULTS), "search_depth": "basic"}
        answer = await post(self._service, "/search", _answer, seconds=seconds, body=body)
        return [one for each in answer.results for one in result(each.url, each.title, each.content)][:results]

    async def close(self) -> None:
        """Nothing is its own."""
