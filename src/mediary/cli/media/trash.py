"""`mediary media rm` and `restore`: into the trash, and back."""

from typing import TYPE_CHECKING, Annotated

import typer

from mediary.cli.media.items import as_json, item_name
from mediary.cli.media.session import AsJson, Names, Tally, emit, run
from mediary.cli.options import Config, Data
from mediary.cli.terminal import Bar

if TYPE_CHECKING:
    from mediary.media.library import MediaLibrary


def remove(
    names: Names,
    now: Annotated[bool, typer.Option("--now", help="For good, not into the trash.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what a shared chat shows.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Delete media items: they go to the trash, which empties itself after `media.trash_days`."""

    async def work(library: "MediaLibrary") -> Tally:
        with Tally("removed") as tally, Bar("removing") as bar:
            for number, given in enumerate(names):
                bar(number, len(names))
                name = item_name(given)
                if await tally.attempt(given, _remove(library, name, now=now, force=force)) and json:
                    emit({"name": name, "trashed": library.keep_trash and not now})
        return tally

    run(work, data, config).finish()


async def _remove(library: "MediaLibrary", name: str, *, now: bool, force: bool) -> bool:
    """Into the trash, or for good: then also out of the trash. True, or an error."""
    item = await library.find(name)
    if item is not None or not now:
        await library.remove(name, force=force)
    if now and (item is None or library.keep_trash):
        await library.purge(name)
    return True


def restore(names: Names, json: AsJson = False, data: Data = None, config: Config = None) -> None:
    """Bring media items back from the trash; prints the URL of each."""

    async def work(library: "MediaLibrary") -> Tally:
        with Tally("restored") as tally, Bar("restoring") as bar:
            for number, given in enumerate(names):
                bar(number, len(names))
                item = await tally.attempt(given, library.restore(item_name(given)))
                if item and json:
                    emit(as_json(item))
                elif item:
                    bar.print(as_json(item)["url"])
        return tally

    run(work, data, config).finish()
