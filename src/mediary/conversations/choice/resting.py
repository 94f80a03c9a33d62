"""Which providers rest: one that keeps failing is asked last for a while, and then by one turn before all others."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mediary.errors import (
    BadAnswerError,
    ChallengeError,
    MediaryError,
    MissingAuthError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)

FAILURES = 3
"""How often in a row a provider fails until it rests."""
WITHIN_SECONDS = 60.0
"""How close together these failures are."""
FIRST_SECONDS = 15.0
"""How long it rests first; each further time twice as long."""
LONGEST_SECONDS = 300.0
"""How long it rests at most."""
TRIAL_SECONDS = 10.0
"""How long the first turn after a rest has to be answered before another one may try."""

FAILING = (
    ProviderUnavailableError,
    ProviderTimeoutError,
    RateLimitError,
    StreamInterruptedError,
    BadAnswerError,
    MissingAuthError,
    ChallengeError,
)
"""What says that a provider cannot answer now, whatever it is asked."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Record:
    """The failures since the last whole answer; `until` when it rests, `trial` until when one turn tries it again.

    All are monotonic seconds, but `pause`, the length of the last rest.
    """

    failures: list[float] = field(default_factory=list)
    until: float = 0.0
    pause: float = 0.0
    on_trial: bool = False
    trial: float = 0.0


class Resting:
    """Keeps the record of every provider that failed of late, in the memory of this process.

    Only what happens to the operator's own credentials belongs here.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._records: dict[str, _Record] = {}

    def rests(self, name: str) -> bool:
        """Whether a provider is better asked last."""
        record = self._records.get(name)
        return record is not None and self._now() < max(record.until, record.trial)

    def lets_pass(self, name: str) -> bool:
        """Whether a turn may ask the provider in its order; after a rest that is one turn, until it is answered."""
        if self.rests(name):
            return False
        record = self._records.get(name)
        if record and record.on_trial:
            record.trial = self._now() + TRIAL_SECONDS
        return True

    def began(self, name: str) -> None:
        """The provider answers: others may ask it, too. How long it rested is forgotten with a whole answer only."""
        if record := self._records.get(name):
            record.until, record.on_trial, record.trial = 0.0, False, 0.0

    def finished(self, name: str) -> None:
        """The provider gave a whole answer."""
        self._records.pop(name, None)

    def failed(self, name: str, error: MediaryError) -> None:
        """The provider failed. What was under way when its rest began says nothing new."""
        if not isinstance(error, FAILING):
            return
        record, now = self._records.setdefault(name, _Record()), self._now()
        if now < record.until:
            return
        if isinstance(error, RateLimitError) and error.retry_after:
            self._rest(name, record, min(error.retry_after, LONGEST_SECONDS))
            return
        record.failures = [*(at for at in record.failures if now - at < WITHIN_SECONDS), now]
        if record.pause or len(record.failures) >= FAILURES:
            record.pause = min(2 * record.pause or FIRST_SECONDS, LONGEST_SECONDS)
            self._rest(name, record, record.pause)

    def _rest(self, name: str, record: _Record, seconds: float) -> None:
        record.until = self._now() + seconds
        record.on_trial, record.trial = True, 0.0
        record.failures.clear()
        logger.warning("a provider rests: it is asked last", extra={"provider": name, "seconds": round(seconds, 1)})
