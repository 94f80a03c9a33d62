"""Decodes the JSON of services, also where a character was cut in two."""

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_HIGH = range(0xD800, 0xDC00)


class UnreadableError(ValueError):
    """What a service sent is no JSON, or not of the shape it should have; says why."""


class Halves:
    """Joins the characters that a service has cut in two, as those do that slice text by UTF-16.

    A first half at the end of a text waits for what comes at the same place next.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str | int, ...], str] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join(self, value: Any, place: tuple[str | int, ...] = ()) -> Any:
        """Decoded JSON with the halves in it joined; one without its other half becomes U+FFFD."""
        match value:
            case str():
                text = self._waiting.pop(place, "") + value
                if text and ord(text[-1]) in _HIGH:
                    text, self._waiting[place] = text[:-1], text[-1]
                return _whole(text)
            case dict():
                return {_whole(name): self.join(inner, (*place, name)) for name, inner in value.items()}
            case list():
                return [self.join(inner, (*place, at)) for at, inner in enumerate(value)]
            case _:
                return value

    def rest(self, name: str) -> str:
        """U+FFFD if a half still waits in a field of that name."""
        return "\ufffd" if any(place[-1] == name for place in self._waiting if place) else ""


def decode(decoder: msgspec.json.Decoder[T], data: bytes, halves: Halves | None = None) -> T:
    """The decoded JSON; UnreadableError if there is none. `halves` are those of the pieces of one answer."""
    try:
        # A half that waits may have its other half in here.
        return _decode_halves(decoder, data, halves) if halves else decoder.decode(data)
    except RecursionError:
        raise UnreadableError("it is nested too deep") from None
    except msgspec.ValidationError as error:
        raise UnreadableError(str(error)) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        try:
            return _decode_halves(decoder, data, Halves() if halves is None else halves)
        except (ValueError, RecursionError):
            raise UnreadableError(str(error)) from None


def _decode_halves(decoder: msgspec.json.Decoder[T], data: bytes, halves: Halves) -> T:
    """The same by a decoder that takes half characters and broken UTF-8."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    return msgspec.convert(halves.join(json.loads(text)), decoder.type, strict=decoder.strict)


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
