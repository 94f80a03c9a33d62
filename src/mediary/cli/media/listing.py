"""`mediary media list`, `search` and `show`: what is in the library."""

import re
import sys
from datetime import datetime, time
from typing import TYPE_CHECKING, Annotated

import typer

from mediary.cli.media.items import as_json, details, item_name, show_items
from mediary.cli.media.session import AsJson, emit, note, run
from mediary.cli.options import Config, Data
from mediary.cli.terminal import counted, in_a_line, unsteered, write_out
from mediary.formats import Kind
from mediary.media.item import Found, ItemFilter, ItemPage, MediaItem, Order, SearchQuery

if TYPE_CHECKING:
    from mediary.media.library import MediaLibrary

PAGE = 500
"""Items that are asked for at once."""


def list_items(
    kind: Annotated[Kind | None, typer.Option(help="Only this kind.", show_default=False)] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Only by this model.", show_default=False)] = None,
    provider: Annotated[str | None, typer.Option(help="Only from this provider.", show_default=False)] = None,
    text: Annotated[
        str | None, typer.Option(help="Only with these words in name, prompt, model or tags.", show_default=False)
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="Only from this day on: `2026-01-31`, or with a time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Only up to the end of this day, or to this time.")
    ] = None,
    bucket: Annotated[str | None, typer.Option(help="Only of this bucket.", show_default=False)] = None,
    trashed: Annotated[bool, typer.Option("--trashed", help="What lies in the trash instead.")] = False,
    order: Annotated[Order, typer.Option(help="What comes first.")] = "newest",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """List media items, newest first; through a pipe their names alone, a line each."""
    wanted = ItemFilter(
        kind=kind, tag=tag, model=model, provider=provider, text=text, bucket=bucket, trashed=trashed,
        created_from=_moment(since, time.min) if since else None,
        created_to=_moment(until, time.max) if until else None,
    )  # fmt: skip

    async def work(library: "MediaLibrary") -> None:
        cursor: str | None = None
        left = limit
        while left > 0:
            page: ItemPage = await library.list(wanted, order, cursor, min(left, PAGE))
            show_items(page.items, json=json)
            left -= len(page.items)
            if (cursor := page.next) is None:
                break
        if cursor is not None and not json and sys.stdout.isatty():
            note(f"there are more than {limit:,}: --limit shows them")

    run(work, data, config, current=True)


def search(
    words: Annotated[
        list[str], typer.Argument(help="Words that an item has anywhere; the first may be a kind.", show_default=False)
    ],
    least: Annotated[
        int | None, typer.Option("--min", min=1, help="How many of the words are enough. [default: all]")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    skip: Annotated[int, typer.Option(min=0, help="How many to step over.")] = 0,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Find media items by words in their names, prompts, models and tags, newest first."""
    tokens = tuple(token for word in words for token in re.split(r"[\s+]+", word) if token)
    if not tokens:
        raise typer.BadParameter("there is no word to search for", param_hint="WORDS")

    async def work(library: "MediaLibrary") -> Found:
        return await library.search(SearchQuery(tokens=tokens, least=least, skip=skip, limit=limit), count=True)

    found = run(work, data, config, current=True)
    show_items(found.items, json=json)
    if not found.total:
        note("mediary: nothing is found")
        raise typer.Exit(1)
    if sys.stdout.isatty() and not json and found.total > len(found.items):
        note(f"{counted(found.total, 'item')} in all")


def show(
    name: Annotated[str, typer.Argument(help="The name of a media item, or its URL.", show_default=False)],
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Show all that is known of a media item."""

    async def work(library: "MediaLibrary") -> MediaItem:
        return await library.get(item_name(name))

    item = run(work, data, config)
    if json:
        emit(as_json(item))
        return
    rows = list(details(item))
    width = max(len(label) for label, _ in rows)
    shown = in_a_line if sys.stdout.isatty() else unsteered(sys.stdout)
    write_out("".join(f"{label:{width}}  {shown(value)}\n" for label, value in rows))


def _moment(given: str, time_of_day: time) -> float:
    """The Unix seconds of a day, or of a day and a time; in the time zone of this machine where none is given."""
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is no date: write 2026-01-31, or 2026-01-31T18:00") from None
    if re.fullmatch(r"[\d-]+", given):
        moment = datetime.combine(moment.date(), time_of_day)
    return moment.astimezone().timestamp()
