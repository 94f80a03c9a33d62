"""Yupp: a ticket by tRPC, a PUT to a presigned link, an attachment by tRPC."""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import msgspec
from msgspec import Raw, Struct
from pydantic import Field

from mediary.errors import MissingAuthError, ProviderError
from mediary.providers.base import Takes
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.refusals import Words, error_for, retry_after
from mediary.uploads.base import Account, CachePolicy, Credentials, File, Sent, UploadedFile
from mediary.uploads.flow import BaseFlow, OpenOptions, cookie_header
from mediary.uploads.react_flight import escape
from mediary.uploads.senders.presigned_put import PresignedPut
from mediary.uploads.transport import Answer

COOKIE = "__Secure-yupp.session-token"

# For a server that leaves out the HTTP status of an error.
_STATUS = {"UNAUTHORIZED": 401, "FORBIDDEN": 403, "TOO_MANY_REQUESTS": 429}

T = TypeVar("T")


class YuppOptions(OpenOptions):
    """What can be set in the table of a `yupp` flow."""

    etag_is_md5: bool = Field(
        False, description="Whether the storage's ETags are MD5 sums, as Amazon's without KMS: then they are checked."
    )


class YuppTicket(Struct):
    """Where the bytes go, and the id that the file has got."""

    sender: PresignedPut
    file_id: str


class _Place(Struct, frozen=True, rename="camel"):
    signed_url: str | None = None
    file_id: str | None = None


class _Attachment(Struct, frozen=True):
    file_name: str | None = None
    content_type: str | None = None
    attachment_id: str | None = None


class _Image(Struct, frozen=True):
    signed_url: str | None = None
    signed: str | None = msgspec.field(name="signedURL", default=None)


class _Data(Struct, frozen=True):
    json: Raw = Raw(b"null")


class _Result(Struct, frozen=True):
    data: _Data = _Data()


class _Details(Struct, frozen=True, rename="camel"):
    code: str | None = None
    http_status: int | None = None


class _Fault(Struct, frozen=True):
    message: str = ""
    data: _Details = _Details()


class _Failure(_Fault, frozen=True):
    """An error; servers with a transformer, as this one has, wrap it."""

    json: _Fault | None = None


class _Outcome(Struct, frozen=True):
    """What has become of one call of a batch."""

    result: _Result | None = None
    error: _Failure | None = None


_batch = msgspec.json.Decoder(list[_Outcome])
_place = msgspec.json.Decoder(_Place)
_attachment = msgspec.json.Decoder(_Attachment)
_image = msgspec.json.Decoder(_Image)


class Yupp(BaseFlow[YuppOptions]):
    """Uploads for Yupp, with the session of somebody who has signed in there."""

    flow = "yupp"
    options_type = YuppOptions
    ticket_type = YuppTicket
    names_matter = True
    takes_cookies = True
    default_policy = CachePolicy(entries=1000, keep=900)

    def takes(self, model: str | None = None) -> Takes:
        """What the settings say; without them everything, for the models differ."""
        return self.options.takes

    def account(self, credentials: Credentials) -> Account:
        """The session's cookie, and no other; a key is its value."""
        token = credentials.api_key or self.cookies_of(credentials).get(COOKIE) or self._api_key
        if not token:
            raise MissingAuthError(
                f"{self.name} wants the session of somebody who has signed in there: hand in the cookie {COOKIE} "
                "(by `upload_cookies`, or `cookies` in its table of mediary.toml), or its value as `api_key`"
            )
        return self.make_account({"Cookie": cookie_header({COOKIE: token})})

    async def ticket(self, file: File, account: Account, model: str | None = None) -> YuppTicket:
        """Ask for a link to put the bytes to."""
        asked = {"fileName": file.name, "fileSize": file.size, "contentType": file.media_type}
        place = await self._call("chat.createPresignedURLForUpload", asked, account, _place)
        if not place.signed_url or not place.file_id:
            raise ProviderError(f"{self.name}: gave no place to upload to")
        sender = PresignedPut(place.signed_url, {"Content-Type": file.media_type}, self.options.etag_is_md5)
        return YuppTicket(sender, place.file_id)

    async def receipt(self, file: File, account: Account, ticket: YuppTicket, sent: Sent) -> UploadedFile:
        """Make an attachment of what was put there."""
        asked = {"fileName": file.name, "contentType": file.media_type, "fileId": ticket.file_id}
        made = await self._call("chat.createAttachmentForUploadedFile", asked, account, _attachment)
        if not made.attachment_id:
            raise ProviderError(f"{self.name}: made no attachment of {file.name}")
        entry = {
            "fileName": made.file_name or file.name,
            "contentType": made.content_type or file.media_type,
            "attachmentId": made.attachment_id,
            "chatMessageId": "",
        }
        return UploadedFile.of(file, made.attachment_id, entry=entry)

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """The arguments of the site's action `startNewChat`: a new chat, a turn, the text and the files in it.

        The model and the mode are left to the site (`"none"`, `"text"`).
        """
        nothing = "$undefined"
        beginning = [str(uuid4()), str(uuid4()), escape(text), nothing, nothing]
        attachments = [{key: escape(value) for key, value in file.entry.items()} for file in files]
        return {"startNewChat": [*beginning, attachments, nothing, "none", "text", True, nothing]}

    async def signed_image(self, account: Account, image_id: str) -> str:
        """A link to a picture that one of the site's models has made."""
        image = await self._call("chat.getSignedImage", {"imageId": image_id}, account, _image, method="GET")
        if not (url := image.signed_url or image.signed):
            raise ProviderError(f"{self.name}: gave no link to the image {image_id}")
        return url

    async def _call(
        self,
        procedure: str,
        asked: dict[str, Any],
        account: Account,
        decoder: msgspec.json.Decoder[T],
        method: str = "POST",
    ) -> T:
        """Call a procedure, in a batch of one as the site does."""
        path, batch = f"/api/trpc/{procedure}?batch=1", msgspec.json.encode({"0": {"json": asked}})
        if method == "GET":
            path += f"&input={quote(batch, safe='')}"
        answer = await self.transport.api(
            *(method, path, account),
            body=None if method == "GET" else batch,
            headers={"Content-Type": "application/json"},
            refused=self._refused,
        )
        outcomes = self.transport.read(_batch, answer)
        if not outcomes or not outcomes[0].result:
            raise ProviderError(f"{self.name}: answered {procedure} without a result")
        return self.transport.read(decoder, Answer(answer.status, answer.headers, bytes(outcomes[0].result.data.json)))

    def _refused(self, answer: Answer) -> ProviderError | None:
        """The first error of a batch: one of mixed outcomes is answered with 207."""
        try:
            outcomes = decode(_batch, answer.body)
        except UnreadableError:
            return None
        for outcome in outcomes:
            if outcome.error:
                fault = outcome.error.json or outcome.error
                status = fault.data.http_status or _STATUS.get(fault.data.code or "", 400)
                words = Words(fault.message or fault.data.code or "")
                return error_for(self.name, words, status, retry_after(answer.headers))
        return None
