"""Holding a claim while a file is sent: it is renewed, and the ticket written down so that others can go on with it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from mediary.errors import DatabaseError, SealError
from mediary.uploads.base import GoesOn
from mediary.uploads.records.entry import Sending

if TYPE_CHECKING:
    from mediary.sealing import Sealer
    from mediary.uploads.records.claims import Claims

WRITING_SECONDS = 2.0
"""How often the ticket is written down while it is used."""
ASKING_SECONDS = 0.25
"""How often we look whether another process has let go of what we want."""

logger = logging.getLogger(__name__)


class Holding:
    """A claim; `sealer` is asked for when there is a ticket to be read, or written, if that is wanted (`writes`)."""

    def __init__(
        self,
        claims: "Claims",
        key: str,
        sending: Sending,
        sealer: "Callable[[], Awaitable[Sealer]] | None",
        *,
        writes: bool,
    ) -> None:
        self._claims = claims
        self._claim = claims.claim(key, sending)
        self._sealer = sealer
        self.writes = writes and sealer is not None
        self._written: bytes | None = None
        self._turn = asyncio.Lock()

    async def take(self, waiting: Callable[[], None]) -> None:
        """Take the claim, as soon as it is nobody else's; `waiting` is told if it is."""
        told = False
        while True:
            if await self.try_to_take():
                return
            if not told:
                waiting()
            told = True
            await asyncio.sleep(ASKING_SECONDS)

    async def try_to_take(self) -> bool:
        """Take the claim if it is nobody else's."""
        return await self._claims.take(self._claim)

    async def ticket(self, kind: type[Any]) -> Any | None:
        """What an earlier owner of the claim left to go on with; None if there is nothing, or nobody can read it."""
        if self._claim.ticket is None or self._sealer is None:
            return None
        sealer = await self._sealer()
        try:
            self._written = await asyncio.to_thread(sealer.open, self._claim.ticket, self._purpose)
            return msgspec.json.decode(self._written, type=kind)
        except (SealError, msgspec.MsgspecError) as error:
            logger.debug("an unfinished upload cannot be read: %s", error)
            return None

    @property
    def is_old(self) -> bool:
        """Whether the ticket is too old to go on with."""
        return self._claim.is_old

    async def begin(self, ticket: Any) -> None:
        """Write a new ticket down."""
        self._claim.begun = time.time()
        await self.write(ticket)

    async def write(self, ticket: Any | None) -> None:
        """Hold the claim for another while, and write the ticket down if it has changed and somebody could go on."""
        async with self._turn:
            plain = msgspec.json.encode(ticket) if self.writes and _goes_on(ticket) else None
            if plain == self._written:
                await self._claims.renew(self._claim)
            else:
                self._claim.ticket = await self._sealed(plain)
                await self._claims.write(self._claim)
                self._written = plain

    @asynccontextmanager
    async def kept(self, ticket: Callable[[], Any | None]) -> AsyncIterator[None]:
        """Hold the claim within the block, and write down the ticket that there is, every now and then."""
        keeper = asyncio.create_task(self._keep(ticket), name="upload claim")
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])

    async def end(self, ticket: Any | None = None) -> None:
        """Let go of the claim; a ticket stays for whoever comes next."""
        try:
            if ticket is not None and self.writes:
                await self.write(ticket)
                await self._claims.leave(self._claim)
            else:
                await self._claims.release(self._claim)
        except DatabaseError as error:
            # It comes to an end by itself, and what is to be told is how the upload went.
            logger.warning("an upload's claim could not be given back: %s", error)

    async def _keep(self, ticket: Callable[[], Any | None]) -> None:
        third = self._claims.seconds / 3
        while True:
            await asyncio.sleep(min(WRITING_SECONDS, third) if self.writes else third)
            try:
                await self.write(ticket())
            except DatabaseError as error:
                logger.warning("an upload's claim could not be renewed: %s", error)

    async def _sealed(self, plain: bytes | None) -> bytes | None:
        if plain is None or self._sealer is None:
            return None
        sealer = await self._sealer()
        return await asyncio.to_thread(sealer.seal, plain, self._purpose)

    @property
    def _purpose(self) -> str:
        return f"upload {self._claim.key}"


def _goes_on(ticket: Any | None) -> bool:
    return ticket is not None and isinstance(ticket.sender, GoesOn)
