"""A server whose every byte a test decides: raw answers by path, slow, cut and reset ones, and a plain proxy."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import trustme


@dataclass
class Received:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]


Handler = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """Answers each path with bytes or with a function that writes them; keeps what it was asked."""

    host: str
    port: int = 0
    scheme: str = "http"
    answers: dict[str, bytes | Handler] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        request = parse_head(await reader.readuntil(b"\r\n\r\n"))
        self.received.append(request)
        answer = self.answers.get(request.target.partition("?")[0], response(b"", status=404))
        if isinstance(answer, bytes):
            writer.write(answer)
        else:
            await answer(request, writer)
        await writer.drain()


def parse_head(head: bytes) -> Received:
    """The request line and headers, names in lower case."""
    first, *lines = head.decode().strip().split("\r\n")
    method, target, _ = first.split(" ")
    return Received(
        method, target, {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    )


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, host: str = "127.0.0.1", port: int = 0, tls: SSLContext | None = None):
    """Listen, yield the port; open connections end with the block."""
    running: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(run(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(begin, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def raw_server(host: str = "127.0.0.1", port: int = 0, tls: SSLContext | None = None) -> AsyncIterator[RawServer]:
    """A server on loopback."""
    served = RawServer(host, scheme="https" if tls else "http")
    async with listening(served.serve, host, port, tls) as served.port:
        yield served


def unvouched_tls() -> SSLContext:
    """TLS with a certificate for localhost that nobody vouches for."""
    context = SSLContext(PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def response(body: bytes, *headers: str, status: int = 200, length: int | None = None) -> bytes:
    """A whole answer; `length` is what it claims instead of the truth."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    """An answer that points elsewhere."""
    return response(b"over there", f"Location: {location}", status=status)


def chunked(pieces: Iterable[bytes], *headers: str, whole: bool = True) -> bytes:
    """An answer in chunks; one that is not whole lacks the last."""
    head = "\r\n".join(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers, "", ""]).encode()
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head + body + (b"0\r\n\r\n" if whole else b"")


def silence(first: bytes = b"") -> Handler:
    """Says `first`, and then nothing more for good."""

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        await asyncio.Event().wait()

    return answer


def reset(first: bytes = b"") -> Handler:
    """Says `first` and resets the connection."""

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        peer: socket.socket = writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return answer


def repeated(head: bytes, piece: bytes) -> Handler:
    """Sends `piece` until the client has enough."""

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return answer


@dataclass
class Proxy:
    """A forward proxy that sends everything to one place; keeps what it was asked."""

    target: RawServer
    port: int = 0
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.received.append(parse_head(head))
        up_reader, up_writer = await asyncio.open_connection(self.target.host, self.target.port)
        try:
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                up_writer.write(re.sub(rb"^(\w+) http://[^/]+", rb"\1 ", head))
            await asyncio.gather(_pipe(reader, up_writer), _pipe(up_reader, writer))
        finally:
            up_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@asynccontextmanager
async def proxy_to(target: RawServer) -> AsyncIterator[Proxy]:
    """A proxy on loopback: whatever name is asked for is found at `target`."""
    proxy = Proxy(target)
    async with listening(proxy.serve) as proxy.port:
        yield proxy
