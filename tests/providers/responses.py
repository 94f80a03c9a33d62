"""Short words for the tests of the Responses wire: questions to a small OpenAI, and what came of them."""

from collections.abc import Iterable
from typing import Any

from tests.providers.turns import Turn, hold
from tests.servers.openai_responses import PLAIN

from mediary.events import ConversationState, Event, Log, Media, Preview, Reasoning
from mediary.providers.base import Message, Part, Text, TurnRequest
from mediary.providers.openai_responses.provider import OpenAIResponses

NAME = "Test"


def say(*parts: str | Part, model: str = PLAIN, **fields: Any) -> TurnRequest:
    """A question of these texts and parts."""
    made = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return TurnRequest(model=model, messages=(Message("user", made),), **fields)


def talk(*messages: tuple[str, str] | Message, model: str = PLAIN, **fields: Any) -> TurnRequest:
    """A conversation: roles and texts, or messages."""
    made = (
        message if isinstance(message, Message) else Message(message[0], (Text(message[1]),)) for message in messages
    )
    return TurnRequest(model=model, messages=tuple(made), **fields)


async def good(provider: OpenAIResponses, request: TurnRequest) -> Turn:
    """A turn that must not fail."""
    turn = await hold(provider, request)
    assert turn.error is None
    return turn


def state(turn: Turn) -> dict[str, Any] | None:
    """What the turn gave to go on from, as the client hands it back."""
    found = [event.conversation[NAME] for event in turn.events if isinstance(event, ConversationState)]
    assert len(found) <= 1
    return found[0] if found else None


def thoughts(turn: Turn) -> str:
    """The reasoning, without the words on what is going on."""
    return "".join(
        event.token for event in turn.events if isinstance(event, Reasoning) and isinstance(event.token, str)
    )


def work(turn: Turn) -> list[tuple[str, str]]:
    """The words on what is going on."""
    return [
        (event.label, event.status)
        for event in turn.events
        if isinstance(event, Reasoning) and isinstance(event.label, str) and isinstance(event.status, str)
    ]


def previews(events: Iterable[Event | Media]) -> list[str]:
    """The URLs of the unfinished pictures."""
    return [
        url for event in events if isinstance(event, Preview) and isinstance(event.urls, list) for url in event.urls
    ]


def logs(turn: Turn) -> list[str]:
    """What the provider noted on the way."""
    return [event.log for event in turn.events if isinstance(event, Log)]
