"""Short words for the tests of providers: a question, and what came of it."""

from dataclasses import dataclass, field
from typing import Any

from mediary.errors import MediaryError
from mediary.events import Content, Event, Finish, Media, Reasoning, ToolCalls, Usage
from mediary.providers.base import Message, Part, Provider, Text, TurnRequest


def ask(text: str, *parts: Part, model: str = "gpt-4o", **fields: Any) -> TurnRequest:
    """A question of one message."""
    return TurnRequest(model=model, messages=(Message("user", (Text(text), *parts)),), **fields)


@dataclass
class Turn:
    """What a turn gave, in the order it came, and how it failed if it did."""

    events: list[Event | Media] = field(default_factory=list)
    error: MediaryError | None = None

    @property
    def text(self) -> str:
        return "".join(event.content for event in self.events if isinstance(event, Content))

    @property
    def reasoning(self) -> str:
        return "".join(str(event.token) for event in self.events if isinstance(event, Reasoning))

    @property
    def calls(self) -> list[tuple[int, str | None, str | None, str]]:
        """The tool calls put together: number, id, name, arguments."""
        found: dict[int, tuple[str | None, str | None, str]] = {}
        for event in self.events:
            for call in event.tool_calls if isinstance(event, ToolCalls) else ():
                id_, name, arguments = found.get(call.index, (None, None, ""))
                found[call.index] = (
                    id_ or call.id,
                    name or call.function.name,
                    arguments + call.function.arguments,
                )
        return [(index, *call) for index, call in found.items()]

    @property
    def media(self) -> list[Media]:
        return [event for event in self.events if isinstance(event, Media)]

    @property
    def usage(self) -> dict[str, Any] | None:
        return next((event.usage for event in self.events if isinstance(event, Usage)), None)

    @property
    def reason(self) -> str | None:
        last = self.events[-1] if self.events else None
        return last.finish.reason if isinstance(last, Finish) else None


async def hold(provider: Provider, request: TurnRequest) -> Turn:
    """A turn to its end; a stream of media is read into its `data` where it stands."""
    turn = Turn()
    try:
        async for event in provider.converse(request):
            if isinstance(event, Media) and event.stream is not None:
                event.data, event.stream = b"".join([piece async for piece in event.stream]), None
            turn.events.append(event)
    except MediaryError as error:
        turn.error = error
    return turn
