"""Reads an answer: lines in, events out."""

import uuid
from collections.abc import Iterator

from mediary.events import (
    Content,
    Event,
    Finish,
    FinishReason,
    Media,
    Reasoning,
    ToolCall,
    ToolCallFunction,
    ToolCalls,
    Usage,
)
from mediary.providers.http.answering import AnswerReader
from mediary.providers.http.encoding import as_object, encode
from mediary.providers.http.refusals import error_for, words_of
from mediary.providers.ollama.wire import CalledTool, Line, Said, answer_lines

PICTURE = "Image"
"""The label of how far a picture is."""


class LineReader(AnswerReader[Line]):
    """Turns the lines of one answer into events; keeps its end for the end. `alt` says what a picture shows."""

    decoder = answer_lines
    lines = True

    def __init__(self, provider: str, model: str, alt: str = "") -> None:
        super().__init__(provider, model)
        self.alt = alt
        self.calls = 0
        self.last = Line()

    def read(self, piece: Line) -> list[Event | Media]:
        """The events of one line; raises the error it carries."""
        if piece.error:
            # Its status would be 500, but the answer has begun.
            raise error_for(self.provider, words_of(piece.error), 500)
        found: list[Event | Media] = []
        if said := piece.message:
            self.answered = True
            self._read_message(said, found)
        elif piece.image or piece.response or piece.total:
            self._read_picture(piece, found)
        if piece.done:
            self.last = piece
            self.complete = self.over = True
        return found

    def _read_message(self, said: Said, found: list[Event | Media]) -> None:
        # What nearly every line is: a piece of text, or of the thoughts, alone.
        if said.thinking:
            found.append(Reasoning(token=said.thinking))
        if said.content:
            found.append(Content(content=said.content))
        if said.tool_calls:
            found.append(ToolCalls(tool_calls=[self._call(call) for call in said.tool_calls]))

    def _call(self, call: CalledTool) -> ToolCall:
        function = call.function
        arguments = encode(as_object(function.arguments if function else None, "arguments")).decode()
        made = ToolCall(
            index=self.calls,
            id=call.id or f"call_{uuid.uuid4().hex}",
            function=ToolCallFunction(name=function.name if function else None, arguments=arguments),
        )
        self.calls += 1
        return made

    def _read_picture(self, piece: Line, found: list[Event | Media]) -> None:
        if piece.image:
            self.answered = True
            found.append(Media(kind="image", data=piece.image, alt=self.alt))
        elif piece.response:
            # A model that makes none says so in words.
            self.answered = True
            found.append(Content(content=piece.response))
        elif piece.total and piece.total > 0:
            done = min(max(piece.completed or 0, 0), piece.total)
            found.append(Reasoning(label=PICTURE, status=f"{100 * done // piece.total} %"))

    def kept(self) -> Iterator[Event | Media]:
        """What has come so far and waits: a character of which only half came."""
        if half := self.halves.rest("content"):
            yield Content(content=half)

    def end(self) -> Iterator[Event | Media]:
        """What is left to say when the answer is whole."""
        yield from self.kept()
        if usage := self.last.as_usage():
            yield Usage(usage=usage, model=self.model, provider=self.provider)
        reason = self.last.done_reason or "stop"
        # To call a tool is to stop: Ollama has no other word for both.
        yield Finish(finish=FinishReason(reason="tool_calls" if self.calls and reason == "stop" else reason))
