"""A question as it goes to one provider: with its model, its state of the conversation and its key, and its files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mediary.conversations.attaching.carry import Carrier
from mediary.conversations.attaching.held import Held
from mediary.conversations.attaching.places import Place
from mediary.conversations.attaching.trip import Plan
from mediary.conversations.choice.choosing import Candidate, named
from mediary.conversations.request import ConversationRequest
from mediary.conversations.state import state_for
from mediary.providers.base import TurnRequest


@dataclass(slots=True, frozen=True)
class Asking:
    """Who is asked, and with what; `plan` is for the files that have to be carried there."""

    candidate: Candidate
    request: TurnRequest
    plan: Plan | None = None


@dataclass(slots=True, frozen=True)
class Asker:
    """Puts a question as each provider is to get it; `incoming` is what the client said, without the messages."""

    carrier: Carrier
    incoming: ConversationRequest
    question: TurnRequest
    files: Mapping[Place, Held]

    async def ask(self, candidate: Candidate) -> Asking:
        """The question for somebody; UnsupportedTypeError or TooLargeError where the files cannot go there."""
        request = self._request(candidate)
        plan = await self.carrier.plan(self.files, candidate.provider, request) if self.files else None
        return Asking(candidate, request, plan)

    def may_upload(self, candidate: Candidate) -> bool:
        """Whether a file may have to be uploaded for somebody."""
        return self.carrier.may_upload(self.files, candidate.provider, self._request(candidate))

    def _request(self, candidate: Candidate) -> TurnRequest:
        """What is for nobody else stays out."""
        name = candidate.provider.name
        state = state_for(name, self.incoming.conversation, named=named(self.incoming) is not None)
        return replace(self.question, model=candidate.model, conversation=state, api_key=self.incoming.key_for(name))
