"""Every command in the documentation is run as it stands there, page by page, against a real server."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs import pages
from tests.servers.mediary import MediaryServer, clean_environment

ADDRESS = re.compile(r"(?:http://)?(?:localhost|127\.0\.0\.1):8080")
NEEDED = ("curl", "file", "sox")

shell_blocks = [block for block in pages.all_blocks() if block.is_shell]


class Session:
    """What a reader has: a folder, a shell in it, and a server once the page starts one or asks it something."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: MediaryServer | None = None

    def serve(self, command: str) -> None:
        """`mediary serve …` as on the page, but on a free port."""
        self.close()
        arguments = shlex.split(re.sub(r"--port \d+", "--port 0", command))[2:]
        self.server = MediaryServer(self.folder, options=arguments).start()

    def run(self, script: str) -> None:
        """Run a block; every command in it must succeed, and every pipe to its end."""
        if not self.server:
            self.serve("mediary serve")
        assert self.server
        bound = ADDRESS.sub(self.server.url, script)
        path = os.pathsep.join([str(Path(sys.executable).parent), clean_environment()["PATH"]])
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", bound],
            cwd=self.folder, env=clean_environment(PATH=path, MEDIARY_DISCOVER="false"),
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert ran.returncode == 0, f"{script}\n{ran.stdout}{ran.stderr}\n{self.server.output()}"
        # what says that there is no error is none
        assert '"error"' not in ran.stdout.replace('"error":""', ""), ran.stdout

    def close(self) -> None:
        """Stop the server."""
        if self.server:
            self.server.stop()
            self.server = None


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    opened = Session(tmp_path / "reader")
    yield opened
    opened.close()


to_run = {page: [block for block in shell_blocks if block.page == page] for page in pages.PAGES}
to_run = {page: found for page, found in to_run.items() if any(b.test in (None, "serve") for b in found)}


@pytest.mark.parametrize("page", to_run, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_commands_of_a_page_work(page: Path, session: Session):
    for block in to_run[page]:
        if block.only_syntax or block.elsewhere:
            continue
        if block.code.startswith("mediary serve"):
            session.serve(block.code.strip())
            assert session.server
            assert session.server.get("/healthz")
        else:
            session.run(block.code)


@pytest.mark.parametrize("block", [block for block in shell_blocks if block.only_syntax], ids=str)
def test_what_cannot_be_run_here_can_be_read_by_a_shell(block: pages.Block):
    read = subprocess.run(["sh", "-n", "-c", block.code], capture_output=True, text=True, timeout=30)
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("block", [block for block in shell_blocks if block.elsewhere], ids=str)
def test_what_another_test_runs_is_run_there(block: pages.Block):
    assert block.elsewhere
    assert f'"{block.page.name}"' in block.elsewhere.read_text(encoding="utf-8")


def test_each_mark_is_one_that_is_known():
    unknown = [b for b in shell_blocks if b.test and b.test != "serve" and not b.only_syntax and not b.elsewhere]
    assert not unknown
