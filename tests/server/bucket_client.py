"""Buckets, asked over HTTP as programs ask them."""

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPErrorProcessor, ProxyHandler, Request, build_opener

from tests.server.forms import form
from tests.servers.mediary import MediaryServer

FILES = "/backend-api/v2/files"


class _AsItCame(HTTPErrorProcessor):
    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        return response


@dataclass(frozen=True)
class Answer:
    """An answer that is here, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The message of an error."""
        return str(self.json["error"]["message"])


def ask(server: MediaryServer, path: str, method: str = "GET", **headers: str) -> Answer:
    """Any answer to a request without a body; headers with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with server.open(path, method=method, headers=named) as response:
        return Answer(response.status, response.headers, response.read())


def post(server: MediaryServer, path: str, body: bytes, content_type: str, **headers: str) -> Answer:
    """Send a body as it is."""
    named = {"content-type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(server.url + path, body, named)
    with build_opener(ProxyHandler({}), _AsItCame).open(request, timeout=60) as response:
        return Answer(response.status, response.headers, response.read())


def upload(
    server: MediaryServer, bucket: str, files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], **headers: str
) -> Answer:
    """Send files in a form."""
    return post(server, f"{FILES}/{bucket}", *form({}, files), **headers)


def read(server: MediaryServer, bucket: str, query: str = "") -> bytes:
    """The text of a bucket."""
    answer = ask(server, f"{FILES}/{bucket}{query}")
    assert answer.status == 200, answer
    return answer.body


def events(server: MediaryServer, path: str, **headers: str) -> list[dict[str, Any]]:
    """The events of a reading."""
    answer = ask(server, path, **headers)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/event-stream"
    blocks = answer.body.decode().removesuffix("\n\n").split("\n\n")
    lines = [block for block in blocks if not block.startswith(":")]
    assert all(line.startswith("data: ") and "\n" not in line for line in lines), blocks
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def shown(name: str, text: str) -> str:
    """A document within a bucket's text."""
    return f"<!-- File: {name} -->\n{text}\n<-- End -->\n\n"


def bare(server: MediaryServer, request: bytes) -> bytes:
    """What comes back to these very bytes, until the server hangs up: no client tidies the path."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def bare_status(server: MediaryServer, target: str, method: str = "GET") -> int:
    """The status of a request whose path is sent as it is."""
    lines = [f"{method} {target} HTTP/1.1", "host: 127.0.0.1", "connection: close", "content-length: 0", "", ""]
    return int(bare(server, "\r\n".join(lines).encode()).split()[1])
