"""A relay before a server that lets so many bytes of requests through and then holds all up, until it is opened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.servers.http import listening

PIECE = 65536


@dataclass
class Gate:
    """The relay, open at first; `passed` are the bytes that went to the server, `reached` is set once it holds up.

    `pause` are the seconds that each piece takes; once it is `dead`, every connection breaks. `heard` is what it let
    through, where that is kept.
    """

    target: int
    port: int = 0
    passed: int = 0
    pause: float = 0
    dead: bool = False
    heard: bytearray | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _left: float = float("inf")
    _opened: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close_after(self, size: int) -> None:
        """Let that many more bytes through, and count them."""
        self.passed, self._left = 0, size
        self.reached.clear()
        self._opened.clear()

    def open(self) -> None:
        """Let all that comes from now on through, and count it; connections that are held up break."""
        self.passed, self._left = 0, float("inf")
        self._opened.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        answers = asyncio.create_task(_pipe(up_reader, writer))
        try:
            while data := await reader.read(PIECE):
                if self.dead:
                    return
                if self.passed + len(data) > self._left:
                    self.reached.set()
                    await self._opened.wait()
                    return
                self.passed += len(data)
                if self.heard is not None:
                    self.heard += data
                await asyncio.sleep(self.pause)
                up_writer.write(data)
                await up_writer.drain()
        finally:
            answers.cancel()
            up_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def gate(target: int) -> AsyncIterator[Gate]:
    """The relay on loopback, before the server on port `target`."""
    relay = Gate(target)
    async with listening(relay.serve) as relay.port:
        yield relay
