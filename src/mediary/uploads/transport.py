"""The requests of uploads: to a provider's own API with an account's headers, to its storage without any."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import msgspec
from yarl import URL

from mediary.errors import (
    AddressRefusedError,
    BadRequestError,
    ChallengeError,
    MediaryError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    StreamInterruptedError,
    UploadBrokenOffError,
    UploadRefusedError,
)
from mediary.net.client import PROVIDER_FAILURES, HttpClient, translated
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.redaction import forms_of, scrub
from mediary.providers.http.refusals import Words, error_for, read_words, retry_after, shorten
from mediary.uploads.base import Account, Content, Progress, Sent

T = TypeVar("T")

SECONDS = 120.0
"""How long an answer may take, and a piece of a body in going out."""
MAX_ANSWER = 4 * 1024 * 1024
MAX_REDIRECTS = 5
ATTEMPTS = 3
"""How often a piece is sent before it is given up."""

_FOLLOWED = {307, 308}
_FOLLOWED_BY_GET = {301, 302, 303, *_FOLLOWED}
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""What a storage answers where the same may work a moment later."""
_DELAYS = (0.2, 1.0)

_challenge = re.compile(rb"challenge-platform|cf-chl|just a moment\.\.\.|captcha|turnstile", re.IGNORECASE)
# A link that may bear a signature, also as JSON writes it; what no line of a request can hold.
_link = re.compile(r"""(https?:(?:\\?/){2}[^\s"'<>?]*)\?[^\s"'<>]*""", re.IGNORECASE)
_unfit = re.compile(r"[^!-~]")
# Headers that say who asks, among those that a sender has signed its request with.
_telling = re.compile(r"(proxy-)?authorization|cookie|.+-(security-token|api-key)", re.IGNORECASE)
_xml_words = re.compile(rb"<(Code|Message)>\s*([^<]*?)\s*</\1>", re.IGNORECASE)


class Outgoing(Protocol):
    """A body that is read while it is sent, from its beginning for each attempt."""

    @property
    def size(self) -> int:
        """Its bytes: they become the Content-Length."""
        ...

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """All of it, in pieces."""
        ...


@dataclass(slots=True)
class Slice:
    """Some of a file's bytes as a body; `progress` is told how many of the file are out."""

    content: Content
    start: int = 0
    end: int | None = None
    progress: Progress = lambda _: None

    @property
    def size(self) -> int:
        """Its bytes."""
        return (self.content.size if self.end is None else self.end) - self.start

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes, in pieces."""
        at = self.start
        async with aclosing(self.content.read(self.start, self.end)) as pieces:
            async for piece in pieces:
                yield piece
                at += len(piece)
                self.progress(at)


@dataclass(slots=True, frozen=True)
class Answer:
    """A good answer: header names may be asked for in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def sent(self) -> Sent:
        """What a sender hands on of it."""
        return Sent({name.lower(): value for name, value in self.headers.items()}, self.body)


@dataclass(slots=True)
class _Request:
    """A request on its way from hop to hop; what says who asks is dropped where the origin changes."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | Outgoing | None
    account: Account | None
    seconds: float


class Transport:
    """Requests of one provider's uploads. `name` begins the messages of its errors.

    `base_url` is the operator's word: its origin needs no leave of the guard. Where else a ticket leads, the guard has
    to allow.
    """

    def __init__(self, name: str, http: HttpClient, base_url: str) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._http = http
        self._origin = _origin(URL(self.base_url))

    async def api(
        self,
        method: str,
        path: str,
        account: Account | None,
        *,
        json: Any = None,
        body: bytes | Outgoing | None = None,
        headers: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
        refused: Callable[[Answer], ProviderError | None] = lambda _: None,
        seconds: float = SECONDS,
    ) -> Answer:
        """Ask the provider: `path` is below the base URL, or a whole URL of its origin (of another: no credentials).

        A refusal is a ProviderError with its words (401, 403: MissingAuthError; 429: RateLimitError). One that could
        not be reached is asked a second time, unless a body that is read from somewhere was on its way. `expected` are
        statuses besides 2xx that are good answers. `refused` finds the error in an answer of any status, where the
        service has its own way to say no.
        """
        url = self._url(path if path.startswith(("http://", "https://")) else self.base_url + path)
        fields = dict(headers or {})
        if json is not None:
            body, fields = msgspec.json.encode(json), {"Content-Type": "application/json", **fields}
        own = account if _origin(url) == self._origin else None
        request = _Request(method, url, fields, body, own, seconds)
        try:
            answer = await self._ask_twice(request) if isinstance(body, bytes | None) else await self._ask(request)
            if error := refused(answer):
                raise error
            if answer.status >= 300 and answer.status not in expected:
                raise self._refusal(answer)
        except ProviderError as error:
            error.message = self.discreet(error.message, account)
            error.args = (error.message,)
            raise
        return answer

    async def store(
        self,
        method: str,
        url: str,
        *,
        body: bytes | Outgoing | None = None,
        headers: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
        secrets: Iterable[str] = (),
        seconds: float = SECONDS,
    ) -> Answer:
        """Ask the storage, without credentials: the URL is taken as it is written, for it is signed.

        UploadRefusedError for a status that is neither 2xx nor `expected`; UploadBrokenOffError where the connection
        fails. No error repeats what the URL and the headers are signed with, nor `secrets`, which stand in the body.
        """
        request = _Request(method, self._url(url), headers or {}, body, None, seconds)
        lent = [*request.url.query.values(), *request.headers.values(), *secrets]
        answer = await self._ask(request)
        if not 200 <= answer.status < 300 and answer.status not in expected:
            words = discreet(_storage_words(answer), filter(_is_secret, forms_of(lent)))
            raise UploadRefusedError(
                shorten(f"{self.name}: the storage answered {answer.status}{words and ': '}{words}"), answer.status
            )
        return answer

    def read(self, decoder: msgspec.json.Decoder[T], answer: Answer) -> T:
        """The answer's JSON; ProviderError if it is none, or another."""
        try:
            return decode(decoder, answer.body)
        except UnreadableError as error:
            raise ProviderError(f"{self.name}: its answer cannot be read: {error}") from None

    async def _ask_twice(self, request: _Request) -> Answer:
        try:
            return await self._ask(request)
        except (ProviderUnavailableError, StreamInterruptedError):
            await asyncio.sleep(_DELAYS[0])
            return await self._ask(request)

    async def _ask(self, request: _Request) -> Answer:
        """The first answer that is no redirect to be followed."""
        followed = _FOLLOWED_BY_GET if request.method in ("GET", "HEAD") else _FOLLOWED
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._once(request)
            target = answer.headers.get("Location")
            if answer.status not in followed or not target:
                return answer
            there = self._url(target, request.url)
            if request.url.scheme == "https" and there.scheme == "http":
                raise ProviderError(f"{self.name}: redirects to where requests go without encryption")
            if _origin(there) != _origin(request.url):
                # Dropped for good: a later hop back was not our idea.
                request.account = None
                request.headers = {
                    name: value for name, value in request.headers.items() if not _telling.fullmatch(name)
                }
            request.url = there
        raise ProviderError(f"{self.name}: is behind more than {MAX_REDIRECTS} redirects")

    async def _once(self, request: _Request) -> Answer:
        headers = {**(request.account.headers if request.account else {}), **request.headers}
        if isinstance(request.body, bytes | None):
            data: Any = request.body
            flow = None
        else:
            headers["Content-Length"] = str(request.body.size)
            data = flow = _Flow(request.body, request.seconds)
        try:
            with translated(request.url, PROVIDER_FAILURES):
                async with asyncio.timeout(request.seconds) as deadline, AsyncExitStack() as stack:
                    if flow:
                        data = await stack.enter_async_context(flow.opened(deadline))
                    response = await stack.enter_async_context(
                        self._http.request(
                            request.method,
                            request.url,
                            trusted=_origin(request.url) == self._origin,
                            data=data,
                            headers=headers,
                            skip_auto_headers=() if "Content-Type" in headers else ("Content-Type",),
                        )
                    )
                    answer = Answer(response.status, response.headers, await _body(response.content))
        except AddressRefusedError:
            raise
        except BadRequestError as error:
            # It was the service that asked for it, and not the client.
            raise ProviderError(f"{self.name}: {error.message}") from None
        except (ProviderUnavailableError, StreamInterruptedError) as error:
            if flow is None:
                raise
            if flow.failure:
                raise flow.failure from None
            raise UploadBrokenOffError(error.message, whole=flow.whole) from None
        if flow and flow.given < flow.size and 200 <= answer.status < 300:
            raise ProviderError(f"{self.name}: was content with {flow.given} of {flow.size} bytes")
        return answer

    def discreet(self, words: str, account: Account | None) -> str:
        """The service's words as an error may repeat them: without credentials, and without signatures of links."""
        return discreet(words, forms_of(account.headers.values()) if account else ())

    def challenge(self, said: str) -> ChallengeError:
        """The error where a service wants proof of a browser, which it `said` by a status or in words."""
        return ChallengeError(
            f"{self.name} asks for proof that a browser is at work ({said}). Mediary gives none: "
            "sign in there with a browser, or use the provider's official API"
        )

    def _url(self, text: str, base: URL | None = None) -> URL:
        """A URL that the service gave, to the letter; of a redirect one that may be relative."""
        try:
            url = URL(_unfit.sub(lambda found: quote(found[0]), text), encoded=True)
            url = base.join(url) if base else url
            # A name and a password in it would be sent as credentials, beside ours.
            good = url.scheme in ("http", "https") and bool(url.raw_host) and "@" not in url.raw_authority
        except ValueError:
            good = False
        if not good:
            raise ProviderError(f"{self.name}: points to what is no http(s) URL")
        return url

    def _refusal(self, answer: Answer) -> ProviderError:
        """The error for an answer of the API."""
        if answer.headers.get("cf-mitigated") == "challenge" or (
            answer.status in (401, 403, 418, 428, 429, 503) and _challenge.search(answer.body)
        ):
            return self.challenge(str(answer.status))
        if answer.status < 400:
            return ProviderError(f"{self.name}: redirects ({answer.status}) where it should answer")
        words = read_words(answer.body)
        if not words.message and (said := _storage_words(answer)):
            words = Words(said, body=answer.body)
        return error_for(self.name, words, answer.status, retry_after(answer.headers))


class _Flow:
    """A body on its way out: how much of it the client was given, and what kept it from the rest.

    `whole` is said once the client has asked for more than there is: then all of it was written.
    """

    def __init__(self, body: Outgoing, seconds: float) -> None:
        self._body = body
        self._seconds = seconds
        self._ended = asyncio.Event()
        self.size = body.size
        self.given = 0
        self.whole = False
        self.failure: MediaryError | None = None

    @asynccontextmanager
    async def opened(self, deadline: asyncio.Timeout) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """The pieces; each that is taken gives the next one its time."""
        pieces: Any = self._pieces(deadline)
        try:
            yield pieces
        finally:
            if pieces.ag_running:
                # The client has told its writer to stop, and not waited for it: it stands in the middle of a read.
                await self._ended.wait()
            await pieces.aclose()

    async def _pieces(self, deadline: asyncio.Timeout) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        try:
            async with aclosing(self._body.pieces()) as pieces:
                async for piece in pieces:
                    self.given += len(piece)
                    yield piece
                    deadline.reschedule(loop.time() + self._seconds)
            self.whole = True
        except MediaryError as error:
            # The HTTP client would make a broken connection of it.
            self.failure = error
            raise
        finally:
            self._ended.set()


async def persistently(send: Callable[[], Awaitable[T]]) -> T:
    """Send, and again where the connection broke or the service has a bad moment: `ATTEMPTS` times in all.

    A service that asks to slow down (RateLimitError) is not asked again.
    """
    for delay in (*_DELAYS, None):
        try:
            return await send()
        except (UploadRefusedError, ProviderUnavailableError, StreamInterruptedError, ProviderTimeoutError) as error:
            if delay is None or (isinstance(error, UploadRefusedError) and error.answered not in PASSING):
                raise
            await asyncio.sleep(delay * random.uniform(1.0, 1.5))  # noqa: S311 - no secret
    raise AssertionError("the last attempt returns or raises")


def discreet(text: str, secrets: Iterable[str] = ()) -> str:
    """A service's words, without secrets (of `forms_of`) and what links are signed with, at the length of a message."""
    return shorten(_link.sub(r"\1?…", scrub(text, secrets)))


def _is_secret(value: str) -> bool:
    """Whether a value of a signed request may be one: signatures and tokens are long and have no spaces."""
    return len(value) >= 20 and " " not in value


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _storage_words(answer: Answer) -> str:
    """What a storage says: the code and message of its XML, its header where the body is empty, or its text."""
    found = {name.lower(): value.decode("utf-8", "replace") for name, value in _xml_words.findall(answer.body)}
    if found:
        said = ": ".join(filter(None, (found.get(b"code"), found.get(b"message"))))
        return " ".join(unescape(said).split())
    return answer.headers.get("x-ms-error-code") or read_words(answer.body).message


async def _body(content: Any) -> bytes:
    """The beginning of an answer's body; all of it, if it is no longer than that."""
    body = bytearray()
    while len(body) < MAX_ANSWER and (chunk := await content.readany()):
        body += chunk
    return bytes(body[:MAX_ANSWER])
