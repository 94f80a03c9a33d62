"""How every command of the library runs: on the settings of a data folder, to its end or until Ctrl-C."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

import msgspec
import typer

from mediary.cli.options import explained, to_its_end
from mediary.cli.terminal import Bar, prepare_output, unsteered, write_out
from mediary.errors import MediaryError, SettingsError
from mediary.server.log import configure_logging
from mediary.settings import LogSettings, Settings, load_settings

if TYPE_CHECKING:
    from mediary.media.library import MediaLibrary
    from mediary.media.sync import SyncResult
    from mediary.services import Services

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of words, an object a line.")]
Names = Annotated[list[str], typer.Argument(help="Names of media items, or their URLs.", show_default=False)]

Work = Callable[["MediaLibrary"], Coroutine[Any, Any, T]]


def run(work: Work[T], data: Path | None, config: Path | None, *, new: bool = False, current: bool = False) -> T:
    """Do the work in the library of a data folder, which must have one already unless it may be `new`.

    With `current`, files that came into the folder while nobody looked are found first.
    """

    async def in_library(settings: Settings) -> T:
        async with opened(settings, new=new) as services:
            if current:
                await catch_up(services)
            return await work(services.library)

    return perform(in_library, data, config)


def perform(work: Callable[[Settings], Coroutine[Any, Any, T]], data: Path | None, config: Path | None) -> T:
    """Do the work on the settings; errors of the product end the command with their sentence."""
    with explained():
        prepare_output()
        settings = load_settings(config, data)
        # What is kept and cannot be described: a bar would hide it.
        configure_logging(LogSettings(level="warning"))
        return asyncio.run(work(settings))


@asynccontextmanager
async def opened(settings: Settings, *, new: bool = False) -> "AsyncIterator[Services]":
    """The library that the settings describe; a mistyped folder is an error, and no new library."""
    # imported here: `--help` should not wait for it
    from mediary.media.directories import get_media_dir
    from mediary.services import Services

    if not new and settings.media.store == "local" and not get_media_dir(settings.data).is_dir():
        folder = settings.data.absolute()
        raise SettingsError(f"there is no media library in {folder}: name its data folder with --data")
    services = Services(settings)
    try:
        yield services
    finally:
        await to_its_end(services.close())


async def catch_up(services: "Services", *, always: bool = False) -> "SyncResult | None":
    """Compare the names in the media folder with the catalog, if the folder is not as it was when that was done."""
    from mediary.media.reindex import is_current, reindex

    library, folder = services.library, local_folder(services)
    if not always and (folder is None or await is_current(library, folder)):
        return None
    with Bar("comparing names", stopped="names so far are in the catalog") as bar:
        return await reindex(library, folder, lambda result: bar(result.appeared + result.vanished, None))


def local_folder(services: "Services") -> Path | None:
    """The folder of a library whose store is one."""
    from mediary.storage.base import HasPath

    return services.media_dir if isinstance(services.store, HasPath) else None


def emit(value: Mapping[str, Any]) -> None:
    """A line of JSON on standard output; what is no Unicode in the name of a file is replaced."""
    clean = {key: _unicode(each) if isinstance(each, str) else each for key, each in value.items()}
    write_out(msgspec.json.encode(clean).decode() + "\n", "the output")


def _unicode(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def note(line: str) -> None:
    """A line for the person at the terminal, on standard error."""
    print(unsteered(sys.stderr)(line), file=sys.stderr)


class Tally:
    """What became of each of many things; at Ctrl-C it is said how far the command came.

    `done_to` is the word for what is done to them: `added`.
    """

    def __init__(self, done_to: str) -> None:
        self._done_to = done_to
        self.done = 0
        self.failed = 0
        self.skipped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            counts = {self._done_to: self.done, "left out": self.skipped, "failed": self.failed}
            said = [f"{number:,} {what}" for what, number in counts.items() if number]
            note("; ".join(["mediary: stopped", ", ".join(said)] if said else ["mediary: stopped"]))

    async def attempt(self, what: str, work: Awaitable[T]) -> T | None:
        """Do it for one of them; None where an error of the product stands in the way, which is said."""
        try:
            result = await work
        except MediaryError as error:
            self.failed += 1
            note(f"mediary: {what}: {error.message}")
            return None
        self.done += 1
        return result

    def finish(self) -> None:
        """End the command: with exit code 1 if something failed."""
        if self.failed:
            raise typer.Exit(1)
