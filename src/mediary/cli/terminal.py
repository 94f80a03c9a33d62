"""What commands share of the terminal: words that cannot steer it, numbers as people read them, a bar."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from io import TextIOWrapper
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from mediary.errors import MediaryError

if TYPE_CHECKING:
    from rich.progress import Progress

# The controls of ASCII and Latin-1, among them what begins an escape sequence.
_CONTROLS = {*range(32), *range(127, 160)}
_STEERS = dict.fromkeys(_CONTROLS - {9, 10, 13})
# What turns a line round, so that it reads as something else.
_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])

_UNITS = ("kB", "MB", "GB", "TB")

VISIBLE_AFTER = 1.0
"""Seconds until a bar shows itself."""


def prepare_output() -> None:
    """Let standard output replace what it cannot show."""
    # It is None where the shell closed it, whatever its type says.
    if not sys.stdout:
        raise MediaryError("standard output is closed")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def write_out(text: str, what: str = "the answer") -> None:
    """Put text on standard output, now; MediaryError where it goes nowhere."""
    try:
        print(text, end="", flush=True)
    except OSError as error:
        # Python flushes once more at its end, and would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise MediaryError(f"{what} cannot be written: {error.strerror}") from error


def unsteered(stream: IO[str]) -> Callable[[str], str]:
    """How text that others wrote goes to a stream: a terminal gets no control characters, anything else the text."""
    return harmless if stream.isatty() else str


def harmless(text: str) -> str:
    """Text that others wrote, without what would steer a terminal."""
    return text.translate(_STEERS)


def in_a_line(text: str) -> str:
    """Text that others wrote, in one line of a terminal."""
    return " ".join(text.split()).translate(dict.fromkeys(_CONTROLS) | _TURNS)


def size_in_words(size: int) -> str:
    """`1.2 MB`."""
    if size < 1000:
        return f"{size} B"
    amount, power = size / 1000, 0
    while amount >= 999.5 and power < len(_UNITS) - 1:
        amount, power = amount / 1000, power + 1
    return f"{amount:.{1 if amount < 9.95 else 0}f} {_UNITS[power]}"


def moment_in_words(seconds: float) -> str:
    """`2026-11-20 11:30`, in the time zone of this machine."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def duration_in_words(seconds: float) -> str:
    """`1:02:03`, `4:05`; below ten seconds `3.2 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def counted(number: int, one: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")


class Bar:
    """How far a work has come, on standard error if that is a terminal, and only if it takes its time.

    Numbers stand on it `in_words`. At Ctrl-C it says how far that was, and `stopped`, if that is given: what it means.
    """

    def __init__(
        self, what: str, *, stopped: str | None = None, in_words: Callable[[int], str] = "{:,}".format
    ) -> None:
        self._what = what
        self._in_words = in_words
        self._stopped = stopped
        self._reached = "the beginning"
        self._begin = time.monotonic()
        self._progress: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._progress:
            self._progress.stop()
        if self._stopped and isinstance(error, asyncio.CancelledError):
            print(f"mediary: stopped at {self._reached}; {self._stopped}", file=sys.stderr)

    def __call__(self, done: int, total: int | None, size: int = 0) -> None:
        """So much is done of so much; `size` is the bytes that went by."""
        self._reached = self._in_words(done) + (f" of {self._in_words(total)}" if total else "")
        if self._progress is None:
            if time.monotonic() - self._begin < VISIBLE_AFTER:
                return
            self._show()
        assert self._progress
        of = f"{self._reached}, {size_in_words(size)}" if size else self._reached
        self._progress.update(self._task, completed=done, total=total or None, of=of)

    def print(self, line: str) -> None:
        """A line of standard output while the bar stands."""
        line = unsteered(sys.stdout)(line)
        if self._progress and sys.stdout.isatty():
            self._progress.console.print(line, soft_wrap=True, markup=False, highlight=False)
        else:
            write_out(f"{line}\n", "the output")

    def _show(self) -> None:
        # imported here: most commands are done before there is a bar to show
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[of]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=True,  # so that what is noted stands above the bar
        )
        self._task = self._progress.add_task(self._what, total=None, of="")
        self._progress.start()
