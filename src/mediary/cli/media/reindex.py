"""`mediary media reindex`: the catalog is brought in line with the files."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediary.cli.media.session import AsJson, catch_up, emit, note, opened, perform
from mediary.cli.options import Config, Data
from mediary.cli.terminal import Bar, counted
from mediary.settings import Settings

if TYPE_CHECKING:
    from mediary.services import Services


def reindex(
    deep: Annotated[bool, typer.Option("--deep", help="Read headers and pixels of new files now, too.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Compare the files with the catalog: what appeared is taken in, what vanished is let go.

    The bytes of new files are read by the server when it has time; `--deep` does it now.
    """

    async def work(settings: Settings) -> dict[str, Any]:
        async with opened(settings) as services:
            result = await catch_up(services, always=True)
            assert result
            counts = {"appeared": result.appeared, "vanished": result.vanished}
            return counts | ({"read": await _read(services)} if deep else {})

    done = perform(work, data, config)
    if json:
        emit(done)
        return
    read = f"; {done['read']:,} read" if deep else ""
    note(f"{counted(done['appeared'], 'file')} came, {done['vanished']:,} went{read}")


async def _read(services: "Services") -> int:
    """Read what was not read yet; the number of items."""
    from mediary.media.reindex import read_all

    with Bar("reading headers and pixels", stopped="the same command goes on from there") as bar:
        return await read_all(services.library, services.indexer, lambda read: bar(read, None))
