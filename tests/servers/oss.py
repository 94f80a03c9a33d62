"""Alibaba's object storage: checks every signature with Alibaba's own SDK, which signs the request once more."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from secrets import token_hex
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from aiohttp import BodyPartReader, web
from alibabacloud_oss_v2.signer import SignerV4
from alibabacloud_oss_v2.types import Credentials, HttpRequest, SigningContext

REGION = "eu-central-1"
MIN_PART = 100 * 1024
_SKEW = 15 * 60
_FIELDS = re.compile(
    r"OSS4-HMAC-SHA256 Credential=([^,]+)(?:,\s*AdditionalHeaders=([^,]+))?,\s*Signature=([0-9a-f]{64})"
)


@dataclass
class Stored:
    """An object."""

    data: bytes
    media_type: str
    headers: dict[str, str]


@dataclass
class Parts:
    """An upload in parts that is not finished."""

    bucket: str
    key: str
    media_type: str
    parts: dict[int, bytes] = field(default_factory=dict)
    sent: list[int] = field(default_factory=list)


@dataclass
class Lent:
    """Keys; with a token they are good for one object and for a while."""

    access_key_id: str
    access_key_secret: str
    security_token: str | None = None
    bucket: str | None = None
    key: str | None = None
    ends: float = float("inf")


class Refused(Exception):  # noqa: N818 - it is an answer
    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or code


@dataclass
class Place:
    """Where a request goes."""

    bucket: str
    key: str
    params: dict[str, str]


@dataclass
class OSS:
    """The service. `objects` by (bucket, key); `asked` are the requests that came, as method and query."""

    port: int = 0
    region: str = REGION
    objects: dict[tuple[str, str], Stored] = field(default_factory=dict)
    uploads: dict[str, Parts] = field(default_factory=dict)
    lent: dict[str, Lent] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lend(self, bucket: str | None = None, key: str | None = None, seconds: float = 3600, sts: bool = True) -> Lent:
        """New keys."""
        token = f"CAIS{token_hex(12)}+/==" if sts else None
        lent = Lent(f"STS.{token_hex(8)}", token_hex(20), token, bucket, key, time.time() + seconds)
        self.lent[lent.access_key_id] = lent
        return lent

    def link(self, lent: Lent, bucket: str, key: str, seconds: int = 300, base: str | None = None) -> str:
        """A link to read an object, presigned by the SDK."""
        request = HttpRequest("GET", f"{base or self.url}/{bucket}/{quote(key)}")
        keys = Credentials(lent.access_key_id, lent.access_key_secret, lent.security_token)
        context = SigningContext("oss", self.region, bucket, key, request, keys)
        context.auth_method_query = True
        context.signing_time = datetime.now(UTC).replace(microsecond=0)
        context.expiration_time = datetime.fromtimestamp(context.signing_time.timestamp() + seconds, UTC)
        SignerV4().sign(context)
        return request.url

    async def handle(self, request: web.Request) -> web.Response:
        try:
            self.asked.append(f"{request.method} {request.query_string}")
            self.headers.append(dict(request.headers))
            if "Cookie" in request.headers:
                raise AssertionError("credentials of the provider came to the storage")
            place = find(request)
            if request.method == "POST" and request.content_type == "multipart/form-data":
                return await self._form(request, place.bucket or "dashscope-instant")
            self._check(request, place)
            return await self._do(request, place)
        except Refused as refused:
            body = f"<Error><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message></Error>"
            return web.Response(status=refused.status, text=body, content_type="application/xml")

    def _check(self, request: web.Request, place: Place) -> None:
        """The signature, of the header or of the query."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        if "x-oss-signature" in place.params:
            if "authorization" in headers:
                raise Refused(400, "InvalidArgument", "two signatures")
            self._check_query(request, place, headers)
            return
        found = _FIELDS.fullmatch(headers.get("authorization", ""))
        if found is None:
            raise Refused(403, "AccessDenied", "no signature, or none of version 4")
        if headers.get("x-oss-content-sha256") != "UNSIGNED-PAYLOAD":
            raise Refused(400, "InvalidArgument", "x-oss-content-sha256")
        date = headers.get("x-oss-date", "")
        moment = read_date(date)
        if abs(moment.timestamp() - time.time()) > _SKEW:
            raise Refused(403, "RequestTimeTooSkewed")
        credential, additional, _ = found.groups()
        lent = self._lent(credential, date, headers.get("x-oss-security-token"), place)
        again = self._again(request, place, headers, lent, moment)
        again.additional_headers = set((additional or "").split(";")) - {""}
        SignerV4().sign(again)
        ours = _FIELDS.fullmatch(again.request.headers["Authorization"])
        assert ours
        if not hmac.compare_digest(ours[3], found[3]) or ours[1] != found[1] or ours[2] != found[2]:
            raise Refused(403, "SignatureDoesNotMatch")

    def _check_query(self, request: web.Request, place: Place, headers: Mapping[str, str]) -> None:
        params = place.params
        moment = read_date(params.get("x-oss-date", ""))
        ends = moment.timestamp() + int(params.get("x-oss-expires", "0"))
        if time.time() > ends:
            raise Refused(403, "AccessDenied", "Request has expired.")
        lent = self._lent(
            params["x-oss-credential"], params["x-oss-date"], params.get("x-oss-security-token"), place, reads=True
        )
        again = self._again(request, place, headers, lent, moment)
        again.auth_method_query = True
        again.expiration_time = datetime.fromtimestamp(ends, UTC)
        again.additional_headers = set(params.get("x-oss-additional-headers", "").split(";")) - {""}
        SignerV4().sign(again)
        theirs = set(request.raw_path.partition("?")[2].split("&"))
        if theirs != set(again.request.url.partition("?")[2].split("&")):
            raise Refused(403, "SignatureDoesNotMatch")

    def _lent(self, credential: str, date: str, token: str | None, place: Place, reads: bool = False) -> Lent:
        """The keys that a request was signed with."""
        key_id, _, scope = credential.partition("/")
        if scope != f"{date[:8]}/{self.region}/oss/aliyun_v4_request":
            raise Refused(403, "InvalidArgument", f"the scope is {scope}")
        lent = self.lent.get(key_id)
        if lent is None:
            raise Refused(403, "InvalidAccessKeyId")
        if token != lent.security_token:
            raise Refused(403, "InvalidSecurityToken")
        if not reads and time.time() > lent.ends:
            raise Refused(403, "SecurityTokenExpired", "The security token you provided has expired.")
        if lent.bucket and (lent.bucket, lent.key) != (place.bucket, place.key):
            raise Refused(403, "AccessDenied", "the keys are for another object")
        return lent

    def _again(
        self, request: web.Request, place: Place, headers: Mapping[str, str], lent: Lent, moment: datetime
    ) -> SigningContext:
        """The request as it came, to be signed by the SDK."""
        sent = {name: value for name, value in headers.items() if name != "authorization"}
        again = HttpRequest(request.method, f"http://{request.host}{request.raw_path}", sent)
        keys = Credentials(lent.access_key_id, lent.access_key_secret, lent.security_token)
        return SigningContext("oss", self.region, place.bucket, place.key, again, keys, signing_time=moment)

    async def _do(self, request: web.Request, place: Place) -> web.Response:
        params = {name: value for name, value in place.params.items() if not name.startswith("x-oss-")}
        where = (place.bucket, place.key)
        match request.method, sorted(params):
            case "PUT", []:
                data = await read_body(request)
                self.objects[where] = Stored(data, request.headers.get("Content-Type", ""), dict(request.headers))
                return web.Response(headers={"ETag": etag(data), "Content-MD5": content_md5(data)})
            case "GET", []:
                stored = self.objects.get(where)
                if stored is None:
                    raise Refused(404, "NoSuchKey")
                return web.Response(body=stored.data, headers={"Content-Type": stored.media_type})
            case "POST", ["uploads"] | ["encoding-type", "uploads"]:
                return self._begin(request, place)
            case "PUT", ["partNumber", "uploadId"]:
                return await self._part(request, place, params)
            case "POST", ["uploadId"] | ["encoding-type", "uploadId"]:
                return self._complete(place, params["uploadId"], await read_body(request))
            case "DELETE", ["uploadId"]:
                self._upload(place, params["uploadId"])
                del self.uploads[params["uploadId"]]
                return web.Response(status=204)
        raise Refused(405, "MethodNotAllowed", f"{request.method} {sorted(params)}")

    def _begin(self, request: web.Request, place: Place) -> web.Response:
        upload_id = token_hex(16).upper()
        self.uploads[upload_id] = Parts(place.bucket, place.key, request.headers.get("Content-Type", ""))
        inner = f"<Bucket>{place.bucket}</Bucket><Key>{escape(place.key)}</Key><UploadId>{upload_id}</UploadId>"
        return xml(f"<InitiateMultipartUploadResult>{inner}</InitiateMultipartUploadResult>")

    def _upload(self, place: Place, upload_id: str) -> Parts:
        found = self.uploads.get(upload_id)
        if found is None or (found.bucket, found.key) != (place.bucket, place.key):
            raise Refused(404, "NoSuchUpload")
        return found

    async def _part(self, request: web.Request, place: Place, params: Mapping[str, str]) -> web.Response:
        number = int(params["partNumber"])
        upload = self._upload(place, params["uploadId"])
        if not 1 <= number <= 10_000:
            raise Refused(400, "InvalidArgument", "partNumber")
        data = await read_body(request)
        upload.sent.append(number)
        upload.parts[number] = data
        return web.Response(headers={"ETag": etag(data)})

    def _complete(self, place: Place, upload_id: str, body: bytes) -> web.Response:
        upload = self._upload(place, upload_id)
        named = [(int(part.findtext("PartNumber", "")), part.findtext("ETag", "")) for part in ET.fromstring(body)]
        numbers = [number for number, _ in named]
        if numbers != sorted(set(numbers)) or not numbers:
            raise Refused(400, "InvalidPartOrder")
        for number, tag in named:
            if number not in upload.parts or tag.strip('"') != etag(upload.parts[number]).strip('"'):
                raise Refused(400, "InvalidPart")
        if any(len(upload.parts[number]) < MIN_PART for number in numbers[:-1]):
            raise Refused(400, "EntityTooSmall")
        data = b"".join(upload.parts[number] for number in numbers)
        self.objects[place.bucket, place.key] = Stored(data, upload.media_type, {})
        del self.uploads[upload_id]
        tag = f"{hashlib.md5(data).hexdigest().upper()}-{len(numbers)}"
        inner = f"<Bucket>{place.bucket}</Bucket><Key>{escape(place.key)}</Key><ETag>{tag}</ETag>"
        return xml(f"<CompleteMultipartUploadResult>{inner}</CompleteMultipartUploadResult>", {"ETag": f'"{tag}"'})

    async def _form(self, request: web.Request, bucket: str) -> web.Response:
        """A form with a policy, as browsers send it: the file last, nothing behind it is looked at."""
        if "Content-Length" not in request.headers:
            raise Refused(411, "MissingContentLength")
        if "Authorization" in request.headers:
            raise AssertionError("credentials of the provider came to the storage")
        fields: dict[str, str] = {}
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            assert isinstance(part, BodyPartReader)
            if part.name == "file":
                break
            fields[part.name or ""] = (await part.read()).decode()
        else:
            raise Refused(400, "InvalidArgument", "there is no file")
        data = bytes(await part.read())
        if await reader.next() is not None:
            raise Refused(400, "InvalidArgument", "the file is not last")
        self._check_policy(fields, bucket, len(data))
        key = fields["key"]
        if fields.get("x-oss-forbid-overwrite") == "true" and (bucket, key) in self.objects:
            raise Refused(
                409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten."
            )
        self.objects[bucket, key] = Stored(data, fields.get("x-oss-content-type", ""), {"form": json.dumps([*fields])})
        return web.Response(status=int(fields.get("success_action_status", "204")), headers={"ETag": etag(data)})

    def sign_policy(self, lent: Lent, policy: dict[str, object]) -> tuple[str, str]:
        """A policy and its signature, of version 1, as forms have them."""
        written = base64.b64encode(json.dumps(policy).encode()).decode()
        return written, form_signature(lent, written)

    def _check_policy(self, fields: Mapping[str, str], bucket: str, size: int) -> None:
        lent = self.lent.get(fields.get("OSSAccessKeyId", ""))
        written = fields.get("policy", "")
        if lent is None:
            raise Refused(403, "InvalidAccessKeyId")
        if not hmac.compare_digest(fields.get("Signature", ""), form_signature(lent, written)):
            raise Refused(403, "SignatureDoesNotMatch")
        policy = json.loads(base64.b64decode(written))
        if datetime.fromisoformat(policy["expiration"]) < datetime.now(UTC):
            raise Refused(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        for condition in policy["conditions"]:
            match condition:
                case ["content-length-range", least, most]:
                    good = least <= size <= most
                case ["starts-with", name, start]:
                    good = fields.get(name.removeprefix("$"), "").startswith(start)
                case _:
                    good = all(
                        value == (bucket if name == "bucket" else fields.get(name)) for name, value in condition.items()
                    )
            if not good:
                raise Refused(403, "AccessDenied", f"Invalid according to Policy: {condition}")


def find(request: web.Request) -> Place:
    """The object: its bucket is the first word of the host, or of the path where the host is an address."""
    path, _, query = request.raw_path.partition("?")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    params = {unquote(name): unquote(value) for name, _, value in pairs}
    host = request.host.rpartition(":")[0] or request.host
    try:
        ip_address(host)
    except ValueError:
        return Place(host.partition(".")[0], unquote(path)[1:], params)
    bucket, _, key = path[1:].partition("/")
    return Place(unquote(bucket), unquote(key), params)


async def read_body(request: web.Request) -> bytes:
    """The body; it has to say how long it is, and what its MD5 is has to be true."""
    if "Content-Length" not in request.headers:
        raise Refused(411, "MissingContentLength")
    data = await request.content.read(-1)
    said = request.headers.get("Content-MD5")
    if said is not None and said != content_md5(data):
        raise Refused(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    return data


def read_date(date: str) -> datetime:
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refused(403, "AccessDenied", "x-oss-date") from None


def form_signature(lent: Lent, written: str) -> str:
    return base64.b64encode(hmac.digest(lent.access_key_secret.encode(), written.encode(), "sha1")).decode()


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest().upper()}"'


def content_md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def xml(body: str, headers: Mapping[str, str] | None = None) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>{body}'
    return web.Response(text=text, content_type="application/xml", headers=headers)


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[int]:
    """Serve on loopback; the port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def oss() -> AsyncIterator[OSS]:
    """The storage, empty."""
    storage = OSS()
    app = web.Application(client_max_size=2**32)
    app.router.add_route("*", "/{path:.*}", storage.handle)
    async with served(app) as storage.port:
        yield storage
