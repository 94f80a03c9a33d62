"""Goes on from an answer that the service keeps: then only what came after it is sent."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mediary.providers.base import Message, Text, TurnRequest
from mediary.providers.http.encoding import encode

RESPONSE_ID = "response_id"
ASKED = "asked"

_ID = re.compile(r"[!-~]{1,256}")
_UNKNOWN = re.compile(r"previous[ _]response|no tool call found", re.IGNORECASE)


@dataclass(slots=True, frozen=True)
class Kept:
    """An answer by its id, and the messages that came after it."""

    response_id: str
    later: Sequence[Message]

    def is_unknown(self, words: str) -> bool:
        """Whether the service says in these words that it cannot go on from the answer."""
        return bool(_UNKNOWN.search(words)) or self.response_id in words


def find_kept(request: TurnRequest, messages: Sequence[Message]) -> Kept | None:
    """The answer to go on from, if the client brings one and its conversation is still the one that led there.

    An answer that is asked for again, or a question that was changed, begins from another place.
    """
    match request.conversation:
        case {"response_id": str(response_id), "asked": str(asked)} if _ID.fullmatch(response_id):
            answers = [number for number, message in enumerate(messages) if message.role == "assistant"]
            later = messages[answers[-1] + 1 :] if answers else ()
            if later and asked == asked_in(messages[: answers[-1]]):
                return Kept(response_id, later)
    return None


def asked_in(messages: Sequence[Message]) -> str:
    """A digest of what was asked: the words of all but the model, and how many files came with them.

    What others put in (search, memory, documents) is not asked again and is left out, and so is what the model said:
    clients show its media in their own way.
    """
    said: list[Any] = []
    for message in messages:
        if message.role != "assistant":
            words = [part.text for part in message.parts if isinstance(part, Text) and part.source is None]
            said.append((message.role, words, sum(not isinstance(part, Text) for part in message.parts)))
    return hashlib.sha256(encode(said)).hexdigest()[:32]
