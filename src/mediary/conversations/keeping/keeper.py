"""Keeps what turns make and bring, also when their clients leave meanwhile."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from mediary.conversations.attaching.attachments import Resolved
from mediary.conversations.attaching.holder import Holder
from mediary.conversations.keeping.keep import keep_brought, keep_made
from mediary.errors import MediaryError
from mediary.events import Event, Media
from mediary.media.library import MediaLibrary
from mediary.providers.base import Provider, TurnRequest

T = TypeVar("T")

CLOSING_SECONDS = 5.0
"""How long the end of the server waits for media on their way into the library."""

Parent = asyncio.Task[str | None]
"""Finds the library's name of the picture that a question brought."""

logger = logging.getLogger(__name__)


class Keeper:
    """Puts media into the library, by tasks that the end of a turn does not end."""

    def __init__(self, library: MediaLibrary, *, keep_attachments: bool = True) -> None:
        self._library = library
        self._keep_attachments = keep_attachments
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bringing = asyncio.Lock()

    async def keep(
        self,
        media: Media,
        provider: Provider,
        request: TurnRequest,
        *,
        download: bool,
        owner: str | None,
        parent: Parent | None,
    ) -> list[Event]:
        """Keep what was made, also when the client leaves meanwhile; a stream ends with its client."""

        async def keep() -> list[Event]:
            name = await _name(parent)
            return await keep_made(media, self._library, provider, request, download=download, owner=owner, parent=name)

        return await (keep() if media.stream is not None else asyncio.shield(self._beside(keep())))

    def bring(self, resolved: Resolved, holder: Holder, owner: str | None) -> Parent | None:
        """Begin to keep what a question brought, if it brought anything."""
        if not (resolved.brought or resolved.picture):
            return None
        return self._beside(self._keep_brought(resolved, holder.share(), owner))

    async def close(self) -> None:
        """Wait a little until all is kept."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)
            for task in late:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _keep_brought(self, resolved: Resolved, holder: Holder, owner: str | None) -> str | None:
        """Keep what a question brought; the name of its picture in the library, if it is there.

        One request after the other, or two that bring the same would both find that it is not there yet.
        """
        picture, names = resolved.picture, {}
        try:
            if resolved.brought and self._keep_attachments:
                async with self._bringing:
                    names = await keep_brought(resolved.brought, self._library, owner)
        finally:
            await holder.let_go()
        return (picture.item or names.get(picture)) if picture else None

    def _beside(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work in a task of its own, which the end of the turn does not end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, MediaryError):
            logger.error("work beside a turn broke", exc_info=error)


async def _name(parent: Parent | None) -> str | None:
    """The name of the picture that the question brought. That it cannot be kept costs no answer."""
    if parent is None:
        return None
    await asyncio.wait([parent])
    return None if parent.cancelled() or parent.exception() else parent.result()
