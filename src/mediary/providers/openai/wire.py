"""The shapes of the chat completions wire, as the services write them: every field may be missing or null."""

from typing import Any

import msgspec
from msgspec import Struct

from mediary.providers.http.refusals import ErrorDetail


class Link(Struct, gc=False):
    """Where a picture is: an http(s) URL or a data URI."""

    url: str | None = None


class Thought(Struct, gc=False):
    """A piece of a thinking part."""

    text: str | None = None


class ContentPart(Struct):
    """A part of a content that is a list: text, thinking (Mistral), or a picture."""

    type: str | None = None
    text: str | None = None
    thinking: str | list[Thought] | None = None
    image_url: Link | str | None = None


class ReasoningDetail(Struct, gc=False):
    """A piece of OpenRouter's `reasoning_details`; encrypted ones have neither text nor summary."""

    text: str | None = None
    summary: str | None = None


class CalledFunction(Struct):
    """The function of a tool call; a few services send its arguments as an object instead of text."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CalledTool(Struct):
    """A tool call, or the next piece of one."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: CalledFunction | None = None


class Sound(Struct, gc=False):
    """A piece of a spoken answer: base64 audio and what it says."""

    data: str | None = None
    transcript: str | None = None


class Picture(Struct):
    """A picture in an answer."""

    image_url: Link | str | None = None


class Delta(Struct):
    """What is new in an answer; a whole message has the same fields."""

    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    refusal: str | None = None
    tool_calls: list[CalledTool] | None = None
    audio: Sound | None = None
    images: list[Picture] | None = None


class Choice(Struct):
    """One of the answers; `message` instead of `delta` where the service does not stream."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    error: ErrorDetail | str | None = None


class Groq(Struct):
    """What Groq adds: the usage comes here whether asked for or not."""

    usage: dict[str, Any] | None = None
    error: ErrorDetail | str | None = None


class Chunk(Struct):
    """One event of a stream, or a whole answer, or an error in its place."""

    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: ErrorDetail | str | None = None
    x_groq: Groq | None = None
    object: str | None = None
    message: Any = None
    code: str | int | float | None = None

    @property
    def failed(self) -> ErrorDetail | str | None:
        """The error that the chunk carries, wherever it stands."""
        if self.error:
            return self.error
        if self.x_groq and self.x_groq.error:
            return self.x_groq.error
        if self.choices and self.choices[0].error:
            return self.choices[0].error
        # vLLM and Mistral put the fields of an error where the chunk's should be.
        if self.object == "error":
            return ErrorDetail(message=self.message, code=self.code)
        return None


class MadePicture(Struct):
    """One picture of an answer of `/images/…`."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None


class MadePictures(Struct):
    """The answer of `/images/generations` and `/images/edits`."""

    data: list[MadePicture] | None = None
    usage: dict[str, Any] | None = None
    error: ErrorDetail | str | None = None


# Not strict: a number in quotes is a number.
chunks = msgspec.json.Decoder(Chunk, strict=False)
made_pictures = msgspec.json.Decoder(MadePictures, strict=False)
