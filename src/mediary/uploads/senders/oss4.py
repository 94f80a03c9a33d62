"""Alibaba's signature version 4 for its object storage: OSS4-HMAC-SHA256, in headers and in links."""

import hashlib
import hmac
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from msgspec import Struct

ALGORITHM = "OSS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
"""Stands for the hash of the body: bodies are not signed."""

_REQUEST = "aliyun_v4_request"
_SIGNED = ("content-type", "content-md5")


class Keys(Struct, frozen=True):
    """What requests are signed with; `security_token` goes along with keys that are lent for a while."""

    access_key_id: str
    access_key_secret: str
    security_token: str | None = None

    def __repr__(self) -> str:
        return "Keys(…)"


@dataclass(slots=True, frozen=True)
class Request:
    """A request to the storage. `key` and `params` are plain, not percent-encoded; an empty value is a bare name."""

    method: str
    bucket: str
    key: str
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None

    @property
    def query(self) -> str:
        """The parameters as they stand in a URL."""
        return _query((self.params or {}).items())

    def canonical(self, additional: Collection[str] = ()) -> str:
        """The one way of writing the request down that is signed."""
        uri = quote(f"/{self.bucket}/{self.key}", safe="/")
        headers = {name.lower(): value.strip() for name, value in (self.headers or {}).items()}
        signed = "".join(
            f"{name}:{headers[name]}\n" for name in sorted(headers) if _is_signed(name) or name in additional
        )
        return "\n".join((self.method, uri, self.query, signed, ";".join(additional), UNSIGNED))

    def additional(self, names: Iterable[str]) -> list[str]:
        """Of the names of further headers to sign, those that are there and are not signed anyway."""
        there = {name.lower() for name, value in (self.headers or {}).items() if value}
        return sorted({name.lower() for name in names if not _is_signed(name.lower())} & there)


@dataclass(slots=True, frozen=True)
class Signer:
    """Signs for one region at one time; `date` is in UTC, as `20260102T030405Z`."""

    keys: Keys
    region: str
    date: str
    product: str = "oss"

    @property
    def scope(self) -> str:
        """What a signature is good for."""
        return "/".join((self.date[:8], self.region, self.product, _REQUEST))

    def string_to_sign(self, canonical: str) -> str:
        """The text that is signed, for a canonical request."""
        return "\n".join((ALGORITHM, self.date, self.scope, hashlib.sha256(canonical.encode()).hexdigest()))

    def signature(self, canonical: str) -> str:
        """The signature of a canonical request, in hex."""
        key = f"aliyun_v4{self.keys.access_key_secret}".encode()
        for part in self.scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, self.string_to_sign(canonical).encode(), "sha256").hex()

    def headers(self, request: Request, additional: Iterable[str] = ()) -> dict[str, str]:
        """All headers to send: those of the request, and those that prove who sends it.

        `additional` names further headers to sign; those that are not among the request's are left out.
        """
        headers = {**(request.headers or {}), "x-oss-content-sha256": UNSIGNED, "x-oss-date": self.date}
        if self.keys.security_token:
            headers["x-oss-security-token"] = self.keys.security_token
        whole = Request(request.method, request.bucket, request.key, request.params, headers)
        names = whole.additional(additional)
        credential = f"{ALGORITHM} Credential={self.keys.access_key_id}/{self.scope}"
        further = f",AdditionalHeaders={';'.join(names)}" if names else ""
        return {
            **headers,
            "authorization": f"{credential}{further},Signature={self.signature(whole.canonical(names))}",
        }

    def presign(self, url: str, request: Request, seconds: int, additional: Iterable[str] = ()) -> str:
        """A link that is good for `seconds`: `url`, which has no query yet, with the parameters and the signature.

        Whoever uses it has to send the signed headers of the request: its content type, if it has one, among them.
        """
        names = request.additional(additional)
        params = {
            **(request.params or {}),
            "x-oss-signature-version": ALGORITHM,
            "x-oss-date": self.date,
            "x-oss-expires": str(seconds),
            "x-oss-credential": f"{self.keys.access_key_id}/{self.scope}",
        }
        if self.keys.security_token:
            params["x-oss-security-token"] = self.keys.security_token
        if names:
            params["x-oss-additional-headers"] = ";".join(names)
        whole = Request(request.method, request.bucket, request.key, params, request.headers)
        return f"{url}?{whole.query}&x-oss-signature={self.signature(whole.canonical(names))}"


def now() -> str:
    """The present, as signatures have it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def _is_signed(name: str) -> bool:
    """Whether a header is signed wherever it is sent; `name` is in lower case."""
    return name.startswith("x-oss-") or name in _SIGNED


def _query(params: Iterable[tuple[str, str]]) -> str:
    """Parameters encoded and sorted."""
    encoded = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in params)
    return "&".join(f"{name}={value}" if value else name for name, value in encoded)
