"""The shared chats: who made one can change it, and what it shows is held."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.errors import ConflictError, ForbiddenError, NotFoundError
from mediary.sealing import Sealer
from mediary.shares import earlier
from mediary.shares.chat import Chat, etag
from mediary.shares.claim import Claim
from mediary.shares.tables import share_media, shares
from mediary.tasks import uninterrupted

PURPOSE = "owner of a share"
TOKEN_BYTES = 24
PAGE = 250
"""Rows of one statement: to bind the values of more would hold the event loop."""

_state = (shares.c.updated, shares.c.revision)


@dataclass(slots=True, frozen=True)
class Saved:
    """What became of a chat: the number of its revision, and of a new share the edit token."""

    revision: int
    token: str | None = field(default=None, repr=False)


@dataclass(slots=True, frozen=True)
class State:
    """What tells whether a share is still as it was; `revision` is 0 for one that another system left."""

    updated: float | None
    revision: int

    @property
    def etag(self) -> str:
        """The quoted ETag."""
        return etag(self.updated, self.revision)


@dataclass(slots=True, frozen=True)
class Share(State):
    """A shared chat, as JSON."""

    body: bytes


class Shares:
    """Shared chats by their ids.

    Edit tokens and keys are not stored, only what they can be compared with. `folder` is where the system that made
    such shares before left them; they are read where there is none of that id here, and lie in folders of buckets.
    """

    def __init__(self, database: Database, sealer: Sealer, folder: Path, max_bytes: int) -> None:
        self._database = database
        self._sealer = sealer
        self._folder = folder
        self._max_bytes = max_bytes

    async def state(self, share_id: str) -> State:
        """What tells whether a share is as it was, without reading it; NotFoundError if there is none."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(*_state).where(shares.c.id == share_id))).first()
        if row is not None:
            return State(*row)
        chat = await self._earlier(share_id)
        return State(chat.updated, 0)

    async def get(self, share_id: str) -> Share:
        """A share; NotFoundError if there is none."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(*_state, shares.c.body).where(shares.c.id == share_id))).first()
        if row is not None:
            return Share(*row)
        chat = await self._earlier(share_id)
        return Share(chat.updated, 0, chat.body)

    async def save(self, share_id: str, chat: Chat, claim: Claim) -> Saved:
        """Share a chat, or put it in the place of the one that is shared; the same one again changes nothing.

        ForbiddenError if somebody else made the share, ConflictError if the chat is older than the one that is shared,
        or another one of the same time.
        """
        while True:
            try:
                return await self._save(share_id, chat, claim)
            except IntegrityError:  # somebody made a share of that id in this moment
                continue

    @uninterrupted
    async def delete(self, share_id: str, claim: Claim) -> None:
        """Delete a share; NotFoundError if there is none, ForbiddenError if somebody else made it."""
        async with self._database.begin() as connection:
            self._check(await _locked(connection, share_id), claim, share_id)
            await connection.execute(delete(shares).where(shares.c.id == share_id))
            await earlier.remove(self._folder, share_id)  # else that would be seen again

    async def holders(self, name: str) -> Sequence[str]:
        """The shares that show a media item: some of them, if there are many."""
        query = select(share_media.c.share).where(share_media.c.name == name).order_by(share_media.c.share)
        async with self._database.connect() as connection:
            return list(await connection.scalars(query.limit(10)))

    @uninterrupted
    async def _save(self, share_id: str, chat: Chat, claim: Claim) -> Saved:
        async with self._database.begin() as connection:
            before = await _locked(connection, share_id)
            if before is None:
                return await self._make(connection, share_id, chat, claim)
            if hmac.compare_digest(before["digest"], chat.digest):
                return Saved(before["revision"])
            self._check(before, claim, share_id)
            _check_newer(before["updated"], chat.updated)
            revision: int = before["revision"] + 1
            changes = {"body": chat.body, "digest": chat.digest, "updated": chat.updated, "revision": revision}
            await connection.execute(update(shares).where(shares.c.id == share_id).values(changes))
            await _hold(connection, share_id, chat.items)
            return Saved(revision)

    async def _make(self, connection: AsyncConnection, share_id: str, chat: Chat, claim: Claim) -> Saved:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        row = {
            "id": share_id,
            "body": chat.body,
            "digest": chat.digest,
            "updated": chat.updated,
            "revision": 1,
            "token": _hashed(token),
            "owner": self._mark(claim.key),
            "created": time.time(),
        }
        await connection.execute(insert(shares).values(row))
        await _hold(connection, share_id, chat.items)
        return Saved(1, token)

    def _check(self, share: Mapping[Any, Any] | None, claim: Claim, share_id: str) -> None:
        """NotFoundError if there is no such share, ForbiddenError if the claim to it is not good."""
        if share is None:
            raise NotFoundError(f"there is no share {share_id!r}")
        mark = self._mark(claim.key)
        owns = mark is not None and share["owner"] is not None and hmac.compare_digest(mark, share["owner"])
        # All are compared: the time that it takes tells nothing.
        good = sum(hmac.compare_digest(_hashed(token), share["token"]) for token in claim.tokens)
        if not owns and not good:
            raise ForbiddenError("somebody else made this share: it is changed with its edit token, in X-Edit-Token")

    def _mark(self, key: str | None) -> bytes | None:
        """What is stored of a key: nobody finds the key by it, not even one that is easily guessed."""
        return None if key is None else self._sealer.mark(key.encode(), PURPOSE)

    async def _earlier(self, share_id: str) -> Chat:
        chat = await earlier.find(self._folder, share_id, self._max_bytes)
        if chat is None:
            raise NotFoundError(f"there is no share {share_id!r}")
        return chat


async def _locked(connection: AsyncConnection, share_id: str) -> Mapping[Any, Any] | None:
    """What decides on a change of a share, which nobody else changes meanwhile."""
    decisive = (shares.c.digest, shares.c.token, shares.c.owner, *_state)
    query = select(*decisive).where(shares.c.id == share_id).with_for_update()
    return (await connection.execute(query)).mappings().first()


async def _hold(connection: AsyncConnection, share_id: str, items: frozenset[str]) -> None:
    """Let a share hold these media items and no others."""
    of_share = share_media.c.share == share_id
    held = set(await connection.scalars(select(share_media.c.name).where(of_share)))
    gone, new = iter(held - items), iter(items - held)
    while page := list(islice(gone, PAGE)):
        await connection.execute(delete(share_media).where(of_share, share_media.c.name.in_(page)))
    while page := list(islice(new, PAGE)):
        await connection.execute(insert(share_media), [{"share": share_id, "name": name} for name in page])


def _check_newer(before: float | None, now: float | None) -> None:
    """ConflictError for a chat that is not newer, by its own word, than the one in whose place it would come."""
    if before is None or now is None:
        return
    if now < before:
        raise ConflictError("a newer state of this chat is shared: its `updated` is later")
    if now == before:
        raise ConflictError("another state of this chat with the same `updated` is shared: give this one a later time")


def _hashed(token: str) -> bytes:
    """What is stored of an edit token, which is long and random."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
