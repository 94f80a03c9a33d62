"""aimock as a process: the wires of several services on one port, with fixtures, chaos and a journal of requests."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from tests.servers.node import program

HERE = Path(__file__).parent
FIXTURES = HERE / "aimock_fixtures"
KEY = "sk-test-aimock-0123456789"
"""The only key that it takes."""

_open = build_opener(ProxyHandler({})).open


class Aimock:
    """A running aimock: `base_url` is where its OpenAI wire begins."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.base_url = f"{url}/v1"

    def journal(self, test_id: str) -> list[dict[str, Any]]:
        """The requests that came with that `X-Test-Id`, oldest first."""
        request = Request(f"{self.url}/__aimock/journal?testId={test_id}", headers={"Authorization": f"Bearer {KEY}"})
        with _open(request, timeout=10) as response:
            return json.load(response)


@contextmanager
def running_aimock(*options: str, fixtures: Path = FIXTURES) -> Iterator[Aimock]:
    """Start aimock on a free port; without Node.js the test is skipped, or fails where peers are required."""
    main = program("@copilotkit/aimock/dist/cli.js")
    process = subprocess.Popen(
        ["node", str(main), "--port", "0", "--fixtures", str(fixtures), "--validate-on-load", *options],
        env={**os.environ, "AIMOCK_API_KEYS": KEY},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    try:
        yield Aimock(_address(process))
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"listening on (http://\S+)", line):
            return found[1]
    pytest.fail(f"aimock did not start:\n{''.join(said)}", pytrace=False)
