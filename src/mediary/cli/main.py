"""`mediary`: the commands."""

import typer

from mediary import __version__
from mediary.cli.chat import chat
from mediary.cli.serve import serve

app = typer.Typer(
    help="A self-hosted backend between people and AI providers that keeps the media.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(chat)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Take the options that go before a command."""
