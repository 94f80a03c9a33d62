"""A server whose Python loads sqlite-vec, one whose Python cannot, and one that finds its model away."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house import source
from tests.memory.test_http import find, keep
from tests.servers.embeddings import KEY, EmbeddingService
from tests.servers.mediary import MediaryServer

CANDIDATES = [sys.executable, "/usr/bin/python3", "/usr/bin/python3.11"]
ABLE = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)"
SAME = "import sys; assert sys.version_info[:2] == ({}, {})".format(*sys.version_info[:2])
TABLE = """
[providers.Places]
wire = "openai"
base_url = "{url}"
api_key = "{key}"

[memory]
embeddings = "Places/small"
"""


def is_able(program: str) -> bool:
    """Whether a Python is one of this version that can load extensions."""
    return not subprocess.run([program, "-c", f"{SAME}; {ABLE}"], capture_output=True, check=False).returncode


def python_that_loads() -> str:
    """A Python of this version that can load extensions."""
    for program in CANDIDATES:
        if Path(program).exists() and is_able(program):
            return program
    pytest.skip("needs a Python that can load extensions of SQLite")


def serve(data: Path, service: EmbeddingService, program: str) -> MediaryServer:
    standard = (sys.base_prefix, str(source.ROOT / "tests"))  # it has its own
    paths = ":".join(path for path in sys.path if path and not path.startswith(standard))
    command = [program, "-m", "mediary", "serve", "--data", str(data), "--port", "0"]
    settings = TABLE.format(url=service.base_url, key=KEY)
    return MediaryServer(data, settings=settings, command=command, env={"PYTHONPATH": paths})


def found_by_meaning(server: MediaryServer) -> bool:
    return "Miezi sleeps on the sofa" in {item["memory"] for item in find(server, "ann", search="a pet?")["results"]}


@pytest.fixture
async def program(request: pytest.FixtureRequest) -> str:
    return python_that_loads() if request.param == "loads" else sys.executable


@pytest.mark.parametrize("program", ["loads", "this"], indirect=True)
async def test_meaning_is_found(program: str, tmp_path: Path, service: EmbeddingService):
    def ask() -> str:
        with serve(tmp_path / "data", service, program) as server:
            keep(server, "ann", "Miezi sleeps on the sofa", "We travel by train")
            for _ in range(500):
                if found_by_meaning(server):
                    break
            else:
                pytest.fail(f"it is not found\n{server.output()}")
            return server.output()

    output = await asyncio.to_thread(ask)
    able = is_able(program)
    assert ("sqlite-vec cannot be loaded" in output) != able
    assert KEY not in output
