"""Qwen's web app: a ticket with lent keys, and the bytes to Alibaba's object storage."""

import re
import time
from collections.abc import Sequence
from typing import Any, TypeGuard
from uuid import uuid4

import msgspec
from msgspec import Struct
from pydantic import Field
from yarl import URL

from mediary.errors import MissingAuthError, ProviderError, RateLimitError
from mediary.providers.base import Takes
from mediary.providers.http.refusals import LONGEST_WAIT, Words, error_for, retry_after
from mediary.providers.http.service import is_header
from mediary.uploads.base import Account, Credentials, File, Sent, UploadedFile
from mediary.uploads.expiry import expires_at
from mediary.uploads.flow import BaseFlow, OpenOptions, cookie_header
from mediary.uploads.senders.aliyun_oss import FALLBACK_BUCKET, AliyunOSS, bucket_of, place_of, region_of
from mediary.uploads.senders.oss4 import Keys
from mediary.uploads.transport import Answer

_rate_limit = re.compile(r"rate_?-?limit|too_?-?many|throttl|quota|429", re.IGNORECASE)
_unauthorized = re.compile(r"unauthori[sz]ed|unauthenticated|forbidden|token|log_?-?in|40[13]", re.IGNORECASE)
# What stands before the service answers with such a page, or with such words, in a 200.
_challenge = re.compile(rb"aliyun_waf|FAIL_SYS_USER_VALIDATE|RGV587_ERROR|/punish\?", re.IGNORECASE)


class QwenOptions(OpenOptions):
    """What can be set in the table of a `qwen` flow."""

    bucket: str = Field(FALLBACK_BUCKET, description="The bucket, for tickets that name none.")
    single_bytes: int = Field(64 * 1024**2, ge=0, description="Larger files are sent in parts.")
    part_bytes: int = Field(16 * 1024**2, ge=100 * 1024, description="Bytes of a part.")
    chat_type: str = Field("t2t", description="The kind of chat that messages are for.")


class QwenTicket(Struct):
    """Where the bytes go, the id that the file has got, and the link under which it can be read for a while."""

    sender: AliyunOSS
    file_id: str
    file_url: str

    def __repr__(self) -> str:
        return f"QwenTicket({self.file_id!r})"


class _Data(Struct):
    """What a ticket says, or why there is none."""

    access_key_id: str | None = None
    access_key_secret: str | None = None
    security_token: str | None = None
    file_url: str | None = None
    file_path: str | None = None
    file_id: str | None = None
    bucketname: str | None = None
    region: str | None = None
    code: str | int | None = None
    details: Any = None
    template: str | None = None
    num: float | None = None


class _Answered(Struct):
    success: bool | None = None
    data: _Data | str | None = None


_answered = msgspec.json.Decoder(_Answered)


class Qwen(BaseFlow[QwenOptions]):
    """Uploads for the web app, with the token of somebody who has signed in there."""

    flow = "qwen"
    options_type = QwenOptions
    ticket_type = QwenTicket
    names_matter = True
    takes_cookies = True

    def takes(self, model: str | None = None) -> Takes:
        """What the settings say."""
        return self.options.takes

    def account(self, credentials: Credentials) -> Account:
        """The token, which is a cookie as well, and the cookies where there are some."""
        cookies = self.cookies_of(credentials)
        key = credentials.api_key or credentials.cookies.get("token") or self._api_key or cookies.get("token")
        headers = {}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        elif not any(header.casefold() == "authorization" for header in self._headers):
            raise MissingAuthError(
                f"{self.name} wants a token: set `api_key` in its table of mediary.toml, send `api_key` with the "
                "files, or hand in the cookies of a browser that is signed in there"
            )
        if key and "token" in cookies:
            cookies["token"] = key  # never two people in one request
        if cookies:
            headers["Cookie"] = cookie_header(cookies)
        return self.make_account(headers, known_by="Authorization" if key else None)

    async def ticket(self, file: File, account: Account, model: str | None = None) -> QwenTicket:
        """Ask for keys that are good for this one file."""
        asked = {"filename": file.name, "filesize": file.size, "filetype": file.media_type}
        path = "/api/v2/files/getstsToken"
        answer = await self.transport.api("POST", path, account, json=asked, refused=self._refused)
        data = self.transport.read(_answered, answer).data
        if not isinstance(data, _Data) or not data.file_id or not _has_host(data.file_url):
            raise ProviderError(f"{self.name}: gave no place to upload to")
        return QwenTicket(self._sender(data, data.file_url), data.file_id, data.file_url)

    def _sender(self, data: _Data, url: str) -> AliyunOSS:
        """What puts the file at `url`, with the keys of the ticket."""
        keys = Keys(data.access_key_id or "", data.access_key_secret or "", data.security_token)
        in_headers = (keys.access_key_id, keys.security_token or "", data.region or "")
        if not (keys.access_key_id and keys.access_key_secret and all(is_header("x", value) for value in in_headers)):
            raise ProviderError(f"{self.name}: gave no keys to upload with")
        return AliyunOSS(
            url=place_of(url),
            bucket=data.bucketname or bucket_of(url) or self.options.bucket,
            key=data.file_path or URL(url).path[1:],
            region=region_of(url, data.region),
            keys=keys,
            single_bytes=self.options.single_bytes,
            part_bytes=self.options.part_bytes,
        )

    async def receipt(self, file: File, account: Account, ticket: QwenTicket, sent: Sent) -> UploadedFile:
        """The service needs to be told nothing: what its messages say of the file."""
        ends = expires_at(ticket.file_url)
        return UploadedFile.of(
            *(file, ticket.file_id),
            entry=_entry(file, ticket),
            url=ticket.file_url,
            expires_at=ends,
            reusable=ends is not None,
        )

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """The user's message, as the web app sends it; the chat's own `models` and `parentId` are the caller's."""
        kind = self.options.chat_type
        return {
            "fid": str(uuid4()),
            "parentId": None,
            "childrenIds": [],
            "role": "user",
            "content": text,
            "user_action": "chat",
            "files": [file.entry for file in files],
            "chat_type": kind,
            "sub_chat_type": kind,
            "feature_config": {"thinking_enabled": False, "output_schema": "phase"},
        }

    def _refused(self, answer: Answer) -> ProviderError | None:
        """What an answer says that is no ticket; refusals come with status 200, too."""
        try:
            answered = self.transport.read(_answered, answer)
        except ProviderError:
            answered = _Answered()
        if answered.success is None and (found := _challenge.search(answer.body)):
            return self.transport.challenge(found[0].decode())
        data = answered.data if isinstance(answered.data, _Data) else _Data(details=answered.data)
        if answered.success is not False and data.code is None:
            return None
        said = data.details if isinstance(data.details, str) else msgspec.json.encode(data.details or {}).decode()
        code = str(data.code or "error")
        if answer.status == 429 or _rate_limit.search(code):
            return RateLimitError(f"{code}:{said}", _wait(data) or retry_after(answer.headers))
        status = 401 if _unauthorized.search(code) else answer.status
        return error_for(self.name, Words(f"{code}:{said}"), status if status >= 400 else None)


def _has_host(url: str | None) -> TypeGuard[str]:
    """Whether a file can be sent there at all."""
    try:
        return url is not None and URL(url).scheme in ("http", "https") and bool(URL(url).raw_host)
    except ValueError:
        return False


def _wait(data: _Data) -> float | None:
    """How many seconds a refusal asks to wait; it counts in hours."""
    if data.num is None or data.num <= 0 or "hour" not in (data.template or ""):
        return None
    return min(data.num * 3600, LONGEST_WAIT)


def _entry(file: File, ticket: QwenTicket) -> dict[str, Any]:
    """A file, as messages have it."""
    moment = int(time.time() * 1000)
    kind, shown, file_class = _classes(file.media_type)
    return {
        "type": kind,
        "file": {
            "created_at": moment,
            "data": {},
            "filename": file.name,
            "hash": None,
            "id": ticket.file_id,
            "meta": {"name": file.name, "size": file.size, "content_type": file.media_type},
            "update_at": moment,
        },
        "id": ticket.file_id,
        "url": ticket.file_url,
        "name": file.name,
        "collection_name": "",
        "progress": 0,
        "status": "uploaded",
        "greenNet": "success",
        "size": file.size,
        "error": "",
        "itemId": str(uuid4()),
        "file_type": file.media_type,
        "showType": shown,
        "file_class": file_class,
        "uploadTaskId": str(uuid4()),
    }


def _classes(media_type: str) -> tuple[str, str, str]:
    """What the service calls a file of that type: `type`, `showType`, `file_class`."""
    kind = media_type.partition("/")[0]
    if kind in ("image", "video", "audio"):
        return kind, kind, "vision" if kind == "image" else kind
    return "file", "file", "document"
