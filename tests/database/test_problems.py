"""A database that cannot be used stops the start: the message says what to do, and never the password."""

import os
import socket
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.servers.postgres import execute, server

from mediary.database.engine import Database
from mediary.database.problems import reason
from mediary.errors import DatabaseError, SettingsError

PASSWORD = "s3cret"
NOBODY = 65534

PROGRAM = """
import asyncio, sys
from pathlib import Path
from mediary.database.engine import Database
from mediary.errors import SettingsError

async def main():
    try:
        await (await Database.open(Path(sys.argv[1]))).close()
    except SettingsError as error:
        print(f"SettingsError: {error}")
    else:
        print("opened")

asyncio.run(main())
"""


async def refused(where: str | Path) -> str:
    """Why a database is refused."""
    with pytest.raises(SettingsError) as caught:
        await Database.open(where)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    return caught.value.message


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://me:s3cret@host/name", "'mysql'"),
        ("nonsense s3cret", "cannot be read"),
        ("postgresql://me:s3cret@host:port/name", "cannot be read"),
        ("postgresql://me:pass@s3cret@127.0.0.1/name", "@ as %40"),
        ("postgresql://me:pass@s3cret/s3cret@127.0.0.1/name", "@ as %40"),
        ("postgresql://me:pass@@s3cret@127.0.0.1:5432/name", "@ as %40"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///a.db?mode=s3cret", "nothing else"),
        ("sqlite://host/a.db", "nothing else"),
        ("postgresql://me:s3cret@127.0.0.1/name?sslmode=nonsense", "sslmode"),
        ("postgresql://me:s3cret@127.0.0.1/name?sslrootcert=/nowhere&sslmode=verify-full", "files in the URL"),
    ],
)
async def test_a_url_that_is_of_no_use(url: str, words: str):
    assert words in await refused(url)


async def test_one_of_a_newer_program(database: Database, database_url: str):
    async with database.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    message = await refused(database_url)
    assert "newer" in message and "9999" in message


async def test_tables_of_another_program(database: Database, database_url: str):
    async with database.begin() as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    message = await refused(database_url)
    assert "another program" in message


class TestSQLite:
    async def test_no_folder(self, tmp_path: Path):
        assert f"no folder {tmp_path}/missing" in await refused(tmp_path / "missing" / "test.db")

    async def test_no_file_but_a_folder(self, tmp_path: Path):
        assert "unable to open" in await refused(tmp_path)

    async def test_no_database(self, tmp_path: Path):
        path = tmp_path / "test.db"
        path.write_bytes(b"what somebody else wrote" * 1000)
        assert "backup" in await refused(path)

    async def test_a_damaged_one(self, tmp_path: Path):
        path = tmp_path / "test.db"
        database = await Database.open(path)
        await database.close()
        whole = path.read_bytes()
        path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
        assert "backup" in await refused(path)

    async def test_one_that_somebody_else_may_write(self, unprivileged: Path):
        path = unprivileged / "test.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE a (b)")
        unprivileged.chmod(0o555)
        path.chmod(0o444)
        os.seteuid(NOBODY)
        try:
            message = await refused(path)
        finally:
            os.seteuid(0)
        assert "readonly" in message and "sudo chown -R" in message and str(unprivileged) in message

    @pytest.mark.parametrize(("uid", "words"), [(NOBODY, "belongs to {owner}: sudo chown"), (0, "chmod u+w")])
    def test_one_that_may_only_be_read(self, unprivileged: Path, uid: int, words: str):
        """SQLite opens it, and says nothing until something is written."""
        path = unprivileged / "test.db"
        assert self.open_without_privileges(path) == "opened"
        os.chown(path, uid, -1)
        path.chmod(0o444)
        message = self.open_without_privileges(path)
        assert message.startswith("SettingsError") and "readonly" in message
        assert str(path) in message and words.format(owner=path.owner()) in message

    async def test_one_that_may_no_longer_be_written(self, unprivileged: Path):
        path = unprivileged / "test.db"
        database = await Database.open(path)
        path.chmod(0o444)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(DatabaseError, match=f"may not be written.* {path} belongs to"):
                await database.check()
        finally:
            os.seteuid(0)
            await database.close()

    @staticmethod
    def open_without_privileges(path: Path) -> str:
        """What a process that is root by name alone says on opening the database."""
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", PROGRAM, str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    @pytest.fixture
    def unprivileged(self) -> Iterator[Path]:
        """A folder that everybody may reach."""
        if os.geteuid() != 0:
            pytest.skip("needs the right to act as another user")
        with TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            yield Path(folder)


class TestPostgreSQL:
    async def test_no_server(self):
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))  # and does not listen
            port = held.getsockname()[1]
            message = await refused(f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/name")
        assert "Check that the server runs" in message
        assert f"postgresql://me:***@127.0.0.1:{port}/name" in message

    async def test_no_such_database(self):
        message = await refused(server().get_uri(database="missing"))
        assert "createdb" in message

    async def test_no_such_user(self):
        message = await refused(server().get_uri().replace("postgres:@", f"stranger:{PASSWORD}@"))
        assert "Check the user" in message

    async def test_a_user_without_rights(self, database_url: str):
        if database_url.startswith("sqlite"):
            return
        await execute(database_url, "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
        message = await refused(database_url.replace("postgres:@", "reader:@"))
        assert "owner" in message

    async def test_one_that_may_only_be_read(self, database_url: str, database: Database):
        if database.dialect == "sqlite":
            return
        name = database_url.split("/")[3].split("?")[0]
        await execute(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        assert "standby" in await refused(database_url)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("disk I/O error", "disk I/O error"),
        ("<class 'asyncpg.exceptions.X'>: no such role\nDETAIL: none", "no such role"),
        ("", "RuntimeError"),
        ("\n", "RuntimeError"),
        ("<class 'asyncpg.exceptions.X'>: ", "RuntimeError"),
    ],
)
def test_the_drivers_words_in_one_line(said: str, words: str):
    assert reason(DBAPIError("SELECT 1", {}, RuntimeError(said))) == words
