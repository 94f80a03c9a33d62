"""What is sent: messages, options and sizes in the words of the chat completions wire."""

import base64
import re
from math import log
from typing import Any

from mediary.providers.base import Audio, Document, Image, Message, Part, Remote, Text, TurnRequest, Video
from mediary.providers.http.encoding import data_uri, work_on
from mediary.providers.http.pictures import ratio_of, ratio_of_size

CHAT_OPTIONS = (
    "temperature",
    "max_tokens",
    "top_p",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "response_format",
    "reasoning_effort",
)
DEFAULT_VOICE = "alloy"
STREAMED_SOUND = "pcm16"
"""The one format in which OpenAI streams a spoken answer: bare samples."""

# `input_audio` names formats its own way. OpenAI takes the first two, others more: the service has the last word.
_AUDIO_FORMATS = {"audio/wav": "wav", "audio/mpeg": "mp3", "audio/flac": "flac", "audio/ogg": "ogg", "audio/m4a": "m4a"}


async def chat_payload(request: TurnRequest, voice: str | None, modalities: list[str] | None) -> dict[str, Any]:
    """The body of `/chat/completions`, not yet as JSON."""
    messages = await work_on(request, _messages, request.messages)
    payload: dict[str, Any] = {"model": request.model, "messages": messages, "stream": True}
    payload |= {name: request.options[name] for name in CHAT_OPTIONS if name in request.options}
    if modalities:
        payload["modalities"] = modalities
        if "audio" in modalities:
            payload["audio"] = _spoken(request.options, voice)
            # Any other format than bare samples comes in one piece.
            payload["stream"] = payload["audio"]["format"] == STREAMED_SOUND
        if "image" in modalities and (config := image_config(request.options)):
            payload["image_config"] = config
    if payload["stream"]:
        payload["stream_options"] = {"include_usage": True}
    return payload


def _spoken(options: dict[str, Any], voice: str | None) -> dict[str, Any]:
    """The `audio` of a request; for WAV the samples are streamed and the file is made here."""
    wanted = sound_option(options, "format")
    return {
        **options.get("audio", {}),
        "voice": sound_option(options, "voice") or voice or DEFAULT_VOICE,
        "format": STREAMED_SOUND if wanted in (None, "wav", "pcm") else wanted,
    }


def sound_option(options: dict[str, Any], name: str) -> Any:
    """An option of speech, which may also stand within `audio`; None where it is in neither."""
    return options.get(name) or options.get("audio", {}).get(name)


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    return [{**message.extra, "role": message.role, "content": _content(message)} for message in messages]


def _content(message: Message) -> str | list[dict[str, Any]] | None:
    """Text where that is all there is: a list of parts is more than some services take."""
    # No service takes files in what the assistant, a tool or the system said.
    if message.role == "user" and not all(isinstance(part, Text) for part in message.parts):
        return [_part(part) for part in message.parts]
    return message.text or (None if message.extra.get("tool_calls") else "")


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media_type, data):
            return {"type": "image_url", "image_url": {"url": data_uri(media_type, data)}}
        case Audio(media_type, data):
            kind = _AUDIO_FORMATS.get(media_type) or media_type.rpartition("/")[2].removeprefix("x-")
            sound = {"data": base64.b64encode(data).decode("ascii"), "format": kind}
            return {"type": "input_audio", "input_audio": sound}
        case Video(media_type, data):
            return {"type": "video_url", "video_url": {"url": data_uri(media_type, data)}}
        case Document(media_type, data, name):
            return {"type": "file", "file": {"filename": name, "file_data": data_uri(media_type, data)}}
        case Remote(part=pointer):
            return pointer


_SHAPES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
"""The aspect ratios that OpenRouter knows."""


def image_config(options: dict[str, Any]) -> dict[str, str]:
    """OpenRouter's `image_config`, for pictures by chat: the shape of the picture, and its size where it has a name.

    Sides in pixels become the nearest shape that it knows; an aspect ratio is taken at its word.
    """
    width, height, size = options.get("width"), options.get("height"), options.get("size")
    config = {}
    if ratio := ratio_of(f"{width}:{height}") if width and height else ratio_of_size(size):
        config["aspect_ratio"] = min(_SHAPES, key=lambda shape: abs(log((ratio_of(shape) or 1.0) / ratio)))
    elif shape := options.get("aspect_ratio"):
        config["aspect_ratio"] = shape
    if size and re.fullmatch(r"[\d.]+K", size, re.IGNORECASE):
        config["image_size"] = size
    return config
