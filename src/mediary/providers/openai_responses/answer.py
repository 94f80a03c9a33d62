"""Reads an answer: the events of a stream, or a whole answer, in; events out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, NoReturn

from mediary.errors import ProviderError
from mediary.events import (
    Content,
    ConversationState,
    Event,
    Finish,
    FinishReason,
    Log,
    Media,
    Preview,
    Reasoning,
    Usage,
)
from mediary.providers.http.answering import AnswerReader
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.refusals import ErrorDetail, error_for, words_of
from mediary.providers.openai_responses.calls import Calls
from mediary.providers.openai_responses.sources import Sources
from mediary.providers.openai_responses.wire import Answered, Item, Piece, Words, kinds, pieces, usage_of

APART = "\n\n"
"""What stands between two messages, or two thoughts."""

_SUMMARY = "response.reasoning_summary_text.delta"
_REASONS = {"max_output_tokens": "length"}
_IMAGE_TYPES = {"svg": "image/svg+xml"}
_NOWHERE = -1
_ENDS_A_LINK = tuple("()<>\"'\\ \t\r\n")

Events = Iterable[Event | Media]


def _working(label: str, status: str) -> Callable[[Any, Piece], Events]:
    """Says that a built-in tool is at work."""
    return lambda reader, piece: (Reasoning(label=label, status=status),)


class ResponseReader(AnswerReader[Piece]):
    """Turns the pieces of one answer into events; keeps usage, sources and the state of it for its end.

    `state` is what the next question is to bring back besides the answer's id; `alt` says what pictures show.
    """

    decoder = pieces

    def __init__(self, provider: str, model: str, state: Mapping[str, Any] | None = None, alt: str = "") -> None:
        super().__init__(provider, model)
        self.state = state or {}
        self.alt = alt
        self.answer = Answered()
        self.refused = False
        self.made = False
        self.lost: str | None = None
        self.speaking: int | None = _NOWHERE
        self.said: set[int | None] = set()
        self.thought: dict[int | None, str] = {}
        self.pictures: set[int | str | None] = set()
        self.calls = Calls()
        self.sources = Sources()

    def decode(self, data: bytes) -> Piece:
        """A piece out of its JSON. Events of types that are of no use here may hold anything."""
        try:
            piece = super().decode(data)
        except ProviderError:
            kind = _kind(data)
            if kind is None or kind in self.readers:
                raise
            return Piece(type=kind)
        if (preview := piece.partial_image_b64) and any(mark in preview for mark in _ENDS_A_LINK):
            piece.partial_image_b64 = None
        return piece

    def read(self, piece: Piece) -> Events:
        """The events of one piece; raises the error it carries."""
        read = self.readers.get(piece.type or "")
        return read(self, piece) if read else self._read_other(piece)

    def _read_other(self, piece: Piece) -> Events:
        """A whole answer, an error that is no event, or nothing of use."""
        if piece.error or piece.object == "error":
            self._fail(piece)
        is_whole = piece.type is None and (piece.object == "response" or piece.output is not None)
        return self._end(piece) if is_whole else ()

    def _fail(self, piece: Piece) -> NoReturn:
        said = piece.error or ErrorDetail(message=piece.message, code=piece.code, param=piece.param)
        raise error_for(self.provider, words_of(said))

    def _text(self, piece: Piece) -> Events:
        if not piece.delta:
            return ()
        if piece.output_index == self.speaking:
            return (Content(content=piece.delta),)
        return (self._say(piece.output_index, piece.delta),)

    def _refusal(self, piece: Piece) -> Events:
        self.refused = True
        return self._text(piece)

    def _say(self, place: int | None, text: str) -> Content:
        """Text of another message than the last was of."""
        apart = APART if self.said and place not in self.said else ""
        self.speaking = place
        self.said.add(place)
        return Content(content=apart + text)

    def _think(self, piece: Piece) -> Events:
        place, kind = piece.output_index, piece.type or ""
        known = self.thought.get(place)
        # Some tell their thoughts and the summary of them: the same thing twice.
        if not piece.delta or (known or kind) != kind:
            return ()
        apart = APART if known is None and self.thought else ""
        self.thought[place] = kind
        return (Reasoning(token=apart + piece.delta),)

    def _begin_summary(self, piece: Piece) -> Events:
        known = self.thought.get(piece.output_index)
        return (Reasoning(token=APART),) if piece.summary_index and known == _SUMMARY else ()

    def _begin_item(self, piece: Piece) -> Events:
        item = piece.item
        return self.calls.begin(piece.output_index, item) if item and item.type == "function_call" else ()

    def _arguments(self, piece: Piece) -> Events:
        return self.calls.go_on(piece.output_index, piece.delta)

    def _end_arguments(self, piece: Piece) -> Events:
        return self.calls.end(piece.output_index, piece.arguments)

    def _end_item(self, piece: Piece) -> Events:
        return self._read_item(piece.output_index, piece.item) if piece.item else ()

    def _read_item(self, place: int | None, item: Item) -> Iterator[Event | Media]:
        """What of a whole item was not told yet."""
        match item.type:
            case "message":
                text = _words(item.content)
                self.sources.read(text)
                if place not in self.said:
                    yield from self._message(place, text)
            case "reasoning" if place not in self.thought:
                if thoughts := APART.join(words.text for words in _words(item.content or item.summary) if words.text):
                    yield Reasoning(token=(APART if self.thought else "") + thoughts)
                    self.thought[place] = ""
            case "function_call":
                yield from self.calls.end(place, item.arguments, item)
            case "image_generation_call":
                yield from self._picture(item.id or place, item)

    def _message(self, place: int | None, text: list[Words]) -> Iterator[Content]:
        for words in text:
            self.refused = self.refused or bool(words.refusal)
            if said := words.text or words.refusal:
                yield self._say(place, said)

    def _picture(self, picture: int | str | None, item: Item) -> Iterator[Event | Media]:
        if picture in self.pictures:
            return
        self.pictures.add(picture)
        if item.result and isinstance(item.result, str):
            self.made = True
            yield self._media(item.result, item)
        else:
            self.lost = _words_of(item.error) or "it does not say why"
            yield Log(log=f"{self.provider} made no picture: {self.lost}")

    def _media(self, result: str, item: Item) -> Media:
        media = Media(kind="image", alt=item.revised_prompt or self.alt)
        if result.startswith(("http://", "https://")):
            media.url = result
        else:
            media.data, media.content_type = result, _image_type(item.output_format)
        return media

    def _preview(self, piece: Piece) -> Events:
        if not piece.partial_image_b64:
            return ()
        uri = f"data:{_image_type(piece.output_format)};base64,{piece.partial_image_b64}"
        return (Preview(preview=f"![]({uri})", urls=[uri]),)

    def _cite(self, piece: Piece) -> Events:
        self.sources.add(piece.annotation)
        return ()

    def _end(self, piece: Piece) -> Iterator[Event | Media]:
        """The answer is whole, as far as it goes; what was told of it before is not told again."""
        answer = piece.response or piece
        if piece.type == "response.failed" or answer.error or answer.status in ("failed", "cancelled"):
            said = answer.error or ErrorDetail(message=f"the answer {answer.status or 'failed'}")
            raise error_for(self.provider, words_of(said))
        if answer.status in ("queued", "in_progress"):
            raise ProviderError(f"{self.provider}: answered that it is still {answer.status}")
        self.answer = answer
        self.answered = self.complete = self.over = True
        told = self._told()
        for place, item in enumerate(answer.output or ()):
            if item.type not in told:
                yield from self._read_item(place, item)
            elif item.type == "message":
                self.sources.read(_words(item.content))

    def _told(self) -> set[str]:
        """Of which kinds of items something was told."""
        kinds_told = {
            "message": self.said,
            "reasoning": self.thought,
            "function_call": self.calls.count,
            "image_generation_call": self.pictures,
        }
        return {kind for kind, told in kinds_told.items() if told}

    def kept(self) -> Iterator[Event]:
        """What has come so far and waits: a character of which only half came."""
        if half := self.halves.rest("delta"):
            yield Content(content=half)

    def end(self) -> Iterator[Event | Media]:
        """What is left to say when the answer is whole; raises if a picture failed, and there is nothing else."""
        yield from self.kept()
        if self.lost and not (self.made or self.said or self.calls.count):
            raise ProviderError(f"{self.provider} made no picture: {self.lost}")
        if links := self.sources.links():
            yield Content(content=links)
        if self.answer.store and self.answer.id:
            yield ConversationState(conversation={self.provider: {"response_id": self.answer.id, **self.state}})
        if usage := usage_of(self.answer):
            yield Usage(usage=usage, model=self.model, provider=self.provider)
        yield Finish(finish=FinishReason(reason=self._reason()))

    def _reason(self) -> str:
        if self.answer.status == "incomplete" or self.answer.incomplete_details:
            why = self.answer.incomplete_details.reason if self.answer.incomplete_details else None
            return _REASONS.get(why or "", why or "length")
        if self.refused:
            return "content_filter"
        return "tool_calls" if self.calls.count else "stop"

    readers: ClassVar[dict[str, Callable[[Any, Piece], Events]]] = {
        "response.output_text.delta": _text,
        "response.refusal.delta": _refusal,
        _SUMMARY: _think,
        "response.reasoning_text.delta": _think,
        "response.reasoning_summary_part.added": _begin_summary,
        "response.function_call_arguments.delta": _arguments,
        "response.function_call_arguments.done": _end_arguments,
        "response.output_item.added": _begin_item,
        "response.output_item.done": _end_item,
        "response.output_text.annotation.added": _cite,
        "response.image_generation_call.generating": _working("Image", "generating"),
        "response.image_generation_call.partial_image": _preview,
        "response.web_search_call.searching": _working("Web search", "searching"),
        "response.file_search_call.searching": _working("File search", "searching"),
        "response.code_interpreter_call.interpreting": _working("Code", "running"),
        "response.completed": _end,
        "response.incomplete": _end,
        "response.failed": _end,
        "response.cancelled": _end,
        "error": _fail,
    }


def _kind(data: bytes) -> str | None:
    """Of which type an event is that holds what it should not."""
    try:
        return decode(kinds, data).type
    except UnreadableError:
        return None


def _words(said: list[Words] | dict[str, Any] | str | None) -> list[Words]:
    if isinstance(said, str):
        return [Words(text=said)]
    return said if isinstance(said, list) else []


def _words_of(error: Any) -> str:
    """Why an item failed: its error is an object, or text."""
    return words_of(ErrorDetail(message=error)).message


def _image_type(name: str | None) -> str:
    return _IMAGE_TYPES.get(name or "", f"image/{name if name and name.isalnum() else 'png'}")
