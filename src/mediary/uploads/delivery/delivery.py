"""One file on its way: a ticket, the bytes, the receipt, and again where that helps."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mediary.errors import MediaryError, ProviderError, UploadDamagedError, UploadRefusedError
from mediary.uploads.base import Abandons, Account, CleansUp, File, Flow, GoesOn, Progress, UploadedFile
from mediary.uploads.records.entry import Forgotten
from mediary.uploads.transport import PASSING

CLEANING_SECONDS = 5.0
"""How long it may take to clear away what is given up."""
CLOSING_SECONDS = 2.0
"""How long it may take yet when the server ends."""

_OUTDATED = {401, 403, 404, 410}
"""What a storage answers where a new ticket may help: the old one has expired, or was damaged on its way."""

logger = logging.getLogger(__name__)


class Cleaning:
    """The time that there is to clear away what is given up: at services that may not answer any more."""

    def __init__(self) -> None:
        self._seconds = CLEANING_SECONDS
        self._running: set[asyncio.Timeout] = set()

    @contextmanager
    def hold(self, timeout: asyncio.Timeout) -> Iterator[None]:
        """Let the time of what runs within the block be `timeout`."""
        timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)
        self._running.add(timeout)
        try:
            yield
        finally:
            self._running.discard(timeout)

    def hasten(self) -> None:
        """From now on there is little of it, also for what has begun."""
        self._seconds = CLOSING_SECONDS
        end = asyncio.get_running_loop().time() + CLOSING_SECONDS
        for timeout in self._running:
            if not timeout.expired() and (timeout.when() or end) >= end:
                timeout.reschedule(end)


@dataclass(slots=True)
class Delivery:
    """A file on its way to an account; `ticket` is the one in use, None before and after.

    `begin` is told of each new ticket before anything is sent.
    """

    flow: Flow[Any]
    file: File
    account: Account
    model: str | None
    progress: Progress
    begin: Callable[[Any], Awaitable[None]]
    ticket: Any = None
    cleaning: Cleaning = field(default_factory=Cleaning)

    async def run(self) -> UploadedFile:
        """Bring it there. A ticket that is there already is gone on with, and replaced if it is not good any more."""
        if self.ticket is not None:
            try:
                return await self._send()
            except ProviderError as error:
                if may_pass(error):
                    raise
                logger.debug("%s: begins anew, the upload cannot be gone on with: %s", self.flow.name, error)
                await self.give_up()
        tried: set[type[ProviderError]] = set()
        while True:
            self.ticket = await self.flow.ticket(self.file, self.account, self.model)
            await self.begin(self.ticket)
            try:
                return await self._send()
            except (UploadRefusedError, UploadDamagedError) as error:
                outdated = isinstance(error, UploadDamagedError) or error.answered in _OUTDATED
                if not outdated or type(error) in tried:
                    raise
                tried.add(type(error))
                await self.give_up()

    async def _send(self) -> UploadedFile:
        sent = await self.ticket.sender.send(self.flow.transport, self.file, self.progress)
        uploaded = await self.flow.receipt(self.file, self.account, self.ticket, sent)
        self.ticket = None
        return uploaded

    @property
    def is_worth_keeping(self) -> bool:
        """Whether it would spare another process something to go on with what is begun."""
        sender = self.ticket.sender if self.ticket is not None else None
        return isinstance(sender, GoesOn) and sender.is_worth_keeping()

    async def give_up(self) -> None:
        """Clear away what was begun. What fails of it is not told to anybody: it was an attempt to be tidy."""
        ticket, self.ticket = self.ticket, None
        if ticket is None:
            return
        try:
            async with asyncio.timeout(None) as timeout:
                with self.cleaning.hold(timeout):
                    if isinstance(ticket.sender, CleansUp):
                        await self._try(ticket.sender.abort(self.flow.transport))
                    if isinstance(self.flow, Abandons):
                        await self._try(self.flow.abandon(self.account, ticket))
        except TimeoutError:
            logger.debug("%s: something of an upload was left behind: there was no more time", self.flow.name)

    async def _try(self, cleaning: Awaitable[None]) -> None:
        try:
            await cleaning
        except MediaryError as error:
            logger.debug("%s: something of an upload was left behind: %s", self.flow.name, error)


async def take_back(flow: Flow[Any], account: Account, ticket: Any | None) -> Forgotten:
    """Remove what has arrived for a ticket that nobody goes on with; ProviderError if that fails."""
    if ticket is None:
        return Forgotten(removed=False, reason="what is written down of it cannot be read")
    removed = False
    if isinstance(ticket.sender, CleansUp):
        await ticket.sender.abort(flow.transport)
        removed = True
    if isinstance(flow, Abandons):
        await flow.abandon(account, ticket)
        removed = True
    return Forgotten(removed, None if removed else f"{flow.label} has no way to remove what has arrived so far")


def may_pass(error: ProviderError) -> bool:
    """Whether the same may work a while later."""
    return error.retryable or (isinstance(error, UploadRefusedError) and error.answered in PASSING)
