"""How large, and how long, what a turn made is: for the ledger, after the answer."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from mediary.conversations.recording.measure import Looks
from mediary.errors import MediaryError
from mediary.media.indexer import Indexer
from mediary.media.item import MediaItem
from mediary.media.library import MediaLibrary
from mediary.usage.record import Kind

MEDIA = "/media/"


class Made:
    """Looks up what was made in the library; sounds and videos that nobody has read yet are read for it."""

    def __init__(self, library: MediaLibrary, indexer: Indexer | None = None) -> None:
        self._library = library
        self._indexer = indexer

    async def look(self, made: Iterable[tuple[Kind, str]]) -> Looks:
        """The bytes and seconds of all of it; None for what is not in the library, and so not known."""
        size, seconds = 0, 0.0
        knows_size = knows_seconds = True
        plays = False
        for kind, url in made:
            item = await self._item(kind, url)
            if item is None:
                knows_size = False
            else:
                size += item.size
            if kind != "image":
                plays = True
                if item is None or item.duration is None:
                    knows_seconds = False
                else:
                    seconds += item.duration
        return Looks(size if knows_size else None, seconds if plays and knows_seconds else None)

    async def _item(self, kind: Kind, url: str) -> MediaItem | None:
        path = urlsplit(url).path
        if not path.startswith(MEDIA):
            return None
        name = unquote(path.removeprefix(MEDIA))
        try:
            item = await self._library.find(name)
            if item and kind != "image" and item.duration is None and self._indexer:
                await self._indexer.read_now(await self._library.catalog(), item)
                item = await self._library.find(name)
        except MediaryError:  # it is not known then
            return None
        return item
