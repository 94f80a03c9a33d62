"""OpenAI's web app: a ticket, the bytes to Azure Blob Storage, a receipt."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast
from urllib.parse import quote

import msgspec
from msgspec import Struct
from pydantic import Field
from yarl import URL

from mediary.errors import ProviderError
from mediary.net.client import HttpClient
from mediary.providers.base import Takes
from mediary.providers.http.refusals import Words, error_for
from mediary.settings import UploadSettings
from mediary.uploads.base import Account, Credentials, File, Sent, UploadedFile
from mediary.uploads.flow import BaseFlow, OpenOptions, cookie_header
from mediary.uploads.senders.azure_blob import BLOCK_BYTES, SINGLE_BYTES, AzureBlob
from mediary.uploads.transport import Answer, persistently

AttachmentKey = Literal["id", "mimeType", "name", "size", "width", "height"]

_DONE = 100.0
_TROUBLE = ("failed", "error")


class WebOptions(OpenOptions):
    """What can be set in the table of an `openai_web` flow."""

    settle_seconds: float = Field(1.0, ge=0, description="The pause between the ticket and the bytes.")
    origin: str | None = Field(
        None,
        pattern=r"^https?://[\w.:-]+$",
        description="The site's own origin, as `Origin` tells it to the storage; default: that of `base_url`.",
    )
    scheme: str | None = Field(
        None, description="How pictures are pointed to; default: `sediment` for ids like `file_…`, else `file-service`."
    )
    attachment_keys: dict[AttachmentKey, str] = Field(
        {}, description='Other names for keys of an attachment, such as `{ mimeType = "mime_type" }`.'
    )
    process: bool = Field(False, description="Have the service process each file, as its newer pages do.")
    process_seconds: float = Field(600.0, gt=0, description="How long that may take.")
    single_bytes: int = Field(SINGLE_BYTES, ge=0, description="Larger files are sent in blocks.")
    block_bytes: int = Field(BLOCK_BYTES, ge=1, description="Bytes of a block.")


class WebTicket(Struct):
    """Where the bytes go, and the id that the file has got."""

    sender: AzureBlob
    file_id: str


class _Created(Struct):
    file_id: str | None = None
    upload_url: str | None = None


class _Taken(Struct):
    download_url: str | None = None


class _Status(Struct):
    status: Any = None
    error_code: str | None = None
    error_message: str | None = None


class _Processing(Struct):
    event: str = ""
    progress: float | None = None
    message: str | None = None


_created = msgspec.json.Decoder(_Created)
_taken = msgspec.json.Decoder(_Taken)
_status = msgspec.json.Decoder(_Status)
_processing = msgspec.json.Decoder(_Processing)


class OpenAIWeb(BaseFlow[WebOptions]):
    """Uploads for the web app, with the token of somebody who has signed in there."""

    flow = "openai_web"
    options_type = WebOptions
    ticket_type = WebTicket
    names_matter = True
    takes_cookies = True

    def __init__(self, name: str, table: UploadSettings, http: HttpClient) -> None:
        super().__init__(name, table, http)
        self._origin = self.options.origin or str(URL(table.base_url).origin())

    def takes(self, model: str | None = None) -> Takes:
        """What the settings say; without them everything, for the models differ."""
        return self.options.takes

    def account(self, credentials: Credentials) -> Account:
        """The token, and cookies where there are some."""
        bearer = self.bearer(credentials)
        cookies = self.cookies_of(credentials)
        if not cookies:
            return bearer
        return self.make_account({**bearer.headers, "Cookie": cookie_header(cookies)}, bearer.known_by)

    async def ticket(self, file: File, account: Account, model: str | None = None) -> WebTicket:
        """Announce the file; the storage gets a moment to hear of it."""
        asked = {"file_name": file.name, "file_size": file.size, "use_case": use_case(file.media_type)}
        answer = await self.transport.api("POST", "/backend-api/files", account, json=asked, refused=self._refused)
        created = self.transport.read(_created, answer)
        if not created.file_id or not created.upload_url:
            raise ProviderError(f"{self.name}: gave no place to upload {file.name} to")
        await asyncio.sleep(self.options.settle_seconds)
        sender = AzureBlob(
            created.upload_url,
            self._origin,
            file.media_type,
            single_bytes=self.options.single_bytes,
            block_bytes=self.options.block_bytes,
        )
        return WebTicket(sender, created.file_id)

    async def receipt(self, file: File, account: Account, ticket: WebTicket, sent: Sent) -> UploadedFile:
        """Say that the bytes are there."""
        path = f"/backend-api/files/{quote(ticket.file_id, safe='')}/uploaded"
        tell = partial(self.transport.api, "POST", path, account, json={}, refused=self._refused)
        answer = await persistently(tell)
        taken = self.transport.read(_taken, answer)
        if self.options.process:
            await self._process(file, account, ticket.file_id)
        uploaded = UploadedFile.of(file, ticket.file_id, url=taken.download_url)
        return msgspec.structs.replace(uploaded, entry=self._attachment(uploaded))

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """The user's message, as the web app sends it."""
        plain = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [text]}, "metadata": {}}
        return self.attach(plain, files)

    def attach(self, message: Mapping[str, Any], files: Sequence[UploadedFile]) -> dict[str, Any]:
        """A message of the user with files added to it; what is there already stays, and no file comes twice."""
        content, metadata = message.get("content") or {}, message.get("metadata") or {}
        there = metadata.get("attachments") or []
        known = {attachment.get(self._key("id")) for attachment in there}
        new = {file.id: file for file in files if file.id not in known}.values()
        if not new:
            return dict(message)
        pointers = [self._pointer(file) for file in new if use_case(file.media_type) == "multimodal"]
        parts = [*pointers, *(content.get("parts") or [])]
        return {
            **message,
            "content": {**content, "content_type": "multimodal_text", "parts": parts},
            "metadata": {**metadata, "attachments": [*there, *map(self._attachment, new)]},
        }

    async def _process(self, file: File, account: Account, file_id: str) -> None:
        """Have the file processed, and wait for the end of it."""
        case = use_case(file.media_type)
        asked = {
            "file_id": file_id,
            "file_name": file.name,
            "use_case": case,
            "index_for_retrieval": case != "multimodal",
            "entry_surface": "composer",
        }
        path, seconds = "/backend-api/files/process_upload_stream", self.options.process_seconds
        answer = await self.transport.api("POST", path, account, json=asked, seconds=seconds)
        reached = 0.0
        for line in filter(None, map(bytes.strip, answer.body.splitlines())):
            said = self.transport.read(_processing, Answer(answer.status, answer.headers, line))
            if said.event.endswith(_TROUBLE):
                why = self.transport.discreet(said.message or said.event, account)
                raise ProviderError(f"{self.name}: processing {file.name} failed: {why}")
            reached = _DONE if said.event.endswith("completed") else max(reached, said.progress or 0)
        if reached < _DONE:
            raise ProviderError(f"{self.name}: processing {file.name} ended at {reached:g} %")

    def _refused(self, answer: Answer) -> ProviderError | None:
        """The error in an answer that is good by its HTTP status alone."""
        if answer.status >= 300:
            return None
        said = self.transport.read(_status, answer)
        if said.status not in _TROUBLE and not said.error_code:
            return None
        code = said.error_code or ""
        words = Words(": ".join(filter(None, (code, said.error_message))), (code.casefold(),))
        return error_for(self.name, words)

    def _pointer(self, file: UploadedFile) -> dict[str, Any]:
        scheme = self.options.scheme or ("sediment" if file.id.startswith("file_") else "file-service")
        return {
            "content_type": "image_asset_pointer",
            "asset_pointer": f"{scheme}://{file.id}",
            **_dimensions(file),
            "size_bytes": file.size,
        }

    def _attachment(self, file: UploadedFile) -> dict[str, Any]:
        found = {"id": file.id, "mimeType": file.media_type, "name": file.name, "size": file.size, **_dimensions(file)}
        return {self._key(name): value for name, value in found.items()}

    def _key(self, name: str) -> str:
        return self.options.attachment_keys.get(cast("AttachmentKey", name), name)


def use_case(media_type: str) -> str:
    """What a file is for: pictures are looked at, others are read."""
    return "multimodal" if media_type.startswith("image/") else "my_files"


def _dimensions(file: UploadedFile) -> dict[str, int]:
    """Those of a picture, as far as they are known."""
    if use_case(file.media_type) != "multimodal" or file.height is None or file.width is None:
        return {}
    return {"height": file.height, "width": file.width}
