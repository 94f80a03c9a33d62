"""What memory holds: items, whose they are, and what is asked of them."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mediary.errors import FieldError, TooLargeError

LONGEST_USER = 128
"""Characters of a user's id; more would be a second id for whoever's begins alike, were they cut."""
LONGEST_FIELD = 512
"""Characters of a role, of a conversation's id and of the name of a field."""
MOST_CONDITIONS = 32
MOST_DEPTH = 32
"""Objects and lists within each other, in metadata."""
MOST_NUMBER = 2**63

Scalar = str | int | float | bool | None

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(slots=True, frozen=True)
class NewItem:
    """Something to keep; who said it is the `role`, and `metadata` is the caller's own."""

    text: str
    role: str = "user"
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class MemoryItem:
    """Something that was kept: `seen` says how often, `created` and `updated` when, in Unix seconds.

    `score` is how well it fits a search, from 0 to 1, to be compared within one answer alone.
    """

    id: str
    user: str
    text: str
    role: str
    conversation_id: str | None
    metadata: Mapping[str, Any]
    created: float
    updated: float
    seen: int = 1
    score: float | None = None


@dataclass(slots=True, frozen=True)
class MemoryPage:
    """Some of the items that were asked for, and how many there are in all."""

    items: tuple[MemoryItem, ...]
    total: int


@dataclass(slots=True, frozen=True)
class Condition:
    """A field of an item and the value that it must have; `role` and `conversation_id` are fields of their own."""

    name: str
    value: Scalar


def check_user(user: str, field_name: str = "user_id") -> str:
    """The id of a user as it is: ids that differ are different users. FieldError for one that cannot be kept so."""
    if not user or len(user) > LONGEST_USER:
        raise FieldError(field_name, f"has from 1 to {LONGEST_USER} characters")
    if _CONTROL.search(user):
        raise FieldError(field_name, "holds a control character")
    return user


def check_items(items: Iterable[NewItem], max_bytes: int) -> list[NewItem]:
    """The items that hold any text, none too large; FieldError or TooLargeError names one that is."""
    checked = (_checked(item, f"items[{at}]", max_bytes) for at, item in enumerate(items))
    return [item for item in checked if item.text]


def check_conversation(conversation_id: str | None) -> str | None:
    """The id of a conversation; FieldError if it is too long."""
    return check_field("id", conversation_id) if conversation_id else None


def check_field(name: str, text: str) -> str:
    """A short text; FieldError if it is longer."""
    if len(text) > LONGEST_FIELD:
        raise FieldError(name, f"has {LONGEST_FIELD} characters at most")
    return text


def conditions(*asked: Mapping[str, Any] | None) -> tuple[Condition, ...]:
    """What items must have, of objects of fields and values; FieldError for a value that cannot be compared."""
    found = tuple(Condition(check_field("filters", name), _scalar(name, value)) for name, value in _pairs(asked))
    if len(found) > MOST_CONDITIONS:
        raise FieldError("filters", f"{MOST_CONDITIONS} fields at most")
    return found


def text_of(content: Any) -> str:
    """The text of a message's content: of its parts those that are text, a line each."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "\n".join(text for text in texts if isinstance(text, str))


def describe_item(item: MemoryItem) -> dict[str, Any]:
    """An item as clients read it; its conversation is a field of its metadata."""
    of = {"conversation_id": item.conversation_id} if item.conversation_id is not None else {}
    return {
        "id": item.id,
        "memory": item.text,
        "role": item.role,
        "user_id": item.user,
        "metadata": {**item.metadata, **of},
        **({} if item.score is None else {"score": round(item.score, 4)}),
        "created_at": _written(item.created),
        "updated_at": _written(item.updated),
        "count": item.seen,
    }


def _checked(item: NewItem, where: str, max_bytes: int) -> NewItem:
    if _depth(item.metadata) > MOST_DEPTH:
        raise FieldError(f"{where}.metadata", f"is nested more than {MOST_DEPTH} deep")
    text = item.text.strip()
    size = len(text.encode("utf-8", "replace")) + (len(json.dumps(item.metadata)) if item.metadata else 0)
    if size > max_bytes:
        raise TooLargeError(f"{where} has {size} bytes; an item may have {max_bytes} (memory.max_item_bytes)")
    return NewItem(text, check_field(f"{where}.role", item.role), item.metadata)


def _depth(value: Any) -> int:
    """How many objects and lists lie within each other; it stops counting where there are too many."""
    level, depth = [value], 0
    while level and depth <= MOST_DEPTH:
        inner = [each for each in level if isinstance(each, Mapping | list | tuple)]
        depth += bool(inner)
        level = [part for each in inner for part in (each.values() if isinstance(each, Mapping) else each)]
    return depth


def _pairs(asked: Iterable[Mapping[str, Any] | None]) -> Iterable[tuple[str, Any]]:
    return (pair for each in asked if each for pair in each.items())


def _scalar(name: str, value: Any) -> Scalar:
    match value:
        case str() | bool() | None:
            return value
        case float() if math.isfinite(value):
            return value
        case int():
            return value if -MOST_NUMBER <= value < MOST_NUMBER else float(value)
        case _:
            raise FieldError("filters", f"{name[:40]!r} is compared with a text, a number, true, false or null")


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
