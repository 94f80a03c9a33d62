"""Every error the product raises: a stable code, an HTTP status, and whether a retry may help."""

from typing import ClassVar


class MediaryError(Exception):
    """The root of the tree; `str(error)` is a sentence for the person who caused or must mend it."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SettingsError(MediaryError):
    """The settings cannot be used as they are: the start stops."""

    code = "settings"


class BadRequestError(MediaryError):
    """The request is malformed."""

    code = "bad_request"
    status = 400


class AddressRefusedError(BadRequestError):
    """A URL leads to an address that requests may not reach."""

    code = "address_refused"


class UnauthorizedError(MediaryError):
    """No key, or a wrong one, for this server."""

    code = "unauthorized"
    status = 401


class ForbiddenError(MediaryError):
    """The key is good, the thing is somebody else's."""

    code = "forbidden"
    status = 403


class NotFoundError(MediaryError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class MethodNotAllowedError(MediaryError):
    """The path exists, the method does not; `allowed` are those that do."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, method: str, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(f"{method} is not for this path" + (f"; use {' or '.join(allowed)}" if allowed else ""))
        self.allowed = allowed


class ConflictError(MediaryError):
    """The thing changed, or exists already."""

    code = "conflict"
    status = 409


class PreconditionFailedError(MediaryError):
    """The file is not the one that the request was meant for."""

    code = "precondition_failed"
    status = 412


class TooLargeError(MediaryError):
    """More bytes than the limit allows."""

    code = "too_large"
    status = 413


class UnsupportedTypeError(MediaryError):
    """Bytes of a type that is not taken here."""

    code = "unsupported_type"
    status = 415


class UnreadableError(UnsupportedTypeError):
    """Bytes that are not what they claim to be, or that ask for more time, memory or pixels than they may have."""

    code = "unreadable"


class MissingExtraError(MediaryError):
    """What was asked for takes an extra that is not installed; the message says how to install it."""

    code = "missing_extra"
    status = 501


class RangeNotSatisfiableError(MediaryError):
    """No byte of the range exists; `size` is how many there are."""

    code = "range_not_satisfiable"
    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes, none of them in the range")
        self.size = size


class FieldError(MediaryError):
    """A field fails validation; `field` names it."""

    code = "invalid_field"
    status = 422

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class StoreError(MediaryError):
    """The media store cannot be read or written."""

    code = "store_failed"
    status = 503
    retryable = True


class NoSpaceError(MediaryError):
    """The disk is full."""

    code = "no_space"
    status = 507


class DownloadError(MediaryError):
    """A remote file could not be fetched: its server refused, failed or cut the answer."""

    code = "download_failed"
    status = 502


class DownloadTimeoutError(DownloadError):
    """A remote file did not arrive in time."""

    code = "download_timed_out"
    status = 504
    retryable = True


class ProviderError(MediaryError):
    """A provider failed; the message holds its own words. `answered` is its HTTP status, where it refused."""

    code = "provider_failed"
    status = 502
    answered: int | None = None


class ProviderUnavailableError(ProviderError):
    """A provider could not be reached, or answered 5xx."""

    code = "provider_unavailable"
    retryable = True


class ProviderTimeoutError(ProviderError):
    """A provider did not answer in time."""

    code = "provider_timed_out"
    status = 504
    retryable = True


class StreamInterruptedError(ProviderError):
    """A provider's answer broke off before its end."""

    code = "stream_interrupted"
    retryable = True


class BadAnswerError(ProviderError):
    """A provider's answer is none: a web page, JSON that cannot be read, nothing at all."""

    code = "bad_answer"


class ModelNotFoundError(ProviderError):
    """No such model at the provider, or no provider has it."""

    code = "model_not_found"
    status = 404


class MissingAuthError(ProviderError):
    """A provider wants credentials, or refuses those it got."""

    code = "missing_auth"
    status = 401


class UploadRefusedError(ProviderError):
    """The storage behind an upload does not take the bytes; `answered` is its HTTP status."""

    code = "upload_refused"

    def __init__(self, message: str, answered: int) -> None:
        super().__init__(message)
        self.answered = answered


class UploadBrokenOffError(ProviderUnavailableError):
    """The connection broke while bytes were sent; `whole` tells whether all had gone out and only the answer lacks."""

    code = "upload_broken_off"

    def __init__(self, message: str, *, whole: bool) -> None:
        super().__init__(message)
        self.whole = whole


class UploadDamagedError(ProviderError):
    """The storage says that it holds other bytes than those that were sent; a second upload may do better."""

    code = "upload_damaged"


class ChallengeError(ProviderError):
    """A service wants proof that a person sits before a browser; Mediary does not give such proof."""

    code = "challenge"


class RateLimitError(ProviderError):
    """A provider asks to slow down; `retry_after` is in seconds where it says."""

    code = "rate_limited"
    status = 429
    retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BusyError(MediaryError):
    """More wait already than may; a moment later there is room."""

    code = "busy"
    status = 503
    retryable = True


class ShutdownError(MediaryError):
    """The server is stopping and ends what still runs."""

    code = "shutting_down"
    status = 503
    retryable = True


class RunCancelledError(MediaryError):
    """Somebody ended the run."""

    code = "cancelled"
    status = 409


class RunInterruptedError(MediaryError):
    """The process that a run was in has died; what had come is kept."""

    code = "interrupted"
    status = 503
    retryable = True


class DatabaseError(MediaryError):
    """The database cannot be reached, or refuses."""

    code = "database_failed"
    status = 503
    retryable = True


class DatabaseFullError(DatabaseError):
    """The disk of the database is full."""

    code = "no_space"
    status = 507


class SealError(MediaryError):
    """Something was encrypted with another key than the one there is."""

    code = "sealed"
    status = 409


class SandboxError(MediaryError):
    """No child process can be started to read bytes in."""

    code = "sandbox_failed"
    status = 503
    retryable = True
