"""The provider that needs no network and no key: passages, speech and a stand-in for pictures, made on this machine."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from mediary.errors import FieldError, ModelNotFoundError, ProviderUnavailableError, TooLargeError
from mediary.events import Content, Event, Finish, FinishReason, Media, Usage
from mediary.providers.base import Model, Speaker, Spoken, Takes, Text, TurnRequest, Utterance, Voice
from mediary.providers.local.espeak import engine, on_speech_thread
from mediary.providers.local.options import PictureOptions, picture_options, speech_options
from mediary.providers.local.passages import Passage, find_passages
from mediary.providers.local.picture import draw
from mediary.providers.local.speech import Speech
from mediary.providers.local.work import Work
from mediary.sounds import SAMPLES
from mediary.spoken import speakable
from mediary.words import words

if TYPE_CHECKING:
    from mediary.net.client import HttpClient
    from mediary.settings import ProviderSettings

_Answer = AsyncGenerator[Event | Media, None]

NOTHING_FOUND = (
    "Nothing in this conversation bears on the question, and no language model is set up to answer it.\n"
    "To set one up, put a key such as OPENAI_API_KEY into the environment, add a `[providers.…]` table to "
    "mediary.toml, or start Ollama on this machine."
)
TAKEN = Takes(("image/*", "audio/*"))
MAX_TEXT = 16 * 1024 * 1024
"""Characters of a conversation with its documents, or of a prompt."""
CONTEXT_TOKENS = 256_000
"""What `passages` looks through in a moment; of more, a bucket's index finds what bears on the question."""
_ALT = 120  # characters of a prompt that describe what was made of it


class Local:
    """Answers with what is on this machine. Its models:

    - `passages` quotes the sentences of the conversation and its attached text that bear on the question;
    - `speech` says the prompt, by espeak-ng: options `voice`, `speed`, `format` (`mp3`, `opus`, `wav`, `flac`,
      `aac`), the first and the last also within `audio`;
    - `picture` draws a landscape that prompt and seed determine, a stand-in for a picture model: options `width`,
      `height`, `size`, `aspect_ratio`, `seed`, `n`.

    Usage counts words for `passages` and `picture`, characters for `speech`, and says so in `unit`.
    """

    wire = "local"
    url: str | None = None
    needs_key = False

    def __init__(self, name: str, settings: "ProviderSettings", http: "HttpClient") -> None:
        self.name = name
        self.label = settings.label or name
        self.default_model: str | None = settings.default_model or "passages"
        self.context_tokens = settings.context_tokens or CONTEXT_TOKENS
        self._voice = settings.voice or "en"
        self._drawing = asyncio.Semaphore(1)  # a large picture takes 100 MB while it is drawn
        self._answers: dict[str, Callable[[TurnRequest, Work], _Answer]] = {
            "passages": self._quote,
            "speech": self._say,
            "picture": self._draw,
        }

    async def models(self, api_key: str | None = None, base_url: str | None = None) -> list[Model]:
        """The three, the default first; `speech` has its voices as tags, and is missing where espeak-ng is."""
        found = [Model("passages", label="Passages"), Model("picture", kind="image", label="Picture (a stand-in)")]
        try:
            voices = tuple(voice.id for voice in await self.voices())
        except ProviderUnavailableError:
            pass
        else:
            found.insert(1, Model("speech", kind="speech", label="Speech (espeak-ng)", tags=voices))
        return sorted(found, key=lambda model: model.id != self.default_model)

    async def voices(self) -> tuple[Voice, ...]:
        """Every voice that speech may have."""
        return await on_speech_thread(lambda: engine().voices)

    async def speaker(self, model: str | None, voice: str | None) -> Speaker:
        """The one model that speaks, in a voice, a language, or either with a variant (`en+f3`)."""
        if model not in (None, "speech"):
            raise ModelNotFoundError(f"no model {model[:100]!r} here that speaks; there is: speech")
        found = await on_speech_thread(lambda: engine().find(voice or self._voice))
        return Speaker("speech", found, MAX_TEXT)

    @asynccontextmanager
    async def speak(self, utterance: Utterance) -> AsyncIterator[Spoken]:
        """Say it at a speed from 0.25 to 4."""
        if utterance.manner:
            raise FieldError("instructions", f"{self.name} takes none: choose another voice")
        rate = await on_speech_thread(lambda: engine().rate)
        speech = Speech(utterance.text, utterance.speaker.voice, utterance.speed, SAMPLES)
        async with aclosing(speech.sound()) as sound:
            yield Spoken(f"audio/pcm;rate={rate}", sound)

    def takes(self, model: str) -> Takes:
        """Pictures and sounds, at which no model here looks; text comes as text."""
        return TAKEN

    async def converse(self, request: TurnRequest) -> _Answer:
        """Answer within the time of the request; closing the iterator ends the work after the piece in hand."""
        answer = self._answers.get(request.model)
        if answer is None:
            raise ModelNotFoundError(f"no model {request.model[:100]!r} here; there are: {', '.join(self._answers)}")
        work = Work(f"{self.name}: {request.model}", request.timeout)
        try:
            async with aclosing(answer(request, work)) as events:
                async for event in events:
                    yield event
        finally:
            work.end()
        yield Finish(finish=FinishReason(reason="stop"))

    async def close(self) -> None:
        """There are no connections to let go of."""

    async def _quote(self, request: TurnRequest, work: Work) -> _Answer:
        parts = (part for message in request.messages for part in message.parts)
        _check_size(sum(len(part.text) for part in parts if isinstance(part, Text)))
        found = await work.wait(asyncio.to_thread(find_passages, request.messages, check=work.check))
        pieces = [_quotation(passage) for passage in found.passages] or [NOTHING_FOUND]
        for number, piece in enumerate(pieces):
            yield Content(content=f"\n\n{piece}" if number else piece)
        yield self._usage(request, "words", found.words, sum(len(words(piece)) for piece in pieces))

    async def _say(self, request: TurnRequest, work: Work) -> _Answer:
        options = speech_options(request.options, self._voice)
        prompt = request.prompt
        _check_size(len(prompt))
        text = await work.wait(asyncio.to_thread(speakable, prompt, work.check))
        if not text:
            raise FieldError("messages", "there is nothing to say; give some text")
        voice = await work.wait(on_speech_thread(lambda: engine().find(options.voice)))
        speech = Speech(text, voice, options.speed, options.format)
        async with aclosing(speech.sound(work)) as sound:
            yield Media(
                kind="audio",
                stream=sound,
                content_type=options.format.media_type,
                alt=_alt(text),
                transcript=text,
            )
        yield self._usage(request, "characters", len(text), 0)

    async def _draw(self, request: TurnRequest, work: Work) -> _Answer:
        options = picture_options(request.options)
        prompt = request.prompt
        _check_size(len(prompt))
        for number in range(options.count):
            png = await work.wait(self._drawn(prompt, options, number))
            yield Media(kind="image", data=png, content_type="image/png", alt=_alt(prompt))
        yield self._usage(request, "words", len(await work.wait(asyncio.to_thread(words, prompt))), 0)

    async def _drawn(self, prompt: str, options: PictureOptions, number: int) -> bytes:
        async with self._drawing:
            return await asyncio.to_thread(draw, prompt, options.seed, options.width, options.height, number)

    def _usage(self, request: TurnRequest, unit: str, read: int, written: int) -> Usage:
        counts = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return Usage(usage={**counts, "unit": unit}, model=request.model, provider=self.name)


def _check_size(characters: int) -> None:
    if characters > MAX_TEXT:
        raise TooLargeError(f"the text has {characters} characters; the models of this machine take {MAX_TEXT} at most")


def _quotation(passage: Passage) -> str:
    """A passage as Markdown, with the name of its document."""
    document = " ".join((passage.source or "this conversation").split())
    return f"> {passage.text} — {document}"


def _alt(prompt: str) -> str:
    """The start of a prompt on one line."""
    line = " ".join(prompt[: 4 * _ALT].split())
    return line if len(line) <= _ALT else line[: _ALT - 1].rstrip() + "…"
