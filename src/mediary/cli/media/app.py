"""The commands of `mediary media`."""

import typer

from mediary.cli.media.add import add
from mediary.cli.media.check import collect, verify
from mediary.cli.media.export import export
from mediary.cli.media.listing import list_items, search, show
from mediary.cli.media.move import move
from mediary.cli.media.reindex import reindex
from mediary.cli.media.trash import remove, restore

app = typer.Typer(
    help="The media library: add, find, export, check and move.", no_args_is_help=True, rich_markup_mode=None
)

app.command("add")(add)
app.command("list")(list_items)
app.command("search")(search)
app.command("show")(show)
app.command("export")(export)
app.command("rm")(remove)
app.command("restore")(restore)
app.command("reindex")(reindex)
app.command("verify")(verify)
app.command("gc")(collect)
app.command("move")(move)
