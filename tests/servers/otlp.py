"""A receiver of traces over OTLP/HTTP: it takes what the protocol says, refuses all else, and keeps the spans."""

import gzip
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Receiver(ThreadingHTTPServer):
    """`POST /v1/traces` with a protobuf body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []
        self.refused: list[str] = []
        self.came = threading.Condition()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """What a request is answered with."""
        if path != "/v1/traces":
            return 404
        if headers.get("content-type") != "application/x-protobuf":
            return 415
        try:
            request = ExportTraceServiceRequest.FromString(
                gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            )
        except (DecodeError, OSError):
            return 400
        found = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
        if any(len(span.trace_id) != 16 or len(span.span_id) != 8 or not span.name for span in found):
            return 400
        if any(span.end_time_unix_nano < span.start_time_unix_nano for span in found):
            return 400
        with self.came:
            self.spans += found
            self.came.notify_all()
        return 200

    def wait_for(self, *names: str) -> dict[str, Span]:
        """The spans of these names, once all have come."""
        with self.came:
            assert self.came.wait_for(lambda: {span.name for span in self.spans} >= set(names), 20), (
                [span.name for span in self.spans],
                self.refused,
            )
        return {span.name: span for span in self.spans}


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status = self.server.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        if status != 200:
            self.server.refused.append(f"{status} {self.path}")
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def attributes(span: Span) -> dict[str, Any]:
    """The attributes of a span as plain values."""
    return {one.key: _plain(one.value) for one in span.attributes}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
