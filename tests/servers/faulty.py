"""A proxy in front of an HTTP service that spoils the requests it is told to; it keeps what it was asked."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from tests.servers.http import Received, listening, parse_head, response

PIECE = 65536


@dataclass
class Cut:
    """Reset the connection once this share of the body has come; the service gets no more than that."""

    share: float


@dataclass
class Lose:
    """Let the service take it whole, and reset the connection instead of its answer."""


@dataclass
class Say:
    """Take the body and answer so; the service hears nothing of it."""

    answer: bytes


@dataclass
class Early:
    """Answer so before the body; then hang up, or read the rest of it first."""

    answer: bytes
    then: Literal["hang up", "read on"] = "read on"


@dataclass
class Spoil:
    """Another last byte than the one that was sent."""


Fault = Cut | Lose | Say | Early | Spoil


@dataclass
class Faulty:
    """The proxy; `plan` says for each request what becomes of it, None for nothing bad.

    `complain` is what the proxy itself has against a request, None for nothing: then it answers 400.
    """

    target: int
    port: int = 0
    complain: Callable[[Received], str | None] = lambda _: None
    plan: Callable[[Received], Fault | None] = lambda _: None
    received: list[Received] = field(default_factory=list)
    running: int = 0
    most: int = 0
    """How many requests were under way at the same time."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def once(self, fault: Fault, about: Callable[[Received], bool] = lambda _: True) -> None:
        """Spoil the first such request alone."""
        left = [fault]
        self.plan = lambda request: left.pop() if left and about(request) else None

    def first(self, *faults: Fault) -> None:
        """Spoil the first requests so, one after the other."""
        left = list(faults)
        self.plan = lambda _: left.pop(0) if left else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            request = parse_head(head)
            self.received.append(request)
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                going_on = await self._pass(request, head, reader, writer)
            finally:
                self.running -= 1
            if not going_on:
                return

    async def _pass(
        self, request: Received, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection may be used again."""
        complaint = self.complain(request)
        fault = self.plan(request) if complaint is None else Say(refusal(400, complaint))
        size = int(request.headers.get("content-length", 0))
        match fault:
            case Early(answer, then):
                writer.write(answer)
                await writer.drain()
                if then == "read on":
                    await _skip(reader, size)
                return False
            case Say(answer):
                await _skip(reader, size)
                writer.write(answer)
                await writer.drain()
                return False
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            up_writer.write(head)
            if isinstance(fault, Cut):
                await _copy(reader, up_writer, int(size * fault.share))
                _reset(up_writer)
                _reset(writer)
                return False
            await _copy(reader, up_writer, size, spoil=isinstance(fault, Spoil))
            answer = await _answer(up_reader, request.method)
            if isinstance(fault, Lose):
                _reset(writer)
                return False
            writer.write(answer)
            await writer.drain()
            return b"connection: close" not in answer.partition(b"\r\n\r\n")[0].lower()
        finally:
            up_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int, *, spoil: bool = False) -> None:
    while size:
        data = await reader.read(min(size, PIECE))
        if not data:
            raise ConnectionError
        size -= len(data)
        writer.write(data[:-1] + bytes([data[-1] ^ 1]) if spoil and not size else data)
        await writer.drain()


async def _skip(reader: asyncio.StreamReader, size: int) -> None:
    while size and (data := await reader.read(min(size, PIECE))):
        size -= len(data)


async def _answer(reader: asyncio.StreamReader, method: str) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = {name.lower(): value.strip() for name, _, value in (x.partition(b":") for x in head.split(b"\r\n")[1:])}
    if method == "HEAD":
        return head
    if lines.get(b"transfer-encoding") == b"chunked":
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            body += await reader.readuntil(b"\r\n")
        return head + body
    return head + await reader.readexactly(int(lines.get(b"content-length", 0)))


def _reset(writer: asyncio.StreamWriter) -> None:
    peer: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def faulty(target: int) -> AsyncIterator[Faulty]:
    """A proxy on loopback, before the service on port `target`."""
    proxy = Faulty(target)
    async with listening(proxy.serve) as proxy.port:
        yield proxy


def refusal(status: int, words: str = "", *headers: str) -> bytes:
    """An answer that says no."""
    return response(words.encode(), *headers, status=status)
