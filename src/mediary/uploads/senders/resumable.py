"""Chunks to an upload session that knows how much has arrived: Google's two forms of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from mediary.errors import ProviderError, UploadDamagedError, UploadRefusedError
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.uploads.base import File, Progress, Sent
from mediary.uploads.senders.presigned_put import unsigned
from mediary.uploads.transport import Answer, Slice, Transport, persistently

CHUNK = 8 * 1024 * 1024
"""Bytes of a chunk; Google wants multiples of 256 KiB."""

_MAX_IDLE = 2
# Refusals that may mean no more than that the storage has got further than we know.
_ELSEWHERE = {400, 409, 412, 416}
_GONE = {404, 410}
# How Google Cloud Storage says that there is more to come, and that a session has ended.
_INCOMPLETE = frozenset({308})
_CANCELLED = frozenset({499})


class Resumable(Struct):
    """Sends to the `url` of a session, chunk after chunk, and goes on from where the storage says that it is.

    `form` is how the session is spoken to: `gemini` with X-Goog-Upload headers, `gcs` as Google Cloud Storage with
    Content-Range and 308. Nothing but `url` and `form` has to survive for another process to go on.
    """

    url: str
    form: Literal["gemini", "gcs"]
    chunk: int = CHUNK
    offset: int = 0
    """What has arrived, in bytes, as far as we know."""
    unsure: bool = False
    """Whether a chunk was sent whose answer did not come."""

    async def send(self, transport: Transport, file: File, progress: Progress) -> Sent:
        """Send what is missing. UploadRefusedError; UploadDamagedError if other bytes were stored."""
        idle = 0
        while True:
            before = self.offset
            if answer := await persistently(partial(self._advance, transport, file, progress)):
                _check_md5(transport.name, file, answer)
                progress(file.size)
                return answer.sent
            idle = idle + 1 if self.offset <= before else 0
            if idle > _MAX_IDLE:
                raise ProviderError(f"{transport.name}: the storage stays at byte {self.offset} of {file.size}")

    def is_worth_keeping(self) -> bool:
        """Whether something has arrived, or may have."""
        return self.offset > 0 or self.unsure

    async def abort(self, transport: Transport) -> None:
        """End the session and drop what has arrived."""
        request = self._form.cancel()
        try:
            await transport.store(request.method, self.url, headers=request.headers, expected=request.expected)
        except UploadRefusedError as error:
            if error.answered not in _GONE:
                raise

    def __repr__(self) -> str:
        """Without what lets others go on with the session."""
        return f"Resumable({unsigned(self.url)!r}, {self.form!r}, at {self.offset})"

    async def _advance(self, transport: Transport, file: File, progress: Progress) -> Answer | None:
        """Send the next chunk; the last answer if with it the file is whole."""
        if self.unsure and (answer := await self._find_out(transport, file)):
            return answer
        before, self.unsure = self.offset, True
        try:
            return await self._send_chunk(transport, file, progress)
        except UploadRefusedError as error:
            if error.answered not in _ELSEWHERE:
                raise
            answer = await self._find_out(transport, file)
            if answer is None and self.offset == before:
                raise error from None
            return answer

    async def _send_chunk(self, transport: Transport, file: File, progress: Progress) -> Answer | None:
        start, end = self.offset, min(self.offset + self.chunk, file.size)
        body = Slice(file.content, start, end, progress) if end > start else None
        return await self._ask(transport, file, self._form.chunk(start, end, file.size), body, end)

    async def _find_out(self, transport: Transport, file: File) -> Answer | None:
        """Ask how much has arrived; the answer if it is all."""
        return await self._ask(transport, file, self._form.question(file.size))

    async def _ask(
        self, transport: Transport, file: File, request: "Request", body: Slice | None = None, end: int | None = None
    ) -> Answer | None:
        """Note how much has arrived: `end` where the storage does not say otherwise. The answer if it is all."""
        answer = await transport.store(
            request.method, self.url, body=body, headers=request.headers, expected=request.expected
        )
        received = self._form.received(answer, end)
        if received == "all":
            self.offset, self.unsure = file.size, False
            return answer
        if received is None or received > file.size:
            raise ProviderError(f"{transport.name}: the storage does not say how much has arrived")
        self.offset, self.unsure = received, False
        return None

    @property
    def _form(self) -> "_Form":
        return _FORMS[self.form]


@dataclass(slots=True, frozen=True)
class Request:
    """What a session is asked; `expected` are the statuses besides 2xx that are good answers."""

    method: str
    headers: Mapping[str, str]
    expected: frozenset[int] = frozenset()


class _Form(Protocol):
    """How one of Google's services writes it."""

    def chunk(self, start: int, end: int, size: int) -> Request:
        """Bytes from `start` up to `end` of `size`."""
        ...

    def question(self, size: int) -> Request:
        """How much has arrived?"""
        ...

    def cancel(self) -> Request:
        """No more."""
        ...

    def received(self, answer: Answer, end: int | None) -> int | Literal["all"] | None:
        """How much has arrived; `end` if a chunk was taken without a word about it; None if nobody can tell."""
        ...


class _Gemini:
    """Commands in `X-Goog-Upload-*` headers."""

    def chunk(self, start: int, end: int, size: int) -> Request:
        command = "upload, finalize" if end == size else "upload"
        return Request("POST", {"X-Goog-Upload-Command": command, "X-Goog-Upload-Offset": str(start)})

    def question(self, size: int) -> Request:
        return Request("POST", {"X-Goog-Upload-Command": "query"})

    def cancel(self) -> Request:
        return Request("POST", {"X-Goog-Upload-Command": "cancel"})

    def received(self, answer: Answer, end: int | None) -> int | Literal["all"] | None:
        match answer.headers.get("X-Goog-Upload-Status"):
            case "final":
                return "all"
            case "active":
                said = answer.headers.get("X-Goog-Upload-Size-Received", "")
                return int(said) if said.isdecimal() else end
            case _:
                return None


class _Gcs:
    """`Content-Range`, and 308 for what is not whole yet."""

    def chunk(self, start: int, end: int, size: int) -> Request:
        place = f"{start}-{end - 1}" if end > start else "*"
        return Request("PUT", {"Content-Range": f"bytes {place}/{size}"}, _INCOMPLETE)

    def question(self, size: int) -> Request:
        return Request("PUT", {"Content-Range": f"bytes */{size}"}, _INCOMPLETE)

    def cancel(self) -> Request:
        return Request("DELETE", {}, _CANCELLED)

    def received(self, answer: Answer, end: int | None) -> int | Literal["all"] | None:
        if answer.status != 308:
            return "all"
        said = answer.headers.get("Range")
        if said is None:
            return 0
        found = re.fullmatch(r"bytes=0-(\d{1,19})", said.strip())
        return int(found[1]) + 1 if found else None


_FORMS: Mapping[str, _Form] = {"gemini": _Gemini(), "gcs": _Gcs()}


class _Stored(Struct):
    """What Google Cloud Storage says of an object."""

    md5Hash: str | None = None  # noqa: N815 - its name


_stored = msgspec.json.Decoder(_Stored)


def _check_md5(name: str, file: File, answer: Answer) -> None:
    """UploadDamagedError if the storage tells the MD5 of what it stored, and it is another."""
    hashes = [value for header, value in answer.headers.items() if header.lower() == "x-goog-hash"]
    told = re.search(r"\bmd5=([\w+/=]+)", ",".join(hashes))
    try:
        md5 = told[1] if told else decode(_stored, answer.body).md5Hash
    except UnreadableError:
        return
    if md5 and md5 != file.content_md5:
        raise UploadDamagedError(f"{name}: the storage has other bytes than those that were sent")
