"""Google's Gemini Files API: a resumable upload, and then the wait until the file can be asked about."""

import asyncio
import base64
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from pydantic import Field

from mediary.errors import MissingAuthError, ProviderError, ProviderTimeoutError, UploadDamagedError
from mediary.net.client import HttpClient
from mediary.providers.base import Takes
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.service import with_version
from mediary.settings import UploadSettings
from mediary.uploads.base import Account, Credentials, File, Sent, UploadedFile
from mediary.uploads.expiry import read_moment
from mediary.uploads.flow import BaseFlow, Options
from mediary.uploads.senders.resumable import Resumable
from mediary.uploads.transport import persistently

MAX_BYTES = 2 * 1024**3
PICTURES = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/heif")
KEPT_SECONDS = 48 * 3600.0
"""How long Google keeps a file, where it does not say."""
_LONGEST_PAUSE = 10.0
_SLOWER = 1.5

_name = re.compile(r"files/[a-z0-9-]{1,40}")
_unknown = re.compile(
    r"\bfile \W?([\w/-]+)\W? (?:or it may not exist|(?:was |is )?not found|does not exist|has expired)", re.IGNORECASE
)


class GeminiOptions(Options):
    """How long is waited for a file to be ready."""

    ready_seconds: float = Field(600.0, gt=0, description="How long Google may take to make a file ready.")
    poll_seconds: float = Field(0.5, gt=0, description="The first pause between two questions whether it is.")


class GeminiTicket(Struct):
    """A session to send to, and the name under which the file will be found: `files/…`."""

    sender: Resumable
    file_name: str


class _Problem(Struct):
    """Why a file could not be made ready."""

    message: str | None = None


class _GeminiFile(Struct, rename="camel"):
    """A file as Google tells of it."""

    name: str | None = None
    uri: str | None = None
    mime_type: str | None = None
    state: str | None = None
    expiration_time: str | None = None
    sha256_hash: str | None = None
    error: _Problem | None = None


class _Made(Struct):
    """The answer to the last chunk."""

    file: _GeminiFile | None = None


_made = msgspec.json.Decoder(_Made)
_files = msgspec.json.Decoder(_GeminiFile)


class GeminiFiles(BaseFlow[GeminiOptions]):
    """Files for the `gemini` wire; kept for 48 hours."""

    flow = "gemini_files"
    options_type = GeminiOptions
    ticket_type = GeminiTicket
    question_headers: Mapping[str, str] = {}

    def __init__(self, name: str, table: UploadSettings, http: HttpClient) -> None:
        super().__init__(name, table, http)
        self._api = with_version(self.transport.base_url, "v1beta")
        root, _, version = self._api.rpartition("/")
        self._upload_api = f"{root}/upload/{version}"

    def takes(self, model: str | None = None) -> Takes:
        """What Gemini can be asked about, up to 2 GiB."""
        return Takes((*PICTURES, "audio/*", "video/*", "application/pdf", "text/*"), MAX_BYTES)

    def account(self, credentials: Credentials) -> Account:
        """The key, as Google wants it."""
        return self.make_account({"x-goog-api-key": self.key_of(credentials)})

    async def ticket(self, file: File, account: Account, model: str | None = None) -> GeminiTicket:
        """Begin a session. The file is named here, so that it is found also where the last answer is lost."""
        name = f"files/{uuid.uuid4().hex}"
        said = {"name": name, "display_name": file.name[:512], "mime_type": file.media_type, "size_bytes": file.size}
        headers = {
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(file.size),
            "X-Goog-Upload-Header-Content-Type": file.media_type,
        }
        answer = await self.transport.api(
            "POST", f"{self._upload_api}/files", account, json={"file": said}, headers=headers
        )
        url = answer.headers.get("X-Goog-Upload-URL")
        if not url:
            raise ProviderError(f"{self.name}: does not say where to send the file")
        return GeminiTicket(Resumable(url, "gemini"), name)

    async def receipt(self, file: File, account: Account, ticket: GeminiTicket, sent: Sent) -> UploadedFile:
        """Wait until the file is ready, and see that it is the one that was sent."""
        made = _read_made(sent)
        name = made.name if made.name and _name.fullmatch(made.name) else ticket.file_name
        made = await self._until_ready(file, account, name, made)
        if (stored := _sha256_of(made)) and stored != file.sha256:
            raise UploadDamagedError(f"{self.name}: has other bytes than those that were sent")
        if not made.uri:
            raise ProviderError(f"{self.name}: does not say how to point to the file")
        media_type = made.mime_type or file.media_type
        entry = {"fileData": {"mimeType": media_type, "fileUri": made.uri}}
        ends_at = read_moment(made.expiration_time) or time.time() + KEPT_SECONDS
        return UploadedFile.of(replace(file, media_type=media_type), name, entry=entry, expires_at=ends_at)

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """The `content` of a user with the files and the text."""
        parts = [file.entry for file in files]
        return {"role": "user", "parts": [*parts, {"text": text}] if text else parts}

    def attaches(self, media_type: str, wire: str) -> bool:
        """Whether questions on that wire can point to uploaded files of that type."""
        return wire == "gemini" and self.takes().has(media_type)

    def part(self, file: UploadedFile, wire: str) -> dict[str, Any]:
        """A `fileData` part."""
        return file.entry

    def is_unknown(self, file: UploadedFile, words: str) -> bool:
        """Google says of such a file: you do not have permission to access the File … or it may not exist."""
        return _names(file.id, words)

    async def remove(self, file: UploadedFile, account: Account) -> None:
        """Delete it there."""
        await self._delete(file.id, account)

    async def abandon(self, account: Account, ticket: GeminiTicket) -> None:
        """Delete what has become of the session: the sender cancels those that are not whole."""
        await self._delete(ticket.file_name, account)

    async def _until_ready(self, file: File, account: Account, name: str, made: _GeminiFile) -> _GeminiFile:
        """The file when it is ACTIVE. ProviderError with Google's words if it cannot be."""
        pause, deadline = self.options.poll_seconds, time.monotonic() + self.options.ready_seconds
        while made.state != "ACTIVE":
            if made.state == "FAILED":
                why = self.transport.discreet(made.error.message or "", account) if made.error else ""
                raise ProviderError(f"{self.name}: cannot make anything of {file.name}{why and ': '}{why}")
            if made.state is not None:
                if time.monotonic() + pause > deadline:
                    raise ProviderTimeoutError(
                        f"{self.name}: {file.name} is not ready after {self.options.ready_seconds:g} s"
                    )
                await asyncio.sleep(pause)
                pause = min(pause * _SLOWER, _LONGEST_PAUSE)
            answer = await persistently(partial(self.transport.api, "GET", f"{self._api}/{name}", account))
            made = self.transport.read(_files, answer)
            made.state = made.state or "STATE_UNSPECIFIED"
        return made

    async def _delete(self, name: str, account: Account) -> None:
        """Delete a file; one that is not there is refused like one of somebody else's."""
        try:
            await self.transport.api("DELETE", f"{self._api}/{name}", account, expected={404})
        except MissingAuthError as error:
            if not _names(name, error.message):
                raise


def _names(name: str, words: str) -> bool:
    """Whether the words say that this file may not exist."""
    return name.removeprefix("files/") in {found.rpartition("/")[2] for found in _unknown.findall(words)}


def _read_made(sent: Sent) -> _GeminiFile:
    """The file in the answer to the last chunk; nothing is known of it where that answer says nothing."""
    try:
        return decode(_made, sent.body).file or _GeminiFile()
    except UnreadableError:
        return _GeminiFile()


def _sha256_of(made: _GeminiFile) -> str | None:
    """The SHA-256 in hex. Google writes the base64 of the hex digits where its reference says base64 of the bytes."""
    try:
        digest = base64.b64decode(made.sha256_hash or "", validate=True)
    except ValueError:
        return None
    match len(digest):
        case 32:
            return digest.hex()
        case 64:
            return digest.decode("latin-1").lower()
        case _:
            return None
