"""Speech on request: made once, heard while it is made by all who asked for it, and kept for a while."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from difflib import get_close_matches
from functools import partial
from io import FileIO

from mediary.errors import FieldError, NoSpaceError, NotFoundError, StoreError
from mediary.providers.base import Speaks
from mediary.shared_work import Shared, Work
from mediary.sounds import FORMATS
from mediary.speech.cache import SoundCache
from mediary.speech.reading import Reading
from mediary.speech.wanted import Wanted
from mediary.spoken import speakable
from mediary.storage.file_cache import FolderStore, Spooled
from mediary.storage.files import in_thread

PIECE = 256 * 1024
SLOWEST, FASTEST = 0.25, 4.0
_ALIASES = {"ogg": "opus", "mpeg": "mp3", "wave": "wav"}

logger = logging.getLogger(__name__)


Around = Callable[[Wanted], AbstractContextManager[None]]
"""What is done around each making: who counts and measures sees how it begins and how it ends."""


class SpeechRoom:
    """Makes and keeps speech: `store` is a folder, `limit` are the bytes that are kept there."""

    def __init__(self, store: FolderStore, limit: int, around: Around = lambda _: nullcontext()) -> None:
        self.cache = SoundCache(store, limit)
        self._around = around
        self._making: Shared[str, None] = Shared()

    async def start(self) -> None:
        """Remove what a killed process left."""
        await self.cache.store.recover()

    async def close(self) -> None:
        """Stop what is being made."""
        await self._making.close()

    async def want(
        self,
        who: str,
        provider: Speaks,
        text: str,
        *,
        kind: str = "mp3",
        voice: str | None = None,
        model: str | None = None,
        speed: float = 1.0,
        manner: str | None = None,
    ) -> Wanted:
        """What is to be made, checked as far as that goes without making it; FieldError names what cannot be."""
        kind = _ALIASES.get(kind.casefold(), kind.casefold())
        if kind not in FORMATS:
            near = get_close_matches(kind, FORMATS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(FORMATS)}"
            raise FieldError("format", f"there is no {kind[:50]!r}; {hint}")
        if not SLOWEST <= speed <= FASTEST:
            raise FieldError("speed", f"is from {SLOWEST:g} to {FASTEST:g}")
        said = await asyncio.to_thread(speakable, text)
        if not said:
            raise FieldError("text", "there is nothing to say; give some text")
        return Wanted(who, provider, await provider.speaker(model, voice), said, kind, speed, manner)

    async def sound(self, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """The file as it is made; whoever asks for the same meanwhile reads along from its beginning.

        Closing the last of them ends the making, and with it the connection to the service.
        """
        making: Making | None = None
        try:
            async with self._making.joined(wanted.name, lambda: Making(wanted, self.cache, self._around)) as work:
                assert isinstance(work, Making)
                making = work
                async with aclosing(making.pieces()) as pieces:
                    async for piece in pieces:
                        yield piece
        finally:
            if making and not making.waiters:
                making.close()

    async def kept_or_made(self, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """The file that is kept, else as it is made."""
        try:
            async with aclosing(self.cache.store.read(wanted.name)) as kept:
                async for piece in kept:
                    yield piece
            return
        except NotFoundError:
            pass
        async with aclosing(self.sound(wanted)) as made:
            async for piece in made:
                yield piece


class Making(Work[None]):
    """A sound while it is made: a file that grows."""

    def __init__(self, wanted: Wanted, cache: SoundCache, around: Around) -> None:
        self._wanted = wanted
        self._around = around
        self._cache = cache
        self._file: FileIO | None = None
        super().__init__(lambda _: self._make(), "speech")

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """All of it; what the making failed at is raised."""
        sent = 0
        async with aclosing(self.sizes()) as sizes:
            async for size in sizes:
                async with aclosing(self._read(sent, size)) as pieces:
                    async for piece in pieces:
                        yield piece
                sent = size
        await self.result()
        async with aclosing(self._read(sent, self.size)) as pieces:
            async for piece in pieces:
                yield piece

    def close(self) -> None:
        """Let go of the file; nobody reads it any more."""
        if self._file:
            self._file.close()

    async def _read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        assert self._file or start == end
        while self._file and start < end:
            piece = await in_thread(partial(os.pread, self._file.fileno(), min(PIECE, end - start), start))
            if not piece:
                raise StoreError("The file of the speech became shorter while it was read")
            yield piece
            start += len(piece)

    async def _make(self) -> None:
        await self._cache.prepare()
        reading = Reading(self._wanted)
        async with self._cache.stage() as staged:
            with self._around(self._wanted):
                async with aclosing(reading.sound()) as sound:
                    async for data in sound:
                        await self._take(staged, data)
            try:
                await self._cache.keep_sound(staged, self._wanted.name, self.size, reading.beginning)
            except (NoSpaceError, StoreError) as error:
                # It was heard all the same.
                logger.warning("speech is not kept", extra={"cause": error.message})

    async def _take(self, staged: Spooled, data: bytes) -> None:
        """Write the next bytes, and tell those who read along."""
        await staged.write(data)
        path = await staged.path()  # which writes what was gathered
        if self._file is None:
            self._file = await in_thread(partial(FileIO, path))
        self.grow(len(data))
