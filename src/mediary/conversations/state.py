"""The state of a conversation with each provider: what a client hands back, and what it is given to hand back."""

from typing import Any

from mediary.events import ConversationState

RUN_ID = "run_id"
"""What we add to the state of a provider, which is none of its own."""


def state_for(provider: str, handed_in: Any, *, named: bool) -> dict[str, Any] | None:
    """A provider's part of what a request hands in, which is all of an event, or that part alone.

    The part alone tells nobody whose it is: it goes to the provider that the request has `named`.
    """
    if not isinstance(handed_in, dict):
        return None
    whole = handed_in and all(isinstance(part, dict) for part in handed_in.values())
    part = handed_in.get(provider)
    if part is None and named and not whole:
        part = handed_in
    if not isinstance(part, dict):
        return None
    return {name: value for name, value in part.items() if name != RUN_ID} or None


class StateOfTurn:
    """What a turn tells of its conversation with one provider, piece by piece."""

    def __init__(self, provider: str, run_id: str) -> None:
        self._provider = provider
        self._state: dict[str, Any] = {RUN_ID: run_id}

    def event(self) -> ConversationState:
        """All that is known so far."""
        return ConversationState(conversation={self._provider: dict(self._state)})

    def merge(self, told: ConversationState) -> ConversationState:
        """The same with what the provider says of it; it may say so under its own name."""
        own = told.conversation.get(self._provider) if len(told.conversation) == 1 else None
        state = own if isinstance(own, dict) else told.conversation
        self._state = {**self._state, **state, RUN_ID: self._state[RUN_ID]}
        return self.event()
