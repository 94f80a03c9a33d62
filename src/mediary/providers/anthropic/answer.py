"""Reads an answer: the events of a stream, or a whole message, in; events out."""

from collections.abc import Iterator
from typing import Any

from mediary.events import Content, Event, Finish, FinishReason, Reasoning, ToolCall, ToolCallFunction, ToolCalls, Usage
from mediary.providers.anthropic.wire import Answered, Block, Delta, Piece, StopDetails, count_tokens, pieces
from mediary.providers.http.answering import AnswerReader
from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import ErrorBody, error_for, words_of

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class MessageReader(AnswerReader[Piece]):
    """Turns the pieces of one answer into events; keeps usage and the reason of its end for its end."""

    decoder = pieces

    def __init__(self, provider: str, model: str) -> None:
        super().__init__(provider, model)
        self.reason: str | None = None
        self.refusal: str | None = None
        self.spoken = False
        self.usage: dict[str, Any] = {}
        self.calls: dict[int, Call] = {}
        self.called = 0

    def read(self, piece: Piece) -> list[Event]:
        """The events of one piece; raises the error it carries."""
        if piece.error or piece.type == "error":
            raise error_for(self.provider, words_of(piece.error or ErrorBody(message=piece.message)))
        found: list[Event] = []
        self._read_piece(piece, found)
        return found

    def _read_piece(self, piece: Piece, found: list[Event]) -> None:
        index = piece.index or 0
        match piece.type:
            case "content_block_delta" if piece.delta:
                self._read_delta(index, piece.delta, found)
            case "content_block_start" if piece.content_block:
                self._begin_block(index, piece.content_block, found)
            case "content_block_stop":
                self._end_block(index, found)
            case "message_start" if isinstance(piece.message, Answered):
                self.answered = True
                self._note(piece.message.usage, piece.message.stop_reason, piece.message.stop_details)
            case "message_delta":
                delta = piece.delta or Delta()
                self._note(piece.usage, delta.stop_reason, delta.stop_details)
            case "message_stop":
                self.complete = self.over = True
            case "message":
                self.answered = True
                for place, block in enumerate(piece.content or ()):
                    self._begin_block(place, block, found)
                    self._end_block(place, found)
                self._note(piece.usage, piece.stop_reason, piece.stop_details)

    def _note(self, usage: dict[str, Any] | None, reason: str | None, details: StopDetails | None) -> None:
        """What the service says of the whole: counts go up, so the last holds."""
        self.usage |= {name: count for name, count in (usage or {}).items() if count is not None}
        if details and details.explanation:
            self.refusal = details.explanation
        if reason:
            self.reason = reason
            self.complete = True

    def _begin_block(self, index: int, block: Block, found: list[Event]) -> None:
        self.answered = True
        # Some do not say which block is which, nor where one ends.
        self._end_block(index, found)
        if block.type == "tool_use":
            call = self.calls[index] = Call(self.called, block.input)
            self.called += 1
            found.append(call.piece(id=block.id, name=block.name))
        elif block.type == "text" and block.text:
            found.append(self._say(block.text))
        elif block.type == "thinking" and block.thinking:
            found.append(Reasoning(token=block.thinking))

    def _read_delta(self, index: int, delta: Delta, found: list[Event]) -> None:
        if delta.type == "text_delta":
            if delta.text:
                found.append(self._say(delta.text))
        elif delta.type == "thinking_delta":
            if delta.thinking:
                found.append(Reasoning(token=delta.thinking))
        elif delta.partial_json and (call := self.calls.get(index)):
            # Those of a tool that the service calls itself are nobody's business.
            call.input = None
            found.append(call.piece(delta.partial_json))

    def _end_block(self, index: int, found: list[Event]) -> None:
        call = self.calls.pop(index, None)
        if call and call.input is not None:
            found.append(call.piece(encode(call.input).decode()))

    def _say(self, text: str) -> Content:
        self.answered = self.spoken = True
        return Content(content=text)

    def kept(self) -> Iterator[Event]:
        """What has come so far and waits: a character of which only half came."""
        if half := self.halves.rest("text"):
            yield Content(content=half)

    def end(self) -> list[Event]:
        """What is left to say when the answer is whole."""
        found: list[Event] = [*self.kept()]
        for index in list(self.calls):
            self._end_block(index, found)
        if self.refusal and not self.spoken:
            found.append(Content(content=self.refusal))
        if self.usage:
            found.append(Usage(usage=count_tokens(self.usage), model=self.model, provider=self.provider))
        reason = self.reason or ("tool_use" if self.called else "end_turn")
        found.append(Finish(finish=FinishReason(reason=_REASONS.get(reason, reason))))
        return found


class Call:
    """A tool call on its way: which of the answer's it is, and its input if that came with its beginning alone."""

    def __init__(self, number: int, given: dict[str, Any] | None) -> None:
        self.number = number
        self.input: dict[str, Any] | None = given or {}

    def piece(self, arguments: str = "", **first: str | None) -> ToolCalls:
        """The next piece, in the form of events; the first has the id and the name."""
        function = ToolCallFunction(name=first.get("name"), arguments=arguments)
        return ToolCalls(tool_calls=[ToolCall(index=self.number, id=first.get("id"), function=function)])
