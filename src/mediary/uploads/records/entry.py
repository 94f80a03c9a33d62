"""What is remembered of uploads."""

from dataclasses import dataclass, field

from mediary.uploads.base import UploadedFile

ID_LENGTH = 24


@dataclass(slots=True, frozen=True)
class Upload:
    """A file that was uploaded: `provider` is the table of the settings, `created` in Unix seconds.

    `cached` tells that nothing had to be sent for it this time.
    """

    id: str
    provider: str
    flow: str
    file: UploadedFile = field(repr=False)
    cached: bool
    created: float


@dataclass(slots=True, frozen=True)
class UploadPage:
    """A page of uploads, newest first; `next` is the cursor of the page after it, None on the last."""

    uploads: tuple[Upload, ...]
    next: str | None


@dataclass(slots=True, frozen=True)
class Forgotten:
    """What became of a file at the provider when it was forgotten here; `reason` says why it is still there."""

    removed: bool
    reason: str | None = None


@dataclass(slots=True, frozen=True)
class Sending:
    """What is being sent, and for whom: the id of an account."""

    provider: str
    flow: str
    account: str
    name: str
    size: int


@dataclass(slots=True, frozen=True)
class Unfinished:
    """An upload that can be gone on with, or somebody is busy with (`running`); `begun` is in Unix seconds."""

    key: str
    sending: Sending
    begun: float
    running: bool

    @property
    def id(self) -> str:
        """What it is called where it is listed, and forgotten by."""
        return self.key[:ID_LENGTH]


@dataclass(slots=True, frozen=True)
class Entry:
    """An upload, what it is found by, and whose it is: the id of an account."""

    upload: Upload
    key: str
    account: str
