"""Anthropic's Files API: one form, and then a file is asked about by its id."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from pydantic import Field

from mediary.errors import ProviderError
from mediary.net.client import HttpClient
from mediary.providers.base import Takes
from mediary.providers.http.service import with_version
from mediary.settings import UploadSettings
from mediary.uploads.base import Account, Credentials, File, Sent, UploadedFile
from mediary.uploads.expiry import read_moment
from mediary.uploads.flow import BaseFlow, Options
from mediary.uploads.senders.multipart_form import MultipartForm
from mediary.uploads.transport import Answer

KEY_HEADER = "x-api-key"
VERSION = {"anthropic-version": "2026-10-21"}
"""The version of the API in which files need no `anthropic-beta`."""

MAX_BYTES = 500 * 1024**2
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
DOCUMENTS = ("application/pdf", "text/plain")

_LONGEST_NAME = 255
_NOT_IN_NAME = re.compile(r'[<>:"|?*\\/\x00-\x1f]')
_GONE = r"(not found|do(es)? not exist|doesn't exist|no longer available|(has|have|is|was|were|been) (expired|deleted))"
_UNKNOWN = re.compile(rf"\bfiles?(\b|_)[^.;]*\b{_GONE}", re.IGNORECASE)
_SOME_ID = re.compile(r"\bfile_(?!ids?\b)\w+")


class AnthropicFilesOptions(Options):
    """The keys of a table with this flow."""

    expires_in_seconds: int | None = Field(
        None, ge=3600, le=90 * 86400, description="When the service drops a file; default: it keeps it."
    )


class FileMetadata(Struct, omit_defaults=True):
    """What the service says of a file."""

    id: str | None = None
    type: str | None = None
    filename: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    created_at: str | None = None
    expires_at: str | None = None
    downloadable: bool | None = None


_files = msgspec.json.Decoder(FileMetadata)


class AnthropicTicket(Struct):
    """A form for the whole file, and the id of what came of it."""

    sender: MultipartForm
    file_id: str | None = None


class AnthropicFiles(BaseFlow[AnthropicFilesOptions]):
    """Files at Anthropic, and at services with the same API."""

    flow = "anthropic_files"
    names_matter = True
    options_matter = ("expires_in_seconds",)
    options_type = AnthropicFilesOptions
    ticket_type = AnthropicTicket
    question_headers: Mapping[str, str] = {}

    def __init__(self, name: str, table: UploadSettings, http: HttpClient) -> None:
        super().__init__(name, table.model_copy(update={"base_url": with_version(table.base_url, "v1")}), http)

    def takes(self, model: str | None = None) -> Takes:
        """What questions can point to: pictures, PDF and plain text."""
        return Takes((*PICTURES, *DOCUMENTS), MAX_BYTES)

    def account(self, credentials: Credentials) -> Account:
        """The key."""
        return self.by_key(credentials, KEY_HEADER)

    async def ticket(self, file: File, account: Account, model: str | None = None) -> AnthropicTicket:
        """Nothing has to be asked: the file goes in one request."""
        seconds = self.options.expires_in_seconds
        fields = [("expires_in_seconds", str(seconds))] if seconds else []
        return AnthropicTicket(
            MultipartForm("/files", fields, account, headers=_version(account), filename=_name(file.name))
        )

    async def receipt(self, file: File, account: Account, ticket: AnthropicTicket, sent: Sent) -> UploadedFile:
        """The answer to the form has all there is to know."""
        stored = self.transport.read(_files, Answer(200, sent.headers, sent.body))
        if not stored.id:
            raise ProviderError(f"{self.name}: its answer has no id of the file")
        ticket.file_id = stored.id
        self.check_size(file, stored.size_bytes)
        entry, ends_at = msgspec.to_builtins(stored), self._expires_at(stored)
        return UploadedFile.of(file, stored.id, entry=entry, expires_at=ends_at)

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """A message of the Messages API: the files before the text, as Anthropic advises."""
        parts = [self.part(file, "anthropic") for file in files]
        return {"role": "user", "content": [*parts, {"type": "text", "text": text}] if text else parts}

    def attaches(self, media_type: str, wire: str) -> bool:
        """Whether questions on that wire can point to uploaded files of that type."""
        return wire == "anthropic" and self.takes().has(media_type)

    def part(self, file: UploadedFile, wire: str) -> dict[str, Any]:
        """A block that points to the file."""
        source = {"type": "file", "file_id": file.id}
        if file.media_type in PICTURES:
            return {"type": "image", "source": source}
        return {"type": "document", "source": source, "title": file.name}

    def is_unknown(self, file: UploadedFile, words: str) -> bool:
        """Whether a file is said to be gone: this one by its id, or one that is not named."""
        return bool(_UNKNOWN.search(words)) and (set(_SOME_ID.findall(words)) or {file.id}) >= {file.id}

    async def remove(self, file: UploadedFile, account: Account) -> None:
        """Delete the file."""
        await self._delete(file.id, account)

    async def abandon(self, account: Account, ticket: AnthropicTicket) -> None:
        """Delete what came of it."""
        if ticket.file_id:
            await self._delete(ticket.file_id, account)

    def _expires_at(self, stored: FileMetadata) -> float | None:
        """When the service drops the file, in Unix seconds; what was asked for, where it does not tell."""
        seconds = self.options.expires_in_seconds
        return read_moment(stored.expires_at) or (time.time() + seconds if seconds else None)

    async def _delete(self, file_id: str, account: Account) -> None:
        path = f"/files/{quote(file_id, safe='')}"
        await self.transport.api("DELETE", path, account, headers=_version(account), expected=(404,))


def _version(account: Account) -> dict[str, str]:
    """The version of the API, unless the settings name one."""
    return {} if any(name.casefold() in VERSION for name in account.headers) else VERSION


def _name(name: str) -> str:
    """A name without what is refused in one."""
    return _NOT_IN_NAME.sub("_", name)[-_LONGEST_NAME:]
