"""Counters: of one process, and of several that share a folder, one of which is killed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediary.usage.counters import MAX_PAIRS, OTHER, Counters

CHILD = """
import sys
from pathlib import Path
from mediary.usage.counters import Counters
counters = Counters(Path(sys.argv[1]))
for number in range(1000):
    counters.add("turns", "P", f"model {number}", "finished")
counters.add("now_running_turns", amount=2)
print("counted", flush=True)
sys.stdin.read()
"""


FULL = """
import sys
from pathlib import Path
from mediary.usage.counters import Counters
folder = Path(sys.argv[1])
(folder / "counters").mkdir()
counters = Counters(folder / "counters")
counters.add("turns", "P", "early")
with (folder / "filling").open("wb", buffering=0) as filling:
    try:
        while filling.write(b"x" * 4096):
            pass
    except OSError:
        pass
for number in range(2000):
    counters.add("turns", "P", f"model {number}", "finished")
assert counters.all()[("turns", "P", "model 1999", "finished")] == 1
(folder / "filling").unlink()
counters.add("turns", "P", "late")
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_does_not_end_the_process(small_disk: Path):
    """A page of a file that the disk has no room for costs its process the life."""
    subprocess.run([sys.executable, "-c", FULL, str(small_disk)], check=True)
    others = Counters(small_disk / "counters").all()
    assert others[("turns", "P", "early")] == others[("turns", "P", "late")] == 1
    assert 2 < len(others) < 2002


def test_long_names_in_any_script_have_room(tmp_path: Path):
    ours, reader = Counters(tmp_path), Counters(tmp_path)
    for number in range(MAX_PAIRS):
        who = ours.among("P", f"{number}" + "\U0001f600" * 300)
        for bucket in range(20):
            ours.observe(f"took {bucket}", *who, seconds=1)
    assert reader.all() == ours.all()


def test_numbers_grow_by_their_labels():
    counters = Counters()
    counters.add("turns", "P", "m")
    counters.add("turns", "P", "m", amount=2.5)
    counters.add("turns", "P", "other")
    assert counters.all() == {("turns", "P", "m"): 3.5, ("turns", "P", "other"): 1.0}


def test_seconds_fall_into_buckets():
    counters = Counters()
    for seconds in (0.05, 0.06, 10_000):
        counters.observe("took", "P", seconds=seconds)
    assert counters.all() == {
        ("took", "P", "0"): 1.0,
        ("took", "P", "1"): 1.0,
        ("took", "P", "13"): 1.0,
        ("took_sum", "P"): 10_000.11,
    }


def test_models_that_nobody_reads_are_counted_together():
    counters = Counters()
    found = [counters.among("P", f"model {number}") for number in range(MAX_PAIRS + 5)]
    assert len(set(found)) == MAX_PAIRS + 1
    assert found[-1] == ("P", OTHER)
    assert counters.among("P", "model 0") == ("P", "model 0")


def test_several_processes_count_together_and_what_a_killed_one_counted_stays(tmp_path: Path):
    ours = Counters(tmp_path)
    ours.add("turns", "P", "model 5", "finished")
    ours.add("now_running_turns")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout and child.stdout.readline() == "counted\n"
        living = ours.all()
        assert len(ours.processes()) == 2
        child.kill()
    dead = ours.all()
    assert living[("turns", "P", "model 5", "finished")] == dead[("turns", "P", "model 5", "finished")] == 2
    assert living[("turns", "P", "model 999", "finished")] == 1
    assert (living[("now_running_turns",)], dead[("now_running_turns",)]) == (3, 1)
    assert len(ours.processes()) == 1
