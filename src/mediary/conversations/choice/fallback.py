"""Who of several providers is asked next, and what became of those before."""

from collections.abc import Awaitable, Callable, Sequence

from mediary.conversations.choice.asking import Asking
from mediary.conversations.choice.choosing import Candidate
from mediary.errors import (
    BadAnswerError,
    ChallengeError,
    MediaryError,
    MissingAuthError,
    ModelNotFoundError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
    TooLargeError,
    UnreadableError,
    UnsupportedTypeError,
    UploadDamagedError,
    UploadRefusedError,
)

NOT_TAKEN = (UnsupportedTypeError, TooLargeError)
"""What a provider has against the files of a question, which another may take."""

PASSED_ON = (
    ProviderUnavailableError,
    ProviderTimeoutError,
    RateLimitError,
    StreamInterruptedError,
    BadAnswerError,
    MissingAuthError,
    ModelNotFoundError,
    ChallengeError,
    UploadRefusedError,
    UploadDamagedError,
    *NOT_TAKEN,
)
"""What another provider may do better. A ProviderError that is none of these refuses the request as it is."""


def is_passed_on(error: MediaryError) -> bool:
    """Whether another provider may do better. A file that nobody can read is not among the reasons."""
    return isinstance(error, PASSED_ON) and not isinstance(error, UnreadableError)


class Fallback:
    """The candidates of a turn that have not been asked yet, and why the others did not answer.

    `pick` says which of several is the next one, `ask` how the question is put to it.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        pick: Callable[[Sequence[Candidate]], Candidate],
        ask: Callable[[Candidate], Awaitable[Asking]],
    ) -> None:
        self._left = list(candidates)
        self._pick = pick
        self._ask = ask
        self._failures: list[tuple[Candidate, MediaryError]] = []
        self._told = 0

    async def next(self) -> Asking:
        """The next one that takes the files of the question; raises why nobody could answer."""
        while self._left:
            candidate = self._pick(self._left)
            self._left.remove(candidate)
            try:
                return await self._ask(candidate)
            except NOT_TAKEN as error:
                self.failed(candidate, error)
        raise self.error()

    def failed(self, candidate: Candidate, error: MediaryError) -> None:
        """It did not answer, or cannot."""
        self._failures.append((candidate, error))

    def news(self) -> str:
        """Why those that failed since the last call did; empty if none did."""
        failures, self._told = self._failures[self._told :], len(self._failures)
        return _reasons(failures)

    @property
    def left(self) -> Sequence[Candidate]:
        """Those that have not been asked."""
        return self._left

    def error(self) -> MediaryError:
        """Why nobody answered: the last failure that may pass, else the last, with the words of all."""
        errors = [error for _, error in self._failures]
        telling = next((error for error in reversed(errors) if error.retryable), errors[-1])
        if len(errors) > 1:
            telling.message = f"none of {len(errors)} providers could answer: {_reasons(self._failures)}"
            telling.args = (telling.message,)
        return telling


def _reasons(failures: Sequence[tuple[Candidate, MediaryError]]) -> str:
    """`OpenAI: overloaded; Groq: …`; many an error begins with the provider's name itself."""
    names = [candidate.provider.name for candidate, _ in failures]
    said = [error.message.removeprefix(f"{name}: ") for name, (_, error) in zip(names, failures, strict=True)]
    return "; ".join(f"{name}: {words}" for name, words in zip(names, said, strict=True))
