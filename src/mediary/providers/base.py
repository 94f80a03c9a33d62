"""What a provider is: the messages it gets, the models it lists, the events it yields."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from mediary.errors import TooLargeError, UnsupportedTypeError
from mediary.events import Event, Media

Kind = Literal["chat", "image", "speech", "video"]


@dataclass(slots=True, frozen=True)
class Text:
    """A piece of text; `source` names the document it comes from."""

    text: str
    source: str | None = None


@dataclass(slots=True, frozen=True)
class Image:
    """A picture: its bytes with their type; `kept` says that it is in the library already."""

    media_type: str
    data: bytes = field(repr=False)
    name: str | None = None
    kept: bool = False


@dataclass(slots=True, frozen=True)
class Audio:
    """A sound: its bytes with their type; `kept` says that it is in the library already."""

    media_type: str
    data: bytes = field(repr=False)
    name: str | None = None
    kept: bool = False


@dataclass(slots=True, frozen=True)
class Video:
    """A video: its bytes with their type; `kept` says that it is in the library already."""

    media_type: str
    data: bytes = field(repr=False)
    name: str | None = None
    kept: bool = False


@dataclass(slots=True, frozen=True)
class Document:
    """A document: its bytes with their type."""

    media_type: str
    data: bytes = field(repr=False)
    name: str


@dataclass(slots=True, frozen=True)
class Remote:
    """A file that lies with the service already: `part` is what points to it, in the words of the wire."""

    media_type: str
    part: dict[str, Any]
    name: str


Part = Text | Image | Audio | Video | Document | Remote


@dataclass(slots=True, frozen=True)
class Message:
    """One message: `extra` holds what goes through as it came (`tool_calls`, `tool_call_id`, `name`)."""

    role: str
    parts: tuple[Part, ...]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of the message, its parts joined by line ends."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(slots=True, frozen=True)
class TurnRequest:
    """One question to a provider, with everything resolved: no URL in it needs this server.

    `options` are the request's own (`temperature`, `max_tokens`, `seed`, `width`, `n` …), in its words, nulls left out.
    `headers` are what the files need that lie with the service. `timeout` is for the whole turn, `stream_timeout`
    between two pieces of it, both in seconds.
    """

    model: str
    messages: tuple[Message, ...]
    options: dict[str, Any] = field(default_factory=dict)
    conversation: Any = None
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 600.0
    stream_timeout: float = 120.0

    @property
    def prompt(self) -> str:
        """The text of the last message of the user; what pictures and speech are made of."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


@dataclass(slots=True, frozen=True)
class Model:
    """A model of a provider: what it makes (`kind`) and what it takes (`vision`, `audio`).

    `context_tokens` is the size of its window, None where nobody told.
    """

    id: str
    kind: Kind = "chat"
    label: str | None = None
    vision: bool = False
    audio: bool = False
    video: bool = False
    count: int = 1
    tags: tuple[str, ...] = ()
    context_tokens: int | None = None


@dataclass(slots=True, frozen=True)
class Takes:
    """What is taken: media types as patterns such as `image/*`, and the bytes of the largest file.

    `less` are patterns of types of which smaller files alone are taken, and their bytes; `together` is what all files
    of a question may have, None where nobody told. `inline_only` says that the model takes no file that was uploaded.
    """

    types: tuple[str, ...] = ("*",)
    max_bytes: int | None = None
    less: tuple[tuple[str, int], ...] = ()
    together: int | None = None
    inline_only: bool = False

    def has(self, media_type: str) -> bool:
        """Whether files of that type are taken."""
        return any(fnmatchcase(media_type, pattern) for pattern in self.types)

    def limit(self, media_type: str) -> int | None:
        """The bytes of the largest file of that type."""
        return next((size for pattern, size in self.less if fnmatchcase(media_type, pattern)), self.max_bytes)

    def check(self, who: str, name: str, media_type: str, size: int) -> None:
        """UnsupportedTypeError or TooLargeError for a file that is not taken, naming what is."""
        if not self.has(media_type):
            raise UnsupportedTypeError(f"{who} does not take {name} ({media_type}); it takes {', '.join(self.types)}")
        limit = self.limit(media_type)
        if limit is not None and size > limit:
            raise TooLargeError(f"{who} takes {limit} bytes at most, and {name} has {size}")


class Provider(Protocol):
    """A service that answers. One instance per table of the settings; safe for many turns at once.

    Every failure is a `ProviderError` with the service's own words and never with a key.
    """

    name: str
    label: str
    url: str | None
    wire: str
    default_model: str | None
    needs_key: bool

    async def models(self, api_key: str | None = None, base_url: str | None = None) -> list[Model]:
        """The models the service has now, its default first where there is one.

        `api_key` stands in for the configured key; `base_url` comes with the provider `Custom` only.
        """
        ...

    def converse(self, request: TurnRequest) -> AsyncGenerator[Event | Media, None]:
        """Answer: yields content, reasoning, tool calls, media, usage and a `Finish` last.

        A stream of media is read before the next event is asked for. Closing the iterator closes the connection to
        the service, also where such a stream was left in its middle.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class TakesFiles(Protocol):
    """A provider that says which files it takes within a question; of others, pictures and sounds are sent."""

    def takes(self, model: str) -> Takes:
        """What can stand in a question itself; the size is that of one file, before it is encoded."""
        ...


@runtime_checkable
class HasFlow(Protocol):
    """A provider whose wire implies how it takes uploads: `flow` is the name of an upload flow."""

    flow: str


@runtime_checkable
class HasWindow(Protocol):
    """A provider whose operator said how many tokens its models take, whichever they are."""

    context_tokens: int | None


@runtime_checkable
class Transcribes(Protocol):
    """A provider that can turn speech into text."""

    async def transcribe(
        self, file: Path, media_type: str, *, language: str | None = None, model: str | None = None
    ) -> str:
        """What is said in a sound or a video; `language` is a BCP 47 tag where it is known.

        The file is read piece by piece. TooLargeError where the service takes no file of that size.
        """
        ...


@dataclass(slots=True, frozen=True)
class Voice:
    """A voice: `id` is what a request writes, `label` what people read, `language` its BCP 47 tag where it has one."""

    id: str
    label: str
    language: str | None = None


@dataclass(slots=True, frozen=True)
class Speaker:
    """Who is going to speak: a model and a voice that were found; `longest` is the characters of one `Utterance`."""

    model: str
    voice: str
    longest: int


@dataclass(slots=True, frozen=True)
class Utterance:
    """What is said in one go: `speed` is a factor of the usual pace, `manner` says in words how to speak.

    `before` is what was said just before, for those whose voice goes on from there.
    """

    text: str
    speaker: Speaker
    speed: float = 1.0
    manner: str | None = None
    before: str = ""


@dataclass(slots=True, frozen=True)
class Spoken:
    """Speech on its way: `media_type` is `audio/pcm;rate=…` (16-bit little-endian mono samples) or `audio/wav`."""

    media_type: str
    chunks: AsyncIterator[bytes]


@runtime_checkable
class Speaks(Protocol):
    """A provider that can read text out."""

    async def voices(self) -> Sequence[Voice]:
        """Its voices; empty where the service does not tell."""
        ...

    async def speaker(self, model: str | None, voice: str | None) -> Speaker:
        """Who speaks, where both may be left open. ModelNotFoundError, or FieldError naming voices that are like it."""
        ...

    def speak(self, utterance: Utterance) -> AbstractAsyncContextManager[Spoken]:
        """Say something: the block is entered when the first bytes are there; leaving it closes the connection.

        FieldError for a speed that the service does not have.
        """
        ...


@runtime_checkable
class Embeds(Protocol):
    """A provider that can place texts in a space of meaning."""

    async def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        """A vector for each text, in order, all of the same length. ProviderError where the service fails."""
        ...


@runtime_checkable
class TellsQuota(Protocol):
    """A provider whose service may tell of credit and limits."""

    async def quota(self, api_key: str | None = None) -> dict[str, Any] | None:
        """What it tells, in its own words; None where it tells nothing."""
        ...
