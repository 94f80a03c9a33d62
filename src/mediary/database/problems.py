"""Says why a database cannot be used, and what to do, without its password."""

import os
import shlex
import stat
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from mediary.ownership import current_user, owner, take_over

DAMAGED = (
    "It is damaged, or no SQLite database. Put a backup in its place, or move it away together with the files beside "
    "it that end in -wal and -shm: a new one is made, and the media stay"
)

# What SQLite says, and what helps.
SQLITE = {
    "not a database": DAMAGED,
    "malformed": DAMAGED,
    "locked": "Another program holds it: stop that one",
    "full": "Make room on the disk",
    "already exists": "It holds tables of another program: name another file",
}

DISK_FULL = "53100"
"""What PostgreSQL says when its disk is full."""

# PostgreSQL's error codes, and what helps.
POSTGRESQL = {
    "25006": "It may only be read, as on a standby: name the server and the database that take writes",
    "28P01": "Check the user and the password in the URL",
    "28000": "Check the user in the URL, and pg_hba.conf on the server",
    "3D000": "Create it first (createdb), or check its name in the URL",
    "42501": "Its user needs the right to create tables: make that user the owner of the database",
    "42P07": "It holds tables of another program: name another database",
    "53300": "The server has no connection left: raise max_connections",
}


class OpenedFile:
    """The file of a database that is in use: whether its path still leads to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = path.stat()

    def problem(self) -> str | None:
        """Why what is written is lost or refused, and what to do; None if all is well."""
        try:
            if not os.path.samestat(self._path.stat(), self._opened):
                return self._gone()
            return None if _writable(self._path) else f"the database may not be written. {_permit(self._path)}"
        except FileNotFoundError:
            return self._gone()
        except OSError as error:
            return f"the database {self._path} cannot be reached: {error.strerror}"

    def _gone(self) -> str:
        return (
            f"the database {self._path} was removed or replaced while it was open, "
            "and what is written now is lost: restart Mediary"
        )


def sqlite_path(url: URL) -> Path:
    """The file of an SQLite database."""
    return Path(url.database or "").absolute()


def reason(error: Exception) -> str:
    """The driver's own words in one line, without statement, parameters and addresses."""
    if isinstance(error, DBAPIError):
        lines = str(error.orig).split(">: ", 1)[-1].strip().splitlines()
        return lines[0] if lines else type(error.orig).__name__
    return "no connection"


def is_full(error: Exception) -> bool:
    """Whether a database has no room left on its disk."""
    original = getattr(error, "orig", None)
    return getattr(original, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(original, "sqlstate", "") == DISK_FULL


def explain(url: URL, error: Exception) -> str:
    """What is wrong with a database at the start, and how to mend it."""
    shown = url.database if url.get_backend_name() == "sqlite" else show(url)
    said = reason(error) if isinstance(error, DBAPIError) else str(error) or type(error).__name__
    hint = _sqlite_hint(url, said) if url.get_backend_name() == "sqlite" else _postgresql_hint(error)
    return f"the database {shown} cannot be used: {said}. {hint}."


def show(url: URL) -> str:
    """A URL without its password and its parameters."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def _sqlite_hint(url: URL, said: str) -> str:
    for words, hint in SQLITE.items():
        if words in said:
            return hint
    path = sqlite_path(url)
    if not path.parent.is_dir():
        return f"There is no folder {path.parent}: create it"
    if path.is_file() and not _writable(path):
        return _permit(path)
    return f"The file and its folder must be writable for the user {current_user()}: {take_over(path.parent)}"


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)


def _permit(path: Path) -> str:
    """Whose a file is that may not be written, and what to type."""
    status = path.stat()
    commands = [take_over(path.parent)] if status.st_uid != os.geteuid() else []
    if not status.st_mode & stat.S_IWUSR:
        commands.append(f"chmod u+w {shlex.quote(str(path))}")
    if not commands:
        return "Its file system is read-only: mount it for writing, or name another file"
    return f"The file {path} belongs to {owner(path)}: {' && '.join(commands)}"


def _postgresql_hint(error: Exception) -> str:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if isinstance(error, OSError):
        return "Check that the server runs, and the host, the port and the files in the URL"
    return POSTGRESQL.get(state or "", "The server's log may say more")
