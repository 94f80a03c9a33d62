"""Azure Blob Storage behind a signed link: one PUT, or blocks side by side where the file is large."""

import base64
from collections.abc import Iterable
from functools import partial
from urllib.parse import parse_qs, quote, urlsplit

from msgspec import Struct

from mediary.errors import UploadRefusedError
from mediary.uploads.base import File, Progress, Sent
from mediary.uploads.senders.parts import Tally, side_by_side
from mediary.uploads.senders.presigned_put import check_md5, put, unsigned
from mediary.uploads.transport import Slice, Transport, persistently

MIB = 1024 * 1024
SINGLE_BYTES = 64 * MIB
"""Up to this size a file goes in one PUT."""
BLOCK_BYTES = 8 * MIB
MAX_BLOCKS = 50_000
MAX_PUT_BYTES = 5000 * MIB

_VERSION = {"x-ms-version": "2020-04-08"}


class AzureBlob(Struct):
    """Sends a file to the blob at `url`, which bears its own signature; `origin` is that of the site it comes from.

    `done` are the numbers of the blocks that have arrived.
    """

    url: str
    origin: str
    media_type: str
    single_bytes: int = SINGLE_BYTES
    block_bytes: int = BLOCK_BYTES
    done: list[int] = []

    async def send(self, transport: Transport, file: File, progress: Progress) -> Sent:
        """Send what is missing; UploadDamagedError if the storage has kept other bytes."""
        if file.size > self.single_bytes and not (_creates_only(self.url) and file.size <= MAX_PUT_BYTES):
            return await self._send_blocks(transport, file, progress)
        headers = {
            "Content-Type": self.media_type,
            "Origin": self.origin,
            "x-ms-blob-type": "BlockBlob",
            **_VERSION,
        }
        sent = await put(transport, self.url, file, headers, progress)
        check_md5(transport.name, file, sent)
        return sent

    def is_worth_keeping(self) -> bool:
        """Whether blocks have arrived."""
        return bool(self.done)

    def __repr__(self) -> str:
        """Without what signs the link."""
        return f"AzureBlob({unsigned(self.url)!r}, {len(self.done)} blocks done)"

    async def _send_blocks(self, transport: Transport, file: File, progress: Progress) -> Sent:
        blocks = split(file.size, self.block_bytes)
        there = set(self.done)
        tally = Tally(progress, sum(end - start for number, (start, end) in enumerate(blocks) if number in there))

        async def send(number: int) -> None:
            start, end = blocks[number]
            body = Slice(file.content, start, end, tally.part(start))
            url = self._with(f"comp=block&blockid={quote(block_id(number), safe='')}")
            await persistently(partial(transport.store, "PUT", url, body=body, headers=_VERSION))
            self.done.append(number)

        await side_by_side(send, [number for number in range(len(blocks)) if number not in there])
        try:
            return await self._join(transport, file, range(len(blocks)))
        except UploadRefusedError as error:
            if error.answered != 400 or not there:
                raise
        # After a week the storage forgets blocks that were never joined: those of another time are gone.
        self.done.clear()
        return await self._send_blocks(transport, file, progress)

    async def _join(self, transport: Transport, file: File, numbers: Iterable[int]) -> Sent:
        """Make a blob of the blocks. The MD5 is kept with it as it would be after one PUT."""
        latest = "".join(f"<Latest>{block_id(number)}</Latest>" for number in numbers)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{latest}</BlockList>'.encode()
        headers = {
            "Content-Type": "application/xml",
            "x-ms-blob-content-type": self.media_type,
            "x-ms-blob-content-md5": file.content_md5,
            **_VERSION,
        }
        url = self._with("comp=blocklist")
        return (await persistently(partial(transport.store, "PUT", url, body=body, headers=headers))).sent

    def _with(self, query: str) -> str:
        return f"{self.url}{'&' if '?' in self.url else '?'}{query}"


def split(size: int, block_bytes: int = BLOCK_BYTES) -> list[tuple[int, int]]:
    """Where the blocks of a file begin and end; they are larger where there would be more than a blob may have."""
    least = -(-size // MAX_BLOCKS)
    length = max(block_bytes, -(-least // MIB) * MIB if least > block_bytes else 0)
    return [(start, min(start + length, size)) for start in range(0, size, length)]


def block_id(number: int) -> str:
    """The name of a block, in base64; all are of one length, as Azure wants them."""
    return base64.b64encode(f"{number:06}".encode()).decode()


def _creates_only(url: str) -> bool:
    """Whether a link may create a blob and not write to one: it takes no blocks."""
    permissions = parse_qs(urlsplit(url).query).get("sp", [""])[0]
    return "c" in permissions and "w" not in permissions
