"""Runs `mediary` as a person does: through pipes, on a terminal, with Ctrl-C."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

from tests.servers.mediary import clean_environment

COMMAND = [sys.executable, "-m", "mediary"]


def run(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command through pipes, in a folder."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=clean_environment(MEDIARY_DISCOVER="false", **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def on_a_terminal(folder: Path, *arguments: str, columns: int = 80, program: Sequence[str] = COMMAND) -> bytes:
    """What a terminal gets to show."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = clean_environment(MEDIARY_DISCOVER="false", TERM="xterm-256color")
    command = [*program, *arguments]
    with subprocess.Popen(command, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65536):
                seen += piece
        except OSError:  # the other end is closed
            pass
        finally:
            os.close(ours)
        process.wait(60)
    return seen


def interrupted(folder: Path, *arguments: str, at: str) -> subprocess.CompletedProcess[str]:
    """A command that gets ^C once a line of its standard output holds some words."""
    command = [*COMMAND, *arguments]
    env = clean_environment(MEDIARY_DISCOVER="false")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        seen = ""
        while at not in seen and (line := process.stdout.readline()):
            seen += line
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, seen + rest, said)
