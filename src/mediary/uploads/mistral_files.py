"""Mistral Files: a file is asked about by a signed link to it, which lives for some hours."""

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

from mediary.errors import ProviderError
from mediary.providers.base import Takes
from mediary.uploads.base import Account, Credentials, File, Sent, UploadedFile
from mediary.uploads.expiry import expires_at
from mediary.uploads.flow import BaseFlow, Options
from mediary.uploads.senders.multipart_form import MultipartForm
from mediary.uploads.transport import Answer, persistently

MAX_BYTES = 512 * 1024**2

_TYPES = (
    "image/*",
    "audio/*",
    "application/pdf",
    "text/*",
    "application/json",
    "application/xml",
    "application/rtf",
    "application/epub+zip",
    "application/vnd.openxmlformats-officedocument.*",
    "application/vnd.oasis.opendocument.text",
)
_UNKNOWN = re.compile(
    r"\b(not be|can't be|couldn't be|failed to|unable to|could not|couldn't|cannot|can't)"
    r" (fetch|load(?!ed as)|download|access|retriev|open)"
    r"|no such file|\bfiles?\b[^.;]*\bnot found|\b(url|link|file)\b[^.;]*\bexpired",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s'\"<>)\]}]+")


class MistralFilesOptions(Options):
    """The keys of a table with this flow."""

    purpose: str | None = Field(
        None, min_length=1, description="What the files are for; default: `audio` for sounds, else `ocr`."
    )
    visibility: Literal["workspace", "user"] = Field("workspace", description="Who else sees them at Mistral.")
    link_hours: int = Field(24, ge=1, le=168, description="How long the link to a file is good.")


class FileObject(Struct):
    """What the service says of a file."""

    id: str | None = None
    bytes: int | None = None
    expires_at: float | None = None


class SignedLink(Struct):
    """Where a file can be read."""

    url: str | None = None


_files = msgspec.json.Decoder(FileObject)
_links = msgspec.json.Decoder(SignedLink)


class MistralTicket(Struct):
    """A form for the file; `file_id` is what came of it."""

    sender: MultipartForm
    file_id: str | None = None


class MistralFiles(BaseFlow[MistralFilesOptions]):
    """Files at Mistral, for its chat completions."""

    flow = "mistral_files"
    names_matter = True
    options_matter = ("purpose", "visibility", "link_hours")
    options_type = MistralFilesOptions
    ticket_type = MistralTicket
    question_headers: Mapping[str, str] = {}

    def takes(self, model: str | None = None) -> Takes:
        """Pictures, sounds and documents."""
        return Takes(_TYPES, MAX_BYTES)

    def account(self, credentials: Credentials) -> Account:
        """The key."""
        return self.bearer(credentials)

    async def ticket(self, file: File, account: Account, model: str | None = None) -> MistralTicket:
        """Nothing has to be asked."""
        purpose = self.options.purpose or ("audio" if file.media_type.startswith("audio/") else "ocr")
        fields = [("visibility", self.options.visibility), ("purpose", purpose)]
        return MistralTicket(MultipartForm("/files", fields, account))

    async def receipt(self, file: File, account: Account, ticket: MistralTicket, sent: Sent) -> UploadedFile:
        """Ask for the link under which the models find it."""
        stored = self.transport.read(_files, Answer(200, sent.headers, sent.body))
        if not stored.id:
            raise ProviderError(f"{self.name}: its answer has no id of the file")
        ticket.file_id = stored.id
        self.check_size(file, stored.bytes)
        hours = self.options.link_hours
        asked_at = time.time()
        path = f"{_path(stored.id)}/url?expiry={hours}"
        answer = await persistently(partial(self.transport.api, "GET", path, account))
        url = self.transport.read(_links, answer).url
        if not url:
            raise ProviderError(f"{self.name}: its answer has no link to the file")
        ends_at = expires_at(url) or asked_at + hours * 3600
        ends_at = min(ends_at, stored.expires_at or ends_at)
        return UploadedFile.of(file, stored.id, entry=_entry(file, url), url=url, expires_at=ends_at)

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """A message for chat completions."""
        parts = [file.entry for file in files]
        return {"role": "user", "content": [*parts, {"type": "text", "text": text}] if text else parts}

    def attaches(self, media_type: str, wire: str) -> bool:
        """Chat completions take links to all that is taken."""
        return wire == "openai" and any(fnmatchcase(media_type, pattern) for pattern in _TYPES)

    def part(self, file: UploadedFile, wire: str) -> dict[str, Any]:
        """The part of a message."""
        return file.entry

    def is_unknown(self, file: UploadedFile, words: str) -> bool:
        """Whether a link is said to lead nowhere: that of this file, or one that is not named."""
        if not _UNKNOWN.search(words):
            return False
        named = [url.partition("?")[0] for url in _URL.findall(words)]
        return not named or (file.url or "").partition("?")[0] in named

    async def remove(self, file: UploadedFile, account: Account) -> None:
        """Delete the file."""
        await self.transport.api("DELETE", _path(file.id), account, expected=(404,))

    async def abandon(self, account: Account, ticket: MistralTicket) -> None:
        """Delete what came of it."""
        if ticket.file_id:
            await self.transport.api("DELETE", _path(ticket.file_id), account, expected=(404,))


def _path(file_id: str) -> str:
    return f"/files/{quote(file_id, safe='')}"


def _entry(file: File, url: str) -> dict[str, Any]:
    """The part of a message that points to the file."""
    match file.media_type.partition("/")[0]:
        case "image":
            return {"type": "image_url", "image_url": url}
        case "audio":
            return {"type": "input_audio", "input_audio": url}
        case _:
            return {"type": "document_url", "document_url": url, "document_name": file.name}
