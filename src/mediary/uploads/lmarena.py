"""LMArena: a ticket by a React server action, a PUT to a presigned link, a link to read it by another action."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Struct
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from mediary.errors import MissingAuthError, ProviderError
from mediary.providers.base import Takes
from mediary.providers.http.refusals import Words, error_for, read_words, retry_after
from mediary.uploads.base import Account, Credentials, File, Sent, UploadedFile
from mediary.uploads.expiry import expires_at
from mediary.uploads.flow import BaseFlow, OpenOptions, cookie_header
from mediary.uploads.react_flight import FlightError, read_row, write_arguments
from mediary.uploads.senders.presigned_put import PresignedPut
from mediary.uploads.transport import Answer, persistently

_ANSWER = "text/x-component"
_ROW = 1
"""The row of an answer that holds what the action gave back."""

_proof = re.compile(r"captcha|turnstile", re.IGNORECASE)
_unknown = re.compile(rb"failed to find server action|server action not found", re.IGNORECASE)


def _check_action(action: str) -> str:
    if not re.fullmatch(r"[\w-]{1,128}", action, re.ASCII):
        raise PydanticCustomError(
            "action", "the id of this action is needed: it is the header `next-action` when a browser uploads a file"
        )
    return action


def _check_page(page: str) -> str:
    if not re.fullmatch(r"/[!$-;=?-\[\]_a-z~]*", page):
        raise PydanticCustomError("page", "a path below base_url is needed, such as `/` or `/?mode=direct`")
    return page


ActionId = Annotated[str, AfterValidator(_check_action), Field(validate_default=True)]


class Actions(BaseModel):
    """The ids of the site's actions, which change whenever it is deployed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generate_upload_url: ActionId = ""
    get_signed_url: ActionId = ""


class LMArenaOptions(OpenOptions):
    """What can be set in the table of an `lmarena` flow."""

    actions: Actions = Field(default={}, validate_default=True, description="The ids of the two actions.")
    page: Annotated[str, AfterValidator(_check_page)] = Field("/", description="The page whose actions they are.")
    etag_is_md5: bool = Field(
        False, description="Whether the storage's ETags are MD5 sums, as Amazon's without KMS: then they are checked."
    )


class LMArenaTicket(Struct):
    """Where the bytes go, and the key under which they lie there."""

    sender: PresignedPut
    key: str


class _Data(Struct, frozen=True, rename="camel"):
    upload_url: str | None = None
    key: str | None = None
    url: str | None = None


class _Outcome(Struct, frozen=True):
    """What an action gave back."""

    data: _Data = _Data()


class LMArena(BaseFlow[LMArenaOptions]):
    """Uploads for LMArena, with the cookies of a browser that has been there."""

    flow = "lmarena"
    options_type = LMArenaOptions
    ticket_type = LMArenaTicket
    names_matter = True
    takes_cookies = True

    def takes(self, model: str | None = None) -> Takes:
        """What the settings say; without them everything, for the models differ."""
        return self.options.takes

    def account(self, credentials: Credentials) -> Account:
        """The cookies."""
        cookies = self.cookies_of(credentials)
        if not cookies:
            raise MissingAuthError(
                f"{self.name} wants the cookies of a browser that has been there: hand them in by `upload_cookies`, or "
                "set `cookies` in its table of mediary.toml"
            )
        return self.make_account({"Cookie": cookie_header(cookies)})

    async def ticket(self, file: File, account: Account, model: str | None = None) -> LMArenaTicket:
        """Ask for a link to put the bytes to."""
        data = await self._act(self.options.actions.generate_upload_url, [file.name, file.media_type], account)
        if not data.upload_url or not data.key:
            raise ProviderError(f"{self.name}: gave no place to upload to")
        sender = PresignedPut(data.upload_url, {"Content-Type": file.media_type}, self.options.etag_is_md5)
        return LMArenaTicket(sender, data.key)

    async def receipt(self, file: File, account: Account, ticket: LMArenaTicket, sent: Sent) -> UploadedFile:
        """Ask for the link by which the file can be read; it is good until that ends."""
        data = await persistently(lambda: self._act(self.options.actions.get_signed_url, [ticket.key], account))
        if not data.url:
            raise ProviderError(f"{self.name}: gave no link to {file.name}")
        end = expires_at(data.url)
        entry = {"name": ticket.key, "contentType": file.media_type, "url": data.url}
        return UploadedFile.of(file, ticket.key, entry=entry, url=data.url, expires_at=end, reusable=end is not None)

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """The user's message, as the site sends it."""
        return {"role": "user", "content": text, "experimental_attachments": [file.entry for file in files]}

    async def _act(self, action: str, arguments: Sequence[str], account: Account) -> _Data:
        """Have the page do one of its actions."""
        headers = {
            "accept": _ANSWER,
            "content-type": "text/plain;charset=UTF-8",
            "next-action": action,
            "referer": self.transport.base_url + self.options.page,
        }
        answer = await self.transport.api(
            *("POST", self.options.page, account),
            body=write_arguments(arguments),
            headers=headers,
            refused=self._refused,
        )
        try:
            return msgspec.convert(read_row(answer.body, _ROW), _Outcome).data
        except msgspec.ValidationError as error:
            raise ProviderError(f"{self.name}: its answer cannot be read: {error}") from None

    def _refused(self, answer: Answer) -> ProviderError | None:
        """What an answer says against the request: the action is unknown, fails, or does not succeed."""
        is_result = answer.headers.get("Content-Type", "").startswith(_ANSWER)
        if answer.status == 404 or "x-nextjs-action-not-found" in answer.headers:
            return self._outdated(f"it answered {answer.status}")
        if 300 <= answer.status < 400:
            return None
        if not is_result:
            # Older servers show the page, or fail.
            outdated = answer.status < 300 or _unknown.search(answer.body)
            return self._outdated("it answered with something else") if outdated else None
        try:
            value = read_row(answer.body, _ROW)
        except FlightError as error:
            words = Words(str(error))
        else:
            if isinstance(value, dict) and value.get("success") is True and answer.status < 300:
                return None
            words = read_words(msgspec.json.encode(value))
        if _proof.search(words.message):
            return self.transport.challenge(words.message)
        return error_for(self.name, words, answer.status if answer.status >= 300 else None, retry_after(answer.headers))

    def _outdated(self, said: str) -> ProviderError:
        return ProviderError(
            f"{self.name}: the site does not know this action any more ({said}): set `actions` in its table of "
            "mediary.toml to the ids that a browser sends now, as `next-action`, when it uploads a file there"
        )
