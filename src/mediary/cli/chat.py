"""`mediary chat`: a turn in the terminal."""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer
from rich.console import Console

from mediary.cli.options import Config, Data, explained, to_its_end
from mediary.cli.terminal import harmless, prepare_output, unsteered, write_out
from mediary.conversations.request import ConversationRequest, IncomingMessage
from mediary.errors import MediaryError
from mediary.events import Auth, Content, Event, Failure, Finish, Log, Reasoning, ToolCalls
from mediary.server.log import configure_logging
from mediary.settings import LogSettings, Settings, load_settings


def chat(
    prompt: Annotated[str, typer.Argument(help="The question; `-` reads it from standard input.")],
    provider: Annotated[str | None, typer.Option("-p", "--provider", help="Who answers.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option("-m", "--model", help="Which model.", show_default=False)] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "-f", "--file", metavar="FILE", help="A file to ask about; may be given again.", show_default=False
        ),
    ] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Ask one question and stream the answer."""
    with explained():
        prepare_output()
        question = _read_question() if prompt == "-" else prompt
        request = ConversationRequest(
            provider=provider, model=model, messages=[IncomingMessage(role="user", content=question)]
        )
        settings = load_settings(config, data)
        configure_logging(LogSettings(level="error"))
        if not asyncio.run(take_turn(settings, request, file or [])):
            raise typer.Exit(1)


def _read_question() -> str:
    if not sys.stdin:
        raise MediaryError("standard input is closed")
    return sys.stdin.read()


async def take_turn(settings: Settings, request: ConversationRequest, paths: Iterable[Path] = ()) -> bool:
    """Take the turn, with files of this machine; whether it ended well."""
    # imported here: `--help` should not wait for it
    from mediary.media.directories import get_media_dir
    from mediary.services import Services

    services = Services(settings)
    screen = Screen(get_media_dir(settings.data))
    try:
        await services.conversations.providers.discover()
        async with services.conversations.holder() as holder:
            files = [await holder.of_path(path.absolute()) for path in paths]
            turn = await services.conversations.prepare(request, holder, files)
            async with aclosing(services.conversations.events(turn)) as events:
                async for event in events:
                    screen.show(event)
    finally:
        await to_its_end(services.close())
    return screen.good


class Screen:
    """Shows events as they come: the answer on standard output, all else on standard error."""

    def __init__(self, media: Path) -> None:
        self._media = media
        self._aside = Console(stderr=True, highlight=False, soft_wrap=True)
        self._open_line = False
        # A model's words must not steer the terminal.
        self._shown = unsteered(sys.stdout)
        self.good = True

    def show(self, event: Event) -> None:
        """One event."""
        match event:
            case Reasoning(token=str(token)):
                self._aside.print(harmless(token), end="", style="dim", markup=False)
                self._open_line = True
            case Content(urls=list(urls)):
                for url in urls:
                    self._note(f"saved {self._place(url)}")
            case Content(content=text):
                if self._open_line:
                    self._note()
                write_out(self._shown(text))
            case ToolCalls(tool_calls=calls):
                self._note(*(f"wants {call.function.name} called" for call in calls if call.function.name))
            case Log(log=message):
                self._note(str(message), style="dim")
            case Failure() | Auth():
                self._note(event.message, style="red")
                self.good = False
            case Finish():
                write_out("\n")

    def _note(self, *lines: str, style: str | None = None) -> None:
        if self._open_line:
            self._aside.print()
            self._open_line = False
        for line in lines:
            self._aside.print(harmless(line), style=style, markup=False)

    def _place(self, url: str) -> str:
        """Where a kept file lies; a URL of elsewhere as it is."""
        path = urlsplit(url).path
        return str(self._media / unquote(path.removeprefix("/media/"))) if path.startswith("/media/") else url
