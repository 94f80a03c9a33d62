"""Reads a chat for its page: tolerant, since every client writes chats in its own way."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from mediary.formats import is_allowed_extension

Kind = Literal["text", "image", "audio", "video", "link"]

WHO = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}
_THINKING = re.compile(r"\s*<(think|thinking|thought)>(?P<thought>.*?)(?:</\1>|\Z)", re.DOTALL)
MILLISECONDS = 10**11
"""A time beyond it is in milliseconds: in seconds it would be in the year 5138."""


@dataclass(slots=True, frozen=True)
class Piece:
    """A piece of a message: a text in Markdown, or something at a URL with what it is called."""

    kind: Kind
    text: str
    url: str = ""


@dataclass(slots=True)
class Entry:
    """A message: who says it, by which model, what was thought before, and its pieces."""

    role: str
    by: str
    thought: str
    pieces: list[Piece] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Reading:
    """What the page shows of a chat; `updated` is in Unix seconds."""

    title: str
    updated: float | None
    entries: list[Entry]


def read(chat: dict[str, Any]) -> Reading:
    """What there is to show; what cannot be understood is left out."""
    entries: list[Entry] = []
    for item in _items(chat):
        entry = _entry(item)
        if item.get("continue") is True and entries and entries[-1].role == entry.role:
            _go_on(entries[-1], entry)
        elif entry.pieces or entry.thought:
            entries.append(entry)
    title = " ".join((_text(chat.get("new_title")) or _text(chat.get("title"))).split())
    return Reading(title or "Shared chat", _seconds(chat.get("updated")), entries)


def _items(chat: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The messages, under either of the names that clients give them."""
    listed = chat.get("items", chat.get("messages"))
    yield from (item for item in listed if isinstance(item, dict)) if isinstance(listed, list) else ()


def _entry(item: dict[str, Any]) -> Entry:
    role = _text(item.get("role")) or "user"
    entry = Entry(WHO.get(role, role), _by(item.get("provider")), _thought(item.get("reasoning")), _pieces(item))
    if entry.pieces and (found := _THINKING.match(entry.pieces[0].text)):
        entry.thought = entry.thought or found["thought"].strip()
        entry.pieces[0] = Piece("text", entry.pieces[0].text[found.end() :])
    return entry


def _go_on(before: Entry, more: Entry) -> None:
    """Put a message that goes on where the one before stopped at its end."""
    if before.pieces and more.pieces and before.pieces[-1].kind == more.pieces[0].kind == "text":
        first = more.pieces.pop(0)
        before.pieces[-1] = Piece("text", before.pieces[-1].text + first.text)
    before.pieces += more.pieces


def _by(provider: Any) -> str:
    """Who answered: the model, and whose it is."""
    if not isinstance(provider, dict):
        return _text(provider)
    model = _text(provider.get("modelLabel")) or _text(provider.get("model"))
    label = _text(provider.get("label")) or _text(provider.get("name"))
    return f"{model} · {label}" if model and label else model or label


def _thought(reasoning: Any) -> str:
    return _text(reasoning.get("text")) if isinstance(reasoning, dict) else _text(reasoning)


def _pieces(item: dict[str, Any]) -> list[Piece]:
    content = item.get("content")
    if isinstance(content, str):
        return [Piece("text", _text(content))] if content.strip() else []
    if not isinstance(content, list):
        return []
    return [piece for part in content if isinstance(part, dict) for piece in _part(part)]


def _part(part: dict[str, Any]) -> Iterator[Piece]:
    """The pieces of a part: of a file of a bucket also what was read in it."""
    image = part.get("image_url")
    url = _text(image.get("url")) if isinstance(image, dict) else _text(image)
    name = _text(part.get("name"))
    if url:
        yield Piece("image", name, url)
    elif url := _text(part.get("url")):
        yield Piece(_kind(name or url), name or "Document", url)
    elif isinstance(part.get("input_audio"), dict):
        yield Piece("text", "*A recording.*")
    if text := _text(part.get("text")):
        yield Piece("text", text)


def _kind(name: str) -> Kind:
    known = is_allowed_extension(name.partition("?")[0].partition("#")[0])
    return known.kind if known else "link"


def _seconds(updated: Any) -> float | None:
    if not isinstance(updated, int | float) or isinstance(updated, bool) or updated <= 0:
        return None
    return updated / 1000 if updated > MILLISECONDS else float(updated)


def _text(value: Any) -> str:
    """A text without what no page may hold; empty where it is none."""
    return value.replace("\0", "") if isinstance(value, str) else ""
