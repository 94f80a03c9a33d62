"""OpenAI Files, and Uploads in parts for large ones: a file is asked about by its id."""

import re
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct
from pydantic import Field

from mediary.errors import ProviderError, UploadDamagedError, UploadRefusedError
from mediary.providers.base import Takes
from mediary.uploads.base import Account, Credentials, File, Sent, UploadedFile
from mediary.uploads.flow import BaseFlow, Options
from mediary.uploads.senders.multipart_form import MultipartForm
from mediary.uploads.senders.openai_parts import PART, OpenAIParts
from mediary.uploads.transport import Answer, persistently

_MAX_FILE = 512 * 1024**2
_MAX_UPLOAD = 8 * 1024**3
_COMPLETING_SECONDS = 600.0
"""How long the service may take to put the parts together."""

_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_DOCUMENTS = (
    "application/pdf",
    "text/*",
    "application/json",
    "application/xml",
    "application/javascript",
    "application/rtf",
    "application/msword",
    "application/vnd.ms-*",
    "application/vnd.openxmlformats-officedocument.*",
    "application/vnd.oasis.opendocument.text",
)
# What questions on each wire can point to by a file's id.
_POINTED_TO = {"openai": ("application/pdf",), "openai_responses": (*_PICTURES, *_DOCUMENTS)}

_GONE = r"(not found|do(es)? not exist|doesn't exist|(has|have|is|are|was|were|been) (expired|deleted))"
_UNKNOWN = re.compile(
    rf"no such files?\b|\bfiles?\b(?! (search|type|format|extension))[^.;]*\b{_GONE}|"
    r"(could not|cannot|can't|couldn't|unable to) find (the )?files?\b|invalid file[ _]id",
    re.IGNORECASE,
)
_DAMAGED = re.compile(r"md5|checksum", re.IGNORECASE)
_OVER = re.compile(r"\b(is|was|been|already) (completed?|cancel?led|expired)\b", re.IGNORECASE)
_SOME_ID = re.compile(r"(?<![\w-])file-\w+")


class OpenAIFilesOptions(Options):
    """The keys of a table with this flow."""

    purpose: Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"] | None = Field(
        None, description="What the files are for; default: `vision` for pictures, else `user_data`."
    )
    expires_after_seconds: int | None = Field(
        None, ge=3600, le=30 * 86400, description="When the service drops a file; default: it keeps it."
    )
    single_bytes: int = Field(
        PART, ge=0, le=_MAX_FILE, description="Files up to this size are sent in one request, larger ones in parts."
    )
    part_bytes: int = Field(PART, ge=65536, le=PART, description="Size of a part.")
    max_bytes: int = Field(_MAX_UPLOAD, ge=1, le=_MAX_UPLOAD, description="Largest file that the service takes.")


class FileObject(Struct, omit_defaults=True):
    """What the service says of a file."""

    id: str | None = None
    object: str = "file"
    bytes: int | None = None
    created_at: int | float | None = None
    filename: str | None = None
    purpose: str | None = None
    status: str | None = None
    status_details: str | None = None
    expires_at: int | float | None = None


class Upload(Struct):
    """What the service says of an upload in parts; `file` is there once it is complete."""

    id: str | None = None
    created_at: float | None = None
    expires_at: float | None = None
    file: FileObject | None = None

    @property
    def ends_at(self) -> float | None:
        """When it is dropped, by our clock; that of the service may be another."""
        if self.expires_at is None or self.created_at is None:
            return None
        return time.time() + self.expires_at - self.created_at


_files = msgspec.json.Decoder(FileObject)
_uploads = msgspec.json.Decoder(Upload)


class OpenAITicket(Struct):
    """A form for the whole file, or an upload that takes it in parts; `file_id` is what came of it."""

    sender: MultipartForm | OpenAIParts
    file_id: str | None = None


class OpenAIFiles(BaseFlow[OpenAIFilesOptions]):
    """Files at OpenAI, and at services with the same API."""

    flow = "openai_files"
    names_matter = True
    options_matter = ("purpose", "expires_after_seconds")
    options_type = OpenAIFilesOptions
    ticket_type = OpenAITicket
    question_headers: Mapping[str, str] = {}

    def takes(self, model: str | None = None) -> Takes:
        """Whatever there is; pictures where the purpose is to see them."""
        return Takes(_PICTURES if self.options.purpose == "vision" else ("*",), self.options.max_bytes)

    def account(self, credentials: Credentials) -> Account:
        """The key."""
        return self.bearer(credentials)

    async def ticket(self, file: File, account: Account, model: str | None = None) -> OpenAITicket:
        """For a file that goes in one request nothing has to be asked."""
        purpose: str = self.options.purpose or ("vision" if file.media_type in _PICTURES else "user_data")
        seconds = self.options.expires_after_seconds
        expiry: dict[str, Any] = {"anchor": "created_at", "seconds": seconds} if seconds else {}
        if file.size <= self.options.single_bytes:
            fields = [("purpose", purpose), *((f"expires_after[{key}]", str(value)) for key, value in expiry.items())]
            return OpenAITicket(MultipartForm("/files", fields, account))
        asked = {
            "bytes": file.size,
            "filename": file.name,
            "mime_type": file.media_type,
            "purpose": purpose,
            **({"expires_after": expiry} if expiry else {}),
        }
        upload = self.transport.read(_uploads, await self.transport.api("POST", "/uploads", account, json=asked))
        if not upload.id:
            raise ProviderError(f"{self.name}: its answer has no id of an upload")
        return OpenAITicket(OpenAIParts(upload.id, account, self.options.part_bytes, upload.ends_at))

    async def receipt(self, file: File, account: Account, ticket: OpenAITicket, sent: Sent) -> UploadedFile:
        """Put the parts together, where there are some, and see what has become of the file."""
        if isinstance(ticket.sender, OpenAIParts):
            stored = await self._complete(file, account, ticket.sender)
        else:
            stored = self.transport.read(_files, Answer(200, sent.headers, sent.body))
        if not stored.id:
            raise ProviderError(f"{self.name}: its answer has no id of the file")
        ticket.file_id = stored.id
        if stored.status == "error":
            why = self.transport.discreet(stored.status_details or "it does not say why", account)
            raise ProviderError(f"{self.name}: cannot use {file.name}: {why}")
        self.check_size(file, stored.bytes)
        return UploadedFile.of(file, stored.id, entry=msgspec.to_builtins(stored), expires_at=stored.expires_at)

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """A message for the Responses API, which can point to pictures as well as to documents."""
        parts = [self.part(file, "openai_responses") for file in files]
        return {"role": "user", "content": [*parts, {"type": "input_text", "text": text}] if text else parts}

    def attaches(self, media_type: str, wire: str) -> bool:
        """Chat completions take documents by id that are PDF, the Responses API pictures and most documents."""
        return any(fnmatchcase(media_type, pattern) for pattern in _POINTED_TO.get(wire, ()))

    def part(self, file: UploadedFile, wire: str) -> dict[str, Any]:
        """The part of a message of either API."""
        if wire == "openai":
            return {"type": "file", "file": {"file_id": file.id}}
        if file.media_type in _PICTURES:
            return {"type": "input_image", "file_id": file.id, "detail": "auto"}
        return {"type": "input_file", "file_id": file.id}

    def is_unknown(self, file: UploadedFile, words: str) -> bool:
        """Whether a file is said to be gone: this one by its id, or one that is not named."""
        if not _UNKNOWN.search(words):
            return False
        named = re.search(rf"(?<![\w-]){re.escape(file.id)}(?![\w-])", words)
        return bool(named) or not _SOME_ID.search(words)

    async def remove(self, file: UploadedFile, account: Account) -> None:
        """Delete the file."""
        await self._delete(file.id, account)

    async def abandon(self, account: Account, ticket: OpenAITicket) -> None:
        """Delete what came of it, or cancel an upload in parts."""
        if ticket.file_id:
            await self._delete(ticket.file_id, account)
        elif isinstance(ticket.sender, OpenAIParts) and not ticket.sender.is_over:
            await self.transport.api("POST", f"{ticket.sender.path}/cancel", account, expected=(404,))

    async def _complete(self, file: File, account: Account, parts: OpenAIParts) -> FileObject:
        """The file that the parts become; the service compares the MD5."""
        asked = {"part_ids": parts.part_ids, "md5": file.md5}
        path = f"{parts.path}/complete"
        complete = partial(self.transport.api, "POST", path, account, json=asked, seconds=_COMPLETING_SECONDS)
        try:
            answer = await persistently(complete)
        except ProviderError as error:
            if _DAMAGED.search(error.message):
                raise UploadDamagedError(error.message) from None
            if _OVER.search(error.message):
                # Where the first answer was lost, the file is there, and nobody can tell its id.
                raise UploadRefusedError(error.message, 410) from None
            raise
        upload = self.transport.read(_uploads, answer)
        if upload.file is None:
            raise ProviderError(f"{self.name}: took the parts, and made no file of them")
        return upload.file

    async def _delete(self, file_id: str, account: Account) -> None:
        await self.transport.api("DELETE", f"/files/{quote(file_id, safe='')}", account, expected=(404,))
