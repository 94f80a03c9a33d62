"""The README's two commands, in an empty folder, with nothing but git, make and Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs import pages
from tests.servers.mediary import MediaryServer, clean_environment, media_urls

ROOT = Path(__file__).parents[2]
BLOCK = next(block for block in pages.blocks(ROOT / "README.md") if block.elsewhere == Path(__file__))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with the files as they are now."""
    if not (shutil.which("git") and shutil.which("make")):
        pytest.skip("needs git and make")
    origin = tmp_path / "origin"
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, origin / name)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "as it is"]):
        subprocess.run([*git, *command], cwd=origin, check=True)
    return origin


@pytest.mark.timeout(600)
def test_the_two_commands_of_the_readme(repository: Path, tmp_path: Path):
    clone, start = BLOCK.code.strip().split("\n")
    assert start == "make -C mediary run"
    empty = tmp_path / "empty"
    empty.mkdir()
    subprocess.run(
        clone.replace("<address of this repository>", str(repository)), shell=True, cwd=empty, check=True, timeout=60
    )
    # Whatever Python runs these tests is the machine's python3; an active environment is none of a newcomer's.
    python = Path(getattr(sys, "_base_executable", sys.executable)).parent
    env = {"PORT": "0", "PATH": f"{python}{os.pathsep}{clean_environment()['PATH']}"}
    server = MediaryServer(empty / "mediary" / "data", command=["make", "-C", str(empty / "mediary"), "run"], env=env)
    server.start(timeout=300)
    try:
        events = server.converse("Hello", provider="Local", model="speech")
        assert events[-1]["type"] == "finish"
        (url,) = media_urls(events)
        assert server.get(url)
        assert len(list((empty / "mediary" / "data" / "generated_media").glob("*Hello*.mp3"))) == 1
    finally:
        server.stop()
