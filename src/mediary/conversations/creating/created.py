"""Answers to single questions, and those that are kept because the client gave them an id."""

import time
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from mediary.errors import NotFoundError
from mediary.formats import is_allowed_extension
from mediary.storage.base import Store
from mediary.storage.file_cache import FileCache, FolderStore
from mediary.storage.files import in_thread, translated

MEDIA = "/media/"
DAY = 86400.0

_what = "the cache of answers"


class Created(Struct, frozen=True, kw_only=True):
    """An answer: its words, in which media stand as Markdown, and the URLs of its media.

    Without words it is its media. `run` is the turn's id; `whole` is false where the model was cut short; `made` is
    when, in Unix seconds.
    """

    text: str = ""
    media: tuple[str, ...] = ()
    run: str | None = None
    whole: bool = True
    made: float = msgspec.field(default_factory=time.time)

    @property
    def may_be_kept(self) -> bool:
        """Whether it is good later as well: it is something, it is whole, and its media are all in the library."""
        return bool(self.text or self.media) and self.whole and None not in map(item_name, self.media)


def item_name(url: str) -> str | None:
    """The name of the library's item under a URL; None for a URL of somebody else's."""
    return unquote(urlsplit(url).path.removeprefix(MEDIA)) if url.startswith(MEDIA) else None


def is_sound(url: str) -> bool:
    """Whether a URL is that of a sound."""
    found = is_allowed_extension(unquote(urlsplit(url).path))
    return found is not None and found.kind == "audio"


class AnswerCache(FileCache):
    """Answers by their keys, `limit` bytes of them for `days` at most; `media` is where their media must still be."""

    def __init__(self, store: FolderStore, media: Store, limit: int, days: float) -> None:
        super().__init__(store, limit, _what, days * DAY)
        self._media = media
        self._days = days

    async def find(self, key: str) -> Created | None:
        """The answer that is kept, with all its media."""
        try:
            with translated(_what, key):
                created = _decoder.decode(await in_thread(self.store.path(key).read_bytes))
            for url in created.media:
                await self._media.get(item_name(url) or "")
        except (NotFoundError, msgspec.DecodeError):
            return None
        if time.time() - created.made > self._days * DAY:
            return None
        await self.touch(key)
        return created

    async def add(self, key: str, created: Created) -> None:
        """Keep an answer, if there is room for it; NoSpaceError or StoreError if that fails."""
        body = msgspec.json.encode(created)
        if not self.has_room(len(body)):
            return
        await self.prepare()
        async with self.stage() as staged:
            await staged.write(body)
            await self.keep(staged, key)


_decoder: "msgspec.json.Decoder[Created]" = msgspec.json.Decoder(Created)
