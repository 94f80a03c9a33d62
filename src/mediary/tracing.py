"""Traces of requests: whoever does something worth a span says so here, and it costs nothing where nobody traces."""

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol

Kind = Literal["client", "internal"]
Value = str | bool | int | float | tuple[str, ...]


@dataclass(slots=True, frozen=True, kw_only=True)
class Span:
    """Something that was done, and what was done within it; times are Unix seconds, `error` is a class of errors.

    It is `client` where somebody else was asked. No attribute holds a text of a message, or a key.
    """

    name: str
    began: float
    ended: float
    kind: Kind = "internal"
    attributes: Mapping[str, Value] = field(default_factory=dict)
    error: str | None = None
    within: tuple["Span", ...] = ()


class Trace(Protocol):
    """The trace of one request."""

    def add(self, span: Span) -> None:
        """Something was done for it."""
        ...


_trace: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current_trace() -> Trace | None:
    """The trace of the request that is being answered, if anybody traces."""
    return _trace.get()


def follow(trace: Trace) -> None:
    """From here on, what is done in this task and those it begins belongs to a trace."""
    _trace.set(trace)


class traced:  # noqa: N801 - it reads as a word of the statement
    """`with traced(name, attributes):` what is done there is a span."""

    def __init__(self, name: str, attributes: Mapping[str, Value], *, client: bool = False) -> None:
        self._trace = _trace.get()
        self._name = name
        self._attributes = attributes
        self._kind: Kind = "client" if client else "internal"
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.time()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._trace is not None:
            span = Span(
                name=self._name,
                began=self._began,
                ended=time.time(),
                kind=self._kind,
                attributes=self._attributes,
                error=kind.__name__ if kind else None,
            )
            self._trace.add(span)
