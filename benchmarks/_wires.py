"""Services behind the figures of the wires: each says the same words in its own wire's form, all in one write.

The path says which wire is spoken, the model's name, `chunks-5000`, how many pieces of text there are.
`python -m benchmarks._wires` prints its port and serves until it is ended.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

_ASKED = re.compile(rb"chunks-(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)\r\n", re.IGNORECASE)
NOTHING_HERE = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Wire:
    """How a wire says it: what begins an answer, a piece of it, and its end; `base` is where its API begins."""

    base: str
    path: bytes
    begin: bytes
    piece: bytes
    end: bytes
    content_type: bytes = b"text/event-stream"

    def answer(self, pieces: int) -> bytes:
        body = self.begin + self.piece * pieces + self.end
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (self.content_type, len(body))
        return head + body


def event(data: Any, name: str | None = None) -> bytes:
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _chat(**rest: Any) -> bytes:
    head = {"id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion.chunk", "created": 1741570283}
    return event(head | {"model": "chunks", "system_fingerprint": "fp_44709d6fcb"} | rest)


def _choice(delta: dict[str, str], reason: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "finish_reason": reason}]


OPENAI = Wire(
    "/v1",
    b"/chat/completions",
    _chat(choices=_choice({"role": "assistant", "content": ""})),
    _chat(choices=_choice({"content": " word"})),
    _chat(choices=_choice({}, "stop"))
    + _chat(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18})
    + b"data: [DONE]\n\n",
)


def _named(kind: str, **rest: Any) -> bytes:
    return event({"type": kind, **rest}, kind)


_MESSAGE = {"id": "msg_01", "type": "message", "role": "assistant", "model": "chunks", "content": []}
ANTHROPIC = Wire(
    "/v1",
    b"/messages",
    _named("message_start", message={**_MESSAGE, "usage": {"input_tokens": 9, "output_tokens": 1}})
    + _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    _named("content_block_delta", index=0, delta={"type": "text_delta", "text": " word"}),
    _named("content_block_stop", index=0)
    + _named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
    + _named("message_stop"),
)

_COUNTS = {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18}


def _candidate(text: str, **rest: Any) -> bytes:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **rest}
    return event({"candidates": [candidate], "usageMetadata": _COUNTS, "modelVersion": "chunks", "responseId": "r1"})


GEMINI = Wire("/v1beta", b":streamGenerateContent", b"", _candidate(" word"), _candidate("", finishReason="STOP"))


def _line(content: str, **rest: Any) -> bytes:
    said = {"model": "chunks", "created_at": "2026-01-01T00:00:00.000000Z"}
    line = said | {"message": {"role": "assistant", "content": content}, "done": False} | rest
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


OLLAMA = Wire(
    "",
    b"/api/chat",
    b"",
    _line(" word"),
    _line("", done=True, done_reason="stop", prompt_eval_count=9, eval_count=9),
    b"application/x-ndjson",
)

_RESPONSE = {"id": "resp_1", "object": "response", "model": "chunks", "output": []}
_ITEM = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSES = Wire(
    "/v1",
    b"/responses",
    _named("response.created", sequence_number=0, response={**_RESPONSE, "status": "in_progress"}),
    _named("response.output_text.delta", **_ITEM, sequence_number=7, delta=" word", logprobs=[], obfuscation="x9aKq"),
    _named(
        "response.completed",
        sequence_number=9,
        response={
            **_RESPONSE,
            "status": "completed",
            "usage": {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18},
        },
    ),
)

WIRES = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "ollama": OLLAMA,
    "openai_responses": RESPONSES,
}


class Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if not found or len(body) < (int(length[1]) if length else 0):
            return
        asked, self._received = self._received, b""
        line = head.partition(b"\r\n")[0]
        wire = next((each for each in WIRES.values() if each.path in line), None)
        count = _ASKED.search(asked)
        answer = wire.answer(int(count[1])) if wire and count and line.startswith(b"POST") else NOTHING_HERE
        self._transport.write(answer)  # type: ignore[attr-defined]


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def services() -> Iterator[int]:
    """The services as a process of their own; its port."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks._wires"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    uvloop.run(serve())
