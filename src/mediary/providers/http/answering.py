"""Reads an answer to its end, streamed or not, as far as that is the same on every wire."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from mediary.errors import BadAnswerError, ProviderTimeoutError, StreamInterruptedError
from mediary.events import Event, Media
from mediary.net.eventstream import events
from mediary.net.jsonlines import json_lines
from mediary.providers.http.decoding import Halves, UnreadableError, decode
from mediary.providers.http.refusals import read_words
from mediary.providers.http.service import Answer

P = TypeVar("P")

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of an answer that is not streamed."""

# Bytes from which decoding a piece is worth a thread: a picture comes in one.
_HEAVY = 256 * 1024
_DONE = b"[DONE]"


class AnswerReader(ABC, Generic[P]):
    """Turns the pieces of one answer into events; a wire says how, and what `decoder` makes of a piece.

    It notes that something of an answer came (`answered`), that the answer is whole (`complete`: what breaks from then
    on is no harm to it) and that nothing more is to come (`over`).
    """

    decoder: ClassVar[msgspec.json.Decoder[Any]]
    lines: ClassVar[bool] = False
    """Whether a stream is JSON, a value a line, instead of server-sent events."""
    done_completes: ClassVar[bool] = False
    """Whether a stream that says [DONE] is whole by that alone; some that stand between add it to every wire."""

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.model = model
        self.answered = False
        self.complete = False
        self.over = False
        self.halves = Halves()

    def decode(self, data: bytes) -> P:
        """A piece out of its JSON."""
        try:
            piece: P = decode(self.decoder, data, self.halves)
        except UnreadableError as error:
            raise BadAnswerError(f"{self.provider}: sent a piece that cannot be read: {error}") from None
        return piece

    @abstractmethod
    def read(self, piece: P) -> Iterable[Event | Media]:
        """The events of one piece; raises the error it carries."""

    @abstractmethod
    def kept(self) -> Iterable[Event | Media]:
        """What has come so far and waits, such as a character of which only half came."""

    @abstractmethod
    def end(self) -> Iterable[Event | Media]:
        """What is left to say when the answer is whole."""


async def read_answer(answer: Answer, reader: AnswerReader[Any]) -> AsyncGenerator[Event | Media, None]:
    """The events of an answer, streamed or not; raises where it breaks off, after all that came."""
    try:
        async with aclosing(_read_pieces(answer, reader)) as found:
            async for event in found:
                yield event
    except (StreamInterruptedError, ProviderTimeoutError):
        # What breaks after an answer is whole is no harm to it.
        if not reader.complete:
            for event in reader.kept():
                yield event
            raise
    if not reader.answered:
        raise BadAnswerError(f"{reader.provider}: its answer holds nothing")
    for event in reader.end():
        yield event
    await answer.drain()


async def _read_pieces(answer: Answer, reader: AnswerReader[Any]) -> AsyncGenerator[Event | Media, None]:
    if not answer.head:
        raise StreamInterruptedError(f"{reader.provider}: answered with nothing")
    if not (answer.is_lines if reader.lines else answer.is_events):
        for event in await _read_whole(answer, reader):
            yield event
        return
    split = json_lines if reader.lines else events
    async with aclosing(split(answer.chunks)) as pieces:
        async for data in pieces:
            if data == _DONE:
                reader.complete |= reader.done_completes
                break
            for event in reader.read(await _decode(reader, data)):
                yield event
            if reader.over:
                break
    if not reader.complete:
        raise StreamInterruptedError(f"{reader.provider}: the answer broke off before its end")


async def _read_whole(answer: Answer, reader: AnswerReader[Any]) -> list[Event | Media]:
    """The events of an answer that came in one piece."""
    body = await answer.read(MAX_ANSWER)
    if body.lstrip().startswith(b"<"):
        raise BadAnswerError(f"{reader.provider}: answered with a web page: {read_words(body).message}")
    found = list(reader.read(await _decode(reader, body)))
    reader.complete = True
    return found


async def _decode(reader: AnswerReader[P], data: bytes) -> P:
    return await asyncio.to_thread(reader.decode, data) if len(data) > _HEAVY else reader.decode(data)
