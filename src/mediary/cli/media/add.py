"""`mediary media add`: files, folders and URLs into the library."""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediary.cli.media.items import as_json
from mediary.cli.media.session import AsJson, Tally, emit, note, run
from mediary.cli.options import Config, Data, to_its_end
from mediary.cli.terminal import Bar
from mediary.storage.base import HasPath
from mediary.tasks import all_of

if TYPE_CHECKING:
    from mediary.media.item import MediaItem
    from mediary.media.library import MediaLibrary

AT_ONCE = 4
"""Files that are added at the same time: while one is made durable, another is read."""


def add(
    sources: Annotated[list[str], typer.Argument(help="Files, folders, `http(s)` URLs.", show_default=False)],
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    prompt: Annotated[str, typer.Option(help="The prompt that they were made from.", show_default=False)] = "",
    alt: Annotated[str, typer.Option(help="What is to be seen or heard.", show_default=False)] = "",
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Folders with all that is below them.")] = False,
    skip_known: Annotated[
        bool, typer.Option("--skip-known", help="Leave out files whose bytes the library has already.")
    ] = False,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Take media into the library; prints the URL of each. What is no media is named and left out."""
    about: dict[str, Any] = {"alt": alt, "tags": tag or (), "prompt": prompt}

    async def work(library: "MediaLibrary") -> Tally:
        wanted = await asyncio.to_thread(lambda: list(_walked(sources, recursive, _own_folder(library))))
        with Tally("added") as tally, Bar("adding") as bar:
            for at in range(0, len(wanted), AT_ONCE):
                bar(at, len(wanted))
                batch = [_add(library, source, tally, skip_known, about) for source in wanted[at : at + AT_ONCE]]
                for source, item in zip(wanted[at:], await all_of(batch), strict=False):
                    if item and json:
                        emit({"source": str(source), **as_json(item)})
                    elif item:
                        bar.print(as_json(item)["url"])
        if not wanted:
            note("mediary: there is nothing in there")
        return tally

    run(work, data, config, new=True).finish()


async def _add(
    library: "MediaLibrary", source: str | Path, tally: Tally, skip_known: bool, about: dict[str, Any]
) -> "MediaItem | None":
    """Add one; None if it is left out, or cannot be added."""
    if skip_known and isinstance(source, Path) and await library.has(await _sha256(source)):
        tally.skipped += 1
        return None
    adding = tally.attempt(str(source), library.add(source, **about))
    # What is on this machine comes in whole, with its row; a server somewhere may take its time.
    return await (to_its_end(adding) if isinstance(source, Path) else adding)


def _own_folder(library: "MediaLibrary") -> Path | None:
    """The folder of a library that is one: what lies in it is in the library."""
    return library.store.path("a").parent.resolve() if isinstance(library.store, HasPath) else None


def _walked(sources: list[str], recursive: bool, own: Path | None) -> Iterator[str | Path]:
    """URLs, files, and the files of folders in the order of their names, but for what is hidden there, or `own`."""
    for source in sources:
        path = Path(source)
        if source[:8].lower().startswith(("http://", "https://")):
            yield source
        elif not path.is_dir():
            yield path
        else:
            for folder, below, names in os.walk(path):
                if Path(folder).resolve() == own:
                    below.clear()
                    continue
                below[:] = sorted(name for name in below if recursive and not name.startswith("."))
                yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


async def _sha256(path: Path) -> str:
    """The digest of a file; empty if it cannot be read, which adding it will say."""

    def digest() -> str:
        if not path.is_file():  # nobody may ever write into a FIFO
            return ""
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""

    return await asyncio.to_thread(digest)
