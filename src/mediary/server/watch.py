"""Watches requests: each is counted, and traced where somebody wants traces."""

from typing import TYPE_CHECKING

from mediary.server.protocol import Scope
from mediary.tracing import follow
from mediary.usage.counters import OTHER, Counters

if TYPE_CHECKING:
    from mediary.usage.traces import RequestTrace, Traces

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_BARE = ("/backend-api/v2/conversation", "/backend-api/v2/uploads", "/healthz")
_BELOW = {
    "/search/": "/search/{tokens}",
    "/backend-api/v2/files/": "/backend-api/v2/files/{bucket}",
    "/backend-api/v2/runs/": "/backend-api/v2/runs/{run}/events",
    "/backend-api/v2/synthesize/": "/backend-api/v2/synthesize/{provider}",
}
_PROPAGATED = (b"traceparent", b"tracestate")


class Watch:
    """Knows of requests when they come and when they were answered."""

    def __init__(self, counters: Counters, traces: "Traces | None") -> None:
        self._counters = counters
        self._traces = traces

    def begin(self, scope: Scope) -> "RequestTrace | None":
        """A request comes; its trace, to be ended with it."""
        if self._traces is None:
            return None
        parent = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _PROPAGATED}
        method = _method(scope)
        attributes = {"http.request.method": method, "url.path": scope["path"]}
        trace = self._traces.begin(method, parent, attributes)
        follow(trace)
        return trace

    def end(self, scope: Scope, status: int, seconds: float, trace: "RequestTrace | None") -> None:
        """It was answered."""
        route = route_of(scope)
        self._counters.add("http_requests", _method(scope), route, str(status))
        self._counters.observe("http_duration", route, seconds=seconds)
        if trace:
            trace.end(status, _method(scope), None if route == OTHER else route)


def route_of(scope: Scope) -> str:
    """The path of the route that answered, with `{names}` in the place of what differs."""
    if route := scope.get("route"):
        return str(route.path)
    return _bare_route(scope["path"])


def _bare_route(path: str) -> str:
    if path in _BARE:
        return path
    return next((route for prefix, route in _BELOW.items() if path.startswith(prefix)), OTHER)


def _method(scope: Scope) -> str:
    """The method; one that nobody knows is none of its own."""
    method: str = scope["method"]
    return method if method in METHODS else "_OTHER"
