"""The jar: what people handed in, by domain, sealed in the database."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from sqlalchemy import Column, Double, LargeBinary, Table, delete, select, text

from mediary.cookies.cookie import Cookie, cookies_for
from mediary.cookies.reading import Found
from mediary.database.engine import Database
from mediary.database.metadata import CleanJSON, Name, metadata
from mediary.errors import NotFoundError, SealError
from mediary.sealing import Sealer
from mediary.tasks import uninterrupted
from mediary.uploads.base import Credentials

PURPOSE = "cookies"
_BEARER = "bearer "

cookie_table = Table(
    "cookies",
    metadata,
    Column("domain", Name, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("names", CleanJSON, nullable=False),
    Column("expires", Double),
    Column("updated", Double, nullable=False),
)


class _Kept(Struct):
    """What is sealed of a domain."""

    cookies: list[Cookie] = []
    authorization: str | None = None


@dataclass(slots=True, frozen=True)
class KeptDomain:
    """What the jar says of a domain: the names of its cookies, and when the first of them ends, in Unix seconds."""

    domain: str
    names: tuple[str, ...]
    expires: float | None


class Jar:
    """Cookies by domain. A value leaves it for a request to that domain, and in no other way."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    @uninterrupted
    async def keep(self, found: Found) -> list[str]:
        """Take cookies in, each in the place of an older one of its name; the domains that they are for."""
        domains = sorted({cookie.domain for cookie in found.cookies} | set(found.authorization))
        async with self._database.begin() as connection:
            if self._database.dialect == "postgresql":
                await connection.execute(text("LOCK TABLE cookies IN EXCLUSIVE MODE"))
            query = select(cookie_table).where(cookie_table.c.domain.in_(domains))
            before = {row["domain"]: row for row in (await connection.execute(query)).mappings()}
            rows = [self._merged(domain, before.get(domain), found) for domain in domains]
            await connection.execute(self._database.upsert(cookie_table, "domain"), rows)
        return domains

    async def credentials(self, url: str) -> Credentials:
        """What requests to a URL bear: its cookies, and the key that a HAR file had for its host."""
        host = urlsplit(url).hostname or ""
        labels = host.split(".")
        domains = [".".join(labels[at:]) for at in range(len(labels))]
        query = select(cookie_table).where(cookie_table.c.domain.in_(domains))
        async with self._database.connect() as connection:
            kept = {row["domain"]: self._open(row) for row in (await connection.execute(query)).mappings()}
        cookies = cookies_for(url, (cookie for each in kept.values() for cookie in each.cookies))
        own = kept.get(host)
        said = own.authorization if own else None
        key = said[len(_BEARER) :] if said and said.lower().startswith(_BEARER) else None
        return Credentials(api_key=key, cookies=cookies)

    async def list(self) -> list[KeptDomain]:
        """The domains, in their order."""
        columns = (cookie_table.c.domain, cookie_table.c.names, cookie_table.c.expires)
        async with self._database.connect() as connection:
            rows = (await connection.execute(select(*columns).order_by(cookie_table.c.domain))).all()
        return [KeptDomain(domain, tuple(names), expires) for domain, names, expires in rows]

    @uninterrupted
    async def delete(self, domain: str) -> None:
        """Forget a domain; NotFoundError if there is none."""
        statement = delete(cookie_table).where(cookie_table.c.domain == domain.lstrip(".").lower())
        async with self._database.begin() as connection:
            gone = (await connection.execute(statement)).rowcount
        if not gone:
            raise NotFoundError(f"there are no cookies of {domain!r}")

    def _merged(self, domain: str, before: Mapping[Any, Any] | None, found: Found) -> dict[str, Any]:
        """The row of a domain with what came."""
        kept = self._reopened(before) if before else _Kept()
        cookies = {cookie.key: cookie for cookie in _lasting(kept.cookies)}
        cookies |= {cookie.key: cookie for cookie in found.cookies if cookie.domain == domain}
        merged = _Kept(list(cookies.values()), found.authorization.get(domain, kept.authorization))
        names = sorted({cookie.name for cookie in merged.cookies})
        return {
            "domain": domain,
            "sealed": self._sealer.seal(msgspec.json.encode(merged), PURPOSE),
            "names": [*names, "Authorization"] if merged.authorization else names,
            "expires": min((cookie.expires for cookie in merged.cookies if cookie.expires), default=None),
            "updated": time.time(),
        }

    def _reopened(self, row: Mapping[Any, Any]) -> _Kept:
        """What there was; of what was sealed with a lost key nothing, so that new cookies can take its place."""
        try:
            return self._open(row)
        except SealError:
            return _Kept()

    def _open(self, row: Mapping[Any, Any]) -> _Kept:
        return msgspec.json.decode(self._sealer.open(row["sealed"], PURPOSE), type=_Kept)


def _lasting(cookies: Iterable[Cookie]) -> Iterable[Cookie]:
    return (cookie for cookie in cookies if not cookie.is_over())
