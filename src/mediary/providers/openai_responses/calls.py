"""The function calls of an answer: each begins with its name, and its arguments come in pieces or whole at its end."""

from dataclasses import dataclass
from typing import Any

from mediary.events import ToolCall, ToolCallFunction, ToolCalls
from mediary.providers.http.encoding import encode
from mediary.providers.openai_responses.wire import Item


@dataclass(slots=True)
class Call:
    """A call on its way: its number in the answer, and what has been told of it."""

    number: int
    named: bool = False
    told: bool = False


class Calls:
    """The calls by the place of their items; a service that tells no places has one call at a time."""

    def __init__(self) -> None:
        self.count = 0
        self._calls: dict[int | None, Call] = {}

    def begin(self, place: int | None, item: Item) -> list[ToolCalls]:
        """A call by its name; the arguments follow."""
        call = self._calls.get(place)
        if call is None or (call.named and place is None):
            call = self._add(place)
        return [] if call.named else [_named(call, item)]

    def go_on(self, place: int | None, arguments: str | None) -> list[ToolCalls]:
        """The next piece of the arguments."""
        if not arguments:
            return []
        call = self._calls.get(place) or self._add(place)
        call.told = True
        return [_piece(call, arguments)]

    def end(self, place: int | None, arguments: Any, item: Item | None = None) -> list[ToolCalls]:
        """The arguments as a whole, where they did not come in pieces; the name, where it did not come before."""
        call = self._calls.get(place) or self._add(place)
        found = [] if call.named or item is None else [_named(call, item)]
        if arguments and not call.told:
            call.told = True
            found.append(_piece(call, arguments if isinstance(arguments, str) else encode(arguments).decode()))
        return found

    def _add(self, place: int | None) -> Call:
        call = self._calls[place] = Call(self.count)
        self.count += 1
        return call


def _named(call: Call, item: Item) -> ToolCalls:
    call.named = True
    function = ToolCallFunction(name=item.name)
    return ToolCalls(tool_calls=[ToolCall(index=call.number, id=item.call_id or item.id, function=function)])


def _piece(call: Call, arguments: str) -> ToolCalls:
    return ToolCalls(tool_calls=[ToolCall(index=call.number, function=ToolCallFunction(arguments=arguments))])
