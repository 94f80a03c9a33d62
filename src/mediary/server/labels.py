"""What clients call their users: a label for what is recorded, and no identity."""

from collections.abc import Iterable

_NAMES = (b"x-user", b"x_user")
_NOTHING = (b"", b"null", b"undefined")
"""What some clients send where they know no user."""


def user_label(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The user's label in the headers of a request, if there is one: in UTF-8, or as browsers write it in Latin-1."""
    said = dict(headers)
    found = next((value for name in _NAMES if (value := said.get(name, b"")) not in _NOTHING), None)
    if found is None:
        return None
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found.decode("latin-1")
