"""The database: opened at its newest revision, one writer at a time, readers beside it."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text, update
from tests.servers.postgres import execute, new_database, server

from mediary.database.engine import Database
from mediary.errors import DatabaseError, DatabaseFullError

counters = Table("counters", MetaData(), Column("id", Integer, primary_key=True), Column("value", Integer))

PROGRAM = """
import asyncio, sys
from mediary.database.engine import Database

async def main():
    database = await Database.open(sys.argv[1])
    print(database.dialect, "alembic" in sys.modules, "sqlalchemy.dialects.postgresql" in sys.modules)
    await database.close()

asyncio.run(main())
"""


def start_program(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture
async def counted(database: Database) -> Database:
    """A database with one counter, at nought."""
    async with database.begin() as connection:
        await connection.run_sync(counters.create)
        await connection.execute(insert(counters).values(id=1, value=0))
    return database


async def value(database: Database) -> int | None:
    async with database.connect() as connection:
        return await connection.scalar(select(counters.c.value))


async def add_one(database: Database) -> None:
    async with database.begin() as connection:
        now = await connection.scalar(select(counters.c.value).with_for_update())
        await connection.execute(update(counters).values(value=now + 1))


async def test_a_transaction_is_kept(counted: Database):
    await add_one(counted)
    assert await value(counted) == 1


async def test_a_transaction_that_raises_is_undone(counted: Database):
    async def fail() -> None:
        async with counted.begin() as connection:
            await connection.execute(update(counters).values(value=7))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await value(counted) == 0


async def test_what_is_read_in_a_transaction_holds_until_it_is_written(counted: Database):
    await asyncio.gather(*(add_one(counted) for _ in range(20)))
    assert await value(counted) == 20


async def test_readers_do_not_wait_for_a_writer(counted: Database):
    async with counted.begin() as connection:
        await connection.execute(update(counters).values(value=7))
        assert await asyncio.wait_for(value(counted), 10) == 0
    assert await value(counted) == 7


async def test_a_write_that_is_cancelled_leaves_the_database_in_order(counted: Database):
    """Cut off at every point: while it waits for its turn, begins, reads, writes, commits."""
    for steps in range(60):
        task = asyncio.create_task(add_one(counted))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    before = await value(counted)
    await asyncio.wait_for(add_one(counted), 10)
    assert await value(counted) == before + 1


async def test_a_failure_is_told_in_our_own_terms(database: Database):
    with pytest.raises(DatabaseError, match="missing_table") as caught:
        async with database.connect() as connection:
            await connection.execute(text("SELECT secret FROM missing_table"))
    assert "secret" not in caught.value.message
    with pytest.raises(DatabaseError):
        async with database.begin() as connection:
            await connection.execute(text("DELETE FROM missing_table"))


async def test_a_database_that_does_not_answer_is_noticed(database: Database, database_url: str):
    await database.check()
    if database.dialect == "sqlite":
        await database.close()  # what its connections hold in the log would be written back
        Path(database_url.removeprefix("sqlite:///")).write_bytes(b"overwritten" * 1000)
    else:
        await execute(server().get_uri(), f"DROP DATABASE {database_url.split('/')[3].split('?')[0]} WITH (FORCE)")
    with pytest.raises(DatabaseError):
        await database.check()


async def test_several_processes_open_a_new_database_at_once_and_later_ones_have_nothing_to_migrate(database_url: str):
    """Later starts are quick: Alembic takes 0.2 s and 14 MB, and only a migration is worth that."""
    programs = [start_program(database_url) for _ in range(3)]
    programs[0].wait(timeout=60)
    programs.append(start_program(database_url))
    outputs = [program.communicate(timeout=60)[0] for program in programs]
    assert [program.returncode for program in programs] == [0, 0, 0, 0], outputs
    kind = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    # Of the two dialects, a program loads its own alone.
    assert outputs[3].split() == [kind, "False", str(kind == "postgresql")]


async def test_several_open_a_new_database_at_once(database_url: str):
    opened = await asyncio.gather(*(Database.open(database_url) for _ in range(8)))
    async with opened[0].connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    await asyncio.gather(*(database.close() for database in opened))


async def test_upsert_puts_a_row_in_the_place_of_another(counted: Database):
    for row in ({"id": 1, "value": 5}, {"id": 2, "value": 6}):
        async with counted.begin() as connection:
            await connection.execute(counted.upsert(counters, key="id"), row)
    async with counted.connect() as connection:
        rows = await connection.execute(select(counters).order_by(counters.c.id))
        assert rows.all() == [(1, 5), (2, 6)]


class TestSQLite:
    @pytest.fixture
    async def path(self, tmp_path: Path) -> Path:
        database = await Database.open(f"sqlite:///{tmp_path / 'test.db'}")
        await database.close()
        return tmp_path / "test.db"

    async def test_pragmas(self, path: Path):
        database = await Database.open(f"sqlite:///{path}")
        async with database.connect() as connection:
            found = {
                name: await connection.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
            }
        await database.close()
        assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 30_000}

    async def test_a_writer_waits_for_the_writer_of_another_process(self, path: Path):
        database = await Database.open(f"sqlite:///{path}")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("CREATE TABLE counters (id INTEGER PRIMARY KEY, value INTEGER)")

            async def write() -> None:
                async with database.begin() as connection:
                    await connection.execute(insert(counters).values(value=1))

            task = asyncio.create_task(write())
            assert not (await asyncio.wait([task], timeout=0.2))[0]
            other.execute("COMMIT")
            await asyncio.wait_for(task, 10)
        await database.close()

    @pytest.mark.parametrize("again", [False, True], ids=["removed", "replaced"])
    async def test_a_file_that_is_gone_is_noticed(self, path: Path, again: bool):
        """What is written to a file that has no name any more is lost with the process."""
        database = await Database.open(path)
        await database.check()
        for file in path.parent.glob("test.db*"):
            file.unlink()
        if again:
            await (await Database.open(path)).close()
        with pytest.raises(DatabaseError, match=f"{path} was removed or replaced.* [Rr]estart"):
            await database.check()
        await database.close()

    async def test_a_relative_path_is_below_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        database = await Database.open("sqlite:///here.db")
        await database.close()
        assert (tmp_path / "here.db").stat().st_size > 0

    async def test_a_path_may_have_any_characters(self, tmp_path: Path):
        path = tmp_path / "a b%20ü#1?mode=ro.db"
        database = await Database.open(path)
        await database.close()
        assert path.stat().st_size > 0


async def test_postgresql_is_reached_again_after_its_connections_broke():
    async with new_database() as url:
        database = await Database.open(url)
        await execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        async with database.connect() as connection:
            assert await connection.scalar(select(func.count()).select_from(text("media_items"))) == 0
        await database.close()


async def test_a_full_disk_is_named(tmp_path: Path):
    database = await Database.open(tmp_path / "test.db")
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE pieces (piece BLOB)"))
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))  # of this connection, the only one
    with pytest.raises(DatabaseFullError, match="full") as caught:
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO pieces VALUES (zeroblob(1000000))"))
    assert (caught.value.status, caught.value.code) == (507, "no_space")
    await database.close()
