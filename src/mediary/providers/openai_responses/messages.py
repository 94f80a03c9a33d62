"""What is sent of a conversation: its messages as the items of the Responses wire."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from mediary.errors import UnsupportedTypeError
from mediary.providers.base import Audio, Document, Image, Message, Part, Remote, Text, Video
from mediary.providers.http.encoding import data_uri, encode

LONGEST_ID = 64
"""Characters of the id of a call; one of another service may be longer."""

_SYSTEM = ("system", "developer")
_SOUNDS = {"audio/mpeg": "mp3", "audio/wav": "wav"}


def instructions_of(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """What the system says at the beginning, and the messages behind that."""
    begin = next((number for number, message in enumerate(messages) if message.role not in _SYSTEM), 0)
    return "\n\n".join(filter(None, (message.text for message in messages[:begin]))), messages[begin:]


def items_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as items, those without content left out."""
    return [item for message in messages for item in _items(message)]


def _items(message: Message) -> Iterator[dict[str, Any]]:
    match message.role:
        case "tool":
            yield {
                "type": "function_call_output",
                "call_id": _call_id(message.extra.get("tool_call_id")),
                "output": _content(message.parts) or "",
            }
        case "assistant":
            if message.text:
                yield {"role": "assistant", "content": message.text}
            yield from map(_call, message.extra.get("tool_calls") or ())
        case "system" | "developer":
            if message.text:
                yield {"role": message.role, "content": message.text}
        case _:
            if content := _content(message.parts):
                yield {"role": "user", "content": content}


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Text where that is all there is: some services take nothing else."""
    coded = [_part(part) for part in parts if not isinstance(part, Text) or part.text]
    return coded[0]["text"] if len(coded) == 1 and coded[0]["type"] == "input_text" else coded


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "input_text", "text": text}
        case Image(media_type, data):
            return {"type": "input_image", "image_url": data_uri(media_type, data), "detail": "auto"}
        case Document(media_type, data, name):
            return {"type": "input_file", "filename": name, "file_data": data_uri(media_type, data)}
        case Audio(media_type, data):
            kind = _SOUNDS.get(media_type) or media_type.rpartition("/")[2].removeprefix("x-")
            sound = {"data": base64.b64encode(data).decode("ascii"), "format": kind}
            return {"type": "input_audio", "input_audio": sound}
        case Remote(part=pointer):
            return pointer
        case Video():
            raise UnsupportedTypeError(f"the Responses API does not take {part.name or 'a video'} ({part.media_type})")


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """A call that the model made; without the id of its item, which would have to be known to the service."""
    said = call.get("function")
    function = said if isinstance(said, dict) else {}
    arguments = function.get("arguments") or "{}"
    return {
        "type": "function_call",
        "call_id": _call_id(call.get("id")),
        "name": function.get("name"),
        "arguments": arguments if isinstance(arguments, str) else encode(arguments).decode(),
    }


def _call_id(said: Any) -> str:
    """The id of a call, the same for the call and its result."""
    call = str(said or "call")
    return call if len(call) <= LONGEST_ID else hashlib.sha256(call.encode(errors="replace")).hexdigest()
