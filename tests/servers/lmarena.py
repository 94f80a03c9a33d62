"""LMArena's upload actions, answered by React's own server code, with the bytes in a real S3 server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.servers.node import HERE, program
from tests.servers.processes import Process, free_port
from tests.servers.s3_links import Links, ask, running_links

ACTIONS = {"generate_upload_url": "40c3aa7e1f0b", "get_signed_url": "40d91c55e2aa"}
PAGE = "/?mode=direct"
COOKIES = ({"arena-auth": "ann"}, {"arena-auth": "bob"})


@dataclass
class LMArenaService:
    """The service, and where its links lead."""

    url: str
    links: Links

    def journal(self) -> list[dict[str, Any]]:
        """What it was asked since the last time somebody looked."""
        found: list[dict[str, Any]] = ask(f"{self.url}/journal", "DELETE")
        return found


@contextmanager
def running_lmarena() -> Iterator[LMArenaService]:
    """A service with no files."""
    program("react-server-dom-webpack/package.json")
    port = free_port()
    with running_links() as links:
        command = ["node", "--conditions", "react-server", str(HERE / "lmarena.mjs"), str(port), links.url]
        process = Process(command, port, env={**os.environ, "NODE_ENV": "production"}).start()
        try:
            yield LMArenaService(f"http://127.0.0.1:{port}", links)
        finally:
            process.stop()
