"""One confined child process, as its parent sees it."""

import asyncio
import os
import sys
from pathlib import Path
from signal import SIGKILL, SIGXCPU, Signals
from typing import cast

from msgspec import MsgspecError, msgpack

from mediary.errors import MediaryError, SandboxError, ShutdownError, UnreadableError
from mediary.sandbox.wire import LENGTH, Answer, Limits, pack

START_SECONDS = 60.0
"""How long a child may take to get ready, on a machine that has much else to do."""

_STDIN = 0
_PROGRAM = str(Path(__file__).with_name("child.py"))


class Child(asyncio.SubprocessProtocol):
    """A child process that does one job at a time; `ready` for the next one, until something goes wrong."""

    def __init__(self, limits: Limits) -> None:
        self.ready = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._limits = limits
        self._transport: asyncio.SubprocessTransport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._ending = False

    async def start(self) -> list[str]:
        """Start the process and have it confine itself, by what it says; SandboxError if it does not come to that."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(START_SECONDS):
                # No site module (-S), no folder of the program (-P): the path is ours, and it starts in half the time.
                await loop.subprocess_exec(
                    lambda: self,
                    *(sys.executable, "-S", "-P", "-B", _PROGRAM),
                    stderr=None,
                    cwd="/",
                    env=_environment(self._limits),
                    start_new_session=True,
                )
                protections: list[str] = (await self._ask(pack(self._limits))).result
                return protections
        except UnreadableError as error:
            raise SandboxError(f"a child process ended before it could begin: {error.message}") from None
        except TimeoutError:
            raise SandboxError(f"a child process was not ready within {START_SECONDS:g} s") from None
        except OSError as error:
            self._is_gone()
            raise SandboxError(f"no child process can be started: {error.strerror or error}") from error

    async def do(self, job: bytes, seconds: float) -> Answer:
        """Have a job done, packed; UnreadableError if it takes longer, or ends the process."""
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(job)
        except TimeoutError:
            raise UnreadableError(f"reading it takes more than {seconds:g} s") from None

    def end(self) -> None:
        """Kill the process; `ended` when it is gone."""
        self.ready, self._ending = False, True
        if self._transport is not None:
            self._transport.close()

    async def _ask(self, frame: bytes) -> Answer:
        if self._transport is None or self._ending or self.ended.done():
            raise self._reason()
        self.ready = False
        self._answer = asyncio.get_running_loop().create_future()
        # uvloop's transports are none by their class.
        cast(asyncio.WriteTransport, self._transport.get_pipe_transport(_STDIN)).write(frame)
        answer = await self._answer
        self.ready = answer.error != "memory" and not self._ending
        return answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)
        if self._ending:
            transport.close()

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Gather an answer. One that nobody asked for, is too long or makes no sense spoils the child."""
        assert isinstance(data, bytes)
        self._received += data
        if self._answer is None or self._answer.done():
            return self.end()
        if len(self._received) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._received)
        if size > self._limits.output_bytes + LENGTH.size:
            return self._fail(UnreadableError("the program that reads it says more than it may"))
        if len(self._received) >= LENGTH.size + size:
            body = bytes(memoryview(self._received)[LENGTH.size :])
            self._received.clear()
            try:
                self._answer.set_result(msgpack.decode(body, type=Answer))
            except MsgspecError:
                self._fail(UnreadableError("the program that reads it says what makes no sense"))
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
        if not self.ended.done():  # whoever waited for it may have been cancelled
            self.ended.set_result(None)

    def _fail(self, error: MediaryError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _reason(self) -> MediaryError:
        """Why there will be no answer."""
        return ShutdownError("the server is stopping") if self._ending else UnreadableError(self._cause_of_death())

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
        "VIPS_DISC_THRESHOLD": str(limits.memory_bytes),
        # Every thread would get an arena of its own, which counts as memory before it is used.
        "MALLOC_ARENA_MAX": "2",
    }
