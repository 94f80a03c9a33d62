"""`POST /backend-api/v2/files/<bucket>`: files go from the request's body to the disk as they come, in any number."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from mediary.buckets.room import BucketRoom
from mediary.errors import BadRequestError, FieldError
from mediary.server.limits import Body, check_declared_length
from mediary.server.long_answers import LongWork, Running
from mediary.server.protocol import Receive, Scope, Send

if TYPE_CHECKING:
    from mediary.buckets.intake.taken import BucketMedia, Taken
    from mediary.server.multipart import Part

LIMIT = "buckets.max_upload_bytes"
NAMELESS = "file"

File = tuple[str, AsyncIterator[bytes]]

_language = re.compile(rb"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class BucketUpload:
    """Takes the files of a form into a bucket; whatever field they are in."""

    def __init__(self, room: BucketRoom, running: Running) -> None:
        self._room = room
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send, bucket_id: str) -> None:
        """Answer one request, when all of its files are safe."""
        from mediary.server.multipart import read_parts  # imported here: an idle server does without

        most = self._room.settings.max_upload_bytes
        check_declared_length(scope, most, LIMIT)
        headers = dict(scope["headers"])
        language = wanted_language(headers)
        parts = read_parts(headers.get(b"content-type", b""), Body(receive, most, LIMIT))
        self._running.check()
        work = LongWork(self._take(bucket_id, parts, language))
        with self._running.hold(work):
            taken = await work.done()
        assert taken is not None
        body = msgspec.json.encode(describe_taken(bucket_id, taken))
        answer = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": answer})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, bucket_id: str, parts: "AsyncGenerator[Part, None]", language: str | None) -> "Taken":
        """Take one file after the other; what was taken stays when the form breaks off."""
        async with aclosing(parts), aclosing(_files(parts)) as files:
            first = await anext(files, None)
            if first is None:
                raise FieldError("files", "the form needs at least one file in this field")
            bucket = await self._room.buckets.open(bucket_id)
            try:
                async with self._room.intake.upload(bucket, language=language) as upload:
                    await upload.take(*first)
                    async for name, chunks in files:
                        await upload.take(name, chunks)
                    return await upload.finish()
            finally:
                self._room.texts.begin(bucket)


def describe_taken(bucket_id: str, taken: "Taken") -> dict[str, Any]:
    """What became of the files, as clients read it."""
    said: dict[str, Any] = {
        "bucket_id": bucket_id,
        "files": list(dict.fromkeys(document.name for document in taken.documents)),
        "media": [describe_media(media) for media in taken.media],
        "rejected": [{"name": rejected.name, "reason": rejected.reason} for rejected in taken.rejected],
    }
    return said if taken.downloads is None else said | {"downloads": taken.downloads}


def describe_media(media: "BucketMedia") -> dict[str, Any]:
    """A media file of a bucket, without what is not known of it."""
    known = {"width": media.width, "height": media.height, "text": media.text}
    return {"name": media.name, **{name: value for name, value in known.items() if value is not None}}


def wanted_language(headers: Mapping[bytes, bytes]) -> str | None:
    """The language that the client says its scans and sounds are in; BadRequestError for what is no language tag."""
    said = headers.get(b"x-recognition-language") or headers.get(b"x_recognition_language")
    if not said:
        return None
    if not _language.fullmatch(said):
        raise BadRequestError("x-recognition-language is a language tag such as `de` or `en-GB`")
    return said.decode()


async def _files(parts: "AsyncGenerator[Part, None]") -> AsyncGenerator[File, None]:
    """The files of a form. A browser sends an empty one without a name for a field that was left empty: it is none."""
    async for part in parts:
        if part.filename:
            yield part.filename, part.chunks
        elif part.filename == "" and (first := await anext(part.chunks, b"")):
            yield NAMELESS, _with_first(first, part.chunks)


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for chunk in rest:
        yield chunk
