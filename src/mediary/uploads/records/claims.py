"""Who is sending what: of all processes and nodes on one database, one at a time sends a file to an account."""

import secrets
import time
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Executable, Row, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.clock import now
from mediary.database.engine import Database
from mediary.database.processes import is_gone, this_process
from mediary.tasks import uninterrupted
from mediary.uploads.records.entry import ID_LENGTH, Sending, Unfinished
from mediary.uploads.records.tables import upload_claims

LEASE_SECONDS = 15.0
"""How long after its last word a process is taken for dead."""
TICKET_SECONDS = 23 * 3600.0
"""How long an upload that was left in the middle can be gone on with."""

_columns = upload_claims.c


_LEFT = select(upload_claims, now.label("now")).where(_columns.ticket.is_not(None))


@dataclass(slots=True)
class Claim:
    """The right to send what `key` stands for, while it is renewed.

    `ticket` is what an earlier owner left, sealed, so that its upload can be gone on with; `begun` is when that ticket
    was asked for, in Unix seconds.
    """

    key: str
    sending: Sending
    owner: str
    ticket: bytes | None = None
    begun: float | None = None

    @property
    def is_old(self) -> bool:
        """Whether its ticket is too old to go on with."""
        return self.begun is None or time.time() - self.begun > TICKET_SECONDS


class Claims:
    """Claims last `seconds` and are renewed; one that was not can be taken over.

    That of a process of this machine which is gone can be taken over at once. What is written is written to its end,
    also when cancelled: what SQLite was doing could otherwise keep it locked.
    """

    def __init__(self, database: Database, seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self.seconds = seconds

    def claim(self, key: str, sending: Sending) -> Claim:
        """A claim, to be taken."""
        return Claim(key, sending, f"{secrets.token_hex(8)} {this_process()}")

    @uninterrupted
    async def take(self, claim: Claim) -> bool:
        """Take a claim, with the ticket that was left with it; False while somebody else holds it."""
        values = {"owner": claim.owner, "lease": now + self.seconds, **asdict(claim.sending)}
        statement = self._database.insert(upload_claims).values(key=claim.key, **values)
        free = statement.on_conflict_do_update(index_elements=["key"], set_=values, where=_columns.lease <= now)
        ours = select(_columns.ticket, _columns.begun).where(*_is(claim))
        async with self._database.begin() as connection:
            await connection.execute(free)
            row = (await connection.execute(ours)).one_or_none()
            if row is None:
                await _take_over(connection, claim.key, values)
                row = (await connection.execute(ours)).one_or_none()
        if row is not None:
            claim.ticket, claim.begun = row
        return row is not None

    async def renew(self, claim: Claim) -> None:
        """Hold a claim for another while."""
        await self._set(claim, lease=now + self.seconds)

    async def write(self, claim: Claim) -> None:
        """Write down the claim's ticket, and hold it for another while."""
        await self._set(claim, lease=now + self.seconds, ticket=claim.ticket, begun=claim.begun)

    async def leave(self, claim: Claim) -> None:
        """Let go of a claim, with its ticket for whoever comes next."""
        await self._set(claim, lease=0.0, ticket=claim.ticket, begun=claim.begun)

    async def release(self, claim: Claim) -> None:
        """Let go of a claim; nothing stays of it."""
        await self._execute(delete(upload_claims).where(*_is(claim)))

    async def list(self, provider: str | None = None) -> list[Unfinished]:
        """What was left to be gone on with, or is on its way, newest first."""
        query = _LEFT
        if provider is not None:
            query = query.where(_columns.provider == provider)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query.order_by(_columns.begun.desc()))).all()
        return [_unfinished(row) for row in rows if row.now - row.begun <= TICKET_SECONDS]

    async def find(self, id_: str) -> Unfinished | None:
        """What was left, by its id."""
        if len(id_) != ID_LENGTH:
            return None
        query = _LEFT.where(_columns.key.startswith(id_, autoescape=True))
        async with self._database.connect() as connection:
            row = (await connection.execute(query.limit(1))).one_or_none()
        return None if row is None else _unfinished(row)

    async def forget(self, key: str) -> None:
        """Remove the ticket that somebody left, if nobody goes on with it."""
        left = delete(upload_claims).where(_columns.key == key, _columns.lease <= now)
        await self._execute(left)

    async def _set(self, claim: Claim, **values: object) -> None:
        await self._execute(update(upload_claims).where(*_is(claim)).values(**values))

    @uninterrupted
    async def _execute(self, statement: Executable) -> None:
        async with self._database.begin() as connection:
            await connection.execute(statement)


async def sweep(connection: AsyncConnection) -> None:
    """Remove what dead processes left, but for tickets that are good yet."""
    useless = or_(_columns.ticket.is_(None), _columns.begun <= now - TICKET_SECONDS)
    await connection.execute(delete(upload_claims).where(and_(_columns.lease <= now, useless)))


async def _take_over(connection: AsyncConnection, key: str, values: dict[str, object]) -> None:
    """Take a claim whose owner is gone without a word."""
    owner = await connection.scalar(select(_columns.owner).where(_columns.key == key))
    if owner is not None and is_gone(owner.partition(" ")[2]):
        taken = update(upload_claims).where(_columns.key == key, _columns.owner == owner).values(**values)
        await connection.execute(taken)


def _unfinished(row: Row[tuple[object, ...]]) -> Unfinished:
    sending = Sending(row.provider, row.flow, row.account, row.name, row.size)
    running = row.lease > row.now and not is_gone(row.owner.partition(" ")[2])
    return Unfinished(row.key, sending, row.begun, running)


def _is(claim: Claim) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _columns.key == claim.key, _columns.owner == claim.owner
