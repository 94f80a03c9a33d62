"""What a web search is: an engine that finds pages for a query."""

from dataclasses import dataclass
from typing import Protocol

MOST_RESULTS = 20
"""Results that an engine is asked for at most."""


@dataclass(slots=True, frozen=True)
class Result:
    """A page as an engine found it: `snippet` is what the engine shows of it. All of it is a stranger's text."""

    url: str
    title: str = ""
    snippet: str = ""


class Engine(Protocol):
    """A service that searches the web, registered as a class under `mediary.websearch`.

    It is made of `WebSearchSettings` and an `HttpClient`, once, and asked by many at the same time. SettingsError for
    settings that it cannot work with: a key that is missing, a language that it does not know.
    """

    label: str

    async def search(self, query: str, *, results: int, seconds: float) -> list[Result]:
        """At most so many results, the best first; none where nothing was found.

        ProviderError within about so many seconds where the service fails: with its own words, never with a key.
        """
        ...

    async def close(self) -> None:
        """Let go of what is its own; the HTTP client is not."""
        ...
