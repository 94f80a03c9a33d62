"""Takes what is uploaded into a bucket: each file by what its bytes are, all of it durable before the answer."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from mediary.buckets.bucket import Bucket, Buckets
from mediary.buckets.crawl.plan import MAX_BYTES, parse_downloads
from mediary.buckets.intake.commit import (
    Accepted,
    Brought,
    Kept,
    commit_documents,
    commit_downloads,
    commit_media,
    sync_all,
)
from mediary.buckets.intake.staging import Arrived, Staging, arrived_files, once
from mediary.buckets.intake.taken import BucketMedia, Rejected, Taken
from mediary.buckets.intake.unpack import Member, Unpacker
from mediary.buckets.media import MediaKeeper, Transcribe, Words
from mediary.buckets.naming import DOWNLOADS, TEXT
from mediary.errors import BadRequestError, FieldError, MediaryError, TooLargeError, UnsupportedTypeError
from mediary.extractors.base import Extracts, Recognised
from mediary.settings import BucketSettings
from mediary.storage.files import in_thread

_LONGEST_NAME = 1024
_BATCH = 64

REFUSALS = (BadRequestError, FieldError, TooLargeError, UnsupportedTypeError)
"""What is wrong with a file, and not with the upload."""


@dataclass(slots=True, frozen=True)
class _Tools:
    """What takes part in an upload."""

    extractors: Extracts
    unpacker: Unpacker
    media: MediaKeeper
    words: Words
    settings: BucketSettings


class Intake:
    """Takes files into buckets. `media` looks at pictures, sounds and videos, `transcribe` turns speech into text."""

    def __init__(
        self,
        buckets: Buckets,
        extractors: Extracts,
        unpacker: Unpacker,
        media: MediaKeeper,
        settings: BucketSettings,
        transcribe: Transcribe | None = None,
    ) -> None:
        self.buckets = buckets
        words = Words(extractors if settings.ocr else None, transcribe)
        self._tools = _Tools(extractors, unpacker, media, words, settings)

    @asynccontextmanager
    async def upload(self, bucket: Bucket, *, language: str | None = None) -> AsyncIterator["Upload"]:
        """An upload of several files; `language` (BCP 47) is what they are said to be in.

        What was taken when it ends before its time stays: to send it again costs nothing.
        """
        upload = Upload(bucket, self._tools, language)
        try:
            await upload.begin()
            yield upload
        finally:
            await upload.close()

    async def take(
        self,
        bucket: Bucket,
        name: str,
        chunks: AsyncIterable[bytes],
        *,
        language: str | None = None,
        url: str | None = None,
    ) -> Taken:
        """Take one file, which came from `url` if a crawler brings it."""
        async with self.upload(bucket, language=language) as upload:
            await upload.take(name, chunks, url=url)
            return await upload.finish()


class Upload:
    """Files that come into a bucket one after the other; the words in media are looked for beside that."""

    def __init__(self, bucket: Bucket, tools: _Tools, language: str | None) -> None:
        self._bucket = bucket
        self._tools = tools
        self._language = language
        self._staging = Staging(bucket.hidden)
        self._taken = Taken()
        self._looking: list[asyncio.Task[BucketMedia]] = []

    async def begin(self) -> None:
        """Make the place where files lie until they have a name."""
        await self._staging.prepare()

    async def take(self, name: str, chunks: AsyncIterable[bytes], *, url: str | None = None) -> None:
        """Take a file, or note why not; its stream is read to its end in any case.

        NoSpaceError or StoreError if the disk fails, ConflictError if the bucket is deleted meanwhile, and what reading
        the stream raises.
        """
        original = name.encode(errors="replace").decode()[:_LONGEST_NAME]
        most = self._tools.settings.max_file_bytes
        with self._staging.required():
            async with self._staging.receive(chunks, most) as arrived:
                try:
                    if arrived is None:
                        raise TooLargeError(f"it has more than {most:,} bytes")
                    if original == DOWNLOADS:
                        await self._take_downloads(arrived)
                    else:
                        await self._sort(original, arrived, url)
                except REFUSALS as error:
                    self._reject(original, error)

    async def finish(self) -> Taken:
        """What became of the files, when that is known of all."""
        with self._staging.required():
            while self._looking:
                self._taken.media.append(await self._looking[0])
                del self._looking[0]
        return self._taken

    async def close(self) -> None:
        """End what nobody waits for any more."""
        for task in self._looking:
            task.cancel()
        try:
            await asyncio.gather(*self._looking, return_exceptions=True)
        finally:
            self._staging.close()

    async def _sort(self, original: str, arrived: Arrived, url: str | None) -> None:
        found = await self._recognise(original, arrived)
        if found.sort == "archive":
            await self._unpack(original, arrived, found.media_type, url)
        else:
            await self._keep([_File(arrived, original, found)], url)

    async def _recognise(self, original: str, arrived: Arrived) -> Recognised:
        recognise = self._tools.extractors.recognise
        return await recognise(arrived.path, arrived.head, original, is_utf8=arrived.is_utf8)

    async def _unpack(self, original: str, arrived: Arrived, media_type: str, url: str | None) -> None:
        """Take the members of an archive; if it holds more than it may, none of them."""
        async with self._staging.folder(arrived) as folder:
            members = await self._tools.unpacker.unpack(arrived.path, original, media_type, folder)
            self._taken.rejected += [Rejected(member.original, member.refused) for member in members if member.refused]
            whole = [member for member in members if not member.refused]
            files: list[_File] = []
            for at in range(0, len(whole), _BATCH):
                files += await self._look_at(whole[at : at + _BATCH])
            await self._keep(files, url)

    async def _look_at(self, members: Sequence[Member]) -> list["_File"]:
        """What the members of an archive are; those that are nothing that is taken are rejected."""
        files = []
        looked = await in_thread(partial(arrived_files, [member.path for member in members]))
        for member, file in zip(members, looked, strict=True):
            try:
                found = await self._recognise(member.original, file)
            except REFUSALS as error:
                self._reject(member.original, error)
            else:
                # Thousands of members would have hundreds of megabytes of first bytes.
                files.append(_File(replace(file, head=b""), member.original, found))
        return files

    async def _keep(self, files: Sequence["_File"], url: str | None) -> None:
        """Make files durable, then give them their names."""
        await in_thread(partial(sync_all, [file.arrived for file in files]))
        await self._keep_documents(
            [
                Accepted(file.arrived, file.original, file.found, self._language, url)
                for file in files
                if file.found.format is None
            ]
        )
        await self._keep_media(
            [Brought(file.arrived, file.original, file.found.format) for file in files if file.found.format]
        )

    async def _keep_documents(self, accepted: Sequence[Accepted]) -> None:
        if accepted:
            async with self._bucket.turn:
                self._taken.documents += await in_thread(partial(commit_documents, self._bucket, accepted))

    async def _keep_media(self, brought: Sequence[Brought]) -> None:
        if brought:
            async with self._bucket.turn:
                kept = await in_thread(partial(commit_media, self._bucket, brought))
            self._looking += [asyncio.create_task(self._look(one)) for one in kept]

    async def _look(self, kept: Kept) -> BucketMedia:
        """What can be seen, read and heard in a media file."""
        bucket = self._bucket
        size = await self._tools.media.keep(bucket.media_dir, bucket.thumbnail_dir, kept.name)
        width, height = size or (None, None)
        return BucketMedia(kept.name, width, height, await self._words(kept))

    async def _words(self, kept: Kept) -> str | None:
        """The words in a media file, which are a document of their own."""
        if not kept.is_new and (document := await self._bucket.index.find(kept.name + TEXT)):
            path = self._bucket.text_path(document)
            return await in_thread(partial(path.read_text, encoding="utf-8", errors="replace"))
        text = await self._tools.words.find(self._bucket.media_dir / kept.name, kept.format, self._language)
        if text:
            async with self._staging.receive(once(text.encode()), len(text.encode())) as arrived:
                assert arrived
                await in_thread(arrived.sync)
                words = Recognised("text", "text/plain")
                await self._keep_documents([Accepted(arrived, kept.name, words, self._language)])
        return text

    async def _take_downloads(self, arrived: Arrived) -> None:
        """Set what is to be fetched into the bucket."""
        if arrived.size > MAX_BYTES:
            raise TooLargeError(f"a {DOWNLOADS} has at most {MAX_BYTES:,} bytes")
        entries = parse_downloads(await in_thread(arrived.path.read_bytes))
        async with self._bucket.turn:
            await in_thread(partial(commit_downloads, self._bucket, arrived))
        self._taken.downloads = sum(len(entry.starts) for entry in entries)

    def _reject(self, name: str, error: MediaryError) -> None:
        self._taken.rejected.append(Rejected(name, error.message))


@dataclass(slots=True, frozen=True)
class _File:
    """A file that has arrived, and what it is."""

    arrived: Arrived
    original: str
    found: Recognised
