"""Sends a request to a service over HTTP, with one retry, and reads the answer; every failure is a ProviderError."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from yarl import URL

from mediary.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    StreamInterruptedError,
)
from mediary.net.client import PROVIDER_FAILURES, Failures, HttpClient, translated
from mediary.providers.http.redaction import forms_of, scrub
from mediary.providers.http.refusals import Words, error_for, read_words, retry_after, shorten

# Once an answer has begun, whatever goes wrong has broken it off.
_BROKEN_OFF = Failures(StreamInterruptedError, ProviderTimeoutError, StreamInterruptedError)

MAX_REFUSAL = 64 * 1024
"""Bytes of a refusal that are read."""
MAX_WAIT = 2.0
"""Seconds that a service may ask to wait and still be asked a second time."""
_WAIT = 0.1
_LARGE = 256 * 1024
_LEFT = 0.1  # seconds for the end of a body whose content is whole

# Headers that hold credentials; others may hold words that are public as well.
_CREDENTIALS = re.compile(r"auth|key|token|secret|cookie|passw", re.IGNORECASE)
_SHORTEST_IN_URL = 8
_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_VERSION = re.compile(r"v\d+[a-z0-9]*")
_HEADER_VALUE = re.compile(r"[ -~\xa0-\xff]*")


def is_header(name: str, value: str) -> bool:
    """Whether a header can be sent: a good name, and a value without control characters and within Latin-1."""
    return bool(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value))


def public_url(base_url: str | None) -> str | None:
    """A base URL as clients may see it: without user, password, query and fragment, where keys are written too."""
    try:
        parts = urlsplit(base_url or "")
    except ValueError:
        return None
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl() or None


def with_version(base_url: str, version: str) -> str:
    """The base URL with the version of the API, which official libraries write without it."""
    url = base_url.rstrip("/")
    return url if _VERSION.fullmatch(url.rpartition("/")[2]) else f"{url}/{version}"


Mend = Callable[[Words], bytes | None]
"""Given what a service refused a request with, the body to ask with instead; None if there is none."""


class Outgoing(Protocol):
    """A body that is read while it is sent, from its beginning for each attempt; `size` is in bytes."""

    size: int

    def pieces(self) -> AsyncIterator[bytes]:
        """All of it, in pieces."""
        ...


@dataclass(slots=True, frozen=True)
class Call:
    """A request: `deadline` is for all of it, in the loop's time, `between` for the wait for each piece, in seconds.

    `first` stands for `between` until the first piece, which a service may have to prepare for.
    `headers` hold no secret; one that the service has from the operator, too, goes as the operator wrote it.
    """

    method: str
    path: str
    deadline: float
    between: float
    first: float
    body: bytes | Outgoing | None = field(default=None, repr=False)
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    mend: Mend = field(default=lambda words: None, repr=False)


class Refusal(Exception):  # noqa: N818 - it never leaves this module
    """The service answered with an error status."""

    def __init__(self, status: int, words: Words, wait: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.words = words
        self.wait = wait

    @property
    def patience(self) -> float | None:
        """How long to wait before asking again; None if that would not help."""
        if self.status in (502, 503, 504, 529):
            return min(self.wait or _WAIT, MAX_WAIT)
        if self.status == 429 and self.wait is not None and self.wait <= MAX_WAIT:
            return self.wait
        return None


class _Body(Protocol):
    """The body of an answer, as the HTTP client hands it out."""

    async def readany(self) -> bytes: ...
    def read_nowait(self, n: int = -1, /) -> bytes: ...


class Pieces:
    """The pieces of a body as they come; what had come before it broke is yielded before that is raised.

    No generator: the connection may be closed while somebody still waits for the next piece.
    """

    def __init__(self, url: str, call: Call, body: _Body) -> None:
        self._url = url
        self._call = call
        self._body = body
        self._ready: list[bytes] = []
        self._broken: ProviderError | None = None
        self._patience = call.first

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._ready:
            return self._ready.pop()
        if self._broken:
            raise self._broken
        try:
            chunk = await self._read()
        except StreamInterruptedError as error:
            self._broken = error
            chunk = self._unread()
            if not chunk:
                raise
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def peek(self) -> bytes:
        """The next piece, without taking it; empty at the end."""
        chunk = await anext(self, b"")
        if chunk:
            self._ready.append(chunk)
        self._patience = self._call.between
        return chunk

    async def _read(self) -> bytes:
        call = self._call
        with translated(self._url, _BROKEN_OFF):
            now = _now()
            if now >= call.deadline:
                # What is in the buffer would be had without waiting, however late it is.
                raise TimeoutError
            async with asyncio.timeout_at(min(call.deadline, now + self._patience)):
                return await self._body.readany()

    def _unread(self) -> bytes:
        """What lies in the buffer of a broken body: the client gives it to nobody once the failure is noted."""
        body: Any = self._body
        body.set_exception(None)
        return bytes(body.read_nowait())


@dataclass(slots=True)
class Answer:
    """A good answer whose first bytes are there: `chunks` begins with them; `headers` are looked up in any case."""

    content_type: str
    head: bytes
    chunks: AsyncIterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_events(self) -> bool:
        """Whether the body is a stream of events; told by its first byte, since content types lie."""
        begin = self.head.lstrip()
        return not begin.startswith((b"{", b"[", b"<")) if begin else "json" not in self.content_type

    @property
    def is_lines(self) -> bool:
        """Whether the body is JSON, a value a line, and no web page."""
        return not self.head.lstrip().startswith(b"<")

    async def read(self, limit: int) -> bytes:
        """The whole body; ProviderError if it is larger than `limit` bytes."""
        found, size = [], 0
        async for chunk in self.chunks:
            found.append(chunk)
            size += len(chunk)
            if size > limit:
                raise ProviderError(f"the answer is larger than {limit} bytes")
        return b"".join(found)

    async def drain(self) -> None:
        """Read what is left, if it is here already: then the connection can serve the next request."""
        try:
            async with asyncio.timeout(_LEFT):
                async for _ in self.chunks:
                    pass
        except (TimeoutError, ProviderError):
            pass  # it is closed instead


@dataclass(slots=True, frozen=True)
class Service:
    """Where a provider's API is and with which credentials; `trusted` if the operator said so, not a request.

    The key goes in `key_header`: as it is, but in `Authorization` as a bearer's.
    """

    name: str
    http: HttpClient = field(repr=False)
    base_url: str
    key: str | None = field(default=None, repr=False)
    further_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    trusted: bool = False
    key_header: str = "Authorization"

    @property
    def headers(self) -> dict[str, str]:
        """The credentials, as headers; one of the further headers that bears a key stands for this one."""
        own = {name.casefold() for name in self.further_headers}
        if not self.key or own & {"authorization", self.key_header.casefold()}:
            return dict(self.further_headers)
        value = f"Bearer {self.key}" if self.key_header == "Authorization" else self.key
        return {self.key_header: value, **self.further_headers}

    @property
    def secrets(self) -> list[str]:
        """What no message may show: the key and the values of the headers, in every form."""
        return forms_of([self.key or "", self._password, *self.further_headers.values()])

    @property
    def credentials(self) -> list[str]:
        """What no URL may show; a header such as `X-Title` may stand in one, and so may a key such as `ollama`."""
        values = (value for name, value in self.further_headers.items() if _CREDENTIALS.search(name))
        keys = [form for form in forms_of([self.key or "", *values]) if len(form) >= _SHORTEST_IN_URL]
        return keys + forms_of([self._password])

    @property
    def _password(self) -> str:
        """The one that stands in the base URL."""
        try:
            return URL(self.base_url).password or ""
        except ValueError:
            return ""

    @property
    def origin(self) -> str:
        """Scheme, host and port of the service."""
        return str(URL(self.base_url).origin())

    @property
    def domain(self) -> str:
        """The last two labels of the host, by which well-known services are told apart."""
        return ".".join((urlsplit(self.base_url).hostname or "").split(".")[-2:])

    def is_own(self, url: str) -> bool:
        """Whether a URL is of the origin of the service itself."""
        try:
            return str(URL(url).origin()) == self.origin
        except ValueError:
            return False

    def hiding(self, error: ProviderError) -> ProviderError:
        """The error, without any secret in the service's words."""
        error.message = shorten(scrub(error.message, self.secrets))
        error.args = (error.message,)
        return error

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        total: float,
        between: float | None = None,
        first: float | None = None,
        **how: Any,
    ) -> AsyncIterator[Answer]:
        """Ask; leaving the block closes the connection if the answer was not read to its end.

        `total`, `between` and `first` are in seconds: for the whole, for each piece, and for the first one where that
        may take longer. `how` are the other fields of `Call`.
        Every failure, of the reading as well, is a ProviderError.
        """
        deadline = _now() + total
        between = total if between is None else between
        call = Call(method, path, deadline, between, between if first is None else first, **how)
        try:
            async with AsyncExitStack() as stack:
                yield await self._answer(call, stack)
        except ProviderError as error:
            self.hiding(error)
            raise

    async def _answer(self, call: Call, stack: AsyncExitStack) -> Answer:
        """Ask until there is an answer: with a mended body where there is one, and once more where a retry may help."""
        asked_again = False
        while True:
            try:
                return await self._ask(call, stack)
            except Refusal as refusal:
                mended = call.mend(refusal.words) if refusal.status in (400, 422) else None
                if mended is not None:
                    call = replace(call, body=mended)
                    continue
                wait = refusal.patience
                if asked_again or wait is None or call.deadline < _now() + wait:
                    error = error_for(self.name, refusal.words, refusal.status, refusal.wait)
                    error.answered = refusal.status
                    raise error from None
            except (ProviderUnavailableError, StreamInterruptedError):
                if asked_again:
                    raise
                wait = _WAIT
            asked_again = True
            # Somewhat longer than asked, and not the same for all who wait.
            await asyncio.sleep(wait * random.uniform(1.0, 1.5))  # noqa: S311 - no secret

    async def _ask(self, call: Call, stack: AsyncExitStack) -> Answer:
        url = self.base_url.rstrip("/") + call.path
        headers = self.headers
        own = {name.casefold() for name in headers}
        headers |= {name: value for name, value in call.headers.items() if name.casefold() not in own}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        if not isinstance(call.body, bytes | None):
            headers["Content-Length"] = str(call.body.size)
        async with AsyncExitStack() as attempt:
            with translated(url, PROVIDER_FAILURES):
                async with asyncio.timeout_at(_until(call)):
                    request = self.http.request(
                        call.method, url, trusted=self.trusted, data=_sendable(call.body), headers=headers
                    )
                    response = await attempt.enter_async_context(request)
            chunks = Pieces(url, call, response.content)
            if response.status >= 300:
                raise Refusal(response.status, await self._words(chunks), retry_after(response.headers))
            head = await chunks.peek()
            stack.push_async_exit(attempt.pop_all())
            content_type = response.headers.get("Content-Type", "").casefold()
            return Answer(content_type, head, chunks, response.headers)

    async def _words(self, chunks: AsyncIterator[bytes]) -> Words:
        """What a refusal says, as far as it comes."""
        body = b""
        try:
            async for chunk in chunks:
                body += chunk
                if len(body) >= MAX_REFUSAL:
                    break
        except ProviderError:
            pass  # the status tells enough
        return read_words(body)


def _sendable(body: bytes | Outgoing | None) -> bytes | BytesIO | AsyncIterator[bytes] | None:
    """A body as the HTTP client wants it: a large one as a file, which goes out in pieces."""
    if not isinstance(body, bytes | None):
        return body.pieces()
    return BytesIO(body) if body is not None and len(body) > _LARGE else body


def _now() -> float:
    return asyncio.get_running_loop().time()


def _until(call: Call) -> float:
    return min(call.deadline, _now() + call.first)
