"""The digests of files, and what their bytes say that they are: taken once, and kept."""

import time
from collections import OrderedDict
from dataclasses import asdict

from sqlalchemy import bindparam, delete, select

from mediary.database.engine import Database
from mediary.tasks import uninterrupted
from mediary.uploads.contents import Known
from mediary.uploads.records.tables import file_digests

IN_MEMORY = 4096
"""Files of which the process itself remembers them."""
KEPT_SECONDS = 30 * 86_400.0
"""How long they are kept: files come and go, and nobody tells us."""

_columns = file_digests.c
_FIND = select(_columns.md5, _columns.sha256, _columns.media_type, _columns.width, _columns.height).where(
    _columns.place == bindparam("place"), _columns.mark == bindparam("mark")
)


class Digests:
    """What is known of files, by where they are (`place`) and a mark that changes when the bytes do."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: OrderedDict[tuple[str, str], Known] = OrderedDict()

    async def find(self, place: str, mark: str) -> Known | None:
        """What is known of the file, if it is still the one that was looked at."""
        known = self._recent.get((place, mark))
        if known is not None:
            self._recent.move_to_end((place, mark))
            return known
        async with self._database.connect() as connection:
            row = (await connection.execute(_FIND, {"place": place, "mark": mark})).one_or_none()
        return None if row is None else self._remember(place, mark, Known(*row))

    @uninterrupted
    async def note(self, place: str, mark: str, known: Known) -> None:
        """Keep what is known of a file."""
        now = time.time()
        row = {"place": place, "mark": mark, "noted": now, **asdict(known)}
        async with self._database.begin() as connection:
            await connection.execute(delete(file_digests).where(_columns.noted < now - KEPT_SECONDS))
            await connection.execute(self._database.upsert(file_digests, "place"), row)
        self._remember(place, mark, known)

    def _remember(self, place: str, mark: str, known: Known) -> Known:
        self._recent[place, mark] = known
        self._recent.move_to_end((place, mark))
        while len(self._recent) > IN_MEMORY:
            self._recent.popitem(last=False)
        return known
