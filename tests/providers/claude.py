"""Short words for the tests of the Messages wire: questions to the models of a small Anthropic."""

from tests.providers.turns import Turn, hold

from mediary.providers.anthropic.provider import Anthropic
from mediary.providers.base import Message, Part, Text, TurnRequest

OPUS, HAIKU, SMALL = "claude-opus-5-5", "claude-haiku-4-5", "claude-small-1"


def say(*parts: str | Part, model: str = HAIKU, **fields: object) -> TurnRequest:
    """A question of these texts and parts."""
    made = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return TurnRequest(model=model, messages=(Message("user", made),), **fields)  # type: ignore[arg-type]


def talk(*messages: tuple[str, str]) -> TurnRequest:
    """A conversation: roles and texts."""
    return TurnRequest(model=HAIKU, messages=tuple(Message(role, (Text(text),)) for role, text in messages))


async def good(provider: Anthropic, request: TurnRequest) -> Turn:
    """A turn that must not fail."""
    turn = await hold(provider, request)
    assert turn.error is None
    return turn
