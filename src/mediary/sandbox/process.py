"""One confined child process, as its parent sees it."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL, SIGXCPU, Signals
from socket import socket
from typing import cast

from msgspec import MsgspecError, msgpack

from mediary.errors import MediaryError, SandboxError, ShutdownError, UnreadableError
from mediary.sandbox import sources
from mediary.sandbox.wire import LENGTH, Answer, GoOn, Limits, pack

START_SECONDS = 60.0
"""How long a child may take to get ready, on a machine that has much else to do."""

_STDIN = 0
_GO_ON = pack(GoOn())
_NONSENSE = "the program that reads it says what makes no sense"
_PROGRAM = str(Path(__file__).with_name("child.py"))


class _Clock:
    """Measures how long the child works; the time in which it waits for the reader of its values is its own."""

    def __init__(self, seconds: float, ring: Callable[[float], None]) -> None:
        self._seconds = self._left = seconds
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._left, self._ring, self._seconds)
        self._started = loop.time()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left -= asyncio.get_running_loop().time() - self._started


class Child(asyncio.SubprocessProtocol):
    """A child process that does one job at a time; `ready` for the next one, until something goes wrong."""

    def __init__(self, limits: Limits) -> None:
        self.ready = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._limits = limits
        self._transport: asyncio.SubprocessTransport | None = None
        self._sources: socket | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._clock: _Clock | None = None
        self._ending: MediaryError | None = None

    async def start(self) -> list[str]:
        """Start the process and have it confine itself, by what it says; SandboxError if it does not come to that."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._launch()
                self._ask(pack(self._limits))
                protections: list[str] = (await self.answer()).result
                return protections
        except UnreadableError as error:
            raise SandboxError(f"a child process ended before it could begin: {error.message}") from None
        except TimeoutError:
            raise SandboxError(f"a child process was not ready within {START_SECONDS:g} s") from None
        except OSError as error:
            self._is_gone()
            raise SandboxError(f"no child process can be started: {error.strerror or error}") from error

    async def _launch(self) -> None:
        self._sources, theirs = sources.pair()
        with theirs:
            # No site module (-S), no folder of the program (-P): the path is ours, and it starts in half the time.
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                *(sys.executable, "-S", "-P", "-B", _PROGRAM, str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stderr=None,
                cwd="/",
                env=_environment(self._limits),
                start_new_session=True,
            )

    def begin(self, job: bytes, seconds: float, source: int | None = None) -> None:
        """Give it a job, packed, and the descriptor of the file that it is about; it may work on it for so long."""
        self._clock = _Clock(seconds, self._out_of_time)
        if source is not None and self._sources is not None:
            try:
                sources.send(self._sources, source)
            except OSError as error:  # it is dying, or its socket is
                self.end(SandboxError(f"a child process takes no file: {error.strerror or error}"))
        self._ask(job)

    async def answer(self) -> Answer:
        """What it says next; UnreadableError if that takes too long, or ends the process."""
        assert self._answer is not None
        return await self._answer

    def go_on(self) -> None:
        """Ask for the next value of a streaming job."""
        self._ask(_GO_ON)

    def end(self, reason: MediaryError | None = None) -> None:
        """Kill the process, and whoever waits for it hears why; `ended` when it is gone."""
        self.ready = False
        self._ending = self._ending or reason or ShutdownError("the server is stopping")
        if self._clock is not None:
            self._clock.stop()
        if self._transport is not None:
            self._transport.close()

    def _ask(self, frame: bytes) -> None:
        self.ready = False
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or self._ending is not None or self.ended.done():
            return self._fail(self._reason())
        if self._clock is not None:
            self._clock.start()
        # uvloop's transports are none by their class.
        return cast(asyncio.WriteTransport, self._transport.get_pipe_transport(_STDIN)).write(frame)

    def _hear(self, answer: Answer) -> None:
        assert self._answer is not None
        if self._clock is not None:
            self._clock.stop()
        self.ready = not (answer.more or answer.last or self._ending is not None)
        self._answer.set_result(answer)

    def _out_of_time(self, seconds: float) -> None:
        self._fail(UnreadableError(f"reading it takes more than {seconds:g} s"))
        self.end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)
        if self._ending is not None:
            transport.close()

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Gather an answer. One that nobody asked for, is too long or makes no sense spoils the child."""
        assert isinstance(data, bytes)
        self._received += data
        if self._answer is None or self._answer.done():
            return self.end(UnreadableError(_NONSENSE))
        if len(self._received) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._received)
        if size > self._limits.output_bytes + LENGTH.size:
            return self._fail(UnreadableError("the program that reads it says more than it may"))
        if len(self._received) >= LENGTH.size + size:
            body = bytes(memoryview(self._received)[LENGTH.size :])
            self._received.clear()
            try:
                self._hear(msgpack.decode(body, type=Answer))
            except MsgspecError:
                self._fail(UnreadableError(_NONSENSE))
        return None

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """The process ends, or was never well."""
        self.ready = False

    def connection_lost(self, exc: Exception | None) -> None:
        """The process is gone, and all that it said was heard."""
        self._is_gone()
        if self._transport is not None:
            self._transport.close()
        self._fail(self._reason())

    def _is_gone(self) -> None:
        self.ready = False
        if self._sources is not None:
            self._sources.close()
        if not self.ended.done():  # whoever waited for it may have been cancelled
            self.ended.set_result(None)

    def _fail(self, error: MediaryError) -> None:
        if self._clock is not None:
            self._clock.stop()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
            self._answer.exception()  # the reader of a stream may have left

    def _reason(self) -> MediaryError:
        """Why there will be no answer."""
        return self._ending or UnreadableError(self._cause_of_death())

    def _cause_of_death(self) -> str:
        match self._transport and self._transport.get_returncode():
            case int(code) if code == -SIGXCPU:
                return "reading it takes more processor time than it may"
            case int(code) if code == -SIGKILL:
                return "the system killed the program that reads it, most likely for want of memory"
            case int(code) if code < 0:
                return f"it makes the program that reads it crash ({Signals(-code).name})"
            case code:
                return f"it makes the program that reads it end (exit code {code})"


def _environment(limits: Limits) -> dict[str, str]:
    """Nothing of the parent's but where the modules lie, and what libraries need to know of the limits."""
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "LC_ALL": "C.UTF-8",
        # Children work side by side: each has one core. Nothing can be written, so libvips keeps all in memory.
        "VIPS_CONCURRENCY": "1",
        "RAYON_NUM_THREADS": "1",
        "TOKIO_WORKER_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "VIPS_DISC_THRESHOLD": str(limits.memory_bytes),
        # Every thread would get an arena of its own, which counts as memory before it is used.
        "MALLOC_ARENA_MAX": "2",
    }
