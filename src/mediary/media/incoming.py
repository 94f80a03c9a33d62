"""The forms in which media arrive, each as a stream of bytes that never holds the whole twice."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from mediary.data_uris import is_data_uri, open_base64, open_data_uri
from mediary.errors import BadRequestError
from mediary.names import get_timestamp
from mediary.net.client import DOWNLOAD_FAILURES, translated

SLICE = 1024 * 1024
"""Bytes that are handled in one go."""


@runtime_checkable
class Streamed(Protocol):
    """A download whose body is on its way; `net.download.Download` is one."""

    @property
    def url(self) -> str:
        """Where it comes from."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        ...

    @property
    def chunks(self) -> AsyncIterable[bytes]:
        """The body."""
        ...


@runtime_checkable
class HttpResponse(Protocol):
    """A response as aiohttp hands it out."""

    @property
    def url(self) -> Any:
        """Where it comes from."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        ...

    @property
    def content(self) -> Any:
        """The body, which has `iter_any()`."""
        ...


Incoming = Mapping[str, Any] | str | bytes | bytearray | memoryview | AsyncIterable[bytes] | Streamed | HttpResponse


@dataclass(slots=True, frozen=True)
class Source:
    """Media on their way in: the bytes, and what was said of them. Leaving its block closes the stream."""

    chunks: AsyncIterable[bytes]
    content_type: str | None = None
    transcript: str | None = None
    url: str | None = None
    timestamp: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if isinstance(self.chunks, AsyncGenerator):
            await self.chunks.aclose()


def read_response(response: Incoming, content_type: str | None = None, transcript: str | None = None) -> Source:
    """Media in any form that a provider answers in; BadRequestError for what is none of them.

    A mapping has `data` and perhaps `mimeType` and `transcript`; a text is base64 or a data URI; bytes are themselves;
    all else is a stream: chunks of bytes, a `Download`, a response of aiohttp.
    """
    match response:
        case {"data": data, **rest}:
            said = _text(rest.get("transcript"))
            return read_response(data, _text(rest.get("mimeType")) or content_type, said or transcript)
        case str():
            return read_text(response, content_type, transcript)
        case bytes() | bytearray() | memoryview():
            return Source(_each(_slices(memoryview(response))), content_type, transcript)
        case Streamed():
            return _from_headers(response.chunks, response.url, response.headers, content_type, transcript)
        case HttpResponse():
            chunks = _body(response)
            return _from_headers(chunks, str(response.url), response.headers, content_type, transcript)
        case AsyncIterable():
            return Source(response, content_type, transcript)
    raise BadRequestError("there are no media in this response: it has no data")


def read_text(text: str, content_type: str | None = None, transcript: str | None = None) -> Source:
    """Media in a base64 text or a data URI."""
    if not is_data_uri(text):
        return Source(_each(open_base64(text)), content_type, transcript)
    media_type, pieces = open_data_uri(text)
    return Source(_each(pieces), media_type or content_type, transcript)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _slices(data: memoryview) -> Iterator[bytes]:
    octets = data.cast("B")
    return (bytes(octets[at : at + SLICE]) for at in range(0, len(octets), SLICE))


async def _each(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _body(response: HttpResponse) -> AsyncGenerator[bytes, None]:
    with translated(str(response.url), DOWNLOAD_FAILURES):
        async for chunk in response.content.iter_any():
            yield chunk


def _from_headers(
    chunks: AsyncIterable[bytes],
    url: str,
    headers: Mapping[str, str],
    content_type: str | None,
    transcript: str | None,
) -> Source:
    declared = content_type or headers.get("Content-Type")
    return Source(chunks, declared, transcript, url, get_timestamp(headers))
