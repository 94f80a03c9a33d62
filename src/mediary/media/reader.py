"""Reads what the bytes of media files tell, in child processes: a file that is too much for one harms nobody else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mediary.errors import NotFoundError, UnreadableError
from mediary.media.dedupe import TOLD_BY_BYTES
from mediary.media.item import HEADERS, WHOLE, Changes, MediaItem
from mediary.sandbox.pool import Sandbox
from mediary.tasks import all_of

BATCH = 64
"""Files whose headers are read in one go."""

_SECONDS = 20.0
_BYTES_PER_SECOND = 10 * 1024**2
"""How slow a disk may be."""

# What people and providers say counts more than what a file says of itself.
_SAID = ("prompt", "negative_prompt", "alt", "tags", "model", "seed", "steps")
_NO_WORDS: Changes = {"prompt": "", "negative_prompt": "", "model": None, "seed": None, "steps": None}


class Reader:
    """Reads files of this machine; `max_pixels` is the largest picture that is decoded."""

    def __init__(self, sandbox: Sandbox, max_pixels: int) -> None:
        self._sandbox = sandbox
        self._max_pixels = max_pixels

    async def facts(self, paths: Sequence[Path]) -> list[Changes]:
        """What the headers of each file tell, in order; `problem` for what cannot be read."""
        names = list(map(str, paths))
        batches = (names[start : start + BATCH] for start in range(0, len(names), BATCH))
        return [told for batch in await all_of(map(self._facts, batches)) for told in batch]

    async def whole(self, path: Path, size: int = 0) -> Changes:
        """Digest and looks of a file; `size`, in bytes, gives a large one more time."""
        seconds = _SECONDS + size / _BYTES_PER_SECOND
        try:
            found = await self._sandbox.run(
                "mediary.media.decoding.look:look", str(path), self._max_pixels, seconds=seconds
            )
        except NotFoundError as error:
            found = {"problem": error.message}
        except UnreadableError as error:
            found = {"problem": error.message} | await self._digest(path, seconds)
        return _changes(found, WHOLE)

    async def _facts(self, paths: list[str]) -> list[Changes]:
        """A batch; if one of its files is too much for a child, each of them alone."""
        try:
            found = await self._sandbox.run(
                "mediary.media.decoding.facts:read_facts", paths, self._max_pixels, seconds=_SECONDS
            )
        except UnreadableError as error:
            if len(paths) == 1:
                return [_changes({"problem": error.message}, HEADERS)]
            return [changes for path in paths for changes in await self._facts([path])]
        return [_changes(facts, HEADERS) for facts in found]

    async def _digest(self, path: Path, seconds: float) -> dict[str, Any]:
        """The digest of a file that cannot be looked at; nothing of what is no file."""
        try:
            found: dict[str, Any] = await self._sandbox.run(
                "mediary.media.decoding.look:digest", str(path), seconds=seconds
            )
        except (UnreadableError, NotFoundError):
            return {}
        return found


def unsaid(item: MediaItem, found: Changes) -> Changes:
    """What of the found is news for an item: words that somebody said before stay."""
    return {field: value for field, value in found.items() if field not in _SAID or not getattr(item, field)}


def instead(item: MediaItem, found: Changes) -> Changes:
    """The found in the place of all that other bytes told of an item; without a prompt of its own, the words stay."""
    forgotten = {**dict.fromkeys(TOLD_BY_BYTES), **(_NO_WORDS if found.get("prompt") else {})}
    return {**forgotten, **unsaid(replace(item, **forgotten), found)}


def _changes(found: dict[str, Any], level: int) -> Changes:
    if "tags" in found:
        found["tags"] = tuple(found["tags"])
    return {**found, "read": level}
