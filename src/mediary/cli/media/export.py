"""`mediary media export`: copies of media items, with their prompts in them if that is wanted."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediary.cli.media.items import item_name
from mediary.cli.media.session import AsJson, Names, Tally, emit, note, run
from mediary.cli.options import Config, Data
from mediary.cli.terminal import Bar
from mediary.errors import MediaryError

if TYPE_CHECKING:
    from mediary.media.library import MediaLibrary


def export(
    names: Names,
    to: Annotated[Path, typer.Option(metavar="DIR", help="The folder; it is made if it is not there.")],
    embed: Annotated[
        bool,
        typer.Option("--embed", help="Write prompt, parameters and tags into the copies: PNG text, XMP."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Copy media items to a folder; prints the path of each. What the library has is never changed."""

    async def work(library: "MediaLibrary") -> Tally:
        await asyncio.to_thread(_make_folder, to)
        with Tally("exported") as tally, Bar("exporting") as bar:
            for number, given in enumerate(names):
                bar(number, len(names))
                name = item_name(given)
                done = await tally.attempt(given, library.export(name, to / name, embed=embed, replace=force))
                if done and json:
                    emit({"name": name, "path": str(done.path), "embedded": done.embedded, "reason": done.reason})
                elif done:
                    bar.print(str(done.path))
                    if done.reason:
                        note(f"mediary: {name} is copied without its words: {done.reason}")
        return tally

    run(work, data, config).finish()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaryError(f"the folder {folder} cannot be made: {error.strerror}") from error
