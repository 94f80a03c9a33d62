"""Media in folders that are no library, such as those of buckets: how large they are to see, and their thumbnails."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mediary.errors import MediaryError, SandboxError
from mediary.media.reader import Reader
from mediary.media.thumbnails import LocalFolder, Thumbnails
from mediary.sandbox.pool import Sandbox
from mediary.storage.files import in_thread

KNOWN = 64
"""Folders whose thumbnails are at hand."""

logger = logging.getLogger(__name__)


class FolderMedia:
    """Looks at media files and makes their thumbnails in child processes, which may read all of those folders.

    `make_store` makes the store of a folder; `max_pixels` is the largest picture that is decoded.
    """

    def __init__(self, make_store: Callable[[Path], LocalFolder], sandbox: Sandbox, max_pixels: int) -> None:
        self._make_store = make_store
        self._sandbox = sandbox
        self._max_pixels = max_pixels
        self._reader = Reader(sandbox, max_pixels)
        self._known: OrderedDict[Path, Thumbnails] = OrderedDict()
        self._beginning: set[asyncio.Task[None]] = set()
        # Made ahead one by one: who waits for something goes first.
        self._turn = asyncio.Semaphore(1)

    async def keep(self, media: Path, thumbnails: Path, name: str) -> tuple[int, int] | None:
        """The width and height, as it is shown, of a file that was just put into `media`; its thumbnail is begun.

        None for a sound, and for what cannot be read.
        """
        try:
            [facts] = await self._reader.facts([media / name])
        except SandboxError as error:
            logger.warning("a file of a bucket was not looked at: %s", error.message)
            return None
        if "problem" not in facts:
            task = asyncio.create_task(self._begin(media, thumbnails, name))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)
        width, height = facts.get("width"), facts.get("height")
        return (width, height) if width and height else None

    async def thumbnails(self, media: Path, folder: Path) -> Thumbnails:
        """The thumbnails of the files in `media`, which lie in `folder`; it is made if `media` is there."""
        if not folder.is_dir():  # or no more: deleted, and made again
            await in_thread(partial(_ensure, media, folder))
        known = self._known.get(media)
        if known is None:
            known = Thumbnails(self._make_store(media), self._make_store(folder), self._sandbox, self._max_pixels)
            self._known[media] = known
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(media)
        return known

    async def close(self) -> None:
        """End what is being made."""
        for task in self._beginning:
            task.cancel()
        await asyncio.gather(*self._beginning, return_exceptions=True)
        await asyncio.gather(*(thumbnails.close() for thumbnails in self._known.values()))

    async def _begin(self, media: Path, folder: Path, name: str) -> None:
        try:
            async with self._turn:
                await (await self.thumbnails(media, folder)).get(name)
        except MediaryError as error:  # it is made when it is asked for, and then says why it is not
            logger.debug("no thumbnail was made ahead: %s", error.message)


def _ensure(media: Path, folder: Path) -> None:
    if media.is_dir():
        folder.mkdir(exist_ok=True)
