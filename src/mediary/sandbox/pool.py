"""A pool of confined child processes: started when they are needed, kept warm, replaced when a job spoils one."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mediary.errors import (
    NotFoundError,
    SandboxError,
    ShutdownError,
    TooLargeError,
    UnreadableError,
    UnsupportedTypeError,
)
from mediary.sandbox.process import Child
from mediary.sandbox.sources import open_source
from mediary.sandbox.wire import Answer, Job, Limits, pack
from mediary.tasks import to_the_end

logger = logging.getLogger(__name__)

MIB = 1024**2

# The errors that a job may raise as themselves; all others say something about its bytes.
_RAISED = {error.code: error for error in (NotFoundError, TooLargeError, UnsupportedTypeError)}


class Sandbox:
    """Runs functions on bytes that nobody checked, each in a child process of its own for that time.

    `processes` at once (None: one per core), each with `memory_bytes` and answers of `output_bytes`, at the priority
    `nice`. They cannot write, reach the network or start programs, and read no files but those of Python and of the
    folders in `readable`; None lets them read any. A child that has nothing to do for `idle_seconds` ends.
    """

    def __init__(
        self,
        processes: int | None = None,
        *,
        memory_bytes: int = 1024 * MIB,
        output_bytes: int = 64 * MIB,
        nice: int = 0,
        idle_seconds: float = 60.0,
        readable: Iterable[Path] | None = None,
    ) -> None:
        folders = None if readable is None else (*_import_folders(), *(str(path.absolute()) for path in readable))
        self._limits = Limits(memory_bytes, output_bytes, nice, folders)
        self._idle_seconds = idle_seconds
        self._turns = asyncio.Semaphore(processes or os.cpu_count() or 1)
        self._children: set[Child] = set()
        # The last to finish is the first to go on: those that are too many get their rest.
        self._idle: dict[Child, asyncio.TimerHandle] = {}
        self._closed = False

    async def run(self, function: str, *arguments: Any, seconds: float = 30.0, source: Path | int | None = None) -> Any:
        """Call `module:name` in a child; arguments and result are what msgpack knows: texts, bytes, lists …

        With `source`, the function's first argument is that file, open for reading: all that it can read of the folder.
        It may be the descriptor of an open file, which stays the caller's.

        UnreadableError with the child's words, or saying which limit it hit: `seconds` on the clock and of processor
        time, memory, output. NotFoundError, TooLargeError and UnsupportedTypeError are raised as they are; SandboxError
        if no child can be started, ShutdownError if the pool is closed.
        """
        job = pack(Job(function, arguments, seconds, source is not None))
        async with self._at_work(job, seconds, source) as child:
            return self._result(function, await child.answer())

    async def stream(
        self, function: str, *arguments: Any, seconds: float = 30.0, source: Path | int | None = None
    ) -> AsyncGenerator[Any, None]:
        """What the generator function `module:name` yields in a child, as it yields it; otherwise as `run`.

        A Struct arrives as a dict. The child is one value ahead of the caller, and waits; that time does not count.
        Each value has at most `output_bytes`. A stream that is closed before its end takes its child along: close it
        (`contextlib.aclosing`), since it also holds one of the pool's places.
        """
        job = pack(Job(function, arguments, seconds, source is not None, streaming=True))
        async with self._at_work(job, seconds, source) as child:
            while (answer := await child.answer()).more:
                child.go_on()
                yield answer.result
            self._result(function, answer)

    async def close(self) -> None:
        """End every child; jobs that still run raise ShutdownError."""
        self._closed = True
        for ending in self._idle.values():
            ending.cancel()
        self._idle.clear()
        for child in self._children:
            child.end()
        await asyncio.gather(*(child.ended for child in self._children))

    @asynccontextmanager
    async def _at_work(self, job: bytes, seconds: float, source: Path | int | None) -> AsyncIterator[Child]:
        """A child that has the job, when it is its turn."""
        async with self._turns, _opened(source) as descriptor:
            child = await self._take()
            try:
                child.begin(job, seconds, descriptor)
                yield child
            finally:
                self._release(child)

    async def _take(self) -> Child:
        """A child with nothing to do, else a new one."""
        while self._idle:
            child, ending = self._idle.popitem()
            ending.cancel()
            if child.ready:
                return child
            child.end()
        if self._closed:
            raise ShutdownError("the server is stopping")
        return await self._start()

    async def _start(self) -> Child:
        """A new child. It gets ready even if nobody waits for that any more: half-started processes are hard to end."""
        child = Child(self._limits)
        self._children = {child, *(other for other in self._children if not other.ended.done())}
        starting = asyncio.ensure_future(child.start())
        try:
            protections = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(partial(self._keep, child))
            raise
        except SandboxError:
            child.end()
            raise
        logger.debug("a child process is confined by %s", ", ".join(protections))
        return child

    def _keep(self, child: Child, started: asyncio.Future[list[str]]) -> None:
        """A child that got ready for nobody is there for the next who asks."""
        if not started.cancelled() and started.exception() is None:
            self._release(child)
        else:
            child.end()

    def _release(self, child: Child) -> None:
        """Keep a child for the next job, unless the last one spoilt it."""
        if child.ready and not self._closed:
            loop = asyncio.get_running_loop()
            self._idle[child] = loop.call_later(self._idle_seconds, self._end_idle, child)
        else:
            child.end()

    def _end_idle(self, child: Child) -> None:
        del self._idle[child]
        child.end()

    def _result(self, function: str, answer: Answer) -> Any:
        match answer.error:
            case "":
                return answer.result
            case "memory":
                raise UnreadableError(f"reading it takes more than {self._limits.memory_bytes // MIB} MiB of memory")
            case "output":
                raise UnreadableError(f"what it holds has more than {self._limits.output_bytes // MIB} MiB")
            case "internal":
                logger.error("%s failed in its child process\n%s", function, answer.traceback)
                raise UnreadableError(f"it cannot be read: {answer.message}")
        raise _RAISED.get(answer.error, UnreadableError)(answer.message)


@asynccontextmanager
async def _opened(source: Path | int | None) -> AsyncIterator[int | None]:
    """The descriptor of a file, where there is one."""
    if source is None or isinstance(source, int):
        yield source
        return
    opening: asyncio.Future[int] = asyncio.get_running_loop().run_in_executor(None, open_source, source)
    try:
        descriptor = await to_the_end(opening)
        yield descriptor
    finally:
        if opening.exception() is None:
            os.close(opening.result())


def _import_folders() -> list[str]:
    """Where modules are imported from; `python -m` adds the current folder, which may hold anything."""
    here = Path.cwd()
    return [path for path in sys.path if path and Path(path) != here]
