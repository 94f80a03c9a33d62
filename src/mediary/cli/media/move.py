"""`mediary media move`: a library from one store to another, while it is served."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mediary.cli.media.session import AsJson, emit, note, opened, perform
from mediary.cli.options import Config, Data
from mediary.cli.terminal import Bar, counted, in_a_line, size_in_words
from mediary.settings import Settings, plain_store

if TYPE_CHECKING:
    from mediary.media.move import Moved


def move(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="STORE", help="Where to: `local`, `s3://bucket/prefix` …, with the setting media.store_options."
        ),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="STORE", help="Where from. [default: the setting media.store]")
    ] = None,
    remove_source: Annotated[
        bool,
        typer.Option("--remove-source", help="Remove there what has arrived, read back and compared; with --offline."),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="No server runs with the store that is moved from.")
    ] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Forget a move that is not to be ended.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Copy the library to another store, each file read back and compared. A move that was cut off goes on."""
    if bool(to) == abandon:
        raise typer.BadParameter("one of --to and --abandon is needed")
    if remove_source and not offline:
        raise typer.BadParameter(
            "a server that runs with the store that is moved from would lose its files one by one: stop it, and say "
            "--offline; or leave --remove-source out, and nothing is removed"
        )
    to = to and plain_store(to)

    async def work(settings: Settings) -> "Moved":
        from mediary.errors import SettingsError, StoreError
        from mediary.media.move import move

        assert to
        here = _with_store(settings, plain_store(from_ or settings.media.store))
        if here.media.store == to:
            raise SettingsError(f"the library is in {to} already")
        async with opened(here) as source, opened(_with_store(settings, to), new=True) as target:
            with Bar("moving", stopped="the same command goes on from there") as bar:
                try:
                    return await move(
                        source.library, target.store, target.trash, to=to, remove_source=remove_source, progress=bar
                    )
                except StoreError as error:
                    again = "when that is mended, run the same command again: it goes on from there"
                    raise StoreError(f"{error.message}; {again}") from error

    if abandon:
        perform(_abandon, data, config)
    elif to:
        _tell(perform(work, data, config), to, json=json)


async def _abandon(settings: Settings) -> None:
    from mediary.media.move import abandon

    async with opened(settings) as services:
        await abandon(services.library)


def _with_store(settings: Settings, store: str) -> Settings:
    """The same settings with the library in another store."""
    return settings.model_copy(update={"media": settings.media.model_copy(update={"store": store})})


def _tell(moved: "Moved", to: str, *, json: bool) -> None:
    """What was moved; exit code 1 if something stayed behind."""
    if json:
        emit(asdict(moved) | {"ok": moved.ok})
    else:
        for problem in moved.problems:
            note(f"mediary: {in_a_line(problem.name)}: {problem.why}")
        removed = f", {moved.removed:,} removed from there" if moved.removed else ""
        there = f", {moved.skipped:,} were there already" if moved.skipped else ""
        note(f"{counted(moved.copied, 'file')}, {size_in_words(moved.bytes)} copied{there}{removed}")
        if moved.ok:
            note(f'now set store = "{to}" in the [media] table of mediary.toml, and restart the server')
    if not moved.ok:
        raise typer.Exit(1)
