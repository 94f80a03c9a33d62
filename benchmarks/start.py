"""How long a start takes and what an idle server holds in memory: `python -m benchmarks.start`.

From the start of the process to the first answer, in a new folder and in one that was used before; the medians of
several starts. Python's bytecode and the system's page cache are warm: a program that was run before, on a machine that
was switched on before. Exit code 1 if a limit does not hold.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks._report import Row, report
from benchmarks._server import memory, serving
from tests.servers.mediary import clean_environment

STARTS = 7
PATIENCE = 30.0
"""Seconds to wait for an answer."""
SETTLED = 3.0
"""Seconds after which an idle server is done with what it does at its start."""
MB = 1_000_000
QUIET = clean_environment(MEDIARY_DISCOVER="false", MEDIARY_LOG_LEVEL="warning")

ALIVE = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
QUESTION = b'{"provider":"Local","model":"passages","messages":[{"role":"user","content":"What is Mediary?"}]}'
CONVERSATION = (
    b"POST /backend-api/v2/conversation HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(QUESTION), QUESTION)
)


def seconds_to_answer(folder: Path, request: bytes, sign: bytes) -> float:
    """From the start of a server on this folder until its answer to this request shows the sign."""
    folder.mkdir(exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", "mediary", "serve", "--data", str(folder), "--port", str(port)]
    began = time.perf_counter()
    with subprocess.Popen(command, env=QUIET, stdout=subprocess.DEVNULL) as server:
        try:
            with _connected(server, port) as connection:
                connection.sendall(request)
                answer = b""
                while sign not in answer:
                    received = connection.recv(65536)
                    assert received, answer
                    answer += received
            return time.perf_counter() - began
        finally:
            server.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _connected(server: "subprocess.Popen[bytes]", port: int) -> Iterator[socket.socket]:
    """A connection, as soon as there can be one."""
    while server.poll() is None:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            yield connection
            return
        time.sleep(0.002)
    sys.exit("the server did not start")


def starts(figure: str, measure: Callable[[Path], float]) -> Iterator[Row]:
    """A new folder for each start, and one folder for all."""
    with TemporaryDirectory(prefix="mediary-") as work:
        used = Path(work) / "used"
        measure(used)
        rounds = [(measure(Path(work) / f"new-{number}"), measure(used)) for number in range(STARTS)]
    for kind, seconds in zip(("a new folder", "a used folder"), zip(*rounds, strict=True), strict=True):
        yield Row(f"{figure}, {kind}", "", f"{min(seconds):.2f} s", median(seconds), limit=1.0, unit=" s")


def idle_memory() -> Row:
    """Some seconds after the start, the router and the database loaded."""
    with serving() as server:
        server.get("/readyz")
        time.sleep(SETTLED)
        return Row("idle memory", "", "", memory(server.pid) / MB, limit=120, unit=" MB")


def main() -> None:
    """Measure, print, and say by the exit code whether the limits hold."""
    rows = [
        *starts("start to GET /healthz", lambda folder: seconds_to_answer(folder, ALIVE, b" 200 OK")),
        *starts("start to first content", lambda folder: seconds_to_answer(folder, CONVERSATION, b"event: content")),
        idle_memory(),
    ]
    sys.exit(not report(rows, "fastest"))


if __name__ == "__main__":
    main()
