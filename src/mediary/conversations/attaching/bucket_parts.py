"""Buckets in messages: a stored file as it is, a text whole if it fits the model's window, else what bears on it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.buckets.room import BucketRoom
from mediary.conversations.attaching.places import Place, framed
from mediary.conversations.request import CONTINUE
from mediary.conversations.window import BYTES_PER_TOKEN, count_tokens, tokens_of
from mediary.errors import NotFoundError, UnreadableError
from mediary.events import Log
from mediary.names import secure_filename
from mediary.providers.base import Message, Text, TurnRequest
from mediary.storage.base import is_name

if TYPE_CHECKING:
    from mediary.buckets.bucket import Bucket
    from mediary.buckets.passages.ask import Readiness
    from mediary.passages.passage import Passage

NAMED = 8
"""Documents that a log line names; of the others it says how many they are."""
MAX_ERROR = 200
"""Characters of a reason in it."""


@dataclass(slots=True, frozen=True)
class Wanted:
    """The text of a bucket, or of one of its documents."""

    bucket: "Bucket"
    document: str | None = None

    @property
    def what(self) -> str:
        """What a log line calls it."""
        document = f"{self.document} of " if self.document else ""
        return f"{document}the bucket {self.bucket.id}"

    @property
    def key(self) -> tuple[str, str | None]:
        """What it is told from others by."""
        return self.bucket.id, self.document


@dataclass(slots=True, frozen=True)
class Room:
    """What is left for the texts of buckets: tokens of the model's window, bytes of a request's attachments."""

    tokens: int
    size: int

    @property
    def most(self) -> int:
        """The bytes of the longest text that may fit; characters are no more than that."""
        return max(0, min(self.size, BYTES_PER_TOKEN * self.tokens))

    def share(self, number: int) -> "Room":
        """What one of so many may have."""
        return Room(self.tokens // number, self.size // number)

    def after(self, texts: Iterable[str]) -> "Room":
        """What these texts leave; less than nothing where they do not fit."""
        tokens, size = self.tokens, self.size
        for text in texts:
            tokens -= count_tokens(text)
            size -= len(text.encode("utf-8", "replace"))
        return Room(tokens, size)

    def holds(self, *texts: str) -> bool:
        """Whether all of these texts fit."""
        left = self.after(texts)
        return left.tokens >= 0 and left.size >= 0


class BucketParts:
    """Brings into messages what buckets hold."""

    def __init__(self, room: BucketRoom) -> None:
        self._room = room

    async def text(self, bucket_id: str) -> Wanted:
        """The text of a bucket; NotFoundError if there is none of that id."""
        return Wanted(await self._room.buckets.get(bucket_id))

    async def stored(self, bucket_id: str, name: str) -> "Path | Wanted":
        """The file of a stored picture or sound, or the text of a document; NotFoundError names what is missing.

        A document goes by its name in the manifest or by the one that it was brought under.
        """
        bucket = await self._room.buckets.get(bucket_id)
        if media := await asyncio.to_thread(_media, bucket, name):
            return media
        found = await bucket.index.find(name) or await bucket.index.find_original(name)
        if found is None:
            raise NotFoundError(f"there is no {name!r} in the bucket {bucket.id!r}")
        return Wanted(bucket, found.name)

    async def file(self, bucket_id: str, name: str) -> tuple[Path, str]:
        """A stored file as it was brought, and the name that it had then; NotFoundError names what is missing.

        Of a document whose original is gone, its text.
        """
        stored = await self.stored(bucket_id, name)
        if isinstance(stored, Path):
            return stored, stored.name
        document = await stored.bucket.index.get(stored.document or name)
        source = stored.bucket.source_path(document)
        if source is None or not source.is_file():
            return stored.bucket.text_path(document), document.text_name
        return source, document.original or source.name

    async def media(self, bucket_id: str, name: str) -> Path:
        """The file of a stored picture, sound or video; NotFoundError."""
        bucket = await self._room.buckets.get(bucket_id)
        if media := await asyncio.to_thread(_media, bucket, name):
            return media
        raise NotFoundError(f"there is no {name!r} among the media of the bucket {bucket.id!r}")

    async def bring(
        self, request: TurnRequest, places: Mapping[Place, Wanted], window: int, max_bytes: int
    ) -> AsyncGenerator[Log | dict[Place, list[Text]], None]:
        """Say what is brought, and last give it, by the places that want it.

        The texts have half of what the other messages leave of the `window`, in tokens, and `max_bytes` at most.
        Documents that are not ready are waited for, half of the turn's time.
        """
        room = Room(max(0, window - tokens_of(request.messages)) // 2, max_bytes)
        question = _question(request.messages)
        until = _now() + request.timeout / 2
        # What a client sends again with every turn is brought once.
        once = {wanted.key: (place, wanted) for place, wanted in places.items()}
        texts: dict[Place, list[Text]] = {}
        for number, (place, wanted) in enumerate(once.values()):
            readiness = await self._room.passages.look(wanted.bucket, wanted.document)
            if readiness.late:
                yield Log(log=f"reading {_counted(len(readiness.late))} of {wanted.what}")
                left = max(0.0, until - _now())
                readiness = await self._room.passages.prepare(wanted.bucket, left, wanted.document)
            found = await self._found(wanted, readiness, question, room.share(len(once) - number))
            texts[place] = [Text(_framed(passage), source=passage.document) for passage in found.passages]
            room = room.after(text.text for text in texts[place])
            yield Log(log=_told(wanted, found, readiness))
        yield texts

    async def _found(self, wanted: Wanted, readiness: "Readiness", question: str, room: Room) -> "_Found":
        """What bears on the question and fits."""
        bucket, document = wanted.bucket, wanted.document
        if document and readiness.failed:
            raise UnreadableError(f"{wanted.what} cannot be read: {readiness.failed[0].error}")
        if readiness.size <= room.most:
            whole = await self._room.passages.whole(bucket, readiness)
            if room.holds(*map(_framed, whole)):
                return _Found(whole, is_whole=True)
        if found := await self._room.passages.find(bucket, question, room.most, document):
            return _Found(_fitting(found, room))
        return _Found(_fitting(await self._room.passages.openings(bucket, room.most, document), room), bears=False)


@dataclass(slots=True, frozen=True)
class _Found:
    """What is brought of a bucket: all of it, passages that bear on the question, or else how documents begin."""

    passages: "list[Passage]"
    is_whole: bool = False
    bears: bool = True


def _media(bucket: "Bucket", name: str) -> Path | None:
    """The file of a picture, sound or video of a bucket, by its name or the safe form of it."""
    for candidate in (name, secure_filename(name)):
        path = bucket.media_dir / candidate
        if is_name(candidate) and path.is_file() and not path.is_symlink():
            return path
    return None


def _question(messages: Sequence[Message]) -> str:
    """What the user asked last, in their own words."""
    for message in reversed(messages):
        own = "\n".join(part.text for part in message.parts if isinstance(part, Text) and part.source is None)
        if message.role == "user" and own.strip() and own != CONTINUE:
            return own
    return ""


def _framed(passage: "Passage") -> str:
    return framed(passage.document, passage.text)


def _fitting(passages: "Iterable[Passage]", room: Room) -> "list[Passage]":
    """As many of them as there is room for, the first ones first."""
    fitting = []
    for passage in passages:
        if room.holds(text := _framed(passage)):
            room = room.after([text])
            fitting.append(passage)
    return fitting


def _told(wanted: Wanted, found: _Found, readiness: "Readiness") -> str:
    """What was brought, and what was not, in a line."""
    counts = Counter(passage.document for passage in found.passages)
    if not readiness.ready:
        begin = f"nothing from {wanted.what}: none of its documents is ready"
    elif not counts:
        begin = f"nothing from {wanted.what}: " + ("it has no text" if found.is_whole else "there is no room for it")
    elif found.is_whole:
        begin = f"from {wanted.what}: the whole text" + ("" if wanted.document else f" of {_names(counts)}")
    elif found.bears:
        begin = f"from {wanted.what}: {_passages(counts)}"
    else:
        begin = f"nothing in {wanted.what} bears on the question; it comes with how it begins: {_names(counts)}"
    late = [document.name for document in readiness.late]
    failed = [f"{document.name} ({(document.error or 'unknown reason')[:MAX_ERROR]})" for document in readiness.failed]
    ends = {"not ready": late, "could not be read": failed}
    return "; ".join([begin, *(f"{what}: {_names(names)}" for what, names in ends.items() if names)])


def _passages(counts: Counter[str]) -> str:
    """`3 passages of lease.pdf.md, 1 of notes.txt.md`."""
    named = [f"{count} of {name}" for name, count in counts.most_common()]
    first, _, rest = named[0].partition(" ")
    return _names([f"{first} passage{'' if first == '1' else 's'} {rest}", *named[1:]])


def _names(names: Iterable[str]) -> str:
    """The first of them, and how many others there are."""
    listed = list(names)
    more = [f"{len(listed) - NAMED} more"] if len(listed) > NAMED else []
    return ", ".join([*listed[:NAMED], *more])


def _counted(number: int) -> str:
    return f"{number} document{'' if number == 1 else 's'}"


def _now() -> float:
    return asyncio.get_running_loop().time()
