"""What several commands take, and how a command ends when it cannot go on."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mediary.cli.terminal import harmless
from mediary.errors import MediaryError

Data = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The data folder; the current one by default.", show_default=False)
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The settings file; mediary.toml in the data folder by default."),
]


T = TypeVar("T")


@contextmanager
def explained() -> Iterator[None]:
    """An error of the product ends the command with its sentence and exit code 1, without a traceback."""
    try:
        yield
    except MediaryError as error:
        print(f"mediary: {harmless(error.message)}", file=sys.stderr)
        raise typer.Exit(1) from None


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do the work, also when an interrupt comes meanwhile; a second one ends it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
