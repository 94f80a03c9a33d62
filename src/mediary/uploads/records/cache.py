"""What lies with which provider, and until when: in the database, so that nothing is sent twice."""

import re
import secrets
import time
from dataclasses import replace

import msgspec
from sqlalchemy import Row, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.errors import BadRequestError, NotFoundError
from mediary.tasks import uninterrupted
from mediary.uploads.base import CachePolicy, UploadedFile
from mediary.uploads.records.claims import LEASE_SECONDS, Claims, sweep
from mediary.uploads.records.entry import Entry, Upload, UploadPage
from mediary.uploads.records.tables import uploads

MARGIN = 30.0
"""Seconds before its end in which a file is used no more."""
MOST = 500
"""Uploads of a page."""

_columns = uploads.c
_ID = re.compile(r"[0-9a-f]{24}")

_FIND = (
    select(uploads)
    .where(
        _columns.key == bindparam("key"),
        _columns.reusable,
        or_(_columns.expires.is_(None), _columns.expires > bindparam("end")),
        _columns.created > bindparam("since"),
    )
    .order_by(_columns.id.desc())
    .limit(1)
)


class UploadCache:
    """The uploads, and in `claims` those that are on their way; `lease` is that of the claims, in seconds."""

    def __init__(self, database: Database, lease: float = LEASE_SECONDS) -> None:
        self._database = database
        self.claims = Claims(database, lease)
        self._last = 0

    async def find(self, key: str, policy: CachePolicy) -> Upload | None:
        """The upload of that key, if it may be used for a while yet."""
        if not policy.enabled:
            return None
        now = time.time()
        since = 0.0 if policy.seconds is None else now - policy.seconds
        async with self._database.connect() as connection:
            row = (await connection.execute(_FIND, {"key": key, "end": now + MARGIN, "since": since})).one_or_none()
        return None if row is None else _upload(row)

    @uninterrupted
    async def add(self, entry: Entry, policy: CachePolicy) -> Upload:
        """Remember an upload; the answer has its id. Older ones of its key are not used again."""
        upload = replace(entry.upload, id=self._new_id())
        file = upload.file
        row = {
            "id": upload.id,
            "key": entry.key,
            "provider": upload.provider,
            "flow": upload.flow,
            "account": entry.account,
            "file": msgspec.json.encode(file).decode(),
            "reusable": file.reusable and policy.enabled,
            "created": upload.created,
            "expires": file.expires_at,
        }
        async with self._database.begin() as connection:
            await self._sweep(connection)
            await self._make_room(connection, upload.provider, policy)
            older = update(uploads).where(_columns.key == entry.key, _columns.reusable)
            await connection.execute(older.values(reusable=False))
            await connection.execute(insert(uploads), row)
        return upload

    async def get(self, id_: str) -> Entry:
        """An upload; NotFoundError if there is none of that id."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(uploads).where(_columns.id == id_))).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no upload {id_!r}")
        return Entry(_upload(row), row.key, row.account)

    @uninterrupted
    async def remove(self, id_: str) -> None:
        """Forget an upload; gone already is as good."""
        async with self._database.begin() as connection:
            await connection.execute(delete(uploads).where(_columns.id == id_))

    async def list(self, provider: str | None = None, cursor: str | None = None, limit: int = 50) -> UploadPage:
        """A page of what has not come to its end, newest first.

        BadRequestError for a cursor that was not handed out, and for a limit that is not of 1 to 500.
        """
        if not 1 <= limit <= MOST:
            raise BadRequestError(f"a page has 1 to {MOST} uploads, not {limit}")
        query = select(uploads).where(or_(_columns.expires.is_(None), _columns.expires > time.time()))
        if provider is not None:
            query = query.where(_columns.provider == provider)
        if cursor is not None:
            if not _ID.fullmatch(cursor):
                raise BadRequestError("this cursor was not handed out here")
            query = query.where(_columns.id < cursor)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query.order_by(_columns.id.desc()).limit(limit + 1))).all()
        page = tuple(_upload(row) for row in rows[:limit])
        return UploadPage(page, page[-1].id if len(rows) > limit else None)

    async def _sweep(self, connection: AsyncConnection) -> None:
        await connection.execute(delete(uploads).where(_columns.expires <= time.time()))
        await sweep(connection)

    async def _make_room(self, connection: AsyncConnection, provider: str, policy: CachePolicy) -> None:
        """Drop the oldest until `keep` are left, if one more would be too many."""
        if policy.entries is None:
            return
        own = _columns.provider == provider
        if (await connection.scalar(select(func.count()).where(own)) or 0) < policy.entries:
            return
        first_to_go = select(_columns.id).where(own).order_by(_columns.id.desc()).offset(policy.keep).limit(1)
        last = await connection.scalar(first_to_go)
        await connection.execute(delete(uploads).where(own, _columns.id <= last))

    def _new_id(self) -> str:
        """An id that sorts behind all before it: microseconds, and what nobody can guess."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self._last:014x}{secrets.token_hex(5)}"


def _upload(row: Row[tuple[object, ...]]) -> Upload:
    file = msgspec.json.decode(row.file, type=UploadedFile)
    return Upload(row.id, row.provider, row.flow, file, cached=True, created=row.created)
