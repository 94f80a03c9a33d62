"""What an upload flow is: a ticket says where the bytes go, a sender puts them there, the receipt becomes a file."""

import base64
import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

from mediary.providers.base import Takes

if TYPE_CHECKING:
    from mediary.uploads.transport import Transport

Progress = Callable[[int], None]
"""Told how many bytes of the file have been sent so far; fewer than before when a piece is sent again."""


class Content(Protocol):
    """Bytes that can be read again, from any place on. They do not change: UnreadableError if they did."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces of about a mebibyte."""
        ...


@dataclass(slots=True, frozen=True)
class File:
    """A file to be uploaded; all that flows ask of it is known before the first request.

    `media_type` is what the bytes say; `md5` and `sha256` are in hex; `width` and `height` are those of a picture as it
    is shown.
    """

    name: str
    media_type: str
    content: Content = field(repr=False)
    md5: str
    sha256: str
    width: int | None = None
    height: int | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.content.size

    @property
    def content_md5(self) -> str:
        """The MD5 as the header `Content-MD5` has it."""
        return base64.b64encode(bytes.fromhex(self.md5)).decode("ascii")


@dataclass(slots=True, frozen=True)
class Credentials:
    """What proves who asks. None of it is ever shown to anybody but the provider's own origin."""

    api_key: str | None = field(default=None, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(slots=True, frozen=True)
class Account:
    """Whose files they are: `headers` prove it to the provider's own origin, `id` tells it from others.

    `known_by` is the header that alone says who it is, where there is one: others, such as cookies, may change.
    """

    headers: Mapping[str, str] = field(repr=False)
    known_by: str | None = None

    @property
    def id(self) -> str:
        """A digest, which gives nothing away."""
        telling = {name: value for name, value in self.headers.items() if name == self.known_by} or self.headers
        written = "\n".join(f"{name.casefold()}: {value}" for name, value in sorted(telling.items()))
        return hashlib.sha256(b"mediary account\n" + written.encode()).hexdigest()[:32]


class Sent(Struct, frozen=True):
    """What the storage answered: its headers, names in lower case, and the beginning of its body."""

    headers: dict[str, str] = {}
    body: bytes = b""


class Sender(Protocol):
    """Puts the bytes of one file where a ticket says.

    A msgspec Struct: its fields are all it needs to go on in another process, and change as it goes. It sends again
    what was lost on the way, and no more than that.
    """

    async def send(self, transport: "Transport", file: File, progress: Progress) -> Sent:
        """Send what is missing. UploadRefusedError with the storage's own words if it does not take it."""
        ...


@runtime_checkable
class GoesOn(Protocol):
    """A sender that sends in parts, so that another process can go on with what is missing."""

    def is_worth_keeping(self) -> bool:
        """Whether something has arrived that need not be sent again."""
        ...


@runtime_checkable
class CleansUp(Protocol):
    """A sender that leaves parts behind when it is given up."""

    async def abort(self, transport: "Transport") -> None:
        """Remove what has arrived; ProviderError if that fails."""
        ...


class Ticket(Protocol):
    """Where and how to send, and what the receipt needs to know. A msgspec Struct, so that it can be written down."""

    @property
    def sender(self) -> Sender: ...  # noqa: D102 - said above


class UploadedFile(Struct, frozen=True, kw_only=True):
    """A file that lies with a provider.

    `id` is the provider's own; `entry` is what the provider's messages and answers say of it; `url` is where it can be
    read, if anywhere; `expires_at` is in Unix seconds, None where the provider keeps it. One that is not `reusable`
    is good for now, and nobody knows how long.
    """

    id: str
    name: str
    media_type: str
    size: int
    entry: dict[str, Any] = {}
    url: str | None = None
    width: int | None = None
    height: int | None = None
    expires_at: float | None = None
    reusable: bool = True

    @classmethod
    def of(
        cls,
        file: File,
        id: str,  # noqa: A002 - its name here and everywhere
        *,
        entry: dict[str, Any] | None = None,
        url: str | None = None,
        expires_at: float | None = None,
        reusable: bool = True,
    ) -> "UploadedFile":
        """What a flow makes of a file that has arrived."""
        return cls(
            id=id,
            name=file.name,
            media_type=file.media_type,
            size=file.size,
            entry=entry or {},
            url=url,
            width=file.width,
            height=file.height,
            expires_at=expires_at,
            reusable=reusable,
        )

    def __repr__(self) -> str:
        """Without what may hold a signed link."""
        return f"UploadedFile({self.id!r}, {self.name!r}, {self.media_type!r}, {self.size})"


@dataclass(slots=True, frozen=True)
class CachePolicy:
    """How uploads are remembered: before one more than `entries`, the oldest go until `keep` are left.

    `seconds` is how long one is used again at most; its own expiry counts besides.
    """

    enabled: bool = True
    entries: int | None = None
    keep: int = 0
    seconds: float | None = None


T = TypeVar("T", bound=Ticket)


class Flow(Protocol[T]):
    """An upload protocol, for one table of the settings; safe for many uploads at once.

    Made as `Flow(name, table, http)`. Every failure is a ProviderError with the service's own words and never with a
    credential: `transport.api` sees to that, and `transport.discreet` for words within a good answer.
    """

    flow: ClassVar[str]
    """Its name, as settings write it."""
    ticket_type: type[T]
    """The Struct that a ticket is."""
    names_matter: ClassVar[bool]
    """Whether the provider stores the file's name, so that the same bytes under another name are another upload."""
    models_matter: ClassVar[bool]
    """Whether an upload is good for one model alone."""
    options_matter: ClassVar[tuple[str, ...]]
    """The flow's own keys that make another upload of the same bytes, such as what they are for."""
    takes_cookies: ClassVar[bool]
    """Whether people are known there by what a browser has, so that what they handed in (`upload_cookies`) is asked."""

    name: str
    label: str
    transport: "Transport"
    policy: CachePolicy
    options: Any

    def takes(self, model: str | None = None) -> Takes:
        """What can be uploaded."""
        ...

    def account(self, credentials: Credentials) -> Account:
        """Who asks; the settings fill in what is missing. MissingAuthError says what to hand in."""
        ...

    async def ticket(self, file: File, account: Account, model: str | None = None) -> T:
        """Ask where the bytes are to go."""
        ...

    async def receipt(self, file: File, account: Account, ticket: T, sent: Sent) -> UploadedFile:
        """Tell the provider that they arrived, and wait until it has taken them.

        UploadDamagedError if it has other bytes: then the file is sent once more. `transport.persistently` is for
        questions that may be asked twice, so that a bad moment does not cost the whole upload.
        """
        ...

    def message(self, files: Sequence[UploadedFile], text: str) -> dict[str, Any]:
        """A message of the user with these files and the text, as the provider's own clients send it."""
        ...


@runtime_checkable
class Attaches(Protocol):
    """A flow whose files go into conversations."""

    def attaches(self, media_type: str, wire: str) -> bool:
        """Whether questions on that wire can point to uploaded files of that type."""
        ...

    def part(self, file: UploadedFile, wire: str) -> dict[str, Any]:
        """The part of a message that points to the file, in the words of the wire."""
        ...

    @property
    def question_headers(self) -> Mapping[str, str]:
        """What a question with such parts needs as headers."""
        ...

    def is_unknown(self, file: UploadedFile, words: str) -> bool:
        """Whether a refusal of a question, in the provider's words, says that it does not know this file (any more)."""
        ...


@runtime_checkable
class Removes(Protocol):
    """A flow that can take a file away from the provider again."""

    async def remove(self, file: UploadedFile, account: Account) -> None:
        """Delete it there; one that is gone already is as good."""
        ...


@runtime_checkable
class Abandons(Protocol):
    """A flow in which a ticket that is not used up leaves something at the provider itself."""

    async def abandon(self, account: Account, ticket: Any) -> None:
        """Take the ticket back, and with it what was sent; ProviderError if that fails."""
        ...
