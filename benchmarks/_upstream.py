"""The provider behind the streaming figures: it speaks the chat completions stream and costs next to nothing.

The model's name says what comes: `chunks-200-delay-10` is 200 chunks, one every 10 ms from the request on, whatever the
reader does. Without a delay each chunk is still a write of its own, as a service flushes what its model makes, and the
processor is given up after it: otherwise a reader on the same core would be handed all chunks at once, and no stream.
`python -m benchmarks._upstream` prints its port and serves until it is ended.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import cast

import uvloop
from benchmarks._load import allow_open_files

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
MODEL = re.compile(rb'"model":\s*"chunks-(\d+)-(?:delay-(\d+)|burst)"')
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)\r\n", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection:\s*close\r\n", re.IGNORECASE)


def chunk(rest: bytes) -> bytes:
    """One event of the stream in one chunk of the body; a piece of text makes it about 230 bytes."""
    head = b'{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,'
    return chunked(b'data: %s"model":"chunks","system_fingerprint":"fp_44709d6fcb",%s}\n\n' % (head, rest))


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


ROLE = chunk(b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]')
PIECE = chunk(b'"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]')
FINISH = chunk(b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]')
USAGE = chunk(b'"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":200,"total_tokens":209}')
END = FINISH + USAGE + chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Pace:
    """Lets every stream send when it is due, by one timer for all."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: list[tuple[float, int, Stream]] = []
        self._numbers = count()

    def add(self, stream: "Stream") -> None:
        heappush(self._queue, (self._loop.time() + stream.delay, next(self._numbers), stream))
        if len(self._queue) == 1:
            self._loop.call_at(self._queue[0][0], self._tick)

    def _tick(self) -> None:
        now, queue = self._loop.time(), self._queue
        while queue and queue[0][0] <= now:
            due, number, stream = queue[0]
            if stream.send_piece():
                heapreplace(queue, (due + stream.delay, number, stream))
            else:
                heappop(queue)
        if queue:
            self._loop.call_at(queue[0][0], self._tick)


class Stream(asyncio.Protocol):
    """A connection, and the answer on it that is under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pace: Pace) -> None:
        self._loop = loop
        self._pace = pace
        self._received = b""
        self._left = 0
        self._last = False
        self.delay = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head + b"\r\n")
        if not found or not length or len(body) < int(length[1]):
            return
        self._received = b""
        asked = MODEL.search(body)
        assert asked, body
        self._left, self.delay = int(asked[1]), int(asked[2] or 0) / 1000
        self._last = CLOSE.search(head + b"\r\n") is not None
        self._transport.write(ANSWER + ROLE)
        if asked[2] is None:
            self._transport.write(PIECE * self._left + END)
            if self._last:
                self._transport.close()
        elif self.delay:
            self._pace.add(self)
        else:
            self._loop.call_soon(self._send_on)

    def connection_lost(self, exc: Exception | None) -> None:
        self._left = 0

    def send_piece(self) -> bool:
        """Send the next chunk, and the end behind the last; whether there is another."""
        if not self._left:
            return False
        self._left -= 1
        self._transport.write(PIECE if self._left else PIECE + END)
        if not self._left and self._last:
            self._transport.close()
        return self._left > 0

    def _send_on(self) -> None:
        """One write for each step of the loop; what was written in the last step has left."""
        os.sched_yield()
        if self.send_piece():
            self._loop.call_soon(self._send_on)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    pace = Pace(loop)
    server = await loop.create_server(lambda: Stream(loop, pace), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def upstream() -> Iterator[int]:
    """The service as a process of its own; its port."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks._upstream"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    allow_open_files()
    uvloop.run(serve())
