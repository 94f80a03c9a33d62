"""`mediary bucket rm`: a bucket with all that is in it, for good."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mediary.cli.bucket.session import run
from mediary.cli.media.session import AsJson, Tally, emit
from mediary.cli.options import Config, Data
from mediary.cli.terminal import counted, in_a_line
from mediary.errors import MediaryError

if TYPE_CHECKING:
    from mediary.buckets.library import BucketLibrary


def remove(
    names: Annotated[list[str], typer.Argument(metavar="BUCKET...", help="Ids of buckets.", show_default=False)],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Delete buckets with all that is in them, for good."""

    async def work(buckets: "BucketLibrary") -> Tally:
        with Tally("removed") as tally:
            for name in names:
                if not yes and not await _is_meant(buckets, name):
                    tally.skipped += 1
                elif await tally.attempt(name, _remove(buckets, name)) and json:
                    emit({"bucket": name})
        return tally

    run(work, data, config).finish()


async def _is_meant(buckets: "BucketLibrary", name: str) -> bool:
    """Ask whoever sits there. Where nobody does, nothing is deleted."""
    number = len(await buckets.documents(name))
    if not sys.stdin or not sys.stdin.isatty():
        raise MediaryError("nobody can be asked here: --yes deletes without asking")
    return typer.confirm(f"Delete the bucket {in_a_line(name)} with {counted(number, 'document')}?", err=True)


async def _remove(buckets: "BucketLibrary", name: str) -> bool:
    await buckets.remove(name)
    return True
