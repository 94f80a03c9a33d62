"""Yupp's upload procedures on a real tRPC server, with the bytes in a real S3 server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.servers.node import HERE, program
from tests.servers.processes import Process, free_port
from tests.servers.s3_links import Links, ask, running_links

TOKENS = ("session-of-ann", "session-of-bob")


@dataclass
class YuppService:
    """The service, and where its links lead."""

    url: str
    links: Links

    def journal(self) -> list[dict[str, Any]]:
        """What it was asked since the last time somebody looked."""
        found: list[dict[str, Any]] = ask(f"{self.url}/journal", "DELETE")
        return found

    def content(self, file_id: str) -> bytes:
        """The bytes of a file."""
        return self.links.read(f"files/{file_id}")


@contextmanager
def running_yupp() -> Iterator[YuppService]:
    """A service with no files."""
    program("@trpc/server/package.json")
    port = free_port()
    with running_links() as links:
        process = Process(["node", str(HERE / "yupp.mjs"), str(port), links.url], port).start()
        try:
            yield YuppService(f"http://127.0.0.1:{port}", links)
        finally:
            process.stop()
