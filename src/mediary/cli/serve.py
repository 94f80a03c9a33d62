"""`mediary serve`: the server."""

from typing import Annotated, Any

import typer

from mediary.cli.options import Config, Data, explained
from mediary.settings import load_settings


def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one. [default: 8080]")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes. [default: 1]")] = None,
    config: Config = None,
) -> None:
    """Start the server."""
    given: dict[str, Any] = {"host": host, "port": port, "workers": workers}
    overrides = {name: value for name, value in given.items() if value is not None}
    with explained():
        settings = load_settings(config, data, **({"server": overrides} if overrides else {}))
        # imported here: other commands need no server
        from mediary.server.run import run

        run(settings)
