"""What is put into a question besides its own words, where it asks for that: memories, what was found on the web."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from mediary.events import Log
from mediary.providers.base import Text, TurnRequest


@dataclass(slots=True, frozen=True)
class Added:
    """What stands before the question, in its message; `closing` is said at the end of the answer."""

    parts: tuple[Text, ...]
    closing: str = ""


class Context(Protocol):
    """Where such things come from, for one turn."""

    def bring(self, request: TurnRequest, tokens: int) -> AsyncGenerator[Log | Added, None]:
        """What bears on the question and fits into that many tokens: log lines, then `Added` if anything was found.

        What fails costs a log line, not the answer.
        """
        ...
