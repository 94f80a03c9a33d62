"""`mediary`: the commands."""

import typer

from mediary import __version__
from mediary.cli.bucket.app import app as bucket
from mediary.cli.chat import chat
from mediary.cli.media.app import app as media
from mediary.cli.memory import app as memory
from mediary.cli.serve import serve
from mediary.cli.upload import upload
from mediary.cli.usage import usage

app = typer.Typer(
    help="A self-hosted backend between people and AI providers that keeps the media.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take `[default: 8080]` for markup
)
app.command()(serve)
app.command()(chat)
app.command()(upload)
app.command()(usage)
app.add_typer(media, name="media")
app.add_typer(bucket, name="bucket")
app.add_typer(memory, name="memory")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Take the options that go before a command."""
