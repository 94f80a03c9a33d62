"""Words that cannot steer a terminal, and numbers as people read them."""

import re
import sys
from pathlib import Path

import pytest
from tests.cli.commands import on_a_terminal

from mediary.cli.terminal import counted, duration_in_words, in_a_line, size_in_words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (4_294_967_296, "4.3 GB"),
        (10**18, "1000000 TB"),
    ],
)
def test_sizes(size: int, words: str):
    assert size_in_words(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.7, "1:00"), (61, "1:01"), (3599.6, "1:00:00")]
)
def test_durations(seconds: float, words: str):
    assert duration_in_words(seconds) == words


def test_counts():
    assert (counted(1, "file"), counted(1200, "file")) == ("1 file", "1,200 files")


def test_a_line_is_one_and_harmless():
    assert in_a_line("a\r\n\tb \x1b[31mred\x9b0m \u202egnp.exe") == "a b [31mred0m gnp.exe"


def test_what_is_noted_stands_above_the_bar(tmp_path: Path):
    program = """
import sys
from mediary.cli import terminal
terminal.VISIBLE_AFTER = 0
with terminal.Bar("adding") as bar:
    bar(1, 2)
    print("a note", file=sys.stderr)
    bar(2, 2)
"""
    shown = on_a_terminal(tmp_path, program=[sys.executable, "-c", program])

    # The bar's line is erased before the note is written.
    assert re.search(rb"\x1b\[2K(?:\x1b\[[0-9;]*m)*a note", shown), shown
