"""The client of the streaming figures, in a process of its own: many streams at once, read at next to no cost.

The same code reads Mediary and the upstream. An event is counted where its blank line is seen; nothing is decoded.
`python -m benchmarks._load` takes a `Load` as JSON on each line of its input and answers each with a `Reading`.
"""

import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

import uvloop

PATIENCE = 120.0  # seconds for one load


@dataclass(frozen=True)
class Load:
    """`streams` requests at the same moment on connections that stand; `events` is how many each answer has."""

    port: int
    path: str
    body: str
    events: int
    streams: int = 1


@dataclass(frozen=True)
class Reading:
    """What was seen, in seconds from the requests on.

    `total` until the last event of the last stream, `first` until the last stream had its first event, `gap` between
    two events of one stream, at most. `complete` counts the streams that brought all their events.
    """

    complete: int
    total: float
    first: float
    gap: float


class Stream(asyncio.Protocol):
    """One request and its answer."""

    def __init__(self, events: int) -> None:
        self.missing = events
        self.first = self.last = 0.0
        self.gap = 0.0
        self.ended = asyncio.get_running_loop().create_future()
        self._cut = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        # A read may end between the two line ends that close an event.
        found = data.count(b"\n\n") + (self._cut and data[0] == 10)
        self._cut = data[-1] == 10 and data[-2:] != b"\n\n"
        if found:
            now = time.perf_counter()
            if not self.last:
                self.first = now
            elif now - self.last > self.gap:
                self.gap = now - self.last
            self.last = now
            self.missing -= found

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


async def read(load: Load) -> Reading:
    """Open all connections, then ask on all of them at once and read until the server closes them."""
    body = load.body.encode()
    request = (
        f"POST {load.path} HTTP/1.1\r\nhost: 127.0.0.1:{load.port}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Stream(load.events), "127.0.0.1", load.port) for _ in range(load.streams)
    ]
    streams = [stream for _, stream in opened]
    began = time.perf_counter()
    for stream in streams:
        stream.transport.write(request)
    await asyncio.wait([stream.ended for stream in streams], timeout=PATIENCE)
    for stream in streams:
        stream.transport.abort()
    return Reading(
        complete=sum(not stream.missing for stream in streams),
        total=max(stream.last for stream in streams) - began,
        first=max(stream.first for stream in streams) - began,
        gap=max(stream.gap for stream in streams),
    )


def allow_open_files() -> None:
    """As many as the system lets us have: a shell's 1,024 are too few for a thousand streams."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Client:
    """The process, as a context; `read` hands it a load and waits."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.communicate()

    def read(self, load: Load) -> Reading:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asdict(load)) + "\n")
        self._process.stdin.flush()
        return Reading(**json.loads(self._process.stdout.readline()))


def main() -> None:
    gc.disable()
    allow_open_files()
    for line in sys.stdin:
        print(json.dumps(asdict(uvloop.run(read(Load(**json.loads(line)))))), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
