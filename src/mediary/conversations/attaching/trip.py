"""The way of files to a provider: read into the question, or uploaded, several at once, with word of how far it is."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mediary.conversations.attaching.held import Held
from mediary.conversations.attaching.places import Place, framed
from mediary.conversations.attaching.ways import AttachingFlow, Ways
from mediary.errors import MissingAuthError, ProviderError, UnsupportedTypeError
from mediary.events import Log
from mediary.providers.base import Audio, Document, Image, Part, Remote, Text, Video
from mediary.tasks import all_of
from mediary.uploads.base import Account, Credentials, File

if TYPE_CHECKING:
    from mediary.uploads.delivery.uploader import Uploader
    from mediary.uploads.records.entry import Upload

AT_ONCE = 4
"""Files of one question that are on their way at the same time."""
TELL_SECONDS = 1.0
"""How often an upload says at most how far it is."""
REMEMBERED = 10_000
"""Files of which it is known that a question has brought them."""


@dataclass(slots=True)
class Plan:
    """What is to be carried: `files` by one way or another, `texts` as they are.

    `left` are the bytes that are left for others within the question.
    """

    ways: Ways
    credentials: Credentials = field(repr=False)
    left: int
    files: dict[Place, Held] = field(default_factory=dict)
    texts: dict[Place, Text] = field(default_factory=dict)

    @property
    def may_upload(self) -> bool:
        """Whether a file may have to be uploaded, which takes as long as it takes."""
        return any(map(self.ways.has_upload, self.files.values()))


@dataclass(slots=True)
class Carried:
    """Files that are with the provider, or ready to go within the question.

    `uploads` are those that the question points to, `headers` what that takes; `left` are the bytes that are left
    within the question.
    """

    left: int
    parts: dict[Place, list[Part]] = field(default_factory=dict)
    uploads: "dict[Place, Upload]" = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Seen:
    """Which files questions have brought lately: what comes again is worth an upload."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def has(self, provider: str, sha256: str) -> bool:
        """Whether a question to the provider has brought these bytes."""
        return (provider, sha256) in self._seen

    def add(self, provider: str, digests: Iterable[str]) -> None:
        """A question to the provider has brought these."""
        for sha256 in digests:
            self._seen[provider, sha256] = None
            self._seen.move_to_end((provider, sha256))
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


class Trip:
    """Files of one question on their way; what they say goes to `told`."""

    def __init__(
        self, plan: Plan, carried: Carried, uploader: "Uploader | None", seen: Seen, inline_bytes: int
    ) -> None:
        self.told: asyncio.Queue[Log | None] = asyncio.Queue()
        self._plan = plan
        self._ways = plan.ways
        self._who = plan.ways.provider
        self._carried = carried
        self._uploader = uploader
        self._seen = seen
        self._new: set[str] = set()
        self._inline_bytes = inline_bytes
        # What a request may have is mostly little more than what one file in it may have.
        most = plan.ways.inline.max_bytes
        self._room = carried.left if most is None else min(carried.left, most)
        self._free = asyncio.Semaphore(AT_ONCE)

    async def go(self, files: Mapping[Place, Held]) -> None:
        """Carry these files, side by side."""
        flow, account = self._ways.flow, None
        if self._uploader and flow and any(map(self._ways.has_upload, files.values())):
            account = await self._uploader.account(flow, self._plan.credentials)
        await all_of(self._go(place, file, flow, account) for place, file in files.items())
        self._seen.add(self._who.name, self._new)

    async def _go(self, place: Place, held: Held, flow: AttachingFlow | None, account: Account | None) -> None:
        async with self._free:
            upload = None
            if flow and account and self._ways.has_upload(held):
                upload = await self._find_or_upload(flow, account, held)
            if flow and upload:
                self._tell(f"{held.name} is with {self._who.label}" + (" already" if upload.cached else ""))
                self._carried.uploads[place] = upload
                self._carried.headers = flow.question_headers
                part: Part = Remote(held.media_type, flow.part(upload.file, self._who.wire), held.name)
            else:
                part = await _inline(held)
            self._carried.parts[place] = [part]

    async def _find_or_upload(self, flow: AttachingFlow, account: Account, held: Held) -> "Upload | None":
        """Where a file lies with the provider, from now on if not before; None if it goes within the question."""
        assert self._uploader
        file = await held.digested()
        if upload := await self._uploader.find(flow, file, account, self._ways.model):
            return upload
        self._new.add(file.sha256)
        is_new = not (flow.policy.enabled and self._seen.has(self._who.name, file.sha256))
        if held.size <= self._inline_bytes and is_new and self._takes_room(held):
            return None
        return await self._upload(self._uploader, flow, held, file)

    async def _upload(self, uploader: "Uploader", flow: AttachingFlow, held: Held, file: File) -> "Upload | None":
        """Upload a file; None where that fails, but the file can go within the question."""
        told = 0.0

        def progress(sent: int) -> None:
            nonlocal told
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                self._tell(f"uploading {held.name} to {self._who.label}: {_far(sent, held.size)}")

        progress(0)
        try:
            return await uploader.upload(flow, file, self._plan.credentials, model=self._ways.model, progress=progress)
        except MissingAuthError:
            raise
        except ProviderError as error:
            if not self._takes_room(held):
                raise
            self._tell(f"{held.name} goes within the question: {error.message}")
            return None

    def _takes_room(self, held: Held) -> bool:
        """Take room within the question, if the file may stand there and there is as much."""
        if not self._ways.has_inline(held) or held.size > self._room:
            return False
        self._room -= held.size
        self._carried.left -= held.size
        return True

    def _tell(self, message: str) -> None:
        self.told.put_nowait(Log(log=message))


async def as_text(held: Held) -> Text:
    """A file as a text that says where it comes from; its refusal, if it is no UTF-8 after all."""
    try:
        text = await asyncio.to_thread((await held.data()).decode, "utf-8-sig")
    except UnicodeDecodeError:
        raise UnsupportedTypeError(f"{held.name} cannot be put into a question: it is text, but not in UTF-8") from None
    return Text(framed(held.name, text), source=held.name)


async def _inline(held: Held) -> Part:
    """A file as a part of the question itself."""
    data = await held.data()
    match held.media_type.partition("/")[0]:
        case "image":
            return Image(held.media_type, data, held.name, held.kept)
        case "audio":
            return Audio(held.media_type, data, held.name, held.kept)
        case "video":
            return Video(held.media_type, data, held.name, held.kept)
    return Document(held.media_type, data, held.name)


def _far(sent: int, size: int) -> str:
    """`120 of 400 MB`."""
    for unit, bytes_of_it in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_of_it:
            digits = 0 if size >= 10 * bytes_of_it else 1
            return f"{sent / bytes_of_it:.{digits}f} of {size / bytes_of_it:.{digits}f} {unit}"
    return f"{sent} of {size} bytes"
