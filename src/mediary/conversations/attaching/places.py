"""Places in the messages of a question, for what is brought there only when the provider is about to be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mediary.providers.base import Message, Part


@dataclass(slots=True, frozen=True, order=True)
class Place:
    """Before the part number `part` of the message number `message`, behind the places there with a lower `rank`."""

    message: int
    part: int
    rank: int


def filled(messages: tuple[Message, ...], parts: Mapping[Place, Sequence[Part]]) -> tuple[Message, ...]:
    """The messages with parts in their places."""
    lists: list[list[Part]] = [list(message.parts) for message in messages]
    for place in sorted(parts, reverse=True):
        lists[place.message][place.part : place.part] = parts[place]
    return tuple(replace(message, parts=tuple(each)) for message, each in zip(messages, lists, strict=True))


def framed(name: str, text: str) -> str:
    """A text between the marks that tell a model which document it comes from, as in the text of a bucket."""
    return f"<!-- File: {name} -->\n{text}\n<-- End -->\n"
