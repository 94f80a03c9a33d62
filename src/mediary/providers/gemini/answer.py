"""Reads an answer: chunks in, events out."""

import uuid
from collections.abc import Callable, Iterable, Iterator

from mediary.errors import ProviderError
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
from mediary.providers.gemini.sound import Samples, is_samples
from mediary.providers.gemini.wire import (
    Blob,
    Candidate,
    Chunk,
    Code,
    Counts,
    FileData,
    FunctionCall,
    Part,
    chunks,
)
from mediary.providers.http.answering import AnswerReader
from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import error_for, words_of

SIGNATURE = "thought_signature"
"""Where a tool call keeps what has to come back with it: in its `extra_content`, under `google`."""

_MEDIA = ("image", "audio", "video")
_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length", "FUNCTION_CALL": "tool_calls"}
_FILTERED = {
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "ESCALATION",
    "MODEL_ARMOR",
}

Link = Callable[[str, str], Media]
"""Makes media of a URI and the kind that it is of."""


class ContentReader(AnswerReader[Chunk | list[Chunk]]):
    """Turns the chunks of one answer into events; keeps usage, finish reason and speech for its end.

    `alt` says what pictures show, `transcript` what is spoken, where that is known.
    """

    decoder = chunks

    def __init__(self, provider: str, model: str, link: Link, alt: str = "", transcript: str | None = None) -> None:
        super().__init__(provider, model)
        self.link = link
        self.alt = alt
        self.transcript = transcript
        self.told = False
        self.reason: str | None = None
        self.why: str | None = None
        self.blocked = False
        self.counts: Counts | None = None
        self.calls = 0
        self.samples = Samples()

    def read(self, piece: Chunk | list[Chunk]) -> Iterable[Event | Media]:
        """The events of one piece; raises the error it carries."""
        for chunk in piece if isinstance(piece, list) else [piece]:
            yield from self._read_chunk(chunk)

    def _read_chunk(self, chunk: Chunk) -> Iterator[Event | Media]:
        if chunk.error:
            raise error_for(self.provider, words_of(chunk.error))
        if chunk.usage_metadata:
            # It comes with every chunk, counting up: the last holds.
            self.counts = chunk.usage_metadata
        self.answered = self.answered or bool(chunk.candidates or chunk.prompt_feedback)
        if chunk.prompt_feedback and (reason := chunk.prompt_feedback.block_reason):
            self.blocked = self.complete = True
            self.reason, self.why = reason, chunk.prompt_feedback.block_reason_message
        for candidate in chunk.candidates or ():
            # Only one is asked for: a second would be mixed into the first.
            if not candidate.index:
                yield from self._read_candidate(candidate)

    def _read_candidate(self, candidate: Candidate) -> Iterator[Event | Media]:
        for part in (candidate.content.parts if candidate.content else None) or ():
            for event in self._read_part(part):
                self.told = self.told or not isinstance(event, Reasoning)
                yield event
        if candidate.finish_reason:
            self.reason, self.why = candidate.finish_reason, candidate.finish_message
            self.complete = True

    def _read_part(self, part: Part) -> Iterator[Event | Media]:
        if part.thought:
            # Pictures among the thoughts are drafts.
            if part.text:
                yield Reasoning(token=part.text)
            return
        if part.text:
            yield Content(content=part.text)
        if part.function_call:
            yield self._call(part.function_call, part.thought_signature)
        if part.inline_data:
            yield from self._blob(part.inline_data)
        if part.file_data:
            yield from self._file(part.file_data)
        if part.executable_code:
            yield from _program(part.executable_code)
        if part.code_execution_result and part.code_execution_result.output:
            yield Content(content=f"\n```\n{part.code_execution_result.output}\n```\n")

    def _call(self, call: FunctionCall, signature: str | None) -> Event:
        function = ToolCallFunction(name=call.name, arguments=encode(call.args or {}).decode())
        made = ToolCall(index=self.calls, id=call.id or f"call_{uuid.uuid4().hex}", function=function)
        if signature:
            made.extra_content = {"google": {SIGNATURE: signature}}
        self.calls += 1
        return ToolCalls(tool_calls=[made])

    def _blob(self, blob: Blob) -> Iterator[Media]:
        media_type = (blob.mime_type or "").casefold()
        kind = media_type.partition("/")[0]
        if not blob.data or kind not in _MEDIA:
            return
        if is_samples(media_type):
            self.samples.add(self.provider, media_type, blob.data)
            return
        spoken = self.transcript if kind == "audio" else None
        yield Media(kind=kind, data=blob.data, content_type=media_type, alt=self.alt, transcript=spoken)

    def _file(self, file: FileData) -> Iterator[Event | Media]:
        kind = (file.mime_type or "").partition("/")[0]
        if not file.file_uri:
            return
        if kind in _MEDIA:
            media = self.link(file.file_uri, kind)
            media.alt = self.alt
            yield media
        else:
            yield Content(content=file.file_uri)

    def kept(self) -> Iterator[Event | Media]:
        """What has come so far and waits: speech, a character of which only half came."""
        if half := self.halves.rest("text"):
            yield Content(content=half)
        if self.samples:
            self.told = True
            wav = self.samples.as_wav()
            spoken = self.transcript
            yield Media(kind="audio", data=wav, content_type="audio/wav", alt=self.alt, transcript=spoken)

    def end(self) -> Iterator[Event | Media]:
        """What is left to say when the answer is whole; raises if the model failed to make one."""
        yield from self.kept()
        reason = self._finish_reason()
        if not self.told and reason == "content_filter":
            yield Content(content=self._refusal())
        elif not self.told and self.reason not in (None, *_REASONS):
            raise ProviderError(f"{self.provider}: made no answer: {self._words()}")
        if self.counts:
            yield Usage(usage=self.counts.as_usage(), model=self.model, provider=self.provider)
        yield Finish(finish=FinishReason(reason=reason))

    def _finish_reason(self) -> str:
        reason = self.reason or "STOP"
        if self.blocked or reason in _FILTERED:
            return "content_filter"
        # A function is called and the model has stopped: Google has no other word for both.
        if self.calls and reason == "STOP":
            return "tool_calls"
        return _REASONS.get(reason, reason.casefold())

    def _refusal(self) -> str:
        what = "did not take the question" if self.blocked else "gave no answer"
        return f"{self.provider} {what}: {self._words()}"

    def _words(self) -> str:
        return f"{self.why} ({self.reason})" if self.why else str(self.reason)


def _program(code: Code) -> Iterator[Content]:
    if code.code:
        yield Content(content=f"\n```{(code.language or '').casefold()}\n{code.code}\n```\n")
