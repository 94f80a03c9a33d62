"""Files of cookies on their way in: small ones are read at once, large ones in a child process."""

import asyncio
import os
from collections.abc import Iterable
from functools import partial
from typing import Any, BinaryIO

import msgspec

from mediary.cookies.reading import Found, read_cookies
from mediary.errors import BadRequestError, FieldError
from mediary.sandbox.pool import Sandbox

AT_ONCE = 1024 * 1024
"""Bytes that are read in this process: a decoder stops all threads until it is through."""


class CookieFiles:
    """Reads files of cookies; `known` are the hosts whose cookies are read out of HAR files."""

    def __init__(self, sandbox: Sandbox, known: Iterable[str]) -> None:
        self._sandbox = sandbox
        self._known = tuple(known)

    async def read(self, name: str, file: BinaryIO, size: int, domain: str | None = None) -> Found:
        """What an open file of so many bytes holds; `read_cookies` tells what it raises.

        UnreadableError for one that would take too much memory or time.
        """
        if size <= AT_ONCE:
            return await asyncio.to_thread(lambda: read_cookies(name, _all_of(file), self._known, domain))
        descriptor = await asyncio.to_thread(file.fileno)
        read = partial(self._sandbox.run, "mediary.cookies.files:read_in_child", source=descriptor)
        answer = await read(name, list(self._known), domain)
        if refused := answer.get("refused"):
            raise FieldError(answer["field"], refused) if answer["field"] else BadRequestError(refused)
        return msgspec.convert(answer, Found)


def read_in_child(source: BinaryIO, name: str, known: list[str], domain: str | None) -> dict[str, Any]:
    """What a file holds, or why it is refused: words that a child raises would not come back as they are."""
    try:
        found = read_cookies(name, _all_of(source), known, domain)
    except FieldError as error:
        return {"refused": error.message.removeprefix(f"{error.field}: "), "field": error.field}
    except BadRequestError as error:
        return {"refused": error.message, "field": None}
    answer: dict[str, Any] = msgspec.to_builtins(found)
    return answer


def _all_of(file: BinaryIO) -> bytes:
    file.seek(0, os.SEEK_SET)
    return file.read()
