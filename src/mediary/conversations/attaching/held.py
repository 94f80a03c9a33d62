"""A file of a question: what it is by its bytes, and where these can be read."""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.uploads.base import Content, File
from mediary.uploads.contents import BytesContent, hash_content
from mediary.uploads.files import UNKNOWN

HEAD_BYTES = 64 * 1024
"""First bytes that tell what a file is."""

_XML = "application/xml"

Size = tuple[int, int]


@dataclass(slots=True, frozen=True, eq=False)
class Held:
    """A file of a question: `media_type` is what its bytes say, `is_text` whether a person could read them.

    `digested` gives it as uploads want it, with its digests. `kept` says that it lies in the library or in a bucket
    already; `item` is its name in the library.
    """

    name: str
    media_type: str
    content: Content = field(repr=False)
    digested: Callable[[], Awaitable[File]] = field(repr=False)
    is_text: bool = False
    kept: bool = False
    item: str | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.content.size

    async def data(self) -> bytes:
        """All of its bytes."""
        if isinstance(self.content, BytesContent):
            return self.content.data
        async with aclosing(self.content.read()) as pieces:
            return b"".join([piece async for piece in pieces])


@dataclass(slots=True, frozen=True)
class Kind:
    """What the first bytes of a file tell; where there is no type, only a look inside gives one."""

    media_type: str | None
    is_text: bool = False
    size: Size | None = None


def what_is(head: bytes, name: str) -> Kind:
    """What a file is, by its first bytes; texts are told apart by the name. UnreadableError for an empty one."""
    # imported here: an idle server does without
    from mediary.extractors.recognition.by_name import MEDIA_TYPES
    from mediary.extractors.recognition.detect import is_text, recognise

    if not head:
        raise UnreadableError(f"{name} is empty")
    head = head[:HEAD_BYTES]
    try:
        found = recognise(head, name)
    except UnsupportedTypeError:
        return Kind(UNKNOWN)
    if found is None:
        return Kind(None)
    if found.media_type in MEDIA_TYPES and is_text(head):
        # A drawing that is written down is no picture to a model.
        return Kind(_XML if found.media_type.startswith("image/") else found.media_type, is_text=True)
    return Kind(found.media_type, size=_shape(head))


def _shape(head: bytes) -> Size | None:
    """The width and height of a picture as it is shown, as far as its first bytes tell."""
    from mediary.media.decoding.exif import read_exif
    from mediary.media.decoding.probe import dimensions

    size = dimensions(head)
    exif = head.find(b"Exif\0\0") if head.startswith(b"\xff\xd8") else -1
    turned = exif >= 0 and read_exif(head[exif + 6 :])[1]
    return size[::-1] if size and turned else size


def held_in_memory(name: str, data: bytes, kind: Kind, media_type: str) -> Held:
    """A file whose bytes are here; its digests are taken when somebody asks for them."""
    content = BytesContent(data)

    async def digested() -> File:
        known = await hash_content(content)
        return File(name, media_type, content, known.md5, known.sha256, *(kind.size or ()))

    return Held(name, media_type, content, digested, kind.is_text)


class Digesting:
    """The digests of a file, taken of its bytes as they pass."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        """The next bytes."""
        self._sha256.update(piece)
        self._md5.update(piece)

    def held(self, name: str, content: Content, kind: Kind, media_type: str) -> Held:
        """The file that these were the bytes of."""
        md5, sha256 = self._md5.hexdigest(), self._sha256.hexdigest()
        file = File(name, media_type, content, md5, sha256, *(kind.size or ()))

        async def digested() -> File:
            return file

        return Held(name, media_type, content, digested, kind.is_text)
