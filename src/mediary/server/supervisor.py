"""Several server processes on one port: started together, stopped together, one that crashes started anew."""

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import cast

from mediary.settings import Settings

CRASH_PAUSE = 1.0
"""Seconds to wait before another process takes the place of one that crashed."""

logger = logging.getLogger(__name__)


class Supervisor:
    """Keeps `count` processes running `target` until SIGTERM or SIGINT, or until one says that it cannot go on.

    `target` is called with the settings, and with True in the one process that may announce the start.
    """

    def __init__(self, count: int, target: Callable[[Settings, bool], None], settings: Settings) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._target = target
        self._settings = settings
        self._processes: dict[int, BaseProcess] = {}
        self._stopping = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for at in range(count):
            self._start(announce=at == 0)

    def run(self) -> int:
        """Watch until all have ended; the exit code."""
        code = 0
        while self._processes:
            for sentinel in wait(list(self._processes)):
                process = self._processes.pop(cast("int", sentinel))
                process.join()
                if self._stopping:
                    continue
                if process.exitcode in (0, 1):
                    code = process.exitcode
                    self._stop(signal.SIGTERM, None)
                else:
                    about = {"worker": process.pid, "exit_code": process.exitcode}
                    logger.error("a server process crashed; another takes its place", extra=about)
                    time.sleep(CRASH_PAUSE)
                    self._start(announce=False)
        return code

    def _start(self, *, announce: bool) -> None:
        if self._stopping:
            return
        process = self._context.Process(target=self._target, args=(self._settings, announce))
        process.start()
        self._processes[process.sentinel] = process

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for process in self._processes.values():
            process.terminate()
