"""Parts of a file for an OpenAI Upload: several at a time, in any order."""

import time
from urllib.parse import quote

import msgspec
from msgspec import Struct

from mediary.errors import ProviderError, UploadRefusedError
from mediary.providers.http.form import Form
from mediary.uploads.base import Account, File, Progress, Sent
from mediary.uploads.senders.parts import Tally, side_by_side
from mediary.uploads.transport import Slice, Transport, persistently

PART = 64 * 1024 * 1024
"""Bytes of a part at most."""


class OpenAIParts(Struct, tag="parts"):
    """Sends the parts that are missing to the upload `upload_id` of the provider's own API.

    Which part stands where is told when the upload is completed, which is the flow's business: `part_ids` has them.
    `ends_at` is when the provider drops an upload that is not complete, in Unix seconds.
    """

    upload_id: str
    account: Account
    part_bytes: int = PART
    ends_at: float | None = None
    arrived: dict[int, str] = {}
    """The ids of the parts that are there, by number."""

    async def send(self, transport: Transport, file: File, progress: Progress) -> Sent:
        """Send what is missing; UploadRefusedError (410) if the upload has ended meanwhile."""
        if self.is_over:
            raise self._ended(transport)
        spans = [(start, min(start + self.part_bytes, file.size)) for start in range(0, file.size, self.part_bytes)]
        tally = Tally(progress, sum(spans[number][1] - spans[number][0] for number in self.arrived))

        async def send(number: int) -> None:
            start, end = spans[number]
            content = Slice(file.content, start, end, tally.part(start))
            self.arrived[number] = await self._send_part(transport, content)

        try:
            await side_by_side(send, [number for number in range(len(spans)) if number not in self.arrived])
        except ProviderError:
            if self.is_over:
                raise self._ended(transport) from None
            raise
        return Sent()

    def is_worth_keeping(self) -> bool:
        """Whether a part has arrived, and the provider still has it."""
        return bool(self.arrived) and not self.is_over

    @property
    def path(self) -> str:
        """Where the upload is, below the base URL."""
        return f"/uploads/{quote(self.upload_id, safe='')}"

    @property
    def part_ids(self) -> list[str]:
        """The ids of the parts, in the order of the file."""
        return [self.arrived[number] for number in sorted(self.arrived)]

    @property
    def is_over(self) -> bool:
        """Whether the provider has dropped the upload by now."""
        return self.ends_at is not None and time.time() >= self.ends_at

    def _ended(self, transport: Transport) -> UploadRefusedError:
        return UploadRefusedError(f"{transport.name}: the upload was not complete in the time that it had", 410)

    async def _send_part(self, transport: Transport, content: Slice) -> str:
        """One part, again where that failed on the way; the id that it was given."""
        form = Form([], "data", "upload", "application/octet-stream", content)
        path = f"{self.path}/parts"
        headers = {"Content-Type": form.content_type}
        answer = await persistently(lambda: transport.api("POST", path, self.account, body=form, headers=headers))
        part = transport.read(_parts, answer)
        if not part.id:
            raise ProviderError(f"{transport.name}: its answer to a part of the upload has no id")
        return part.id


class _Part(Struct):
    """The answer to a part."""

    id: str | None = None


_parts = msgspec.json.Decoder(_Part)
