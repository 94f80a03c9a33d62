"""Notices what happens in a folder beside the server, by what the system tells of it."""

import asyncio
import logging
import os
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from mediary.formats import is_allowed_extension
from mediary.storage.files import in_thread

logger = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of each change

MANY = 1_000
"""Names beyond which a look at the whole folder is cheaper, and the system may have told too little."""
REST_SECONDS = 0.5
"""How long a file must stay as it is to count as complete."""
GATHERED_MS = 500

_Stamp = tuple[int, int, int] | None


class Watch:
    """Watches a folder, not what lies below it, within a block.

    `seen` says whether anything at all was noticed since it was last made false; `works` is false where the system
    does not tell.
    """

    def __init__(self, folder: Path) -> None:
        self.seen = False
        self.works = True
        self._folder = folder
        self._names: set[str] = set()
        self._many = False
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # With its Rust part and anyio it takes a few megabytes, and a tenth of a second.
        watchfiles = await asyncio.to_thread(import_module, "watchfiles")
        self._task = asyncio.create_task(self._collect(watchfiles))
        await asyncio.sleep(0)  # from here on nothing is missed
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def settled(self, patience: float) -> set[str] | None:
        """The names of media files that came, changed or went and now rest; None if there are too many to name.

        The empty set if nothing happens for `patience` seconds.
        """
        while True:
            try:
                async with asyncio.timeout(patience):
                    await self._some.wait()
            except TimeoutError:
                return set()
            names, self._names = self._names, set()
            before = await in_thread(partial(self._stamps, names))
            await asyncio.sleep(REST_SECONDS)
            if self._many or len(names) > MANY:
                self._many = False
                self._names.clear()
                self._some.clear()
                return None
            after = await in_thread(partial(self._stamps, names))
            resting = {name for name in names if before[name] == after[name]}
            self._names |= names - resting
            if not self._names:
                self._some.clear()
            if resting:
                return resting

    async def _collect(self, watchfiles: Any) -> None:
        """Gather names as they come; beyond `MANY` only that there are many."""
        try:
            async for changes in watchfiles.awatch(
                self._folder, watch_filter=None, debounce=GATHERED_MS, recursive=False
            ):
                self.seen = True
                self._names.update(name for _, path in changes if _is_media(name := path.rpartition(os.sep)[2]))
                if len(self._names) > MANY:
                    self._many = True
                    self._names.clear()
                if self._many or self._names:
                    self._some.set()
        except (OSError, RuntimeError) as error:  # no more watches for this user; a file system without
            self.works = False
            logger.warning("the media folder cannot be watched, and is looked at every minute instead: %s", error)

    def _stamps(self, names: set[str]) -> dict[str, _Stamp]:
        return {name: self._stamp(name) for name in names}

    def _stamp(self, name: str) -> _Stamp:
        try:
            status = os.lstat(self._folder / name)
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def _is_media(name: str) -> bool:
    return not name.startswith(".") and is_allowed_extension(name) is not None
