"""Traces by OpenTelemetry, sent over OTLP in batches by a thread of its own; imported only where they are wanted."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OpenSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mediary.tracing import Span, Value

PATH = "/v1/traces"
SENT_EVERY_MS = 2000
SEND_SECONDS = 5
_NANO = 1_000_000_000

_propagator = TraceContextTextMapPropagator()


class Traces:
    """Begins the traces of requests; `endpoint` is where they go, without the path of OTLP."""

    def __init__(self, endpoint: str) -> None:
        release = version("mediary")
        url = endpoint if endpoint.endswith(PATH) else endpoint + PATH
        resource = Resource.create({"service.name": "mediary", "service.version": release})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=url, timeout=SEND_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=SENT_EVERY_MS))
        self._tracer = self._provider.get_tracer("mediary", release)

    def begin(self, name: str, parent: Mapping[str, str], attributes: Mapping[str, Value]) -> "RequestTrace":
        """The trace of a request that begins: part of the one that the headers `traceparent` and `tracestate` name."""
        context = _propagator.extract(parent) if parent else Context()
        span = self._tracer.start_span(name, context, SpanKind.SERVER, attributes=dict(attributes))
        return RequestTrace(self._tracer, span)

    def close(self) -> None:
        """Send what is left; this blocks."""
        self._provider.shutdown()


class RequestTrace:
    """The trace of one request: its own span, and those of what is done for it."""

    def __init__(self, tracer: Tracer, span: OpenSpan) -> None:
        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span, Context())

    def add(self, span: Span) -> None:
        """Something was done for it."""
        self._add(span, self._context)

    def end(self, status: int, method: str, route: str | None) -> None:
        """It was answered."""
        self._span.set_attribute("http.response.status_code", status)
        if route:
            self._span.update_name(f"{method} {route}")
            self._span.set_attribute("http.route", route)
        if status >= 500:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def _add(self, span: Span, context: Context) -> None:
        kind = SpanKind.CLIENT if span.kind == "client" else SpanKind.INTERNAL
        attributes: dict[str, Any] = dict(span.attributes)
        if span.error:
            attributes["error.type"] = span.error
        made = self._tracer.start_span(
            span.name, context, kind, attributes=attributes, start_time=round(span.began * _NANO)
        )
        if span.error:
            made.set_status(Status(StatusCode.ERROR))
        for inner in span.within:
            self._add(inner, set_span_in_context(made, context))
        made.end(round(span.ended * _NANO))
