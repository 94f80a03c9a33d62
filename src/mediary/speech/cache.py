"""The sounds that are kept: files of one folder."""

from functools import partial
from pathlib import Path

from mediary.storage.base import StoredFile
from mediary.storage.file_cache import FileCache, FolderStore, Spooled
from mediary.storage.files import in_thread

_PIECE = 256 * 1024


class SoundCache(FileCache):
    """Keeps sounds, `limit` bytes of them at most; with 0 none is."""

    def __init__(self, store: FolderStore, limit: int) -> None:
        super().__init__(store, limit, "the speech cache")

    async def keep_sound(self, staged: Spooled, name: str, size: int, beginning: bytes) -> StoredFile | None:
        """Give a whole sound its name, its first bytes mended; None where it is too large to be kept."""
        if not self.has_room(size):
            return None
        if not beginning:
            return await self.keep(staged, name)
        return await self._keep_mended(await staged.path(), name, beginning)

    async def _keep_mended(self, source: Path, name: str, beginning: bytes) -> StoredFile:
        async with self.stage() as mended:
            await mended.write(beginning)
            with source.open("rb") as file:
                file.seek(len(beginning))
                while piece := await in_thread(partial(file.read, _PIECE)):
                    await mended.write(piece)
            return await self.keep(mended, name)
