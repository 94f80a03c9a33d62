"""Reads a chat answer: chunks in, events out."""

from collections.abc import Callable, Iterator
from typing import Any

from mediary.data_uris import Base64Decoder
from mediary.errors import BadRequestError, ProviderError
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
from mediary.providers.http.counting import count_tokens
from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import error_for, words_of
from mediary.providers.openai.messages import STREAMED_SOUND
from mediary.providers.openai.wav import SOUND_TYPES, as_wav
from mediary.providers.openai.wire import (
    CalledTool,
    Chunk,
    ContentPart,
    Delta,
    Link,
    ReasoningDetail,
    Sound,
    chunks,
)

MAX_SOUND = 256 * 1024 * 1024
"""Bytes of speech in one chat answer."""


class ChatReader(AnswerReader[Chunk]):
    """Turns the chunks of one answer into events; keeps usage, finish reason and sound for its end."""

    decoder = chunks
    done_completes = True

    def __init__(
        self, provider: str, model: str, link: Callable[[str], Media], sound_format: str = STREAMED_SOUND
    ) -> None:
        super().__init__(provider, model)
        self.link = link
        self.reason: str | None = None
        self.usage: dict[str, Any] | None = None
        self.tools = ToolNumbers()
        self.sound = SpokenAnswer(sound_format)

    def read(self, piece: Chunk) -> list[Event | Media]:
        """The events of one chunk; raises the error it carries."""
        if failed := piece.failed:
            raise error_for(self.provider, words_of(failed))
        self._note_usage(piece)
        found: list[Event | Media] = []
        for choice in piece.choices or ():
            # `n` is not asked for: a second answer would be mixed into the first.
            if choice.index:
                continue
            self.answered = True
            if delta := choice.delta or choice.message:
                self._read_delta(delta, found)
            if choice.finish_reason:
                self.reason = choice.finish_reason
                self.complete = True
        return found

    def _note_usage(self, chunk: Chunk) -> None:
        # Some send it with every chunk, counting up: the last holds.
        if chunk.usage:
            self.usage = chunk.usage
        elif chunk.x_groq and chunk.x_groq.usage:
            self.usage = chunk.x_groq.usage

    def _read_delta(self, delta: Delta, found: list[Event | Media]) -> None:
        content = delta.content
        # What nearly every chunk is: a piece of text, or of the reasoning, alone.
        if thought := delta.reasoning_content or delta.reasoning:
            found.append(Reasoning(token=thought))
        elif delta.reasoning_details:
            found += _read_details(delta.reasoning_details)
        if isinstance(content, list):
            for part in content:
                found += self._read_part(part)
        elif content:
            found.append(Content(content=content))
        if delta.refusal:
            found.append(Content(content=delta.refusal))
        if delta.tool_calls:
            found.append(ToolCalls(tool_calls=[self.tools.number(call) for call in delta.tool_calls]))
        for picture in delta.images or ():
            found += self._picture(picture.image_url)
        if delta.audio:
            self.sound.add(self.provider, delta.audio)

    def _read_part(self, part: ContentPart) -> Iterator[Event | Media]:
        if isinstance(part.thinking, str):
            yield Reasoning(token=part.thinking)
        elif part.thinking:
            yield from (Reasoning(token=thought.text) for thought in part.thinking if thought.text)
        if part.text:
            yield Content(content=part.text)
        yield from self._picture(part.image_url)

    def _picture(self, link: Link | str | None) -> Iterator[Media]:
        if url := link.url if isinstance(link, Link) else link:
            yield self.link(url)

    def kept(self) -> Iterator[Event | Media]:
        """What has come so far and waits: a spoken answer, a character of which only half came."""
        if half := self.halves.rest("content"):
            yield Content(content=half)
        if sound := self.sound.whole():
            yield sound

    def end(self) -> Iterator[Event | Media]:
        """What is left to say when the answer is whole."""
        yield from self.kept()
        if self.usage:
            yield Usage(usage=count_tokens(self.usage), model=self.model, provider=self.provider)
        # A stream that says [DONE] and no reason is whole as well.
        yield Finish(finish=FinishReason(reason=self.reason or ("tool_calls" if self.tools.ids else "stop")))


def _read_details(details: list[ReasoningDetail]) -> Iterator[Reasoning]:
    """Reasoning that comes in no other way; the services that know several send the same text by each."""
    return (Reasoning(token=text) for detail in details if (text := detail.text or detail.summary))


class ToolNumbers:
    """Numbers the tool calls of an answer: some services number all of them 0, or none."""

    def __init__(self) -> None:
        self.ids: list[str | None] = []
        self.places: dict[int, int] = {}

    def number(self, call: CalledTool) -> ToolCall:
        """A piece of a call, with the number that the call has in this answer."""
        function = call.function
        arguments = (function.arguments if function else None) or ""
        if isinstance(arguments, dict):
            arguments = encode(arguments).decode()
        name = (function.name if function else None) or None
        return ToolCall(
            index=self._place(call),
            id=call.id or None,
            type=call.type or "function",
            function=ToolCallFunction(name=name, arguments=arguments),
        )

    def _place(self, call: CalledTool) -> int:
        """Where the call stands.

        A name together with an id that its place does not have begins another call; an id alone does not, since some
        services make one up for every piece.
        """
        named = bool(call.function and call.function.name)
        place: int | None
        if call.index is not None:
            place = self.places.get(call.index)
            if place is not None and named and call.id and self.ids[place] not in (None, call.id):
                place = None
        elif call.id in self.ids and call.id:
            place = self.ids.index(call.id)
        else:
            place = None if named or not self.ids else len(self.ids) - 1
        if place is None:
            place = len(self.ids)
            self.ids.append(None)
        if call.index is not None:
            self.places[call.index] = place
        self.ids[place] = self.ids[place] or call.id or None
        return place


class SpokenAnswer:
    """Gathers the pieces of speech in a chat answer: the sound, in the format that was asked for, and what it says."""

    def __init__(self, sound_format: str = STREAMED_SOUND) -> None:
        self.format = sound_format
        self.sound = bytearray()
        self.words: list[str] = []
        self._decoder = Base64Decoder("the sound")

    def add(self, provider: str, piece: Sound) -> None:
        """The next piece; base64 may be cut anywhere, and each piece may have a padding of its own."""
        if piece.transcript:
            self.words.append(piece.transcript)
        coded = piece.data or ""
        try:
            self.sound += self._decoder.feed(coded)
            if coded.endswith("="):
                self._end_text()
        except BadRequestError as error:
            raise ProviderError(f"{provider}: {error.message}") from None
        if len(self.sound) > MAX_SOUND:
            raise ProviderError(f"{provider}: sent more than {MAX_SOUND} bytes of sound in one answer")

    def _end_text(self) -> None:
        self.sound += self._decoder.finish()
        self._decoder = Base64Decoder("the sound")

    def whole(self) -> Event | Media | None:
        """The sound, samples as a WAV file; its words alone where no sound came with them."""
        transcript = "".join(self.words)
        if not self.sound:
            return Content(content=transcript) if transcript else None
        samples = self.format == STREAMED_SOUND
        return Media(
            kind="audio",
            data=as_wav(bytes(self.sound)) if samples else bytes(self.sound),
            content_type="audio/wav" if samples else SOUND_TYPES.get(self.format),
            alt=transcript,
            transcript=transcript or None,
        )
