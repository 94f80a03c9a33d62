"""Whether a process is gone: only what is certain counts."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediary.database.processes import is_gone, this_process

pytestmark = pytest.mark.skipif(not this_process(), reason="this system does not tell")

TELL = "from mediary.database.processes import this_process; print(this_process(), flush=True); input()"


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process, and what it calls itself."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_process_that_runs_is_not_gone(other: tuple[subprocess.Popen[str], str]):
    assert other[1] != this_process()
    assert not is_gone(this_process())
    assert not is_gone(other[1])


def test_a_process_that_was_killed_is_gone_also_while_nobody_has_waited_for_it(
    other: tuple[subprocess.Popen[str], str],
):
    process, name = other
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(name)
    process.wait()
    assert is_gone(name)


def test_another_process_with_the_same_number_is_not_the_same():
    boot, namespace, pid, start = this_process().split()
    assert is_gone(f"{boot} {namespace} {pid} {int(start) - 1}")


def test_of_other_machines_and_containers_nobody_knows():
    boot, namespace, _, start = this_process().split()
    assert not is_gone(f"other {namespace} 999999999 {start}")
    assert not is_gone(f"{boot} pid:[1] 999999999 {start}")
    assert not is_gone("")


def test_a_process_of_somebody_else_is_taken_as_it_is():
    boot, namespace, *_ = this_process().split()
    assert not is_gone(f"{boot} {namespace} 1 {_start_of(1)}")


def _start_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
