"""React's own server code behind HTTP: what it makes of values, and of the arguments of actions."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection

from tests.servers.node import HERE, program
from tests.servers.processes import Process, free_port


@dataclass
class React:
    """The server, on a connection that stays."""

    connection: HTTPConnection

    def ask(self, path: str, body: bytes = b"") -> bytes:
        """What it makes of a body: `/render` of JSON, `/arguments` of arguments, `/specials` and `/circle` of none."""
        self.connection.request("POST", path, body)
        return self.connection.getresponse().read()


@contextmanager
def running_react() -> Iterator[React]:
    """The server."""
    program("react-server-dom-webpack/package.json")
    port = free_port()
    command = ["node", "--conditions", "react-server", str(HERE / "react_flight.mjs"), str(port)]
    process = Process(command, port, env={**os.environ, "NODE_ENV": "production"}).start()
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        yield React(connection)
    finally:
        connection.close()
        process.stop()
