"""A skipped peer fails the run where all peers must be there, and a skip for another reason does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house import source

RUN = """
import shutil, sys
shutil.copy({conftest!r}, "conftest.py")
import pytest
sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", "--rootdir", ".", "test_example.py"]))
"""


def run(folder: Path, body: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """A run of pytest of its own, with the rules of this one."""
    (folder / "test_example.py").write_text(f"import pytest\n\n{body}\n")
    code = RUN.format(conftest=str(source.ROOT / "tests" / "conftest.py"))
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(source.ROOT), "REQUIRE_PEERS": "", **env},
    )  # fmt: skip


SKIPS = [
    "def test_one(): pytest.skip('needs nginx')",
    "@pytest.mark.skipif(True, reason='needs nginx')\ndef test_one(): pass",
    "@pytest.fixture\ndef nginx(): pytest.skip('needs nginx')\n\ndef test_one(nginx): pass",
    "pytest.skip('needs nginx', allow_module_level=True)",
    "pytest.importorskip('a_module_that_is_not_there')",
]


@pytest.mark.parametrize("body", SKIPS)
def test_a_missing_peer_fails_where_peers_are_required(tmp_path: Path, body: str):
    ran = run(tmp_path, f"{body}\n\ndef test_two(): pass", REQUIRE_PEERS="1")
    assert ran.returncode not in (0, 2), ran.stdout + ran.stderr
    assert "test_example.py" in ran.stdout.split("to skip for want of a peer is to fail")[1]


def test_elsewhere_it_is_a_skip(tmp_path: Path):
    ran = run(tmp_path, SKIPS[0] + "\n\ndef test_two(): pass")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed, 1 skipped" in ran.stdout


def test_what_a_machine_does_not_allow_is_excused(tmp_path: Path):
    ran = run(tmp_path, "def test_one(): pytest.skip('needs the right to mount')", REQUIRE_PEERS="1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
