"""Questions with files, asked over HTTP as a browser asks them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.server.bucket_client import post
from tests.server.forms import form
from tests.servers.mediary import MediaryServer

PATH = "/backend-api/v2/conversation"
PDF = b"%PDF-1.7\n" + b"% nothing much\n" * 100
BOUNDARY = "a-boundary-that-is-in-no-file"


@dataclass
class Answer:
    """What came of a question: its events, or how it was refused."""

    status: int
    events: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(event["content"] for event in self.events if event["type"] == "content")

    @property
    def logs(self) -> list[str]:
        return [event["log"] for event in self.events if event["type"] == "log"]

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]


@asynccontextmanager
async def serving(folder: Path, settings: str, **options: Any) -> AsyncIterator[MediaryServer]:
    """A server of a test's own, which may stop or kill it."""
    server = MediaryServer(folder / "data", settings=settings, **options)
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        if server.process and server.process.poll() is None:
            await asyncio.to_thread(server.stop)


def question(text: str = "What is it?", *parts: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """The JSON of a question."""
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]} | fields


def answer(status: int, body: bytes) -> Answer:
    if status != 200:
        return Answer(status, error=json.loads(body)["error"])
    lines = body.decode().split("\n")
    return Answer(status, [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")])


async def ask(
    server: MediaryServer,
    files: Mapping[str, bytes] | Iterable[tuple[str, bytes]],
    *parts: Any,
    text: str = "What is it?",
    **fields: Any,
) -> Answer:
    """Ask with files in a form."""
    body, content_type = form({"json": json.dumps(question(text, *parts, **fields))}, files)
    return await send(server, body, content_type)


async def send(server: MediaryServer, body: bytes, content_type: str) -> Answer:
    """Send a body as it is."""
    answered = await asyncio.to_thread(post, server, PATH, body, content_type)
    return answer(answered.status, answered.body)


def piecemeal(asked: Mapping[str, Any], name: str, head: bytes, size: int) -> tuple[int, Iterator[bytes]]:
    """A form with one large file, which is never whole in memory: its length and its pieces; the JSON comes last."""
    begin = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode() + head
    end = (
        f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="json"\r\n\r\n{json.dumps(asked)}\r\n'
        f"--{BOUNDARY}--\r\n"
    ).encode()
    piece = bytes(range(256)) * 4096

    def pieces() -> Iterator[bytes]:
        yield begin
        left = size - len(head)
        while left:
            yield piece[: min(left, len(piece))]
            left -= min(left, len(piece))
        yield end

    return len(begin) + size - len(head) + len(end), pieces()


def open_large(server: MediaryServer, length: int, pieces: Iterable[bytes]) -> HTTPConnection:
    """Send a form piece by piece; its answer is to be read by the caller, or not."""
    url = urlsplit(server.url)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=60)
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    for piece in pieces:
        connection.send(piece)
    return connection


def drop(connection: HTTPConnection) -> None:
    """Leave without a goodbye."""
    sock = connection.sock
    assert sock
    sock.shutdown(socket.SHUT_RDWR)
    connection.close()
