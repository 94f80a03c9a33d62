"""Whose a path is and who runs this program, for messages that say what to type."""

import getpass
import os
import shlex
from pathlib import Path


def current_user() -> str:
    """The user who runs this program: the name, or the number where it has no name, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())


def owner(path: Path) -> str:
    """The user whom a path belongs to."""
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"


def take_over(path: Path) -> str:
    """The command that makes a path the current user's."""
    return f"sudo chown -R {current_user()} {shlex.quote(str(path))}"
