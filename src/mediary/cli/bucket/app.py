"""The commands of `mediary bucket`."""

import typer

from mediary.cli.bucket.add import add
from mediary.cli.bucket.ask import ask
from mediary.cli.bucket.crawl import crawl
from mediary.cli.bucket.listing import list_buckets
from mediary.cli.bucket.read import read
from mediary.cli.bucket.remove import remove

app = typer.Typer(
    help="Buckets of documents: add, read, ask, list and crawl.", no_args_is_help=True, rich_markup_mode=None
)

app.command("add")(add)
app.command("read")(read)
app.command("ask")(ask)
app.command("list")(list_buckets)
app.command("rm")(remove)
app.command("crawl")(crawl)
