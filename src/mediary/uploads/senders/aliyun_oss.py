"""Alibaba's object storage: one PUT, or parts side by side, signed with keys that are lent for the upload."""

import hashlib
import html
import re
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

from msgspec import Struct

from mediary.errors import ProviderError, UploadDamagedError, UploadRefusedError
from mediary.net.client import user_agent as our_name
from mediary.uploads.base import File, Progress, Sent
from mediary.uploads.senders.oss4 import Keys, Request, Signer, now
from mediary.uploads.senders.parts import Tally, side_by_side
from mediary.uploads.senders.presigned_put import check_md5, send_whole
from mediary.uploads.transport import Answer, Outgoing, Slice, Transport, persistently

FALLBACK_BUCKET = "qwen-webui-prod"
FALLBACK_REGION = "ap-southeast-1"

MAX_PARTS = 10_000
_MIB = 1024 * 1024

_host = re.compile(
    r"(?:(?P<bucket>[a-z0-9-]+)\.)?(?:oss-(?P<region>[a-z0-9-]+?)(?:-internal)?|(?P<dual>[a-z0-9-]+)\.oss)\.aliyuncs\.com"
)
_upload_id = re.compile(rb"<UploadId>\s*([^<]+?)\s*</UploadId>")
_md5 = re.compile(r"[0-9a-fA-F]{32}")


class AliyunOSS(Struct, kw_only=True):
    """Puts a file at `url`, which is where `key` lies in `bucket`, without a query.

    Up to `single_bytes` it goes in one PUT; what is larger goes in parts of `part_bytes` or, where that would be more
    than there may be, larger ones. `upload_id` and `parts`, the ETags by number, are what has arrived of these.
    """

    url: str
    bucket: str
    key: str
    region: str
    keys: Keys
    single_bytes: int = 64 * _MIB
    part_bytes: int = 16 * _MIB
    upload_id: str | None = None
    parts: dict[int, str] = {}

    async def send(self, transport: Transport, file: File, progress: Progress) -> Sent:
        """Send what is missing; UploadDamagedError if the storage has kept other bytes."""
        if file.size <= self.single_bytes:
            return await self._put(transport, file, progress)
        if self.upload_id is None:
            self.upload_id = await self._begin(transport, file)
        await self._send_parts(transport, file, progress)
        return await self._complete(transport)

    def is_worth_keeping(self) -> bool:
        """Whether a part has arrived."""
        return bool(self.parts)

    async def abort(self, transport: Transport) -> None:
        """Remove the parts; they are gone as well if the storage knows nothing of them."""
        if self.upload_id is None:
            return
        try:
            await persistently(lambda: self._ask(transport, "DELETE", {"uploadId": self.upload_id or ""}))
        except UploadRefusedError as error:
            if error.answered != 404:
                raise
        self.upload_id, self.parts = None, {}

    async def _put(self, transport: Transport, file: File, progress: Progress) -> Sent:
        """All in one."""
        headers = {"Content-Type": file.media_type, "Content-MD5": file.content_md5}

        def put(body: Slice) -> Awaitable[Answer]:
            return self._ask(transport, "PUT", {}, body, headers)

        try:
            # Not 403: these keys may overwrite, so that a refusal of the second attempt says that they have expired.
            sent = await send_whole(file, progress, put, there_already=(409,))
        except UploadRefusedError as error:
            if "InvalidDigest" in error.message:
                raise UploadDamagedError(error.message) from None
            raise
        check_md5(transport.name, file, sent, etag_is_md5=not _is_encrypted(sent.headers))
        return sent

    async def _begin(self, transport: Transport, file: File) -> str:
        """Ask for an upload in parts: its id."""
        answer = await persistently(
            lambda: self._ask(transport, "POST", {"uploads": ""}, b"", {"Content-Type": file.media_type})
        )
        found = _upload_id.search(answer.body)
        if found is None:
            raise ProviderError(f"{transport.name}: the storage has not said which upload the parts are for")
        return html.unescape(found[1].decode("utf-8", "replace"))

    async def _send_parts(self, transport: Transport, file: File, progress: Progress) -> None:
        """The missing parts, some at a time; each that fails is sent again alone."""
        parts = split(file.size, self.part_bytes)
        tally = Tally(progress, sum(end - start for number, (start, end) in parts.items() if number in self.parts))

        async def send(number: int) -> None:
            start, end = parts[number]
            body = Slice(file.content, start, end, tally.part(start))
            self.parts[number] = await self._send_part(transport, number, body)

        await side_by_side(send, [number for number in parts if number not in self.parts])

    async def _send_part(self, transport: Transport, number: int, content: Slice) -> str:
        """One part: its ETag."""
        params = {"partNumber": str(number), "uploadId": self.upload_id or ""}
        body = _Hashed(content)
        answer = await persistently(lambda: self._ask(transport, "PUT", params, body))
        etag = answer.headers.get("ETag", "").strip('"')
        if not etag:
            raise ProviderError(f"{transport.name}: the storage has not said what it kept of part {number}")
        if _md5.fullmatch(etag) and etag.lower() != body.md5 and not _is_encrypted(answer.headers):
            raise UploadDamagedError(
                f"{transport.name}: the storage has kept other bytes of part {number} than were sent"
            )
        return etag

    async def _complete(self, transport: Transport) -> Sent:
        """Make one file of the parts; where the answer was lost, that the upload is gone is as good as the answer."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(self.parts[number])}</ETag></Part>"
            for number in sorted(self.parts)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        asked = False

        async def attempt() -> Sent:
            nonlocal asked
            again, asked = asked, True
            try:
                params, headers = {"uploadId": self.upload_id or ""}, {"Content-Type": "application/xml"}
                return (await self._ask(transport, "POST", params, body, headers)).sent
            except UploadRefusedError as error:
                if again and error.answered == 404:
                    return Sent()
                raise

        return await persistently(attempt)

    async def _ask(
        self,
        transport: Transport,
        method: str,
        params: Mapping[str, str],
        body: bytes | Outgoing | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, signed for the moment in which it is sent."""
        own = {**(headers or {}), "x-oss-user-agent": our_name()}
        request = Request(method, self.bucket, self.key, params, own)
        url = f"{self.url}?{request.query}" if params else self.url
        signed = Signer(self.keys, self.region, now()).headers(request)
        return await transport.store(method, url, body=body, headers=signed)


def split(size: int, part_bytes: int) -> dict[int, tuple[int, int]]:
    """Where the parts of a file begin and end, by number; they are larger where there would be more than there may."""
    length = max(part_bytes, -(-size // MAX_PARTS))
    return {number: (start, min(start + length, size)) for number, start in enumerate(range(0, size, length), 1)}


def _is_encrypted(headers: Mapping[str, str]) -> bool:
    """Whether the storage encrypts what it keeps: the ETags may be other sums then."""
    return "x-oss-server-side-encryption" in headers


class _Hashed:
    """A body whose MD5 is known, in hex, when it has gone out."""

    def __init__(self, body: Outgoing) -> None:
        self._body = body
        self.size = body.size
        self.md5 = ""

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The pieces of the body."""
        md5 = hashlib.md5(usedforsecurity=False)
        async with aclosing(self._body.pieces()) as pieces:
            async for piece in pieces:
                md5.update(piece)
                yield piece
        self.md5 = md5.hexdigest()


def get_oss_headers(
    method: str, date: str, sts_data: Mapping[str, Any], content_type: str, *, user_agent: str | None = None
) -> dict[str, str]:
    """The headers for a request without a query to where a ticket for keys (`getstsToken`) points.

    `date` is in UTC, as `20260102T030405Z`; `sts_data` are the ticket's `access_key_id`, `access_key_secret`,
    `security_token`, `file_path` and, where it has them, `bucketname`, `region` and `file_url`. `user_agent` is
    the name to send instead of our own.
    """
    keys = Keys(sts_data["access_key_id"], sts_data["access_key_secret"], sts_data.get("security_token"))
    url = sts_data.get("file_url") or ""
    bucket = sts_data.get("bucketname") or bucket_of(url) or FALLBACK_BUCKET
    headers = {"Content-Type": content_type, "x-oss-user-agent": user_agent or our_name()}
    request = Request(method, bucket, sts_data["file_path"], headers=headers)
    return Signer(keys, region_of(url, sts_data.get("region")), date).headers(request)


def bucket_of(url: str) -> str | None:
    """The bucket that the host of a URL names."""
    found = _host.fullmatch(_host_of(url))
    return found["bucket"] if found else None


def region_of(url: str, named: str | None = None) -> str:
    """The region: the one that was named (`oss-cn-hangzhou`, too), that of the URL's host, or the fallback."""
    if named:
        return named.removeprefix("oss-")
    found = _host.fullmatch(_host_of(url))
    region = (found["region"] or found["dual"]) if found else None
    return region if region and not region.startswith("accelerate") else FALLBACK_REGION


def _host_of(url: str) -> str:
    """The host of a URL, empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # `http://[` and the like
        return ""


def place_of(url: str) -> str:
    """A link without its query, in characters that a request line can bear."""
    return quote(url.partition("?")[0].partition("#")[0], safe="%/:@[]!$&'()*+,;=~")
