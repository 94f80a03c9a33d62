"""`mediary upload`: files to a provider by its own protocol, once, with a bar; what lies where."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from mediary.cli.media.session import AsJson, Tally, emit, note, perform
from mediary.cli.options import Config, Data, to_its_end
from mediary.cli.terminal import Bar, in_a_line, moment_in_words, size_in_words, write_out
from mediary.errors import SettingsError
from mediary.settings import Settings
from mediary.uploads.files import clean_name
from mediary.uploads.room import describe_upload

if TYPE_CHECKING:
    from mediary.uploads.records.entry import Unfinished, Upload
    from mediary.uploads.room import UploadRoom

T = TypeVar("T")

PAGE = 500
"""Uploads that are asked for at once."""
GOES_ON = "the same command goes on from what has arrived"
BEGINS_ANEW = "the same command sends it from the beginning"


def upload(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE...]", help="Files of this machine.", show_default=False)
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="NAME", help="A provider, or a table of `uploads`.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("-m", "--model", help="The model that it is for, where that matters.", show_default=False),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Print the provider's message with the files and this text, as JSON.", show_default=False),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List what lies where, and what is unfinished; with --to of one provider.")
    ] = False,
    forget: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Forget one, and remove it there if that can be done.", show_default=False),
    ] = None,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Upload files to a provider; what lies there already is not sent again, and an upload that was stopped goes on."""
    if sum((bool(files), listing, forget is not None)) != 1:
        raise typer.BadParameter("name files, or --list, or --forget", param_hint="FILE...")
    if not files and (model is not None or text is not None):
        raise typer.BadParameter("name the files that it is for", param_hint="--model, --text")
    if listing:
        _run(lambda room: _list(room, to, json=json), data, config)
    elif forget is not None:
        if to is not None:
            raise typer.BadParameter("the id alone says which one", param_hint="--to")
        wanted = forget
        _run(lambda room: _forget(room, wanted, json=json), data, config)
    else:
        if to is None:
            raise typer.BadParameter("say where to", param_hint="--to")
        paths, place = files or [], to
        _run(lambda room: _upload(room, paths, place, model, text, json=json), data, config).finish()


async def _upload(
    room: "UploadRoom", paths: Sequence[Path], to: str, model: str | None, text: str | None, *, json: bool
) -> Tally:
    room.uploader.get(to)  # a wrong name is told once, not for each file
    done: list[Upload] = []
    with Tally("uploaded") as tally:
        for number, path in enumerate(paths, 1):
            of = f" ({number} of {len(paths)})" if len(paths) > 1 else ""
            sent = await _Sending(room, path, to, model, of).run(tally)
            if sent is None:
                continue
            done.append(sent)
            if text is None:
                _tell(sent, json=json)
    if text is not None and done:
        message = room.message(done, text)
        answer = {"uploads": list(map(describe_upload, done)), "message": message} if json else message
        write_out(msgspec.json.encode(answer).decode() + "\n", "the message")
    return tally


class _Sending:
    """One file on its way, with a bar."""

    def __init__(self, room: "UploadRoom", path: Path, to: str, model: str | None, of: str) -> None:
        self._room = room
        self._path = path
        self._to = to
        self._model = model
        self._called = in_a_line(path.name)
        self._bar = Bar(f"uploading {self._called}{of}", in_words=size_in_words)
        self._size: int | None = None
        self._out: int | None = None

    async def run(self, tally: Tally) -> "Upload | None":
        """Send it; None if that failed. What is said after an end in the middle is what the next attempt will do."""
        try:
            with self._bar:
                sent = await tally.attempt(in_a_line(str(self._path)), self._send())
        except asyncio.CancelledError:
            note(f"mediary: {self._called}: stopped {self._reached()}; {await to_its_end(self._what_follows())}")
            raise
        if sent is None and self._out is not None:
            note(f"mediary: {self._called}: it stopped {self._reached()}; {await self._what_follows()}")
        return sent

    async def _send(self) -> "Upload":
        with suppress(OSError):
            self._size = self._path.stat().st_size
        return await self._room.upload(
            self._path, self._to, model=self._model, progress=self._advance, resumable=True, waiting=self._wait
        )

    def _advance(self, sent: int) -> None:
        self._out = sent
        self._bar(sent, self._size)

    def _wait(self) -> None:
        note(f"mediary: {self._called}: another process sends it just now; waiting for that")

    def _reached(self) -> str:
        if self._out is None:
            return "before anything was sent"
        return f"at {size_in_words(self._out)} of {size_in_words(self._size or self._out)}"

    async def _what_follows(self) -> str:
        known = clean_name(self._path.name), self._size
        left = [(each.sending.name, each.sending.size) for each in await self._room.unfinished(self._to)]
        return GOES_ON if known in left else BEGINS_ANEW


def _tell(sent: "Upload", *, json: bool) -> None:
    if json:
        emit(describe_upload(sent))
        return
    write_out(f"{in_a_line(sent.file.id)}\n", "the output")
    until = f", until {moment_in_words(sent.file.expires_at)}" if sent.file.expires_at else ""
    there = "is there already" if sent.cached else "is there"
    note(f"mediary: {in_a_line(sent.file.name)} ({sent.file.media_type}) {there}{until}")


async def _list(room: "UploadRoom", provider: str | None, *, json: bool) -> None:
    unfinished = await room.unfinished(provider)
    page = await room.list(provider, limit=PAGE)
    if sys.stdout.isatty() and not json:
        if not (unfinished or page.uploads):
            note("mediary: nothing is uploaded")
            return
        write_out(_line(room, "id", "provider", "size", "until", "name"), "the list")
    for left in unfinished:
        _show_unfinished(room, left, json=json)
    while True:
        for each in page.uploads:
            _show(room, each, json=json)
        if page.next is None:
            return
        page = await room.list(provider, page.next, PAGE)


def _show(room: "UploadRoom", each: "Upload", *, json: bool) -> None:
    if json:
        emit(describe_upload(each, listed=True) | {"state": "there"})
        return
    file = each.file
    until = moment_in_words(file.expires_at) if file.expires_at else "-"
    write_out(_line(room, each.id, each.provider, size_in_words(file.size), until, file.name), "the list")


def _show_unfinished(room: "UploadRoom", left: "Unfinished", *, json: bool) -> None:
    state, sending = "on its way" if left.running else "unfinished", left.sending
    if json:
        about = {"provider": sending.provider, "flow": sending.flow, "name": sending.name, "size": sending.size}
        emit({"id": left.id, **about, "begun": left.begun, "state": state})
        return
    write_out(_line(room, left.id, sending.provider, size_in_words(sending.size), state, sending.name), "the list")


def _line(room: "UploadRoom", id_: str, provider: str, size: str, until: str, name: str) -> str:
    widest = max(map(len, (*room.names, "provider")))
    return f"{id_:24}  {provider:{widest}}  {size:>7}  {until:16}  {in_a_line(name)}\n"


async def _forget(room: "UploadRoom", upload_id: str, *, json: bool) -> None:
    forgotten = await room.forget(upload_id)
    if json:
        emit({"removed": forgotten.removed, "reason": forgotten.reason})
    elif forgotten.removed:
        note("mediary: removed there, and forgotten")
    else:
        note(f"mediary: forgotten here; it may still lie there: {forgotten.reason or 'the provider cannot remove it'}")


def _run(work: "Callable[[UploadRoom], Coroutine[Any, Any, T]]", data: Path | None, config: Path | None) -> T:
    async def in_room(settings: Settings) -> T:
        # imported here: `--help` should not wait for it
        from mediary.services import Services

        if not settings.data.is_dir():
            raise SettingsError(f"there is no data folder {settings.data.absolute()}: name it with --data")
        services = Services(settings)
        try:
            return await work(services.uploads)
        finally:
            await to_its_end(services.close())

    return perform(in_room, data, config)
