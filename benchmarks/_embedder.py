"""A model that places texts by their words, behind the figures of memory: always the same, and at next to no cost.

`python -m benchmarks._embedder` prints its port and serves `/v1/embeddings` until it is ended.
"""

import json
import subprocess
import sys
from array import array
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import sqrt
from random import Random

DIMENSIONS = 256


@cache
def direction(word: str) -> list[float]:
    """Where a word points."""
    chance = Random(word)
    return [chance.gauss() for _ in range(DIMENSIONS)]


def place(text: str) -> list[float]:
    """Where a text lies: between its words, one unit from the origin."""
    found = [sum(each) for each in zip(*map(direction, text.casefold().split() or [""]), strict=True)]
    length = sqrt(sum(each * each for each in found)) or 1.0
    return [each / length for each in found]


class Handler(BaseHTTPRequestHandler):
    """Answers as OpenAI's endpoint does, in base64 where it is asked for."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece: a second one would wait 40 ms for the first to be acknowledged

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": "near"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        packed = asked.get("encoding_format") == "base64"
        data = [
            {"index": number, "embedding": _packed(place(text)) if packed else place(text)}
            for number, text in enumerate(texts)
        ]
        self._answer({"object": "list", "data": data, "usage": {"prompt_tokens": len(texts)}})

    def _answer(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _packed(vector: list[float]) -> str:
    return b64encode(array("f", vector).tobytes()).decode()


@contextmanager
def embedder() -> Iterator[int]:
    """The service as a process of its own; its port."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks._embedder"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
