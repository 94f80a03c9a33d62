"""Multipart forms: large files go to a temporary file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from mediary.errors import BadRequestError
from mediary.server.limits import Body
from mediary.server.protocol import Scope


@asynccontextmanager
async def read_form(scope: Scope, body: Body, max_part_bytes: int) -> AsyncIterator[FormData]:
    """The fields and files of a form."""
    try:
        async with Request(scope, body.receive).form(max_part_size=max_part_bytes) as form:
            yield form
    except MultiPartException as error:
        raise BadRequestError(f"the form cannot be read: {error.message}") from None
