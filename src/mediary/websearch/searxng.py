"""SearXNG: a metasearch engine that one can host oneself, asked for JSON."""

from typing import Any

import msgspec
from msgspec import Struct

from mediary.errors import MissingAuthError, ProviderError, SettingsError
from mediary.net.client import HttpClient
from mediary.settings import WebSearchSettings
from mediary.websearch.base import Result
from mediary.websearch.http import get, result, service

_FORMATS = "`formats` under `search` in its settings.yml must name `json`"


class _Found(Struct):
    url: Any = None
    title: Any = None
    content: Any = None


class _Answer(Struct):
    results: list[_Found]
    unresponsive_engines: Any = None


_answer = msgspec.json.Decoder(_Answer)


class SearXNG:
    """An instance at `url`; a key goes to the proxy in front of it, as a bearer's."""

    label = "SearXNG"

    def __init__(self, settings: WebSearchSettings, http: HttpClient) -> None:
        if settings.url is None:
            raise SettingsError("setting websearch.url: where the SearXNG is, such as `http://127.0.0.1:8888`")
        self._service = service(self.label, settings, http, settings.url.removesuffix("/search"))
        self._language = settings.language

    async def search(self, query: str, *, results: int, seconds: float) -> list[Result]:
        """What its engines found together; how many that are is theirs to say."""
        try:
            answer = await get(
                self._service, "/search", _answer, seconds=seconds, q=query, format="json", language=self._language
            )
        except MissingAuthError as error:
            # It answers 403, and a page that does not say why, where it was not allowed to answer in JSON.
            raise MissingAuthError(f"{error.message}: if that is SearXNG's own answer, {_FORMATS}") from None
        found = [one for each in answer.results for one in result(each.url, each.title, each.content)]
        if not found and (failed := _failed(answer.unresponsive_engines)):
            raise ProviderError(f"{self.label}: its engines did not answer: {failed}")
        return found[:results]

    async def close(self) -> None:
        """Nothing is its own."""


def _failed(told: Any) -> str:
    """`google (CAPTCHA), brave (timeout)`: it tells them as pairs."""
    pairs = told if isinstance(told, list) else []
    return ", ".join(f"{pair[0]} ({pair[1]})" for pair in pairs if isinstance(pair, list) and len(pair) == 2)[:300]
