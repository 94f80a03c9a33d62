"""A service whose answers a test writes out byte by byte; it keeps every request with its body."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Line:
    """The connection that an answer is written to."""

    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Write, and wait until the system has taken it."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Break the connection without a goodbye."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Play = Callable[[Asked, Line], Awaitable[None]]
"""What answers one request; the connection stays open after it, unless it closes it."""


@dataclass
class Scripted:
    """Answers requests with `plays`, one after the other; the last one answers all that follow.

    Where there is a `listing`, it answers whoever asks for the models, at any time, and nothing is kept of that.
    """

    port: int
    plays: list[Play] = field(default_factory=list)
    listing: Play | None = None
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def play(self, *plays: Play) -> None:
        """Begin anew with these answers."""
        self.plays[:] = plays
        self.asked.clear()
        self.connections = 0

    async def until_open(self, number: int) -> None:
        """Wait until exactly so many connections are open."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.open) == number)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self._note(self.open.add, writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    asked = await _read(reader)
                    if self.listing and asked.path.endswith("/models"):
                        await self.listing(asked, Line(writer))
                        continue
                    self.asked.append(asked)
                    play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
                    acting = asyncio.create_task(play(asked, Line(writer)))
                    if isinstance(play, Hanging):
                        await reader.read(1)  # nothing comes but the end of the connection
                        acting.cancel()
                        return
                    await acting
                    if writer.is_closing():
                        return
        finally:
            writer.close()
            await self._note(self.open.discard, writer)

    async def _note(self, change: Callable[[asyncio.StreamWriter], None], writer: asyncio.StreamWriter) -> None:
        async with self.changed:
            change(writer)
            self.changed.notify_all()


async def _read(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body)


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    """A service on a free port of loopback."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(service.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    service = Scripted(server.sockets[0].getsockname()[1])
    try:
        yield service
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def whole(body: bytes, *headers: str, status: int = 200, content_type: str = "application/json") -> Play:
    """A whole answer, after which the connection stays open."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]

    async def play(_: Asked, line: Line) -> None:
        await line.send("\r\n".join([*lines, "", ""]).encode() + body)

    return play


def said(content: Any, status: int = 200, *headers: str) -> Play:
    """A whole answer as JSON."""
    return whole(json.dumps(content).encode(), *headers, status=status)


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of the transfer encoding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def streamed(*pieces: bytes, end: bool = True) -> Play:
    """An event stream in pieces; without its end the connection is closed in its middle."""

    async def play(_: Asked, line: Line) -> None:
        await line.send(STREAM)
        for piece in pieces:
            await line.send(chunk(piece))
        if end:
            await line.send(b"0\r\n\r\n")
        else:
            line.writer.close()

    return play


class Hanging:
    """An event stream that begins and goes silent; without a piece it is silent from the start."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    async def __call__(self, _: Asked, line: Line) -> None:
        if self.pieces:
            await line.send(STREAM + b"".join(map(chunk, self.pieces)))


async def refused(_: Asked, line: Line) -> None:
    """A connection that is reset before it has said anything."""
    line.reset()


def events(*chunks: Any, done: bool = True) -> bytes:
    """Chunks as the events of a stream."""
    data = [json.dumps(it, ensure_ascii=False) for it in chunks] + (["[DONE]"] if done else [])
    return "".join(f"data: {it}\n\n" for it in data).encode()


def delta(finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk with one delta."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}
