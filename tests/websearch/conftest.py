"""What tests of web search share."""

from tests.clock import jump

__all__ = ["jump"]
