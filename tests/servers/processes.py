"""Programs that answer on a port: started until they listen, ended with this process at the latest."""

import atexit
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

START_SECONDS = 60


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Process:
    """A program and the port that it listens on; it can be stopped and started again."""

    def __init__(
        self, command: Sequence[str], port: int, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self._command = list(command)
        self._cwd = cwd
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._said = bytearray()
        atexit.register(self.stop)

    def start(self) -> "Process":
        """Start it, and return once it listens."""
        self._process = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        self._wait(self._process)
        return self

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout
        with process.stdout as said:
            for line in said:
                self._said += line

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        waited = threading.Event()
        for _ in range(START_SECONDS * 50):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            if process.poll() is not None:
                break
            waited.wait(0.02)
        self.stop()
        pytest.fail(f"{self._command} did not start:\n{self._said.decode(errors='replace')}", pytrace=False)
