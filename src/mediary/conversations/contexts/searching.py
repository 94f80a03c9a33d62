"""Brings into a question what was found on the web, where it asks for that."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from mediary.conversations.contexts.context import Added, Context
from mediary.conversations.contexts.search_query import query_of
from mediary.conversations.contexts.sources import MOST_TOKENS, cite
from mediary.errors import MediaryError
from mediary.events import Log
from mediary.net.client import server_of
from mediary.providers.base import TurnRequest
from mediary.websearch.room import Found, WebSearch

logger = logging.getLogger(__name__)

MAX_REASON = 200
"""Characters of a reason in a log line."""


class Searching:
    """Searches the web for turns."""

    def __init__(self, room: WebSearch) -> None:
        self._room = room

    def context(self, wanted: bool | str) -> Context:
        """The search for one turn: `wanted` is the query, or true for what the question says."""
        return _Search(self._room, wanted)

    async def text(self, query: str) -> str:
        """What the web says to a query, as a question would have it, with the links; empty where nothing is found."""
        found = await self._room.find(query_of(query, ()))
        added = await asyncio.to_thread(cite, found, query, MOST_TOKENS) if found.sources else None
        return "".join([*(part.text for part in added.parts), added.closing]) if added else ""

    async def close(self) -> None:
        """End the searches that are under way."""
        await self._room.close()


@dataclass(slots=True, frozen=True)
class _Search:
    room: WebSearch
    wanted: bool | str

    async def bring(self, request: TurnRequest, tokens: int) -> AsyncGenerator[Log | Added, None]:
        """Say what is searched for and what was found, then bring it."""
        query = await asyncio.to_thread(query_of, self.wanted, request.messages)
        if not query:
            yield Log(log="nothing to search the web for: the question has no text")
            return
        yield Log(log=f"searching the web for “{query}”")
        try:
            async with asyncio.timeout(request.timeout / 2):
                found = await self.room.find(query)
        except TimeoutError:
            yield Log(log="nothing from the web: it took too long")
            return
        except MediaryError as error:
            logger.warning("the web could not be searched", extra={"cause": error.message})
            yield Log(log=f"nothing from the web: {error.message}")
            return
        added = await asyncio.to_thread(self._chosen, found, query, request, tokens) if found.sources else None
        yield Log(log=_told(found, added))
        if added:
            yield added

    def _chosen(self, found: Found, query: str, request: TurnRequest, tokens: int) -> Added | None:
        """What bears on the question, which may be another than the query."""
        asked = "" if self.wanted is True else query_of(True, request.messages)
        return cite(found, f"{query}\n{asked}", tokens)


def _told(found: Found, added: Added | None) -> str:
    """What was found and read, in a line."""
    if not found.sources:
        return f"nothing from the web: {found.engine} found nothing"
    if added is None:
        return "nothing from the web: there is no room for it"
    begin = f"from the web: {_counted(len(found.sources), 'result')} of {found.engine}"
    read = sum(bool(source.text) for source in found.sources)
    unread = [_why(server_of(each.url), each.problem) for each in found.sources if each.problem]
    if not read and not unread:
        return begin  # what the settings want
    return "; ".join(
        [f"{begin}, {_counted(read, 'page')} read", *([f"not read: {', '.join(unread)}"] if unread else [])]
    )


def _why(server: str, problem: str) -> str:
    """`example.com: answered 404`; many problems begin with the server's name."""
    return f"{server}: {problem.removeprefix(server).strip()[:MAX_REASON]}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
