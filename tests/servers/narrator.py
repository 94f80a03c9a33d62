"""A chat service, in the form of OpenAI's, that says each word when the test tells it to."""

import json
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue

PATIENCE = 30.0


class Narrator:
    """Speaks to all who ask, one word of `say` at a time; `left` is set when one of them leaves before the end."""

    def __init__(self) -> None:
        self.words: Queue[str | None] = Queue()
        self.asked = threading.Event()
        self.left = threading.Event()
        self.port = 0

    @property
    def settings(self) -> str:
        """A `[providers.…]` table for it."""
        return (
            f'[providers.Narrator]\nwire = "openai"\nbase_url = "http://127.0.0.1:{self.port}/v1"\nmodels = ["tale"]\n'
        )

    def say(self, *words: str) -> None:
        """Have it say these."""
        for word in words:
            self.words.put(word)

    def end(self) -> None:
        """Have it come to the end."""
        self.words.put(None)


@contextmanager
def narrator() -> Iterator[Narrator]:
    """A narrator on a free port of loopback."""
    tale = Narrator()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            body = json.dumps({"object": "list", "data": [{"id": "tale"}]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            tale.asked.set()
            with suppress(OSError):
                self._tell()

        def _tell(self) -> None:
            while True:
                try:
                    word = tale.words.get(timeout=0.05)
                except Empty:
                    if select.select([self.connection], [], [], 0)[0] and not self.connection.recv(1):
                        tale.left.set()
                        return
                    continue
                reason = "stop" if word is None else None
                choice = {"index": 0, "delta": {"content": word or ""}, "finish_reason": reason}
                chunk = {"object": "chat.completion.chunk", "choices": [choice]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                if word is None:
                    self.wfile.write(b"data: [DONE]\n\n")
                    return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    tale.port = server.server_address[1]
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield tale
    finally:
        server.shutdown()
        server.server_close()
        serving.join(PATIENCE)
