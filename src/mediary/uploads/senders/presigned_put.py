"""One PUT of the whole file to a URL that is signed for it."""

import re
from collections.abc import Awaitable, Callable, Collection

from msgspec import Struct

from mediary.errors import ProviderTimeoutError, UploadBrokenOffError, UploadDamagedError, UploadRefusedError
from mediary.uploads.base import File, Progress, Sent
from mediary.uploads.transport import Answer, Slice, Transport, persistently

# What a link that creates only answers the second time: it looks like a refusal, and is the proof of the first.
THERE_ALREADY = (403, 409)

_md5 = re.compile(r'"?([0-9a-fA-F]{32})"?')


class PresignedPut(Struct):
    """Sends a file to `url` with these headers and a Content-Length.

    `etag_is_md5` says that the storage's ETags are MD5 sums, as those of a single PUT to S3 without KMS are; a
    `Content-MD5` in its answer is checked in any case.
    """

    url: str
    headers: dict[str, str] = {}
    etag_is_md5: bool = False

    async def send(self, transport: Transport, file: File, progress: Progress) -> Sent:
        """Send all of it; UploadDamagedError if the storage has kept other bytes."""
        sent = await put(transport, self.url, file, self.headers, progress)
        check_md5(transport.name, file, sent, etag_is_md5=self.etag_is_md5)
        return sent

    def __repr__(self) -> str:
        """Without what signs the link."""
        return f"PresignedPut({unsigned(self.url)!r})"


def unsigned(url: str) -> str:
    """A link without its query: who sees it can do nothing with it."""
    return url.partition("?")[0]


async def put(transport: Transport, url: str, file: File, headers: dict[str, str], progress: Progress) -> Sent:
    """Put the whole file, as `send_whole` does it."""
    return await send_whole(file, progress, lambda body: transport.store("PUT", url, body=body, headers=headers))


async def send_whole(
    file: File,
    progress: Progress,
    send: Callable[[Slice], Awaitable[Answer]],
    there_already: Collection[int] = THERE_ALREADY,
) -> Sent:
    """Send the whole file, by `send`, and again where that failed on the way.

    Where it had gone out whole and the answer was lost, a refusal of the repetition by one of the statuses
    `there_already` is taken for "it is there": an empty `Sent`, and the receipt decides.
    """
    out = 0
    whole = False

    def count(sent: int) -> None:
        nonlocal out
        out = sent
        progress(sent)

    async def attempt() -> Answer:
        nonlocal out, whole
        out = 0
        try:
            return await send(Slice(file.content, progress=count))
        except UploadBrokenOffError as error:
            whole = whole or error.whole
            raise
        except ProviderTimeoutError:
            whole = whole or 0 < out == file.size
            raise

    try:
        return (await persistently(attempt)).sent
    except UploadRefusedError as error:
        if whole and error.answered in there_already:
            return Sent()
        raise


def check_md5(name: str, file: File, sent: Sent, *, etag_is_md5: bool = False) -> None:
    """UploadDamagedError if the storage says that what it kept has another MD5 than the file."""
    kept = sent.headers.get("content-md5")
    etag = _md5.fullmatch(sent.headers.get("etag", "")) if etag_is_md5 else None
    if (kept and kept != file.content_md5) or (etag and etag[1].lower() != file.md5):
        raise UploadDamagedError(f"{name}: the storage has kept other bytes of {file.name} than were sent")
