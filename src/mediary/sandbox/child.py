"""The child process: does one job after the other, until its parent closes the pipe or ends.

It is started by its path, so that nothing of Mediary is imported but what its jobs need: `mediary/__init__.py` would
bring in the whole front of the house.
"""

import math
import os
import resource
import sys
import traceback
from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

if TYPE_CHECKING:
    from mediary.sandbox.wire import Answer, Job

T = TypeVar("T")


def main() -> None:
    """Serve the pipes on standard input and output; what libraries print goes nowhere."""
    _be_mediary()
    from mediary.sandbox.confinement import confine
    from mediary.sandbox.wire import SOURCES, Answer, Job, Limits, pack

    os.dup2(int(sys.argv[1]), SOURCES)
    os.closerange(SOURCES + 1, 65536)
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    limits = _receive(incoming, Limits)
    if limits is None:
        return
    protections = confine(limits)
    # Up to here the parent's log shows why a child does not start; hostile files have no say in it.
    os.dup2(nowhere, 2)
    os.close(nowhere)
    _send(outgoing, pack(Answer(protections)))
    while job := _receive(incoming, Job):
        if not _do(job, limits.output_bytes, incoming, outgoing):
            return


def _be_mediary() -> None:
    """Have `import mediary.…` find its modules without running `mediary/__init__.py`."""
    package = ModuleType("mediary")
    package.__path__ = [str(Path(__file__).parents[1])]
    sys.modules["mediary"] = package


def _receive(incoming: BinaryIO, kind: type[T]) -> T | None:
    """The next frame; None when there is none any more."""
    from msgspec import msgpack

    from mediary.sandbox.wire import LENGTH

    head = incoming.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return msgpack.decode(incoming.read(LENGTH.unpack(head)[0]), type=kind)


def _send(outgoing: BinaryIO, frame: bytes) -> None:
    outgoing.write(frame)
    outgoing.flush()


def _do(job: "Job", most: int, incoming: BinaryIO, outgoing: BinaryIO) -> bool:
    """Answer a job, once or value by value; whether this process is good for another one."""
    from mediary.sandbox import sources
    from mediary.sandbox.confinement import OPEN_FILES
    from mediary.sandbox.wire import SOURCES, GoOn, pack

    source = sources.receive(SOURCES) if job.source else None
    file = None if source is None else sources.identity(source.fileno())
    values = _values(job, source)
    while (answer := _next(values, most)).more:
        _send(outgoing, pack(answer))
        if _receive(incoming, GoOn) is None:
            return False
    if source is not None and file is not None:
        source.close()
        # Somebody keeps it open, and could read this document into the next.
        answer.last |= sources.is_open(file, range(OPEN_FILES))
    _send(outgoing, pack(answer))
    return not answer.last


def _values(job: "Job", source: BinaryIO | None) -> Generator[tuple[Any, bool], None, None]:
    """What the function returns, or what it yields and then None; each with whether there is more."""
    _allow_processor_time(job.seconds)
    made = _find(job.function)(*(() if source is None else (source,)), *job.arguments)
    if job.streaming:
        for value in made:
            yield value, True
    yield (None if job.streaming else made), False


def _next(values: Generator[tuple[Any, bool], None, None], most: int) -> "Answer":
    """Call the function, or go on in it; whatever happens becomes an answer."""
    from msgspec import Raw, msgpack

    from mediary.errors import MediaryError
    from mediary.sandbox.wire import Answer

    try:
        value, more = next(values)
        packed = msgpack.encode(value)
        if len(packed) <= most:
            return Answer(Raw(packed), more=more)
        values.close()
        return Answer(error="output")
    except MemoryError:  # what was not freed may be in any state
        return Answer(error="memory", last=True)
    except MediaryError as error:
        return Answer(error=error.code, message=error.message)
    except FileNotFoundError:
        return Answer(error="not_found", message="there is no such file")
    except BaseException as error:  # noqa: BLE001 - the edge of the process
        panic = not isinstance(error, Exception)  # of a library in Rust, mostly: nobody knows what state it is in
        return Answer(error="internal", message=type(error).__name__, traceback=traceback.format_exc(), last=panic)


def _find(function: str) -> Callable[..., Any]:
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def _allow_processor_time(seconds: float) -> None:
    """The kernel ends the process that uses more, from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    main()
