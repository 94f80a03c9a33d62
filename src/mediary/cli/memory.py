"""`mediary memory`: keep things for a user, find them again, and delete them."""

import sys
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mediary.cli.media.session import AsJson, emit, note, perform
from mediary.cli.options import Config, Data, to_its_end
from mediary.cli.terminal import in_a_line, write_out
from mediary.errors import SettingsError
from mediary.memory.item import MemoryItem, describe_item
from mediary.settings import Settings

if TYPE_CHECKING:
    from mediary.memory.room import Memory

T = TypeVar("T")

PAGE = 500
"""Items that are asked for, or kept, at once."""

app = typer.Typer(
    help="Memory: what users asked to keep, each for themselves.", no_args_is_help=True, rich_markup_mode=None
)

User = Annotated[str, typer.Argument(metavar="USER", help="Whose memory: any name.", show_default=False)]


@app.command("add")
def add(
    user: User,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...]", help="What to keep; without any, each line of the input.", show_default=False
        ),
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(metavar="ID", help="The conversation that it comes from.", show_default=False)
    ] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Keep texts for a user; one that is there already is counted."""
    if not texts and sys.stdin.isatty():
        raise typer.BadParameter("name what to keep, or pipe it in", param_hint="TEXT...")
    lines = texts or list(sys.stdin)

    async def work(memory: "Memory") -> int:
        return await memory.add(user, lines, conversation_id=conversation)

    kept = _run(work, data, config)
    note(f"mediary: {kept:,} item{'' if kept == 1 else 's'} kept")


@app.command("search")
def search(
    user: User,
    text: Annotated[
        str | None, typer.Argument(help="Words, or a question; without any, all items.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=PAGE, help="Items to show at most.")] = 20,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Find what a user asked to keep, the best first; without a text, the newest first."""

    async def work(memory: "Memory") -> tuple[MemoryItem, ...]:
        found = await (memory.search(user, text, limit=limit) if text else memory.list(user, limit=limit))
        return found.items

    found = _run(work, data, config)
    _show(found, json=json)
    if not found:
        note("mediary: nothing was found")
        raise typer.Exit(1)


@app.command("rm")
def remove(
    user: User,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Which items, by their ids.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was kept for this user.")] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Delete items for good, with all that was made of them."""
    if bool(ids) == everything:
        raise typer.BadParameter("name items, or --all", param_hint="ID...")

    async def work(memory: "Memory") -> int:
        if everything:
            return await memory.delete(user)
        for item_id in ids or ():
            await memory.delete_item(user, item_id)
        return len(ids or ())

    gone = _run(work, data, config)
    note(f"mediary: {gone:,} item{'' if gone == 1 else 's'} deleted")


def _show(found: Iterable[MemoryItem], *, json: bool) -> None:
    for item in found:
        if json:
            emit(describe_item(item))
        else:
            write_out(f"{item.id:>8}  {in_a_line(item.text)}\n", "the list")


def _run(work: "Callable[[Memory], Coroutine[Any, Any, T]]", data: Path | None, config: Path | None) -> T:
    async def in_memory(settings: Settings) -> T:
        # imported here: `--help` should not wait for it
        from mediary.services import Services

        if not settings.data.is_dir():
            raise SettingsError(f"there is no data folder {settings.data.absolute()}: name it with --data")
        services = Services(settings)
        try:
            return await work(await services.memory())
        finally:
            await to_its_end(services.close())

    return perform(in_memory, data, config)
