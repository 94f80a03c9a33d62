"""What the tests of the server share."""

from tests.clock import jump

__all__ = ["jump"]  # a fixture, used by name
