"""The child process: does one job after the other, until its parent closes the pipe or ends.

It is started by its path, so that nothing of Mediary is imported but what its jobs need: `mediary/__init__.py` would
bring in the whole front of the house.
"""

import math
import os
import resource
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

if TYPE_CHECKING:
    from mediary.sandbox.wire import Job

T = TypeVar("T")


def main() -> None:
    """Serve the pipes on standard input and output; what libraries print goes nowhere."""
    os.closerange(3, 65536)
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    _be_mediary()
    from mediary.sandbox.confinement import confine
    from mediary.sandbox.wire import Answer, Job, Limits, pack

    limits = _receive(incoming, Limits)
    if limits is None:
        return
    protections = confine(limits)
    # Up to here the parent's log shows why a child does not start; hostile files have no say in it.
    os.dup2(nowhere, 2)
    os.close(nowhere)
    _send(outgoing, pack(Answer(protections)))
    while job := _receive(incoming, Job):
        frame, unharmed = _do(job, limits.output_bytes)
        _send(outgoing, frame)
        if not unharmed:
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


def _do(job: "Job", most: int) -> tuple[bytes, bool]:
    """Call the function; whatever happens becomes an answer. Also, whether this process is good for another job."""
    from mediary.errors import MediaryError
    from mediary.sandbox.wire import Answer, pack

    try:
        _allow_processor_time(job.seconds)
        frame = pack(Answer(_find(job.function)(*job.arguments)))
        return (frame if len(frame) <= most else pack(Answer(error="output"))), True
    except MemoryError:  # what was not freed may be in any state
        return pack(Answer(error="memory")), False
    except MediaryError as error:
        answer = Answer(error=error.code, message=error.message)
    except FileNotFoundError:
        answer = Answer(error="not_found", message="there is no such file")
    except Exception as error:  # noqa: BLE001 - the edge of the process
        answer = Answer(error="internal", message=type(error).__name__, traceback=traceback.format_exc())
    return pack(answer), True


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
