"""Shares belong to who made them, take turns, and hold what they show; on SQLite and on PostgreSQL."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from mediary.database.engine import Database
from mediary.errors import ConflictError, ForbiddenError, NotFoundError
from mediary.sealing import Sealer
from mediary.shares.chat import Chat, read_chat
from mediary.shares.claim import Claim
from mediary.shares.shares import Shares
from mediary.shares.tables import share_media
from mediary.shares.tables import shares as share_table

NOBODY = Claim()
OWNER = Claim("hunter2-hunter2")
FIRST = "1700000000_first_0123456789abcdef.png"
SECOND = "1700000001_second_0123456789abcdef.png"


@pytest.fixture
def shares(database: Database, tmp_path: Path) -> Shares:
    return Shares(database, Sealer(bytes(32)), tmp_path, 4096)


def chat(updated: float | None = None, *pictures: str, **more: object) -> Chat:
    items = [{"role": "assistant", "content": f"[![x](/media/{name})](/media/{name})"} for name in pictures]
    said = {} if updated is None else {"updated": updated}
    return read_chat(json.dumps({**said, "items": items, **more}).encode())


async def held(shares: Shares) -> set[str]:
    async with shares._database.connect() as connection:
        return set(await connection.scalars(select(share_media.c.name)))


async def test_a_chat_comes_back_as_it_came(shares: Shares):
    body = '{ "updated": 7.5,  "title": "\\u0000 Ж", "items": [1e400, 12345678901234567890123] }'.encode()
    saved = await shares.save("a", read_chat(body), NOBODY)
    share = await shares.get("a")
    assert (saved.revision, share.body, share.etag) == (1, body, '"7.5"')
    assert (await shares.state("a")).etag == share.etag


async def test_only_its_token_changes_a_share_that_nobody_owns(shares: Shares):
    made = await shares.save("a", chat(1), NOBODY)
    assert made.token is not None
    for claim in (NOBODY, Claim(tokens=("wrong", "", "\ud800")), OWNER):
        with pytest.raises(ForbiddenError):
            await shares.save("a", chat(2), claim)
        with pytest.raises(ForbiddenError):
            await shares.delete("a", claim)
    changed = await shares.save("a", chat(2), Claim(tokens=("wrong", made.token)))
    assert (changed.revision, changed.token) == (2, None)
    await shares.delete("a", Claim(tokens=(made.token,)))
    with pytest.raises(NotFoundError):
        await shares.get("a")


async def test_the_key_that_made_a_share_changes_it_and_no_other_key(shares: Shares):
    await shares.save("a", chat(1), OWNER)
    assert (await shares.save("a", chat(2), OWNER)).revision == 2
    with pytest.raises(ForbiddenError):
        await shares.save("a", chat(3), Claim("another"))
    await shares.delete("a", OWNER)


async def test_neither_key_nor_token_is_stored(shares: Shares):
    made = await shares.save("a", chat(1), OWNER)
    async with shares._database.connect() as connection:
        row = (await connection.execute(select(share_table))).mappings().one()
    stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
    assert made.token is not None
    assert made.token.encode() not in stored
    assert made.token not in repr(made)
    assert b"hunter2" not in stored


async def test_an_older_state_does_not_take_the_place_of_a_newer_one(shares: Shares):
    await shares.save("a", chat(5), OWNER)
    for late in (chat(4), chat(5, title="another")):
        with pytest.raises(ConflictError):
            await shares.save("a", late, OWNER)
    assert (await shares.save("a", chat(6), OWNER)).revision == 2


async def test_the_same_state_again_changes_nothing(shares: Shares):
    made = await shares.save("a", chat(5), OWNER)
    again = await shares.save("a", chat(5), NOBODY)
    assert (again.revision, again.token) == (made.revision, None)


async def test_a_chat_that_says_no_time_has_the_number_of_its_revision(shares: Shares):
    await shares.save("a", chat(), OWNER)
    assert (await shares.get("a")).etag == '"r1"'
    await shares.save("a", chat(title="other"), OWNER)
    assert (await shares.get("a")).etag == '"r2"'


async def test_what_a_share_shows_is_held_until_it_shows_it_no_more(shares: Shares):
    await shares.save("a", chat(1, FIRST), OWNER)
    await shares.save("b", chat(1, FIRST, SECOND), OWNER)
    assert await shares.holders(FIRST) == ["a", "b"]
    await shares.save("a", chat(2, SECOND), OWNER)
    assert await shares.holders(FIRST) == ["b"]
    assert await shares.holders(SECOND) == ["a", "b"]
    await shares.delete("b", OWNER)
    assert await shares.holders(FIRST) == []
    assert await held(shares) == {SECOND}


async def test_thousands_of_pictures_are_held(shares: Shares):
    names = {f"17000{number:05}_many_0123456789abcdef.png" for number in range(1200)}
    await shares.save("a", chat(1, *names), OWNER)
    assert await held(shares) == names
    kept = set(sorted(names)[:3])
    await shares.save("a", chat(2, *kept), OWNER)
    assert await held(shares) == kept


async def test_of_twenty_who_share_under_one_id_one_makes_the_share(shares: Shares):
    async def share(number: int) -> str:
        try:
            saved = await shares.save("a", chat(number, title=f"{number}"), NOBODY)
        except ForbiddenError:
            return "refused"
        return "made" if saved.token else "changed"

    became = Counter(await asyncio.gather(*map(share, range(20))))
    assert became == {"made": 1, "refused": 19}


async def test_of_twenty_changes_at_once_none_goes_back(shares: Shares):
    await shares.save("a", chat(0), OWNER)

    async def change(number: int) -> bool:
        try:
            await shares.save("a", chat(number), OWNER)
        except ConflictError:
            return False
        return True

    done = await asyncio.gather(*map(change, (number * 7 % 20 + 1 for number in range(20))))
    state = await shares.state("a")
    assert state.updated == 20
    assert state.revision == 1 + sum(done)


async def test_a_share_can_be_made_anew_where_one_was_deleted(shares: Shares):
    await shares.save("a", chat(5), OWNER)
    await shares.delete("a", OWNER)
    made = await shares.save("a", chat(1), NOBODY)
    assert made.revision == 1
    assert made.token


async def test_what_the_system_before_shared_is_found(shares: Shares, tmp_path: Path):
    for name, content in {"old": b'{"updated": 3, "title": "old"}', "large": b" " * 5000 + b"{}", "no": b"[]"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "chat.json").write_bytes(content)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "chat.json").symlink_to(tmp_path / "old" / "chat.json")
    share = await shares.get("old")
    assert (share.body, share.etag) == (b'{"updated": 3, "title": "old"}', '"3"')
    assert await shares.state("old") == await shares.state("old")
    for name in ("large", "no", "link", "none"):
        with pytest.raises(NotFoundError):
            await shares.get(name)
    await shares.save("old", chat(1), NOBODY)
    assert (await shares.get("old")).etag == '"1"'


async def test_what_the_system_before_shared_does_not_come_back_when_it_is_deleted(shares: Shares, tmp_path: Path):
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "files.txt").write_bytes(b"")
    for name in ("alone", "bucket"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "chat.json").write_bytes(b'{"updated": 1, "title": "before"}')
        made = await shares.save(name, chat(2), NOBODY)
        with pytest.raises(ForbiddenError):
            await shares.delete(name, NOBODY)
        assert (tmp_path / name / "chat.json").exists()
        await shares.delete(name, Claim(tokens=(made.token or "",)))
        with pytest.raises(NotFoundError):
            await shares.get(name)
    assert not (tmp_path / "alone").exists()
    assert [path.name for path in (tmp_path / "bucket").iterdir()] == ["files.txt"]
