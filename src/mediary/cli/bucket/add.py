"""`mediary bucket add`: files, folders and standard input into a bucket."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediary.buckets.library import content_of
from mediary.cli.bucket.session import Bucket, run
from mediary.cli.media.session import AsJson, Tally, emit, note
from mediary.cli.options import Config, Data
from mediary.cli.terminal import Bar, counted, in_a_line
from mediary.errors import MediaryError

if TYPE_CHECKING:
    from mediary.buckets.intake.taken import Taken
    from mediary.buckets.intake.upload import Upload
    from mediary.buckets.library import BucketLibrary

BATCH = 64
"""Files after which it is said what became of them; the words in pictures are looked for beside."""
STANDARD_INPUT = "-"
_PIECE = 256 * 1024


def add(
    bucket: Bucket,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Files, folders with all that is below them, `-` for standard input.",
            show_default=False,
        ),
    ],
    name: Annotated[str | None, typer.Option(help="The name of what comes from `-`.", show_default=False)] = None,
    language: Annotated[
        str | None, typer.Option(help="What pictures of text and speech are in, such as `de`.", show_default=False)
    ] = None,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Take files into a bucket, which is made if it is not there; prints the names of documents and media."""
    if name is None and STANDARD_INPUT in sources:
        raise typer.BadParameter("what comes from standard input needs a name", param_hint="--name")
    if name is not None and STANDARD_INPUT not in sources:
        raise typer.BadParameter("files keep their own names; this is for standard input, `-`", param_hint="--name")

    async def work(buckets: "BucketLibrary") -> Tally:
        wanted = await asyncio.to_thread(lambda: list(_walked(sources, name)))
        with Tally("added") as tally, Bar("adding") as bar:
            for at in range(0, len(wanted), BATCH):
                async with buckets.upload(bucket, language=language) as upload:
                    for number, file in enumerate(wanted[at : at + BATCH], at):
                        bar(number, len(wanted))
                        await tally.attempt(str(file.path or STANDARD_INPUT), _take(upload, file))
                    _tell(await upload.finish(), tally, bar, json=json)
        if not wanted:
            note("mediary: there is nothing in there")
        return tally

    run(work, data, config, new=True).finish()


async def _take(upload: "Upload", file: "_File") -> None:
    async with content_of(file.path) if file.path else aclosing(_standard_input()) as chunks:
        await upload.take(file.name, chunks)


@dataclass(slots=True, frozen=True)
class _File:
    """A file to add, standard input without a path, and the name that it is taken under."""

    path: Path | None
    name: str


def _walked(sources: list[str], name: str | None) -> Iterator[_File]:
    """Files and the names to take them by; of folders all but what is hidden, in the order of the names.

    What lies deeper in a folder has the way to it in its name, so that two of one name are told apart.
    """
    for source in sources:
        path = Path(source)
        if source == STANDARD_INPUT:
            yield _File(None, name or STANDARD_INPUT)
        elif not path.is_dir():
            yield _File(path, path.name)
        else:
            for folder, below, names in os.walk(path):
                below[:] = sorted(each for each in below if not each.startswith("."))
                for each in sorted(names):
                    if not each.startswith("."):
                        file = Path(folder, each)
                        yield _File(file, file.relative_to(path).as_posix())


async def _standard_input() -> AsyncGenerator[bytes, None]:
    if not sys.stdin:
        raise MediaryError("standard input is closed")
    while piece := await asyncio.to_thread(sys.stdin.buffer.read, _PIECE):
        yield piece


def _tell(taken: "Taken", tally: Tally, bar: Bar, *, json: bool) -> None:
    """What became of the files; what was rejected has failed."""
    for document in {document.name: document for document in taken.documents}.values():
        if json:
            emit({"document": document.name, "original": document.original, "size": document.size})
        else:
            bar.print(document.name)
    for media in taken.media:
        if json:
            emit(
                {"media": media.name, **{key: value for key, value in asdict(media).items() if value and key != "name"}}
            )
        else:
            bar.print(media.name)
    if taken.downloads is not None:
        note(f"mediary: {counted(taken.downloads, 'URL')} to fetch: `mediary bucket crawl` does it")
    for refused in taken.rejected:
        note(f"mediary: {in_a_line(refused.name)}: {refused.reason}")
        tally.failed += 1
