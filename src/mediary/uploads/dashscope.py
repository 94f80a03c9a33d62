"""DashScope's temporary storage: a policy for one model, a form to the object storage, an `oss://` link."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from pydantic import Field
from yarl import URL

from mediary.errors import BadRequestError, ProviderError, TooLargeError
from mediary.formats import by_media_type
from mediary.net.client import HttpClient
from mediary.providers.base import Takes
from mediary.settings import UploadSettings
from mediary.uploads.base import Account, Credentials, File, Sent, UploadedFile
from mediary.uploads.flow import BaseFlow, OpenOptions
from mediary.uploads.senders.multipart_form import MultipartForm

KEPT_SECONDS = 48 * 3600.0
"""How long the storage keeps a file."""

_THING = r"\b(?:media|resource|content|image|video|audio|file|url)\b"
_gone = re.compile(
    rf"nosuchkey|(?:download|fetch|retriev)\w*\b.*{_THING}"
    rf"|{_THING}.*\b(?:not (?:be )?(?:found|exist)|expired|download)",
    re.IGNORECASE,
)


class DashScopeOptions(OpenOptions):
    """What can be set in the table of a `dashscope` flow."""

    types: tuple[str, ...] = Field(
        ("image/*", "video/*", "audio/*"), description="The media types that are sent there, such as `image/*`."
    )
    model: str | None = Field(None, description="The model that uploads are for, where a request names none.")


class DashScopeTicket(Struct):
    """The form that the storage takes, and the key that the file gets there."""

    sender: MultipartForm
    key: str


class _Policy(Struct):
    """What a form has to hold, and where it goes."""

    policy: str | None = None
    signature: str | None = None
    upload_dir: str | None = None
    upload_host: str | None = None
    oss_access_key_id: str | None = None
    x_oss_object_acl: str | None = None
    x_oss_forbid_overwrite: str | bool | None = None
    max_file_size_mb: float | str | None = None


class _Answered(Struct):
    data: _Policy | None = None
    output: _Policy | None = None


_answered = msgspec.json.Decoder(_Answered)


class DashScope(BaseFlow[DashScopeOptions]):
    """Uploads for questions to DashScope's models; `base_url` is that of the provider, the API lies at its origin."""

    flow = "dashscope"
    options_type = DashScopeOptions
    ticket_type = DashScopeTicket
    names_matter = True
    models_matter = True
    options_matter = ("model",)

    def __init__(self, name: str, table: UploadSettings, http: HttpClient) -> None:
        super().__init__(name, table, http)
        self._policies = f"{URL(table.base_url).origin()}/api/v1/uploads"

    def takes(self, model: str | None = None) -> Takes:
        """What the settings say; how large a file may be for the model, the policy says."""
        return self.options.takes

    def account(self, credentials: Credentials) -> Account:
        """The key."""
        return self.bearer(credentials)

    async def ticket(self, file: File, account: Account, model: str | None = None) -> DashScopeTicket:
        """Ask for a policy; TooLargeError if the model takes no file of that size."""
        model = model or self.options.model
        if not model:
            raise BadRequestError(f"{self.name} keeps files for one model: name it with the files, as `model`")
        query = f"?action=getPolicy&model={quote(model, safe='')}"
        answer = await self.transport.api("GET", self._policies + query, account)
        answered = self.transport.read(_answered, answer)
        policy = answered.data or answered.output or _Policy()
        if not (policy.policy and policy.signature and policy.oss_access_key_id and policy.upload_dir):
            raise ProviderError(f"{self.name}: gave no policy to upload with")
        if not (policy.upload_host or "").startswith(("http://", "https://")):
            raise ProviderError(f"{self.name}: gave no place to upload to")
        largest = _bytes(policy.max_file_size_mb)
        if largest is not None and file.size > largest:
            raise TooLargeError(
                f"{self.name} takes {largest} bytes at most for {model}, and {file.name} has {file.size}"
            )
        key = f"{policy.upload_dir.rstrip('/')}/{file.name}"
        return DashScopeTicket(MultipartForm(policy.upload_host or "", _fields(policy, key, file.media_type)), key)

    async def receipt(self, file: File, account: Account, ticket: DashScopeTicket, sent: Sent) -> UploadedFile:
        """The service needs to be told nothing: the link that its models understand."""
        url = f"oss://{ticket.key}"
        ends_at = time.time() + KEPT_SECONDS
        return UploadedFile.of(file, url, entry={"url": url}, url=url, expires_at=ends_at)

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """The user's message, in OpenAI's form."""
        parts = [self.part(file, "openai") for file in files]
        return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}

    def attaches(self, media_type: str, wire: str) -> bool:
        """Pictures, videos and sounds, where the API is the one in OpenAI's form."""
        return wire == "openai" and media_type.partition("/")[0] in ("image", "video", "audio")

    def part(self, file: UploadedFile, wire: str) -> dict[str, Any]:
        """A part that points to the file."""
        match file.media_type.partition("/")[0]:
            case "audio":
                found = by_media_type(file.media_type)
                extension = found.extension[1:] if found else file.media_type.partition("/")[2]
                return {"type": "input_audio", "input_audio": {"data": file.id, "format": extension}}
            case "video":
                return {"type": "video_url", "video_url": {"url": file.id}}
            case _:
                return {"type": "image_url", "image_url": {"url": file.id}}

    @property
    def question_headers(self) -> Mapping[str, str]:
        """What makes the service look into its own storage."""
        return {"X-DashScope-OssResourceResolve": "enable"}

    def is_unknown(self, file: UploadedFile, words: str) -> bool:
        """Whether a refusal says that a file cannot be fetched; the service does not say which."""
        return bool(_gone.search(words))


def _fields(policy: _Policy, key: str, media_type: str) -> list[tuple[str, str]]:
    """The fields of the form, in the order in which the storage wants them."""
    forbids = policy.x_oss_forbid_overwrite
    return [
        ("OSSAccessKeyId", policy.oss_access_key_id or ""),
        ("Signature", policy.signature or ""),
        ("policy", policy.policy or ""),
        ("key", key),
        ("x-oss-object-acl", policy.x_oss_object_acl or "private"),
        ("x-oss-forbid-overwrite", str(forbids).lower() if forbids is not None else "true"),
        ("success_action_status", "200"),
        ("x-oss-content-type", media_type),
    ]


def _bytes(megabytes: float | str | None) -> int | None:
    """The bytes of a number of megabytes; None where there is no such number."""
    try:
        return int(float(megabytes or 0) * 1024 * 1024) or None
    except (ValueError, OverflowError):
        return None
